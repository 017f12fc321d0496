/* A process that commits is killed at random moments: what it was told was committed is there, and the
 * numbers of the next start are above all it has seen. Also the lock file, which needs a second process. */
#include "base/random.h"
#include "store/lock.h"
#include "tests/store/fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 20, INFLIGHT = 16, LINE = 32 };

/* ---- the child: keeps INFLIGHT commits under way and prints each acknowledged one */

struct child {
	struct store *store;
	int next, round;
	bool loaded;
};

static void child_commit(struct child *c);

static void on_reply(void *arg, const struct store_reply *reply)
{
	struct child *c = *(struct child **)arg;
	int i = ((int *)((struct child **)arg + 1))[0];
	free(arg);
	if (reply->code != E_OK)
		_exit(3);
	char line[LINE + 1];
	snprintf(line, sizeof(line), "%3d %8d %*lld\n", c->round, i, LINE - 14, (long long)reply->number);
	if (write(STDOUT_FILENO, line, LINE) != LINE)
		_exit(4);
	child_commit(c);
}

static void child_commit(struct child *c)
{
	struct child **ticket = malloc(sizeof(*ticket) + sizeof(int));
	char key[32];
	*ticket = c;
	((int *)(ticket + 1))[0] = c->next;
	snprintf(key, sizeof(key), "/k/%03d/%08d", c->round, c->next++);
	struct store_op op = { key, "{}", 2 };
	if (store_commit(c->store, &(struct store_batch){ .ops = &op, .op_count = 1 }, on_reply, ticket,
			 NULL) != E_OK)
		_exit(5);
}

static void child_loaded(void *arg, int64_t number)
{
	struct child *c = arg;
	(void)number;
	for (int i = 0; i < INFLIGHT; i++)
		child_commit(c);
}

static int child_main(const char *dir, int round)
{
	struct child c = { .round = round };
	struct store_conf conf = { .url = "sqlite:", .data_dir = dir };
	struct store_feed feed = { .load_end = child_loaded, .arg = &c };
	uv_loop_t loop;
	uv_loop_init(&loop);
	if (store_open(&c.store, &loop, &conf, &feed, NULL) != E_OK)
		return 2;
	return uv_run(&loop, UV_RUN_DEFAULT);
}

static pid_t child_start(const char *const argv[], int *ret_out)
{
	int out[2];
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		execv("/proc/self/exe", (char *const *)argv);
		_exit(127);
	}
	close(out[1]);
	*ret_out = out[0];
	return pid;
}

/* ---- the parent */

struct seen {
	char key[32];
};

static bool line_read(int from, char line[LINE + 1])
{
	size_t have = 0;
	while (have < LINE) {
		ssize_t n = read(from, line + have, LINE - have);
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	line[LINE] = '\0';
	return true;
}

static void line_note(const char *line, struct seen *seen, size_t *count, int64_t *last)
{
	int round, i;
	long long number;
	assert_int_equal(sscanf(line, "%d %d %lld", &round, &i, &number), 3);
	assert_true(*count < ROWS_MAX);
	snprintf(seen[(*count)++].key, sizeof(seen[0].key), "/k/%03d/%08d", round, i);
	assert_true(number > *last);
	*last = number;
}

static void acknowledged_writes_survive_kills(void **state)
{
	struct fixture *f = *state;
	static struct seen seen[ROWS_MAX];
	size_t count = 0;
	int64_t last = 0;
	struct rng rng;
	rng_seed_system(&rng);
	for (int round = 0; round < ROUNDS; round++) {
		char number[16], line[LINE + 1];
		int from;
		snprintf(number, sizeof(number), "%d", round);
		const char *argv[] = { "test_kill", "--commit", f->dir, number, NULL };
		pid_t pid = child_start(argv, &from);
		for (uint32_t n = rng_below(&rng, 150); n > 0 && line_read(from, line); n--)
			line_note(line, seen, &count, &last);
		kill(pid, SIGKILL);
		while (line_read(from, line)) /* what it printed before it died */
			line_note(line, seen, &count, &last);
		close(from);
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
	}
	assert_int_equal(fixture_open(f), E_OK);
	assert_false(f->out_of_order);
	for (size_t i = 0; i < count; i++)
		if (fixture_row(f, seen[i].key) == NULL)
			fail_msg("%s was acknowledged and is gone", seen[i].key);
	assert_true(f->load_number > last);
	assert_true(count > 0);
}

/* ---- the lock */

static int hold_main(const char *path)
{
	struct lock *lock = NULL;
	if (lock_take(&lock, path, NULL) != E_OK)
		return 2;
	if (write(STDOUT_FILENO, "held\n", 5) != 5)
		return 3;
	pause();
	return 0;
}

static void a_second_start_is_told_the_pid_of_the_first(void **state)
{
	struct fixture *f = *state;
	char *path = fixture_path(f, "lock"), line[5], words[32];
	const char *argv[] = { "test_kill", "--hold", path, NULL };
	int from, status;
	pid_t pid = child_start(argv, &from);
	assert_int_equal(read(from, line, sizeof(line)), 5);
	struct lock *lock = NULL;
	assert_int_equal(lock_take(&lock, path, &f->err), E_CONFLICT);
	snprintf(words, sizeof(words), "pid %d", (int)pid);
	assert_non_null(strstr(f->err.text, words));
	assert_non_null(strstr(f->err.text, path));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(from);
	/* Its file is still there, with its pid: no obstacle. */
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(lock_take(&lock, path, &f->err), E_OK);
	struct lock *second = NULL;
	assert_int_equal(lock_take(&second, path, &f->err), E_CONFLICT);
	snprintf(words, sizeof(words), "pid %d", (int)getpid());
	assert_non_null(strstr(f->err.text, words));
	lock_release(lock);
	FILE *file = fopen(path, "r");
	assert_int_equal(fgetc(file), EOF);
	fclose(file);
	assert_int_equal(lock_take(&lock, path, &f->err), E_OK);
	lock_release(lock);
	free(path);
}

static void a_lock_without_a_directory_says_where(void **state)
{
	struct fixture *f = *state;
	char *path = fixture_path(f, "nowhere/lock");
	struct lock *lock = NULL;
	assert_true(lock_take(&lock, path, &f->err) < 0);
	assert_null(lock);
	assert_non_null(strstr(f->err.text, path));
	free(path);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--commit") == 0)
		return child_main(argv[2], atoi(argv[3]));
	if (argc == 3 && strcmp(argv[1], "--hold") == 0)
		return hold_main(argv[2]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(acknowledged_writes_survive_kills,
						fixture_setup_sqlite, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_second_start_is_told_the_pid_of_the_first,
						fixture_setup_sqlite, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_lock_without_a_directory_says_where,
						fixture_setup_sqlite, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

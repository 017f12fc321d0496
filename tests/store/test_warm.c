#include "base/error.h"
#include "store/warm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

struct fixture {
	char dir[64], path[96], other[96];
	struct warm *warm;
	struct error err;
	bool fresh;
	unsigned count;
	char rows[4096]; /* "key=value;" in key order */
};

static void on_entry(void *arg, const char *key, const char *value, size_t value_len)
{
	struct fixture *f = arg;
	size_t len = strlen(f->rows);
	f->count++;
	snprintf(f->rows + len, sizeof(f->rows) - len, "%s=%.*s;", key, (int)value_len, value);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "/tmp/muster-warm-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/warm.db", f->dir);
	snprintf(f->other, sizeof(f->other), "%s/copy.db", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	static const char *const tails[] = { "", "-wal", "-shm" };
	for (size_t i = 0; i < 3; i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s%s", f->path, tails[i]);
		unlink(path);
		snprintf(path, sizeof(path), "%s%s", f->other, tails[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static void start(struct fixture *f)
{
	f->count = 0;
	f->rows[0] = '\0';
	if (warm_open(&f->warm, f->path, on_entry, f, &f->fresh, &f->err) != E_OK)
		fail_msg("%s", f->err.text);
}

static void put(struct fixture *f, const char *key, const char *value)
{
	assert_int_equal(warm_put(f->warm, key, value, value == NULL ? 0 : strlen(value)), E_OK);
}

/* Waits for the thread without a clock: what it is asked for it does. */
static void settle(struct fixture *f)
{
	struct warm_stats stats;
	do {
		warm_flush(f->warm);
		warm_stats(f->warm, &stats);
		uv_sleep(0);
	} while (stats.pending > 0);
}

static void what_was_put_comes_back(void **state)
{
	struct fixture *f = *state;
	start(f);
	assert_true(f->fresh);
	put(f, "/a", "{\"v\":1}");
	put(f, "/b", "2");
	put(f, "/gone", "3");
	settle(f);
	put(f, "/gone", NULL);
	put(f, "/never", NULL);
	warm_close(f->warm); /* writes the rest without a flush */
	start(f);
	assert_false(f->fresh);
	assert_string_equal(f->rows, "/a={\"v\":1};/b=2;");
	warm_close(f->warm);
}

static void puts_of_one_key_are_one_write(void **state)
{
	struct fixture *f = *state;
	struct warm_stats stats;
	start(f);
	for (int i = 0; i < 1000; i++) {
		char value[16];
		snprintf(value, sizeof(value), "%d", i);
		put(f, "/k", value);
	}
	put(f, "/other", "x");
	put(f, "/other", NULL);
	warm_stats(f->warm, &stats);
	assert_int_equal(stats.pending, 2);
	settle(f);
	warm_stats(f->warm, &stats);
	assert_int_equal(stats.written, 2);
	assert_int_equal(stats.failed, 0);
	warm_close(f->warm);
	start(f);
	assert_string_equal(f->rows, "/k=999;");
	warm_close(f->warm);
}

static void damage(const struct fixture *f, off_t offset, size_t len)
{
	char bytes[8192];
	memset(bytes, 'z', sizeof(bytes));
	int fd = open(f->path, O_WRONLY | O_CREAT, 0644);
	assert_int_equal(pwrite(fd, bytes, len, offset), (ssize_t)len);
	close(fd);
}

static void rows_make(struct fixture *f)
{
	start(f);
	for (int i = 0; i < 500; i++) {
		char key[32];
		snprintf(key, sizeof(key), "/key/%05d", i);
		put(f, key, "some value of a few bytes");
	}
	warm_close(f->warm);
}

static void thrown_away(struct fixture *f)
{
	start(f);
	assert_true(f->fresh);
	assert_int_equal(f->count, 0);
	put(f, "/new", "1");
	warm_close(f->warm);
	start(f);
	assert_false(f->fresh);
	assert_string_equal(f->rows, "/new=1;");
	warm_close(f->warm);
}

static void a_torn_page_throws_the_file_away(void **state)
{
	struct fixture *f = *state;
	rows_make(f);
	damage(f, 3 * 4096, 4096);
	thrown_away(f);
}

/* SQLite would not notice: only a row's own checksum does. */
static void changed_values_throw_the_file_away(void **state)
{
	struct fixture *f = *state;
	rows_make(f);
	int fd = open(f->path, O_RDWR);
	char page[4096];
	unsigned changed = 0; /* some of them lie in the free parts of pages */
	for (off_t at = 4096; pread(fd, page, sizeof(page), at) == sizeof(page); at += 4096) {
		char *from = page, *value;
		while ((value = memmem(from, (size_t)(page + 4096 - from), "some value", 10)) != NULL) {
			assert_int_equal(pwrite(fd, "S", 1, at + (value - page)), 1);
			from = value + 1;
			changed++;
		}
	}
	close(fd);
	assert_true(changed >= 500);
	thrown_away(f);
}

static void a_foreign_file_is_thrown_away(void **state)
{
	struct fixture *f = *state;
	damage(f, 0, 8192);
	thrown_away(f);
}

static void an_empty_file_is_made_anew(void **state)
{
	struct fixture *f = *state;
	close(open(f->path, O_CREAT | O_WRONLY, 0644));
	thrown_away(f);
}

static void a_place_that_cannot_be_written_is_named(void **state)
{
	struct fixture *f = *state;
	char path[128];
	snprintf(path, sizeof(path), "%s/no/warm.db", f->dir);
	assert_true(warm_open(&f->warm, path, on_entry, f, &f->fresh, &f->err) < 0);
	assert_non_null(strstr(f->err.text, path));
}

/* A kill leaves every transaction that was written: the child reports what it has flushed and dies. */
static void a_kill_keeps_what_was_written(void **state)
{
	struct fixture *f = *state;
	pid_t child = fork();
	if (child == 0) {
		start(f);
		for (int i = 0; i < 2000; i++) {
			char key[32];
			snprintf(key, sizeof(key), "/key/%05d", i);
			put(f, key, "v");
			if (i % 100 == 99)
				settle(f);
		}
		kill(getpid(), SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	start(f);
	assert_false(f->fresh);
	assert_int_equal(f->count, 2000);
	warm_close(f->warm);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_put_comes_back),
		TEST(puts_of_one_key_are_one_write),
		TEST(a_torn_page_throws_the_file_away),
		TEST(changed_values_throw_the_file_away),
		TEST(a_foreign_file_is_thrown_away),
		TEST(an_empty_file_is_made_anew),
		TEST(a_place_that_cannot_be_written_is_named),
		TEST(a_kill_keeps_what_was_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

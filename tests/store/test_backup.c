/* Backup and restore below the program: numbers and serials against clocks that are set, and all or nothing
 * whichever allocation fails. The rest is in tests/blackbox/test_backup.py. */
#include "base/clock.h"
#include "base/mem.h"
#include "store/backup.h"
#include "tests/store/fixture.h"

#include <dirent.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WALL_MS_DAY = 24 * 3600 * 1000 };
static const int64_t start_ms = 1700000000000;

struct place {
	struct fixture *f;
	char *backup, *lost; /* a file, and a directory without a store */
};

static int setup(void **state)
{
	static struct place p;
	void *fixture;
	if (fixture_setup_sqlite(&fixture) != 0)
		return -1;
	p.f = fixture;
	p.backup = fixture_path(p.f, "backup");
	p.lost = fixture_path(p.f, "lost");
	*state = &p;
	return mkdir(p.lost, 0700);
}

static int teardown(void **state)
{
	struct place *p = *state;
	void *fixture = p->f;
	clock_fake_off();
	free(p->backup);
	free(p->lost);
	return fixture_teardown(&fixture);
}

/* A store with one row, made at @start_ms, and its backup. */
static void make(struct place *p)
{
	struct store_backup made;
	clock_fake(1000, start_ms);
	assert_int_equal(fixture_open(p->f), E_OK);
	assert_int_equal(fixture_put_now(p->f, "/muster/1/i/a", "{\"v\":1}")->code, E_OK);
	assert_int_equal(fixture_put_now(p->f, "/muster/1/zone/z/serial", "1700000000")->code, E_OK);
	assert_int_equal(store_backup(&made, p->f->dir, p->backup, false, NULL, &p->f->err), E_OK);
	assert_int_equal(made.rows, 2);
	fixture_close(p->f);
}

static uint32_t serial_of(struct place *p)
{
	return (uint32_t)strtoul(fixture_row(p->f, "/muster/1/zone/z/serial")->value, NULL, 10);
}

static void restore_to(struct place *p, const char *dir, struct store_restored *ret)
{
	if (store_restore(ret, dir, p->backup, &p->f->err) != E_OK)
		fail_msg("%s", p->f->err.text);
	p->f->conf.data_dir = dir;
	assert_int_equal(fixture_open(p->f), E_OK);
	assert_int_equal(p->f->row_count, 2);
	assert_true(p->f->load_number >= ret->next_number);
	fixture_close(p->f);
}

/* Over numbers drawn since the backup, with the clock where it was, a year on, or a year back. */
static void numbers_are_above_the_blocks_of_the_former_store(void **state)
{
	static const int64_t clocks[] = { 0, 365LL * WALL_MS_DAY, -365LL * WALL_MS_DAY };
	struct place *p = *state;
	make(p);
	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		struct store_restored made;
		int64_t last = 0;
		assert_int_equal(fixture_open(p->f), E_OK);
		for (int n = 0; n < 120000; n++) {
			last = store_number(p->f->store);
			if (n % 1000 == 0)
				uv_run(&p->f->loop, UV_RUN_NOWAIT);
		}
		assert_int_equal(fixture_put_now(p->f, "/muster/1/zone/z/serial", "2000000000")->code, E_OK);
		fixture_close(p->f);
		clock_fake(2000, start_ms + clocks[i]);
		restore_to(p, p->f->dir, &made);
		assert_true(p->f->load_number > last);
		assert_true((int32_t)(serial_of(p) - 2000000000u) > 0);
		assert_int_equal(made.behind_ms > 0, clocks[i] < 0);
		assert_false(made.former_unread);
		assert_string_not_equal(made.former, "");
	}
}

static void numbers_of_a_lost_store_are_a_day_beyond_the_clock(void **state)
{
	struct place *p = *state;
	struct store_restored made;
	struct store_origin origin;
	make(p);
	int64_t now = start_ms + 40LL * WALL_MS_DAY;
	clock_fake(3000, now);
	restore_to(p, p->lost, &made);
	assert_string_equal(made.former, "");
	assert_int_equal(made.taken_ms, start_ms);
	assert_int_equal(fixture_open(p->f), E_OK);
	store_origin(p->f->store, &origin);
	int64_t ref = origin.t0_ms + origin.number_base + store_number(p->f->store) - origin.rev0;
	assert_true(ref >= now + WALL_MS_DAY && ref < now + 2LL * WALL_MS_DAY);
	assert_true((int32_t)(serial_of(p) - (uint32_t)(now / 1000)) > 0);
	fixture_close(p->f);
}

/* How many files there are, the lock, SQLite's index and empty logs apart. */
static int files_in(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int count = 0;
	while ((e = readdir(d)) != NULL)
		count += e->d_type == DT_REG && strcmp(e->d_name, "lock") != 0 && strstr(e->d_name, "-shm") == NULL &&
			 strstr(e->d_name, "-wal") == NULL;
	closedir(d);
	return count;
}

static void a_backup_survives_every_failed_allocation(void **state)
{
	struct place *p = *state;
	struct store_backup made;
	make(p);
	unlink(p->backup);
	int before = files_in(p->f->dir);
	for (unsigned nth = 0;; nth += 1 + nth / 8) {
		mem_fail_at(nth);
		int rc = store_backup(&made, p->f->dir, p->backup, false, NULL, &p->f->err);
		bool failed = mem_fail_off();
		if (rc == E_OK)
			unlink(p->backup);
		assert_int_equal(files_in(p->f->dir), before);
		if (!failed) {
			assert_int_equal(rc, E_OK);
			assert_true(nth > 200); /* SQLite's are among them */
			return;
		}
	}
}

static void a_restore_survives_every_failed_allocation(void **state)
{
	struct place *p = *state;
	struct store_restored made;
	make(p);
	for (unsigned nth = 0;; nth += 1 + nth / 8) {
		int before = files_in(p->f->dir);
		mem_fail_at(nth);
		int rc = store_restore(&made, p->f->dir, p->backup, &p->f->err);
		bool failed = mem_fail_off();
		assert_int_equal(files_in(p->f->dir), before + (rc == E_OK));
		assert_int_equal(fixture_open(p->f), E_OK);
		assert_int_equal(p->f->row_count, 2);
		fixture_close(p->f);
		if (!failed) {
			assert_int_equal(rc, E_OK);
			assert_true(nth > 200); /* SQLite's are among them */
			return;
		}
	}
}

static void a_stopped_backup_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct store_backup made;
	atomic_bool stop = true;
	make(p);
	unlink(p->backup);
	int before = files_in(p->f->dir);
	int rc = store_backup(&made, p->f->dir, p->backup, false, &stop, &p->f->err);
	assert_int_equal(rc, E_CLOSED);
	assert_int_equal(files_in(p->f->dir), before);
}

/* ---- SQLite's heap is ours here, so that its allocations fail as well; each block has its size in front */

enum { HEAD = 16 };

static void *heap_alloc(int len)
{
	char *at = mem_alloc((size_t)len + HEAD);
	if (at == NULL)
		return NULL;
	*(int *)(void *)at = len;
	return at + HEAD;
}

static void heap_free(void *at)
{
	mem_free((char *)at - HEAD);
}

static void *heap_realloc(void *at, int len)
{
	char *fresh = mem_realloc((char *)at - HEAD, (size_t)len + HEAD);
	if (fresh == NULL)
		return NULL;
	*(int *)(void *)fresh = len;
	return fresh + HEAD;
}

static int heap_size(void *at)
{
	return *(int *)(void *)((char *)at - HEAD);
}

static int heap_roundup(int len)
{
	return (len + 7) & ~7;
}

static int heap_init(void *arg)
{
	(void)arg;
	return SQLITE_OK;
}

static void heap_shutdown(void *arg)
{
	(void)arg;
}

int main(void)
{
	static const sqlite3_mem_methods heap = { heap_alloc,	heap_free, heap_realloc,  heap_size,
						  heap_roundup, heap_init, heap_shutdown, NULL };
	sqlite3_config(SQLITE_CONFIG_MALLOC, &heap);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numbers_are_above_the_blocks_of_the_former_store, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_of_a_lost_store_are_a_day_beyond_the_clock, setup, teardown),
		cmocka_unit_test_setup_teardown(a_backup_survives_every_failed_allocation, setup, teardown),
		cmocka_unit_test_setup_teardown(a_restore_survives_every_failed_allocation, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stopped_backup_leaves_nothing, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

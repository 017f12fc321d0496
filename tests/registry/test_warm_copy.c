/* Tests of the registry's side of the warm copy: what lies in memory while it is written is bounded. */
#include "registry/warm_copy.h"
#include "tests/registry/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FLEET = 60000, EACH = 100, ROWS_MOST = 3 * 8192 /* gathered, handed over, being written */ };

static uint64_t pending(struct fixture *f)
{
	struct warm_stats stats;

	warm_stats(f->desk->warm.warm, &stats);
	return stats.pending;
}

/* Rows are several times as large as what they are made of: they must not wait for the disk by the million. */
static void a_slow_disk_gathers_no_mountain_of_rows(void **state)
{
	struct fixture *f = *state;
	struct warm_copy *wc = &f->desk->warm;
	char ip[32], name[16];
	bool over = false;

	for (unsigned i = 0; i < FLEET; i++) {
		snprintf(name, sizeof(name), "s%u", i / EACH);
		snprintf(ip, sizeof(ip), "10.0.%u.%u", i >> 8, i & 255);
		assert_int_equal(reg(f, name, ip, 80), E_OK);
	}
	warm_copy_begin(wc);
	while (!over) {
		over = warm_copy_slice(wc, UINT64_MAX / 4);
		assert_true(pending(f) <= ROWS_MOST);
		warm_wait(wc->warm);
	}
	assert_int_equal(wc->count, 0);
	fixture_close(f);
	fixture_open(f);
	for (unsigned i = 0; i < FLEET / EACH; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(count_of(f, name), EACH);
	}
}

/* What is handed over at one time lies close together in the file, in whatever order it changed. */
static void a_pass_goes_from_bucket_to_bucket(void **state)
{
	struct fixture *f = *state;
	struct warm_copy *wc = &f->desk->warm;
	unsigned buckets[ROW_BUCKETS] = { 0 }, left = 0, services = 0;
	char name[16];

	uv_timer_stop(&f->desk->warm_timer); /* its own passes */
	for (unsigned i = 0; i < 4 * ROW_BUCKETS; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(reg(f, name, "10.0.0.1", 80), E_OK);
	}
	warm_copy_begin(wc);
	assert_false(warm_copy_slice(wc, 0)); /* a few rows, then it looks at the clock */
	struct service *s;
	for (size_t at = 0; (s = rcu_map_next(&f->registry->services, &at)) != NULL; services++) {
		const struct instance *i = s->records[0];
		left += i->warm_slot != 0;
		assert_true(row_bucket(s) >= wc->bucket || i->warm_slot == 0);
		assert_true(row_bucket(s) <= wc->bucket || i->warm_slot != 0);
		buckets[row_bucket(s)]++;
	}
	assert_int_equal(services, 4 * ROW_BUCKETS);
	assert_in_range(left, 1, services - 1);
	/* what changes during the pass is for the next one, before and behind where it stands */
	for (unsigned i = 0; i < 4 * ROW_BUCKETS; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(reg(f, name, "10.0.0.2", 80), E_OK);
	}
	while (!warm_copy_slice(wc, UINT64_MAX / 4))
		warm_wait(wc->warm);
	assert_int_equal(wc->count, 4 * ROW_BUCKETS);
	fixture_close(f);
	fixture_open(f);
	for (unsigned i = 0; i < 4 * ROW_BUCKETS; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(count_of(f, name), 2);
	}
}

static int setup(void **state)
{
	static char path[64];
	char dir[] = "/tmp/muster-warm-copy-XXXXXX";
	struct fixture *f = calloc(1, sizeof(*f));

	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/warm.db", dir);
	fixture_init(f);
	f->warm_path = path;
	fixture_open(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char dir[64];

	fixture_close(f);
	unlink(f->warm_path);
	snprintf(dir, sizeof(dir), "%s", f->warm_path);
	*strrchr(dir, '/') = '\0';
	rmdir(dir);
	fixture_done(f);
	free(f);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_slow_disk_gathers_no_mountain_of_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pass_goes_from_bucket_to_bucket, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

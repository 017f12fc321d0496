/* What was acknowledged survives a power cut at any write or sync, and nothing is half done. The same
 * run must notice a store that does not sync: that is a test here, too. */
#include "tests/store/fixture.h"
#include "base/random.h"
#include "tests/support/crash_vfs.h"

enum { ROUNDS = 20, COMMITS = 60, TAGS = ROUNDS * COMMITS, HOT = 8 };

struct trial {
	struct fixture *f;
	struct crash_vfs *v;
	struct rng rng;
	uint64_t seed;
	int tags; /* handed over so far */
	bool acked[TAGS];
	int hot_acked[HOT];
	int64_t last_number;
	size_t answers_seen;
	unsigned lost, half, numbers_back, cut_starts;
	char problem[FIXTURE_TEXT];
};

/* Every commit writes two keys of its own and one of a few hot ones; values are the tag. */
static void commit_one(struct trial *t)
{
	char a[32], b[32], hot[32], value[16];
	int tag = t->tags++;
	snprintf(a, sizeof(a), "/d/%05d/a", tag);
	snprintf(b, sizeof(b), "/d/%05d/b", tag);
	snprintf(hot, sizeof(hot), "/hot/%d", tag % HOT);
	int len = snprintf(value, sizeof(value), "%d", tag);
	struct store_op ops[] = { { a, value, (size_t)len },
				  { hot, value, (size_t)len },
				  { b, value, (size_t)len } };
	fixture_commit(t->f, &(struct store_batch){ .ops = ops, .op_count = 3 }, tag);
}

static void answers_note(struct trial *t)
{
	for (; t->answers_seen < t->f->answer_count; t->answers_seen++) {
		const struct answer *a = &t->f->answers[t->answers_seen];
		if (a->code != E_OK)
			continue;
		t->acked[a->tag] = true;
		t->hot_acked[a->tag % HOT] = a->tag;
		if (a->number > t->last_number)
			t->last_number = a->number;
	}
}

static bool has(const struct fixture *f, int tag, char part)
{
	char key[32];
	snprintf(key, sizeof(key), "/d/%05d/%c", tag, part);
	return fixture_row(f, key) != NULL;
}

static void picture_check(struct trial *t)
{
	for (int tag = 0; tag < t->tags; tag++) {
		bool a = has(t->f, tag, 'a'), b = has(t->f, tag, 'b');
		t->half += a != b;
		t->lost += t->acked[tag] && !(a && b);
	}
	for (int i = 0; i < HOT; i++) {
		char key[32];
		snprintf(key, sizeof(key), "/hot/%d", i);
		const struct row *row = fixture_row(t->f, key);
		t->lost += t->hot_acked[i] > 0 && (row == NULL || atoi(row->value) < t->hot_acked[i]);
	}
	t->numbers_back += t->f->load_number <= t->last_number;
	if (t->f->load_number > t->last_number)
		t->last_number = t->f->load_number;
}

static void round_run(struct trial *t)
{
	struct fixture *f = t->f;
	int rc = fixture_open(f);
	t->answers_seen = 0;
	if (rc == E_OK) {
		if (f->ended)
			picture_check(t);
		for (int i = 0; i < COMMITS && !crash_vfs_is_cut(t->v); i++) {
			commit_one(t);
			if (rng_below(&t->rng, 6) == 0)
				uv_run(&f->loop, UV_RUN_NOWAIT);
			if (rng_below(&t->rng, 20) == 0)
				fixture_answers(f, rng_below(&t->rng, (uint32_t)f->sent + 1));
			t->last_number = store_number(f->store);
		}
		if (rng_below(&t->rng, 2) == 0)
			crash_vfs_cut(t->v, rng_next(&t->rng));
		fixture_close(f); /* after a cut: refuses the rest */
		answers_note(t);
	} else {
		t->cut_starts++;
	}
	crash_vfs_cut(t->v, rng_next(&t->rng));
	crash_vfs_power(t->v);
}

static void trial_run(struct trial *t, struct fixture *f, bool no_sync, uint64_t seed)
{
	*t = (struct trial){ .f = f, .v = crash_vfs_new("crash"), .seed = seed };
	rng_seed(&t->rng, seed);
	f->conf.vfs = "crash";
	f->conf.unsafe_no_sync = no_sync;
	for (int round = 0; round < ROUNDS; round++) {
		crash_vfs_cut_after(t->v, rng_below(&t->rng, 200), rng_next(&t->rng));
		round_run(t);
	}
	/* A file that cannot be read is lost as well. */
	if (fixture_open(f) != E_OK) {
		snprintf(t->problem, sizeof(t->problem), "%s", f->err.text);
		t->lost++;
	} else {
		snprintf(t->problem, sizeof(t->problem), "%s", f->reason);
		if (f->ended)
			picture_check(t);
		else
			t->lost++;
		fixture_close(f);
	}
	crash_vfs_free(t->v);
}

static void acknowledged_writes_survive_power_cuts(void **state)
{
	static struct trial t;
	uint64_t seed;
	random_bytes(&seed, sizeof(seed));
	trial_run(&t, *state, false, seed);
	int acked = 0;
	for (int tag = 0; tag < t.tags; tag++)
		acked += t.acked[tag];
	printf("seed %llu: %d commits, %d acknowledged, %u starts cut off\n",
	       (unsigned long long)seed, t.tags, acked, t.cut_starts);
	if (t.lost + t.half + t.numbers_back > 0)
		fail_msg("seed %llu: %u lost, %u half done, %u numbers back; %s",
			 (unsigned long long)seed, t.lost, t.half, t.numbers_back, t.problem);
	assert_true(acked > 50);
}

static void without_syncs_the_same_run_notices(void **state)
{
	static struct trial t;
	uint64_t seed;
	random_bytes(&seed, sizeof(seed));
	trial_run(&t, *state, true, seed);
	if (t.lost == 0)
		fail_msg("seed %llu: nothing lost in %d rounds", (unsigned long long)seed, ROUNDS);
	printf("seed %llu: %u lost, %u half done, %u numbers back\n", (unsigned long long)seed, t.lost,
	       t.half, t.numbers_back);
}

/* The log is moved into the database while values of 64 KiB stream in, and the cut falls anywhere. */
static void a_cut_during_a_checkpoint_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct crash_vfs *v = crash_vfs_new("crash");
	f->conf.vfs = "crash";
	char *value = malloc(256 * 1024);
	memset(value, 'x', 256 * 1024);
	int acked = 0, sent = 0;
	for (int round = 0; round < 4; round++) {
		crash_vfs_cut_after(v, 8300 + (unsigned)round * 900, (uint64_t)round);
		if (fixture_open(f) == E_OK) {
			assert_true(f->ended && (int)f->row_count >= acked);
			bool on = true;
			while (on) {
				char key[32];
				snprintf(key, sizeof(key), "/big/%05d", sent++ % 300);
				struct store_op op = { key, value, 256 * 1024 };
				struct store_batch b = { .ops = &op, .op_count = 1 };
				on = fixture_commit_now(f, &b)->code == E_OK;
				if (on && sent > acked)
					acked = sent > 300 ? 300 : sent;
			}
			fixture_close(f);
		}
		sent = acked;
		crash_vfs_power(v);
	}
	assert_int_equal(fixture_open(f), E_OK);
	assert_true(f->ended && (int)f->row_count >= acked);
	fixture_close(f);
	crash_vfs_free(v);
	free(value);
}

/* The disk failed the sync, so the commit was refused; the frames of it that lie in the log must not
 * come back after a crash. */
static void a_commit_refused_in_its_sync_stays_refused(void **state)
{
	struct fixture *f = *state;
	struct crash_vfs *v = crash_vfs_new("crash");
	f->conf.vfs = "crash";
	for (uint64_t seed = 0; seed < 20; seed++) {
		char key[32];
		assert_int_equal(fixture_open(f), E_OK);
		snprintf(key, sizeof(key), "/refused/%d", (int)seed);
		assert_int_equal(fixture_put_now(f, "/kept", "1")->code, E_OK);
		crash_vfs_fail_syncs(v, 1);
		const struct answer *a = fixture_put_now(f, key, "1");
		assert_int_equal(a->code, E_IO);
		assert_non_null(strstr(a->text, "muster.db"));
		assert_int_equal(f->state, STORE_FULL);
		struct store_cond there = { STORE_COND_EXISTS, key, 0 };
		struct store_op op = { "/never", "1", 1 };
		struct store_batch b = { &there, 1, &op, 1 };
		assert_int_equal(fixture_commit_now(f, &b)->code, E_CONFLICT);
		crash_vfs_cut(v, seed);
		fixture_close(f);
		crash_vfs_power(v);
		assert_int_equal(fixture_open(f), E_OK);
		assert_null(fixture_row(f, key));
		assert_non_null(fixture_row(f, "/kept"));
		fixture_close(f);
	}
	crash_vfs_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(acknowledged_writes_survive_power_cuts,
						fixture_setup_sqlite, fixture_teardown),
		cmocka_unit_test_setup_teardown(without_syncs_the_same_run_notices,
						fixture_setup_sqlite, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_cut_during_a_checkpoint_loses_nothing,
						fixture_setup_sqlite, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_commit_refused_in_its_sync_stays_refused,
						fixture_setup_sqlite, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

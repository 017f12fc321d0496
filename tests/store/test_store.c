/* One suite, run against both backends. */
#include "tests/store/fixture.h"
#include "base/random.h"

#define BATCH(...) (&(struct store_batch){ __VA_ARGS__ })

static void a_commit_is_there_after_a_reopen(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	assert_int_equal(f->row_count, 0);
	const struct answer *a = fixture_put_now(f, "/muster/1/ns/blue", "{\"v\":1,\"name\":\"b\"}");
	assert_int_equal(a->code, E_OK);
	int64_t revision = a->mod_revision;
	fixture_reopen(f);
	assert_int_equal(f->row_count, 1);
	const struct row *row = fixture_row(f, "/muster/1/ns/blue");
	assert_non_null(row);
	assert_string_equal(row->value, "{\"v\":1,\"name\":\"b\"}");
	assert_int_equal(row->mod_revision, revision);
	assert_int_equal(f->state, STORE_LIVE);
}

static void a_delete_removes_and_deleting_nothing_is_fine(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	fixture_put(f, "/a", "1", 1);
	fixture_put(f, "/b", "2", 2);
	fixture_put(f, "/a", NULL, 3);
	fixture_put(f, "/never", NULL, 4);
	fixture_answers(f, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(f->answers[i].code, E_OK);
	fixture_reopen(f);
	assert_int_equal(f->row_count, 1);
	assert_null(fixture_row(f, "/a"));
	assert_non_null(fixture_row(f, "/b"));
}

static void conditions_hold_or_nothing_is_done(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	struct store_op put = { "/k", "new", 3 }, other = { "/other", "x", 1 };
	struct store_op both[] = { put, other };
	struct store_cond absent = { STORE_COND_ABSENT, "/k", 0 };
	struct store_cond exists = { STORE_COND_EXISTS, "/k", 0 };
	struct store_batch if_absent = { &absent, 1, both, 2 }, if_exists = { &exists, 1, &put, 1 };
	assert_int_equal(fixture_commit_now(f, &if_exists)->code, E_CONFLICT);
	int64_t revision = fixture_commit_now(f, &if_absent)->mod_revision;
	const struct answer *a = fixture_commit_now(f, &if_absent);
	assert_int_equal(a->code, E_CONFLICT);
	assert_non_null(strstr(a->text, "/k"));
	assert_int_equal(a->number, 0);
	assert_int_equal(fixture_commit_now(f, &if_exists)->code, E_OK);
	struct store_cond same = { STORE_COND_REVISION, "/k", revision };
	struct store_op del[] = { { "/k", NULL, 0 }, { "/other", NULL, 0 } };
	assert_int_equal(fixture_commit_now(f, BATCH(&same, 1, del, 2))->code, E_CONFLICT);
	same.revision = f->answers[f->answer_count - 2].mod_revision;
	assert_int_equal(fixture_commit_now(f, BATCH(&same, 1, del, 1))->code, E_OK);
	fixture_reopen(f);
	assert_null(fixture_row(f, "/k"));
	assert_non_null(fixture_row(f, "/other"));
}

/* Two writes handed over between two numbers still have revisions of their own. */
static void a_revision_names_one_write(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	fixture_put(f, "/k", "1", 1);
	fixture_put(f, "/k", "2", 2);
	fixture_answers(f, 2);
	assert_true(f->answers[0].mod_revision < f->answers[1].mod_revision);
	struct store_cond stale = { STORE_COND_REVISION, "/k", f->answers[0].mod_revision };
	struct store_op op = { "/k", "3", 1 };
	assert_int_equal(fixture_commit_now(f, BATCH(&stale, 1, &op, 1))->code, E_CONFLICT);
	fixture_reopen(f);
	int64_t last = fixture_row(f, "/k")->mod_revision;
	assert_true(fixture_put_now(f, "/k", "4")->mod_revision > last);
}

static void replies_come_in_order_with_growing_numbers(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	int64_t last = f->load_number;
	struct store_cond never = { STORE_COND_EXISTS, "/never", 0 };
	for (int i = 0; i < 500; i++) {
		char key[32];
		snprintf(key, sizeof(key), "/k%d", i % 50);
		struct store_op op = { key, "v", 1 };
		fixture_commit(f, BATCH(&never, i % 7 == 0, &op, 1), i);
		if (i % 31 == 0) {
			int64_t number = store_number(f->store);
			assert_true(number > last);
			last = number;
			fixture_answers(f, (size_t)i / 2);
		}
	}
	fixture_answers(f, 500);
	last = f->load_number;
	for (int i = 0; i < 500; i++) {
		const struct answer *a = &f->answers[i];
		assert_int_equal(a->tag, i);
		assert_int_equal(a->code, i % 7 == 0 ? E_CONFLICT : E_OK);
		if (a->code == E_OK) {
			assert_true(a->number > last);
			last = a->number;
		}
	}
}

static void numbers_grow_across_reopens_and_blocks(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	int64_t last = f->load_number;
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 60000; i++) {
			int64_t number = store_number(f->store);
			if (number <= last)
				fail_msg("%lld after %lld", (long long)number, (long long)last);
			last = number;
			if (i % 10000 == 0)
				uv_run(&f->loop, UV_RUN_NOWAIT);
		}
		fixture_reopen(f);
		assert_true(f->load_number > last);
		last = f->load_number;
	}
	/* An orderly stop gives back what it has not used: blocks would have cost 200,000 more. */
	assert_true(last < 4 * 60000 + 60000);
}

static void the_origin_stays(void **state)
{
	struct fixture *f = *state;
	struct store_origin first, second;
	assert_int_equal(fixture_open(f), E_OK);
	store_origin(f->store, &first);
	fixture_reopen(f);
	store_origin(f->store, &second);
	assert_int_equal(first.t0_ms, second.t0_ms);
	assert_true(first.t0_ms > 1500000000000);
	assert_int_equal(first.rev0, second.rev0);
	assert_int_equal(first.number_base, second.number_base);
	assert_int_equal(strlen(first.cluster_uuid), 36);
	assert_string_equal(first.cluster_uuid, second.cluster_uuid);
}

static void keys_and_values_have_limits(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	char key[STORE_KEY_MAX + 2];
	memset(key, 'k', sizeof(key) - 1);
	key[STORE_KEY_MAX + 1] = '\0';
	struct store_op op = { key, "v", 1 };
	struct store_batch b = { .ops = &op, .op_count = 1 };
	assert_int_equal(store_commit(f->store, &b, NULL, NULL, &f->err), E_RANGE);
	key[STORE_KEY_MAX] = '\0';
	assert_int_equal(fixture_commit_now(f, &b)->code, E_OK);
	op.key = "";
	assert_int_equal(store_commit(f->store, &b, NULL, NULL, &f->err), E_RANGE);
	op = (struct store_op){ "/big", "v", STORE_VALUE_MAX + 1 };
	assert_int_equal(store_commit(f->store, &b, NULL, NULL, &f->err), E_RANGE);
	assert_non_null(strstr(f->err.text, "/big"));
	char *big = malloc(3000000);
	memset(big, 'x', 3000000);
	op = (struct store_op){ "/big", big, 3000000 };
	assert_int_equal(fixture_commit_now(f, &b)->code, E_OK);
	assert_int_equal(fixture_put_now(f, "/small", "s")->code, E_OK);
	free(big);
	fixture_reopen(f);
	assert_int_equal(f->row_count, 3);
	assert_int_equal(strlen(fixture_row(f, "/big")->value), 3000000);
	assert_string_equal(fixture_row(f, "/small")->value, "s");
}

static void closing_finishes_what_waits(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	for (int i = 0; i < 100; i++) {
		char key[32];
		snprintf(key, sizeof(key), "/k%03d", i);
		fixture_put(f, key, "v", i);
	}
	fixture_close(f);
	assert_int_equal(f->answer_count, 100);
	assert_int_equal(f->answers[99].code, E_OK);
	assert_int_equal(fixture_open(f), E_OK);
	assert_int_equal(f->row_count, 100);
}

static void closing_during_the_load_is_fine(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	for (int i = 0; i < 4000; i++) {
		char key[32];
		snprintf(key, sizeof(key), "/k%04d", i);
		fixture_put(f, key, "v", i);
	}
	fixture_answers(f, 4000);
	fixture_close(f);
	assert_int_equal(fixture_open_only(f), E_OK);
	fixture_close(f);
	assert_int_equal(fixture_open_only(f), E_OK);
	while (!f->begun)
		uv_run(&f->loop, UV_RUN_ONCE);
	fixture_close(f);
	assert_int_equal(fixture_open(f), E_OK);
	assert_int_equal(f->row_count, 4000);
	assert_false(f->out_of_order);
}

/* ---- against a shadow */

enum { SHADOW_KEYS = 40 };

struct shadow {
	int value[SHADOW_KEYS]; /* 0: not there */
};

static void shadow_key(char *to, size_t cap, uint32_t i)
{
	snprintf(to, cap, "/muster/1/i/%02x/k%u", i % 7, i);
}

/* A random batch, handed to the store and done to the shadow; returns what must be answered. */
static int random_batch(struct fixture *f, struct shadow *shadow, struct rng *rng, int tag)
{
	char keys[6][40], values[6][16], cond_key[40];
	struct store_op ops[6];
	struct shadow after = *shadow;
	uint32_t n = 1 + (rng_below(rng, 3) == 0 ? rng_below(rng, 6) : 0);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = rng_below(rng, SHADOW_KEYS);
		shadow_key(keys[i], sizeof(keys[i]), k);
		bool delete = rng_below(rng, 4) == 0;
		after.value[k] = delete ? 0 : 1 + (int)rng_below(rng, 1000000);
		snprintf(values[i], sizeof(values[i]), "%d", after.value[k]);
		ops[i] = (struct store_op){ keys[i], delete ? NULL : values[i],
					    delete ? 0 : strlen(values[i]) };
	}
	uint32_t k = rng_below(rng, SHADOW_KEYS);
	shadow_key(cond_key, sizeof(cond_key), k);
	struct store_cond cond = { rng_below(rng, 2) == 0 ? STORE_COND_ABSENT : STORE_COND_EXISTS,
				   cond_key, 0 };
	bool conditional = rng_below(rng, 3) == 0;
	bool holds = (shadow->value[k] == 0) == (cond.kind == STORE_COND_ABSENT);
	fixture_commit(f, BATCH(&cond, conditional, ops, n), tag);
	if (conditional && !holds)
		return E_CONFLICT;
	*shadow = after;
	return E_OK;
}

static void shadow_compare(const struct fixture *f, const struct shadow *shadow, uint64_t seed)
{
	size_t count = 0;
	for (uint32_t k = 0; k < SHADOW_KEYS; k++) {
		char key[40];
		shadow_key(key, sizeof(key), k);
		const struct row *row = fixture_row(f, key);
		count += row != NULL;
		int value = row == NULL ? 0 : atoi(row->value);
		if (value != shadow->value[k])
			fail_msg("seed %llu: %s is %d, not %d", (unsigned long long)seed, key, value,
				 shadow->value[k]);
	}
	assert_int_equal(f->row_count, count);
}

static void random_batches_do_what_a_plain_map_does(void **state)
{
	struct fixture *f = *state;
	struct shadow shadow = { { 0 } };
	uint64_t seed;
	random_bytes(&seed, sizeof(seed));
	struct rng rng;
	rng_seed(&rng, seed);
	assert_int_equal(fixture_open(f), E_OK);
	int64_t last = 0;
	for (int round = 0; round < 8; round++) {
		int expected[300], n = 0;
		while (n < 300) {
			expected[n] = random_batch(f, &shadow, &rng, n);
			n++;
			if (rng_below(&rng, 20) == 0)
				fixture_answers(f, (size_t)n - rng_below(&rng, (uint32_t)n));
		}
		fixture_answers(f, 300);
		for (int i = 0; i < 300; i++) {
			const struct answer *a = &f->answers[i];
			if (a->tag != i || a->code != expected[i] ||
			    (a->code == E_OK && a->number <= last))
				fail_msg("seed %llu: batch %d: code %d, not %d",
					 (unsigned long long)seed, i, a->code, expected[i]);
			if (a->code == E_OK)
				last = a->number;
		}
		fixture_reopen(f);
		assert_true(f->load_number > last);
		shadow_compare(f, &shadow, seed);
	}
}

#define BOTH(test)                                                                              \
	{ #test " (sqlite)", test, fixture_setup_sqlite, fixture_teardown, NULL },              \
	{                                                                                       \
		#test " (memory)", test, fixture_setup_memory, fixture_teardown, NULL           \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_commit_is_there_after_a_reopen),
		BOTH(a_delete_removes_and_deleting_nothing_is_fine),
		BOTH(conditions_hold_or_nothing_is_done),
		BOTH(a_revision_names_one_write),
		BOTH(replies_come_in_order_with_growing_numbers),
		BOTH(numbers_grow_across_reopens_and_blocks),
		BOTH(the_origin_stays),
		BOTH(keys_and_values_have_limits),
		BOTH(closing_finishes_what_waits),
		BOTH(closing_during_the_load_is_fine),
		BOTH(random_batches_do_what_a_plain_map_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

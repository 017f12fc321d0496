/* test_map.c - the hash map against a naive array. */
#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "tests/base/unit.h"

enum { KEYS = 600, STEPS = 100000 };

struct entry {
	uint32_t key;
	bool in;
};

static bool equal(const void *value, const void *key)
{
	return ((const struct entry *)value)->key == *(const uint32_t *)key;
}

/* Hashes of the kinds that hurt: sequential, all in the same slot, and only high bits. */
static uint64_t hash_of(uint32_t key, unsigned kind)
{
	switch (kind) {
	case 0:
		return key;
	case 1:
		return key % 3;
	default:
		return (uint64_t)key << 40;
	}
}

static void check_all(const struct map *m, struct entry *entries, unsigned kind)
{
	size_t in = 0;
	for (uint32_t k = 0; k < KEYS; k++) {
		void *found = map_find(m, hash_of(k, kind), &k);
		assert_ptr_equal(found, entries[k].in ? &entries[k] : NULL);
		in += entries[k].in;
	}
	assert_int_equal(m->count, in);
	size_t seen = 0;
	const struct entry *e;
	for (size_t i = 0; (e = map_next(m, &i)) != NULL; seen++)
		assert_true(e->in);
	assert_int_equal(seen, in);
}

static void random_operations(unsigned kind)
{
	struct entry entries[KEYS];
	struct rng rng;
	struct map m;
	unit_seed(&rng);
	map_init(&m, equal);
	for (uint32_t k = 0; k < KEYS; k++)
		entries[k] = (struct entry){ k, false };
	for (unsigned step = 0; step < STEPS; step++) {
		uint32_t k = rng_below(&rng, step % 20000 < 10000 ? KEYS : KEYS / 20);
		struct entry *e = &entries[k];
		assert_ptr_equal(map_find(&m, hash_of(k, kind), &k), e->in ? e : NULL);
		if (e->in)
			assert_ptr_equal(map_remove(&m, hash_of(k, kind), &k), e);
		else if (rng_below(&rng, 2) == 0)
			assert_null(map_remove(&m, hash_of(k, kind), &k));
		else
			assert_int_equal(map_add(&m, hash_of(k, kind), e), E_OK);
		e->in = map_find(&m, hash_of(k, kind), &k) != NULL;
		assert_true(m.count <= m.filled && m.filled <= m.cap);
		if (step % 5000 == 0)
			check_all(&m, entries, kind);
	}
	check_all(&m, entries, kind);
	assert_true(m.cap <= KEYS * 8); /* deleted ones do not make it grow */
	map_done(&m);
}

static void operations_agree_with_an_array(void **state)
{
	(void)state;
	random_operations(0);
	random_operations(2);
}

static void colliding_keys_agree_with_an_array(void **state)
{
	(void)state;
	random_operations(1);
}

/* A window of keys slides through a map: the deleted ones behind it are cleaned away, or no slot would be
 * free in the end and a look-up would never find its end. */
static void ever_new_keys_do_not_fill_the_table(void **state)
{
	enum { WINDOW = 95, KEYS_SEEN = 100000 };
	struct entry entries[WINDOW];
	struct rng rng;
	struct map m;
	(void)state;
	unit_seed(&rng);
	uint64_t salt = rng_next(&rng);
	map_init(&m, equal);
	for (uint32_t k = 0; k < KEYS_SEEN; k++) {
		struct entry *e = &entries[k % WINDOW];
		if (k >= WINDOW)
			assert_ptr_equal(map_remove(&m, (e->key + salt) * 0xD6E8FEB86659FD93, &e->key), e);
		e->key = k;
		assert_int_equal(map_add(&m, (k + salt) * 0xD6E8FEB86659FD93, e), E_OK);
		assert_true(m.filled < m.cap && m.cap <= 512);
	}
	assert_int_equal(m.count, WINDOW);
	map_done(&m);
}

static void removing_while_iterating_visits_everything_once(void **state)
{
	struct entry entries[KEYS], *e;
	struct map m;
	(void)state;
	map_init(&m, equal);
	for (uint32_t k = 0; k < KEYS; k++) {
		entries[k] = (struct entry){ k, true };
		assert_int_equal(map_add(&m, hash_of(k, 0), &entries[k]), E_OK);
	}
	unsigned seen = 0;
	for (size_t i = 0; (e = map_next(&m, &i)) != NULL; seen++) {
		assert_true(e->in);
		e->in = false;
		assert_ptr_equal(map_remove(&m, hash_of(e->key, 0), &e->key), e);
	}
	assert_int_equal(seen, KEYS);
	assert_int_equal(m.count, 0);
	map_done(&m);
}

static void an_empty_map_answers(void **state)
{
	struct map m;
	uint32_t k = 1;
	size_t at = 0;
	(void)state;
	map_init(&m, equal);
	assert_null(map_find(&m, 1, &k));
	assert_null(map_remove(&m, 1, &k));
	assert_null(map_next(&m, &at));
	map_done(&m);
}

static void a_refused_table_loses_nothing(void **state)
{
	struct entry entries[KEYS];
	struct map m;
	(void)state;
	map_init(&m, equal);
	unsigned refused = 0;
	for (uint32_t k = 0; k < KEYS; k++) {
		entries[k] = (struct entry){ k, true };
		for (unsigned nth = 0;; nth++) {
			mem_fail_at(nth);
			int rc = map_add(&m, hash_of(k, 0), &entries[k]);
			if (!mem_fail_off()) {
				assert_int_equal(rc, E_OK);
				break;
			}
			refused++;
			assert_int_equal(rc, E_NOMEM);
			assert_int_equal(m.count, k);
			for (uint32_t j = 0; j <= k; j++)
				assert_ptr_equal(map_find(&m, hash_of(j, 0), &j), j < k ? &entries[j] : NULL);
		}
	}
	assert_true(refused >= 10);
	map_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations_agree_with_an_array),
		cmocka_unit_test(colliding_keys_agree_with_an_array),
		cmocka_unit_test(ever_new_keys_do_not_fill_the_table),
		cmocka_unit_test(removing_while_iterating_visits_everything_once),
		cmocka_unit_test(an_empty_map_answers),
		cmocka_unit_test(a_refused_table_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

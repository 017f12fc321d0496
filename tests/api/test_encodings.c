/* The cache of encoded lists: newest view only, bounded, and a body on its way out outlives its place. */
#include "tests/base/unit.h"

#include "api/encodings.h"
#include "base/error.h"

static struct encoding_key key_of(uint64_t id, uint64_t number, const char *clusters)
{
	return (struct encoding_key){
		.service_id = id, .number = number, .clusters = clusters, .clusters_len = (uint16_t)strlen(clusters)
	};
}

static void a_body_is_found_by_everything_it_depends_on(void **state)
{
	(void)state;
	struct encodings e;
	encodings_init(&e, 1 << 20);
	struct encoding_key k = key_of(1, 10, "a");
	encoding_release(encodings_add(&e, &k, "body", 4));
	struct encoding *c = encodings_find(&e, &k);
	assert_non_null(c);
	assert_int_equal(c->len, 4);
	assert_memory_equal(c->body, "body", 4);
	encoding_release(c);
	struct encoding_key other = key_of(2, 10, "a");
	assert_null(encodings_find(&e, &other));
	other = key_of(1, 10, "b");
	assert_null(encodings_find(&e, &other));
	other = k;
	other.shape = 1;
	assert_null(encodings_find(&e, &other));
	encodings_done(&e);
}

static void a_stale_body_is_dropped_but_lives_until_released(void **state)
{
	(void)state;
	struct encodings e;
	encodings_init(&e, 1 << 20);
	struct encoding_key k = key_of(1, 10, ""), newer = key_of(1, 11, "");
	struct encoding *c = encodings_add(&e, &k, "old", 3);
	assert_null(encodings_find(&e, &newer));
	assert_int_equal(e.count, 0);
	assert_int_equal(e.bytes, 0);
	assert_memory_equal(c->body, "old", 3);
	encoding_release(c);
	encodings_done(&e);
}

static void bytes_stay_under_the_limit(void **state)
{
	(void)state;
	struct encodings e;
	struct rng rng;
	static const char body[5000];
	unit_seed(&rng);
	encodings_init(&e, 20000);
	for (int i = 0; i < 5000; i++) {
		struct encoding_key k = key_of(rng_below(&rng, 40), rng_below(&rng, 3), rng_below(&rng, 2) ? "x" : "");
		struct encoding *c = encodings_find(&e, &k);
		if (c == NULL)
			c = encodings_add(&e, &k, body, rng_below(&rng, sizeof(body)));
		assert_non_null(c);
		encoding_release(c);
		assert_true(e.bytes <= e.limit);
		assert_int_equal(e.count, e.map.count);
	}
	struct encoding_key k = key_of(99, 1, "");
	static const char huge[30000];
	struct encoding *c = encodings_add(&e, &k, huge, sizeof(huge)); /* never kept */
	assert_non_null(c);
	encoding_release(c);
	assert_null(encodings_find(&e, &k));
	encodings_done(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_found_by_everything_it_depends_on),
		cmocka_unit_test(a_stale_body_is_dropped_but_lives_until_released),
		cmocka_unit_test(bytes_stay_under_the_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

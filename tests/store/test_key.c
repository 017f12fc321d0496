#include "base/random.h"
#include "store/key.h"
#include "store/numbers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void segments_are_escaped(void **state)
{
	(void)state;
	struct text t;
	text_init(&t);
	text_add(&t, "/muster/1");
	key_add(&t, "i");
	key_add(&t, "");
	key_add(&t, "a/b");
	key_add(&t, "DEFAULT_GROUP@@x:1-2.3");
	key_add(&t, "100% \xc3\xa4\x01");
	assert_string_equal(t.at, "/muster/1/i/%/a%2Fb/DEFAULT_GROUP@@x:1-2.3/100%25%20%C3%A4%01");
	const char *at = t.at + strlen("/muster/1/");
	char to[64];
	assert_int_equal(key_next(&at, to, sizeof(to)), E_OK);
	assert_string_equal(to, "i");
	assert_int_equal(key_next(&at, to, sizeof(to)), E_OK);
	assert_string_equal(to, "");
	assert_int_equal(key_next(&at, to, sizeof(to)), E_OK);
	assert_string_equal(to, "a/b");
	assert_int_equal(key_next(&at, to, sizeof(to)), E_OK);
	assert_int_equal(key_next(&at, to, 9), E_OK);
	assert_string_equal(to, "100% \xc3\xa4\x01");
	assert_int_equal(key_next(&at, to, sizeof(to)), E_NOTFOUND);
	text_done(&t);
}

static void a_first_segment_gets_no_slash(void **state)
{
	(void)state;
	struct text t;
	text_init(&t);
	key_add(&t, "a");
	key_add(&t, "b");
	assert_string_equal(t.at, "a/b");
	text_done(&t);
}

static void malformed_segments_are_refused_and_nothing_moves(void **state)
{
	(void)state;
	static const char *const bad[] = { "%2", "%2f", "%zz", "a%", "%41", "%00", "a b", "/x", "%%", "\xff" };
	char to[16];
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *at = bad[i];
		assert_int_equal(key_next(&at, to, sizeof(to)), E_INVALID);
		assert_ptr_equal(at, bad[i]);
	}
	const char *at = "abcd";
	assert_int_equal(key_next(&at, to, 4), E_RANGE);
	assert_int_equal(key_next(&at, to, 5), E_OK);
}

static void any_bytes_come_back(void **state)
{
	(void)state;
	uint64_t seed;
	random_bytes(&seed, sizeof(seed));
	struct rng rng;
	rng_seed(&rng, seed);
	for (int round = 0; round < 2000; round++) {
		char segment[40] = "", to[40];
		uint32_t len = rng_below(&rng, 30);
		for (uint32_t i = 0; i < len; i++)
			segment[i] = (char)(1 + rng_below(&rng, 255));
		struct text t;
		text_init(&t);
		key_add(&t, segment);
		const char *at = t.at;
		if (strchr(t.at, '/') != NULL || key_next(&at, to, sizeof(to)) != E_OK ||
		    strcmp(to, segment) != 0 || *at != '\0')
			fail_msg("seed %llu: %s", (unsigned long long)seed, t.at);
		text_done(&t);
	}
}

/* ---- numbers */

static void a_start_goes_past_the_block_and_past_time(void **state)
{
	(void)state;
	struct numbers_mark mark = { 60000, 5000 };
	assert_int_equal(numbers_first(&mark, 5000), 60000);
	assert_int_equal(numbers_first(&mark, 15000), 70000);
	assert_int_equal(numbers_first(&mark, 1000), 60000); /* the clock went back */
}

static void a_block_is_due_at_half_and_not_twice(void **state)
{
	(void)state;
	struct numbers n = { 1, 1 + NUMBERS_BLOCK, 0, false };
	assert_false(numbers_due(&n, 10));
	n.next += NUMBERS_BLOCK / 2;
	assert_true(numbers_due(&n, 10));
	n.retry_ms = 11;
	assert_false(numbers_due(&n, 10));
	n.retry_ms = 0;
	n.asked = true;
	assert_false(numbers_due(&n, 10));
	struct numbers_mark mark = numbers_reserve(&n, 77);
	assert_int_equal(mark.end, 1 + 2 * NUMBERS_BLOCK);
	assert_int_equal(mark.reserved_ms, 77);
	n.next = n.end + 5; /* went on in memory */
	mark = numbers_reserve(&n, 78);
	assert_int_equal(mark.end, n.next + NUMBERS_BLOCK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_are_escaped),
		cmocka_unit_test(a_first_segment_gets_no_slash),
		cmocka_unit_test(malformed_segments_are_refused_and_nothing_moves),
		cmocka_unit_test(any_bytes_come_back),
		cmocka_unit_test(a_start_goes_past_the_block_and_past_time),
		cmocka_unit_test(a_block_is_due_at_half_and_not_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

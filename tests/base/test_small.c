/* test_small.c - the clocks, random numbers, hashes, cursors and writers: what little can be said. */
#include "base/clock.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/writer.h"
#include "tests/base/unit.h"

static void a_fake_clock_stands_still_until_it_is_moved(void **state)
{
	(void)state;
	clock_fake(5000, 77);
	assert_int_equal(clock_ms(), 5000);
	assert_int_equal(clock_wall_ms(), 77);
	clock_fake(5001, 60); /* people's time may go back */
	assert_int_equal(clock_ms(), 5001);
	assert_int_equal(clock_wall_ms(), 60);
	clock_fake_off();
	assert_true(clock_wall_ms() > 1600000000000);
	int64_t a = clock_ms();
	uint64_t b = clock_ns();
	assert_true(clock_ms() >= a && clock_ns() >= b);
}

static void hashes_depend_on_every_byte_and_the_seed_stays(void **state)
{
	char bytes[300];
	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	uint64_t seed = hash_seed(), h = hash_bytes(bytes, sizeof(bytes));
	assert_true(seed != 0 && seed == hash_seed());
	assert_true(h == hash_bytes(bytes, sizeof(bytes)));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] ^= 1;
		assert_true(h != hash_bytes(bytes, sizeof(bytes)));
		bytes[i] ^= 1;
	}
	assert_true(hash_more(h, "a", 1) != hash_more(h, "b", 1));
	assert_true(hash_more(h, "a", 1) != hash_more(h + 1, "a", 1));
}

static void a_seed_repeats_and_numbers_stay_below_their_bound(void **state)
{
	struct rng a, b;
	unsigned seen[10] = { 0 };
	(void)state;
	rng_seed(&a, 1);
	rng_seed(&b, 1);
	for (int i = 0; i < 10000; i++) {
		assert_true(rng_next(&a) == rng_next(&b));
		seen[rng_below(&a, 10)]++;
		rng_next(&b);
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(seen[i], 800, 1200);
	rng_seed_system(&a);
	rng_seed_system(&b);
	assert_true(rng_next(&a) != rng_next(&b));
}

static void a_uuid_has_its_form(void **state)
{
	char a[37], b[37];
	(void)state;
	random_uuid(a);
	random_uuid(b);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	for (int i = 0; i < 36; i++)
		assert_non_null(strchr(i == 8 || i == 13 || i == 18 || i == 23 ? "-" : "0123456789abcdef", a[i]));
}

static void a_failed_read_stays_failed(void **state)
{
	static const uint8_t wire[] = { 1, 2, 3, 4, 5, 6, 7, 3, 'a', 'b', 'c' };
	struct cursor c = cursor_of(wire, sizeof(wire));
	(void)state;
	assert_int_equal(cursor_u8(&c), 1);
	assert_int_equal(cursor_u16(&c), 0x0203);
	assert_int_equal(cursor_u32(&c), 0x04050607);
	struct cursor sub = cursor_sub(&c, cursor_u8(&c));
	assert_int_equal(cursor_left(&sub), 3);
	assert_null(cursor_take(&sub, 4));
	assert_null(cursor_take(&sub, 1)); /* for good */
	assert_false(c.failed);
	assert_int_equal(cursor_left(&c), 0);
	assert_null(cursor_take(&c, SIZE_MAX));
	assert_int_equal(cursor_u32(&c), 0);
	assert_true(cursor_sub(&c, 0).failed);
}

static void a_full_writer_stays_full(void **state)
{
	uint8_t out[8] = { 0 };
	struct writer w = writer_of(out, 7);
	(void)state;
	writer_u32(&w, 0x01020304);
	writer_u16(&w, 0x0506);
	writer_u16(&w, 0x0708); /* does not fit */
	assert_true(w.full);
	writer_u8(&w, 9); /* would fit, but full is for good */
	assert_int_equal(writer_len(&w), 6);
	assert_memory_equal(out, "\1\2\3\4\5\6\0\0", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fake_clock_stands_still_until_it_is_moved),
		cmocka_unit_test(hashes_depend_on_every_byte_and_the_seed_stays),
		cmocka_unit_test(a_seed_repeats_and_numbers_stay_below_their_bound),
		cmocka_unit_test(a_uuid_has_its_form),
		cmocka_unit_test(a_failed_read_stays_failed),
		cmocka_unit_test(a_full_writer_stays_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

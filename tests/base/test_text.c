/* test_text.c - growing texts and the JSON written into them; cJSON is the second opinion. */
#include "base/mem.h"
#include "base/text.h"
#include "tests/base/unit.h"
#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>

static void an_empty_text_needs_no_heap_and_ends_in_nul(void **state)
{
	struct text t;
	(void)state;
	uint64_t before = mem_thread_count();
	text_init(&t);
	assert_string_equal(t.at, "");
	text_clear(&t);
	text_done(&t);
	assert_int_equal(mem_thread_count(), before);
}

static void parts_are_appended_in_order(void **state)
{
	struct text t;
	(void)state;
	text_init(&t);
	text_add(&t, "a");
	text_char(&t, 'b');
	text_put(&t, "cd", 2);
	text_u64(&t, UINT64_MAX);
	text_char(&t, ' ');
	text_i64(&t, INT64_MIN);
	text_printf(&t, " %s %d", "x", 0);
	assert_string_equal(t.at, "abcd18446744073709551615 -9223372036854775808 x 0");
	assert_int_equal(t.len, strlen(t.at));
	text_clear(&t);
	assert_string_equal(t.at, "");
	text_i64(&t, 0);
	char *taken = text_take(&t);
	assert_string_equal(taken, "0");
	assert_string_equal(t.at, "");
	mem_free(taken);
	taken = text_take(&t);
	assert_string_equal(taken, "");
	mem_free(taken);
	text_done(&t);
}

static void a_long_printf_grows_the_text(void **state)
{
	struct text t;
	char longer[5000];
	(void)state;
	memset(longer, 'y', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	text_init(&t);
	text_add(&t, "<");
	text_printf(&t, "%s>", longer);
	assert_int_equal(t.len, sizeof(longer) - 1 + 2);
	assert_int_equal(t.at[t.len - 1], '>');
	text_done(&t);
}

static void many_bytes_cost_few_allocations(void **state)
{
	struct text t;
	(void)state;
	uint64_t before = mem_thread_count();
	text_init(&t);
	for (int i = 0; i < 1000000; i++)
		text_char(&t, 'z');
	assert_int_equal(t.len, 1000000);
	assert_true(mem_thread_count() - before < 40);
	text_done(&t);
}

static void a_text_that_could_not_grow_has_failed_for_good(void **state)
{
	(void)state;
	for (unsigned nth = 0; nth < 3; nth++) {
		struct text t;
		text_init(&t);
		mem_fail_at(nth);
		for (int i = 0; i < 200; i++) {
			json_str(&t, "abcdefgh");
			text_printf(&t, "%s", "abc");
		}
		assert_true(mem_fail_off());
		assert_true(t.failed);
		assert_int_equal(t.at[t.len], '\0');
		text_add(&t, "more");
		assert_true(t.failed);
		assert_null(text_take(&t));
		assert_false(t.failed); /* as after init */
		text_done(&t);
	}
}

static void commas_stand_where_they_are_needed(void **state)
{
	struct text t;
	(void)state;
	text_init(&t);
	json_open(&t, '{');
	json_kv_str(&t, "name", "a,{[:");
	json_kv_i64(&t, "n", -1);
	json_kv_double(&t, "weight", 1);
	json_kv_bool(&t, "ok", true);
	json_key(&t, "list");
	json_open(&t, '[');
	json_null(&t);
	json_u64(&t, 5);
	json_open(&t, '{');
	json_close(&t, '}');
	json_raw(&t, "[1]", 3);
	json_str(&t, "");
	json_str(&t, "{");
	json_bool(&t, false);
	json_close(&t, ']');
	json_key(&t, "last");
	json_open(&t, '[');
	json_close(&t, ']');
	json_close(&t, '}');
	assert_string_equal(t.at, "{\"name\":\"a,{[:\",\"n\":-1,\"weight\":1.0,\"ok\":true,\"list\":[null,5,{},"
				  "[1],\"\",\"{\",false],\"last\":[]}");
	text_done(&t);
}

static void string_is(const char *from, size_t len, const char *expected)
{
	struct text t;
	text_init(&t);
	json_strn(&t, from, len);
	assert_string_equal(t.at, expected);
	text_done(&t);
}

static void strings_are_escaped(void **state)
{
	(void)state;
	string_is("", 0, "\"\"");
	string_is("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
	string_is("\b\f\n\r\t\x01\x1f\x7f", 8, "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
	string_is("a\0b", 3, "\"a\\u0000b\"");
	string_is("01234567\"0123456\\", 17, "\"01234567\\\"0123456\\\\\"");
}

#define BAD "\xEF\xBF\xBD"
static void invalid_utf8_becomes_the_replacement_character(void **state)
{
	(void)state;
	string_is("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
	string_is("\xC0\x80", 2, "\"" BAD BAD "\"");		     /* overlong */
	string_is("\xED\xA0\x80", 3, "\"" BAD BAD BAD "\"");     /* a surrogate */
	string_is("\xF4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\""); /* past U+10FFFF */
	string_is("\xE2\x82", 2, "\"" BAD BAD "\"");		     /* cut off */
	string_is("\x80z\xFF", 3, "\"" BAD "z" BAD "\"");
	string_is("\xF4\x8F\xBF\xBF\xEF\xBF\xBF", 7, "\"\xF4\x8F\xBF\xBF\xEF\xBF\xBF\"");
}

static void any_bytes_make_a_string_that_reads_back(void **state)
{
	struct rng rng;
	(void)state;
	unit_seed(&rng);
	for (int round = 0; round < 20000; round++) {
		char from[40];
		size_t len = rng_below(&rng, sizeof(from));
		for (size_t i = 0; i < len; i++) /* no NUL: cJSON gives C strings */
			from[i] = (char)(1 + rng_below(&rng, round % 2 == 0 ? 127 : 255));
		char *exact = malloc(len == 0 ? 1 : len);
		memcpy(exact, from, len);
		struct text t;
		text_init(&t);
		json_strn(&t, exact, len);
		free(exact);
		cJSON *back = cJSON_ParseWithLength(t.at, t.len);
		assert_non_null(back);
		if (round % 2 == 0) { /* all ASCII: nothing may change */
			assert_int_equal(strlen(back->valuestring), len);
			assert_memory_equal(back->valuestring, from, len);
		}
		cJSON_Delete(back);
		text_done(&t);
	}
}

static void double_is(double v, const char *expected)
{
	struct text t;
	text_init(&t);
	json_double(&t, v);
	assert_string_equal(t.at, expected);
	text_done(&t);
}

static void numbers_are_written_shortest(void **state)
{
	(void)state;
	double_is(0, "0.0");
	double_is(-0.0, "-0.0");
	double_is(1, "1.0");
	double_is(-100, "-100.0");
	double_is(0.5, "0.5");
	double_is(99.99, "99.99");
	double_is(0.1, "0.1");
	double_is(10000, "10000.0");
	double_is(1.0001, "1.0001");
	double_is(0.05, "0.05");
	double_is(1e15, "1e+15");
	double_is(123456789012, "123456789012.0");
	double_is(1e300, "1e+300");
	double_is(0.1 + 0.2, "0.30000000000000004");
	double_is(1.0 / 3, "0.3333333333333333");
	double_is(DBL_MAX, "1.7976931348623157e+308");
	double_is(INFINITY, "null");
	double_is(NAN, "null");
}

static void every_number_reads_back_to_itself(void **state)
{
	struct rng rng;
	(void)state;
	unit_seed(&rng);
	for (int round = 0; round < 100000; round++) {
		uint64_t bits = rng_next(&rng);
		double v;
		memcpy(&v, &bits, sizeof(v));
		if (round % 3 == 1)
			v = (double)rng_below(&rng, 10000000) / 1000;
		if (round % 3 == 2)
			v = (double)(int64_t)bits / 65536;
		if (!isfinite(v))
			continue;
		struct text t;
		text_init(&t);
		json_double(&t, v);
		double back = strtod(t.at, NULL);
		if (memcmp(&back, &v, sizeof(v)) != 0)
			fail_msg("%.17g was written as %s", v, t.at);
		text_done(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_text_needs_no_heap_and_ends_in_nul),
		cmocka_unit_test(parts_are_appended_in_order),
		cmocka_unit_test(a_long_printf_grows_the_text),
		cmocka_unit_test(many_bytes_cost_few_allocations),
		cmocka_unit_test(a_text_that_could_not_grow_has_failed_for_good),
		cmocka_unit_test(commas_stand_where_they_are_needed),
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(invalid_utf8_becomes_the_replacement_character),
		cmocka_unit_test(any_bytes_make_a_string_that_reads_back),
		cmocka_unit_test(numbers_are_written_shortest),
		cmocka_unit_test(every_number_reads_back_to_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

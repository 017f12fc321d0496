/* test_json_cursor.c - rows read without a tree; the JSON writer and cJSON are second opinions. */
#include "base/json_cursor.h"
#include "base/mem.h"
#include "base/text.h"
#include "tests/base/unit.h"
#include <cjson/cJSON.h>

static const char row[] = "{ \"ip\":\"10.0.0.1\", \"port\" : 80,\"weight\":1.5,\"up\":true,\"gone\":false,\"none\":null,"
			  "\"meta\":{\"a\\\"b\":\"\\u00e9\\ud83d\\ude00\\n\\ud800\"},\"list\":[1,[\"x\",{}],\"y\"],\"big\":-9223372036854775808}";

static void a_row_is_walked_member_by_member(void **state)
{
	struct arena mem;
	struct cursor c = cursor_of(row, strlen(row)), list;
	struct json_value v, m;
	(void)state;
	arena_init(&mem, NULL, 0, 0);
	assert_true(json_begin(&c, &mem, &v));
	assert_int_equal(v.type, JSON_OBJECT);
	assert_true(json_next(&v.inner, &mem, &m));
	assert_string_equal(m.key, "ip");
	assert_string_equal(m.text, "10.0.0.1");
	assert_int_equal(m.text_len, 8);
	assert_true(json_next(&v.inner, &mem, &m));
	assert_int_equal(m.integer, 80);
	assert_true(json_next(&v.inner, &mem, &m));
	assert_true(m.number > 1.49 && m.number < 1.51);
	assert_int_equal(m.integer, 1);
	assert_memory_equal(m.raw, "1.5", m.raw_len);
	assert_true(json_next(&v.inner, &mem, &m));
	assert_true(m.type == JSON_BOOL && m.boolean);
	assert_true(json_next(&v.inner, &mem, &m));
	assert_true(m.type == JSON_BOOL && !m.boolean);
	assert_true(json_next(&v.inner, &mem, &m));
	assert_int_equal(m.type, JSON_NULL);
	assert_true(json_next(&v.inner, &mem, &m));
	assert_int_equal(m.type, JSON_OBJECT);
	struct cursor meta = m.inner;
	assert_true(json_next(&v.inner, &mem, &m));
	list = m.inner;
	assert_true(json_next(&v.inner, &mem, &m));
	assert_true(m.integer == INT64_MIN);
	assert_false(json_next(&v.inner, &mem, &m));
	assert_int_equal(m.type, JSON_END);
	assert_false(v.inner.failed);

	assert_true(json_next(&meta, &mem, &m));
	assert_string_equal(m.key, "a\"b");
	assert_string_equal(m.text, "\xC3\xA9\xF0\x9F\x98\x80\n\xEF\xBF\xBD");
	assert_true(json_next(&list, &mem, &m) && m.key == NULL && m.integer == 1);
	assert_true(json_next(&list, &mem, &m) && m.type == JSON_ARRAY);
	assert_true(json_next(&list, &mem, &m) && m.key == NULL);
	assert_string_equal(m.text, "y");
	assert_false(json_next(&list, &mem, &m));
	arena_done(&mem);
}

/* Walks everything; false: something failed. */
static bool walk(struct cursor *inner, struct arena *mem)
{
	struct json_value m;
	while (json_next(inner, mem, &m))
		if ((m.type == JSON_OBJECT || m.type == JSON_ARRAY) && !walk(&m.inner, mem))
			return false;
	return !inner->failed;
}

static bool reads(const void *text, size_t len)
{
	struct arena mem;
	struct json_value v;
	uint8_t *exact = malloc(len == 0 ? 1 : len); /* so that one byte too many is seen */
	memcpy(exact, text, len);
	struct cursor c = cursor_of(exact, len);
	arena_init(&mem, NULL, 0, 0);
	bool ok = json_begin(&c, &mem, &v);
	if (ok && (v.type == JSON_OBJECT || v.type == JSON_ARRAY))
		ok = walk(&v.inner, &mem);
	assert_int_equal(c.failed, !ok);
	arena_done(&mem);
	free(exact);
	return ok;
}

static void every_truncation_fails(void **state)
{
	(void)state;
	assert_true(reads(row, strlen(row)));
	for (size_t len = 0; len < strlen(row); len++)
		assert_false(reads(row, len));
}

static void malformed_rows_fail(void **state)
{
	static const char *const bad[] = {
		"",	  " ",	   "{",	      "}",	 "[1,]",     "{\"a\":1,}", "{\"a\"}", "{a:1}",
		"[1 2]",  "01",	   "-",	      "1.",	 ".5",	     "1e",	   "+1",      "tru",
		"truex",  "\"\x01\"", "\"\\x\"", "\"\\u12g4\"", "\"",	     "\"\\\"",	   "[,1]",    "{,}",
		"{} {}",  "nul",   "[\"a\":1]", "{\"a\":1 \"b\":2}", "{1:2}", "1 1",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (reads(bad[i], strlen(bad[i])))
			fail_msg("was read: %s", bad[i]);
	assert_false(reads("\"a\0b\"", 5));
	assert_false(reads("1\0", 2));
}

static bool reads_in_one_pass(const void *text, size_t len)
{
	struct arena mem;
	struct json_value v, m;
	uint8_t *exact = malloc(len == 0 ? 1 : len);
	memcpy(exact, text, len);
	struct cursor c = cursor_of(exact, len);
	arena_init(&mem, NULL, 0, 0);
	bool ok = json_begin_object(&c, &v);
	while (ok && json_next(&v.inner, &mem, &m))
		ok = m.key != NULL;
	ok = ok && !v.inner.failed;
	arena_done(&mem);
	free(exact);
	return ok;
}

/* Whether the members are checked before the walk or by it: the same rows are read. */
static void a_row_read_in_one_pass_is_checked_as_well(void **state)
{
	static const char *const bad[] = { "", " ", "{", "}", "{\"a\":1,}", "{\"a\":1 , }", "{\"a\"}", "{a:1}", "{,}", "{} {}",
					   "{\"a\":1 \"b\":2}", "{1:2}", "{1}", "[]", "{\"a\":1}}", "{{}", "{\"a\":1}x", "{\"a\":{\"b\"}}" };
	static const char bytes[] = "{}[]\",:\\ 0a";
	char mutated[sizeof(row)];
	struct rng rng;
	unsigned read = 0;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (reads_in_one_pass(bad[i], strlen(bad[i])))
			fail_msg("was read: %s", bad[i]);
	assert_true(reads_in_one_pass("{}", 2) && reads_in_one_pass(" { } ", 5));
	for (size_t len = 0; len < strlen(row); len++)
		assert_false(reads_in_one_pass(row, len));
	unit_seed(&rng);
	for (int round = 0; round < 50000; round++) {
		memcpy(mutated, row, sizeof(row));
		for (unsigned n = rng_below(&rng, 4); n > 0; n--)
			mutated[rng_below(&rng, (uint32_t)strlen(row))] = bytes[rng_below(&rng, sizeof(bytes) - 1)];
		bool whole = mutated[strspn(mutated, " ")] == '{' && reads(mutated, strlen(row));
		if (reads_in_one_pass(mutated, strlen(row)) != whole)
			fail_msg("read otherwise: %s", mutated);
		read += whole;
	}
	assert_in_range(read, 1000, 49000);
}

static void depth_is_limited(void **state)
{
	char deep[200];
	(void)state;
	memset(deep, '[', 100);
	memset(deep + 100, ']', 100);
	assert_true(reads(deep + 100 - 30, 60));
	assert_false(reads(deep, 200));
}

static void what_our_writer_wrote_reads_back(void **state)
{
	struct rng rng;
	(void)state;
	unit_seed(&rng);
	for (int round = 0; round < 20000; round++) {
		char from[24];
		size_t len = rng_below(&rng, sizeof(from));
		for (size_t i = 0; i < len; i++)
			from[i] = (char)rng_below(&rng, 128);
		int64_t number = (int64_t)rng_next(&rng) >> rng_below(&rng, 64);
		struct text t;
		text_init(&t);
		json_open(&t, '[');
		json_strn(&t, from, len);
		json_i64(&t, number);
		json_close(&t, ']');
		struct arena mem;
		struct json_value v, m;
		struct cursor c = cursor_of(t.at, t.len);
		arena_init(&mem, NULL, 0, 0);
		assert_true(json_begin(&c, &mem, &v));
		assert_true(json_next(&v.inner, &mem, &m));
		assert_int_equal(m.text_len, len);
		assert_memory_equal(m.text, from, len);
		assert_true(json_next(&v.inner, &mem, &m));
		assert_true(m.integer == number);
		arena_done(&mem);
		text_done(&t);
	}
}

/* Damaged rows: what we read, cJSON reads too (it is the laxer one). */
static void what_reads_here_reads_elsewhere(void **state)
{
	struct rng rng;
	(void)state;
	unit_seed(&rng);
	for (int round = 0; round < 50000; round++) {
		char text[sizeof(row)];
		memcpy(text, row, sizeof(row));
		for (uint32_t n = 1 + rng_below(&rng, 3); n > 0; n--)
			text[rng_below(&rng, sizeof(row) - 1)] = "\"\\{}[],:0e-.ntf u"[rng_below(&rng, 17)];
		if (!reads(text, sizeof(row) - 1))
			continue;
		if (strstr(text, "\\ud") != NULL)
			continue; /* lone surrogates are refused there */
		cJSON *tree = cJSON_ParseWithLength(text, sizeof(row) - 1);
		if (tree == NULL)
			fail_msg("cJSON refuses: %s", text);
		cJSON_Delete(tree);
	}
}

static void a_refused_arena_fails_the_cursor(void **state)
{
	struct arena mem;
	struct json_value v, m = { .type = JSON_NULL };
	struct cursor c = cursor_of(row, strlen(row));
	(void)state;
	arena_init(&mem, NULL, 0, 16);
	assert_true(json_begin(&c, &mem, &v)); /* an object takes no memory */
	assert_false(json_next(&v.inner, &mem, &m));
	assert_true(v.inner.failed);
	assert_int_equal(m.type, JSON_END);
	arena_done(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_is_walked_member_by_member),
		cmocka_unit_test(every_truncation_fails),
		cmocka_unit_test(malformed_rows_fail),
		cmocka_unit_test(a_row_read_in_one_pass_is_checked_as_well),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(what_our_writer_wrote_reads_back),
		cmocka_unit_test(what_reads_here_reads_elsewhere),
		cmocka_unit_test(a_refused_arena_fails_the_cursor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

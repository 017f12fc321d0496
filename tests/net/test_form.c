/* test_form.c - form decoding by example, and against a slow second reader on random text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/random.h"
#include "net/form.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parsed {
	struct form form;
	struct arena mem;
	_Alignas(16) char first[1024];
};

static void parse(struct parsed *p, const char *text, size_t len)
{
	char *exact = malloc(len ? len : 1); /* so that ASan sees one byte too many */
	memcpy(exact, text, len);
	arena_init(&p->mem, p->first, sizeof(p->first), 0);
	form_init(&p->form);
	assert_int_equal(form_parse(&p->form, &p->mem, exact, len), E_OK);
	free(exact);
}

static void expect(const char *text, const char *key, const char *value)
{
	struct parsed p;
	parse(&p, text, strlen(text));
	const char *got = form_value(&p.form, key);
	if (value == NULL)
		assert_null(got);
	else if (got == NULL)
		fail_msg("%s: no %s", text, key);
	else
		assert_string_equal(got, value);
	arena_done(&p.mem);
}

static void pairs_are_split_and_decoded(void **state)
{
	(void)state;
	expect("a=b&c=d", "a", "b");
	expect("a=b&c=d", "c", "d");
	expect("a=b&c=d", "d", NULL);
	expect("?a=b", "a", NULL);
	expect("&&k=v&", "k", "v");
	expect("a=b=c&d", "a", "b=c");
	expect("a=b=c&d", "d", "");
	expect("=x", "", "x");
	expect("a+b=c+d%2B", "a b", "c d+");
	expect("a=1&a=2", "a", "1");
	expect("n=%e4%bd%A0", "n", "\xe4\xbd\xa0");
	expect("beat={\"ip\":\"1.2.3.4\",\"m\":{\"a\":\"50%\"}}&x=y", "beat",
	       "{\"ip\":\"1.2.3.4\",\"m\":{\"a\":\"50%\"}}");
	expect("a=%", "a", "%");
	expect("a=%4", "a", "%4");
	expect("a=%4g%zz%%41", "a", "%4g%zz%A");
	expect("a=%41&%42=c", "B", "c");
	expect("", "", NULL);
}

static void a_nul_within_shows_by_the_length(void **state)
{
	struct parsed p;
	(void)state;
	parse(&p, "a%00b=c%00d", 11);
	assert_int_equal(p.form.count, 1);
	assert_int_equal(p.form.pairs[0].key_len, 3);
	assert_memory_equal(p.form.pairs[0].key, "a\0b", 4);
	assert_int_equal(p.form.pairs[0].value_len, 3);
	assert_memory_equal(p.form.pairs[0].value, "c\0d", 4);
	assert_null(form_find(&p.form, "a"));
	arena_done(&p.mem);
}

static void the_query_goes_before_the_body(void **state)
{
	struct parsed p;
	(void)state;
	parse(&p, "a=query", 7);
	assert_int_equal(form_parse(&p.form, &p.mem, "a=body&b=body", 13), E_OK);
	assert_string_equal(form_value(&p.form, "a"), "query");
	assert_string_equal(form_value(&p.form, "b"), "body");
	arena_done(&p.mem);
}

static void pairs_over_the_limit_are_refused(void **state)
{
	struct parsed p;
	char text[FORM_PAIRS_MAX * 2 + 2];
	(void)state;
	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "a&", 2);
	parse(&p, text, FORM_PAIRS_MAX * 2);
	assert_int_equal(p.form.count, FORM_PAIRS_MAX);
	assert_int_equal(form_parse(&p.form, &p.mem, "&&&", 3), E_OK);
	assert_int_equal(form_parse(&p.form, &p.mem, "b", 1), E_LIMIT);
	assert_int_equal(p.form.count, FORM_PAIRS_MAX);
	arena_done(&p.mem);
}

static void a_path_keeps_its_plus(void **state)
{
	char to[16];
	(void)state;
	assert_int_equal(url_decode(to, "/a+b%20%2f", 10, 0), 6);
	assert_string_equal(to, "/a+b /");
}

static void encode(const char *from, size_t len, char *to, size_t *n)
{
	for (size_t i = 0; i < len; i++)
		*n += (size_t)sprintf(to + *n, "%%%02X", (unsigned char)from[i]);
}

/* Whatever the bytes: encoded and parsed they are what they were. */
static void encoded_bytes_come_back(void **state)
{
	struct rng rng;
	(void)state;
	rng_seed(&rng, 1);
	for (int round = 0; round < 500; round++) {
		char raw[2][32], text[256];
		size_t len[2], n = 0;
		for (int i = 0; i < 2; i++) {
			len[i] = 1 + rng_next(&rng) % sizeof(raw[i]);
			for (size_t k = 0; k < len[i]; k++)
				raw[i][k] = (char)rng_next(&rng);
		}
		encode(raw[0], len[0], text, &n);
		text[n++] = '=';
		encode(raw[1], len[1], text, &n);
		struct parsed p;
		parse(&p, text, n);
		assert_int_equal(p.form.count, 1);
		assert_int_equal(p.form.pairs[0].key_len, len[0]);
		assert_memory_equal(p.form.pairs[0].key, raw[0], len[0]);
		assert_int_equal(p.form.pairs[0].value_len, len[1]);
		assert_memory_equal(p.form.pairs[0].value, raw[1], len[1]);
		arena_done(&p.mem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_are_split_and_decoded),
		cmocka_unit_test(a_nul_within_shows_by_the_length),
		cmocka_unit_test(the_query_goes_before_the_body),
		cmocka_unit_test(pairs_over_the_limit_are_refused),
		cmocka_unit_test(a_path_keeps_its_plus),
		cmocka_unit_test(encoded_bytes_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

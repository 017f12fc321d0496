/* Which names a pattern matches. */
#include "api/fuzzy_pattern.h"
#include "registry/failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static bool matches(const char *pattern, const char *ns, const char *group, const char *name)
{
	struct fuzzy_pattern p;
	struct error err;
	char text[256];
	strcpy(text, pattern);
	assert_int_equal(fuzzy_pattern_parse(&p, text, &err), E_OK);
	struct service_key key = { .ns = ns, .group = group, .name = name, .ns_len = (uint16_t)strlen(ns),
				   .group_len = (uint16_t)strlen(group), .name_len = (uint16_t)strlen(name) };
	return fuzzy_pattern_matches(&p, &key);
}

static void every_form_of_the_grammar_matches_what_it_says(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} rows[] = {
		{ "orders", "orders", true },	{ "orders", "orders2", false }, { "orders", "order", false },
		{ "*", "x", true },		{ ".*", "x", true },		{ "or*", "orders", true },
		{ "or*", "or", true },		{ "or*", "o", false },		{ "or*", "xorders", false },
		{ "*ers", "orders", true },	{ "*ers", "ers", true },	{ "*ers", "rs", false },
		{ "*ers", "ersx", false },	{ "*de*", "orders", true },	{ "*de*", "de", true },
		{ "*de*", "d", false },		{ "**", "x", true },		{ "o*s", "orders", false },
		{ "orders*", "order", false },	{ "*orders", "rders", false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[64];
		strcat(strcpy(text, "public>>DEFAULT_GROUP>>"), rows[i].pattern);
		if (matches(text, "public", "DEFAULT_GROUP", rows[i].name) != rows[i].match)
			fail_msg("%s and %s", rows[i].pattern, rows[i].name);
	}
}

static void namespace_and_group_count_as_well(void **state)
{
	(void)state;
	assert_true(matches("blue>>G*>>*", "blue", "G1", "a"));
	assert_false(matches("blue>>G*>>*", "green", "G1", "a"));
	assert_false(matches("blue>>G*>>*", "blue", "H", "a"));
	assert_true(matches(">>*>>a", "public", "G", "a"));
	assert_false(matches("*>>*>>a", "public", "G", "a")); /* a namespace is one namespace */
}

static void what_is_no_pattern_is_refused(void **state)
{
	static const char *const rows[] = { "", "a", "a>>b", ">>", ">>>>", "a>>b>>", "a>>>>b", "a>>b>>c>>d" };
	struct fuzzy_pattern p;
	struct error err;
	char text[2048];
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strcpy(text, rows[i]);
		assert_int_equal(fuzzy_pattern_parse(&p, text, &err), E_INVALID);
		assert_int_equal(err.what, FAIL_PARAM);
	}
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(fuzzy_pattern_parse(&p, text, &err), E_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_of_the_grammar_matches_what_it_says),
		cmocka_unit_test(namespace_and_group_count_as_well),
		cmocka_unit_test(what_is_no_pattern_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What lists are searched by, held against the system's regular expressions where both know the language. */
#include "tests/base/unit.h"

#include "api/pattern.h"
#include <regex.h>

static void a_text_is_found_anywhere(void **state)
{
	(void)state;
	assert_true(pattern_found(NULL, "orders"));
	assert_true(pattern_found("", ""));
	assert_true(pattern_found("ord", "orders"));
	assert_true(pattern_found("ers", "orders"));
	assert_false(pattern_found("ordres", "orders"));
	assert_true(pattern_found("^ord.*s$", "orders"));
	assert_false(pattern_found("^rd", "orders"));
	assert_false(pattern_found("or$", "orders"));
	assert_true(pattern_found("a\\.b", "a.b"));
	assert_false(pattern_found("a\\.b", "axb"));
	assert_true(pattern_found("\\\\", "a\\b"));
}

static void what_has_another_meaning_elsewhere_is_refused(void **state)
{
	struct error err;
	char longest[PATTERN_MAX + 2];
	(void)state;
	for (const char *c = "[]{}()|"; *c != '\0'; c++) {
		char pattern[] = { 'a', *c, 'b', '\0' }, escaped[] = { '\\', *c, '\0' };
		assert_int_equal(pattern_check(pattern, "expr", &err), E_INVALID);
		assert_non_null(strstr(err.text, "expr"));
		assert_int_equal(pattern_check(escaped, "expr", &err), E_OK);
	}
	assert_int_equal(pattern_check("end\\", "expr", &err), E_INVALID);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(pattern_check(longest, "expr", &err), E_RANGE);
	longest[PATTERN_MAX] = '\0';
	assert_int_equal(pattern_check(longest, "expr", &err), E_OK);
}

static void it_finds_what_a_regular_expression_finds(void **state)
{
	(void)state;
	struct rng rng;
	unsigned compared = 0;
	unit_seed(&rng);
	for (unsigned n = 0; n < 20000; n++) {
		char pattern[12], text[12];
		size_t len = rng_below(&rng, 8), at = 0;
		for (size_t i = 0; i < len; i++) {
			bool after_atom = at > 0 && strchr("*+?^", pattern[at - 1]) == NULL;
			pattern[at++] = after_atom && rng_below(&rng, 3) == 0 ? "*+?"[rng_below(&rng, 3)] : "ab."[rng_below(&rng, 3)];
		}
		pattern[at] = '\0';
		len = rng_below(&rng, 10);
		for (size_t i = 0; i < len; i++)
			text[i] = "abc"[rng_below(&rng, 3)];
		text[len] = '\0';
		regex_t re;
		if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
			continue;
		bool wanted = regexec(&re, text, 0, NULL, 0) == 0;
		regfree(&re);
		compared++;
		if (pattern_found(pattern, text) != wanted)
			fail_msg("'%s' in '%s': wanted %d", pattern, text, wanted);
	}
	assert_true(compared > 10000);
}

/* Thousands of ways to fail: it gives up, soon. */
static void a_pattern_that_would_take_for_ever_finds_nothing(void **state)
{
	(void)state;
	char pattern[401], text[513];
	for (size_t i = 0; i < 400; i += 4)
		memcpy(pattern + i, "a*.*", 4);
	memcpy(pattern + 398, "b", 2);
	memset(text, 'a', 512);
	text[512] = '\0';
	for (unsigned n = 0; n < 100; n++)
		assert_false(pattern_found(pattern, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_found_anywhere),
		cmocka_unit_test(what_has_another_meaning_elsewhere_is_refused),
		cmocka_unit_test(it_finds_what_a_regular_expression_finds),
		cmocka_unit_test(a_pattern_that_would_take_for_ever_finds_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

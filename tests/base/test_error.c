/* test_error.c - the sentence of a failure. */
#include "base/error.h"
#include "tests/base/unit.h"
#include <errno.h>

static void wrapping_puts_the_place_in_front_and_keeps_the_code(void **state)
{
	struct error err;
	(void)state;
	assert_int_equal(error_set_what(&err, E_RANGE, 7, "port %d is outside 0..65535", 70000), E_RANGE);
	assert_int_equal(error_wrap(&err, E_RANGE, "register %s/%s", "shop", "cart"), E_RANGE);
	assert_string_equal(err.text, "register shop/cart: port 70000 is outside 0..65535");
	assert_int_equal(err.code, E_RANGE);
	assert_int_equal(err.what, 7);
}

static void a_sentence_may_be_built_from_its_own_text(void **state)
{
	struct error err;
	(void)state;
	error_set(&err, E_INVALID, "bad");
	error_wrap(&err, E_INVALID, "%s", err.text);
	assert_string_equal(err.text, "bad: bad");
}

static void an_absent_error_is_fine(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, E_LIMIT, "%d", 1), E_LIMIT);
	assert_int_equal(error_wrap(NULL, E_LIMIT, "%d", 1), E_LIMIT);
	assert_int_equal(error_set_errno(NULL, ENOSPC, "%d", 1), E_FULL);
}

static void too_long_a_sentence_is_cut_at_its_end(void **state)
{
	struct error err;
	char longer[2 * ERROR_TEXT_MAX];
	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	error_set(&err, E_INVALID, "%s", longer);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
	error_wrap(&err, E_INVALID, "where");
	assert_memory_equal(err.text, "where: xxx", 10);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
	error_wrap(&err, E_INVALID, "%s", longer);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
}

static void errno_picks_the_code_and_ends_the_text(void **state)
{
	struct error err;
	(void)state;
	assert_int_equal(error_set_errno(&err, ENOENT, "open %s", "a"), E_IO);
	assert_string_equal(err.text, "open a: No such file or directory");
	assert_int_equal(error_set_errno(&err, EACCES, "open"), E_DENIED);
	assert_int_equal(error_set_errno(&err, EROFS, "open"), E_FULL);
	assert_int_equal(error_set_errno(&err, ENOMEM, "open"), E_NOMEM);
}

static void every_code_has_its_name(void **state)
{
	(void)state;
	assert_string_equal(error_code_name(E_OK), "E_OK");
	assert_string_equal(error_code_name(E_RANGE), "E_RANGE");
	assert_string_equal(error_code_name(E_UNAVAILABLE), "E_UNAVAILABLE");
	assert_string_equal(error_code_name(E_INTERNAL), "E_INTERNAL");
	assert_string_equal(error_code_name(-99), "E_?");
	assert_string_equal(error_code_name(3), "E_?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrapping_puts_the_place_in_front_and_keeps_the_code),
		cmocka_unit_test(a_sentence_may_be_built_from_its_own_text),
		cmocka_unit_test(an_absent_error_is_fine),
		cmocka_unit_test(too_long_a_sentence_is_cut_at_its_end),
		cmocka_unit_test(errno_picks_the_code_and_ends_the_text),
		cmocka_unit_test(every_code_has_its_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

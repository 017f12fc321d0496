/* Every failure and every code has its row: no error of ours leaves as something else. */
#include "tests/base/unit.h"

#include "api/failure_map.h"
#include "registry/failure.h"

static const struct failure_row *of(int code, int what)
{
	struct error err = { .code = code, .what = what };
	return failure_row(&err);
}

static void every_failure_has_a_status_and_a_code(void **state)
{
	(void)state;
	for (int what = FAIL_NONE + 1; what <= FAIL_STORE; what++) {
		const struct failure_row *row = of(E_INVALID, what);
		assert_true(row->v1_status >= 400 && row->v2_status >= 400 && row->v3_status >= 400);
		assert_true(row->code >= 10000);
		assert_non_null(row->message);
		assert_int_equal(row->plain, what == FAIL_PARAM);
	}
}

static void every_errcode_has_a_status_and_a_code(void **state)
{
	(void)state;
	for (int code = E_INTERNAL; code <= E_OK; code++) {
		const struct failure_row *row = of(code, FAIL_NONE);
		assert_true(row->v1_status >= 400 && row->v1_status < 600);
		assert_true(row->code >= 10000);
		assert_non_null(row->message);
	}
	assert_int_equal(of(-12345, 0)->v1_status, 500);
	assert_int_equal(of(77, 12345)->v1_status, 500);
}

static void the_codes_are_those_of_the_reference(void **state)
{
	static const struct {
		int what, status, code;
	} rows[] = {
		{ FAIL_SERVICE_NAME, 400, 21000 },	{ FAIL_WEIGHT, 400, 21001 },
		{ FAIL_INSTANCE_METADATA, 400, 21002 }, { FAIL_INSTANCE_MISSING, 404, 20004 },
		{ FAIL_INSTANCE, 400, 21004 },		{ FAIL_SERVICE_METADATA, 400, 21005 },
		{ FAIL_SELECTOR, 400, 21006 },		{ FAIL_SERVICE_EXISTS, 400, 21007 },
		{ FAIL_SERVICE_MISSING, 400, 21008 },	{ FAIL_SERVICE_NOT_EMPTY, 400, 21009 },
		{ FAIL_HEALTHY_MISSING, 400, 21010 },	{ FAIL_CHECK_RUNNING, 400, 30000 },
		{ FAIL_NAMESPACE, 400, 22000 },		{ FAIL_NAMESPACE_MISSING, 404, 22001 },
		{ FAIL_NAMESPACE_EXISTS, 500, 22002 },	{ FAIL_STORE, 503, 10002 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(of(E_INVALID, rows[i].what)->v2_status, rows[i].status);
		assert_int_equal(of(E_INVALID, rows[i].what)->code, rows[i].code);
	}
	assert_int_equal(of(E_MISSING, 0)->code, 10000);
	assert_int_equal(of(E_INVALID, 0)->code, 20002);
	assert_int_equal(of(E_RANGE, 0)->code, 20002);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failure_has_a_status_and_a_code),
		cmocka_unit_test(every_errcode_has_a_status_and_a_code),
		cmocka_unit_test(the_codes_are_those_of_the_reference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

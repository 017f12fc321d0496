/* Parameters as clients of every generation send them (nacos-naming 2.1). */
#include "tests/base/unit.h"

#include "api/params.h"
#include "registry/failure.h"
#include <math.h>
#include <strings.h>

struct fixture {
	struct arena mem;
	char first[1024];
	struct params p;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	arena_init(&f->mem, f->first, sizeof(f->first), 0);
	params_init(&f->p, &f->mem, true);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	arena_done(&f->mem);
	free(f);
	return 0;
}

/* The text lies in an exact heap block, so that ASan sees a byte too many. */
static int add(struct fixture *f, const char *text)
{
	size_t len = strlen(text);
	char *exact = malloc(len ? len : 1);
	memcpy(exact, text, len);
	int rc = params_add(&f->p, exact, len, &f->err);
	free(exact);
	return rc;
}

static void every_name_is_found_by_its_text_and_nothing_else_is(void **state)
{
	(void)state;
	for (int id = 0; id < PARAMS; id++) {
		const char *name = param_name((enum param)id);
		assert_non_null(name);
		assert_int_equal(param_find(name, strlen(name)), id);
		char other[64];
		snprintf(other, sizeof(other), "%s", name);
		other[strlen(name) - 1] = '!';
		assert_int_equal(param_find(other, strlen(other)), P_UNKNOWN);
	}
	assert_int_equal(param_find("", 0), P_UNKNOWN);
	assert_int_equal(param_find("servicename", 11), P_UNKNOWN);
}

static void the_query_comes_first_and_the_first_value_wins(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(add(f, "ip=10.0.0.1&ip=10.0.0.2&port=1"), E_OK);
	assert_int_equal(add(f, "ip=10.0.0.3&port=2&weight=5"), E_OK);
	assert_string_equal(param_text(&f->p, P_IP), "10.0.0.1");
	assert_string_equal(param_text(&f->p, P_PORT), "1");
	assert_string_equal(param_text(&f->p, P_WEIGHT), "5");
}

static void an_empty_first_pair_and_unknown_names_are_skipped(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(add(f, "&&=x&unknown=1&serviceName=a&flag&&ip"), E_OK);
	assert_string_equal(param_text(&f->p, P_SERVICE_NAME), "a");
	assert_null(param_text(&f->p, P_IP));
}

static void encodings_are_decoded_leniently(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(add(f, "service%4eame=g%40%40s&metadata={\"a\":\"100%\"}&groupName=a+b&app=%E4%BD%A0"), E_OK);
	assert_string_equal(param_text(&f->p, P_SERVICE_NAME), "g@@s");
	assert_string_equal(param_text(&f->p, P_METADATA), "{\"a\":\"100%\"}");
	assert_string_equal(param_text(&f->p, P_GROUP_NAME), "a b");
	assert_string_equal(param_text(&f->p, P_APP), "\xe4\xbd\xa0");
}

static void v1_trims_and_a_blank_value_is_absent(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(add(f, "serviceName=%20a%20&groupName=%20%09&ip="), E_OK);
	assert_string_equal(param_text(&f->p, P_SERVICE_NAME), "a");
	assert_null(param_text(&f->p, P_GROUP_NAME));
	assert_null(param_text(&f->p, P_IP));
	params_init(&f->p, &f->mem, false);
	assert_int_equal(add(f, "serviceName=%20a&groupName=%20"), E_OK);
	assert_string_equal(param_text(&f->p, P_SERVICE_NAME), " a");
	assert_null(param_text(&f->p, P_GROUP_NAME));
}

static void broken_text_is_refused_with_its_name(void **state)
{
	static const char *const bad[] = { "serviceName=a%00b", "serviceName=a%1fb", "serviceName=a%7f",
					   "serviceName=a%0ab", "serviceName=%ff",   "serviceName=%c0%80",
					   "serviceName=%ed%a0%80", "serviceName=%f5%80%80%80", "serviceName=%e4%bd" };
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		params_init(&f->p, &f->mem, true);
		assert_int_equal(add(f, bad[i]), E_INVALID);
		assert_int_equal(f->err.what, FAIL_PARAM);
		assert_non_null(strstr(f->err.text, "serviceName"));
		assert_null(strstr(f->err.text, "\n"));
	}
	params_init(&f->p, &f->mem, true);
	assert_int_equal(add(f, "metadata=%7b%0a%09%7d"), E_OK); /* JSON on several lines */
}

static void booleans_follow_the_reference(void **state)
{
	static const char *const yes[] = { "true", "TRUE", "True", "yes", "On", "y", "T" };
	static const char *const no[] = { "false", "1", "0", "no", "truex", "off" };
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		f->p.values[P_ENABLED] = (struct param_value){ (char *)(uintptr_t)yes[i], (uint32_t)strlen(yes[i]) };
		assert_true(param_bool(&f->p, P_ENABLED, false));
		assert_int_equal(param_flag(&f->p, P_ENABLED, false), strcasecmp(yes[i], "true") == 0);
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		f->p.values[P_ENABLED] = (struct param_value){ (char *)(uintptr_t)no[i], (uint32_t)strlen(no[i]) };
		assert_false(param_bool(&f->p, P_ENABLED, true));
	}
	assert_true(param_bool(&f->p, P_HEALTHY, true));
	assert_false(param_bool(&f->p, P_HEALTHY, false));
}

static int port_of(struct fixture *f, const char *text, uint16_t *ret)
{
	f->p.values[P_PORT] = (struct param_value){ (char *)(uintptr_t)text, (uint32_t)strlen(text) };
	return param_port(&f->p, P_PORT, ret, &f->err);
}

static void ports_have_limits_and_the_text_names_them(void **state)
{
	static const char *const bad[] = { "65536", "abc", "-1", "8080x", "0x50", "", "99999999999999999999999", "80.5" };
	struct fixture *f = *state;
	uint16_t port = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(port_of(f, bad[i], &port) < 0);
		assert_int_equal(port, 7);
		assert_int_equal(f->err.what, FAIL_PARAM);
		assert_non_null(strstr(f->err.text, "'port'"));
		assert_non_null(strstr(f->err.text, bad[i]));
	}
	assert_int_equal(port_of(f, "65535", &port), E_OK);
	assert_int_equal(port, 65535);
	assert_int_equal(port_of(f, "0", &port), E_OK);
	assert_int_equal(port, 0);
	f->p.values[P_PORT].at = NULL;
	assert_int_equal(param_port(&f->p, P_PORT, &port, &f->err), E_MISSING);
	assert_string_equal(f->err.text, "Param 'port' is required.");
}

static void weights_read_as_the_library_reads_them(void **state)
{
	static const char *const texts[] = { "1", "1.0", "0.01", "10000", "123456789", "0.123456789", ".5", "5.",
					     "1e3", "-1", "1234567890123.25", "0.1" };
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		double v = -7, expected = strtod(texts[i], NULL);
		f->p.values[P_WEIGHT] = (struct param_value){ (char *)(uintptr_t)texts[i], (uint32_t)strlen(texts[i]) };
		assert_int_equal(param_double(&f->p, P_WEIGHT, 1.0, &v, &f->err), E_OK);
		assert_memory_equal(&v, &expected, sizeof(v));
	}
	double v = 0;
	f->p.values[P_WEIGHT] = (struct param_value){ (char *)(uintptr_t) "1,5", 3 };
	assert_int_equal(param_double(&f->p, P_WEIGHT, 1.0, &v, &f->err), E_INVALID);
	f->p.values[P_WEIGHT] = (struct param_value){ (char *)(uintptr_t) "NaN", 3 };
	assert_int_equal(param_double(&f->p, P_WEIGHT, 1.0, &v, &f->err), E_OK); /* the registry refuses it */
	assert_true(isnan(v));
}

static void shown_text_is_short_and_printable(void **state)
{
	char to[SHOWN_MAX], big[300];
	(void)state;
	assert_string_equal(shown(to, "a\nb\xff", 4), "a\\x0ab\\xff");
	memset(big, 1, sizeof(big));
	shown(to, big, sizeof(big));
	assert_true(strlen(to) < SHOWN_MAX);
	assert_string_equal(to + strlen(to) - 3, "...");
}

/* Whatever bytes come, reading them ends, and what was kept is text. */
static void random_bytes_never_get_through_as_text(void **state)
{
	struct fixture *f = *state;
	struct rng rng;
	unit_seed(&rng);
	static const char alphabet[] = "ip=&%0aF+serviceName portmetadata\n\x01\xff\xc3\xa9{}\":,";
	for (int round = 0; round < 20000; round++) {
		char *text = malloc(64);
		size_t len = rng_below(&rng, 64);
		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
		arena_reset(&f->mem);
		params_init(&f->p, &f->mem, rng_below(&rng, 2) != 0);
		text = realloc(text, len ? len : 1);
		if (params_add(&f->p, text, len, &f->err) == E_OK)
			for (int id = 0; id < PARAMS; id++) {
				const struct param_value *v = &f->p.values[id];
				assert_true(v->at == NULL || (v->len > 0 && strlen(v->at) == v->len));
				assert_true(v->at == NULL || utf8_valid(v->at, v->len));
			}
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_is_found_by_its_text_and_nothing_else_is),
		cmocka_unit_test_setup_teardown(the_query_comes_first_and_the_first_value_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(an_empty_first_pair_and_unknown_names_are_skipped, setup, teardown),
		cmocka_unit_test_setup_teardown(encodings_are_decoded_leniently, setup, teardown),
		cmocka_unit_test_setup_teardown(v1_trims_and_a_blank_value_is_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_text_is_refused_with_its_name, setup, teardown),
		cmocka_unit_test_setup_teardown(booleans_follow_the_reference, setup, teardown),
		cmocka_unit_test_setup_teardown(ports_have_limits_and_the_text_names_them, setup, teardown),
		cmocka_unit_test_setup_teardown(weights_read_as_the_library_reads_them, setup, teardown),
		cmocka_unit_test(shown_text_is_short_and_printable),
		cmocka_unit_test_setup_teardown(random_bytes_never_get_through_as_text, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

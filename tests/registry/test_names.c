/* test_names.c - names, switches and packed maps by tables. */
#include "tests/registry/fixture.h"

#include <stdlib.h>
#include <string.h>

static char *repeat(const char *s, size_t n)
{
	char *all = calloc(strlen(s), n + 1);

	for (size_t i = 0; i < n; i++)
		strcat(all, s);
	return all;
}

typedef int check_fn(const char *s, size_t len, struct error *err);

static void names_are_held_against_their_rules(void **state)
{
	static const struct {
		check_fn *check;
		const char *text;
		int rc;
	} rows[] = {
		{ name_check_namespace, "", E_OK },
		{ name_check_namespace, "a-B_9", E_OK },
		{ name_check_namespace, "a.b", E_INVALID },
		{ name_check_namespace, "a b", E_INVALID },
		{ name_check_group, "my-group_1:a.b", E_OK },
		{ name_check_group, "a/b", E_INVALID },
		{ name_check_group, "a\nb", E_INVALID },
		{ name_check_cluster, "east_1-a", E_OK },
		{ name_check_cluster, "east.1", E_INVALID },
		{ name_check_service, "orders", E_OK },
		{ name_check_service, "providers:com.acme.X:1.0::", E_OK },
		{ name_check_service, "a/b@c", E_OK },
		{ name_check_service, "\xc3\xa9t\xc3\xa9", E_OK },
		{ name_check_service, "@a", E_INVALID },
		{ name_check_service, "a@@b", E_INVALID },
		{ name_check_service, "a b", E_INVALID },
		{ name_check_service, "a\x01z", E_INVALID },
		{ name_check_service, "\xe4\xb8\xad", E_INVALID }, /* CJK */
		{ name_check_service, "\xc0\xaf", E_INVALID },	    /* overlong */
		{ name_check_service, "\xed\xa0\x80", E_INVALID },  /* surrogate */
		{ name_check_service, "\xe4\xb8", E_INVALID },	    /* cut */
		{ name_check_ip, "10.0.0.1", E_OK },
		{ name_check_ip, "fe80::1%eth0", E_OK },
		{ name_check_ip, "db.example.org", E_OK },
		{ name_check_ip, "10.0.0.1 ", E_INVALID },
		{ name_check_ip, "10.0.0.300", E_INVALID },
		{ name_check_ip, "10.0.1", E_INVALID },
		{ name_check_ip, "7", E_INVALID },
		{ name_check_ip, "10.0.0.1.2.3.4.5.6.7.8.9", E_INVALID },
		{ name_check_ip, "node7", E_OK },
	};
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].check(rows[i].text, strlen(rows[i].text), &error) != rows[i].rc)
			fail_msg("row %zu: %s", i, rows[i].text);
}

static void a_name_at_its_limit_is_fine_and_one_byte_more_names_the_limit(void **state)
{
	static const struct {
		check_fn *check;
		size_t max;
		const char *field;
	} rows[] = { { name_check_namespace, 64, "namespaceId" },
		     { name_check_group, 128, "groupName" },
		     { name_check_cluster, 64, "clusterName" },
		     { name_check_service, 512, "serviceName" },
		     { name_check_ip, 128, "ip" } };
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = repeat("a", rows[i].max + 1), limit[16];

		snprintf(limit, sizeof(limit), "%zu", rows[i].max);
		assert_int_equal(rows[i].check(text, rows[i].max, &error), E_OK);
		assert_int_equal(rows[i].check(text, rows[i].max + 1, &error), E_RANGE);
		assert_int_equal(error.what, FAIL_PARAM);
		assert_non_null(strstr(error.text, rows[i].field));
		assert_non_null(strstr(error.text, limit));
		free(text);
	}
}

static void an_error_shows_control_bytes_as_hex(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(name_check_group("a\r\nb", 4, &error), E_INVALID);
	assert_non_null(strstr(error.text, "a\\x0D\\x0Ab"));
}

static void keys_are_normalised(void **state)
{
	static const struct {
		const char *ns, *group, *service;
		int rc;
		const char *want_ns, *want_group, *want_name;
	} rows[] = {
		{ NULL, NULL, "orders", E_OK, "public", "DEFAULT_GROUP", "orders" },
		{ "", "", "orders", E_OK, "public", "DEFAULT_GROUP", "orders" },
		{ "dev", "g", "orders", E_OK, "dev", "g", "orders" },
		{ "dev", "ignored", "g2@@orders", E_OK, "dev", "g2", "orders" },
		{ NULL, NULL, "g@@a@b", E_OK, "public", "g", "a@b" },
		{ NULL, NULL, "@@orders", E_INVALID, NULL, NULL, NULL },
		{ NULL, NULL, "g@@", E_MISSING, NULL, NULL, NULL },
		{ NULL, NULL, "g@@a@@b", E_INVALID, NULL, NULL, NULL },
		{ NULL, NULL, "", E_MISSING, NULL, NULL, NULL },
		{ NULL, NULL, NULL, E_MISSING, NULL, NULL, NULL },
		{ "a b", NULL, "orders", E_INVALID, NULL, NULL, NULL },
		{ NULL, "a/b", "orders", E_INVALID, NULL, NULL, NULL },
	};
	struct service_key key;
	struct error error;
	char buf[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = name_normalise(&key, rows[i].ns, rows[i].group, rows[i].service, buf, &error);

		if (rc != rows[i].rc)
			fail_msg("row %zu gives %d", i, rc);
		if (rc < 0)
			continue;
		assert_string_equal(key.ns, rows[i].want_ns);
		assert_string_equal(key.group, rows[i].want_group);
		assert_string_equal(key.name, rows[i].want_name);
		assert_int_equal(key.name_len, strlen(key.name));
		assert_int_equal(key.group_len, strlen(key.group));
	}
}

static void switches_are_checked_and_set(void **state)
{
	static const struct {
		const char *entry, *value;
		int rc;
	} rows[] = {
		{ "check", "false", E_OK },
		{ "check", "maybe", E_INVALID },
		{ "healthCheckTimes", "5", E_OK },
		{ "healthCheckTimes", "0", E_RANGE },
		{ "healthCheckTimes", "5x", E_INVALID },
		{ "clientBeatInterval", "10000", E_OK },
		{ "clientBeatInterval", "99999999999999999999", E_INVALID },
		{ "pushCacheMillis", "9999", E_RANGE },
		{ "tcpHealthParams", "{\"max\":4000,\"min\":600,\"factor\":0.5}", E_OK },
		{ "tcpHealthParams", "{\"min\":499}", E_RANGE },
		{ "tcpHealthParams", "{\"max\":", E_INVALID },
		{ "httpHealthParams", "{\"factor\":1.5}", E_RANGE },
		{ "overriddenServerStatus", "DOWN", E_OK },
		{ "overriddenServerStatus", "SIDEWAYS", E_INVALID },
		{ "overriddenServerStatus", "null", E_OK },
		{ "masters", "a,b", E_UNSUPPORTED },
		{ "nonsense", "1", E_INVALID },
		{ "", "1", E_MISSING },
		{ "check", NULL, E_MISSING },
	};
	struct switches s;
	struct error error;
	struct text json;

	(void)state;
	switches_default(&s);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct switches before = s;
		int rc = switches_set(&s, rows[i].entry, rows[i].value, &error);

		if (rc != rows[i].rc)
			fail_msg("row %zu gives %d", i, rc);
		if (rc < 0) {
			assert_int_equal(error.what, FAIL_SWITCH);
			assert_memory_equal(&before, &s, sizeof(s));
		}
	}
	assert_false(s.health_check);
	assert_int_equal(s.check_times, 5);
	assert_int_equal(s.client_beat_ms, 10000);
	assert_int_equal(s.tcp.min_ms, 600);
	text_init(&json);
	switches_json(&s, &json);
	assert_false(json.failed);
	assert_non_null(strstr(json.at, "\"healthCheckEnabled\":false"));
	assert_non_null(strstr(json.at, "\"tcpHealthParams\":{\"max\":4000,\"min\":600,\"factor\":0.5}"));
	assert_non_null(strstr(json.at, "\"overriddenServerStatus\":null"));
	text_done(&json);
}

static void a_packed_map_gives_back_its_pairs(void **state)
{
	struct pair pairs[3], pair;
	char buf[256];
	size_t n = 0;

	(void)state;
	pair_set(&pairs[0], "a", "1");
	pair_set(&pairs[1], "", "");
	pair_set(&pairs[2], "long key", "long value");
	struct packed p = { buf, (uint32_t)packed_size(pairs, 3), 3 };

	packed_build(buf, pairs, 3);
	for (size_t at = 0; packed_next(&p, &at, &pair); n++) {
		assert_string_equal(pair.key, pairs[n].key);
		assert_string_equal(pair.value, pairs[n].value);
	}
	assert_int_equal(n, 3);
	assert_string_equal(packed_find(&p, "long key"), "long value");
	assert_null(packed_find(&p, "lon"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_held_against_their_rules),
		cmocka_unit_test(a_name_at_its_limit_is_fine_and_one_byte_more_names_the_limit),
		cmocka_unit_test(an_error_shows_control_bytes_as_hex),
		cmocka_unit_test(keys_are_normalised),
		cmocka_unit_test(switches_are_checked_and_set),
		cmocka_unit_test(a_packed_map_gives_back_its_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

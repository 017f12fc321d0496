/* Metadata, beats, checkers and selectors out of parameters: the short way and cJSON agree, bad ones are named. */
#include "tests/base/unit.h"

#include "api/flat_json.h"
#include "api/json_in.h"
#include "base/text.h"
#include "registry/failure.h"

struct fixture {
	struct arena mem;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	arena_init(&f->mem, NULL, 0, 0);
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

static struct param_value text_of(struct fixture *f, const char *s)
{
	return (struct param_value){ arena_strdup(&f->mem, s), (uint32_t)strlen(s) };
}

static const char *value_of(const struct pair_list *list, const char *key)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->at[i].key, key) == 0) {
			assert_int_equal(strlen(list->at[i].value), list->at[i].value_len);
			assert_int_equal(strlen(list->at[i].key), list->at[i].key_len);
			return list->at[i].value;
		}
	return NULL;
}

static int metadata(struct fixture *f, const char *s, struct pair_list *ret)
{
	return metadata_decode(ret, &f->mem, text_of(f, s), FAIL_INSTANCE_METADATA, "metadata", &f->err);
}

static void metadata_is_json_or_a_list(void **state)
{
	struct fixture *f = *state;
	struct pair_list list;
	assert_int_equal(metadata(f, "{\"a\":\"1\",\"b\":\"x y\"}", &list), E_OK);
	assert_int_equal(list.count, 2);
	assert_string_equal(value_of(&list, "b"), "x y");
	assert_int_equal(metadata(f, "a=1,b=2=3,c=", &list), E_OK);
	assert_int_equal(list.count, 3);
	assert_string_equal(value_of(&list, "b"), "2=3");
	assert_string_equal(value_of(&list, "c"), "");
	assert_int_equal(metadata(f, " { } ", &list), E_OK);
	assert_int_equal(list.count, 0);
}

static void unusual_metadata_goes_the_long_way(void **state)
{
	struct fixture *f = *state;
	struct pair_list list;
	assert_int_equal(metadata(f, "{\"a\":\"q\\\"uote\",\"n\":1,\"d\":1.5,\"t\":true,\"z\":null,\"u\":\"\\u00e9\"}", &list),
			 E_OK);
	assert_int_equal(list.count, 6);
	assert_string_equal(value_of(&list, "a"), "q\"uote");
	assert_string_equal(value_of(&list, "n"), "1");
	assert_string_equal(value_of(&list, "d"), "1.5");
	assert_string_equal(value_of(&list, "t"), "true");
	assert_string_equal(value_of(&list, "z"), "");
	assert_string_equal(value_of(&list, "u"), "\xc3\xa9");
}

static void the_last_of_equal_keys_counts(void **state)
{
	struct fixture *f = *state;
	struct pair_list list;
	assert_int_equal(metadata(f, "{\"a\":\"1\",\"a\":\"2\"}", &list), E_OK);
	assert_int_equal(list.count, 1);
	assert_string_equal(value_of(&list, "a"), "2");
	assert_int_equal(metadata(f, "{\"a\":\"1\",\"a\":3}", &list), E_OK);
	assert_int_equal(list.count, 1);
	assert_string_equal(value_of(&list, "a"), "3");
}

static void malformed_metadata_is_refused_by_name(void **state)
{
	static const char *const bad[] = { "{", "{\"a\"", "{\"a\":\"1\"", "{\"a\":\"1\"}x", "[1]", "{\"a\":{\"b\":\"c\"}}", "a",
					   "=b", "a=1,b", "{\"a\":[\"b\"]}", "{\"a\":\"\\u0000\"}", "{a:1}", "{\"a\":nope}",
					   "{\"a\":\"1\",}", "{\"a\":\"\\ud800\"}" };
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pair_list list;
		if (metadata(f, bad[i], &list) == E_OK)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(f->err.what, FAIL_INSTANCE_METADATA);
		assert_non_null(strstr(f->err.text, "metadata"));
	}
}

static void too_many_entries_are_refused_before_they_cost(void **state)
{
	struct fixture *f = *state;
	struct text t;
	struct pair_list list;
	text_init(&t);
	for (int i = 0; i < 20000; i++)
		text_printf(&t, "%sk%d=v", i > 0 ? "," : "", i);
	assert_int_equal(metadata(f, t.at, &list), E_RANGE);
	text_done(&t);
}

static const char beat_json[] = "{\"cluster\":\"c1\",\"ip\":\"10.0.0.5\",\"port\":8080,\"metadata\":{\"k\":\"v\"},"
				"\"period\":5000,\"scheduled\":false,\"serviceName\":\"g@@s\",\"stopped\":false,"
				"\"weight\":2.0}";

static void check_beat(const struct beat_in *b)
{
	assert_string_equal(b->ip, "10.0.0.5");
	assert_string_equal(b->cluster, "c1");
	assert_string_equal(b->service_name, "g@@s");
	assert_int_equal(b->port, 8080);
	assert_true(b->has_port && b->ephemeral);
	assert_true(b->weight >= 2.0 && b->weight <= 2.0);
	assert_int_equal(b->metadata.count, 1);
	assert_string_equal(value_of(&b->metadata, "k"), "v");
}

static void a_beat_reads_the_same_both_ways(void **state)
{
	struct fixture *f = *state;
	struct beat_in b;
	struct flat_json flat;
	assert_true(flat_parse(&flat, beat_json, strlen(beat_json)));
	assert_int_equal(beat_decode(&b, &f->mem, text_of(f, beat_json), &f->err), E_OK);
	check_beat(&b);
	char odd[512]; /* an escape anywhere sends it to cJSON */
	snprintf(odd, sizeof(odd), "%.*s,\"load\":\"\\u0041\"}", (int)strlen(beat_json) - 1, beat_json);
	assert_false(flat_parse(&flat, odd, strlen(odd)));
	assert_int_equal(beat_decode(&b, &f->mem, text_of(f, odd), &f->err), E_OK);
	check_beat(&b);
}

static void every_truncation_of_a_beat_fails(void **state)
{
	struct fixture *f = *state;
	for (size_t len = 1; len < strlen(beat_json); len++) {
		struct beat_in b;
		char cut[512];
		snprintf(cut, sizeof(cut), "%.*s", (int)len, beat_json);
		if (beat_decode(&b, &f->mem, text_of(f, cut), &f->err) == E_OK)
			fail_msg("accepted: %s", cut);
	}
}

static void bad_beats_are_named(void **state)
{
	static const char *const bad[] = { "{\"ip\":5}", "{\"port\":\"x\"}", "{\"port\":65536}", "{\"port\":-1}", "{\"port\":1.5}",
					   "{\"weight\":\"x\"}", "{\"metadata\":[]}", "{\"metadata\":{\"a\":{}}}", "[]", "null", "7" };
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct beat_in b;
		if (beat_decode(&b, &f->mem, text_of(f, bad[i]), &f->err) == E_OK)
			fail_msg("accepted: %s", bad[i]);
	}
	struct beat_in b;
	assert_int_equal(beat_decode(&b, &f->mem, text_of(f, "{\"metadata\":null,\"ephemeral\":false}"), &f->err), E_OK);
	assert_false(b.ephemeral);
	assert_false(b.has_port);
}

static void checkers_keep_unknown_types(void **state)
{
	struct fixture *f = *state;
	struct checker c;
	assert_int_equal(checker_decode(&c, &f->mem,
					text_of(f, "{\"type\":\"HTTP\",\"path\":\"/h\",\"headers\":\"a:b\",\"expectedResponseCode\":302}"),
					&f->err),
			 E_OK);
	assert_int_equal(c.kind, CHECKER_HTTP);
	assert_string_equal(c.path, "/h");
	assert_int_equal(c.expected_code, 302);
	assert_int_equal(checker_decode(&c, &f->mem, text_of(f, "{\"type\":\"GRPC\"}"), &f->err), E_OK);
	assert_int_equal(c.kind, CHECKER_NONE);
	assert_string_equal(c.type, "GRPC");
	assert_true(checker_decode(&c, &f->mem, text_of(f, "{}"), &f->err) < 0);
	assert_true(checker_decode(&c, &f->mem, text_of(f, "{\"type\":1}"), &f->err) < 0);
	assert_true(checker_decode(&c, &f->mem, text_of(f, "{\"type\":\"HTTP\",\"expectedResponseCode\":9999}"), &f->err) < 0);
}

static void selectors_are_none_or_label(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(selector_check(text_of(f, "{\"type\":\"none\"}"), &f->err), E_OK);
	assert_int_equal(selector_check(text_of(f, "{\"type\":\"label\",\"expression\":\"a\"}"), &f->err), E_OK);
	assert_true(selector_check(text_of(f, "{\"type\":\"x\"}"), &f->err) < 0);
	assert_int_equal(f->err.what, FAIL_SELECTOR);
}

/* Mutations of a beat: the short way accepts nothing that cJSON refuses, and reads the same. */
static int targets(struct fixture *f, const char *s, const struct instance_target **ret, size_t *count)
{
	return targets_decode(ret, count, &f->mem, text_of(f, s), &f->err);
}

static void instances_of_a_batch_are_read_and_bad_ones_named(void **state)
{
	static const char good[] = "[{\"ip\":\"10.0.0.1\",\"port\":80,\"clusterName\":\"c\",\"metadata\":{\"x\":1}},"
				   "{\"port\":\"81\",\"ip\":\"::1\",\"clusterName\":null}]";
	static const char *const bad[] = { "{}", "1", "[1]", "[{\"ip\":1}]", "[{\"ip\":\"a\",\"port\":-1}]",
					   "[{\"ip\":\"a\",\"port\":65536}]", "[{\"ip\":\"a\",\"port\":1.5}]",
					   "[{\"ip\":\"a\",\"clusterName\":[]}]", "[{\"ip\":\"a\\u0000b\"}]", "[] x",
					   "[{\"ip\":\"a\",\"port\":\"80x\"}]", "[{\"ip\":\"a\",\"port\":{}}]" };
	struct fixture *f = *state;
	const struct instance_target *t = NULL;
	size_t count = 9;
	assert_int_equal(targets(f, good, &t, &count), E_OK);
	assert_int_equal(count, 2);
	assert_string_equal(t[0].ip, "10.0.0.1");
	assert_string_equal(t[0].cluster, "c");
	assert_int_equal(t[0].port, 80);
	assert_string_equal(t[1].ip, "::1");
	assert_string_equal(t[1].cluster, "");
	assert_int_equal(t[1].port, 81);
	assert_int_equal(targets(f, "[]", &t, &count), E_OK);
	assert_int_equal(count, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(targets(f, bad[i], &t, &count) < 0);
		assert_int_equal(f->err.what, FAIL_PARAM);
		assert_non_null(strstr(f->err.text, "instances"));
	}
	char part[sizeof(good)];
	for (size_t len = 0; len + 1 < sizeof(good); len++) {
		memcpy(part, good, len);
		part[len] = '\0';
		assert_true(targets(f, part, &t, &count) < 0);
	}
	assert_int_equal(count, 0); /* untouched by failures */
}

static void the_short_way_accepts_only_json(void **state)
{
	struct fixture *f = *state;
	struct rng rng;
	unit_seed(&rng);
	static const char alphabet[] = "{}[]\",:0a.-\\ tfn";
	for (int round = 0; round < 50000; round++) {
		size_t len = strlen(beat_json);
		char *text = malloc(len + 1);
		memcpy(text, beat_json, len + 1);
		for (unsigned n = 1 + rng_below(&rng, 3); n > 0; n--)
			text[rng_below(&rng, (uint32_t)len)] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
		struct flat_json flat;
		if (flat_parse(&flat, text, len)) {
			struct pair_list list;
			char *odd = malloc(len + 32); /* force the long way by an escape */
			snprintf(odd, len + 32, "{\"\\u0041\":\"\"%s%s", flat.count > 0 ? "," : "", text + 1);
			int rc = metadata(f, odd, &list);
			/* the object inside is no text: that is the only complaint cJSON's way may have */
			if (rc < 0 && strstr(f->err.text, "is not a text") == NULL)
				fail_msg("only the short way accepts: %s (%s)", text, f->err.text);
			free(odd);
		}
		free(text);
		arena_done(&f->mem);
		arena_init(&f->mem, NULL, 0, 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(metadata_is_json_or_a_list),	   TEST(unusual_metadata_goes_the_long_way),
		TEST(the_last_of_equal_keys_counts),	   TEST(malformed_metadata_is_refused_by_name),
		TEST(too_many_entries_are_refused_before_they_cost), TEST(a_beat_reads_the_same_both_ways),
		TEST(every_truncation_of_a_beat_fails),	   TEST(bad_beats_are_named),
		TEST(checkers_keep_unknown_types),	   TEST(selectors_are_none_or_label),
		TEST(the_short_way_accepts_only_json),	   TEST(instances_of_a_batch_are_read_and_bad_ones_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

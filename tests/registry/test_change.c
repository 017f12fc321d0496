/* test_change.c - what watchers are told of changes, and the lines that packed ones become. */
#include "base/clock.h"
#include "base/mem.h"
#include "registry/change.h"
#include "registry/core.h"
#include "tests/registry/fixture.h"
#include <cjson/cJSON.h>
#include <string.h>

/* Packs all that it is told. */
struct recorder {
	struct text packed;
	unsigned count;
};

static void on_change(void *arg, const struct change *c)
{
	struct recorder *rec = arg;

	change_pack(c, 1795000000123, &rec->packed);
	rec->count++;
}

static void record(struct fixture *f, struct recorder *rec)
{
	struct registry_watcher watcher = { .on_change = on_change, .arg = rec };

	*rec = (struct recorder){ .count = 0 };
	text_init(&rec->packed);
	assert_int_equal(desk_watch(f->desk, &watcher), E_OK);
}

/* The last line, parsed; every one must be JSON on one line, and the packed ones must follow each other exactly. */
static cJSON *last(const struct recorder *rec)
{
	struct text line;
	cJSON *json = NULL;
	unsigned n = 0;

	text_init(&line);
	for (size_t at = 0; at < rec->packed.len; n++) {
		text_clear(&line);
		at += change_print(rec->packed.at + at, &line);
		assert_true(at <= rec->packed.len && at % 8 == 0);
		assert_ptr_equal(strchr(line.at, '\n'), line.at + line.len - 1);
		cJSON_Delete(json);
		json = cJSON_Parse(line.at);
		assert_non_null(json);
	}
	assert_int_equal(n, rec->count);
	text_done(&line);
	return json;
}

static const char *string(const cJSON *json, const char *key)
{
	const cJSON *v = cJSON_GetObjectItem(json, key);

	return cJSON_IsString(v) ? v->valuestring : "(none)";
}

static void what_a_publisher_says_cannot_forge_a_member_or_a_line(void **state)
{
	static const char evil[] = "x\"},\n{\"what\":\"switch\",\"\\u\x01 \xff";
	struct fixture *f = *state;
	struct recorder rec;
	struct pair pair;
	struct command *cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.1", 80);

	record(f, &rec);
	pair_set(&pair, "k\n\"", evil);
	cmd->instance.metadata = &pair;
	cmd->instance.metadata_count = 1;
	cmd->instance.app = evil;
	cmd->remote = "192.0.2.7";
	assert_int_equal(ask(f, cmd), E_OK);
	cJSON *line = last(&rec);

	assert_string_equal(string(line, "time"), "2026-11-18T11:06:40.123Z");
	assert_string_equal(string(line, "what"), "register");
	assert_string_equal(string(line, "remote"), "192.0.2.7");
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(line, "before")));
	const cJSON *after = cJSON_GetObjectItem(line, "after");

	assert_non_null(strstr(string(after, "app"), "x\"},\n{\"what\":\"switch\",\"\\u\x01 "));
	assert_non_null(strstr(string(cJSON_GetObjectItem(after, "metadata"), "k\n\""), "{\"what\""));
	cJSON_Delete(line);
	text_done(&rec.packed);
}

static void an_update_names_the_one_member_that_differs(void **state)
{
	struct fixture *f = *state;
	struct recorder rec;
	struct command *cmd;

	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	record(f, &rec);
	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK); /* the same again */
	assert_int_equal(rec.count, 0);
	cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.1", 80);
	cmd->instance.weight = 2.5;
	assert_int_equal(ask(f, cmd), E_OK);
	cJSON *line = last(&rec);

	assert_string_equal(string(line, "what"), "weight");
	const cJSON *after = cJSON_GetObjectItem(line, "after");

	assert_int_equal(cJSON_GetArraySize(after), 1);
	assert_true(cJSON_GetObjectItem(after, "weight")->valuedouble > 2.4);
	cJSON_Delete(line);
	cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.1", 80);
	cmd->instance.weight = 3;
	cmd->instance.enabled = false;
	assert_int_equal(ask(f, cmd), E_OK);
	line = last(&rec);
	assert_string_equal(string(line, "what"), "update");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(line, "after")), 2);
	cJSON_Delete(line);
	text_done(&rec.packed);
}

static void what_is_swept_is_told_as_cleaning(void **state)
{
	struct fixture *f = *state;
	struct recorder rec;

	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	assert_int_equal(dereg(f, "cart", "10.0.0.1", 80, true), E_OK);
	record(f, &rec);
	fixture_advance(f, 70000);
	desk_sweep(f->desk);
	f->desk->now_ms = clock_ms();
	desk_sweep(f->desk);
	cJSON *line = last(&rec);

	assert_non_null(line);
	assert_string_equal(string(line, "what"), "service_delete");
	assert_string_equal(string(line, "cause"), "clean");
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(line, "after")));
	cJSON_Delete(line);
	run_some(f, 2);
	text_done(&rec.packed);
}

static void a_change_that_memory_is_short_for_leaves_the_others_whole(void **state)
{
	struct fixture *f = *state;
	struct recorder rec;

	record(f, &rec);
	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	struct text copy = { 0 };
	size_t len = rec.packed.len;

	for (unsigned nth = 0; nth < 3; nth++) {
		text_init(&copy);
		text_put(&copy, rec.packed.at, len);
		mem_fail_at(nth);
		change_pack(&(struct change){ .what = CHANGE_SERVICE_DELETE,
					      .key = { "public", "DEFAULT_GROUP", "cart", 6, 13, 4 },
					      .old_info = service_info(registry_find(f->registry, &(struct service_key){ "public", "DEFAULT_GROUP", "cart", 6, 13, 4 },
										     service_key_hash(&(struct service_key){ "public", "DEFAULT_GROUP", "cart", 6, 13, 4 }))) },
			    0, &copy);
		mem_fail_off();
		assert_true(copy.len >= len);
		assert_memory_equal(copy.at, rec.packed.at, len);
		text_done(&copy);
	}
	text_done(&rec.packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(what_a_publisher_says_cannot_forge_a_member_or_a_line),
		TEST(an_update_names_the_one_member_that_differs),
		TEST(what_is_swept_is_told_as_cleaning),
		TEST(a_change_that_memory_is_short_for_leaves_the_others_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

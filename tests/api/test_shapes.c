/* What clients parse, byte for byte: the JSON of views and infos against golden texts (nacos-naming 1.13, 2.2, 2.3, 2.7,
 * 2.9, 2.10, 3), and nothing half written or leaked when memory runs out on the way. */
#include "tests/base/unit.h"

#include "api/encodings.h"
#include "api/json_in.h"
#include "api/shapes.h"
#include "base/error.h"
#include "base/mem.h"
#include "registry/failure.h"
#include "tests/support/view_maker.h"

static const struct list_query everything = { .clusters = "", .cache_ms = 10000, .absent_ref_ms = 7 };

/* The reference's example, and one that is unlike it in every field. */
static struct service_view *orders(void)
{
	static const struct pair v1[] = { { "v", "1", 1, 1 } };
	static const struct view_row rows[] = {
		{ "10.0.0.5", 8080, 1, true, true, v1, 1 },
		{ "fe80::1", 1, 0.5, false, true, NULL, 0 },
		{ "10.0.0.7", 9, 3, true, false, NULL, 0 },
	};
	struct service_view *v = view_make(9, "orders", rows, 3);
	for (uint32_t n = 0; n < 3; n++) {
		struct instance *i = (struct instance *)(uintptr_t)v->instances[n];
		i->beat_ms = 5000;
		i->unhealthy_ms = 15000;
		i->remove_ms = 30000;
	}
	v->last_ref_ms = 1717000000123;
	return v;
}

#define HOST_5                                                                                                         \
	"{\"instanceId\":\"10.0.0.5#8080#DEFAULT#DEFAULT_GROUP@@orders\",\"ip\":\"10.0.0.5\",\"port\":8080,"           \
	"\"weight\":1.0,\"healthy\":true,\"enabled\":true,\"ephemeral\":true,\"clusterName\":\"DEFAULT\","             \
	"\"serviceName\":\"DEFAULT_GROUP@@orders\",\"metadata\":{\"v\":\"1\"},\"instanceHeartBeatInterval\":5000,"      \
	"\"instanceHeartBeatTimeOut\":15000,\"ipDeleteTimeout\":30000}"
#define HOST_1                                                                                                         \
	"{\"instanceId\":\"fe80::1#1#DEFAULT#DEFAULT_GROUP@@orders\",\"ip\":\"fe80::1\",\"port\":1,"                    \
	"\"weight\":0.5,\"healthy\":false,\"enabled\":true,\"ephemeral\":true,\"clusterName\":\"DEFAULT\","            \
	"\"serviceName\":\"DEFAULT_GROUP@@orders\",\"metadata\":{},\"instanceHeartBeatInterval\":5000,"                 \
	"\"instanceHeartBeatTimeOut\":15000,\"ipDeleteTimeout\":30000,\"instanceIdGenerator\":\"simple\"}"

static void expect(struct text *t, const char *golden)
{
	assert_false(t->failed);
	assert_string_equal(t->at, golden);
	text_done(t);
}

static void a_list_is_the_service_info_of_the_reference(void **state)
{
	(void)state;
	struct service_view *v = orders();
	struct list_query healthy = everything;
	struct text t;
	text_init(&t);
	shape_service_info(&t, &v->info->key, v, &everything);
	expect(&t, "{\"name\":\"DEFAULT_GROUP@@orders\",\"groupName\":\"DEFAULT_GROUP\",\"clusters\":\"\",\"cacheMillis\":10000,"
		   "\"hosts\":[" HOST_5 "," HOST_1 "],\"lastRefTime\":1717000000123,\"checksum\":\"\",\"allIPs\":false,"
		   "\"reachProtectionThreshold\":false,\"valid\":true}");
	healthy.healthy_only = true;
	healthy.clusters = "east,DEFAULT";
	shape_service_info(&t, &v->info->key, v, &healthy);
	expect(&t, "{\"name\":\"DEFAULT_GROUP@@orders\",\"groupName\":\"DEFAULT_GROUP\",\"clusters\":\"east,DEFAULT\",\"cacheMillis\":10000,"
		   "\"hosts\":[" HOST_5 "],\"lastRefTime\":1717000000123,\"checksum\":\"\",\"allIPs\":false,"
		   "\"reachProtectionThreshold\":false,\"valid\":true}");
	healthy.clusters = "DEFAUL,DEFAULTS"; /* neither is its name */
	shape_service_info(&t, &v->info->key, v, &healthy);
	expect(&t, "{\"name\":\"DEFAULT_GROUP@@orders\",\"groupName\":\"DEFAULT_GROUP\",\"clusters\":\"DEFAUL,DEFAULTS\",\"cacheMillis\":10000,"
		   "\"hosts\":[],\"lastRefTime\":1717000000123,\"checksum\":\"\",\"allIPs\":false,"
		   "\"reachProtectionThreshold\":false,\"valid\":true}");
	made_view_free(v);
}

static void a_missing_service_is_an_empty_list_with_its_names(void **state)
{
	(void)state;
	struct service_key key = { "public", "g", "a\"b", 6, 1, 3 };
	struct list_query old = everything;
	struct text t;
	text_init(&t);
	shape_service_info(&t, &key, NULL, &everything);
	expect(&t, "{\"name\":\"g@@a\\\"b\",\"groupName\":\"g\",\"clusters\":\"\",\"cacheMillis\":10000,\"hosts\":[],"
		   "\"lastRefTime\":7,\"checksum\":\"\",\"allIPs\":false,\"reachProtectionThreshold\":false,\"valid\":true}");
	old.dom = "orders";
	shape_legacy_list(&t, NULL, &old);
	expect(&t, "{\"hosts\":[],\"dom\":\"orders\",\"name\":\"orders\",\"cacheMillis\":10000,\"lastRefTime\":7,\"checksum\":\"\","
		   "\"useSpecifiedURL\":false,\"clusters\":\"\",\"env\":\"\",\"metadata\":{}}");
}

static void under_the_protect_rule_all_are_shown_healthy(void **state)
{
	(void)state;
	struct service_view *v = orders();
	struct service_info *info = (struct service_info *)(uintptr_t)v->info;
	bool protected_ = false;
	struct text t;
	info->stored = true;
	info->protect_threshold = 0.5; /* one of two is healthy */
	text_init(&t);
	shape_hosts(&t, v, &everything, &protected_);
	assert_true(protected_);
	assert_non_null(strstr(t.at, "\"port\":1,\"weight\":0.5,\"healthy\":true"));
	assert_null(strstr(t.at, "false,\"enabled\""));
	text_done(&t);
	info->protect_threshold = 0.4;
	text_init(&t);
	shape_hosts(&t, v, &everything, &protected_);
	assert_false(protected_);
	expect(&t, "[" HOST_5 "," HOST_1 "]");
	made_view_free(v);
}

static void details_services_and_namespaces_have_the_shapes_of_the_reference(void **state)
{
	(void)state;
	struct service_view *v = orders();
	struct namespace_row reserved = { "public", "public", "", 0, 3 }, made = { "prod", "Production \"1\"", "d", 2, 0 };
	struct text t;
	text_init(&t);
	shape_instance_detail(&t, v->info, v->instances[0], true);
	expect(&t, "{\"service\":\"DEFAULT_GROUP@@orders\",\"ip\":\"10.0.0.5\",\"port\":8080,\"clusterName\":\"DEFAULT\","
		   "\"weight\":1.0,\"healthy\":true,\"instanceId\":\"10.0.0.5#8080#DEFAULT#DEFAULT_GROUP@@orders\",\"metadata\":{\"v\":\"1\"}}");
	shape_instance_detail(&t, v->info, v->instances[1], false);
	expect(&t, "{\"serviceName\":\"DEFAULT_GROUP@@orders\",\"ip\":\"fe80::1\",\"port\":1,\"clusterName\":\"DEFAULT\","
		   "\"weight\":0.5,\"healthy\":false,\"instanceId\":\"fe80::1#1#DEFAULT#DEFAULT_GROUP@@orders\",\"metadata\":{}}");
	shape_service_v1(&t, v);
	expect(&t, "{\"namespaceId\":\"public\",\"groupName\":\"DEFAULT_GROUP\",\"name\":\"orders\",\"protectThreshold\":0.0,"
		   "\"metadata\":{},\"selector\":{\"type\":\"none\"},"
		   "\"clusters\":[{\"name\":\"DEFAULT\",\"healthChecker\":{\"type\":\"TCP\"},\"metadata\":{}}]}");
	shape_service_detail(&t, v, DETAIL_V2);
	expect(&t, "{\"namespace\":\"public\",\"serviceName\":\"orders\",\"groupName\":\"DEFAULT_GROUP\",\"clusterMap\":{\"DEFAULT\":"
		   "{\"clusterName\":\"DEFAULT\",\"healthChecker\":{\"type\":\"TCP\"},\"healthyCheckPort\":80,"
		   "\"useInstancePortForCheck\":true,\"metadata\":{},\"hosts\":null}},\"metadata\":{},\"protectThreshold\":0.0,"
		   "\"selector\":{\"type\":\"none\"},\"ephemeral\":true}");
	shape_catalog_entry(&t, v);
	expect(&t, "{\"name\":\"orders\",\"groupName\":\"DEFAULT_GROUP\",\"clusterCount\":1,\"ipCount\":3,"
		   "\"healthyInstanceCount\":2,\"triggerFlag\":\"false\"}");
	shape_namespace(&t, &reserved, "");
	expect(&t, "{\"namespace\":\"\",\"namespaceShowName\":\"public\",\"namespaceDesc\":null,\"quota\":200,\"configCount\":0,\"type\":0}");
	shape_namespace(&t, &made, "");
	expect(&t, "{\"namespace\":\"prod\",\"namespaceShowName\":\"Production \\\"1\\\"\",\"namespaceDesc\":\"d\",\"quota\":200,"
		   "\"configCount\":0,\"type\":2}");
	made_view_free(v);
}

static void checkers_show_what_their_kind_has(void **state)
{
	(void)state;
	struct checker c = { CHECKER_HTTP, "HTTP", "/h?a=\"b\"", "X:1|Y:2", "", "", "", 204 };
	struct text t;
	text_init(&t);
	shape_checker(&t, &c);
	expect(&t, "{\"type\":\"HTTP\",\"path\":\"/h?a=\\\"b\\\"\",\"headers\":\"X:1|Y:2\",\"expectedResponseCode\":204}");
	c = (struct checker){ CHECKER_MYSQL, "MYSQL", "", "", "u", "p", "select 1", 0 };
	shape_checker(&t, &c);
	expect(&t, "{\"type\":\"MYSQL\",\"user\":\"u\",\"pwd\":\"p\",\"cmd\":\"select 1\"}");
	c = (struct checker){ CHECKER_NONE, "GRPC", "", "", "", "", "", 0 };
	shape_checker(&t, &c);
	expect(&t, "{\"type\":\"GRPC\"}");
}

/* ---- no memory */

static void a_shape_without_memory_is_failed_not_cut(void **state)
{
	(void)state;
	struct service_view *v = orders();
	for (unsigned nth = 0;; nth++) {
		struct text t;
		text_init(&t);
		mem_fail_at(nth);
		shape_service_info(&t, &v->info->key, v, &everything);
		shape_service_v1(&t, v);
		shape_service_detail(&t, v, DETAIL_V2);
		shape_catalog_detail(&t, v);
		shape_catalog_service(&t, v);
		bool reached = mem_fail_off();
		assert_int_equal(t.failed, reached);
		text_done(&t);
		if (!reached)
			break;
		assert_true(nth < 100);
	}
	made_view_free(v);
}

/* Everything that a request is read into; 0 when all went well. */
static int read_all(struct arena *mem, struct error *err)
{
	static const char query[] = "serviceName=a%20b&ip=10.0.0.1&port=80&weight=1.5&enabled=true&clusterName=c";
	static const char plain[] = "{\"a\":\"b\",\"c\":\"d\"}", odd[] = "{\"a\\u0041\":1.5,\"b\":null,\"a\\u0041\":true}";
	static const char beat[] = "{\"ip\":\"10.0.0.1\",\"port\":80,\"cluster\":\"c\",\"metadata\":{\"k\\n\":\"v\"}}";
	static const char checker[] = "{\"type\":\"HTTP\",\"path\":\"/\\u0041\",\"headers\":\"X:1\"}";
	static const char targets[] = "[{\"ip\":\"10.0.0.1\",\"port\":80},{\"ip\":\"10.0.0.2\",\"port\":\"81\",\"clusterName\":\"c\"}]";
	const struct instance_target *at;
	struct params params;
	struct pair_list list;
	struct beat_in in;
	struct checker c;
	size_t count;
	int rc;
#define VALUE(text) ((struct param_value){ arena_memdup0(mem, text, sizeof(text) - 1), sizeof(text) - 1 })
#define STEP(call)                                                                                                     \
	do {                                                                                                           \
		if ((rc = (call)) < 0)                                                                                 \
			return rc;                                                                                     \
	} while (0)
	struct param_value values[] = { VALUE(plain), VALUE(odd), VALUE("k=v,x=y"), VALUE(beat), VALUE(checker), VALUE(targets) };
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (values[i].at == NULL)
			return E_NOMEM;
	params_init(&params, mem, true);
	STEP(params_add(&params, query, sizeof(query) - 1, err));
	for (int i = 0; i < 3; i++) {
		STEP(metadata_decode(&list, mem, values[i], FAIL_INSTANCE_METADATA, "metadata", err));
		assert_int_equal(list.count, 2);
	}
	STEP(beat_decode(&in, mem, values[3], err));
	assert_string_equal(in.metadata.at[0].key, "k\n");
	STEP(checker_decode(&c, mem, values[4], err));
	assert_string_equal(c.path, "/A");
	STEP(targets_decode(&at, &count, mem, values[5], err));
	assert_int_equal(count, 2);
	return E_OK;
}

static void reading_a_request_survives_every_failed_allocation(void **state)
{
	(void)state;
	mem_hook_libraries();
	for (unsigned nth = 0;; nth++) {
		struct error err = { 0 };
		struct arena mem;
		arena_init(&mem, NULL, 0, 0);
		mem_fail_at(nth);
		int rc = read_all(&mem, &err);
		bool reached = mem_fail_off();
		arena_done(&mem);
		if (!reached) {
			assert_int_equal(rc, E_OK);
			assert_true(nth > 5);
			return;
		}
		if (rc != E_NOMEM)
			fail_msg("allocation %u refused: %s %s", nth, error_code_name(rc), err.text);
	}
}

static void the_cache_of_bodies_survives_every_failed_allocation(void **state)
{
	(void)state;
	for (unsigned nth = 0;; nth++) {
		struct encodings e;
		unsigned kept = 0;
		encodings_init(&e, 100000);
		mem_fail_at(nth);
		for (uint64_t i = 1; i < 50; i++) {
			struct encoding_key k = { .service_id = i, .number = 1, .clusters = "a,b", .clusters_len = 3 };
			struct encoding *c = encodings_add(&e, &k, "body", 4);
			if (c == NULL)
				continue;
			assert_memory_equal(c->body, "body", 4);
			encoding_release(c);
			kept++;
		}
		bool reached = mem_fail_off();
		for (uint64_t i = 1; i < 50; i++) {
			struct encoding_key k = { .service_id = i, .number = 1, .clusters = "a,b", .clusters_len = 3 };
			struct encoding *c = encodings_find(&e, &k);
			if (c != NULL)
				encoding_release(c);
		}
		assert_true(e.count <= kept);
		encodings_done(&e);
		if (!reached) {
			assert_int_equal(kept, 49);
			return;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_the_service_info_of_the_reference),
		cmocka_unit_test(a_missing_service_is_an_empty_list_with_its_names),
		cmocka_unit_test(under_the_protect_rule_all_are_shown_healthy),
		cmocka_unit_test(details_services_and_namespaces_have_the_shapes_of_the_reference),
		cmocka_unit_test(checkers_show_what_their_kind_has),
		cmocka_unit_test(a_shape_without_memory_is_failed_not_cut),
		cmocka_unit_test(reading_a_request_survives_every_failed_allocation),
		cmocka_unit_test(the_cache_of_bodies_survives_every_failed_allocation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

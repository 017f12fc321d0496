/* The bodies of messages: the short way into an arena and cJSON read the same. */
#include "api/json_tree.h"
#include "base/mem.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char instance[] =
    "{\"headers\":{},\"requestId\":\"7\",\"namespace\":\"public\",\"serviceName\":\"cart\",\"groupName\":\"DEFAULT_GROUP\","
    "\"module\":\"naming\",\"type\":\"registerInstance\",\"instance\":{\"instanceId\":null,\"ip\":\"10.0.0.1\",\"port\":8080,"
    "\"weight\":1.5,\"healthy\":true,\"enabled\":false,\"ephemeral\":true,\"clusterName\":\"DEFAULT\",\"serviceName\":null,"
    "\"metadata\":{\"a\":\"1\",\"\xc3\xa9\":\"\xe4\xb8\xad\"},\"instanceHeartBeatInterval\":5000,\"since\":1700000000000}, "
    "\"list\" : [ 1 , -2.25,\t[],{}, \"x\" ] }\n";

static bool same(const cJSON *a, const cJSON *b)
{
	for (; a != NULL && b != NULL; a = a->next, b = b->next)
		if (a->type != b->type || (a->string == NULL) != (b->string == NULL) ||
		    (a->string != NULL && strcmp(a->string, b->string) != 0) ||
		    (cJSON_IsString(a) && strcmp(a->valuestring, b->valuestring) != 0) ||
		    (cJSON_IsNumber(a) &&
		     (fabs(a->valuedouble - b->valuedouble) > 0 || a->valueint != b->valueint)) ||
		    !same(a->child, b->child))
			return false;
	return a == b;
}

/* What is read of @text, exactly sized on the heap; true: the short way. */
static bool check(const char *text, size_t len)
{
	struct arena mem;
	cJSON *heap;
	char *exact = malloc(len == 0 ? 1 : len);
	assert_non_null(exact);
	memcpy(exact, text, len);
	arena_init(&mem, NULL, 0, 0);
	const cJSON *tree = json_tree_read(&mem, exact, len, &heap);
	cJSON *other = cJSON_ParseWithLength(text, len);
	bool equal = (tree == NULL) == (other == NULL) && (tree == NULL || same(tree, other));
	bool brief = tree != NULL && heap == NULL;
	if (!equal)
		print_error("read otherwise: %.*s\n", (int)len, text);
	cJSON_Delete(other);
	cJSON_Delete(heap);
	arena_done(&mem);
	free(exact);
	assert_true(equal);
	return brief;
}

static void what_sdks_send_takes_the_short_way(void **state)
{
	static const char *const plain[] = {
		instance, "{}", "{\"a\":[]}", "null", "true", "\"\"", "0", "-0", "123456789012345", "0.000001", "4294967296",
		"-2147483648", "-2147483649", "2147483647", "2147483648", "{\"a\":1,\"a\":2}",
		"{\"\":{\"\":{\"\":{\"\":{}}}}}",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (!check(plain[i], strlen(plain[i])))
			fail_msg("not the short way: %s", plain[i]);
}

static void what_is_unusual_is_left_to_cjson(void **state)
{
	static const char *const odd[] = {
		"{\"a\":\"\\u00e9\\n\"}", "1e3", "1.5E-3", "1234567890123456", "[[[[[[[[[[]]]]]]]]]]", "{\"a\":1} x", "01", "+1", ".5",
		"1.", "-", "{\"a\"}", "{a:1}", "[1,]", "{,}", "{\"a\":1,}", "tru", "\"", "[", "{", "{\"a\":", "", " ", "nul",
		"{\"a\":\"\x01\"}", "{\"a\":tru", "\xef\xbb\xbf{}",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		if (check(odd[i], strlen(odd[i])))
			fail_msg("the short way: %s", odd[i]);
	assert_false(check("{\"a\":\"x\0y\"}", 11));
	assert_false(check("{}\0", 3));
}

static void every_truncation_and_changed_byte_reads_as_with_cjson(void **state)
{
	static const char bytes[] = "\"\\{}[]:,0-.e tn\0\x01\xff";
	char text[sizeof(instance)];
	(void)state;
	for (size_t len = 0; len < sizeof(instance); len++)
		check(instance, len);
	for (size_t at = 0; at + 1 < sizeof(instance); at++)
		for (size_t b = 0; b < sizeof(bytes); b++) {
			memcpy(text, instance, sizeof(text));
			text[at] = bytes[b];
			check(text, sizeof(text) - 1);
		}
}

static void without_memory_there_is_no_tree_and_no_leak(void **state)
{
	(void)state;
	for (unsigned nth = 0;; nth++) {
		struct arena mem;
		cJSON *heap;
		arena_init(&mem, NULL, 0, 0);
		mem_fail_at(nth);
		const cJSON *tree = json_tree_read(&mem, instance, sizeof(instance) - 1, &heap);
		bool reached = mem_fail_off();
		cJSON_Delete(heap);
		arena_done(&mem);
		if (!reached) {
			assert_non_null(tree);
			return;
		}
		assert_null(tree);
	}
}

static int setup(void **state)
{
	(void)state;
	mem_hook_libraries();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_sdks_send_takes_the_short_way),
		cmocka_unit_test(what_is_unusual_is_left_to_cjson),
		cmocka_unit_test(every_truncation_and_changed_byte_reads_as_with_cjson),
		cmocka_unit_test(without_memory_there_is_no_tree_and_no_leak),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}

/* test_mem.c - the heap, counted and failable. */
#include "base/mem.h"
#include "tests/base/unit.h"
#include <cjson/cJSON.h>
#include <pthread.h>

static void every_allocation_counts_and_a_free_does_not(void **state)
{
	(void)state;
	uint64_t before = mem_thread_count();
	void *a = mem_alloc(10), *b = mem_zalloc(3, 5), *c = mem_aligned(4096, 100);
	char *d = mem_strdup("text");
	a = mem_realloc(a, 1000);
	assert_int_equal(mem_thread_count() - before, 5);
	assert_string_equal(d, "text");
	assert_int_equal((uintptr_t)c % 4096, 0);
	for (int i = 0; i < 15; i++)
		assert_int_equal(((char *)b)[i], 0);
	mem_free(a);
	mem_free(b);
	mem_free(c);
	mem_free(d);
	mem_free(NULL);
	assert_int_equal(mem_thread_count() - before, 5);
}

static void the_nth_allocation_fails_and_all_after_it(void **state)
{
	(void)state;
	mem_fail_at(1);
	void *a = mem_alloc(1);
	void *b = mem_alloc(1), *c = mem_zalloc(1, 1), *d = mem_realloc(NULL, 1);
	void *e = mem_aligned(64, 1), *f = mem_strdup("");
	assert_true(mem_fail_off());
	assert_non_null(a);
	assert_null(b);
	assert_null(c);
	assert_null(d);
	assert_null(e);
	assert_null(f);
	mem_free(a);
	a = mem_alloc(1);
	assert_non_null(a);
	mem_free(a);
	mem_fail_at(1);
	a = mem_alloc(1);
	assert_false(mem_fail_off()); /* it was not reached */
	mem_free(a);
}

static void an_overflowing_size_is_refused(void **state)
{
	(void)state;
	volatile size_t huge = SIZE_MAX; /* the compiler need not know */
	assert_null(mem_zalloc(huge, 2));
	assert_null(mem_memdup0("", huge));
}

static void *allocate_elsewhere(void *arg)
{
	void *a = mem_alloc(1);
	*(bool *)arg = a != NULL;
	mem_free(a);
	return NULL;
}

static void a_failure_is_of_one_thread_only(void **state)
{
	pthread_t other;
	bool worked = false;
	(void)state;
	mem_fail_at(0);
	pthread_create(&other, NULL, allocate_elsewhere, &worked);
	pthread_join(other, NULL);
	mem_fail_off();
	assert_true(worked);
}

static void cjson_takes_its_memory_here(void **state)
{
	(void)state;
	mem_hook_libraries();
	uint64_t before = mem_thread_count();
	cJSON *tree = cJSON_Parse("{\"a\":[1,2]}");
	assert_non_null(tree);
	assert_true(mem_thread_count() > before);
	cJSON_Delete(tree);
	mem_fail_at(0);
	tree = cJSON_Parse("{}");
	mem_fail_off();
	assert_null(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_counts_and_a_free_does_not),
		cmocka_unit_test(the_nth_allocation_fails_and_all_after_it),
		cmocka_unit_test(an_overflowing_size_is_refused),
		cmocka_unit_test(a_failure_is_of_one_thread_only),
		cmocka_unit_test(cjson_takes_its_memory_here),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Blocks given back are kept by size up to the bound, and none is handed out twice. */
#include "base/mem.h"
#include "base/stock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static bool keeps(void)
{
	struct stock s;
	stock_init(&s, 1); /* 0 in a build that is to see every use after the end */
	return s.kept_max > 0;
}

static void a_block_given_back_serves_the_next_of_its_size(void **state)
{
	struct stock s;
	(void)state;
	stock_init(&s, 4096);
	if (!keeps()) { /* there it goes back to malloc, which watches it */
		stock_free(&s, stock_alloc(&s, 100));
		assert_int_equal(s.kept, 0);
		return;
	}
	void *a = stock_alloc(&s, 100), *b = stock_alloc(&s, 1000);
	stock_free(&s, a);
	stock_free(&s, b);
	uint64_t before = mem_thread_count();
	assert_ptr_equal(stock_alloc(&s, 92), a);
	assert_ptr_equal(stock_alloc(&s, 992), b);
	assert_int_equal(mem_thread_count(), before);
	assert_ptr_not_equal(stock_alloc(&s, 0), a);
	stock_free(&s, a);
	stock_free(&s, b);
	stock_done(&s);
	assert_int_equal(s.kept, 0);
}

static void no_more_is_kept_than_the_bound(void **state)
{
	enum { COUNT = 100 };
	struct stock s;
	void *at[COUNT];
	(void)state;
	stock_init(&s, 10 * 72);
	for (int i = 0; i < COUNT; i++)
		at[i] = stock_alloc(&s, 64);
	for (int i = 0; i < COUNT; i++)
		stock_free(&s, at[i]);
	assert_true(s.kept <= s.kept_max);
	assert_true(!keeps() || s.kept == (size_t)10 * 72);
	stock_done(&s);
}

static void a_block_grows_with_what_is_in_it(void **state)
{
	static const size_t sizes[] = { 1, 64, 65, 4000, 4096, 4097, 10000, 10001, 5 };
	struct stock s;
	(void)state;
	stock_init(&s, 1 << 20);
	unsigned char *at = stock_realloc(&s, NULL, 1);
	*at = 7;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		at = stock_realloc(&s, at, sizes[i]);
		assert_non_null(at);
		assert_int_equal(at[0], 7);
		if (i > 0 && sizes[i] > sizes[i - 1])
			assert_int_equal(at[sizes[i - 1] - 1], 7);
		memset(at, 7, sizes[i]);
	}
	stock_free(&s, at);
	stock_free(&s, NULL);
	stock_done(&s);
}

static void blocks_in_use_never_overlap(void **state)
{
	enum { COUNT = 200, STEPS = 20000 };
	static unsigned char *at[COUNT];
	static size_t len[COUNT];
	struct stock s;
	uint64_t seed = 1;
	(void)state;
	stock_init(&s, 65536);
	for (int step = 0; step < STEPS; step++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		unsigned i = (unsigned)(seed >> 33) % COUNT;
		for (size_t k = 0; k < len[i]; k++)
			assert_int_equal(at[i][k], i);
		if (at[i] != NULL)
			stock_free(&s, at[i]);
		len[i] = (seed >> 41) % 5000;
		at[i] = stock_zalloc(&s, len[i]);
		assert_int_equal((uintptr_t)at[i] % 16, 0);
		for (size_t k = 0; k < len[i]; k++)
			assert_int_equal(at[i][k], 0);
		memset(at[i], (int)i, len[i]);
	}
	for (int i = 0; i < COUNT; i++)
		stock_free(&s, at[i]);
	stock_done(&s);
}

static void without_memory_nothing_is_lost(void **state)
{
	struct stock s;
	(void)state;
	stock_init(&s, 4096);
	char *at = stock_alloc(&s, 10);
	memset(at, 7, 10);
	mem_fail_at(0);
	assert_null(stock_alloc(&s, 10));
	assert_null(stock_zalloc(&s, 10000));
	assert_null(stock_realloc(&s, at, 1000));
	assert_null(stock_alloc(&s, SIZE_MAX));
	mem_fail_off();
	assert_int_equal(at[9], 7);
	stock_free(&s, at);
	stock_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_given_back_serves_the_next_of_its_size),
		cmocka_unit_test(no_more_is_kept_than_the_bound),
		cmocka_unit_test(a_block_grows_with_what_is_in_it),
		cmocka_unit_test(blocks_in_use_never_overlap),
		cmocka_unit_test(without_memory_nothing_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

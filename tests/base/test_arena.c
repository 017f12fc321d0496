/* test_arena.c - memory of one request. */
#include "base/arena.h"
#include "base/mem.h"
#include "tests/base/unit.h"

static void small_requests_touch_no_heap(void **state)
{
	char first[1024];
	struct arena a;
	(void)state;
	uint64_t before = mem_thread_count();
	arena_init(&a, first + 1, sizeof(first) - 1, 0); /* badly aligned on purpose */
	for (int i = 0; i < 20; i++) {
		char *p = arena_alloc(&a, 33);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		assert_true(p >= first && p + 33 <= first + sizeof(first));
		memset(p, i, 33);
	}
	assert_int_equal(mem_thread_count(), before);
	arena_done(&a);
}

static void blocks_never_overlap_and_go_all_at_once(void **state)
{
	enum { N = 2000 };
	static unsigned char *at[N];
	static size_t len[N];
	char first[100];
	struct rng rng;
	struct arena a;
	(void)state;
	unit_seed(&rng);
	arena_init(&a, first, sizeof(first), 0);
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < N; i++) {
			len[i] = rng_below(&rng, rng_below(&rng, 100) == 0 ? 300000 : 200);
			at[i] = arena_alloc(&a, len[i]);
			assert_non_null(at[i]);
			assert_int_equal((uintptr_t)at[i] % 16, 0);
			memset(at[i], (int)(i & 255), len[i]);
		}
		for (unsigned i = 0; i < N; i++)
			for (size_t k = 0; k < len[i]; k++)
				if (at[i][k] != (i & 255))
					fail_msg("block %u was written over", i);
		arena_reset(&a);
		assert_int_equal(a.used, 0);
	}
	arena_done(&a);
}

static void the_limit_is_kept(void **state)
{
	struct arena a;
	(void)state;
	arena_init(&a, NULL, 0, 1000);
	assert_non_null(arena_alloc(&a, 900));
	assert_null(arena_alloc(&a, 200));
	assert_null(arena_alloc(&a, SIZE_MAX - 8));
	assert_non_null(arena_alloc(&a, 16));
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 900));
	assert_null(arena_alloc(&a, 200));
	arena_done(&a);
}

static void texts_are_copied_with_their_end(void **state)
{
	struct arena a;
	(void)state;
	arena_init(&a, NULL, 0, 0);
	assert_string_equal(arena_strdup(&a, "abc"), "abc");
	assert_string_equal(arena_memdup0(&a, "abcdef", 2), "ab");
	assert_string_equal(arena_printf(&a, "%s-%d", "x", 5), "x-5");
	char *zero = arena_zalloc(&a, 64);
	for (int i = 0; i < 64; i++)
		assert_int_equal(zero[i], 0);
	arena_done(&a);
}

static void a_refused_block_leaves_the_arena_usable(void **state)
{
	struct arena a;
	(void)state;
	arena_init(&a, NULL, 0, 0);
	mem_fail_at(0);
	void *p = arena_alloc(&a, 10);
	void *q = arena_strdup(&a, "x"), *r = arena_printf(&a, "%d", 1), *s = arena_zalloc(&a, 9);
	assert_true(mem_fail_off());
	assert_null(p);
	assert_null(q);
	assert_null(r);
	assert_null(s);
	assert_int_equal(a.used, 0);
	assert_non_null(arena_alloc(&a, 10));
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_requests_touch_no_heap),
		cmocka_unit_test(blocks_never_overlap_and_go_all_at_once),
		cmocka_unit_test(the_limit_is_kept),
		cmocka_unit_test(texts_are_copied_with_their_end),
		cmocka_unit_test(a_refused_block_leaves_the_arena_usable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

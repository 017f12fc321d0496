/* test_slab.c - records of mixed sizes, against a naive array of what is handed out. */
#include "base/mem.h"
#include "base/slab.h"
#include "tests/base/unit.h"

enum { SHADOWS = 4000, STEPS = 60000 };

struct shadow {
	unsigned char *at;
	size_t size;
	unsigned char fill;
};

static void check(const struct shadow *s)
{
	for (size_t i = 0; i < s->size; i++)
		if (s->at[i] != s->fill)
			fail_msg("a record of %zu bytes was written over at %zu", s->size, i);
}

static size_t any_size(struct rng *rng)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return 1 + rng_below(rng, SLAB_MAX);
	case 1:
		return SLAB_MAX - 1 + rng_below(rng, 3);
	case 2:
		return 1 + rng_below(rng, 4000);
	default:
		return 150 + rng_below(rng, 80);
	}
}

static void random_gets_and_puts_keep_every_record_whole(void **state)
{
	static struct shadow shadows[SHADOWS];
	struct rng rng;
	(void)state;
	unit_seed(&rng);
	struct slab *slab = slab_new();
	size_t live = 0;
	for (unsigned step = 0; step < STEPS; step++) {
		/* Phases of growing and of shrinking, so that chunks come and go. */
		struct shadow *s = &shadows[rng_below(&rng, SHADOWS)];
		bool grow = (step / 10000) % 2 == 0;
		if (s->at != NULL) {
			if (grow && rng_below(&rng, 3) > 0)
				continue;
			check(s);
			slab_put(slab, s->at, s->size);
			s->at = NULL;
			live--;
		} else if (grow) {
			*s = (struct shadow){ NULL, any_size(&rng), (unsigned char)step };
			s->at = slab_get(slab, s->size);
			assert_non_null(s->at);
			assert_int_equal((uintptr_t)s->at % 16, 0);
			memset(s->at, s->fill, s->size);
			live++;
		}
		assert_int_equal(slab_records(slab), live);
	}
	for (unsigned i = 0; i < SHADOWS; i++)
		if (shadows[i].at != NULL) {
			check(&shadows[i]);
			slab_put(slab, shadows[i].at, shadows[i].size);
			shadows[i].at = NULL;
		}
	assert_int_equal(slab_records(slab), 0);
	assert_int_equal(slab_bytes(slab), 0); /* everything went back */
	slab_free(slab);
}

static void a_chunk_of_one_class_serves_another_when_it_is_free(void **state)
{
	enum { N = 5000 };
	static void *at[N];
	(void)state;
	struct slab *slab = slab_new();
	void *keep = slab_get(slab, 500);
	size_t most = 0;
	for (size_t size = 16; size <= SLAB_MAX; size += 112) {
		for (int i = 0; i < N; i++)
			at[i] = slab_get(slab, size);
		if (slab_bytes(slab) > most)
			most = slab_bytes(slab);
		for (int i = 0; i < N; i++)
			slab_put(slab, at[i], size);
	}
	/* The largest round alone, and the rounding to regions. */
	assert_true(most <= (size_t)N * SLAB_MAX * 11 / 10 + (2 << 20));
	slab_put(slab, keep, 500);
	slab_free(slab);
}

static void a_slab_of_huge_pages_begins_small_and_gives_everything_back(void **state)
{
	enum { N = 3000, LEN = 1024 };
	static char *at[N];
	(void)state;
	struct slab *slab = slab_new_huge();
	at[0] = slab_get(slab, LEN);
	assert_int_equal(slab_bytes(slab), 1 << 20);
	for (int i = 1; i < N; i++)
		at[i] = slab_get(slab, LEN);
	assert_int_equal(slab_bytes(slab), (1 << 20) + MEM_HUGE);
	for (int i = 0; i < N; i++) {
		assert_int_equal((uintptr_t)at[i] % 64, 0);
		memset(at[i], i & 255, LEN);
	}
	for (int i = 0; i < N; i++) {
		assert_int_equal(at[i][LEN - 1] & 255, i & 255);
		slab_put(slab, at[i], LEN);
	}
	assert_int_equal(slab_bytes(slab), 0);
	slab_free(slab);
	mem_fail_at(0);
	assert_null(slab_new_huge());
	assert_true(mem_fail_off());
}

static void at_the_edge_of_a_region_none_comes_and_goes(void **state)
{
	enum { N = 5000, LEN = 1024 };
	static void *at[N];
	(void)state;
	struct slab *slab = slab_new();
	size_t n = 0;
	while (slab_bytes(slab) <= 1 << 20)
		at[n++] = slab_get(slab, LEN);
	uint64_t before = mem_thread_count();
	for (int i = 0; i < 1000; i++) {
		slab_put(slab, at[n - 1], LEN);
		assert_int_equal(slab_bytes(slab), 2 << 20);
		at[n - 1] = slab_get(slab, LEN);
	}
	assert_int_equal(mem_thread_count(), before);
	while (n < N)
		at[n++] = slab_get(slab, LEN);
	assert_int_equal(slab_bytes(slab), 5 << 20);
	while (n > 1)
		slab_put(slab, at[--n], LEN);
	assert_int_equal(slab_bytes(slab), 2 << 20); /* that of the first, and one */
	slab_put(slab, at[0], LEN);
	assert_int_equal(slab_bytes(slab), 0);
	slab_free(slab);
}

static void freeing_the_slab_frees_what_is_out(void **state)
{
	(void)state;
	struct slab *slab = slab_new();
	for (int i = 0; i < 1000; i++)
		assert_non_null(slab_get(slab, 200));
	slab_free(slab);
	slab_free(NULL);
}

static void a_refused_chunk_changes_nothing(void **state)
{
	(void)state;
	mem_fail_at(0);
	struct slab *slab = slab_new();
	assert_true(mem_fail_off());
	assert_null(slab);
	slab = slab_new();
	for (unsigned nth = 0; nth < 2; nth++) {
		mem_fail_at(nth);
		void *record = slab_get(slab, 100);
		assert_true(mem_fail_off());
		assert_null(record);
		assert_int_equal(slab_records(slab), 0);
		assert_int_equal(slab_bytes(slab), 0);
	}
	mem_fail_at(0);
	void *big = slab_get(slab, SLAB_MAX + 1);
	assert_true(mem_fail_off());
	assert_null(big);
	void *record = slab_get(slab, 100);
	assert_non_null(record);
	slab_put(slab, record, 100);
	slab_free(slab);
}

static void a_record_of_whole_cache_lines_stands_at_a_cache_line(void **state)
{
	(void)state;
	struct slab *slab = slab_new();
	for (size_t size = 64; size <= SLAB_MAX; size += 64)
		for (int i = 0; i < 100; i++)
			assert_int_equal((uintptr_t)slab_get(slab, size) % 64, 0);
	slab_free(slab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_gets_and_puts_keep_every_record_whole),
		cmocka_unit_test(a_chunk_of_one_class_serves_another_when_it_is_free),
		cmocka_unit_test(a_slab_of_huge_pages_begins_small_and_gives_everything_back),
		cmocka_unit_test(at_the_edge_of_a_region_none_comes_and_goes),
		cmocka_unit_test(freeing_the_slab_frees_what_is_out),
		cmocka_unit_test(a_record_of_whole_cache_lines_stands_at_a_cache_line),
		cmocka_unit_test(a_refused_chunk_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

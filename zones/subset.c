/* subset.c - choosing and caching. A cache line is written under a sequence number: whoever finds it stale and gets
 * the odd number writes it; everybody else computes for himself. */
#include "zones/subset.h"
#include "base/mem.h"
#include <string.h>

struct subset_line {
	_Atomic uint32_t sequence; /* odd: being written */
	_Atomic uint32_t count;
	_Atomic uint64_t window; /* + 1; 0: never written */
	_Atomic uint32_t chosen[];
};

struct subset_cache {
	uint32_t cap;
	struct subset_line lines[]; /* one a bucket, of line_size(cap) */
};

static size_t line_size(uint32_t cap)
{
	return (sizeof(struct subset_line) + cap * sizeof(uint32_t) + 7) / 8 * 8;
}

static struct subset_line *line_of(struct subset_cache *c, uint32_t bucket)
{
	return (struct subset_line *)(void *)((char *)c->lines + bucket * line_size(c->cap));
}

void subset_cache_free(struct subset_cache *c)
{
	mem_free(c);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t p = (__uint128_t)a * b;
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

float subset_log2(uint32_t h)
{
	uint32_t above = UINT32_MAX - h, bits;
	if (above < 1u << 29) {
		/* near 1, where the best of many lie, relative accuracy counts: -ln(1 - y) as a series */
		float y = ((float)above + 0.5f) * 0x1p-32f;
		return -1.442695f * y * (1.0f + y * (0.5f + y * (0.3333333f + y * 0.25f)));
	}
	float x = ((float)h + 0.5f) * 0x1p-32f, m;
	memcpy(&bits, &x, 4);
	int exponent = (int)(bits >> 23) - 127;
	bits = (bits & 0x7fffff) | 0x3f800000;
	memcpy(&m, &bits, 4);
	/* (m - 1) * q(m), q interpolated at the five Chebyshev nodes of [1, 2]: error below 6e-5 */
	float q = 2.8836856f + m * (-2.5078816f + m * (1.4678977f + m * (-0.4597628f + m * 0.05866494f)));
	return (float)exponent + (m - 1.0f) * q;
}

/* Not keyed by the process: every node of a cluster chooses the same. */
static float score4(const struct blob_v4 *a, uint64_t seed)
{
	uint32_t addr;
	memcpy(&addr, a->addr, 4);
	uint64_t h = mix(seed ^ addr, 0x9e3779b97f4a7c15u);
	return subset_log2((uint32_t)(mix(h, 0xd6e8feb86659fd93u) >> 32)) / a->weight;
}

static float score6(const struct blob_v6 *a, uint64_t seed)
{
	uint64_t addr[2];
	memcpy(addr, a->addr, 16);
	uint64_t h = mix(mix(seed ^ addr[0], 0x9e3779b97f4a7c15u) ^ addr[1], 0xa0761d6478bd642fu);
	return subset_log2((uint32_t)(mix(h, 0xd6e8feb86659fd93u) >> 32)) / a->weight;
}

/* The @cap best of all, best (nearest to 0) first. */
static uint32_t rank(const struct blob *b, int family, uint64_t seed, uint32_t cap, uint32_t *ret)
{
	float best[BLOB_CAP_MAX];
	uint32_t n = family == 4 ? b->n4 : b->n6, kept = 0;
	const struct blob_v6 *v6 = blob_v6(b);
	for (uint32_t i = 0; i < n; i++) {
		float score = family == 4 ? score4(&b->v4[i], seed) : score6(&v6[i], seed);
		if (kept == cap && score <= best[kept - 1])
			continue;
		uint32_t at = kept < cap ? kept++ : kept - 1;
		for (; at > 0 && best[at - 1] < score; at--) {
			best[at] = best[at - 1];
			ret[at] = ret[at - 1];
		}
		best[at] = score;
		ret[at] = i;
	}
	return kept;
}

static bool line_read(struct subset_line *l, uint64_t window, uint32_t n, uint32_t *ret, uint32_t *count)
{
	uint32_t before = atomic_load_explicit(&l->sequence, memory_order_acquire);
	if ((before & 1) != 0 ||
	    atomic_load_explicit(&l->window, memory_order_acquire) != window + 1)
		return false;
	uint32_t held = atomic_load_explicit(&l->count, memory_order_acquire);
	*count = held < n ? held : n;
	for (uint32_t i = 0; i < *count; i++)
		ret[i] = atomic_load_explicit(&l->chosen[i], memory_order_acquire);
	return atomic_load_explicit(&l->sequence, memory_order_relaxed) == before;
}

static void line_write(struct subset_line *l, uint64_t window, const uint32_t *chosen, uint32_t count)
{
	uint32_t before = atomic_load_explicit(&l->sequence, memory_order_relaxed);
	if ((before & 1) != 0 ||
	    !atomic_compare_exchange_strong_explicit(&l->sequence, &before, before + 1,
						     memory_order_acquire, memory_order_relaxed))
		return;
	/* released one by one, so that who sees a new number also sees the odd sequence */
	atomic_store_explicit(&l->window, window + 1, memory_order_release);
	atomic_store_explicit(&l->count, count, memory_order_release);
	for (uint32_t i = 0; i < count; i++)
		atomic_store_explicit(&l->chosen[i], chosen[i], memory_order_release);
	atomic_store_explicit(&l->sequence, before + 2, memory_order_release);
}

static uint32_t buckets_of(const struct blob *b)
{
	return b->mode == SELECT_HASH ? BLOB_HASH_BUCKETS : BLOB_BUCKETS;
}

static uint32_t chosen_max(const struct blob *b)
{
	return b->mode == SELECT_HASH ? 1 : b->cap;
}

/* The blob's cache, made by whoever needs it first; NULL: no memory, then nothing is kept. */
static struct subset_cache *cache_of(struct blob *b, int slot)
{
	struct subset_cache *c = atomic_load_explicit(&b->subset[slot], memory_order_acquire), *none = NULL;
	if (c != NULL)
		return c;
	uint32_t cap = chosen_max(b);
	c = mem_zalloc(1, sizeof(*c) + buckets_of(b) * line_size(cap));
	if (c == NULL)
		return NULL;
	c->cap = cap;
	if (atomic_compare_exchange_strong(&b->subset[slot], &none, c))
		return c;
	mem_free(c);
	return none;
}

uint32_t subset_choose(struct blob *b, int family, uint64_t client, uint64_t window, uint32_t n, uint32_t *ret)
{
	uint32_t all = family == 4 ? b->n4 : b->n6, count;
	uint32_t bucket = (uint32_t)(client % buckets_of(b)), cap = chosen_max(b);
	uint64_t seed = mix(window * buckets_of(b) + bucket + 1, 0xe7037ed1a0b428dbu);
	n = n < cap ? n : cap;
	if (all <= 8) { /* cheaper than the cache */
		count = rank(b, family, seed, all, ret);
		return count < n ? count : n;
	}
	struct subset_cache *c = cache_of(b, family == 6);
	struct subset_line *line = c == NULL ? NULL : line_of(c, bucket);
	if (line != NULL && line_read(line, window, n, ret, &count))
		return count;
	count = rank(b, family, seed, cap, ret);
	if (line != NULL)
		line_write(line, window, ret, count);
	return count < n ? count : n;
}

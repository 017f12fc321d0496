/* hash.c - see hash.h. The seed is a base singleton, drawn by whoever hashes first. */
#define XXH_INLINE_ALL
#include "base/hash.h"
#include "base/random.h"
#include <stdatomic.h>
#include <xxhash.h>

static _Atomic uint64_t seed; /* 0: not drawn yet */

static uint64_t draw(void)
{
	uint64_t fresh, old = 0;
	do
		random_bytes(&fresh, sizeof(fresh));
	while (fresh == 0);
	return atomic_compare_exchange_strong(&seed, &old, fresh) ? fresh : old;
}

uint64_t hash_seed(void)
{
	uint64_t s = atomic_load_explicit(&seed, memory_order_relaxed);
	return __builtin_expect(s != 0, 1) ? s : draw();
}

uint64_t hash_bytes(const void *from, size_t len)
{
	return XXH3_64bits_withSeed(from, len, hash_seed());
}

uint64_t hash_more(uint64_t h, const void *from, size_t len)
{
	return XXH3_64bits_withSeed(from, len, h + hash_seed());
}

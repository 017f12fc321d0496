/* random.h - fast random numbers, not for secrets, and the system's for seeds and ids. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t s[4]; /* xoshiro256** */
};

void rng_seed(struct rng *r, uint64_t seed); /* repeatable */
void rng_seed_system(struct rng *r);

static inline uint64_t rng_rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t *s = r->s, out = rng_rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rng_rotl(s[3], 45);
	return out;
}

/* 0..n-1 without division, n > 0. */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)((uint64_t)(uint32_t)(rng_next(r) >> 32) * n >> 32);
}

void random_bytes(void *to, size_t len); /* getrandom(2) */
void random_uuid(char to[37]);

#endif

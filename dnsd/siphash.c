/* siphash.c - the paper's figure 2.1: two rounds a word, four at the end. */
#include "dnsd/siphash.h"
#include <endian.h>
#include <string.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t left(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = left(s->v1, 13) ^ s->v0;
	s->v3 = left(s->v3, 16) ^ s->v2;
	s->v0 = left(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = left(s->v1, 17) ^ s->v2;
	s->v3 = left(s->v3, 21) ^ s->v0;
	s->v2 = left(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

static inline uint64_t word(const uint8_t *at)
{
	uint64_t w;
	memcpy(&w, at, sizeof(w));
	return le64toh(w);
}

uint64_t siphash24(const uint8_t key[16], const uint8_t *at, size_t len)
{
	uint64_t k0 = word(key), k1 = word(key + 8), last = (uint64_t)len << 56;
	struct sip s = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
			 k1 ^ 0x7465646279746573u };
	for (; len >= 8; len -= 8, at += 8)
		sip_word(&s, word(at));
	for (size_t i = 0; i < len; i++)
		last |= (uint64_t)at[i] << 8 * i;
	sip_word(&s, last);
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

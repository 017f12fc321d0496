/* random.c - see random.h. */
#include "base/random.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* splitmix64: spreads one number over the four words, so that none of them is all zero. */
void rng_seed(struct rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9E3779B97F4A7C15;
		z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
		z = (z ^ z >> 27) * 0x94D049BB133111EB;
		r->s[i] = z ^ z >> 31;
	}
}

void rng_seed_system(struct rng *r)
{
	uint64_t seed;
	random_bytes(&seed, sizeof(seed));
	rng_seed(r, seed);
}

void random_bytes(void *to, size_t len)
{
	char *at = to;
	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);
		if (n < 0 && errno != EINTR)
			abort(); /* no randomness: nothing of ours is safe to go on with */
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
}

void random_uuid(char to[37])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char b[16];
	random_bytes(b, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0F) | 0x40); /* version 4, RFC 4122 4.4 */
	b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
	char *at = to;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = hex[b[i] >> 4];
		*at++ = hex[b[i] & 15];
	}
	*at = '\0';
}

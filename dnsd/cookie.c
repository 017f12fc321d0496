/* cookie.c - version 1 of RFC 9018: client's part (8), version, 3 reserved octets, time (4), hash (8). */
#include "dnsd/cookie.h"
#include "base/mem.h"
#include "dnsd/siphash.h"
#include <string.h>

enum {
	VERSION = 1,
	VERSION_AT = 8,
	TIME_AT = 12,
	HASH_AT = 16,
	PAST_SEC = 3600,   /* accepted until then (RFC 9018, 4.3) */
	FUTURE_SEC = 300,
	FRESH_SEC = 1800, /* given back as it is until then */
};

struct cookie_secrets *cookie_secrets_new(const uint8_t (*keys)[COOKIE_SECRET_LEN], unsigned count)
{
	struct cookie_secrets *s = mem_zalloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->count = count;
	memcpy(s->key, keys, count * COOKIE_SECRET_LEN);
	return s;
}

void cookie_secrets_free(struct cookie_secrets *s)
{
	mem_free(s);
}

const struct cookie_secrets *cookie_secrets_read(const struct cookie_slot *slot)
{
	return slot == NULL ? NULL : rcu_read(&((struct cookie_slot *)(uintptr_t)slot)->now);
}

/* The hash over all that stands before it, reserved octets as they are, and the client's address. */
static void hash(uint8_t to[8], const uint8_t *cookie, const struct client *from, const uint8_t key[COOKIE_SECRET_LEN])
{
	uint8_t in[HASH_AT + sizeof(from->addr)];
	memcpy(in, cookie, HASH_AT);
	memcpy(in + HASH_AT, from->addr, sizeof(from->addr));
	uint64_t h = siphash24(key, in, HASH_AT + (size_t)from->addr_len);
	for (int i = 0; i < 8; i++, h >>= 8)
		to[i] = (uint8_t)h;
}

static uint32_t time_of(const uint8_t *cookie)
{
	const uint8_t *t = cookie + TIME_AT;
	return (uint32_t)t[0] << 24 | (uint32_t)t[1] << 16 | (uint32_t)t[2] << 8 | t[3];
}

static void sign(uint8_t *cookie, const struct client *from, uint32_t now_sec, const struct cookie_secrets *s)
{
	cookie[VERSION_AT] = VERSION;
	memset(cookie + VERSION_AT + 1, 0, 3);
	for (int i = 0; i < 4; i++)
		cookie[TIME_AT + i] = (uint8_t)(now_sec >> 8 * (3 - i));
	hash(cookie + HASH_AT, cookie, from, s->key[0]);
}

/* Which secret signed it; @s->count: none of ours, or not now. */
static unsigned signer(const uint8_t *cookie, const struct client *from, int32_t age_sec, const struct cookie_secrets *s)
{
	uint8_t right[8];
	unsigned nth = 0;
	if (cookie[VERSION_AT] != VERSION || age_sec > PAST_SEC || age_sec < -FUTURE_SEC)
		return s->count;
	for (; nth < s->count; nth++) {
		hash(right, cookie, from, s->key[nth]);
		uint8_t differs = 0; /* not memcmp: its time would tell how much is right */
		for (int i = 0; i < 8; i++)
			differs |= right[i] ^ cookie[HASH_AT + i];
		if (differs == 0)
			break;
	}
	return nth;
}

enum cookie_state cookie_check(uint8_t cookie[COOKIE_MAX], size_t len, const struct client *from, uint32_t now_sec,
			       const struct cookie_secrets *s)
{
	enum cookie_state state = len == COOKIE_CLIENT_LEN ? COOKIE_CLIENT : COOKIE_WRONG;
	if (len == COOKIE_LEN) {
		int32_t age_sec = (int32_t)(now_sec - time_of(cookie)); /* serial arithmetic */
		unsigned nth = signer(cookie, from, age_sec, s);
		if (nth == 0 && age_sec <= FRESH_SEC)
			return COOKIE_GOOD;
		if (nth < s->count)
			state = COOKIE_GOOD;
	}
	sign(cookie, from, now_sec, s);
	return state;
}

/* Of two runs of octets, in a time that does not tell where they differ. */
static inline uint64_t difference(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint64_t differs = 0;
	for (size_t i = 0; i + 8 <= len; i += 8) {
		uint64_t x, y;
		memcpy(&x, a + i, 8);
		memcpy(&y, b + i, 8);
		differs |= x ^ y;
	}
	return differs;
}

static bool is_seen(const struct cookie_seen *c, const uint8_t *cookie, const struct client *from, const struct cookie_secrets *s)
{
	uint64_t differs = difference(c->cookie, cookie, COOKIE_LEN) | difference(c->key, s->key[0], COOKIE_SECRET_LEN);
	if (from->addr_len == 0 || c->addr_len != from->addr_len)
		return false;
	uint32_t a, b;
	memcpy(&a, c->addr, 4);
	memcpy(&b, from->addr, 4);
	return (differs | (a ^ b) | (from->addr_len == 16 ? difference(c->addr, from->addr, 16) : 0)) == 0;
}

enum cookie_state cookie_recall(struct cookie_memo *memo, uint8_t cookie[COOKIE_MAX], size_t len, const struct client *from,
				uint32_t now_sec, const struct cookie_secrets *s)
{
	struct cookie_seen *c = &memo->seen[cookie[0] % COOKIE_MEMO];
	uint8_t shown[COOKIE_LEN];
	if (len == COOKIE_LEN && is_seen(c, cookie, from, s)) {
		int32_t age_sec = (int32_t)(now_sec - time_of(cookie));
		if (age_sec <= FRESH_SEC && age_sec >= -FUTURE_SEC)
			return COOKIE_GOOD;
	}
	memcpy(shown, cookie, COOKIE_LEN);
	enum cookie_state state = cookie_check(cookie, len, from, now_sec, s);
	if (state != COOKIE_GOOD || memcmp(shown, cookie, COOKIE_LEN) != 0)
		return state; /* what is given back as it is was signed by the first key, and is fresh */
	memcpy(c->cookie, cookie, COOKIE_LEN);
	memcpy(c->key, s->key[0], COOKIE_SECRET_LEN);
	memcpy(c->addr, from->addr, sizeof(c->addr));
	c->addr_len = from->addr_len;
	return state;
}

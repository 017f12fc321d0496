/* cookie.h - DNS cookies (RFC 7873, RFC 9018, dns.md 3.3): who shows the one that we gave to its address has not spoofed
 * it. Nothing is kept per client: a cookie is a hash with one of our secrets. The secrets are immutable, published under
 * RCU and replaced by the control thread; DNS workers read them. */
#ifndef DNSD_COOKIE_H
#define DNSD_COOKIE_H

#include "base/rcu.h"
#include "dnsd/client.h"

enum {
	COOKIE_CLIENT_LEN = 8,	/* the client's part */
	COOKIE_LEN = 24,	/* with ours */
	COOKIE_MAX = 40,	/* with another server's */
	COOKIE_SECRET_LEN = 16,
	COOKIE_SECRETS = 2,
};

struct cookie_secrets {
	struct rcu_head reap;
	unsigned count; /* 1..COOKIE_SECRETS */
	uint8_t key[COOKIE_SECRETS][COOKIE_SECRET_LEN]; /* the first signs, each is accepted */
};

/* What all workers look at. */
struct cookie_slot {
	_Atomic(struct cookie_secrets *) now;
};

/* Copies @count (1..COOKIE_SECRETS) keys. Control thread. NULL: no memory. */
struct cookie_secrets *cookie_secrets_new(const uint8_t (*keys)[COOKIE_SECRET_LEN], unsigned count);
void cookie_secrets_free(struct cookie_secrets *s);
/* NULL: cookies are neither checked nor given. Inside an RCU section. */
const struct cookie_secrets *cookie_secrets_read(const struct cookie_slot *slot);

enum cookie_state {
	COOKIE_NONE,   /* the query has none, or we give none */
	COOKIE_CLIENT, /* the client's part alone */
	COOKIE_WRONG,  /* too old, of another address, or not ours */
	COOKIE_GOOD,
	COOKIE_STATES
};

/* Judges the @len octets (8, or 16..COOKIE_MAX) at @cookie that came from @from, and leaves there the COOKIE_LEN octets
 * of the answer: the client's part and what it should show next time. */
enum cookie_state cookie_check(uint8_t cookie[COOKIE_MAX], size_t len, const struct client *from, uint32_t now_sec,
			       const struct cookie_secrets *s);

/* Cookies of ours that were good lately, of one worker: a resolver shows the same one with every question, and need not
 * have it hashed every time. Zeroed at first; what it remembers holds as long as the key that signed it signs. */
enum { COOKIE_MEMO = 32 };
struct cookie_memo {
	struct cookie_seen {
		uint8_t cookie[COOKIE_LEN], key[COOKIE_SECRET_LEN], addr[16];
		uint8_t addr_len; /* 0: nothing is remembered here */
	} seen[COOKIE_MEMO]; /* by the first octet of the client's part */
};
/* The same as cookie_check(). */
enum cookie_state cookie_recall(struct cookie_memo *memo, uint8_t cookie[COOKIE_MAX], size_t len, const struct client *from,
				uint32_t now_sec, const struct cookie_secrets *s);

#endif

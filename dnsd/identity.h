/* identity.h - what the server says of itself when it is asked: the name of NSID (RFC 5001), and the CHAOS class (RFC
 * 4892, dns.md 2.9). Immutable, published under RCU, replaced by a reload; DNS workers read it. */
#ifndef DNSD_IDENTITY_H
#define DNSD_IDENTITY_H

#include "base/rcu.h"
#include "dnsd/question.h"

enum { IDENTITY_MAX = 64 }; /* bytes of one text: with the longest question it fits 512 octets */

struct identity {
	struct rcu_head reap;
	uint8_t nsid_len, version_len; /* 0: it is not told */
	char nsid[IDENTITY_MAX], version[IDENTITY_MAX];
};

/* What all workers look at. */
struct identity_slot {
	_Atomic(struct identity *) now;
};

/* @nsid and @version: at most IDENTITY_MAX bytes, NULL or "": not told. Control thread. NULL: no memory. */
struct identity *identity_new(const char *nsid, const char *version);
void identity_free(struct identity *id);
/* What is told now, NULL: nothing. Inside an RCU section. */
const struct identity *identity_read(const struct identity_slot *slot);

/* The answer to a question of class CHAOS, its frame begun. Sets @a->rcode and @a->ede. */
void identity_answer(struct dns_answer *a, const struct dns_query *q, const struct identity *id);

#endif

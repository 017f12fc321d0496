/* answer.h - writing one answer: the pieces that several kinds of answers share. Private to zones/; DNS workers. */
#ifndef ZONES_ANSWER_H
#define ZONES_ANSWER_H

#include "zones/zone.h"

struct reply { /* one answer under way */
	const struct zone_set *zs;
	const struct zone *zone;
	const struct dns_query *q;
	struct dns_answer *a;
	struct rng *rng;
	unsigned name_at; /* the name in the message: the question's, or what a chain has led to */
	unsigned steps;	  /* of a chain */
	const struct reply *before; /* the step before this one; NULL: this is the question's */
	const struct static_zone *file; /* of the zone; NULL: it has none */
};

enum { RR_FIXED = 12, POINTER_END = 0x4000 };

/* A pointer to the name that is answered. */
static inline unsigned reply_owner(const struct reply *r)
{
	return 0xc000 | r->name_at;
}

static inline uint8_t *put16(uint8_t *to, unsigned v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
	return to + 2;
}

static inline uint8_t *put32(uint8_t *to, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(to, &v, 4);
	return to + 4;
}

static inline uint8_t *put_rr(uint8_t *to, unsigned owner, unsigned type, uint32_t ttl, unsigned rdlength)
{
	to = put16(put16(put16(to, owner), type), 1 /* IN */);
	return put16(put32(to, ttl), rdlength);
}

/* Set again by a reload while answers are written: each is read once, whole. */
static inline uint32_t ttl_read(const uint32_t *ttl)
{
	return __atomic_load_n(ttl, __ATOMIC_RELAXED);
}

static inline uint32_t reply_ttl(const struct reply *r, const struct blob *b)
{
	return b->ttl == TTL_OF_SETTINGS ? ttl_read(&r->zs->conf.ttl) : b->ttl;
}

/* These would stand beside the CNAME (RFC 4034, 3 and 4; RFC 4035, 2.5): it does not lead to them. */
static inline bool is_beside_cname(unsigned type)
{
	return type == RR_RRSIG || type == RR_NSEC;
}

static inline size_t reply_room(const struct reply *r)
{
	return r->a->w.full ? 0 : (size_t)(r->a->w.end - r->a->w.at);
}

void reply_truncate(struct reply *r); /* TC with nothing in it */
void reply_nodata(struct reply *r);   /* with the SOA, or TC */
void reply_servfail(struct reply *r, int ede);
void reply_target(struct reply *r, const struct target *t); /* what the registry has */
/* static_answer.c: @target, @len octets of wire form that stand in the message too, at @place, is what the name is an alias
 * of: it is asked for in its turn if it is ours, and its records are added. */
void reply_chase(struct reply *r, const uint8_t *target, size_t len, size_t place);
void reply_name(struct reply *r); /* @r->zone is that of @r->q, which has gone through the first stages */

/* answer_set.c: of a service, a cluster, its ports, its hosts. */
void reply_addresses(struct reply *r, struct blob *b, int family);
void reply_srv(struct reply *r, const struct blob *b, const struct blob_group *g); /* NULL: every port */
/* At most @max of the addresses that an answer has now into @to; returns how many. */
uint32_t reply_choose(struct reply *r, struct blob *b, int family, uint32_t max, uint8_t *to);
bool reply_record(struct reply *r, unsigned type, uint32_t ttl, const void *rdata, size_t len);
/* answer_svcb.c: of a set (@g NULL: all its ports), or at the name of a port. The query's type: HTTPS, SVCB. */
void reply_svcb(struct reply *r, struct blob *b, const struct blob_group *g, bool at_port);
void reply_srv_of_host(struct reply *r, const struct blob *b, uint32_t host);

#endif

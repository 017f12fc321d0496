/* rate_limit.h - how many answers over UDP a network gets, so that nobody is flooded with ours by who writes his address on
 * questions (dns.md 3.4). A network over its limit is told to come by TCP, or to show a cookie: who really is there can.
 * Who has shown that already (TCP, TLS, a good cookie), and private networks, which nobody outside can pretend to be in,
 * are not limited. The settings are immutable, published under RCU and replaced by the control thread; DNS workers read
 * them. */
#ifndef DNSD_RATE_LIMIT_H
#define DNSD_RATE_LIMIT_H

#include "base/cidr.h"
#include "base/rcu.h"
#include "dnsd/rate_table.h"

struct rate_conf {
	uint32_t per_second;	/* answers to one address; 0: as many as are asked for */
	uint32_t slip;		/* of those over it every so many gets the short answer, the others none; 0: none does */
	uint32_t errors;	/* error answers of one worker to everybody; 0: as many as are due */
	bool near;		/* private networks are limited too */
	struct cidr_list allow; /* these never are; copied */
};

struct rate_policy {
	struct rcu_head reap;
	uint32_t per_second, slip, errors;
	bool near;
	struct rate_costs costs;
	size_t allow_count;
	struct cidr allow[];
};

/* What all workers look at. */
struct rate_limiter {
	_Atomic(struct rate_policy *) now;
	struct rate_table *table;
};

/* Control thread. NULL: no memory. */
struct rate_policy *rate_policy_new(const struct rate_conf *conf);
void rate_policy_free(struct rate_policy *p);
/* NULL: nobody is limited. Inside an RCU section. */
static inline const struct rate_policy *rate_policy_read(const struct rate_limiter *l)
{
	return l == NULL ? NULL : rcu_read(&((struct rate_limiter *)(uintptr_t)l)->now);
}
/* Is this client limited at all? */
static inline bool rate_policy_holds(const struct rate_policy *p, const struct client *from)
{
	return p != NULL && (!from->near || p->near) && p->per_second > 0;
}
bool rate_policy_allows(const struct rate_policy *p, const struct client *from); /* by its list */

/* One worker's part. */
struct rate_state {
	uint32_t limited; /* answers, for the slip */
	uint32_t errors;  /* of @second */
	int64_t second;
};

bool rate_state_slips(struct rate_state *s, const struct rate_policy *p); /* one over the limit: is it told? */
bool rate_state_error(struct rate_state *s, const struct rate_policy *p, int64_t now_ms); /* may one more be sent? */

#endif

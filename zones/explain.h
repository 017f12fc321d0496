/* explain.h - what DNS makes of a service and of its instances, and why: for operators. It reads what was compiled, so
 * it tells what is answered, not what should be. Control thread. */
#ifndef ZONES_EXPLAIN_H
#define ZONES_EXPLAIN_H

#include "zones/zone_set.h"

struct dns_explained {
	uint32_t addresses; /* that may be answered */
	uint32_t at_most;   /* of them in one answer; the choice is stable for a client */
	uint32_t ttl_sec;
	bool servfail;	    /* none is well, and the policy says that this is no answer */
};

/* false: it has no answers (yet). */
bool zone_set_explain(const struct zone_set *zs, const struct service_view *v, struct dns_explained *ret);
struct dns_instance_explained {
	bool answered, address_answered; /* its address and port; its address, perhaps only since another instance has it */
	const char *why;		 /* or why not: a sentence that lives for ever */
};
void zone_set_explain_instance(const struct zone_set *zs, const struct service_view *v, const struct instance *i,
			       struct dns_instance_explained *ret);
/* Every name under which the service is answered, as zone files write it, the shortest of each zone first; of an address
 * (@i not NULL) its own names below them. */
void zone_set_explain_names(const struct zone_set *zs, const struct service_view *v, const struct instance *i,
			    void (*each)(void *arg, const char *name), void *arg);

#endif

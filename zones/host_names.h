/* host_names.h - instances whose ip is a host name (dns.md 2.8): the names that services have, and the addresses that a
 * resolver outside has found for them. A name is looked for as long as a service has it. Names inside our own zones are
 * not: they would keep themselves alive. Control thread. */
#ifndef ZONES_HOST_NAMES_H
#define ZONES_HOST_NAMES_H

#include "base/map.h"
#include "zones/zone_set.h"

enum { HOST_ADDRESSES_MAX = 16 };

struct host_name {
	uint32_t refs; /* services that have it */
	uint32_t count;
	struct host_address addresses[HOST_ADDRESSES_MAX];
	bool own;      /* inside our zones */
	bool home;     /* an alias of a name inside our zones */
	bool stale;    /* the resolver has no answer now; these were the last */
	bool looked_up; /* at least once */
	uint8_t wire_len;
	uint8_t wire[DNS_NAME_MAX]; /* folded */
	char text[]; /* as in the wire form, without the last dot */
};

struct host_names {
	struct map map;
	const struct zone_set *zones;
	const struct host_names *before; /* of the set that this one is made beside: what it has found; NULL: none */
};

void host_names_init(struct host_names *h, const struct zone_set *zones);
void host_names_done(struct host_names *h);
/* The name of an instance's @ip, made if it is new. E_RANGE: it is no host name. E_NOMEM. */
int host_names_get(struct host_names *h, struct host_name **ret, const char *ip);
struct host_name *host_names_find(const struct host_names *h, const char *ip); /* NULL: nobody has it, or no name */
/* One service more, or less, has it: tells the resolver of the first and the last, who frees it. */
void host_names_hold(struct host_names *h, struct host_name *n);
void host_names_drop(struct host_names *h, struct host_name *n);
/* All of @h are wanted, and those of @before alone no longer. */
void host_names_settle(struct host_names *h, const struct host_names *before);

#endif

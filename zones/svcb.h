/* svcb.h - data of HTTPS and SVCB records (RFC 9460; dns.md 2.3) of services that ask for them by metadata: dns.https,
 * dns.svcb, dns.alpn. Instances that are all alike are one record, which points at the owner and has the addresses as
 * hints; otherwise each has one that points at its own name. Any thread. Private to zones/. */
#ifndef ZONES_SVCB_H
#define ZONES_SVCB_H

#include "zones/zone.h"

enum {
	SVCB_HINTS_MAX = 16, /* of one family */
	SVCB_ONE_MAX = 2 + DNS_NAME_MAX + 4 + ALPN_MAX + 4 + 2 + 4 + 4 * SVCB_HINTS_MAX + 4 + 16 * SVCB_HINTS_MAX,
	SVCB_EACH_MAX = 2 + DNS_NAME_MAX + 4 + ALPN_MAX + 4 + 2 + 4 + 16,
};

struct svcb_set {
	const struct blob *blob;
	const struct blob_group *group; /* of its SRV entries */
	const struct zone *zone;
	unsigned type; /* RR_HTTPS, RR_SVCB */
};

struct svcb_hints { /* runs of addresses */
	const uint8_t *v4, *v6;
	uint32_t n4, n6;
};

/* @g NULL: the whole set. */
static inline struct svcb_set svcb_set_of(const struct blob *b, const struct blob_group *g, const struct zone *z,
					  unsigned type)
{
	return (struct svcb_set){ b, g != NULL ? g : &blob_groups(b)[GROUP_DEFAULT_TCP], z, type };
}

bool svcb_wanted(const struct blob *b, unsigned type); /* has the service asked for records of that type? */
uint32_t svcb_entries(const struct svcb_set *s);
const struct blob_srv *svcb_entry(const struct svcb_set *s, uint32_t i);
bool svcb_is_one(const struct svcb_set *s); /* of one entry at least */
/* The data of the one record, at most SVCB_ONE_MAX octets; of entry @i, at most SVCB_EACH_MAX. @target: wire form; NULL:
 * the owner. Returns their length. */
size_t svcb_put_one(uint8_t *to, const struct svcb_set *s, const uint8_t *target, size_t len,
		    const struct svcb_hints *hints);
size_t svcb_put_entry(uint8_t *to, const struct svcb_set *s, uint32_t i);

#endif

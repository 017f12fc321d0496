/* svcb.h - data of HTTPS and SVCB records (RFC 9460; dns.md 2.3) of services that ask for them by metadata: dns.https,
 * dns.svcb, dns.alpn. Instances that are all alike (port, ALPN, priority) are one record, which points at the owner and has
 * the addresses as hints; otherwise each has one that points at its own name. The lowest dns.priority is SvcPriority 1, all
 * others, which are backups, 2. Any thread. Private to zones/. */
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
	uint32_t entries;
	uint16_t lowest; /* of their priorities */
	bool one;	 /* they are alike: one record */
};

struct svcb_hints { /* runs of addresses */
	const uint8_t *v4, *v6;
	uint32_t n4, n6;
};

struct svcb_set svcb_set_of(const struct blob *b, const struct blob_group *g, const struct zone *z, unsigned type); /* @g NULL: all */
bool svcb_wanted(const struct blob *b, unsigned type); /* has the service asked for records of that type? */
const struct blob_srv *svcb_entry(const struct svcb_set *s, uint32_t i);
/* The data of the one record, at most SVCB_ONE_MAX octets; of entry @i, at most SVCB_EACH_MAX. @target: wire form; NULL:
 * the owner. Returns their length. */
size_t svcb_put_one(uint8_t *to, const struct svcb_set *s, const uint8_t *target, size_t len,
		    const struct svcb_hints *hints);
size_t svcb_put_entry(uint8_t *to, const struct svcb_set *s, uint32_t i);

#endif

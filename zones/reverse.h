/* reverse.h - zones of addresses (dns.md 1.7): 10.in-addr.arpa, 8.b.d.0.1.0.0.2.ip6.arpa. An address stands there as long
 * as a zone of names shows it; what lies between it and the apex exists as long as an address is below. The control
 * thread adds and drops, DNS workers ask. */
#ifndef ZONES_REVERSE_H
#define ZONES_REVERSE_H

#include "base/cidr.h"
#include "zones/address_tree.h"

enum { REVERSE_NAME_MAX = 80 }; /* characters with the NUL */

struct reverse {
	const struct cidr *prefixes;
	size_t count;
	struct address_tree v4, v6;
};

/* The zone's name, without the last dot. E_RANGE: it is no whole number of octets (IPv4) or nibbles (IPv6), or there is
 * nothing below it. */
int reverse_zone_name(char to[REVERSE_NAME_MAX], const struct cidr *prefix, struct error *err);
/* The whole name of an address, without the last dot. */
void reverse_name(char to[REVERSE_NAME_MAX], int family, const uint8_t *addr);

void reverse_init(struct reverse *r, const struct cidr *prefixes, size_t count, struct rcu_reaper *reaper);
void reverse_done(struct reverse *r);
bool reverse_covers(const struct reverse *r, int family, const uint8_t *addr);
int reverse_reserve(struct reverse *r, uint32_t v4, uint32_t v6); /* E_NOMEM */
void reverse_add(struct reverse *r, int family, const uint8_t *addr);
void reverse_drop(struct reverse *r, int family, const uint8_t *addr);

#endif

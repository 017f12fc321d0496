/* reverse.h - zones of addresses (dns.md 1.7): 10.in-addr.arpa, 8.b.d.0.1.0.0.2.ip6.arpa. An address stands there as long
 * as a zone of names shows it that the client may ask; what lies between it and the apex exists as long as such an
 * address is below. The control thread adds and drops, DNS workers ask. */
#ifndef ZONES_REVERSE_H
#define ZONES_REVERSE_H

#include "base/cidr.h"
#include "zones/address_tree.h"

enum { REVERSE_NAME_MAX = 80 }; /* characters with the NUL */

struct zone;
/* The addresses in zones that are open to the same clients at the same places. */
struct reverse_view {
	const struct zone *zone; /* one of them: who may ask it */
	struct address_tree v4, v6;
};

struct reverse {
	struct cidr *prefixes; /* room for as many as there will be, and for as many views as there are zones */
	size_t count;
	struct reverse_view *views;
	size_t view_count;
	struct rcu_reaper *reaper;
};

/* The zone's name, without the last dot. E_RANGE: it is no whole number of octets (IPv4) or nibbles (IPv6), or there is
 * nothing below it. */
int reverse_zone_name(char to[REVERSE_NAME_MAX], const struct cidr *prefix, struct error *err);
/* What the name of a zone says; E_INVALID: it is none of a reverse zone. */
int reverse_zone_prefix(struct cidr *ret, const char *name, struct error *err);
/* The whole name of an address, without the last dot. */
void reverse_name(char to[REVERSE_NAME_MAX], int family, const uint8_t *addr);

/* Room for @prefixes and @views is borrowed. */
void reverse_init(struct reverse *r, struct cidr *prefixes, struct reverse_view *views, struct rcu_reaper *reaper);
void reverse_add_prefix(struct reverse *r, const struct cidr *prefix);
unsigned reverse_view_of(struct reverse *r, const struct zone *z); /* its number; made if it is new */
void reverse_done(struct reverse *r);
bool reverse_begins(const struct cidr *prefix, int family, const uint8_t *addr);
bool reverse_covers(const struct reverse *r, int family, const uint8_t *addr);
int reverse_reserve(struct reverse *r, uint32_t v4, uint32_t v6); /* E_NOMEM */
/* In the views with these numbers. */
struct reverse_views {
	uint16_t *at;
	size_t count;
};
void reverse_add(struct reverse *r, const struct reverse_views *views, int family, const uint8_t *addr);
void reverse_drop(struct reverse *r, const struct reverse_views *views, int family, const uint8_t *addr);

#endif

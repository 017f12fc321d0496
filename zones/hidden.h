/* hidden.h - services whose name in a bound zone is taken: by a name of the zone itself (i, dns-version, its name server), or
 * by a vanity name of another service. They answer elsewhere; here the other one does (dns.md 1.9). Private to zones/. */
#ifndef ZONES_HIDDEN_H
#define ZONES_HIDDEN_H

#include "zones/zone.h"

/* What stands at the service's name in @z: for people. NULL: the service, or it has no name there. */
const char *hidden_by(const struct zone *z, const struct site *s, const struct service_key *key);
/* The service has its first names: those that are taken are told of, and counted in @s. */
void hidden_note(struct zone_set *zs, struct site *s, const struct service_key *key, uint32_t bits);
void hidden_forget(struct zone_set *zs, const struct site *s);

#endif

/* settings_zone.h - the zones among the settings: [zone NAME], --zone.NAME.key=value. */
#ifndef MUSTERD_SETTINGS_ZONE_H
#define MUSTERD_SETTINGS_ZONE_H

#include "musterd/settings.h"

/* The zone called @name (any case, last dot or none), made if it is new, with the defaults of its keys.
 * E_INVALID, E_RANGE (no zone's name), E_LIMIT, E_NOMEM. */
int settings_zone_find_or_add(struct settings *s, const char *name, const char *where, struct settings_zone **ret,
			      struct error *err);
/* The zone that there is when none was named; SOA names of [dns] where a zone has none. E_NOMEM. */
int settings_zones_finish(struct settings *s);
/* The @nth check of a zone: @err->code is E_OK or what is wrong. E_NOTFOUND: there is no such check. */
int settings_zone_check(const struct settings_zone *z, unsigned nth, struct error *err);
const char *settings_zone_where(const struct settings_zone *z, unsigned nth); /* the line that check is about */
/* The first of the zone's addresses that is none of @s->dns.listen and tls_listen, as it was written; NULL: there is none. */
const char *settings_zone_stray_listen(const struct settings *s, const struct settings_zone *z);
const char *settings_zone_listen_where(const struct settings_zone *z);

#endif

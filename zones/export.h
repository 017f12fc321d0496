/* export.h - what of the registry zones show. Zones of one layout and one filter share an export: it decides which
 * services have names there, and counts the addresses that exist there as <addr>.i.Z. Control thread; the tables are
 * read by DNS workers. Private to zones/. */
#ifndef ZONES_EXPORT_H
#define ZONES_EXPORT_H

#include "base/arena.h"
#include "registry/view.h"
#include "zones/blob.h"
#include "zones/host_table.h"
#include "zones/reverse.h"
#include "zones/vanity.h"

struct zone_set;

enum { EXPORTS_MAX = 1024, EXPORT_FILTERS_MAX = 32 };

struct export {
	const char *ns, *group; /* that the layout binds; NULL: any */
	struct word_list namespaces, groups, metadata; /* the filter; empty: any */
	bool nothing; /* of the registry, but for: */
	struct vanity_list vanities; /* of the one zone: their services have their addresses here */
	struct reverse_views views; /* of reverse zones: of its zones */
	uint32_t bit; /* in blob.shown; 0: there is no filter, or only what the layout binds */
	struct host_table hosts;
	/* Numbers of the namespaces and groups in which something is shown, as IPv4 addresses; only with a filter. */
	struct host_table folders;
};

/* The exports that have a service's addresses. Interned: two services shown alike have the same. */
struct shown {
	uint32_t bits; /* of those with a filter that have its names too */
	uint32_t count;
	uint16_t in[]; /* places among the exports, ascending */
};

/* The export of @conf, made if it is new. @vanities, of the zone, stay. E_NOMEM, E_LIMIT. */
int export_get(struct zone_set *zs, const struct zone_conf *conf, const struct vanity_list *vanities,
	       struct export **ret, struct error *err);
void exports_done(struct zone_set *zs);
/* NULL: no memory. */
const struct shown *exports_showing(struct zone_set *zs, const struct service_info *info);
bool exports_read_metadata(const struct zone_set *zs); /* a change of metadata may show or hide a service */

/* What a service says and where, before and after a change; either may be nothing (NULL). */
struct appearance {
	const struct shown *shown;
	const struct blob *blob;
};
struct exports_change {
	bool added, dropped;
};
/* Room for the change of addresses, so that it cannot fail. E_NOMEM. */
int exports_reserve(struct zone_set *zs, const struct appearance *old, const struct appearance *fresh,
		    struct exports_change *change);
void exports_add(struct zone_set *zs, const struct appearance *old, const struct appearance *fresh);
void exports_drop(struct zone_set *zs, const struct appearance *old, const struct appearance *fresh);
uint64_t exports_hosts(const struct zone_set *zs); /* addresses in all of them */

/* Are the addresses of such a service in the export at @place? */
static inline bool shown_has(const struct shown *s, uint16_t place)
{
	for (uint32_t i = 0; i < s->count && s->in[i] <= place; i++)
		if (s->in[i] == place)
			return true;
	return false;
}

struct folder;
/* The group, and the namespace it is in, have one more or one less service shown there. E_NOMEM from the first alone. */
int exports_enter(struct zone_set *zs, const struct shown *shown, const struct folder *group);
void exports_leave(struct zone_set *zs, const struct shown *shown, const struct folder *group);

/* Readers: is anything shown in the folder with this number? */
static inline bool export_has_folder(const struct export *x, uint32_t number)
{
	return x->bit == 0 || host_table_has(&x->folders, 4, (const uint8_t *)&number);
}

#endif

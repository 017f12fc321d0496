/* registry.h - namespaces > groups > services > clusters > instances, the deterministic core. It owns the
 * records and their overlays, on the control thread; readers see views (view.h). It refuses to know sockets
 * and DNS. Changes come in as commands through the desk (desk.h); who wants to follow registers a watcher. */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include "registry/change.h"
#include "registry/command.h"
#include "registry/switches.h"

struct registry_conf { /* limits.*, registry.*; counts */
	uint32_t namespaces_max, services_max, instances_max, instances_per_service_max;
	uint32_t metadata_max;	     /* bytes, sum of keys and values: 1024 */
	int64_t clean_empty_ms;	     /* 60000 */
	bool expire_instances;
};

/* All on the control thread, in order of change. */
struct registry_watcher {
	/* A record was replaced: @old NULL: new; @fresh NULL: gone. @old is still readable. Beat deadlines,
	 * probe targets and the warm copy follow this. */
	void (*on_instance)(void *arg, struct instance *old, struct instance *fresh);
	/* A cluster's checker or a service's settings changed; @old NULL: new; @fresh NULL: gone. */
	void (*on_info)(void *arg, const struct service_info *old, const struct service_info *fresh);
	/* A view is about to be published (in the same turn, before any answer goes out): DNS compiles
	 * here. @old NULL: first; @fresh NULL: the service is gone. */
	void (*on_view)(void *arg, const struct service_view *old, const struct service_view *fresh);
	/* End of a turn that published something; @number: the newest. */
	void (*on_turn)(void *arg, uint64_t number);
	/* Behind it, once the answers of that turn are on their way: for news that must not overtake them. */
	void (*on_answered)(void *arg);
	/* An effective change was applied: what, from what to what, and whose doing. Not while loading. */
	void (*on_change)(void *arg, const struct change *change);
	void *arg;
};

/* Limits from now on (a reload); what is over one already stays. Control thread. */
void registry_set_limits(struct registry *r, const struct registry_conf *conf);

struct registry_stats { /* any thread (atomics) */
	uint64_t namespaces, services, instances, ephemeral, persistent, healthy, number;
	uint64_t disabled, ephemeral_healthy;
};
void registry_stats(struct registry *r, struct registry_stats *ret);

/* The lastRefTime of a service that is not there: at least that of whatever it was, and below that of whatever it
 * will be, if it is asked for before the view is looked for. Any thread. */
int64_t registry_last_ref_ms(struct registry *r);

/* ---- control thread only (from watchers and CMD_CALL) */
const struct service_info *service_info(const struct service *s);
const struct service_view *service_view(const struct service *s); /* the newest published; may lag records */
/* Bare names of one group, sorted bytewise; @from: index of the first; returns the total. */
size_t registry_group_names(struct registry *r, const char *ns, const char *group, size_t from, size_t max,
			    const char **ret, size_t *ret_count);
struct namespace_row {
	const char *id, *name, *description; /* id "public" for the reserved one */
	int type;			     /* 0 reserved, 2 custom */
	uint64_t services;
};
/* The reserved one first, then by id; created ones only (implicit ones are not listed). */
size_t registry_namespaces(struct registry *r, size_t from, size_t max, struct namespace_row *ret,
			   size_t *ret_count);
/* The connection of a publisher was closed: its instances stay until they are deregistered, but no address falls back
 * to it from now on (E_NOMEM), until it is forgotten. */
int registry_publisher_away(struct registry *r, uint64_t publisher);
void registry_publisher_forget(struct registry *r, uint64_t publisher);
/* Every record: for loaders and the warm copy. */
void registry_each_instance(struct registry *r, void (*each)(void *arg, struct instance *i), void *arg);

#endif

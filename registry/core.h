/* core.h - the registry's inside, for registry/'s own files and tests. All on the control thread unless a
 * function says "any reader".
 *
 * A change is two steps. plan_make() checks a command against the present state and gets all memory; it
 * leaves no visible trace. plan_apply() cannot fail. An ephemeral command is planned and applied at once, a
 * durable one waits between the two for the store, under the desk's locks (locks.h), so all or nothing holds
 * for both. Records, infos and views that were replaced stay readable: they are collected at their service and
 * go through the reaper when the view without them is published. */
#ifndef REGISTRY_CORE_H
#define REGISTRY_CORE_H

#include "base/map.h"
#include "base/rcu_map.h"
#include "base/slab.h"
#include "registry/failure.h"
#include "registry/registry.h"

enum {
	WATCHERS_MAX = 9, /* 8 of others and the warm copy */
	RECORDS_SCAN_MAX = 16, /* up to here a service's records are scanned by tag */
	BEAT_DEFAULT_MS = 5000,
	UNHEALTHY_DEFAULT_MS = 15000,
	REMOVE_DEFAULT_MS = 30000,
	OVERLAY_KEEP_MS = 60000, /* after its instance has gone */
	PAIRS_MAX = 512,	 /* pairs of one metadata map */
};

struct group;
struct overlay;
struct namespace;

/* ---- a service */
struct service {
	struct rcu_head reap;
	_Atomic(struct service_view *) view; /* any reader */
	struct service_info *info;	     /* control's; the view's may be older */
	struct instance **records;	     /* cap of them; tags behind while cap <= RECORDS_SCAN_MAX */
	uint32_t *index;		     /* slot + 1 by address; NULL while cap <= RECORDS_SCAN_MAX */
	uint32_t count, cap, reserved, healthy, index_mask;
	bool listed;   /* it exists: false while its creation waits for the store */
	bool dirty;    /* changed since its view was published; on the dirty list */
	bool removed;  /* gone from the map; its end waits for publication */
	bool has_row;  /* a svc/ row holds settings */
	uint32_t overlay_count;
	uint32_t build_ns;     /* the last publication took */
	uint64_t build_end_ns;
	uint64_t number;       /* newest change, without number_base */
	uint64_t view_number;  /* of the view published last */
	struct rcu_head *retired; /* wait for the next publication */
	struct overlay *overlays;
	struct service *next_dirty;
	struct command *waiting, **waiting_end; /* answered at the next publication */
	struct service *empty_prev, *empty_next; /* oldest first */
	int64_t empty_ms;			 /* since when; 0: not on the list */
	struct group *group;
	uint32_t group_slot;
	uint16_t ns_len, group_len, name_len;
	char text[]; /* namespace NUL group NUL name NUL: the key of infos and views, and of bucket sums */
};

static inline struct service_key service_key_of(const struct service *s)
{
	return (struct service_key){ s->text, s->text + s->ns_len + 1,
				     s->text + s->ns_len + 1 + s->group_len + 1, s->ns_len, s->group_len,
				     s->name_len };
}

/* An operator's edit of one instance (nacos-naming 1.9). The handle stays in the map while its content is
 * replaced; without content it only holds a plan's place. */
struct overlay_content {
	double weight;
	bool enabled;
	unsigned has; /* enum instance_fields */
	uint16_t metadata_count;
	uint32_t metadata_len;
	char text[]; /* packed */
};
struct overlay {
	struct overlay *next, *prev;	       /* of the service */
	struct overlay *gone_next, *gone_prev; /* oldest first */
	struct service *service;
	struct overlay_content *content;
	struct instance *base; /* what the publisher said; NULL: not registered */
	int64_t gone_ms;       /* since when unregistered; 0: not on the list */
	uint64_t hash;
	uint16_t port, ip_len, cluster_len;
	char text[]; /* ip NUL cluster NUL */
};
struct overlay_key {
	const struct service *service;
	const char *ip, *cluster;
	size_t ip_len, cluster_len;
	uint16_t port;
};

struct registry {
	struct registry_conf conf;
	struct slab *slab;
	struct rcu_reaper *reaper;
	struct rcu_map services; /* by key; any reader */
	_Atomic(struct switches *) switches;
	struct map groups, namespaces, overlays;
	struct map standbys, away; /* standby.c */
	size_t standby_count;
	struct namespace **listed_namespaces; /* created ones, by id */
	size_t listed_count, listed_cap;
	struct service *dirty, **dirty_end;
	struct service *empty, *empty_last;
	struct overlay *gone, *gone_last;
	struct registry_watcher watchers[WATCHERS_MAX];
	unsigned watcher_count, change_watchers;
	bool loading; /* limits do not apply to what was acknowledged before */
	uint64_t next_id;
	int64_t last_ref_offset; /* last_ref_ms = number + this */
	uint64_t number_base;
	_Atomic uint64_t stat_services, stat_instances, stat_ephemeral, stat_healthy, stat_number, stat_namespaces;
	_Atomic uint64_t stat_disabled, stat_ephemeral_healthy;
	_Atomic uint64_t stat_published; /* stat_number when everything of it had been published */
};

int registry_new(struct registry **ret, const struct registry_conf *conf);
/* The reaper, whose argument is @r: before anything is applied. */
void registry_use_reaper(struct registry *r, struct rcu_reaper *reaper);
void registry_free(struct registry *r); /* no reader is left, and the reaper is closed */
void registry_stat(_Atomic uint64_t *cell, int64_t delta);
void registry_published(struct registry *r); /* every new or removed service up to stat_number is visible */

/* ---- services (service.c) */
struct service *registry_find(struct registry *r, const struct service_key *key, uint64_t hash);
/* A hidden one (not listed), in the map, with an info of one DEFAULT cluster. NULL: no memory. */
struct service *service_new(struct registry *r, const struct service_key *key, uint64_t hash);
void service_reap(void *arg, struct rcu_head *head);
void service_free_large(struct registry *r, struct service *s); /* what of it does not lie in the slab */
void service_drop(struct registry *r, struct service *s); /* a hidden one: its plan was given up */
void service_list(struct registry *r, struct service *s); /* now it exists; its group was made by service_new */
void service_remove(struct registry *r, struct service *s); /* empty; published as gone later */
void service_retire(struct service *s, struct rcu_head *head, void (*free_fn)(void *arg, struct rcu_head *head));
void service_touch(struct registry *r, struct service *s, uint64_t number); /* changed: to be published */
void service_tell_info(struct registry *r, const struct service_info *old, const struct service_info *fresh);
void service_set_info(struct registry *r, struct service *s, struct service_info *fresh);
void service_empty_track(struct registry *r, struct service *s, int64_t now_ms);
void service_empty_untrack(struct registry *r, struct service *s);
/* Room for one record more, kept until service_put or service_unreserve. */
int service_reserve(struct registry *r, struct service *s);
void service_unreserve(struct service *s);
void service_put(struct service *s, struct instance *i);
void service_swap(struct service *s, struct instance *old, struct instance *fresh); /* same ip and port */
void service_cut(struct registry *r, struct service *s, struct instance *i);
uint64_t address_hash(const char *ip, size_t len, uint16_t port); /* any thread */
/* First record with this address from *@at on (0 to start). */
struct instance *service_address(const struct service *s, const char *ip, size_t len, uint16_t port, uint32_t *at);

/* ---- infos (info.c) */
struct info_draft { /* an info to be made; strings and packed maps are copied */
	bool ephemeral, stored;
	double protect_threshold;
	const char *selector;
	const struct pair *pairs; /* NULL: @metadata */
	size_t pair_count;
	struct packed metadata;
	const struct cluster *clusters; /* copied */
	uint32_t cluster_count;
	const struct cluster *extra; /* one more, or the replacement of @replace; NULL: none */
	int64_t replace;	     /* index, or -1 */
	uint64_t id, created;
};
void info_draft_of(struct info_draft *d, const struct service_info *info);
struct service_info *info_new(const struct service *s, const struct info_draft *d); /* NULL: no memory */
void info_free(struct service_info *info);		    /* at once: never published */
void info_retire(struct service *s, struct service_info *info);
int64_t info_cluster(const struct service_info *info, const char *name, size_t len); /* index or -1 */
void cluster_default(struct cluster *c, const char *name);
void checker_default(struct checker *c, enum checker_kind kind);

/* ---- records (record.c) */
struct record_draft {
	const char *ip, *id, *app, *reason;
	uint16_t ip_len, id_len, app_len, reason_len;
	uint16_t port, cluster;
	double weight;
	uint8_t flags;
	uint8_t family;
	uint8_t addr[16];
	int64_t last_beat_ms, registered_ms;
	uint64_t publisher;
	const struct pair *pairs;
	size_t pair_count;
	uint32_t beat_ms, unhealthy_ms, remove_ms;
};
void record_address_parse(struct record_draft *d); /* ip > addr, family; a zone id is left out */
/* Beat times from @pairs. E_RANGE, FAIL_INSTANCE. */
int record_times(struct record_draft *d, struct error *err);
void record_times_lenient(struct record_draft *d); /* bad ones: the defaults */
struct instance *record_new(struct registry *r, struct service *s, const struct record_draft *d);
struct instance *record_copy(struct registry *r, const struct instance *from);
/* Everything of @from; its metadata into @pairs (PAIRS_MAX). */
void record_draft_of(struct record_draft *d, const struct instance *from, struct pair *pairs);
void record_free(struct registry *r, struct instance *i); /* at once: never published */
void record_retire(struct service *s, struct instance *i);
uint32_t instance_beat_ms(struct registry *r, const struct instance *i); /* what a client is told */
bool record_says(const struct instance *i, const struct record_draft *d); /* the same visible data */

/* ---- overlays (overlay.c) */
struct overlay *overlay_find(struct registry *r, const struct overlay_key *key); /* with content or not */
/* Finds or makes the handle. NULL: no memory. */
struct overlay *overlay_hold(struct registry *r, const struct overlay_key *key);
void overlay_release(struct registry *r, struct overlay *o); /* forgets a handle without content */
bool overlay_equal(const void *value, const void *of);
struct overlay_key overlay_key_of(const struct overlay *o);
void overlay_defer(struct registry *r, struct overlay *o, int64_t now_ms); /* sweep it later */
size_t pairs_of(struct packed from, struct pair *pairs, size_t max);
int pairs_put(struct pair *pairs, size_t *n, const struct pair *fresh); /* add or replace; E_RANGE: PAIRS_MAX */
struct overlay_content *overlay_content_new(double weight, bool enabled, unsigned has, const struct pair *pairs,
					    size_t n);
void overlay_set(struct registry *r, struct overlay *o, struct overlay_content *fresh, int64_t now_ms);
void overlay_present(struct registry *r, struct overlay *o, struct instance *base, int64_t now_ms);
/* What the publisher says (@d) with the overlay over it; @pairs: PAIRS_MAX, may hold @d's own. E_RANGE when the
 * two together are more pairs than that. */
int overlay_merge(const struct overlay_content *c, struct record_draft *d, struct pair *pairs);

/* ---- standbys (standby.c): what older publishers say of an address. @holder: the instance that has it */
int standby_add(struct registry *r, const struct instance *said); /* copied; newest of its address. E_NOMEM */
void standby_remove(struct registry *r, const struct instance *holder, uint64_t publisher); /* if it is one */
void standby_drop(struct registry *r, const struct instance *holder); /* the address is gone */
bool standby_beats(const struct registry *r, const struct instance *holder); /* is one of them an HTTP client's? */
/* The newest that lives; NULL: none. */
const struct instance *standby_heir(const struct registry *r, const struct instance *holder, int64_t now_ms);
bool publisher_is_away(const struct registry *r, uint64_t publisher);
bool standbys_equal(const void *value, const void *of);
bool away_equal(const void *value, const void *of);
void standbys_free(struct registry *r);

/* ---- groups and namespaces (groups.c) */
int group_hold(struct registry *r, struct service *s); /* finds or makes s->group. E_NOMEM, E_LIMIT */
void group_release(struct registry *r, struct service *s);
void group_add(struct service *s);
void group_remove(struct service *s);
/* The listed services of a group in order of their names, valid until something changes; NULL: no such group. */
struct service *const *group_ordered(struct registry *r, const char *ns, const char *group, size_t *count);
/* Each group, in no order; @ns, @group NULL: all. */
void groups_each(struct registry *r, const char *ns, const char *group,
		 void (*each)(void *arg, const char *ns, const char *group), void *arg);
struct namespace *namespace_find(struct registry *r, const char *id, size_t len);
bool namespace_created(const struct namespace *ns); /* by someone, not implicitly */
/* Makes or renames (plan: namespace_new, then namespace_take, which cannot fail). */
struct namespace *namespace_new(struct registry *r, const char *id, const char *name, const char *description);
void namespace_free(struct namespace *ns);
void namespace_row_of(struct namespace_row *to, const struct namespace *ns);
int namespace_reserve(struct registry *r, struct namespace *fresh); /* room for it; E_NOMEM */
void namespace_unreserve(struct registry *r, struct namespace *fresh);
void namespace_take(struct registry *r, struct namespace *fresh);
void namespace_forget(struct registry *r, struct namespace *ns);
bool namespace_equal(const void *value, const void *of);
bool group_equal(const void *value, const void *of);
void groups_free(struct registry *r);

/* ---- views (view.c) */
/* Builds and publishes the view of a dirty service, watchers first. E_NOMEM: it stays dirty. A removed
 * one ends here. */
int service_publish(struct registry *r, struct service *s);
void view_free(struct registry *r, struct service_view *v);

/* ---- switches */
void switches_default(struct switches *s);
const char *switches_canonical(const char *entry); /* the one name of an entry; NULL: unknown */
void registry_take_switches(struct registry *r, struct switches *fresh); /* heap; published */

/* ---- plans (plan.c and plan_*.c) */
struct plan_step { /* one instance */
	struct instance *old, *fresh; /* records; NULL: none */
	struct instance *base;	      /* what the publisher said, when an overlay is over it */
	struct overlay *overlay;
	struct overlay_content *content; /* new content */
	bool set_content;		 /* (NULL content: the overlay ends) */
	bool row;			 /* the instance's own row changes (persistent) */
};
struct plan {
	struct command *cmd; /* NULL: loading and sweeping */
	struct service *service;
	struct service_info *info; /* replaces the service's; NULL: as is */
	struct plan_step one, *steps; /* @steps: &one or a heap array */
	size_t step_count;
	bool nothing;	/* no change: answer at once */
	bool durable;	/* rows must be on disk first */
	bool made;	/* @service is hidden and this plan's */
	bool reserved;
	bool service_row; /* svc/ row is written (or deleted, with @remove_service) */
	bool remove_service;
	struct namespace *ns, *ns_gone;
	struct switches *switches;
	int64_t now_ms;
	uint64_t number; /* of its application, with the base */
};
/* @now_ms: clock_ms(). Fills cmd->beat_ms and cmd->unknown. On failure nothing is held. */
void plan_init(struct plan *p, struct command *cmd, int64_t now_ms);
int plan_make(struct registry *r, struct plan *p, struct command *cmd, int64_t now_ms, struct error *err);
/* @number: without base. */
void plan_apply(struct registry *r, struct plan *p, uint64_t number);
void plan_drop(struct registry *r, struct plan *p);
/* The parts, by kind. */
int plan_register(struct registry *r, struct plan *p, struct error *err);
int plan_deregister(struct registry *r, struct plan *p, struct error *err);
int plan_beat(struct registry *r, struct plan *p, struct error *err);
int plan_expire(struct registry *r, struct plan *p, struct error *err);
int plan_verdict(struct registry *r, struct plan *p, struct error *err);
int plan_health_set(struct registry *r, struct plan *p, struct error *err);
int plan_update(struct registry *r, struct plan *p, struct error *err);
int plan_patch(struct registry *r, struct plan *p, struct error *err);
int plan_metadata_batch(struct registry *r, struct plan *p, struct error *err);
int plan_service_create(struct registry *r, struct plan *p, struct error *err);
int plan_service_update(struct registry *r, struct plan *p, struct error *err);
int plan_service_delete(struct registry *r, struct plan *p, struct error *err);
int plan_cluster_update(struct registry *r, struct plan *p, struct error *err);
int plan_namespace(struct registry *r, struct plan *p, struct error *err);
int plan_sweep_overlay(struct registry *r, struct plan *p, struct error *err);
int plan_sweep_service(struct registry *r, struct plan *p, struct error *err);
int plan_switch(struct registry *r, struct plan *p, struct error *err);
/* Shared by them. */
int plan_patch_health(struct registry *r, struct plan *p, bool healthy, struct error *err);
int plan_service_new(struct registry *r, struct plan *p, bool ephemeral, struct error *err);
int plan_service(struct registry *r, struct plan *p, bool ephemeral, struct error *err); /* finds or makes */
int plan_metadata_check(const struct registry *r, const struct pair *pairs, size_t n, enum failure what,
			struct error *err);
int plan_no_memory(struct error *err);
struct instance *plan_target(const struct plan *p, const char *ip, uint16_t port, const char *cluster);
int plan_weight_check(double weight, struct error *err);
/* The record that the publisher's @d gives under the overlay of its address, into @step. */
int plan_record(struct registry *r, struct plan *p, struct plan_step *step, const struct record_draft *d,
		const char *cluster, struct error *err);

/* plan and apply at once, whatever its kind: for tests of the core. */
int registry_apply(struct registry *r, struct command *cmd, int64_t now_ms, uint64_t number, struct error *err);

#endif

/* zone.h - the inside of a zone set: the zones, the scopes they show, the services behind the names. The readers'
 * part (struct zone, the index, host tables) is read by DNS workers inside RCU sections; the rest is the control
 * thread's. Private to zones/. */
#ifndef ZONES_ZONE_H
#define ZONES_ZONE_H

#include "base/map.h"
#include "zones/blob.h"
#include "zones/export.h"
#include "zones/host_names.h"
#include "zones/label.h"
#include "zones/name_index.h"
#include "zones/reverse.h"
#include "zones/selector.h"
#include "zones/vanity.h"
#include "zones/zone_set.h"

enum {
	ZONE_REFRESH = 3600, ZONE_RETRY = 600, ZONE_EXPIRE = 604800, /* of the SOA, seconds */
	ZONE_WIRE_MAX = 77,
	PARENT_ROOT = 1,    /* parent number of namespaces */
	PARENT_SCOPES = 2,  /* first number of the reserved scopes; the default one is this */
	LOST_MAX = 256,
};

/* A namespace or group that is reached directly: the default group, and what zones are bound to. */
struct scope {
	const char *ns, *group; /* group NULL: the namespace */
};

/* Where a zone is and for whom; immutable. */
struct zone_access {
	struct zone_access *before; /* what it replaced: kept to the end, since streams look at it outside of RCU sections */
	struct cidr_list transfer, query; /* who may take it as a whole; who may ask, empty: everybody */
	struct dns_place *places;	  /* NULL: everywhere */
	size_t place_count;
};

struct static_zone;
struct zone_out;
struct zone { /* immutable but for the serial, the file and the access */
	uint8_t name[ZONE_WIRE_MAX + 11]; /* wire, folded, zero-padded */
	uint8_t len, labels;
	bool below;		  /* another zone of ours lies below this one */
	enum zone_layout layout;
	_Atomic(struct static_zone *) file; /* NULL: it has none */
	uint32_t hides;		  /* not 0: of services only those with this bit in blob.shown are here */
	/* Parent number of what stands directly below svc (full) or the apex: services, groups (bound-ns), namespaces. */
	uint32_t scope;
	uint8_t group[LABEL_MAX + 9]; /* bound-group: the group's label, wire, padded for word reads */
	const struct export *export; /* what is shown here; NULL: nothing of the registry */
	struct cidr prefix; /* of a reverse zone */
	struct vanity_list vanities;
	uint8_t mname[DNS_NAME_MAX], rname[DNS_NAME_MAX]; /* wire; without the zone's part when inside it */
	uint8_t mname_len, rname_len;
	bool mname_inside, rname_inside;
	bool mname_child; /* mname is one label below the apex: it has our addresses */
	_Atomic uint32_t serial;
	int number; /* its place in the settings */
	int row; /* of counters */
	_Atomic(struct zone_access *) access; /* NULL: everywhere, everybody may ask, nobody may take it */
	const struct zone_set *set;
	char *text; /* presentation form, without the last dot */
	/* control's */
	bool dirty;
	int64_t published_ms; /* 0: never */
};

struct ns_addresses {
	struct rcu_head reap;
	uint32_t n4, n6;
	uint8_t (*v6)[16];
	uint8_t v4[][4]; /* then the v6 ones */
};

/* One registry object with its names: the canonical label, the raw alias, the short form for overlong names. */
struct names {
	struct claim canonical, raw, brief;
};

struct image_folder;
struct folder { /* a namespace or a group */
	struct image_folder *image; /* its place in the image of @image_number */
	uint64_t image_number;
	struct folder *parent; /* NULL: a namespace */
	struct names names;
	struct blob *blob; /* TXT of a hashed label; NULL: none */
	uint32_t number;   /* as a parent */
	uint32_t children;
	char name[];
};

struct site { /* a service */
	struct folder *group;
	const struct service_view *view; /* the newest we were told of */
	const struct service_view *compiled; /* what @blob says; == view but after a refused allocation */
	struct blob *blob;
	struct names names;
	const struct shown *shown; /* by whom, since @blob is published */
	struct site *next_failed;
	struct site *next, *prev; /* all of them, the youngest first */
	uint64_t image_number;	  /* of the newest image that has it, or that it came too late for */
	uint64_t id;
	bool failed; /* waits for another try */
	uint16_t hidden; /* zones in which its name is taken: hidden.h */
};

struct zone_set {
	struct zone_set_conf conf; /* strings are ours */
	struct zone *zones;	   /* most labels first */
	size_t zone_count;
	struct name_index index;
	_Atomic(struct ns_addresses *) ns;
	_Atomic bool ready;
	struct zone_out *out; /* where its zones are given out as a whole; NULL: nowhere */
	/* control's */
	bool quiet; /* it is being made beside another one, which has told what there is to tell */
	struct scope *scopes;
	size_t scope_count;
	struct export *exports;
	size_t export_count;
	struct shown **shown;
	size_t shown_count;
	unsigned filters; /* exports with a bit */
	struct arena strings; /* of the settings */
	struct reverse reverse;
	/* That reverse zones point to, in the order of the settings: of an export the first zone of each sort of clients, until
	 * one is open to all. */
	const struct zone **forward;
	size_t forward_count;
	struct rcu_reaper *reaper;
	struct slab *slab; /* of sites and blobs */
	struct blob_builder *builder;
	struct map sites, namespaces, groups;
	struct site *youngest;
	struct image *taking;	/* an image on its way: whatever changes is shown to it first; NULL: none */
	uint64_t image_number;	/* of the newest image */
	uint64_t changes;	/* of anything that can be transferred */
	struct site *failed;
	struct site *copied; /* it and all behind it are still to be taken over by another set; NULL: none */
	struct site *stale; /* it and all behind it are to be compiled again: the settings have changed; NULL: none */
	const struct service_view *lost[LOST_MAX]; /* services there was no memory for, to be tried again */
	unsigned lost_count;
	uint32_t next_number; /* of folders */
	size_t longest_zone;  /* wire octets */
	int64_t wall_ms;
	char **keys; /* conf.metadata_keys */
	const struct selector_keys *selectors; /* NULL: none */
	struct map unsettled;	  /* unsettled.h; by the id of the service */
	int64_t unsettled_due_ms; /* nothing is before */
	struct host_names host_names;
	_Atomic uint64_t stat_blobs, stat_bytes, stat_dropped, stat_rebuilds, stat_rebuild_ns, stat_nodes,
	    stat_hosts, stat_conflicts, stat_hidden;
};

/* zone.c: parsing of settings, serials, addresses of the name server. */
int zone_init(struct zone *z, const struct zone_conf *conf, struct error *err);
void zone_done(struct zone *z);
static inline const struct zone_access *zone_access(const struct zone *z)
{
	return atomic_load_explicit(&((struct zone *)(uintptr_t)z)->access, memory_order_acquire);
}
/* @whole: else of @conf only transfer_allow. E_NOMEM: it is as it was. */
int zone_access_set(struct zone *z, const struct zone_conf *conf, bool whole);
bool zone_is_at(const struct zone *z, const struct dns_place *at);
bool zone_is_wherever(const struct zone *z, const struct zone *other); /* is it, the other one is too */
bool zone_allows(const struct zone *z, const struct dns_query *q);
bool zone_allows_address(const struct zone *z, const uint8_t *from, unsigned len); /* NULL: unknown */
bool zone_is_open(const struct zone *z); /* everybody may ask it everywhere */
bool zone_same_clients(const struct zone *a, const struct zone *b); /* may the same ask both, at the same places? */
bool zone_gives(const struct zone *z, const struct sockaddr *peer); /* as a whole */
/* Is this label, next to the apex, one of the zone's own? Wire form. */
static inline bool zone_has_fixed(const struct zone *z, const uint8_t *label)
{
	if (z->export != NULL && ((label[0] == 1 && label[1] == 'i') ||
				  (label[0] == 11 && memcmp(label + 1, "dns-version", 11) == 0)))
		return true;
	return z->mname_child && label[0] + 1 == z->mname_len && memcmp(label, z->mname, z->mname_len) == 0;
}
void zone_publish(struct zone_set *zs, struct zone *z); /* a new serial */
bool zones_hold_name(const struct zone_set *zs, const uint8_t *wire, size_t len); /* is it in a zone of ours? */
int wire_parse(uint8_t *ret, size_t cap, const char *text); /* folded; length with the root, or E_RANGE */
bool serial_after(uint32_t a, uint32_t b); /* RFC 1982: a > b */
uint32_t serial_next(uint32_t last, int64_t wall_ms);

/* folder.c: names of one object. All or nothing; what they show is set afterwards. */
int names_claim(struct zone_set *zs, struct names *n, uint32_t parent, enum label_kind kind, const char *s,
		uint64_t created, uint32_t child);
int names_claim_brief(struct zone_set *zs, struct names *n, uint32_t parent, enum label_kind kind, const char *s);
void names_show(struct zone_set *zs, struct names *n, struct blob *blob);
void names_release(struct zone_set *zs, struct names *n);
/* The label under which an object stands: the short form only where the other would be too long with others around it. */
void names_label(struct label *ret, const struct names *names, enum label_kind kind, const char *s);
/* Namespaces (@parent NULL) and groups. */
struct folder *folder_get(struct zone_set *zs, struct folder *parent, const char *name, uint64_t created);
void folders_free(struct zone_set *zs);
void folder_prune(struct zone_set *zs, struct folder *f); /* goes, and what is above it, if nothing is in it */

/* site.c: services come, change and go. */
void site_on_view(struct zone_set *zs, const struct service_view *fresh, uint64_t gone_id);
void sites_retry(struct zone_set *zs);
void sites_renew(struct zone_set *zs); /* some of those from @zs->stale on */
void site_refresh(struct zone_set *zs, struct site *s); /* compiles it again */
bool sites_free(struct zone_set *zs, unsigned most); /* of so many; true: of all */
/* Takes over what @like of @from is, unless it is here: with the view, the past and the way of a slow start. */
void site_adopt(struct zone_set *zs, const struct zone_set *from, const struct site *like);
struct site *site_find(const struct zone_set *zs, uint64_t id);
void zones_touch(struct zone_set *zs); /* something of the registry changed that can be transferred */

/* A query after the walk. */
enum target_kind {
	TARGET_NONE, TARGET_ABSENT, TARGET_EMPTY, /* NXDOMAIN; NODATA */
	TARGET_APEX, TARGET_SET, TARGET_PORTS, TARGET_ADDRESS, TARGET_HOST, TARGET_VERSION, TARGET_NS,
	TARGET_POINTER,
};
struct target {
	enum target_kind kind;
	struct blob *blob;	       /* SET, PORTS, ADDRESS; maybe EMPTY: TXT only */
	const struct blob_group *group; /* PORTS; of SET and APEX: the one port they are for, or NULL */
	bool by_service;	       /* PORTS: _<service>._tcp, not _<port>._tcp of a set */
	int family;		       /* ADDRESS, HOST, POINTER */
	uint32_t host, txt_key;	       /* ADDRESS */
	const struct zone *forward;    /* POINTER: <addr>.i of this zone */
	uint8_t addr[16];
};
/* walk.c */
void walk(const struct zone_set *zs, const struct dns_query *q, struct target *ret);
/* What the service of a vanity name answers now, and what of that is at the name; NULL: nothing. And the port that it is
 * for; NULL: any. */
struct blob *vanity_service(const struct zone_set *zs, const struct vanity *v);
struct blob *vanity_set(struct blob *service, const struct vanity *v);
const struct blob_group *vanity_port(const struct vanity *v, const struct blob *b);
/* For whole zones: a folded name below @z as a question; the nearest vanity name at or, with expand, above it (NULL:
 * none); whether the name is there because of that one, given the services of them all. */
void query_of_name(struct dns_query *ret, const struct zone *z, const uint8_t *name, size_t len);
const struct vanity *vanity_above(const struct dns_query *q);
bool vanity_holds(const struct dns_query *q, struct blob *const *services);

/* reverse.c */
void walk_reverse(const struct zone_set *zs, const struct dns_query *q, struct target *ret);

static inline bool is_proto(const uint8_t *label)
{
	return memcmp(label, "\004_tcp", 5) == 0 || memcmp(label, "\004_udp", 5) == 0;
}

/* The key of a service by its label: itself, or "_<service>" of SRV (RFC 2782). */
static inline void service_key_load(struct label_key *k, const uint8_t *label)
{
	if (label[0] > 1 && label[1] == '_')
		label_key_load_behind(k, label);
	else
		label_key_load(k, label);
}

/* What the first stages leave in dns_query.scratch for the walk. */
enum { AT_STAGE, AT_HASH, AT_NODE, AT_PARENT, AT_LABEL };
enum { STAGE_NONE, STAGE_HASHED, STAGE_FOUND }; /* FOUND: node, NULL included, of the label under the parent */

#endif

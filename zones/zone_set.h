/* zone_set.h - all zones of the server: names <-> services, compiled from service views on the control
 * thread (watcher of registry/registry.h), read by DNS workers inside RCU sections. Knows no sockets.
 * Specification: dns.md 1, 2, 7.4, 8. */
#ifndef ZONES_ZONE_SET_H
#define ZONES_ZONE_SET_H

#include "base/cidr.h"
#include "base/error.h"
#include "base/random.h"
#include "base/rcu.h"
#include "base/words.h"
#include "registry/registry.h"
#include "zones/label.h"
#include "zones/query.h"

/* Which names a zone has (dns.md 1.9): of everything; of one group; of one group in every namespace; of one namespace;
 * none of the registry. */
enum zone_layout { LAYOUT_FULL, LAYOUT_BOUND, LAYOUT_BOUND_GROUP, LAYOUT_BOUND_NS, LAYOUT_STATIC,
		   LAYOUT_REVERSE /* of addresses: 10.in-addr.arpa */ };
enum select_mode { SELECT_AUTO, SELECT_ALL, SELECT_ONE, SELECT_SHUFFLE, SELECT_SUBSET, SELECT_HASH };
enum hostname_mode { HOSTNAME_FLATTEN, HOSTNAME_SRV_ONLY, HOSTNAME_CNAME };
enum protect_mode { PROTECT_NACOS, PROTECT_ALWAYS, PROTECT_OFF };
enum all_unhealthy { UNHEALTHY_EMPTY, UNHEALTHY_OPEN, UNHEALTHY_SERVFAIL, UNHEALTHY_NXDOMAIN, UNHEALTHY_LAST };

struct zone_conf {
	const char *name; /* presentation form, with or without the last dot */
	enum zone_layout layout;
	const char *ns, *group; /* that the layout binds; NULL: public, DEFAULT_GROUP */
	/* Only services of one of these namespaces, one of these groups, and with all of these metadata ("key=value", or
	 * "key" for any value) are here; empty: any. */
	struct word_list export_namespaces, export_groups, export_metadata;
	/* Names that answer what a service answers: "NAME=NAMESPACE/GROUP/SERVICE[/CLUSTER][:PORT]"; @expand: so do the
	 * names below them. */
	struct word_list aliases;
	bool expand;
	const char *mname, *rname; /* NULL: ns1.<zone>, hostmaster.<zone> */
	const char *file; /* of records besides the registry's (zone_file.h); NULL: none */
	struct cidr_list transfer_allow; /* who may take the whole zone */
	struct cidr_list query_allow;	 /* who may ask; empty: everybody */
	struct {
		const struct sockaddr_storage *at;
		size_t count;
	} listen; /* where the zone is, of the server's addresses as they were set; empty: everywhere */
};

struct zone_set_conf {
	const struct zone_conf *zones; /* copied */
	size_t zone_count;
	const struct cidr *reverse; /* prefixes that are zones of addresses; copied */
	size_t reverse_count;
	uint32_t ttl, ttl_host, ttl_negative, ttl_apex, ttl_version; /* seconds: 5, 60, 5, 3600, 28800 */
	enum select_mode mode;
	enum protect_mode protect;
	enum all_unhealthy all_unhealthy;
	int64_t slow_start_ms;	      /* from a tenth of the weight to the whole; 0: at once */
	int64_t last_max_ms;	      /* how long UNHEALTHY_LAST answers what was well last; 300000 */
	uint32_t cap;		      /* addresses, 16 */
	int64_t subset_rotate_ms;     /* 30000; 0: never */
	enum hostname_mode hostname_mode;
	/* The addresses of a host are wanted from now on (zone_set_host_found), or no longer; at once the last of each name
	 * holds. NULL: nobody looks for them. */
	void (*on_host_name)(void *arg, const char *name, bool wanted);
	bool raw_alias, loopback_addresses;
	bool minimal_responses; /* no additional records */
	const char *const *metadata_keys; /* TXT allow-list */
	size_t metadata_key_count;
	const char *const *selector_keys; /* by which instances can be asked for: selector_key_parse() */
	size_t selector_key_count;
	/* Addresses the server itself listens on, for ns1.<zone> (port-less text); may be empty: then
	 * 127.0.0.1. Changed later by zone_set_ns_addresses. */
	/* A new serial was published for a zone; persisted by the owner. NULL: none. */
	void (*on_serial)(void *arg, const char *zone, uint32_t serial);
	/* The lower-case alias of @name is another's label too, or another's alias: one of them does without. NULL: none. */
	void (*on_conflict)(void *arg, enum label_kind kind, const char *name);
	/* A service is registered whose name in a bound zone is taken: @by what, for people. NULL: none. */
	void (*on_hidden)(void *arg, const char *zone, const struct service_key *key, const char *by);
	void *arg;
};

struct zone_set;

/* The set in force. Who reads it does so once for each RCU section; the control thread puts another in its place
 * (zone_heir.h). */
struct zone_slot {
	_Atomic(struct zone_set *) now;
};
static inline struct zone_set *zone_slot_read(const struct zone_slot *slot)
{
	return rcu_read(&((struct zone_slot *)(uintptr_t)slot)->now);
}

/* Control thread. Errors: E_RANGE (a zone over 77 wire octets, a bad name), E_EXISTS (twice), E_LIMIT, E_NOMEM. */
int zone_set_new(struct zone_set **ret, const struct zone_set_conf *conf, struct rcu_reaper *reaper,
		 struct error *err);
bool zone_set_free_some(struct zone_set *zs, unsigned services); /* of its memory, beforehand; true: there is little left */
void zone_set_free(struct zone_set *zs); /* no reader is left, and the reaper is closed (it hands names back) */
/* At a start: @last was kept, when at most ZONE_SERIALS_AHEAD less had been handed out. Serials go on above it, and as much above
 * the clock, in case that the latest ones were not kept in time. */
enum { ZONE_SERIALS_AHEAD = 64 };
void zone_set_serial_restore(struct zone_set *zs, const char *zone, uint32_t last);
int zone_set_ns_addresses(struct zone_set *zs, const char *const *addresses, size_t n, struct error *err);
/* TTLs from the next answer on (a reload), seconds; a service's own dns.ttl stays. Control thread. */
void zone_set_ttls(struct zone_set *zs, uint32_t ttl, uint32_t ttl_host, uint32_t ttl_negative);
/* Of @fresh: mode, cap, protect, all_unhealthy, last_max_ms, subset_rotate_ms from now on (a reload). Services are compiled
 * again, a part of them at once and the others in the next ticks; what they set by metadata stays. Control thread. */
void zone_set_selection(struct zone_set *zs, const struct zone_set_conf *fresh);
/* Where a zone is, who may ask and who may take it, from now on: of @conf name, listen, query_allow, transfer_allow. Where
 * there are reverse zones, they point by what others show to whom: the first two of all others stay. E_RANGE: there is no such zone. E_NOMEM: all is as it was. Control thread. */
int zone_set_access(struct zone_set *zs, const struct zone_conf *conf);
/* What was found for a host name that is wanted. Without addresses there are none; @stale: nobody answers now, and these
 * were the last. @canonical: what the name is an alias of, NULL or the name itself: of nothing. Control thread. */
struct host_address {
	uint8_t family; /* 4, 6 */
	uint8_t addr[16];
};
struct host_found {
	const struct host_address *addresses;
	size_t count;
	bool stale;
	const char *canonical;
};
void zone_set_host_found(struct zone_set *zs, const char *name, const struct host_found *found);
/* The watcher to hand to desk_watch(): on_view compiles and publishes, on_turn moves serials (at most one a
 * second, from zone_set_tick too). */
struct registry_watcher zone_set_watcher(struct zone_set *zs);
void zone_set_tick(struct zone_set *zs, int64_t wall_ms); /* about every 100 ms, control thread */
/* Until set ready every name in our zones is SERVFAIL with EDE 14. */
void zone_set_ready(struct zone_set *zs);

/* DNS workers, inside one RCU section, for each query of a batch: first all _prefetch, then all _prepare, then
 * each _answer. A single query (TCP) may call just these three in a row. */
void zone_set_prefetch(const struct zone_set *zs, struct dns_query *q); /* zone, hash, prefetch of index slot */
/* Optional, between the two, for batches over many names: prefetch of the node. */
void zone_set_locate(const struct zone_set *zs, struct dns_query *q);
void zone_set_prepare(const struct zone_set *zs, struct dns_query *q); /* node, prefetch of the blob */
/* Can a name of the question's zone be an alias (CNAME, DNAME), which may lead out of our zones? After the stages. */
bool zone_set_has_aliases(const struct dns_query *q);
/* Writes answer, authority and additional sections (dns.md 2.1-2.8, 2.11; table rows 11-20 of 2.5), never a
 * partial RRset: too big for @a->w is tc with nothing in it. Sets rcode, aa, tc, counts, ede. Class ANY
 * clears aa. @r is the worker's. Returns the zone's row of counters, -1: no zone. */
int zone_set_answer(const struct zone_set *zs, struct dns_query *q, struct dns_answer *a, struct rng *r);
/* Of the zone that answered @q, in the same section; E_RANGE: none did. */
int zone_set_version(const struct dns_query *q, struct zone_version *ret);
const char *zone_set_zone_name(const struct zone_set *zs, int zone); /* for metrics; NULL: none */
size_t zone_set_zone_count(const struct zone_set *zs);
/* What zone_set_answer() returns for the zone, at first its number. Before the set is in force. */
void zone_set_count_as(struct zone_set *zs, int zone, int row);

struct zone_set_stats { /* any thread */
	uint64_t nodes, blobs, hosts, alias_conflicts, hidden /* services, for each zone */, dropped_addresses, rebuilds, rebuild_ns, bytes;
};
void zone_set_stats(const struct zone_set *zs, struct zone_set_stats *ret);

#endif

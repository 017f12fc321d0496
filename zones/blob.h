/* blob.h - the compiled answers of one set of instances (a service, or a part of it): one immutable run of bytes, 64-byte aligned, that readers find under RCU and the control thread builds and retires. What a query of a
 * small service needs lies in its first lines. Only the subset caches are filled later, by readers. */
#ifndef ZONES_BLOB_H
#define ZONES_BLOB_H

#include "base/rcu.h"
#include "base/slab.h"
#include "registry/view.h"
#include "zones/alias.h"
#include "zones/ramp.h"
#include "zones/zone_set.h"

enum blob_flags {
	BLOB_SERVFAIL = 1,	  /* instances, but none to answer with, and the policy says servfail */
	BLOB_PRIORITIES = 2,	  /* SRV priorities differ */
	BLOB_INSTANCES = 4,	  /* at least one is registered */
	BLOB_ADDRESSES = 8,	  /* at least one with an address */
	BLOB_UDP = 16,		  /* some port is a udp one */
	BLOB_DEFAULT_CLUSTER = 32, /* the one cluster is DEFAULT and answers what the service answers */
	BLOB_STALE = 64,	  /* what is answered was true a while ago */
	BLOB_ABSENT = 128,	  /* as BLOB_SERVFAIL, and the policy says that neither it nor names below it exist */
};

enum {
	BLOB_GROUPS_MAX = 64,	/* port names of one set */
	BLOB_CAP_MAX = 256,	/* addresses of a subset */
	BLOB_BUCKETS = 64,	/* clients of a subset */
	BLOB_HASH_BUCKETS = 512, /* clients of SELECT_HASH */
	GROUP_DEFAULT_TCP = 0, GROUP_DEFAULT_UDP = 1, /* always there, named "default" */
	PORT_NAME_MAX = 15,
	TXT_MAX = 1300,
};

struct blob_v4 {
	uint8_t addr[4];
	struct alias pick;
	float weight;
};

struct blob_v6 {
	uint8_t addr[16];
	struct alias pick;
	float weight;
};

struct blob_srv { /* sorted by host, port, priority */
	uint16_t priority, weight, port, alpn; /* alpn: which of blob_alpns() */
	uint32_t host; /* index into v4, or n4 + index into v6, or behind those a name: blob_target() */
};

struct blob_group { /* the ports of one name and protocol */
	uint8_t name[PORT_NAME_MAX + 1]; /* length first */
	bool udp, registered, whole;	 /* whole: every SRV entry, no list */
	uint32_t count, first;		 /* entries of the member list */
	uint32_t label_bytes;		 /* of the targets' address labels with their length octets */
};

enum txt_class { TXT_V4, TXT_V6, TXT_IDLE4, TXT_IDLE6 };
struct blob_txt { /* sorted by host; one host may have several */
	uint32_t host; /* enum txt_class << 30 | index there */
	uint32_t at;   /* offset of u16 length and rdata */
};

/* A cluster, or the instances with one value of a selector key (selector.h). Sorted by key, then by label. */
struct blob_part {
	uint16_t key;	   /* 0: a cluster */
	bool alias;	   /* raw; the blob is held by another entry */
	uint32_t number;   /* of a cluster: index in service_info.clusters, which is its age too */
	uint8_t label[64]; /* wire form, zero-padded; a raw alias has an entry of its own */
	struct blob *blob; /* the service's own where its instances are those of the service */
};

struct subset_cache;

#define TTL_OF_SETTINGS UINT32_MAX /* the service has none of its own: what is set when an answer is written */

struct blob {
	uint32_t ttl; /* or TTL_OF_SETTINGS */
	uint32_t n4, n6, nsrv;
	uint16_t cap;
	uint8_t mode, flags;
	uint32_t label_bytes; /* as in blob_group, of all entries */
	uint32_t at_v6, at_srv, at_cold, size; /* offsets from the start; v4 stands right behind */
	_Atomic(struct subset_cache *) subset[2];
	uint32_t shown; /* bits of the export filters that let it through; of services only */
	uint32_t at_extra; /* 0: none */
	struct blob_v4 v4[];
};

struct blob_cold {
	struct rcu_head reap;
	struct slab *slab; /* where a blob of at most SLAB_MAX bytes lies */
	uint32_t refs; /* control's: blobs of parts live on in the next service blob, all in images of the zones */
	int scale;     /* SRV weight = weight * 2^scale */
	uint32_t idle4, idle6; /* addresses registered, but not in v4 and v6 */
	uint32_t at_idle4, at_idle6;
	uint32_t groups, at_members; /* the groups stand right behind the SRV entries */
	uint32_t txt, txts, at_txts, txt_all; /* the set's own; of hosts; one for every host */
	uint32_t parts, at_parts;
	uint32_t dropped; /* instances without a usable address */
	uint32_t at_self; /* own offset in the blob */
};

enum svcb_wanted { WANT_HTTPS = 1, WANT_SVCB = 2 };
enum { ALPN_MAX = 64, ALPNS_MAX = 8 /* different ones of a set; instances with more have the service's */ };

struct blob_alpn { /* value of the parameter */
	uint8_t len, at[ALPN_MAX], pad[3];
};

/* What most blobs do not have. */
struct blob_extra {
	int64_t held_ms; /* BLOB_STALE by UNHEALTHY_LAST: since when; else 0 */
	uint32_t targets, at_targets; /* SRV targets with a name of their own: offsets of length octet and wire form */
	uint8_t svcb; /* enum svcb_wanted */
	uint8_t alpns;	  /* of svcb; the first is the service's */
	uint32_t at_alpns;
	bool cname; /* all there is is one such instance, and the owner is its alias */
};

static inline const void *blob_at(const struct blob *b, uint32_t offset)
{
	return (const char *)b + offset;
}
static inline const struct blob_v6 *blob_v6(const struct blob *b)
{
	return blob_at(b, b->at_v6);
}
static inline const struct blob_srv *blob_srv(const struct blob *b)
{
	return blob_at(b, b->at_srv);
}
static inline const struct blob_cold *blob_cold(const struct blob *b)
{
	return blob_at(b, b->at_cold);
}
static inline const struct blob_extra *blob_extra(const struct blob *b) /* NULL: none */
{
	return b->at_extra == 0 ? NULL : blob_at(b, b->at_extra);
}
static inline const struct blob_alpn *blob_alpns(const struct blob *b)
{
	return blob_at(b, blob_extra(b)->at_alpns);
}
static inline const struct blob_group *blob_groups(const struct blob *b)
{
	return blob_at(b, b->at_srv + b->nsrv * (uint32_t)sizeof(struct blob_srv)); /* not in the cold part: SRV needs them */
}
static inline const struct blob_part *blob_parts(const struct blob *b)
{
	return blob_at(b, blob_cold(b)->at_parts);
}

/* The name of SRV host @host >= n4 + n6, and its length with the root. */
static inline const uint8_t *blob_target(const struct blob *b, uint32_t host, size_t *len)
{
	const uint32_t *offsets = blob_at(b, blob_extra(b)->at_targets);
	const uint8_t *at = blob_at(b, offsets[host - b->n4 - b->n6]);
	*len = at[0];
	return at + 1;
}

/* A port name folded, length first: letters, digits and single hyphens inside, at least one letter (RFC 6335). False: it is
 * none. */
bool port_name_read(uint8_t ret[PORT_NAME_MAX + 1], const char *name, size_t len);
/* The name of any SRV host in wire form: its own, or <addr>.i of the zone; its length. */
size_t blob_host_name(uint8_t *to, const struct blob *b, uint32_t host, const uint8_t *zone, size_t zone_len);

/* Readers. NULL: no such name here. */
const struct blob_group *blob_group_find(const struct blob *b, const uint8_t *name, size_t len, bool udp);
const struct blob_part *blob_part_find(const struct blob *b, unsigned key, const uint8_t *label);
bool blob_has_parts(const struct blob *b, unsigned key); /* any with this key */
/* Is the address registered here? @*eligible: its host number when it is answered, else UINT32_MAX; @*txt_key: for
 * blob_txt_find(). */
bool blob_address_find(const struct blob *b, int family, const uint8_t *addr, uint32_t *eligible,
		       uint32_t *txt_key);
/* The SRV entries of a host: count, the first in @*first. */
uint32_t blob_srv_of_host(const struct blob *b, uint32_t host, uint32_t *first);
/* Offsets of the host's TXT records (u16 length, rdata), at most @max. */
uint32_t blob_txt_find(const struct blob *b, uint32_t txt_key, uint32_t *ret, uint32_t max);

/* The control thread's: compiling. Scratch memory is kept between calls. */
struct blob_builder;
struct host_names;
struct host_name;
/* @conf, @slab, which the blobs come from, and @hosts are borrowed. NULL: no memory. */
struct blob_builder *blob_builder_new(const struct zone_set_conf *conf, struct slab *slab, struct host_names *hosts);
struct selector_keys;
void blob_builder_select(struct blob_builder *bb, const struct selector_keys *keys); /* borrowed; NULL: none */
/* The host names that the last compiled service has, each once, healthy or not. */
uint32_t blob_builder_hosts(const struct blob_builder *bb, struct host_name *const **ret);
void blob_builder_free(struct blob_builder *bb);
/* What a compilation takes from before, and from the time. */
struct blob_past {
	struct blob *lender; /* NULL, or compiled from @lender_view: lends the blobs of parts in which nothing changed */
	const struct service_view *lender_view;
	const struct blob *before; /* what is answered until now; NULL: nothing */
	int64_t now_ms;
	const struct ramps *ramps; /* of instances that start slowly; NULL: none */
	bool moving;		   /* time has a part in it: nothing is lent */
	bool starting;		   /* no question was answered yet: who was well before is not known */
};
/* Answers of the service of @view. NULL: no memory, and nothing has changed. */
struct blob *blob_compile(struct blob_builder *bb, const struct service_view *view, const struct blob_past *past);
/* Only a TXT record name=@name: for a hashed group or namespace. */
struct blob *blob_compile_name(struct blob_builder *bb, const char *name);
struct blob *blob_alloc(struct slab *slab, size_t size); /* 64-byte aligned; NULL: no memory */
bool blob_same(const struct blob *a, const struct blob *b); /* false when in doubt */
void blob_release(struct blob *b);		      /* never published */
void blob_hold(struct blob *b); /* one more owner, who ends it by blob_retire() */
void blob_retire(struct blob *b, struct rcu_reaper *reaper); /* was published; the last owner's frees its parts too */
/* The raw alias of @s in wire form, zero-padded (dns.md 1.5); false: it has none. */
bool raw_label(uint8_t ret[64], const char *s, size_t len);
size_t blob_bytes(const struct blob *b);	      /* with its parts' */

/* Each address registered here, answered or not: sorted, v4 before v6. For (struct address_walk w = {0};
 * address_next(b, &w);) */
struct address_walk {
	int family;
	const uint8_t *addr;
	uint32_t at, idle; /* its own */
};
bool address_next(const struct blob *b, struct address_walk *w);

#endif

/* blob_rows.h - what the builder gathers from instances before it lays out a blob: ports with their names, TXT
 * strings. Private to blob_build.c, blob_rows.c and blob_layout.c; control thread. */
#ifndef ZONES_BLOB_ROWS_H
#define ZONES_BLOB_ROWS_H

#include "zones/blob.h"
#include "zones/host_names.h"

/* Grows on demand and is kept: scratch memory of the builder. */
struct scratch {
	void *at;
	size_t cap; /* bytes */
};
void *scratch_reserve(struct scratch *s, size_t bytes); /* what is in it stays; NULL: no memory */

enum { WEIGHT_MAX = 10000 };

struct port_row {
	uint64_t groups; /* bits */
	uint16_t port, priority;
	uint8_t alpn; /* of alpns[] */
};

struct row { /* one registered instance with a usable address */
	const uint8_t *addr;
	double weight; /* at most WEIGHT_MAX; what of it counts now */
	double whole;  /* the same of an instance that has long been there: SRV weights are scaled by it */
	uint32_t first_port, ports;
	uint32_t txt; /* offset in the TXT pool + 1; 0: none */
	uint16_t port;
	uint8_t family;
	bool candidate, healthy, answered;
	bool named; /* an address of a host name */
};

struct named_row { /* one with a host name; its addresses, if any, are rows besides */
	struct row row;
	struct host_name *host;
};

struct srv_row {
	double weight;
	uint64_t groups;
	uint32_t host;
	uint16_t port, priority;
	uint8_t alpn;
};

struct group_row {
	uint8_t name[PORT_NAME_MAX + 1];
	bool udp, registered;
};

struct set_rules { /* settings, with the service's own on top */
	uint32_t ttl, cap;
	enum select_mode mode;
	enum all_unhealthy all_unhealthy;
	const char *port_name; /* service metadata; may be NULL */
	unsigned svcb;	       /* enum svcb_wanted */
	const char *alpn;      /* words with commas between; may be NULL */
};

struct blob_builder {
	const struct zone_set_conf *conf;
	struct slab *slab;
	struct host_names *hosts;
	const struct selector_keys *selectors; /* NULL: none */
	struct set_rules rules;
	const struct service_info *info;
	const struct ramps *ramps; /* NULL: none */
	const struct blob *before; /* what the set answers until now; NULL: nothing */
	bool starting;		   /* see blob_past */
	int64_t now_ms, held_ms; /* held_ms: see blob_extra */
	/* of the set being compiled */
	struct group_row groups[BLOB_GROUPS_MAX];
	const char *alpns[ALPNS_MAX]; /* in metadata: words with commas between; the first is the service's, or NULL */
	uint8_t alpn_count;
	uint32_t group_count, row_count, row4_count, port_count, srv_count, txt_len, dropped;
	uint32_t total, healthy; /* enabled instances */
	uint32_t n4, n6, idle4, idle6, txt_count;
	uint16_t txt_cluster; /* the last plain instance's TXT was of this cluster... */
	uint32_t txt_plain;   /* ...and stands here; 0: none yet */
	uint32_t txt_last;    /* the newest string of the pool */
	uint32_t named_count, target_count, target_bytes, met_count;
	bool plain_answered, cname; /* one with an address is answered; see blob_extra */
	bool has_udp, txt_uniform, txt_any;
	double weight_max;
	struct scratch rows, ports, keys, keys2, srv, txt_pool, txts, addr4, addr6, weights, alias, work, share,
	    idle_addr4, idle_addr6, slices, old_slices, counts, named, targets, met, selector_table, selector_sets,
	    selector_picks, selector_list;
};

/* Reads the instances into rows, ports and groups. E_NOMEM. */
int rows_gather(struct blob_builder *bb, const struct instance *const *list, uint32_t n);
/* Appends u16 length and TXT rdata: @name (may be NULL), @cluster (may be NULL), and the allowed keys of @metadata.
 * Returns its offset in the pool + 1, 0: nothing to say, or -1: no memory. */
int64_t txt_append(struct blob_builder *bb, const char *name, const char *cluster, struct packed metadata);
int row_put(struct blob_builder *bb, const struct row *row); /* E_NOMEM */
bool address_usable(const struct zone_set_conf *conf, int family, const uint8_t *addr);
bool txt_allowed(const struct blob_builder *bb, const char *key, size_t len);

#endif

/* view.h - what readers see of a service: one immutable view, published under RCU. Any thread inside
 * rcu_begin()/rcu_end(); nothing of it may be kept after the section. */
#ifndef REGISTRY_VIEW_H
#define REGISTRY_VIEW_H

#include "registry/instance.h"

struct service_key {
	const char *ns, *group, *name; /* normalised: public, DEFAULT_GROUP; NUL-terminated */
	uint16_t ns_len, group_len, name_len;
};

enum checker_kind { CHECKER_TCP, CHECKER_HTTP, CHECKER_MYSQL, CHECKER_NONE };

struct checker { /* nacos-naming 7.4 */
	enum checker_kind kind;
	const char *type;    /* as given: an unknown type is CHECKER_NONE and echoed */
	const char *path, *headers; /* HTTP; "" when absent */
	const char *user, *password, *command; /* MYSQL */
	int expected_code;   /* HTTP, 200 */
};

struct cluster {
	const char *name;
	struct checker checker;
	uint16_t check_port;	   /* 80 */
	bool use_instance_port;	   /* true */
	bool stored;		   /* cluster metadata was set by someone */
	struct packed metadata;
};

/* Immutable; replaced when settings change or a cluster appears (indexes are stable). */
struct service_info {
	struct service_key key;
	uint64_t id;	      /* never used again in this process */
	uint64_t created;     /* change number of its creation: lower is older */
	bool ephemeral;
	bool stored;	      /* service metadata is stored: protect rule applies (7.6) */
	double protect_threshold;
	const char *selector; /* JSON text, {"type":"none"} */
	struct packed metadata;
	uint32_t cluster_count;
	const struct cluster *clusters; /* [0..cluster_count) */
};

struct service_view {
	struct rcu_head reap;
	const struct service_info *info;
	uint64_t number;     /* number_base + change number */
	int64_t last_ref_ms; /* cluster.md 4.4; strictly growing for this service */
	uint32_t count, healthy; /* instances listed; of them healthy */
	uint32_t index_mask; /* 0: no index, scan */
	const uint32_t *index; /* open addressing by ip text and port: slot + 1, 0 free */
	const struct instance *const *instances;
};

struct registry;

/* The current view, or NULL when the service does not exist. Any reader, inside a section. */
const struct service_view *registry_view(struct registry *r, const struct service_key *key);
/* First instance with this ip text and port from *@at on (0 to start); NULL: none. One address may
 * stand several times (clusters, publishers). */
const struct instance *view_find(const struct service_view *v, const char *ip, size_t ip_len,
				 uint16_t port, uint32_t *at);
/* Protect rule of nacos-naming 7.6 over @total, @healthy hosts. */
bool view_protects(const struct service_info *info, uint32_t total, uint32_t healthy);
/* The fast beat: if exactly this ip:port is listed, ephemeral and healthy, stores @now_ms as its last beat
 * and returns its beat interval in ms; 0: ask control. */
uint32_t registry_beat(struct registry *r, const struct service_key *key, const char *ip, size_t ip_len,
		       uint16_t port, int64_t now_ms);

#endif

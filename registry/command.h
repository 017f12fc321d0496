/* command.h - everything that changes the registry, as one struct: HTTP, gRPC, timers and probes decode into
 * it and meet at the desk. Strings are borrowed until the command has come back. */
#ifndef REGISTRY_COMMAND_H
#define REGISTRY_COMMAND_H

#include "base/error.h"
#include "base/inbox.h"
#include "base/text.h"
#include "registry/packed.h"
#include "registry/view.h"

enum command_kind {
	CMD_INSTANCE_REGISTER,
	CMD_INSTANCE_DEREGISTER,
	CMD_INSTANCE_UPDATE, /* PUT: overlay of enabled, weight, metadata; the service must exist */
	CMD_INSTANCE_PATCH,  /* overlay of the fields in @has; unknown instance: FAIL_INSTANCE_MISSING */
	CMD_INSTANCE_BEAT,   /* nacos-naming 2.2 beat */
	CMD_METADATA_BATCH,  /* overlay metadata of many: @targets, @remove_keys */
	CMD_HEALTH_SET,	     /* PUT /health: persistent, checker NONE only */
	CMD_VERDICT,	     /* the health engine's: @healthy with @reason */
	CMD_EXPIRE,	     /* beat deadlines': mark unhealthy or remove (@remove) one instance */
	CMD_SERVICE_CREATE,
	CMD_SERVICE_UPDATE,
	CMD_SERVICE_DELETE,
	CMD_CLUSTER_UPDATE,
	CMD_NAMESPACE_CREATE,
	CMD_NAMESPACE_UPDATE,
	CMD_NAMESPACE_DELETE,
	CMD_SWITCH_SET,
	CMD_CALL, /* reads control's own state: @call runs on the control thread */
	CMD_SWEEP_OVERLAY, /* the desk's own: an overlay whose instance has gone */
	CMD_SWEEP_SERVICE, /* the desk's own: an empty service */
};

enum command_cause { CAUSE_API, CAUSE_BEAT, CAUSE_BEAT_EXPIRED, CAUSE_CONNECTION,
		     CAUSE_PORT_REFUSED /* and its connection had closed */, CAUSE_PROBE, CAUSE_OPERATOR, CAUSE_RESTORE,
		     CAUSE_CLEAN /* the desk, of what has stayed empty */ };

enum instance_fields { /* for PATCH */
	HAS_WEIGHT = 1,
	HAS_ENABLED = 2,
	HAS_METADATA = 4,
	HAS_HEALTHY = 8,
};

struct instance_spec {
	const char *ip, *cluster; /* cluster "" or NULL: DEFAULT */
	uint16_t port;
	double weight;
	bool enabled, healthy, ephemeral;
	const struct pair *metadata;
	size_t metadata_count;
	const char *app, *instance_id; /* NULL: none */
	/* Ephemeral: the connection whose entry this is; it lives until that deregisters it, without beats.
	 * The newest publisher of an address has it, and when that leaves the newest of the older ones that still lives;
	 * what an older one deregisters is no longer its own. 0: HTTP. */
	uint64_t publisher;
	unsigned has;		       /* enum instance_fields */
};

struct service_spec {
	bool ephemeral;
	double protect_threshold;
	const struct pair *metadata; /* replaces the old */
	size_t metadata_count;
	const char *selector; /* JSON text or NULL: none */
};

struct instance_target {
	const char *ip, *cluster;
	uint16_t port;
};

struct command {
	struct inbox_message message; /* first: inboxes cast */
	enum command_kind kind;
	enum command_cause cause;
	struct service_key key; /* normalised by the edge (name_normalise) */
	union {
		struct instance_spec instance; /* REGISTER..BEAT, HEALTH_SET, VERDICT, EXPIRE (ip, port, cluster) */
		struct service_spec service;
		struct cluster cluster; /* CLUSTER_UPDATE */
		struct {
			const char *id, *name, *description;
		} ns;
		struct {
			const char *entry, *value;
			bool passing; /* until the next start: it is not stored */
		} set;
		struct {
			int (*run)(struct registry *r, void *arg, struct error *err);
			void *arg;
		} call;
	};
	/* METADATA_BATCH (the keys to add are instance.metadata) */
	const struct instance_target *targets;
	size_t target_count; /* 0: all of the service */
	bool remove_keys;
	struct text *updated; /* the owner's; receives "ip:port:unknown:cluster:ephemeral" NUL for each one met */
	/* BEAT: whether a full beat came (may register) */
	bool full_beat;
	bool remove;	    /* EXPIRE */
	const char *reason; /* VERDICT */
	const char *remote; /* address of who asked, for the change log; NULL */

	/* The answer, valid when the command comes back. */
	int code; /* enum errcode */
	struct error error;
	uint64_t number;	  /* change number; 0: nothing changed */
	uint32_t beat_ms;	  /* BEAT: interval to tell the client */
	bool unknown;		  /* BEAT: no such instance and nothing to register from (20404) */

	/* Where it goes back: posted to @reply_to once its change is published (DNS included), where
	 * @on_done may say who receives it; if @reply_to is NULL, @on_done is called on the control thread. */
	struct inbox *reply_to;
	void (*on_done)(struct command *cmd);
	void *owner;
	struct command *next_waiting; /* the desk's, meanwhile */
};

/* Fills defaults (kind, weight 1.0, enabled, healthy, ephemeral). */
void command_init(struct command *cmd, enum command_kind kind);

/* ---- names (nacos-naming 1.2, 1.3, 1.12). Layer A checks; E_RANGE/E_INVALID with FAIL_PARAM, text names
 * field, value (shortened, control bytes shown as \xNN) and limit. */
int name_check_namespace(const char *s, size_t len, struct error *err);
int name_check_group(const char *s, size_t len, struct error *err);
int name_check_service(const char *s, size_t len, struct error *err);
int name_check_cluster(const char *s, size_t len, struct error *err);
int name_check_ip(const char *s, size_t len, struct error *err);
/* Fills @ret from possibly empty namespace and group and a bare or grouped service name (split at the first
 * "@@"; then @group is ignored), checked. Slices point into the arguments or to literals, and must be
 * NUL-terminated there: @service_buf (len+1 bytes of the caller's) receives group and name of a grouped one. */
int name_normalise(struct service_key *ret, const char *ns, const char *group, const char *service,
		   char *service_buf, struct error *err);
uint64_t service_key_hash(const struct service_key *key);

#endif

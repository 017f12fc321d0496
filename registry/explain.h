/* explain.h - why an instance is listed and answered, or not: what the parts of a server say of it that neither the
 * registry nor the API know. The struct is filled in where the parts meet (musterd/); sentences live for ever. */
#ifndef REGISTRY_EXPLAIN_H
#define REGISTRY_EXPLAIN_H

#include "registry/registry.h"

struct service_explained {
	bool named; /* it has names in DNS */
	uint32_t addresses, at_most, ttl_sec; /* that may be answered; of them in one answer */
	bool servfail;	     /* none is well: DNS answers SERVFAIL */
	bool floor;	     /* a mass expiry after a pause of ours is being held back, here or elsewhere */
	int64_t floor_left_ms; /* at most */
	uint64_t floor_held;   /* instances, everywhere */
};

struct instance_explained {
	bool answered;	 /* by DNS, with its port */
	bool address_answered; /* perhaps only since another instance has it too */
	const char *dns; /* why, or why not */
	const char *kept; /* why it does not expire though it is silent; NULL: it would */
	int64_t expires_ms; /* its silence makes it unhealthy, or removes it, so long from now; -1: never */
	bool removes;	    /* removes, that is */
};

/* One instance and its last probe. */
struct probe_seen {
	uint16_t cluster, port; /* asked for */
	const char *ip;
	bool known, checked; /* the prober has it; it is probed: a host name is not, and none with checker NONE */
	const char *result;  /* "ok" or what was wrong; NULL: not probed yet */
	int64_t ended_ms;    /* clock_ms() */
	uint32_t took_ms;
	unsigned in_a_row; /* results other than its health says */
	unsigned needed;   /* of them until its health flips */
	int64_t next_ms;   /* clock_ms(); 0: under way or waiting for its turn */
};
struct probe_question {
	uint64_t service_id;
	struct probe_seen *seen;
	size_t count;
	void (*on_answer)(struct probe_question *q); /* on the prober's thread */
	void *owner;
};

struct explainer {
	void *arg;
	/* Control thread, inside an RCU section. */
	void (*service)(void *arg, const struct service_view *v, struct service_explained *ret);
	void (*instance)(void *arg, const struct service_view *v, const struct instance *i, struct instance_explained *ret);
	/* Names in DNS: of the service; @i not NULL: of its address. */
	void (*names)(void *arg, const struct service_view *v, const struct instance *i,
		      void (*each)(void *each_arg, const char *name), void *each_arg);
	/* Any thread: @q is the prober's until it is answered. false: it will not be. */
	bool (*probes)(void *arg, struct probe_question *q);
};

/* What an operator has set over what the publisher of @i says. Control thread. */
struct override_seen {
	unsigned has; /* enum instance_fields */
	double weight, own_weight; /* operator's, publisher's */
	bool enabled, own_enabled;
	struct packed metadata; /* borrowed */
};
bool registry_override(struct registry *r, const struct service_view *v, const struct instance *i, struct override_seen *ret);

/* Older publishers of the address of @i, who have it again when the newer ones leave: the newest first. Control thread. */
void registry_each_standby(const struct registry *r, const struct instance *i,
			   void (*each)(void *arg, uint64_t publisher), void *arg);

#endif

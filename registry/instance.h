/* instance.h - the record of one instance: immutable once published (a change makes a new record), but
 * for the wheel link, which is the control thread's, and the time of the last beat, which any thread may
 * store. Readers reach it through a service view inside an RCU section. About 100 bytes and its text. */
#ifndef REGISTRY_INSTANCE_H
#define REGISTRY_INSTANCE_H

#include "base/rcu.h"
#include "base/wheel.h"
#include "registry/packed.h"

enum instance_flags {
	INSTANCE_HEALTHY = 1,
	INSTANCE_ENABLED = 2,
	INSTANCE_EPHEMERAL = 4,
	INSTANCE_OVERRIDDEN = 8, /* an operator's overlay is merged in */
	INSTANCE_WARM_DIRTY = 16, /* control's: waits for the warm copy */
	INSTANCE_RESTORED = 32,	 /* from the warm copy, not heard of since */
};

enum publishers { /* of instance.publisher; other numbers are connections */
	PUBLISHER_BEATS = 0,	/* nobody: it lives by heartbeats */
	PUBLISHER_RESTORED = 1, /* a connection to an earlier process of ours: it has a deadline until it is taken over */
};

struct service;

struct instance {
	_Atomic int64_t last_beat_ms; /* clock_ms() */
	union {
		struct wheel_node wheel; /* while published: beat deadline (health/beats.c) */
		struct rcu_head reap;	 /* afterwards */
	};
	struct service *service; /* owner; valid while published */
	uint64_t publisher;	 /* control's: the connection whose entry this is, or enum publishers */
	double weight;		 /* 0..10000; effective (overlay merged) */
	uint8_t addr[16];	 /* network order; IPv4 in the first 4; ::ffff:a.b.c.d is family 4 */
	uint16_t port;
	uint8_t family;		 /* 4, 6; 0: @ip is a host name (or not an address at all) */
	uint8_t flags;		 /* enum instance_flags */
	uint32_t beat_ms, unhealthy_ms, remove_ms; /* 5000, 15000, 30000 or from metadata */
	uint32_t slot;		 /* control's: place in the service's list */
	uint32_t warm_slot;	 /* control's */
	int64_t registered_ms;	 /* wall clock, for people */
	uint16_t cluster;	 /* index into service_info.clusters */
	uint16_t ip_len, id_len, app_len, reason_len; /* bytes without NUL; id_len 0: simple id */
	uint16_t metadata_count;
	uint32_t metadata_len, size; /* size: of the whole record, for the slab */
	char text[]; /* ip NUL, id NUL, app NUL, reason NUL, then the packed metadata */
};

static inline const char *instance_ip(const struct instance *i)
{
	return i->text;
}
static inline const char *instance_custom_id(const struct instance *i) /* "" : simple */
{
	return i->text + i->ip_len + 1;
}
static inline const char *instance_app(const struct instance *i)
{
	return instance_custom_id(i) + i->id_len + 1;
}
/* Why the last probe verdict is what it is ("connect refused", "status 503"); "" when none. */
static inline const char *instance_reason(const struct instance *i)
{
	return instance_app(i) + i->app_len + 1;
}
static inline struct packed instance_metadata(const struct instance *i)
{
	return (struct packed){ instance_reason(i) + i->reason_len + 1, i->metadata_len,
				i->metadata_count };
}

/* Its end is the business of a connection, not of a deadline. */
static inline bool instance_is_held(const struct instance *i)
{
	return i->publisher > PUBLISHER_RESTORED;
}

/* From before our start, at @started_ms, and not heard of since: what its client says again leaves the flag where it is. */
static inline bool instance_is_restored(const struct instance *i, int64_t started_ms)
{
	return (i->flags & INSTANCE_RESTORED) != 0 &&
	       (i->publisher == PUBLISHER_RESTORED ||
		(i->publisher == PUBLISHER_BEATS &&
		 atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed) <= started_ms));
}

#endif

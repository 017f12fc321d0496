/* floor.h - no mass expiry out of our own doubt (design.md 5, promise 2). After a pause of ours (suspended
 * process, clock jump, stalled loop) it counts which deadlines of silent instances fall into the next interval;
 * where they are more than a share of a service, or of everything, it holds them for a bounded time. Control
 * thread; it reads the registry and changes nothing. */
#ifndef HEALTH_FLOOR_H
#define HEALTH_FLOOR_H

#include "base/map.h"
#include "registry/registry.h"

enum {
	FLOOR_STALL_MS = 2000,	 /* a tick later than this was a pause of ours */
	FLOOR_SETTLE_MS = 500,	 /* after a pause: beats that wait in our sockets are read first */
	FLOOR_WINDOW_MS = 15000, /* the interval: a silence that ends in it is partly ours */
	FLOOR_AGAIN_MS = 5000,	 /* while some are held they are counted again: most have beaten by then */
};

enum floor_state { FLOOR_IDLE, FLOOR_SETTLING, FLOOR_WATCHING };

struct floor {
	unsigned percent;
	int64_t hold_ms;
	enum floor_state state;
	int64_t resumed_ms; /* when the pause ended */
	int64_t paused_ms;  /* how long it was */
	int64_t until_ms;   /* end of settling; then the end of holding */
	int64_t counted_ms; /* when the late ones were counted last */
	bool all;	    /* everything is held */
	uint64_t due, total, held; /* instances: late or nearly so, ephemeral, held */
	struct map services;	   /* struct floor_service, by id */
};

void floor_init(struct floor *f, unsigned percent, int64_t hold_ms);
void floor_done(struct floor *f);
/* A pause of @paused_ms has just ended. A second one during a hold begins anew. */
void floor_pause(struct floor *f, int64_t now_ms, int64_t paused_ms);
/* While true nothing expires at all: beats that came meanwhile are being read. */
bool floor_settling(const struct floor *f, int64_t now_ms);
/* Settling is over: counts what is late or will be unless its very next beat comes, and decides. */
void floor_decide(struct floor *f, struct registry *r, int64_t now_ms);
/* Counts again who is still silent; a share that has fallen to the allowed one is let go. The end stays where it was. */
void floor_recount(struct floor *f, struct registry *r, int64_t now_ms);
/* Whether this instance, whose deadline has passed, is held. @first: its deadline fires for the first
 * time; late ones that trickle in are counted too, and those over the share are held. */
bool floor_holds(struct floor *f, const struct instance *i, int64_t now_ms, bool first);
/* It is settling, or holds somebody. */
static inline bool floor_in_force(const struct floor *f)
{
	return f->state == FLOOR_SETTLING || (f->state == FLOOR_WATCHING && f->held > 0);
}
/* True when the interval, and with held instances the hold, is over: the owner then calls floor_end(). */
bool floor_over(const struct floor *f, int64_t now_ms);
void floor_end(struct floor *f);

/* When an instance's silence is too long: the last moment at which it is still well. */
static inline int64_t beat_deadline_ms(const struct instance *i)
{
	uint32_t ms = i->remove_ms;
	if ((i->flags & INSTANCE_HEALTHY) != 0 && i->unhealthy_ms < ms)
		ms = i->unhealthy_ms;
	return atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed) + ms;
}

#endif

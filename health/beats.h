/* beats.h - deadlines of heartbeats, on the control thread: a watcher of the registry keeps every ephemeral
 * instance on a timer wheel; a fired deadline looks at the last beat and re-arms, or sends CMD_EXPIRE to the
 * desk (unhealthy, later removed). The floor (design.md 5): a mass expiry that follows our own pause is held. */
#ifndef HEALTH_BEATS_H
#define HEALTH_BEATS_H

#include "registry/desk.h"
#include "registry/explain.h"

struct beats;

struct beats_conf {
	unsigned floor_percent; /* 20 */
	int64_t floor_hold_ms;	/* 60000 at most */
	bool never_remove;	/* registry.expire_instances = off: unhealthy, but listed for ever */
};

/* @loop and @desk are borrowed until beats_free(). */
int beats_start(struct beats **ret, uv_loop_t *loop, struct desk *desk, const struct beats_conf *conf,
		struct error *err);
/* Why the silence of an ephemeral instance does not count now, or when it will. Control thread. */
void beats_explain(struct beats *b, const struct instance *i, struct instance_explained *ret);
void beats_explain_floor(const struct beats *b, struct service_explained *ret);
/* The floor is in force, or this process stood still just now: what looks gone may be our own doing. Any thread. */
bool beats_doubt(const struct beats *b);
void beats_set_floor(struct beats *b, unsigned percent); /* for the next pause */
struct registry_watcher beats_watcher(struct beats *b);
/* What the timer does when it fires, now: for tests that move the fake clock. It may be called at any time
 * from the loop's thread, but a fake clock moved by more than 2 s at once is a pause of ours to it. */
void beats_tick(struct beats *b);
/* Before desk_close: no deadline fires any more, and what is under way comes back; then @on_closed. The
 * watcher stays callable (it does nothing) until beats_free(), which belongs behind the desk's closing. */
void beats_close(struct beats *b, void (*on_closed)(void *arg), void *arg);
void beats_free(struct beats *b); /* NULL is fine */

#endif

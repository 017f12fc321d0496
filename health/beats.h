/* beats.h - deadlines of heartbeats, on the control thread: a watcher of the registry keeps every ephemeral
 * instance on a timer wheel; a fired deadline looks at the last beat and re-arms, or sends CMD_EXPIRE to the
 * desk (unhealthy, later removed). The floor (design.md 5): a mass expiry that follows our own pause is held. */
#ifndef HEALTH_BEATS_H
#define HEALTH_BEATS_H

#include "registry/desk.h"

struct beats;

struct beats_conf {
	unsigned floor_percent; /* 20 */
	int64_t floor_hold_ms;	/* 60000 at most */
};

int beats_start(struct beats **ret, uv_loop_t *loop, struct desk *desk, const struct beats_conf *conf,
		struct error *err);
struct registry_watcher beats_watcher(struct beats *b);
void beats_close(struct beats *b, void (*on_closed)(void *arg), void *arg);

#endif

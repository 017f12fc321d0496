/* check_loop.h - the health thread's loop: news of targets in, probes by schedule, verdicts out. It is made and
 * closed on the control thread, around the life of the thread; everything between runs on the health thread. */
#ifndef HEALTH_CHECK_LOOP_H
#define HEALTH_CHECK_LOOP_H

#include "base/loop_watch.h"
#include "health/knocks.h"
#include "health/probe.h"
#include "health/probe_schedule.h"
#include "health/prober.h"
#include "health/targets.h"

struct check_metrics {
	unsigned probes[3][PROBE_OUTCOMES]; /* by checker kind */
	unsigned up, down[PROBE_CAUSES];
	unsigned targets[TARGET_KINDS];
	unsigned stretch, in_flight, waiting;
};

struct check_loop {
	uv_loop_t loop;
	struct loop_watch watch;
	uv_timer_t timer;
	uv_poll_t poll; /* the epoll set of the probes */
	struct inbox *inbox; /* struct target_news; any thread may post until it is told to stop */
	struct registry *registry;
	_Atomic bool loaded; /* control's: before, nothing is probed, since the switches may not have been read */
	struct targets targets;
	struct probe_schedule schedule;
	struct probes probes;
	struct knocks knocks;
	struct check_metrics metrics;
	struct rng rng;
	/* the switches, as of the turn under way */
	bool checks_on;
	unsigned check_times;
	struct check_params params[3];
	/* many targets at once are spread out */
	int64_t added_since_ms;
	unsigned added;
	int64_t armed_ms;
	bool stopping;
	/* The state of @t has flipped: called on the health thread. */
	void (*on_flip)(void *arg, const struct check_task *t, const struct probe_result *why);
	/* End of a turn in which something may have flipped. */
	void (*on_turn)(void *arg);
	void *arg;
};

/* @l->on_flip, on_turn and arg are set by the caller before the thread runs. */
int check_loop_init(struct check_loop *l, struct registry *registry, const struct prober_conf *conf,
		    struct error *err);
void check_loop_run(struct check_loop *l); /* the thread: until news say stop, then everything is closed */
void check_loop_done(struct check_loop *l); /* after the thread */

#endif

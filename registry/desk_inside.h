/* desk_inside.h - the desk's struct, for its own files and its tests. Control thread. */
#ifndef REGISTRY_DESK_INSIDE_H
#define REGISTRY_DESK_INSIDE_H

#include "registry/desk.h"
#include "registry/durable.h"
#include "registry/warm_copy.h"

struct desk {
	struct desk_conf conf;
	uv_loop_t *loop;
	struct registry *registry;
	struct rcu_reaper *reaper;
	struct store *store;
	struct inbox *inbox;
	struct durable durable;
	struct warm_copy warm;
	uv_check_t check;
	uv_timer_t pace_timer, sweep_timer, warm_timer;
	unsigned handles; /* not yet closed */
	int64_t now_ms;	  /* of this turn */
	uint64_t number;  /* drawn in this turn; 0: not yet */
	_Atomic unsigned in_hand; /* commands taken from the inbox, not answered */
	unsigned sweeps;	  /* overlay sweeps under way */
	struct command *done, **done_end;   /* to be answered at the end of the turn */
	struct command *early, **early_end; /* came before the load was over */
	_Atomic int64_t warm_copy_ms; /* the last pass ended; 0: no warm copy */
	uint64_t turn_ns;	      /* this turn began; 0: nothing came yet */
	unsigned cell_turns, cell_publications; /* histograms */
	bool loaded, ready, published, warm_pass;
	bool closing, inbox_closed, ending;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

typedef int desk_store_fn(struct store **ret, uv_loop_t *loop, const struct store_conf *conf,
			  const struct store_feed *feed, void *arg, struct error *err);
/* desk_open with another way to open the store (tests: the memory store with a disk). */
int desk_open_with(struct desk **ret, uv_loop_t *loop, const struct desk_conf *conf, desk_store_fn *open_store,
		   void *open_arg, struct error *err);

void desk_run(struct desk *d, struct command *cmd);
/* Plans and applies one that is not durable; nobody is answered. */
void desk_apply_now(struct desk *d, struct command *cmd);
void desk_turn(struct desk *d); /* the end of a turn */
void desk_end(struct desk *d);
void desk_sweep(struct desk *d); /* sweep.c: what is due at d->now_ms */
void on_pace_timer(uv_timer_t *timer);
void on_sweep_timer(uv_timer_t *timer);
void on_warm_timer(uv_timer_t *timer);

#endif

/* desk.h - where commands come in and answers go out, on the control thread: it orders them, asks the core,
 * makes durable ones wait for the store, numbers, publishes views once a turn, and lets an answer go only after
 * the publication that holds its change. So an acknowledgement is never ahead of DNS.
 *
 * Ephemeral: numbered (one number a turn), applied, published in the turn they came in. Durable (persistent
 * instance, overlay, service, cluster, namespace, switch): checked, handed to the store as a batch, applied,
 * published and answered when the store reports the commit; refused: no trace. A command that touches a service
 * with a durable write under way queues behind it. A service's next view is built no sooner than ten times its
 * last building time after it; answers wait with it. */
#ifndef REGISTRY_DESK_H
#define REGISTRY_DESK_H

#include "registry/registry.h"
#include "store/store.h"
#include "store/warm.h"

struct desk;

struct desk_conf {
	struct registry_conf registry;
	struct store_conf store;
	const char *warm_path;	       /* NULL: no warm copy (tests) */
	void (*on_ready)(void *arg);   /* loaded, restored and published, from the loop */
	void (*on_store_state)(void *arg, enum store_state state, const char *reason);
	/* A row of the store that is not the registry's own (zone/...), while loading; NULL: ignored. */
	void (*on_other_row)(void *arg, const struct store_entry *e);
	void *arg;
};

/* Watchers are added before the loop runs (so that they see the load). */
int desk_open(struct desk **ret, uv_loop_t *loop, const struct desk_conf *conf, struct error *err);
int desk_watch(struct desk *d, const struct registry_watcher *watcher); /* copied; E_LIMIT over 8 */
void desk_unwatch(struct desk *d, const void *arg); /* control thread, not from a watcher */
struct registry *desk_registry(struct desk *d);
struct store *desk_store(struct desk *d);
struct rcu_reaper *desk_reaper(struct desk *d);

/* Any thread. The command is the desk's until it comes back; it always comes back, once. */
void desk_submit(struct desk *d, struct command *cmd);
void desk_submit_list(struct desk *d, struct command *first, struct command *last); /* by message.next */
unsigned desk_depth(const struct desk *d); /* commands waiting; any thread */

/* How the desk keeps up; any thread. */
struct desk_stats {
	unsigned depth;		/* desk_depth() */
	int64_t warm_copy_ms;	/* clock_ms() of the last complete warm copy; 0: there is none */
};
void desk_stats(const struct desk *d, struct desk_stats *ret);

/* Finishes what came in (durable ones too), writes the warm copy, closes the store; then @on_closed. */
void desk_close(struct desk *d, void (*on_closed)(void *arg), void *arg);

#endif

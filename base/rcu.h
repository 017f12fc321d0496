/* rcu.h - published immutable data: many readers, one writer. Every callback or UDP batch that reads
 * published data runs between rcu_begin() and rcu_end(), and nothing waits inside. liburcu's default
 * (membarrier) flavour; a TSan build turns it into a reader-writer lock, since TSan cannot see its
 * barriers. */
#ifndef BASE_RCU_H
#define BASE_RCU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

void rcu_thread_start(void); /* each reading thread, before its first section */
void rcu_thread_stop(void);
void rcu_begin(void);
void rcu_end(void);

/* Publish and read one pointer: rcu_publish(&service->view, view); v = rcu_read(&service->view). */
#define rcu_publish(slot, value) atomic_store_explicit((slot), (value), memory_order_release)
#define rcu_read(slot) atomic_load_explicit((slot), memory_order_consume)

/* What was unpublished waits for a grace period and is then freed ON THE OWNER'S LOOP, so that
 * single-threaded slabs may own it. The head lies inside the dying object. */
struct rcu_head {
	struct rcu_head *next;
	void (*free)(void *arg, struct rcu_head *head);
};

/* One per writing thread. Garbage is handed over in batches: one call_rcu in flight at a time, the
 * next batch when it has come back. */
struct rcu_reaper;
int rcu_reaper_start(struct rcu_reaper **ret, uv_loop_t *loop, void *arg);
void rcu_reaper_add(struct rcu_reaper *r, struct rcu_head *head,
		    void (*free_fn)(void *arg, struct rcu_head *head));
/* Once per loop turn, outside any read section: hands the garbage over if none is on its way. */
void rcu_reaper_turn(struct rcu_reaper *r);
size_t rcu_reaper_backlog(const struct rcu_reaper *r); /* objects waiting */
/* Frees everything left after waiting for readers (all reading threads must have stopped or left
 * their sections); then @on_closed from the loop. */
void rcu_reaper_close(struct rcu_reaper *r, void (*on_closed)(void *arg), void *arg);

#endif

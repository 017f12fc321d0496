/* rcu_map.h - a hash map of pointers with one writer and many readers (inside rcu sections). Open
 * addressing; the table grows by copy and pointer swap. Values must stay valid for a grace period
 * after removal: the owner sends them through its reaper. */
#ifndef BASE_RCU_MAP_H
#define BASE_RCU_MAP_H

#include "base/rcu.h"
#include <stdint.h>

typedef bool rcu_map_equal_fn(const void *value, const void *key);
struct rcu_table;

struct rcu_map {
	_Atomic(struct rcu_table *) table;
	size_t count, filled; /* writer's */
	rcu_map_equal_fn *equal;
	struct rcu_reaper *reaper; /* old tables go there */
};

int rcu_map_init(struct rcu_map *m, rcu_map_equal_fn *equal, struct rcu_reaper *reaper);
void rcu_map_done(struct rcu_map *m); /* no reader is left */
void *rcu_map_find(struct rcu_map *m, uint64_t hash, const void *key); /* any reader */
int rcu_map_add(struct rcu_map *m, uint64_t hash, void *value);	      /* writer; E_NOMEM */
void *rcu_map_remove(struct rcu_map *m, uint64_t hash, const void *key); /* writer */
void *rcu_map_next(struct rcu_map *m, size_t *at);		      /* writer: iterate */

#endif

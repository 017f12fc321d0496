/* wheel.h - a hierarchical timer wheel: intrusive nodes, O(1) add and remove, one thread. Times are
 * milliseconds of any clock that the owner chooses; a tick is 10 ms; horizon about 24 days. */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

struct wheel_node {
	struct wheel_node *next, *prev; /* NULL, NULL: not on a wheel */
	int64_t due_ms;
};
struct wheel;

struct wheel *wheel_new(int64_t now_ms); /* NULL: no memory */
void wheel_free(struct wheel *w);	 /* nodes are the owners' */
void wheel_add(struct wheel *w, struct wheel_node *n, int64_t due_ms); /* n is on no wheel */
void wheel_remove(struct wheel *w, struct wheel_node *n);	       /* fine when on none */
/* Takes off and calls for every node due at or before @now_ms, oldest tick first, at most @max of
 * them. The callback may add and remove nodes. Returns how many were called. */
unsigned wheel_turn(struct wheel *w, int64_t now_ms, unsigned max,
		    void (*on_due)(void *arg, struct wheel_node *n), void *arg);
int64_t wheel_next_ms(const struct wheel *w); /* a lower bound of the next due time; INT64_MAX: none */
void wheel_replace(struct wheel *w, struct wheel_node *old, struct wheel_node *fresh); /* takes its place */

#endif

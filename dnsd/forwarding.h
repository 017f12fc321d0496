/* forwarding.h - a worker's side of the forwarder: who waits for which answer. A socket or connection that asks has a
 * numbered handle; one that is gone when the answer comes is not found. The worker's thread. */
#ifndef DNSD_FORWARDING_H
#define DNSD_FORWARDING_H

#include "base/handle.h"
#include "dnsd/forward.h"

/* Embedded by whoever asks. @answered: true takes @q over, for forward_query_free() later; else it was borrowed. */
struct asker {
	uint64_t handle; /* 0: it has asked nothing */
	bool (*answered)(struct asker *a, struct forward_query *q);
};

struct forwarding {
	struct forward *forward;
	struct inbox *home;
	struct handles askers;
	unsigned out; /* questions that have not come back */
	void (*on_back)(void *arg);
	void *arg;
};

/* Errors: E_NOMEM. @on_back is called on @loop for every batch that came back, after the answers were given. */
int forwarding_open(struct forwarding *g, uv_loop_t *loop, struct forward *forward, void (*on_back)(void *arg), void *arg,
		    struct error *err);
void forwarding_close(struct forwarding *g); /* nothing is out any more */
void forwarding_done(struct forwarding *g);  /* the loop has run out */

void forwarding_join(struct forwarding *g, struct asker *a, bool (*answered)(struct asker *a, struct forward_query *q));
void forwarding_leave(struct forwarding *g, struct asker *a);
/* A question for the forwarder; all of it is copied. */
struct forwarding_question {
	const uint8_t *msg;
	size_t len;
	const void *extra; /* comes back with it; NULL: nothing */
	size_t extra_len;
	const uint8_t *target; /* see forward_query */
	size_t target_len;
};
/* Asks for @a. false: too many wait, or no memory. */
bool forwarding_ask(struct forwarding *g, struct asker *a, const struct forwarding_question *w);

#endif

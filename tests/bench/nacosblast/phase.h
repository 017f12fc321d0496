/* phase.h - closed-loop work in phases, and what a phase cost. */
#ifndef NACOSBLAST_PHASE_H
#define NACOSBLAST_PHASE_H

#include "loop.h"
#include "options.h"
#include "tally.h"

/* One stretch of closed-loop work; a run may have three: preparation, what is measured, clean-up.
 */
struct phase {
	struct tally *tally;
	uint64_t limit, conn_limit; /* operations in all, and per connection; 0: none */
	uint64_t next, in_flight;
	bool open; /* new operations may begin */
};

/* The next operation, for a connection that has begun *@conn_next ones. False: there is none. */
bool phase_take(struct phase *ph, uint64_t *conn_next, uint64_t *op);

/* What a phase cost, taken between the end of the warm-up and the last operation begun in time. */
struct cost {
	uint64_t ops, elapsed_ns, cpu_ns, self_cpu_ns, rss_before_kb, rss_kb;
};

/* Drive a phase whose first operations have been begun. @warmup and @seconds in seconds; @cost may
 * be NULL. */
void phase_drive(struct phase *ph, struct loop *loop, const struct options *opt, double warmup,
		 double seconds, void (*tick)(void *), void *arg, struct cost *cost);

/* Complain where a preparation went wrong; the run goes on, and its figures will tell. */
void check_prepared(const struct tally *t, uint64_t wanted);

#endif

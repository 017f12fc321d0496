/* knocks.h - single connects to addresses that are no targets (registry/knock.h), by the probes' sockets and under their
 * limit of probes a second, a bounded number at a time. The health thread's. */
#ifndef HEALTH_KNOCKS_H
#define HEALTH_KNOCKS_H

#include "health/probe.h"
#include "health/probe_schedule.h"
#include "registry/knock.h"

enum { KNOCKS_AT_A_TIME = 256 };

struct knock_slot;

struct knocks {
	struct probes *probes;
	struct probe_schedule *schedule;
	struct check_spec spec; /* plain TCP at the address's own port */
	struct check_group group;
	struct knock_slot *slots, *free;
	struct knock_question *first, *last; /* with knocks that wait */
	unsigned cells[3];		     /* metrics, by answer */
};

int knocks_init(struct knocks *k, struct probes *probes, struct probe_schedule *schedule); /* E_NOMEM */
void knocks_done(struct knocks *k); /* after knocks_end() */
void knocks_ask(struct knocks *k, struct knock_question *q); /* taken; the next pump looks at it */
static inline bool knocks_wait(const struct knocks *k)
{
	return k->first != NULL;
}
/* Starts what may be started now; !@on: nothing is, all are answered. */
void knocks_pump(struct knocks *k, bool on, int64_t now_ms);
/* true: @t was a knock. */
bool knocks_take(struct knocks *k, struct check_task *t, const struct probe_result *result);
void knocks_end(struct knocks *k); /* answers everything */

#endif

/* thread.c - see thread.h.
 *
 * Why it is needed: a thread that computes for milliseconds keeps its processor until a tick of the timer (4 ms at
 * 250 Hz) when the one that wakes beside it has no better claim. The kernel measures that claim in different ways:
 *  - up to 6.5 (CFS) by the time each has run, which niceness stretches, and SCHED_BATCH never pushes others aside;
 *  - from 6.6 on (EEVDF) niceness only divides time; since 6.12 the one with the shorter slice goes first, as soon as
 *    it wakes, while it has not used up its share. A slice is 0.1 to 100 ms, set by sched_setattr(2), ignored before.
 * So background work gets all three: some niceness (a third of the share of others; more would let a busy machine
 * hold up the warm copy beyond its two seconds), SCHED_BATCH and the longest slice; threads that answer the shortest. */
#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	BACKGROUND_NICE = 5, /* added to that of the process */
	NICE_MAX = 19,
	NAME_SIZE = 16,
};
#define SLICE_SHORT_NS (100 * 1000)
#define SLICE_LONG_NS (100 * 1000 * 1000)

/* As the kernel has it (sched_setattr(2)); the C library of bookworm has no name for it. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

static void schedule(int policy, int niceness, uint64_t slice_ns)
{
	struct attributes a = { .size = sizeof(a), .policy = (uint32_t)policy, .nice = niceness, .runtime_ns = slice_ns };

	if (syscall(SYS_sched_setattr, 0, &a, 0) == 0)
		return;
	/* A sandbox may know only the older calls. On Linux both are about the calling thread alone. */
	struct sched_param none = { .sched_priority = 0 };
	setpriority(PRIO_PROCESS, 0, niceness);
	sched_setscheduler(0, policy, &none);
}

void thread_begin(const char *name, enum thread_kind kind)
{
	char kept[NAME_SIZE];
	int niceness = getpriority(PRIO_PROCESS, 0); /* -1 is a value as well, and no error is possible */

	snprintf(kept, sizeof(kept), "%s", name);
	pthread_setname_np(pthread_self(), kept);
	if (kind == THREAD_PLAIN || sched_getscheduler(0) != SCHED_OTHER)
		return;
	if (kind == THREAD_QUICK)
		schedule(SCHED_OTHER, niceness, SLICE_SHORT_NS);
	else
		schedule(SCHED_BATCH, niceness + BACKGROUND_NICE < NICE_MAX ? niceness + BACKGROUND_NICE : NICE_MAX,
			 SLICE_LONG_NS);
}

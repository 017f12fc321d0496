/* clock.h - monotonic time in nanoseconds. */
#ifndef NACOSBLAST_CLOCK_H
#define NACOSBLAST_CLOCK_H

#include <stdint.h>
#include <time.h>

static const uint64_t MS = 1000000, SEC = 1000000000; /* nanoseconds */

static inline uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}

#endif

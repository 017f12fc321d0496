/* unit.h - what every unit test of base starts from: cmocka, and a seed for random operations. */
#ifndef TESTS_BASE_UNIT_H
#define TESTS_BASE_UNIT_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* MUSTER_SEED=n replays a run; without it the system draws. The seed is printed as a TAP comment. */
static inline void unit_seed(struct rng *rng)
{
	const char *given = getenv("MUSTER_SEED");
	uint64_t seed;
	random_bytes(&seed, sizeof(seed));
	if (given != NULL)
		seed = strtoull(given, NULL, 10);
	printf("# MUSTER_SEED=%llu\n", (unsigned long long)seed);
	rng_seed(rng, seed);
}

#endif

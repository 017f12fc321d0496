/* alias.h - Walker's alias method (built after Vose): a weighted pick in O(1). Building is for the control
 * thread; picking for any. */
#ifndef ZONES_ALIAS_H
#define ZONES_ALIAS_H

#include "base/random.h"
#include <stddef.h>

/* What one column answers: itself while the low half of the random number is not above @keep, else @other. */
struct alias {
	uint32_t keep, other;
};

/* @ret[i] for weights @w[0..n), each > 0 and finite, n > 0. @work: 2 n numbers, @share: n, both scratch. */
void alias_build(struct alias *ret, const float *w, uint32_t n, uint32_t *work, double *share);

static inline uint32_t alias_column(uint64_t random, uint32_t n)
{
	return (uint32_t)((random >> 32) * n >> 32);
}

static inline uint32_t alias_choose(struct alias a, uint32_t column, uint64_t random)
{
	return (uint32_t)random <= a.keep ? column : a.other;
}

#endif

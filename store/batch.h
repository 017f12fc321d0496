/* batch.h - a batch copied into one block, so that it can travel to another thread. */
#ifndef STORE_BATCH_H
#define STORE_BATCH_H

#include "store/store.h"

size_t batch_room(const struct store_batch *from); /* bytes that batch_copy() needs */
/* @room is 8-aligned and holds everything that @to points to. */
void batch_copy(struct store_batch *to, void *room, const struct store_batch *from);

/* Whether @cond holds for a key whose revision is @found (negative: the key is not there). */
int cond_check(const struct store_cond *cond, int64_t found, struct error *err);

#endif

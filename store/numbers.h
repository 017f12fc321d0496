/* numbers.h - change numbers from blocks reserved ahead: a block's end is on disk before its first
 * number is used, so numbers never repeat, also after a kill, though most are never written. Pure
 * arithmetic; the owner does the writing. One thread (control). */
#ifndef STORE_NUMBERS_H
#define STORE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

enum { NUMBERS_BLOCK = 50000, NUMBERS_RETRY_MS = 1000 };

/* What the disk says: at @reserved_ms (wall clock) all numbers below @end were given away. An orderly
 * stop gives back what it did not use. */
struct numbers_mark {
	int64_t end;
	int64_t reserved_ms;
};

struct numbers {
	int64_t next, end;
	int64_t retry_ms; /* monotonic: after a refusal ask no sooner */
	bool asked;
};

/* The first number that nobody can have seen. Since the mark was written the disk may have refused,
 * and numbers gone on in memory behind its end: time bounds them, 1,000 a second. The numbers'
 * distance to the wall clock grows by no more than the block (lastRefTime stays below it). */
int64_t numbers_first(const struct numbers_mark *mark, int64_t wall_ms);
/* The mark to write for a fresh block. */
struct numbers_mark numbers_reserve(const struct numbers *n, int64_t wall_ms);
/* A new block is due: half of the current one is used and none is asked for. */
bool numbers_due(const struct numbers *n, int64_t mono_ms);

#endif

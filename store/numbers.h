/* numbers.h - change numbers from blocks reserved ahead: a block's end is on disk before its first
 * number is used, so numbers never repeat, also after a kill, though most are never written. Pure
 * arithmetic; the owner does the writing. One thread (control). */
#ifndef STORE_NUMBERS_H
#define STORE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

enum { NUMBERS_BLOCK = 50000, NUMBERS_RETRY_MS = 1000 };

/* What the disk says about the last reservation. */
struct numbers_mark {
	int64_t end;	     /* numbers below it may have been used */
	int64_t at;	     /* the number that was next when the block was reserved */
	int64_t reserved_ms; /* wall clock then */
	bool closed;	     /* an orderly stop: nothing from @end on was used */
};

struct numbers {
	int64_t next, end;
	int64_t retry_ms; /* monotonic: after a refusal ask no sooner */
	bool asked;
};

/* The first number that nobody can have seen. After a stop that was not orderly, numbers may have
 * gone on in memory behind @end (the disk refused): then time bounds them, 1,000 a second. */
int64_t numbers_first(const struct numbers_mark *mark, int64_t wall_ms);
/* The mark to write for a fresh block. */
struct numbers_mark numbers_reserve(const struct numbers *n, int64_t wall_ms);
/* A new block is due: half of the current one is used and none is asked for. */
bool numbers_due(const struct numbers *n, int64_t mono_ms);

#endif

#include "store/numbers.h"

int64_t numbers_first(const struct numbers_mark *mark, int64_t wall_ms)
{
	int64_t elapsed_ms = wall_ms - mark->reserved_ms;
	return mark->end + (elapsed_ms > 0 ? elapsed_ms : 0); /* 1,000 a second: one a millisecond */
}

struct numbers_mark numbers_reserve(const struct numbers *n, int64_t wall_ms)
{
	int64_t from = n->next > n->end ? n->next : n->end;
	return (struct numbers_mark){ from + NUMBERS_BLOCK, wall_ms };
}

bool numbers_due(const struct numbers *n, int64_t mono_ms)
{
	return !n->asked && n->end - n->next <= NUMBERS_BLOCK / 2 && mono_ms >= n->retry_ms;
}

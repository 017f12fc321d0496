/* arena.h - memory of one request: many small blocks, dropped whole. One thread at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {
	struct arena_block *blocks; /* newest first */
	char *at, *end;
	size_t used, limit; /* bytes handed out; limit 0: none */
	/* The first block may be the caller's (arena_init), so small requests touch no heap. */
	char *first;
	size_t first_len;
};

void arena_init(struct arena *a, void *first, size_t first_len, size_t limit);
void *arena_alloc(struct arena *a, size_t size); /* 16-aligned, uninitialised; NULL: refused */
void *arena_zalloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *text);
char *arena_memdup0(struct arena *a, const void *from, size_t len);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_done(struct arena *a);  /* frees all but the caller's first block */
void arena_reset(struct arena *a); /* as after arena_init */

#endif

/* arena.c - see arena.h. Heap blocks grow by doubling, so a request of n bytes costs log n of them; a
 * block too big for its turn stands alone behind the current one. */
#include "base/arena.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ALIGN = 16, BLOCK_MIN = 1024, BLOCK_MAX = 256 * 1024 };

struct arena_block {
	struct arena_block *next;
	size_t len; /* bytes behind the header */
};
_Static_assert(sizeof(struct arena_block) % ALIGN == 0, "blocks keep the alignment");

static char *align_up(char *p)
{
	return p + (-(uintptr_t)p & (ALIGN - 1));
}

void arena_init(struct arena *a, void *first, size_t first_len, size_t limit)
{
	*a = (struct arena){ .limit = limit, .first = first, .first_len = first_len };
	a->at = first;
	a->end = first == NULL ? NULL : a->at + first_len;
}

static struct arena_block *block_new(struct arena *a, size_t len)
{
	struct arena_block *b = mem_alloc(sizeof(*b) + len);

	if (b != NULL) {
		b->len = len;
		b->next = a->blocks;
		a->blocks = b;
	}
	return b;
}

/* A block for @size bytes; the rest of it serves later calls unless the current block has more left. */
static char *alloc_slow(struct arena *a, size_t size)
{
	size_t next = a->blocks == NULL ? BLOCK_MIN : a->blocks->len * 2;

	if (next > BLOCK_MAX)
		next = BLOCK_MAX;
	if (size > next / 2) { /* alone */
		struct arena_block *b = block_new(a, size);
		if (b != NULL && b->next != NULL) {
			/* the doubling goes on from the shared block */
			a->blocks = b->next;
			b->next = a->blocks->next;
			a->blocks->next = b;
		}
		return b == NULL ? NULL : (char *)(b + 1);
	}
	struct arena_block *b = block_new(a, next);
	if (b == NULL)
		return NULL;
	a->at = (char *)(b + 1) + size;
	a->end = (char *)(b + 1) + next;
	return (char *)(b + 1);
}

void *arena_alloc(struct arena *a, size_t size)
{
	if (size > SIZE_MAX / 2)
		return NULL;
	size_t want = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (a->limit > 0 && want > a->limit - (a->used < a->limit ? a->used : a->limit))
		return NULL;
	char *at = a->at == NULL ? NULL : align_up(a->at);
	if (at != NULL && at <= a->end && want <= (size_t)(a->end - at))
		a->at = at + want;
	else
		at = alloc_slow(a, want == 0 ? ALIGN : want);
	if (at != NULL)
		a->used += want;
	return at;
}

void *arena_zalloc(struct arena *a, size_t size)
{
	void *at = arena_alloc(a, size);

	if (at != NULL)
		memset(at, 0, size);
	return at;
}

char *arena_memdup0(struct arena *a, const void *from, size_t len)
{
	char *copy = len == SIZE_MAX ? NULL : arena_alloc(a, len + 1);

	if (copy == NULL)
		return NULL;
	if (len > 0)
		memcpy(copy, from, len);
	copy[len] = '\0';
	return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
	return arena_memdup0(a, text, strlen(text));
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	char *at = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (at != NULL)
		vsnprintf(at, (size_t)n + 1, format, again);
	va_end(again);
	va_end(args);
	return at;
}

void arena_done(struct arena *a)
{
	for (struct arena_block *b = a->blocks, *next; b != NULL; b = next) {
		next = b->next;
		mem_free(b);
	}
	a->blocks = NULL;
	a->at = a->end = NULL;
}

void arena_reset(struct arena *a)
{
	arena_done(a);
	arena_init(a, a->first, a->first_len, a->limit);
}

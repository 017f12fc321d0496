/* arena.c - see arena.h. Heap blocks grow by doubling, so a request of n bytes costs log n of them; a
 * block too big for its turn stands alone behind the current one. */
#include "base/arena.h"
#include "base/mem.h"
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_ALIGN = 16, ARENA_LEAST = 4096, ARENA_MOST = 262144 };

struct arena_block {
	struct arena_block *next;
	size_t len; /* bytes behind the header */
	alignas(ARENA_ALIGN) char room[];
};

static void start(struct arena *a)
{
	uintptr_t pad = -(uintptr_t)a->first & (ARENA_ALIGN - 1);
	a->blocks = NULL;
	a->used = 0;
	a->at = a->end = NULL;
	if (a->first != NULL && a->first_len > pad) {
		a->at = a->first + pad;
		a->end = a->first + a->first_len;
	}
}

void arena_init(struct arena *a, void *first, size_t first_len, size_t limit)
{
	*a = (struct arena){ .first = first, .first_len = first_len, .limit = limit };
	start(a);
}

static void *grow(struct arena *a, size_t size)
{
	size_t len = a->blocks == NULL ? ARENA_LEAST : a->blocks->len * 2;
	if (len > ARENA_MOST)
		len = ARENA_MOST;
	bool alone = size > len / 2 && a->blocks != NULL;
	if (alone || len < size)
		len = size;
	struct arena_block *b = mem_alloc(sizeof(*b) + len);
	if (b == NULL)
		return NULL;
	b->len = len;
	if (alone) { /* the current block goes on being filled */
		b->next = a->blocks->next;
		a->blocks->next = b;
		return b->room;
	}
	b->next = a->blocks;
	a->blocks = b;
	a->at = b->room + size;
	a->end = b->room + len;
	return b->room;
}

void *arena_alloc(struct arena *a, size_t size)
{
	if (size > SIZE_MAX / 4)
		return NULL;
	size = size == 0 ? ARENA_ALIGN : (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (a->limit != 0 && size > a->limit - a->used)
		return NULL;
	void *at;
	if (a->at != NULL && size <= (size_t)(a->end - a->at)) {
		at = a->at;
		a->at += size;
	} else {
		at = grow(a, size);
		if (at == NULL)
			return NULL;
	}
	a->used += size;
	return at;
}

void *arena_zalloc(struct arena *a, size_t size)
{
	void *at = arena_alloc(a, size);
	if (at != NULL)
		memset(at, 0, size);
	return at;
}

char *arena_strdup(struct arena *a, const char *text)
{
	return arena_memdup0(a, text, strlen(text));
}

char *arena_memdup0(struct arena *a, const void *from, size_t len)
{
	if (len > SIZE_MAX / 4)
		return NULL;
	char *copy = arena_alloc(a, len + 1);
	if (copy == NULL)
		return NULL;
	if (len > 0)
		memcpy(copy, from, len);
	copy[len] = '\0';
	return copy;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return NULL;
	char *text = arena_alloc(a, (size_t)n + 1);
	if (text == NULL)
		return NULL;
	va_start(args, format);
	vsnprintf(text, (size_t)n + 1, format, args);
	va_end(args);
	return text;
}

void arena_reset(struct arena *a)
{
	struct arena_block *b = a->blocks;
	while (b != NULL) {
		struct arena_block *next = b->next;
		mem_free(b);
		b = next;
	}
	start(a);
}

void arena_done(struct arena *a)
{
	arena_reset(a);
}

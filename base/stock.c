/* stock.c - see stock.h. A class is what malloc itself distinguishes (16 bytes apart, 8 of each its own), so a block needs
 * no header: its class is how many bytes of it can be used. */
#include "base/stock.h"

#include "base/mem.h"
#include <malloc.h>
#include <stdint.h>
#include <string.h>

enum { STEP = 16, LEAST = 24, KEPT_SIZE_MAX = LEAST + STEP * (STOCK_CLASSES - 1) };

struct stock_block { /* kept */
	struct stock_block *next;
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

void stock_init(struct stock *s, size_t kept_max)
{
	memset(s, 0, sizeof(*s));
#ifndef __SANITIZE_ADDRESS__
	s->kept_max = kept_max;
#else
	(void)kept_max; /* who uses a block that was given back must be seen */
#endif
}

static size_t class_of(size_t size)
{
	return size <= LEAST ? 0 : (size - LEAST + STEP - 1) / STEP;
}

void *stock_alloc(struct stock *s, size_t size)
{
	if (size > KEPT_SIZE_MAX)
		return mem_alloc(size);
	size_t class = class_of(size);
	struct stock_block *b = s->spare[class];
	if (b == NULL)
		return mem_alloc(LEAST + class * STEP);
	s->spare[class] = b->next;
	s->kept -= LEAST + class * STEP;
	return b;
}

void *stock_zalloc(struct stock *s, size_t size)
{
	void *at = stock_alloc(s, size);
	if (at != NULL)
		memset(at, 0, size);
	return at;
}

void *stock_realloc(struct stock *s, void *at, size_t size)
{
	if (at == NULL)
		return stock_alloc(s, size);
	size_t room = malloc_usable_size(at);
	if (size <= room)
		return at;
	void *larger = stock_alloc(s, size);
	if (larger == NULL)
		return NULL;
	memcpy(larger, at, room);
	stock_free(s, at);
	return larger;
}

void stock_free(struct stock *s, void *at)
{
	size_t room = at == NULL ? 0 : malloc_usable_size(at);
	if (room < LEAST || room > KEPT_SIZE_MAX) {
		mem_free(at);
		return;
	}
	size_t class = (room - LEAST) / STEP, len = LEAST + class * STEP;
	if (len > s->kept_max - s->kept) {
		mem_free(at);
		return;
	}
	struct stock_block *b = at;
	b->next = s->spare[class];
	s->spare[class] = b;
	s->kept += len;
}

void stock_done(struct stock *s)
{
	for (unsigned i = 0; i < STOCK_CLASSES; i++)
		for (struct stock_block *b; (b = s->spare[i]) != NULL; mem_free(b))
			s->spare[i] = b->next;
	s->kept = 0;
}

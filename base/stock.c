/* stock.c - see stock.h. Each block has its class before it. */
#include "base/stock.h"

#include "base/mem.h"
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

enum { NO_CLASS = STOCK_CLASSES };

struct stock_block {
	union {
		struct stock_block *next; /* kept */
		size_t size;		  /* in use, of no class: the bytes behind */
	};
	uint32_t class;
	alignas(16) char room[];
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

static size_t room_of(uint32_t class)
{
	return (class + (size_t)1) * STOCK_STEP;
}

void *stock_alloc(struct stock *s, size_t size)
{
	uint32_t class = size == 0 ? 0 : (uint32_t)((size - 1) / STOCK_STEP);
	struct stock_block *b;
	if (size > STOCK_STEP * STOCK_CLASSES) {
		b = size > SIZE_MAX - sizeof(*b) ? NULL : mem_alloc(sizeof(*b) + size);
		if (b == NULL)
			return NULL;
		b->size = size;
		b->class = NO_CLASS;
		return b->room;
	}
	b = s->spare[class];
	if (b != NULL) {
		s->spare[class] = b->next;
		s->kept -= room_of(class);
		return b->room;
	}
	b = mem_alloc(sizeof(*b) + room_of(class));
	if (b == NULL)
		return NULL;
	b->class = class;
	return b->room;
}

void *stock_zalloc(struct stock *s, size_t size)
{
	void *at = stock_alloc(s, size);
	if (at != NULL)
		memset(at, 0, size);
	return at;
}

static struct stock_block *block_of(void *at)
{
	return (struct stock_block *)((char *)at - offsetof(struct stock_block, room));
}

void *stock_realloc(struct stock *s, void *at, size_t size)
{
	if (at == NULL)
		return stock_alloc(s, size);
	struct stock_block *b = block_of(at);
	size_t room = b->class == NO_CLASS ? b->size : room_of(b->class);
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
	if (at == NULL)
		return;
	struct stock_block *b = block_of(at);
	if (b->class == NO_CLASS || room_of(b->class) > s->kept_max - s->kept) {
		mem_free(b);
		return;
	}
	b->next = s->spare[b->class];
	s->spare[b->class] = b;
	s->kept += room_of(b->class);
}

void stock_done(struct stock *s)
{
	for (unsigned i = 0; i < STOCK_CLASSES; i++)
		for (struct stock_block *b; (b = s->spare[i]) != NULL; mem_free(b))
			s->spare[i] = b->next;
	s->kept = 0;
}

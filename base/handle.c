/* handle.c - see handle.h. A handle is a slot's number plus one and, above it, the slot's turn, which
 * moves on when the slot is given back. */
#include "base/handle.h"
#include "base/mem.h"
#include <assert.h>

enum { HANDLES_LEAST = 64 };

struct handle_slot {
	void *object; /* NULL: free */
	uint32_t turn;
	uint32_t next_free; /* slot number plus one; 0: none */
};

void handles_init(struct handles *h)
{
	*h = (struct handles){ .slots = NULL };
}

void handles_done(struct handles *h)
{
	mem_free(h->slots);
	handles_init(h);
}

static int grow(struct handles *h)
{
	if (h->cap > UINT32_MAX / 4)
		return -1;
	uint32_t cap = h->cap == 0 ? HANDLES_LEAST : h->cap * 2;
	struct handle_slot *slots = mem_realloc(h->slots, cap * sizeof(*slots));
	if (slots == NULL)
		return -1;
	for (uint32_t i = h->cap; i < cap; i++)
		slots[i] = (struct handle_slot){ NULL, 0, i + 1 < cap ? i + 2 : 0 };
	h->slots = slots;
	h->free_head = h->cap + 1;
	h->cap = cap;
	return 0;
}

uint64_t handles_add(struct handles *h, void *object)
{
	assert(object != NULL);
	if (h->free_head == 0 && grow(h) < 0)
		return 0;
	uint32_t number = h->free_head;
	struct handle_slot *s = &h->slots[number - 1];
	h->free_head = s->next_free;
	s->object = object;
	h->count++;
	return (uint64_t)s->turn << 32 | number;
}

static struct handle_slot *slot_of(const struct handles *h, uint64_t handle)
{
	uint32_t number = (uint32_t)handle;
	if (number == 0 || number > h->cap)
		return NULL;
	struct handle_slot *s = &h->slots[number - 1];
	return s->object != NULL && s->turn == (uint32_t)(handle >> 32) ? s : NULL;
}

void *handles_find(const struct handles *h, uint64_t handle)
{
	struct handle_slot *s = slot_of(h, handle);
	return s == NULL ? NULL : s->object;
}

void handles_remove(struct handles *h, uint64_t handle)
{
	struct handle_slot *s = slot_of(h, handle);
	if (s == NULL)
		return;
	s->object = NULL;
	s->turn++;
	s->next_free = h->free_head;
	h->free_head = (uint32_t)handle;
	h->count--;
}

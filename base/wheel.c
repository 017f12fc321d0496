/* wheel.c - see wheel.h. Four levels of 128 slots, a slot a ring of nodes with a head; level 0 counts
 * ticks of 10 ms, each next level 128 times more. When the hand comes to the start of a slot of a
 * higher level, its nodes move down. A node past the horizon waits in the last slot that can be
 * reached and is placed again from there. Bits tell which slots hold nodes, so empty time is skipped.
 *
 * Nodes of the tick under the hand that are due go to @due first and are taken from there one by
 * one, so callbacks may add and remove whatever they like. A callback that adds a node which is due
 * already sees it called in the same turn: @max bounds that. */
#include "base/wheel.h"
#include "base/mem.h"
#include <assert.h>

enum {
	TICK_MS = 10,
	SLOT_BITS = 7,
	SLOTS = 1 << SLOT_BITS,
	LEVELS = 4,
	RING_SCAN = 32, /* nodes looked at for an exact next time */
};

#define HORIZON ((int64_t)1 << (SLOT_BITS * LEVELS))

struct wheel {
	int64_t tick;	/* under the hand: all before it are empty */
	int64_t now_ms; /* of the last turn */
	uint64_t bits[LEVELS][SLOTS / 64];
	struct wheel_node due; /* head */
	struct wheel_node slots[LEVELS][SLOTS];
};

static int64_t tick_of(int64_t ms)
{
	int64_t t = ms / TICK_MS;
	return ms % TICK_MS < 0 ? t - 1 : t;
}

static bool ring_empty(const struct wheel_node *head)
{
	return head->next == head;
}

static void ring_add(struct wheel_node *head, struct wheel_node *n)
{
	n->next = head;
	n->prev = head->prev;
	head->prev->next = n;
	head->prev = n;
}

static void ring_remove(struct wheel_node *n)
{
	n->next->prev = n->prev;
	n->prev->next = n->next;
	n->next = n->prev = NULL;
}

struct wheel *wheel_new(int64_t now_ms)
{
	struct wheel *w = mem_zalloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	w->now_ms = now_ms;
	w->tick = tick_of(now_ms);
	w->due.next = w->due.prev = &w->due;
	for (unsigned level = 0; level < LEVELS; level++)
		for (unsigned i = 0; i < SLOTS; i++)
			w->slots[level][i].next = w->slots[level][i].prev = &w->slots[level][i];
	return w;
}

void wheel_free(struct wheel *w)
{
	mem_free(w);
}

static void slot_put(struct wheel *w, struct wheel_node *n)
{
	int64_t at = tick_of(n->due_ms);
	if (at < w->tick)
		at = w->tick;
	if (at - w->tick >= HORIZON)
		at = w->tick + HORIZON - 1;
	unsigned level = 0;
	while ((at - w->tick) >> (SLOT_BITS * (level + 1)) != 0)
		level++;
	unsigned i = (unsigned)(at >> (SLOT_BITS * level)) & (SLOTS - 1);
	ring_add(&w->slots[level][i], n);
	w->bits[level][i / 64] |= (uint64_t)1 << (i % 64);
}

void wheel_add(struct wheel *w, struct wheel_node *n, int64_t due_ms)
{
	assert(n->next == NULL);
	n->due_ms = due_ms;
	slot_put(w, n);
}

/* When @head is a slot's and the ring is empty, the slot's bit goes. */
static void slot_check(struct wheel *w, const struct wheel_node *head)
{
	const struct wheel_node *first = &w->slots[0][0];
	if (!ring_empty(head) || head < first || head >= first + LEVELS * SLOTS)
		return;
	unsigned at = (unsigned)(head - first), i = at % SLOTS;
	w->bits[at / SLOTS][i / 64] &= ~((uint64_t)1 << (i % 64));
}

void wheel_remove(struct wheel *w, struct wheel_node *n)
{
	if (n->next == NULL)
		return;
	const struct wheel_node *after = n->next;
	ring_remove(n);
	slot_check(w, after);
}

void wheel_replace(struct wheel *w, struct wheel_node *old, struct wheel_node *fresh)
{
	(void)w;
	*fresh = *old;
	if (old->next == NULL)
		return;
	old->next->prev = fresh;
	old->prev->next = fresh;
	old->next = old->prev = NULL;
}

/* How many slots after @from (0: itself) the next one with nodes comes, round the level; -1: none. */
static int next_slot(const struct wheel *w, unsigned level, unsigned from)
{
	for (unsigned d = 0; d < SLOTS;) {
		unsigned i = (from + d) & (SLOTS - 1);
		uint64_t rest = w->bits[level][i / 64] >> (i % 64);
		if (rest != 0)
			return (int)d + __builtin_ctzll(rest) < SLOTS ? (int)d + __builtin_ctzll(rest)
								      : -1;
		d += 64 - i % 64;
	}
	return -1;
}

/* The hand stands at the start of slots of higher levels: their nodes move down, highest first. */
static void cascade(struct wheel *w)
{
	unsigned top = 1;
	while (top < LEVELS - 1 && (w->tick & (((int64_t)1 << (SLOT_BITS * (top + 1))) - 1)) == 0)
		top++;
	for (unsigned level = top; level > 0; level--) {
		unsigned i = (unsigned)(w->tick >> (SLOT_BITS * level)) & (SLOTS - 1);
		struct wheel_node *head = &w->slots[level][i], moved;
		if (ring_empty(head))
			continue;
		moved = *head; /* taken whole first: a node past the horizon may come back here */
		moved.next->prev = moved.prev->next = &moved;
		head->next = head->prev = head;
		slot_check(w, head);
		while (!ring_empty(&moved)) {
			struct wheel_node *n = moved.next;
			ring_remove(n);
			slot_put(w, n);
		}
	}
}

/* Moves the hand to the next tick that may hold nodes, at most to @last. */
static void advance(struct wheel *w, int64_t last)
{
	int64_t to = last;
	for (unsigned level = 0; level < LEVELS; level++) {
		int64_t at = w->tick >> (SLOT_BITS * level);
		int d = next_slot(w, level, (unsigned)(at + 1) & (SLOTS - 1));
		if (d < 0)
			continue;
		int64_t start = (at + 1 + d) * ((int64_t)1 << (SLOT_BITS * level));
		if (start < to)
			to = start;
	}
	w->tick = to;
	if ((to & (SLOTS - 1)) == 0)
		cascade(w);
}

/* The due nodes of the tick under the hand go to the due ring. */
static void collect(struct wheel *w, int64_t now_ms)
{
	struct wheel_node *head = &w->slots[0][w->tick & (SLOTS - 1)];
	for (struct wheel_node *n = head->next, *next; n != head; n = next) {
		next = n->next;
		if (n->due_ms > now_ms)
			continue;
		ring_remove(n);
		ring_add(&w->due, n);
	}
	slot_check(w, head);
}

unsigned wheel_turn(struct wheel *w, int64_t now_ms, unsigned max,
		    void (*on_due)(void *arg, struct wheel_node *n), void *arg)
{
	int64_t last = tick_of(now_ms);
	unsigned called = 0;
	w->now_ms = now_ms;
	while (called < max) {
		if (ring_empty(&w->due))
			collect(w, now_ms);
		if (ring_empty(&w->due)) {
			if (w->tick >= last)
				break;
			advance(w, last);
			continue;
		}
		struct wheel_node *n = w->due.next;
		ring_remove(n);
		called++;
		on_due(arg, n);
	}
	return called;
}

/* The least due time of a ring, exactly for a short one, else at least @bound. */
static int64_t ring_next_ms(const struct wheel_node *head, int64_t bound)
{
	int64_t least = INT64_MAX;
	unsigned seen = 0;
	for (const struct wheel_node *n = head->next; n != head; n = n->next) {
		if (++seen > RING_SCAN)
			return bound;
		if (n->due_ms < least)
			least = n->due_ms;
	}
	return least;
}

int64_t wheel_next_ms(const struct wheel *w)
{
	int64_t least = ring_empty(&w->due) ? INT64_MAX : w->tick * TICK_MS;
	int d = next_slot(w, 0, (unsigned)w->tick & (SLOTS - 1));
	if (d >= 0) {
		unsigned i = (unsigned)(w->tick + d) & (SLOTS - 1);
		int64_t ms = ring_next_ms(&w->slots[0][i], (w->tick + d) * TICK_MS);
		if (ms < least)
			least = ms;
	}
	for (unsigned level = 1; level < LEVELS; level++) {
		int64_t at = w->tick >> (SLOT_BITS * level);
		d = next_slot(w, level, (unsigned)(at + 1) & (SLOTS - 1));
		if (d < 0)
			continue;
		int64_t ms = (at + 1 + d) * ((int64_t)TICK_MS << (SLOT_BITS * level));
		if (ms < least)
			least = ms;
	}
	return least;
}

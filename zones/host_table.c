/* host_table.c - open addressing; a slot's key never changes within one table, so readers need no care but
 * for the count. Dead slots (count 0) are swept when the table is copied. */
#include "zones/host_table.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mem.h"
#include <string.h>

enum { FIRST = 256 };

struct host_slots4 {
	struct rcu_head reap;
	uint64_t mask;
	_Atomic uint64_t slots[]; /* address << 32 | count; 0: empty (0.0.0.0 is no host) */
};

struct host_slot6 {
	uint64_t addr[2];
	_Atomic uint64_t count; /* with KEYED; 0: empty */
};

struct host_slots6 {
	struct rcu_head reap;
	uint64_t mask;
	struct host_slot6 slots[];
};

#define KEYED ((uint64_t)1 << 63)

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t p = (__uint128_t)a * b;
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t hash4(const struct host_table *t, uint32_t addr)
{
	return mix(t->seed ^ addr, 0x9e3779b97f4a7c15u);
}

static uint64_t hash6(const struct host_table *t, const uint64_t addr[2])
{
	return mix(mix(t->seed ^ addr[0], 0x9e3779b97f4a7c15u) ^ addr[1], 0xd6e8feb86659fd93u);
}

static uint32_t load4(const uint8_t *addr)
{
	uint32_t v;
	memcpy(&v, addr, 4);
	return v;
}

static size_t size4(uint64_t slots)
{
	return sizeof(struct host_slots4) + slots * sizeof(uint64_t);
}

static size_t size6(uint64_t slots)
{
	return sizeof(struct host_slots6) + slots * sizeof(struct host_slot6);
}

static void free4(void *arg, struct rcu_head *head)
{
	(void)arg;
	mem_free((char *)head - offsetof(struct host_slots4, reap));
}

static void free6(void *arg, struct rcu_head *head)
{
	(void)arg;
	mem_free((char *)head - offsetof(struct host_slots6, reap));
}

int host_table_init(struct host_table *t, struct rcu_reaper *reaper)
{
	memset(t, 0, sizeof(*t));
	struct host_slots4 *v4 = mem_zalloc(1, size4(FIRST));
	struct host_slots6 *v6 = mem_zalloc(1, size6(FIRST));
	if (v4 == NULL || v6 == NULL) {
		mem_free(v4);
		mem_free(v6);
		return E_NOMEM;
	}
	v4->mask = v6->mask = FIRST - 1;
	atomic_init(&t->v4, v4);
	atomic_init(&t->v6, v6);
	t->reaper = reaper;
	t->seed = hash_seed() ^ 0xa0761d6478bd642fu;
	t->bytes = size4(FIRST) + size6(FIRST);
	return E_OK;
}

void host_table_done(struct host_table *t)
{
	mem_free(atomic_load(&t->v4));
	mem_free(atomic_load(&t->v6));
}

static _Atomic uint64_t *slot4(const struct host_table *t, struct host_slots4 *s, uint32_t addr)
{
	for (uint64_t at = hash4(t, addr);; at++) {
		uint64_t v = atomic_load_explicit(&s->slots[at & s->mask], memory_order_acquire);
		if (v == 0 || v >> 32 == addr)
			return &s->slots[at & s->mask];
	}
}

static struct host_slot6 *slot6(const struct host_table *t, struct host_slots6 *s, const uint64_t addr[2])
{
	for (uint64_t at = hash6(t, addr);; at++) {
		struct host_slot6 *slot = &s->slots[at & s->mask];
		if (atomic_load_explicit(&slot->count, memory_order_acquire) == 0 ||
		    (slot->addr[0] == addr[0] && slot->addr[1] == addr[1]))
			return slot;
	}
}

/* Slots for @live and @more at a load of at most a half, so that a copy lasts a while. */
static uint64_t slots_for(uint64_t live, uint64_t more)
{
	uint64_t slots = FIRST;
	while (slots < 2 * (live + more))
		slots *= 2;
	return slots;
}

static bool crowded(uint64_t used, uint64_t more, uint64_t mask)
{
	return (used + more) * 10 > (mask + 1) * 7;
}

static int reserve4(struct host_table *t, uint32_t more)
{
	struct host_slots4 *old = atomic_load_explicit(&t->v4, memory_order_relaxed);
	if (!crowded(t->used[0], more, old->mask))
		return E_OK;
	uint64_t slots = slots_for(t->live[0], more);
	struct host_slots4 *fresh = mem_zalloc(1, size4(slots));
	if (fresh == NULL)
		return E_NOMEM;
	fresh->mask = slots - 1;
	for (uint64_t i = 0; i <= old->mask; i++) {
		uint64_t v = atomic_load_explicit(&old->slots[i], memory_order_relaxed);
		if ((uint32_t)v != 0)
			atomic_store_explicit(slot4(t, fresh, (uint32_t)(v >> 32)), v,
					      memory_order_relaxed);
	}
	t->bytes += size4(slots) - size4(old->mask + 1);
	t->used[0] = t->live[0];
	rcu_publish(&t->v4, fresh);
	rcu_reaper_add(t->reaper, &old->reap, free4);
	return E_OK;
}

static int reserve6(struct host_table *t, uint32_t more)
{
	struct host_slots6 *old = atomic_load_explicit(&t->v6, memory_order_relaxed);
	if (!crowded(t->used[1], more, old->mask))
		return E_OK;
	uint64_t slots = slots_for(t->live[1], more);
	struct host_slots6 *fresh = mem_zalloc(1, size6(slots));
	if (fresh == NULL)
		return E_NOMEM;
	fresh->mask = slots - 1;
	for (uint64_t i = 0; i <= old->mask; i++) {
		uint64_t count = atomic_load_explicit(&old->slots[i].count, memory_order_relaxed);
		if ((count & ~KEYED) == 0)
			continue;
		struct host_slot6 *to = slot6(t, fresh, old->slots[i].addr);
		memcpy(to->addr, old->slots[i].addr, 16);
		atomic_store_explicit(&to->count, count, memory_order_relaxed);
	}
	t->bytes += size6(slots) - size6(old->mask + 1);
	t->used[1] = t->live[1];
	rcu_publish(&t->v6, fresh);
	rcu_reaper_add(t->reaper, &old->reap, free6);
	return E_OK;
}

int host_table_reserve(struct host_table *t, uint32_t v4, uint32_t v6)
{
	return reserve4(t, v4) < 0 || reserve6(t, v6) < 0 ? E_NOMEM : E_OK;
}

void host_table_add(struct host_table *t, int family, const uint8_t *addr)
{
	if (family == 4) {
		_Atomic uint64_t *slot = slot4(t, atomic_load_explicit(&t->v4, memory_order_relaxed),
					       load4(addr));
		uint64_t v = atomic_load_explicit(slot, memory_order_relaxed);
		t->used[0] += v == 0;
		t->live[0] += (uint32_t)v == 0;
		v = v == 0 ? (uint64_t)load4(addr) << 32 : v;
		atomic_store_explicit(slot, v + 1, memory_order_release);
		return;
	}
	uint64_t key[2];
	memcpy(key, addr, 16);
	struct host_slot6 *slot = slot6(t, atomic_load_explicit(&t->v6, memory_order_relaxed), key);
	uint64_t count = atomic_load_explicit(&slot->count, memory_order_relaxed);
	t->used[1] += count == 0;
	t->live[1] += (count & ~KEYED) == 0;
	if (count == 0)
		memcpy(slot->addr, key, 16);
	atomic_store_explicit(&slot->count, (count | KEYED) + 1, memory_order_release);
}

void host_table_drop(struct host_table *t, int family, const uint8_t *addr)
{
	if (family == 4) {
		_Atomic uint64_t *slot = slot4(t, atomic_load_explicit(&t->v4, memory_order_relaxed),
					       load4(addr));
		uint64_t v = atomic_load_explicit(slot, memory_order_relaxed) - 1;
		t->live[0] -= (uint32_t)v == 0;
		atomic_store_explicit(slot, v, memory_order_release);
		return;
	}
	uint64_t key[2];
	memcpy(key, addr, 16);
	struct host_slot6 *slot = slot6(t, atomic_load_explicit(&t->v6, memory_order_relaxed), key);
	uint64_t count = atomic_load_explicit(&slot->count, memory_order_relaxed) - 1;
	t->live[1] -= count == KEYED;
	atomic_store_explicit(&slot->count, count, memory_order_release);
}

bool host_table_has(const struct host_table *t, int family, const uint8_t *addr)
{
	struct host_table *table = (struct host_table *)t; /* atomic loads want it so */
	if (family == 4) {
		if (load4(addr) == 0)
			return false;
		return (uint32_t)atomic_load_explicit(slot4(t, rcu_read(&table->v4), load4(addr)),
						      memory_order_relaxed) != 0;
	}
	uint64_t key[2];
	memcpy(key, addr, 16);
	const struct host_slot6 *slot = slot6(t, rcu_read(&table->v6), key);
	return (atomic_load_explicit(&slot->count, memory_order_acquire) & ~KEYED) != 0;
}

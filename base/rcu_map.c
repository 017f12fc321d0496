/* rcu_map.c - see rcu_map.h. A slot is written once in a table's life: free > value > tombstone. It is
 * never used again, so a reader that has seen a value has seen that value's hash. The writer replaces
 * the table when three quarters are used up. */
#include "base/rcu_map.h"
#include "base/error.h"
#include "base/mem.h"
#include <assert.h>

enum { RCU_MAP_LEAST = 16 };

struct rcu_slot {
	_Atomic uint64_t hash;
	_Atomic(void *) value; /* NULL: free */
};

struct rcu_table {
	struct rcu_head head; /* on its way out */
	size_t cap;	      /* a power of two */
	struct rcu_slot slots[];
};

/* Its address marks a deleted slot. */
static const char tombstone;
#define TOMBSTONE ((void *)(uintptr_t)&tombstone)

static inline size_t place_of(uint64_t hash)
{
	return (size_t)(hash * 0x9E3779B97F4A7C15 >> 20);
}

static struct rcu_table *table_new(size_t cap)
{
	struct rcu_table *t =
	    mem_zalloc(1, sizeof(struct rcu_table) + cap * sizeof(struct rcu_slot));
	if (t != NULL)
		t->cap = cap;
	return t;
}

static void table_free(void *arg, struct rcu_head *head)
{
	(void)arg;
	mem_free(head); /* the table's first member */
}

static void table_put(struct rcu_table *t, uint64_t hash, void *value)
{
	size_t mask = t->cap - 1, i = place_of(hash) & mask;
	while (atomic_load_explicit(&t->slots[i].value, memory_order_relaxed) != NULL)
		i = (i + 1) & mask;
	atomic_store_explicit(&t->slots[i].hash, hash, memory_order_relaxed);
	rcu_publish(&t->slots[i].value, value);
}

/* The slot of @key, or NULL. */
static struct rcu_slot *locate(struct rcu_map *m, uint64_t hash, const void *key, void **value)
{
	struct rcu_table *t = rcu_read(&m->table);
	size_t mask = t->cap - 1;
	for (size_t i = place_of(hash) & mask;; i = (i + 1) & mask) {
		struct rcu_slot *s = &t->slots[i];
		void *v = atomic_load_explicit(&s->value, memory_order_acquire);
		if (v == NULL)
			return NULL;
		if (v != TOMBSTONE &&
		    atomic_load_explicit(&s->hash, memory_order_relaxed) == hash &&
		    m->equal(v, key)) {
			*value = v;
			return s;
		}
	}
}

int rcu_map_init(struct rcu_map *m, rcu_map_equal_fn *equal, struct rcu_reaper *reaper)
{
	struct rcu_table *t = table_new(RCU_MAP_LEAST);
	if (t == NULL)
		return E_NOMEM;
	m->count = m->filled = 0;
	m->equal = equal;
	m->reaper = reaper;
	atomic_init(&m->table, t);
	return E_OK;
}

void rcu_map_done(struct rcu_map *m)
{
	mem_free(atomic_load_explicit(&m->table, memory_order_relaxed));
	atomic_store_explicit(&m->table, NULL, memory_order_relaxed);
	m->count = m->filled = 0;
}

void *rcu_map_find(struct rcu_map *m, uint64_t hash, const void *key)
{
	void *value = NULL;
	return locate(m, hash, key, &value) == NULL ? NULL : value;
}

static int replace_table(struct rcu_map *m)
{
	struct rcu_table *old = atomic_load_explicit(&m->table, memory_order_relaxed);
	size_t cap = RCU_MAP_LEAST;
	while (cap < (m->count + 1) * 2)
		cap *= 2;
	struct rcu_table *fresh = table_new(cap);
	if (fresh == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < old->cap; i++) {
		void *v = atomic_load_explicit(&old->slots[i].value, memory_order_relaxed);
		if (v != NULL && v != TOMBSTONE)
			table_put(fresh,
				  atomic_load_explicit(&old->slots[i].hash, memory_order_relaxed),
				  v);
	}
	m->filled = m->count;
	rcu_publish(&m->table, fresh);
	rcu_reaper_add(m->reaper, &old->head, table_free);
	return E_OK;
}

int rcu_map_add(struct rcu_map *m, uint64_t hash, void *value)
{
	assert(value != NULL);
	struct rcu_table *t = atomic_load_explicit(&m->table, memory_order_relaxed);
	if ((m->filled + 1) * 4 > t->cap * 3) {
		int rc = replace_table(m);
		if (rc < 0)
			return rc;
		t = atomic_load_explicit(&m->table, memory_order_relaxed);
	}
	table_put(t, hash, value);
	m->count++;
	m->filled++;
	return E_OK;
}

void *rcu_map_remove(struct rcu_map *m, uint64_t hash, const void *key)
{
	void *value = NULL;
	struct rcu_slot *s = locate(m, hash, key, &value);
	if (s == NULL)
		return NULL;
	rcu_publish(&s->value, TOMBSTONE);
	m->count--;
	return value;
}

void *rcu_map_next(struct rcu_map *m, size_t *at)
{
	struct rcu_table *t = atomic_load_explicit(&m->table, memory_order_relaxed);
	while (*at < t->cap) {
		void *v = atomic_load_explicit(&t->slots[(*at)++].value, memory_order_relaxed);
		if (v != NULL && v != TOMBSTONE)
			return v;
	}
	return NULL;
}

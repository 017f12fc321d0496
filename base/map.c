/* map.c - see map.h. Linear probing over 32-bit hashes; a deleted slot becomes free again as soon as
 * nothing stands behind it. The table grows, or is cleaned, at three quarters filled. */
#include "base/map.h"
#include "base/error.h"
#include "base/mem.h"
#include <assert.h>

enum { SLOT_FREE, SLOT_DELETED, SLOT_FIRST, MAP_LEAST = 16 };

void map_init(struct map *m, map_equal_fn *equal)
{
	*m = (struct map){ .equal = equal };
}

void map_done(struct map *m)
{
	mem_free(m->hashes);
	mem_free(m->values);
	*m = (struct map){ .equal = m->equal };
}

/* 32 mixed bits of the hash: they are all that the table keeps, so they also place a value. */
static inline uint32_t fold(uint64_t hash)
{
	uint32_t h = (uint32_t)(hash * 0x9E3779B97F4A7C15 >> 32);
	return h < SLOT_FIRST ? h + SLOT_FIRST : h;
}

/* The slot of @key, or cap. */
static size_t locate(const struct map *m, uint32_t h, const void *key)
{
	if (m->cap == 0)
		return 0;
	size_t mask = m->cap - 1;
	for (size_t i = h & mask;; i = (i + 1) & mask) {
		if (m->hashes[i] == h && m->equal(m->values[i], key))
			return i;
		if (m->hashes[i] == SLOT_FREE)
			return m->cap;
	}
}

void *map_find(const struct map *m, uint64_t hash, const void *key)
{
	size_t i = locate(m, fold(hash), key);
	return i == m->cap ? NULL : m->values[i];
}

/* Takes the first slot that holds nothing; there is always one. */
static void place(struct map *m, uint32_t h, void *value)
{
	size_t mask = m->cap - 1, i = h & mask;
	while (m->hashes[i] >= SLOT_FIRST)
		i = (i + 1) & mask;
	if (m->hashes[i] == SLOT_FREE)
		m->filled++;
	m->hashes[i] = h;
	m->values[i] = value;
	m->count++;
}

/* A fresh table, at most half full, with the values of the old one. */
static int rebuild(struct map *m)
{
	struct map fresh = { .equal = m->equal, .cap = MAP_LEAST };
	while (fresh.cap < (m->count + 1) * 2)
		fresh.cap *= 2;
	fresh.hashes = mem_zalloc(fresh.cap, sizeof(*fresh.hashes));
	fresh.values = mem_alloc(fresh.cap * sizeof(*fresh.values));
	if (fresh.hashes == NULL || fresh.values == NULL) {
		mem_free(fresh.hashes);
		mem_free(fresh.values);
		return E_NOMEM;
	}
	for (size_t i = 0; i < m->cap; i++)
		if (m->hashes[i] >= SLOT_FIRST)
			place(&fresh, m->hashes[i], m->values[i]);
	map_done(m);
	*m = fresh;
	return E_OK;
}

int map_add(struct map *m, uint64_t hash, void *value)
{
	assert(value != NULL);
	if ((m->filled + 1) * 4 > m->cap * 3) {
		int rc = rebuild(m);
		if (rc < 0)
			return rc;
	}
	place(m, fold(hash), value);
	return E_OK;
}

void *map_remove(struct map *m, uint64_t hash, const void *key)
{
	size_t i = locate(m, fold(hash), key);
	if (i == m->cap)
		return NULL;
	size_t mask = m->cap - 1;
	void *value = m->values[i];
	m->hashes[i] = SLOT_DELETED;
	m->count--;
	if (m->hashes[(i + 1) & mask] != SLOT_FREE)
		return value;
	/* No probe goes on past here: this one and the deleted ones before it can be free. */
	for (; m->hashes[i] == SLOT_DELETED; i = (i - 1) & mask) {
		m->hashes[i] = SLOT_FREE;
		m->filled--;
	}
	return value;
}

void *map_next(const struct map *m, size_t *at)
{
	while (*at < m->cap) {
		size_t i = (*at)++;
		if (m->hashes[i] >= SLOT_FIRST)
			return m->values[i];
	}
	return NULL;
}

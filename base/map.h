/* map.h - a hash map of pointers, open addressing, for one thread. The map owns neither keys nor
 * values: how to hash and compare is given at init; a value holds its own key. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef bool map_equal_fn(const void *value, const void *key);

struct map {
	uint32_t *hashes; /* 0: free, 1: deleted, else the hash with its low values moved away */
	void **values;
	size_t cap, count, filled; /* filled: with deleted ones */
	map_equal_fn *equal;
};

void map_init(struct map *m, map_equal_fn *equal);
void map_done(struct map *m); /* the table only */
void *map_find(const struct map *m, uint64_t hash, const void *key); /* NULL: not there */
int map_add(struct map *m, uint64_t hash, void *value); /* the key must not be there; E_NOMEM */
void *map_remove(struct map *m, uint64_t hash, const void *key); /* the value, or NULL */
/* Iteration: for (size_t i = 0; (v = map_next(m, &i)) != NULL;). Removing the value just returned
 * is allowed, adding is not. */
void *map_next(const struct map *m, size_t *at);

#endif

/* encodings.c - the cache of encoded lists; see encodings.h. */
#include "api/encodings.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/error.h"
#include <string.h>

static uint64_t key_hash(const struct encoding_key *k)
{
	uint64_t parts[2] = { k->service_id, k->shape };
	uint64_t h = hash_bytes(parts, sizeof(parts));
	return k->clusters_len == 0 ? h : hash_more(h, k->clusters, k->clusters_len);
}

static bool key_equal(const void *value, const void *key)
{
	const struct encoding_key *a = &((const struct encoding *)value)->key, *b = key;
	return a->service_id == b->service_id && a->shape == b->shape && a->clusters_len == b->clusters_len &&
	       memcmp(a->clusters, b->clusters, a->clusters_len) == 0;
}

void encodings_init(struct encodings *e, size_t limit)
{
	memset(e, 0, sizeof(*e));
	map_init(&e->map, key_equal);
	e->limit = limit;
}

static void unlink_encoding(struct encodings *e, struct encoding *c)
{
	*(c->newer != NULL ? &c->newer->older : &e->newest) = c->older;
	*(c->older != NULL ? &c->older->newer : &e->oldest) = c->newer;
	c->newer = c->older = NULL;
}

static void link_newest(struct encodings *e, struct encoding *c)
{
	c->older = e->newest;
	*(e->newest != NULL ? &e->newest->newer : &e->oldest) = c;
	e->newest = c;
}

void encoding_release(void *encoding)
{
	struct encoding *c = encoding;
	if (--c->refs > 0 || c->home != NULL)
		return;
	mem_free(c);
}

static void drop(struct encodings *e, struct encoding *c)
{
	map_remove(&e->map, c->hash, &c->key);
	unlink_encoding(e, c);
	e->bytes -= c->bytes;
	e->count--;
	c->home = NULL;
	c->refs++;
	encoding_release(c);
}

void encodings_done(struct encodings *e)
{
	while (e->newest != NULL)
		drop(e, e->newest);
	map_done(&e->map);
}

struct encoding *encodings_find(struct encodings *e, const struct encoding_key *key)
{
	struct encoding *c = map_find(&e->map, key_hash(key), key);
	if (c == NULL)
		return NULL;
	if (c->key.number != key->number || c->key.settings != key->settings) {
		drop(e, c);
		return NULL;
	}
	if (e->newest != c) {
		unlink_encoding(e, c);
		link_newest(e, c);
	}
	c->refs++;
	return c;
}

struct encoding *encodings_add(struct encodings *e, const struct encoding_key *key, const void *body,
			       size_t len)
{
	size_t bytes = sizeof(struct encoding) + key->clusters_len + 1u + len;
	struct encoding *c = mem_alloc(bytes);
	if (c == NULL)
		return NULL;
	memset(c, 0, sizeof(*c));
	char *clusters = (char *)(c + 1);
	memcpy(clusters, key->clusters, key->clusters_len);
	clusters[key->clusters_len] = '\0';
	c->key = *key;
	c->key.clusters = clusters;
	c->hash = key_hash(key);
	memcpy(clusters + key->clusters_len + 1, body, len);
	c->body = clusters + key->clusters_len + 1;
	c->len = len;
	c->bytes = bytes;
	c->refs = 1;
	struct encoding *old = map_find(&e->map, c->hash, key);
	if (old != NULL)
		drop(e, old);
	if (c->bytes > e->limit || map_add(&e->map, c->hash, c) < 0)
		return c; /* not kept: freed by its release */
	c->home = e;
	link_newest(e, c);
	e->bytes += c->bytes;
	e->count++;
	while (e->bytes > e->limit)
		drop(e, e->oldest); /* never @c alone: it fits */
	return c;
}

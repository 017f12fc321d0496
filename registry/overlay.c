/* overlay.c - operators' edits of instances: found by service, address and cluster, merged over what the
 * publisher said, kept for a while after the instance has gone. */
#include "base/hash.h"
#include "base/mem.h"
#include "registry/core.h"
#include "registry/explain.h"

#include <assert.h>
#include <string.h>

static uint64_t key_hash(const struct overlay_key *key)
{
	uint64_t h = address_hash(key->ip, key->ip_len, key->port);

	h = hash_more(h, key->cluster, key->cluster_len);
	return hash_more(h, &key->service, sizeof(key->service));
}

bool overlay_equal(const void *value, const void *of)
{
	const struct overlay *o = value;
	const struct overlay_key *key = of;

	return o->service == key->service && o->port == key->port && o->ip_len == key->ip_len &&
	       o->cluster_len == key->cluster_len && memcmp(o->text, key->ip, key->ip_len) == 0 &&
	       memcmp(o->text + o->ip_len + 1, key->cluster, key->cluster_len) == 0;
}

struct overlay *overlay_find(struct registry *r, const struct overlay_key *key)
{
	return key->service->overlay_count == 0 ? NULL : map_find(&r->overlays, key_hash(key), key);
}

struct overlay *overlay_hold(struct registry *r, const struct overlay_key *key)
{
	struct overlay *o = overlay_find(r, key);

	if (o != NULL)
		return o;
	o = mem_zalloc(1, sizeof(*o) + key->ip_len + key->cluster_len + 2);
	if (o == NULL)
		return NULL;
	o->service = (struct service *)(uintptr_t)key->service;
	o->hash = key_hash(key);
	o->port = key->port;
	o->ip_len = (uint16_t)key->ip_len;
	o->cluster_len = (uint16_t)key->cluster_len;
	memcpy(o->text, key->ip, key->ip_len);
	memcpy(o->text + key->ip_len + 1, key->cluster, key->cluster_len);
	if (map_add(&r->overlays, o->hash, o) < 0) {
		mem_free(o);
		return NULL;
	}
	o->next = o->service->overlays;
	if (o->next != NULL)
		o->next->prev = o;
	o->service->overlays = o;
	o->service->overlay_count++;
	return o;
}

struct overlay_key overlay_key_of(const struct overlay *o)
{
	return (struct overlay_key){ o->service, o->text, o->text + o->ip_len + 1, o->ip_len, o->cluster_len,
				     o->port };
}

static void gone_untrack(struct registry *r, struct overlay *o)
{
	if (o->gone_ms == 0)
		return;
	*(o->gone_prev == NULL ? &r->gone : &o->gone_prev->gone_next) = o->gone_next;
	*(o->gone_next == NULL ? &r->gone_last : &o->gone_next->gone_prev) = o->gone_prev;
	o->gone_ms = 0;
}

static void gone_track(struct registry *r, struct overlay *o, int64_t now_ms)
{
	gone_untrack(r, o);
	o->gone_ms = now_ms > 0 ? now_ms : 1;
	o->gone_next = NULL;
	o->gone_prev = r->gone_last;
	*(r->gone_last == NULL ? &r->gone : &r->gone_last->gone_next) = o;
	r->gone_last = o;
}

/* To the end of the line: it cannot be dropped now. */
void overlay_defer(struct registry *r, struct overlay *o, int64_t now_ms)
{
	gone_track(r, o, now_ms);
}

void overlay_release(struct registry *r, struct overlay *o)
{
	struct overlay_key key = overlay_key_of(o);
	struct service *s = o->service;

	assert(o->content == NULL);
	gone_untrack(r, o);
	map_remove(&r->overlays, o->hash, &key);
	*(o->prev == NULL ? &s->overlays : &o->prev->next) = o->next;
	if (o->next != NULL)
		o->next->prev = o->prev;
	s->overlay_count--;
	if (o->base != NULL)
		record_free(r, o->base); /* a base is never published */
	mem_free(o);
}

struct overlay_content *overlay_content_new(double weight, bool enabled, unsigned has, const struct pair *pairs,
					    size_t n)
{
	size_t size = packed_size(pairs, n);
	struct overlay_content *c = mem_alloc(sizeof(*c) + size);

	if (c == NULL)
		return NULL;
	c->weight = weight;
	c->enabled = enabled;
	c->has = has;
	c->metadata_count = (uint16_t)n;
	c->metadata_len = (uint32_t)size;
	packed_build(c->text, pairs, n);
	return c;
}

void overlay_set(struct registry *r, struct overlay *o, struct overlay_content *fresh, int64_t now_ms)
{
	mem_free(o->content);
	o->content = fresh;
	if (fresh == NULL)
		overlay_release(r, o);
	else if (o->base == NULL)
		gone_track(r, o, now_ms);
}

void overlay_present(struct registry *r, struct overlay *o, struct instance *base, int64_t now_ms)
{
	if (o->base != NULL && o->base != base)
		record_free(r, o->base);
	o->base = base;
	if (base == NULL)
		gone_track(r, o, now_ms);
	else
		gone_untrack(r, o);
}

/* ---- merging */

size_t pairs_of(struct packed from, struct pair *pairs, size_t max)
{
	size_t n = 0;

	for (size_t at = 0; n < max && packed_next(&from, &at, &pairs[n]);)
		n++;
	return n;
}

int pairs_put(struct pair *pairs, size_t *n, const struct pair *fresh)
{
	for (size_t i = 0; i < *n; i++)
		if (pairs[i].key_len == fresh->key_len && memcmp(pairs[i].key, fresh->key, fresh->key_len) == 0) {
			pairs[i] = *fresh;
			return E_OK;
		}
	if (*n == PAIRS_MAX)
		return E_RANGE;
	pairs[(*n)++] = *fresh;
	return E_OK;
}

int overlay_merge(const struct overlay_content *c, struct record_draft *d, struct pair *pairs)
{
	struct packed over = { c->text, c->metadata_len, c->metadata_count };
	struct pair pair;
	size_t n = d->pair_count;

	if (n > 0 && d->pairs != pairs)
		memcpy(pairs, d->pairs, n * sizeof(*pairs));
	for (size_t at = 0; packed_next(&over, &at, &pair);)
		if (pairs_put(pairs, &n, &pair) < 0)
			return E_RANGE;
	d->pairs = pairs;
	d->pair_count = n;
	if ((c->has & HAS_WEIGHT) != 0)
		d->weight = c->weight;
	if ((c->has & HAS_ENABLED) != 0)
		d->flags = (uint8_t)(c->enabled ? d->flags | INSTANCE_ENABLED : d->flags & ~INSTANCE_ENABLED);
	d->flags |= INSTANCE_OVERRIDDEN;
	record_times_lenient(d);
	return E_OK;
}

/* ---- for people */

bool registry_override(struct registry *r, const struct service_view *v, const struct instance *i, struct override_seen *ret)
{
	const char *cluster = v->info->clusters[i->cluster].name;
	struct overlay_key key = { i->service, instance_ip(i), cluster, i->ip_len, strlen(cluster), i->port };
	const struct overlay *o = (i->flags & INSTANCE_OVERRIDDEN) != 0 ? overlay_find(r, &key) : NULL;

	if (o == NULL || o->content == NULL)
		return false;
	const struct instance *own = o->base != NULL ? o->base : i;
	*ret = (struct override_seen){
		.has = o->content->has,
		.weight = o->content->weight,
		.enabled = o->content->enabled,
		.own_weight = own->weight,
		.own_enabled = (own->flags & INSTANCE_ENABLED) != 0,
		.metadata = { o->content->text, o->content->metadata_len, o->content->metadata_count },
	};
	return true;
}

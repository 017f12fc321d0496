/* service.c - one service's records on the control thread: a list of pointers, by address found through
 * 16-bit tags while it is short (one cache line tells which record to look at) and through an index when it is
 * long. Slots move: the last record fills a hole. */
#include "base/hash.h"
#include "registry/core.h"

#include <assert.h>
#include <string.h>

uint64_t address_hash(const char *ip, size_t len, uint16_t port)
{
	uint64_t h = hash_bytes(ip, len) ^ (uint64_t)port * 0x9E3779B97F4A7C15;

	return h ^ h >> 32;
}

static uint64_t hash_of(const struct instance *i)
{
	return address_hash(instance_ip(i), i->ip_len, i->port);
}

static bool has_address(const struct instance *i, const char *ip, size_t len, uint16_t port)
{
	return i->port == port && i->ip_len == len && memcmp(instance_ip(i), ip, len) == 0;
}

static uint16_t *tags(const struct service *s)
{
	return (uint16_t *)(void *)(s->records + s->cap);
}

static size_t records_size(uint32_t cap)
{
	return cap * sizeof(struct instance *) + (cap <= RECORDS_SCAN_MAX ? cap * sizeof(uint16_t) : 0);
}

static size_t index_size(const struct service *s)
{
	return ((size_t)s->index_mask + 1) * sizeof(uint32_t);
}

/* ---- the index */

static void index_put(uint32_t *index, uint32_t mask, uint64_t hash, uint32_t slot)
{
	uint32_t at = (uint32_t)hash & mask;

	while (index[at] != 0)
		at = (at + 1) & mask;
	index[at] = slot + 1;
}

static uint32_t index_place(const struct service *s, uint64_t hash, uint32_t slot)
{
	uint32_t at = (uint32_t)hash & s->index_mask;

	while (s->index[at] != slot + 1) {
		assert(s->index[at] != 0);
		at = (at + 1) & s->index_mask;
	}
	return at;
}

/* Takes out what stands at @hole; those behind it that may move up do. */
static void index_cut(struct service *s, uint32_t hole)
{
	uint32_t mask = s->index_mask;

	for (uint32_t at = (hole + 1) & mask; s->index[at] != 0; at = (at + 1) & mask) {
		uint32_t home = (uint32_t)hash_of(s->records[s->index[at] - 1]) & mask;

		if (((at - home) & mask) >= ((at - hole) & mask)) {
			s->index[hole] = s->index[at];
			hole = at;
		}
	}
	s->index[hole] = 0;
}

/* ---- room */

static uint32_t next_cap(uint32_t cap)
{
	if (cap < 4)
		return cap == 0 ? 2 : 4;
	return cap < RECORDS_SCAN_MAX ? cap + 4 : cap * 2;
}

static uint32_t *index_build(struct registry *r, const struct service *s, uint32_t cap, uint32_t *ret_mask)
{
	uint32_t size = 64;

	while (size < cap + cap / 2)
		size *= 2;
	uint32_t *index = slab_get(r->slab, size * sizeof(uint32_t));

	if (index == NULL)
		return NULL;
	memset(index, 0, size * sizeof(uint32_t));
	for (uint32_t i = 0; i < s->count; i++)
		index_put(index, size - 1, hash_of(s->records[i]), i);
	*ret_mask = size - 1;
	return index;
}

static int grow(struct registry *r, struct service *s, uint32_t cap)
{
	struct instance **records = slab_get(r->slab, records_size(cap));
	uint32_t *index = NULL, mask = 0;

	if (records == NULL)
		return E_NOMEM;
	if (cap > RECORDS_SCAN_MAX) {
		index = index_build(r, s, cap, &mask);
		if (index == NULL) {
			slab_put(r->slab, records, records_size(cap));
			return E_NOMEM;
		}
	} else if (s->count > 0) {
		memcpy(records + cap, tags(s), s->count * sizeof(uint16_t));
	}
	if (s->count > 0)
		memcpy(records, s->records, s->count * sizeof(*records));
	if (s->records != NULL)
		slab_put(r->slab, s->records, records_size(s->cap));
	if (s->index != NULL)
		slab_put(r->slab, s->index, index_size(s));
	s->records = records;
	s->cap = cap;
	s->index = index;
	s->index_mask = mask;
	return E_OK;
}

static void room_free(struct registry *r, struct service *s)
{
	if (s->records != NULL)
		slab_put(r->slab, s->records, records_size(s->cap));
	if (s->index != NULL)
		slab_put(r->slab, s->index, index_size(s));
	s->records = NULL;
	s->index = NULL;
	s->cap = s->index_mask = 0;
}

int service_reserve(struct registry *r, struct service *s)
{
	if (s->count + s->reserved >= s->cap) {
		int rc = grow(r, s, next_cap(s->cap));

		if (rc < 0)
			return rc;
	}
	s->reserved++;
	return E_OK;
}

void service_unreserve(struct service *s)
{
	assert(s->reserved > 0);
	s->reserved--;
}

/* ---- records */

struct instance *service_address(const struct service *s, const char *ip, size_t len, uint16_t port, uint32_t *at)
{
	if (s->count == 0)
		return NULL;
	uint64_t hash = address_hash(ip, len, port);

	if (s->index == NULL) {
		const uint16_t *tag = tags(s);

		for (uint32_t i = *at; i < s->count; i++)
			if (tag[i] == (uint16_t)hash && has_address(s->records[i], ip, len, port)) {
				*at = i + 1;
				return s->records[i];
			}
		return NULL;
	}
	for (uint32_t n = *at;; n++) {
		uint32_t entry = s->index[((uint32_t)hash + n) & s->index_mask];

		if (entry == 0 || n > s->index_mask)
			return NULL;
		if (has_address(s->records[entry - 1], ip, len, port)) {
			*at = n + 1;
			return s->records[entry - 1];
		}
	}
}

void service_put(struct service *s, struct instance *i)
{
	uint64_t hash = hash_of(i);

	assert(s->reserved > 0 && s->count < s->cap);
	s->reserved--;
	i->slot = s->count;
	s->records[s->count] = i;
	if (s->index == NULL)
		tags(s)[s->count] = (uint16_t)hash;
	else
		index_put(s->index, s->index_mask, hash, s->count);
	s->count++;
	s->healthy += (i->flags & INSTANCE_HEALTHY) != 0;
}

void service_swap(struct service *s, struct instance *old, struct instance *fresh)
{
	fresh->slot = old->slot;
	s->records[old->slot] = fresh;
	s->healthy += (fresh->flags & INSTANCE_HEALTHY) != 0;
	s->healthy -= (old->flags & INSTANCE_HEALTHY) != 0;
}

void service_cut(struct registry *r, struct service *s, struct instance *i)
{
	uint32_t hole = i->slot, last = s->count - 1;
	struct instance *moved = s->records[last];

	if (s->index != NULL) {
		index_cut(s, index_place(s, hash_of(i), hole));
		if (hole != last)
			s->index[index_place(s, hash_of(moved), last)] = hole + 1;
	} else {
		tags(s)[hole] = tags(s)[last];
	}
	s->records[hole] = moved;
	moved->slot = hole;
	s->count--;
	s->healthy -= (i->flags & INSTANCE_HEALTHY) != 0;
	if (s->count == 0 && s->reserved == 0)
		room_free(r, s);
}

/* ---- life */

struct service *registry_find(struct registry *r, const struct service_key *key, uint64_t hash)
{
	return rcu_map_find(&r->services, hash, key);
}

static size_t service_size(const struct service *s)
{
	return sizeof(*s) + (size_t)s->ns_len + s->group_len + s->name_len + 3;
}

static void service_free(struct registry *r, struct service *s)
{
	room_free(r, s);
	slab_put(r->slab, s, service_size(s));
}

void service_free_large(struct registry *r, struct service *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->records[i]->size > SLAB_MAX)
			record_free(r, s->records[i]);
	room_free(r, s);
}

void service_reap(void *arg, struct rcu_head *head)
{
	service_free(arg, (struct service *)head);
}

static struct service_info *first_info(struct registry *r, const struct service *s)
{
	struct cluster cluster;
	struct info_draft d = { .clusters = &cluster, .cluster_count = 1, .replace = -1, .id = ++r->next_id };

	cluster_default(&cluster, "DEFAULT");
	return info_new(s, &d);
}

static void put_key(struct service *s, const struct service_key *key)
{
	char *at = s->text;

	memcpy(at, key->ns, key->ns_len);
	at[key->ns_len] = '\0';
	at += key->ns_len + 1;
	memcpy(at, key->group, key->group_len);
	at[key->group_len] = '\0';
	at += key->group_len + 1;
	memcpy(at, key->name, key->name_len);
	at[key->name_len] = '\0';
	s->ns_len = key->ns_len;
	s->group_len = key->group_len;
	s->name_len = key->name_len;
}

struct service *service_new(struct registry *r, const struct service_key *key, uint64_t hash)
{
	struct service *s = slab_get(r->slab, sizeof(*s) + (size_t)key->ns_len + key->group_len + key->name_len + 3);

	if (s == NULL)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->waiting_end = &s->waiting;
	put_key(s, key);
	s->info = first_info(r, s);
	if (s->info == NULL)
		goto failed;
	if (rcu_map_add(&r->services, hash, s) < 0)
		goto failed_info;
	return s;
failed_info:
	info_free(s->info);
failed:
	service_free(r, s);
	return NULL;
}

/* The map may still be read by others, so even a service that never was goes through the reaper. */
static void forget(struct registry *r, struct service *s)
{
	struct service_key key = service_key_of(s);

	rcu_map_remove(&r->services, service_key_hash(&key), &key);
}

void service_drop(struct registry *r, struct service *s)
{
	assert(!s->listed && s->count == 0 && s->overlays == NULL);
	forget(r, s);
	if (s->group != NULL)
		group_release(r, s);
	info_free(s->info);
	rcu_reaper_add(r->reaper, &s->reap, service_reap);
}

void service_list(struct registry *r, struct service *s)
{
	s->listed = true;
	group_add(s);
	registry_stat(&r->stat_services, 1);
}

void service_tell_info(struct registry *r, const struct service_info *old, const struct service_info *fresh)
{
	for (unsigned i = 0; i < r->watcher_count; i++)
		if (r->watchers[i].on_info != NULL)
			r->watchers[i].on_info(r->watchers[i].arg, old, fresh);
}

void service_remove(struct registry *r, struct service *s)
{
	assert(s->listed && s->count == 0 && s->overlays == NULL);
	service_empty_untrack(r, s);
	forget(r, s);
	group_remove(s);
	group_release(r, s);
	s->listed = false;
	s->removed = true;
	registry_stat(&r->stat_services, -1);
	service_tell_info(r, s->info, NULL);
}

/* ---- what happens to it */

void service_retire(struct service *s, struct rcu_head *head, void (*free_fn)(void *arg, struct rcu_head *head))
{
	head->free = free_fn;
	head->next = s->retired;
	s->retired = head;
}

void service_touch(struct registry *r, struct service *s, uint64_t number)
{
	if (number > s->number)
		s->number = number;
	if (s->dirty)
		return;
	s->dirty = true;
	s->next_dirty = NULL;
	*r->dirty_end = s;
	r->dirty_end = &s->next_dirty;
}

void service_set_info(struct registry *r, struct service *s, struct service_info *fresh)
{
	struct service_info *old = s->info;

	s->info = fresh;
	service_tell_info(r, old, fresh);
	info_retire(s, old);
}

void service_empty_untrack(struct registry *r, struct service *s)
{
	if (s->empty_ms == 0)
		return;
	*(s->empty_prev == NULL ? &r->empty : &s->empty_prev->empty_next) = s->empty_next;
	*(s->empty_next == NULL ? &r->empty_last : &s->empty_next->empty_prev) = s->empty_prev;
	s->empty_ms = 0;
}

/* Empty services are swept oldest first; one with settings of its own stays (better than the original, which
 * sweeps what an operator has made by hand). */
void service_empty_track(struct registry *r, struct service *s, int64_t now_ms)
{
	service_empty_untrack(r, s);
	if (s->count > 0 || !s->listed || s->has_row)
		return;
	s->empty_ms = now_ms > 0 ? now_ms : 1;
	s->empty_next = NULL;
	s->empty_prev = r->empty_last;
	*(r->empty_last == NULL ? &r->empty : &r->empty_last->empty_next) = s;
	r->empty_last = s;
}

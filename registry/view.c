/* view.c - the immutable picture of a service: one block with a header, the list of records and, when the list
 * is long, a copy of the index. Building it costs what copying costs. */
#include "registry/core.h"

#include <string.h>

static size_t view_size(uint32_t count, uint32_t index_mask)
{
	return sizeof(struct service_view) + count * sizeof(struct instance *) +
	       (index_mask == 0 ? 0 : ((size_t)index_mask + 1) * sizeof(uint32_t));
}

void view_free(struct registry *r, struct service_view *v)
{
	slab_put(r->slab, v, view_size(v->count, v->index_mask));
}

static void view_reap(void *arg, struct rcu_head *head)
{
	view_free(arg, (struct service_view *)head);
}

static struct service_view *view_new(struct registry *r, const struct service *s)
{
	uint32_t mask = s->index == NULL ? 0 : s->index_mask;
	struct service_view *v = slab_get(r->slab, view_size(s->count, mask));

	if (v == NULL)
		return NULL;
	const struct instance **instances = (const struct instance **)(v + 1);
	uint32_t *index = (uint32_t *)(void *)(instances + s->count);

	if (s->count > 0)
		memcpy(instances, s->records, s->count * sizeof(*instances));
	if (mask != 0)
		memcpy(index, s->index, ((size_t)mask + 1) * sizeof(*index));
	v->info = s->info;
	v->number = r->number_base + s->number;
	v->last_ref_ms = (int64_t)s->number + r->last_ref_offset;
	v->count = s->count;
	v->healthy = s->healthy;
	v->index_mask = mask;
	v->index = mask == 0 ? NULL : index;
	v->instances = instances;
	return v;
}

/* Readers may still hold what the last view shows. */
static void retire_all(struct registry *r, struct service *s)
{
	struct rcu_head *head = s->retired;

	s->retired = NULL;
	while (head != NULL) {
		struct rcu_head *next = head->next;

		rcu_reaper_add(r->reaper, head, head->free);
		head = next;
	}
}

static void tell(struct registry *r, const struct service_view *old, const struct service_view *fresh)
{
	for (unsigned i = 0; i < r->watcher_count; i++)
		if (r->watchers[i].on_view != NULL)
			r->watchers[i].on_view(r->watchers[i].arg, old, fresh);
}

static void service_end(struct registry *r, struct service *s)
{
	struct service_view *old = atomic_load_explicit(&s->view, memory_order_relaxed);

	if (old != NULL) {
		tell(r, old, NULL);
		rcu_publish(&s->view, NULL);
		rcu_reaper_add(r->reaper, &old->reap, view_reap);
	}
	info_retire(s, s->info);
	retire_all(r, s);
	rcu_reaper_add(r->reaper, &s->reap, service_reap);
}

int service_publish(struct registry *r, struct service *s)
{
	struct service_view *old = atomic_load_explicit(&s->view, memory_order_relaxed), *fresh;

	if (s->removed) {
		service_end(r, s);
		return E_OK;
	}
	/* Numbers are drawn in order, so this holds already; promise 5 rests on it. */
	if (s->number <= s->view_number)
		s->number = s->view_number + 1;
	fresh = view_new(r, s);
	if (fresh == NULL)
		return E_NOMEM;
	tell(r, old, fresh);
	rcu_publish(&s->view, fresh);
	s->view_number = s->number;
	if (old != NULL)
		rcu_reaper_add(r->reaper, &old->reap, view_reap);
	retire_all(r, s);
	s->dirty = false;
	return E_OK;
}

/* ---- readers */

const struct service_view *registry_view(struct registry *r, const struct service_key *key)
{
	struct service *s = rcu_map_find(&r->services, service_key_hash(key), key);

	return s == NULL ? NULL : rcu_read(&s->view);
}

const struct instance *view_find(const struct service_view *v, const char *ip, size_t ip_len, uint16_t port,
				 uint32_t *at)
{
	uint32_t left = v->index_mask == 0 ? v->count : v->index_mask + 1;
	uint32_t start = v->index_mask == 0 ? 0 : (uint32_t)address_hash(ip, ip_len, port);

	for (uint32_t n = *at; n < left; n++) {
		uint32_t slot = n;

		if (v->index_mask != 0) {
			uint32_t entry = v->index[(start + n) & v->index_mask];

			if (entry == 0)
				return NULL;
			slot = entry - 1;
		}
		const struct instance *i = v->instances[slot];

		if (i->port == port && i->ip_len == ip_len && memcmp(instance_ip(i), ip, ip_len) == 0) {
			*at = n + 1;
			return i;
		}
	}
	return NULL;
}

bool view_protects(const struct service_info *info, uint32_t total, uint32_t healthy)
{
	double threshold = info->protect_threshold > 0 ? info->protect_threshold : 0;

	return info->stored && total > 0 && (double)healthy / (double)total <= threshold;
}

uint32_t instance_beat_ms(struct registry *r, const struct instance *i)
{
	const struct switches *sw = registry_switches(r);
	struct packed metadata;

	if (i->beat_ms != BEAT_DEFAULT_MS || sw->client_beat_ms == BEAT_DEFAULT_MS)
		return i->beat_ms;
	metadata = instance_metadata(i); /* 5000 may have been asked for */
	return packed_find(&metadata, "preserved.heart.beat.interval") != NULL ? i->beat_ms
									       : (uint32_t)sw->client_beat_ms;
}

uint32_t registry_beat(struct registry *r, const struct service_key *key, const char *ip, size_t ip_len,
		       uint16_t port, int64_t now_ms)
{
	const uint8_t wanted = INSTANCE_HEALTHY | INSTANCE_EPHEMERAL;
	const struct service_view *v = registry_view(r, key);
	const struct instance *i;
	uint32_t at = 0;

	if (v == NULL || (i = view_find(v, ip, ip_len, port, &at)) == NULL || (i->flags & wanted) != wanted)
		return 0;
	/* The one field that readers may write: the record's owner only ever reads it. */
	atomic_store_explicit((_Atomic int64_t *)(uintptr_t)&i->last_beat_ms, now_ms, memory_order_relaxed);
	return instance_beat_ms(r, i);
}

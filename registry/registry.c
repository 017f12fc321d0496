/* registry.c - the whole: its tables, counts and switches. */
#include "registry/registry.h"
#include "base/mem.h"
#include "registry/core.h"

#include <string.h>

static bool service_equal(const void *value, const void *of)
{
	const struct service *s = value;
	const struct service_key *key = of;
	const char *at = s->text;

	return s->name_len == key->name_len && s->group_len == key->group_len && s->ns_len == key->ns_len &&
	       memcmp(at, key->ns, key->ns_len) == 0 &&
	       memcmp(at + key->ns_len + 1, key->group, key->group_len) == 0 &&
	       memcmp(at + key->ns_len + key->group_len + 2, key->name, key->name_len) == 0;
}

int registry_new(struct registry **ret, const struct registry_conf *conf)
{
	struct registry *r = mem_zalloc(1, sizeof(*r));
	struct switches *sw = mem_alloc(sizeof(*sw));

	if (r == NULL || sw == NULL)
		goto failed;
	r->conf = *conf;
	r->dirty_end = &r->dirty;
	r->slab = slab_new();
	if (r->slab == NULL)
		goto failed;
	if (rcu_map_init(&r->services, service_equal, NULL) < 0)
		goto failed_slab;
	switches_default(sw);
	atomic_init(&r->switches, sw);
	map_init(&r->groups, group_equal);
	map_init(&r->namespaces, namespace_equal);
	map_init(&r->overlays, overlay_equal);
	map_init(&r->standbys, standbys_equal);
	map_init(&r->away, away_equal);
	*ret = r;
	return E_OK;
failed_slab:
	slab_free(r->slab);
failed:
	mem_free(sw);
	mem_free(r);
	return E_NOMEM;
}

void registry_set_limits(struct registry *r, const struct registry_conf *conf)
{
	bool expire = r->conf.expire_instances;

	r->conf = *conf;
	r->conf.expire_instances = expire; /* heartbeat deadlines were set by it */
}

void registry_use_reaper(struct registry *r, struct rcu_reaper *reaper)
{
	r->reaper = r->services.reaper = reaper;
}

/* What waits for a publication that never comes. */
static void free_retired(struct registry *r, struct service *s)
{
	while (s->retired != NULL) {
		struct rcu_head *head = s->retired;

		s->retired = head->next;
		head->free(r, head);
	}
}

void registry_free(struct registry *r)
{
	struct service *s;
	struct overlay *o;

	/* Services, records and small views go with the slab; what lies on the heap is given back one by one. */
	for (size_t at = 0; (s = rcu_map_next(&r->services, &at)) != NULL;) {
		struct service_view *v = atomic_load_explicit(&s->view, memory_order_relaxed);

		if (v != NULL)
			view_free(r, v);
		free_retired(r, s);
		info_free(s->info);
		service_free_large(r, s);
	}
	for (size_t at = 0; (o = map_next(&r->overlays, &at)) != NULL;) {
		if (o->base != NULL && o->base->size > SLAB_MAX)
			record_free(r, o->base);
		mem_free(o->content);
		mem_free(o);
	}
	groups_free(r);
	standbys_free(r);
	map_done(&r->groups);
	map_done(&r->namespaces);
	map_done(&r->overlays);
	rcu_map_done(&r->services);
	slab_free(r->slab);
	mem_free(atomic_load_explicit(&r->switches, memory_order_relaxed));
	mem_free(r);
}

/* ---- counts */

void registry_stat(_Atomic uint64_t *cell, int64_t delta)
{
	/* One writer. */
	atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + (uint64_t)delta,
			      memory_order_relaxed);
}

void registry_stats(struct registry *r, struct registry_stats *ret)
{
	ret->namespaces = atomic_load_explicit(&r->stat_namespaces, memory_order_relaxed) + 1;
	ret->services = atomic_load_explicit(&r->stat_services, memory_order_relaxed);
	ret->instances = atomic_load_explicit(&r->stat_instances, memory_order_relaxed);
	ret->ephemeral = atomic_load_explicit(&r->stat_ephemeral, memory_order_relaxed);
	ret->persistent = ret->instances > ret->ephemeral ? ret->instances - ret->ephemeral : 0;
	ret->healthy = atomic_load_explicit(&r->stat_healthy, memory_order_relaxed);
	ret->disabled = atomic_load_explicit(&r->stat_disabled, memory_order_relaxed);
	ret->ephemeral_healthy = atomic_load_explicit(&r->stat_ephemeral_healthy, memory_order_relaxed);
	ret->number = atomic_load_explicit(&r->stat_number, memory_order_relaxed);
}

void registry_published(struct registry *r)
{
	uint64_t number = atomic_load_explicit(&r->stat_number, memory_order_relaxed);

	if (number != atomic_load_explicit(&r->stat_published, memory_order_relaxed))
		atomic_store_explicit(&r->stat_published, number, memory_order_release);
}

int64_t registry_last_ref_ms(struct registry *r)
{
	uint64_t number = atomic_load_explicit(&r->stat_published, memory_order_acquire);

	return (int64_t)(number - r->number_base) + r->last_ref_offset;
}

/* ---- reading on the control thread */

const struct service_info *service_info(const struct service *s)
{
	return s->info;
}

const struct service_view *service_view(const struct service *s)
{
	return atomic_load_explicit(&((struct service *)(uintptr_t)s)->view, memory_order_relaxed);
}

void registry_each_instance(struct registry *r, void (*each)(void *arg, struct instance *i), void *arg)
{
	struct service *s;

	for (size_t at = 0; (s = rcu_map_next(&r->services, &at)) != NULL;)
		for (uint32_t i = 0; i < s->count; i++)
			each(arg, s->records[i]);
}

/* ---- switches */

const struct switches *registry_switches(struct registry *r)
{
	return rcu_read(&r->switches);
}

static void switches_reap(void *arg, struct rcu_head *head)
{
	(void)arg;
	mem_free(head); /* the set's first member */
}

void registry_take_switches(struct registry *r, struct switches *fresh)
{
	struct switches *old = atomic_load_explicit(&r->switches, memory_order_relaxed);

	rcu_publish(&r->switches, fresh);
	rcu_reaper_add(r->reaper, &old->reap, switches_reap);
}

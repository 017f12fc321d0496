/* unsettled.c - see unsettled.h. */
#include "zones/unsettled.h"
#include "base/hash.h"
#include "base/mem.h"

struct unsettled {
	struct site *site;
	uint64_t id; /* of the site */
	int64_t due_ms;
	struct ramps ramps;
	struct host_name **hosts; /* held */
	uint32_t host_count;
};

bool unsettled_equal(const void *value, const void *key)
{
	return ((const struct unsettled *)value)->id == *(const uint64_t *)key;
}

static uint64_t id_hash(uint64_t id)
{
	return hash_bytes(&id, sizeof(id));
}

static struct unsettled *unsettled_of(const struct zone_set *zs, const struct site *s)
{
	return zs->unsettled.count == 0 ? NULL : map_find(&zs->unsettled, id_hash(s->id), &s->id);
}

/* NULL: no memory. */
static struct unsettled *unsettled_get(struct zone_set *zs, struct site *s)
{
	struct unsettled *u = unsettled_of(zs, s);
	if (u != NULL || (u = mem_zalloc(1, sizeof(*u))) == NULL)
		return u;
	u->site = s;
	u->id = s->id;
	u->due_ms = INT64_MAX;
	u->ramps.length_ms = zs->conf.slow_start_ms;
	if (map_add(&zs->unsettled, id_hash(s->id), u) == E_OK)
		return u;
	mem_free(u);
	return NULL;
}

/* The host names of @s are now these. The old ones if there is no memory: they are fewer or more by one change. */
static void hosts_change(struct zone_set *zs, struct unsettled *u, struct host_name *const *hosts, uint32_t n)
{
	struct host_name **kept = n == 0 ? NULL : mem_alloc(n * sizeof(*kept));
	if (u->host_count == n && (n == 0 || memcmp(u->hosts, hosts, n * sizeof(*hosts)) == 0)) {
		mem_free(kept);
		return;
	}
	if (n > 0 && kept == NULL)
		return;
	for (uint32_t i = 0; i < n; i++)
		host_names_hold(&zs->host_names, kept[i] = hosts[i]);
	for (uint32_t i = 0; i < u->host_count; i++)
		host_names_drop(&zs->host_names, u->hosts[i]);
	mem_free(u->hosts);
	u->hosts = kept;
	u->host_count = n;
}

static void unsettled_drop(struct zone_set *zs, struct unsettled *u)
{
	hosts_change(zs, u, NULL, 0);
	map_remove(&zs->unsettled, id_hash(u->id), &u->id);
	ramps_done(&u->ramps);
	mem_free(u);
}

/* Without memory they start at once. */
void unsettled_note(struct zone_set *zs, struct site *s, const struct service_view *old)
{
	if (zs->conf.slow_start_ms <= 0 || old == NULL || !atomic_load_explicit(&zs->ready, memory_order_relaxed))
		return;
	struct unsettled *u = unsettled_get(zs, s);
	if (u != NULL)
		ramps_begin(&u->ramps, old, s->view, zs->wall_ms);
}

void unsettled_adopt(struct zone_set *zs, struct site *s, const struct zone_set *from, const struct site *like)
{
	const struct unsettled *old = unsettled_of(from, like);
	if (zs->conf.slow_start_ms <= 0 || old == NULL || old->ramps.count == 0)
		return;
	struct unsettled *u = unsettled_get(zs, s);
	if (u != NULL)
		ramps_copy(&u->ramps, &old->ramps);
}

void unsettled_lend(struct zone_set *zs, const struct site *s, struct blob_past *past)
{
	const struct unsettled *u = unsettled_of(zs, s);
	past->moving = u != NULL;
	past->ramps = u != NULL && u->ramps.count > 0 ? &u->ramps : NULL;
}

/* When the last well ones of a set are let go. */
static int64_t held_until(const struct zone_set *zs, const struct blob *b)
{
	const struct blob_extra *extra = blob_extra(b);
	return extra == NULL || extra->held_ms == 0 ? INT64_MAX : extra->held_ms + zs->conf.last_max_ms;
}

static int64_t all_held_until(const struct zone_set *zs, const struct blob *b)
{
	int64_t until = held_until(zs, b);
	const struct blob_part *part = blob_parts(b);
	for (uint32_t n = blob_cold(b)->parts; n > 0; n--, part++) {
		int64_t at = held_until(zs, part->blob);
		until = at < until ? at : until;
	}
	return until;
}

void unsettled_keep(struct zone_set *zs, struct site *s, const struct blob *b)
{
	struct unsettled *u = unsettled_of(zs, s);
	int64_t due = all_held_until(zs, b);
	struct host_name *const *hosts;
	uint32_t host_count = blob_builder_hosts(zs->builder, &hosts);
	if (u == NULL && ((due == INT64_MAX && host_count == 0) || (u = unsettled_get(zs, s)) == NULL))
		return;
	hosts_change(zs, u, hosts, host_count);
	int64_t step = ramps_settle(&u->ramps, zs->wall_ms);
	u->due_ms = step < due ? step : due;
	if (u->due_ms == INT64_MAX && host_count == 0)
		unsettled_drop(zs, u);
	else if (u->due_ms < zs->unsettled_due_ms)
		zs->unsettled_due_ms = u->due_ms;
}

bool unsettled_starts(const struct zone_set *zs, const struct site *s, const struct instance *i)
{
	const struct unsettled *u = unsettled_of(zs, s);
	return u != NULL && ramp_under_way(&u->ramps, i);
}

void unsettled_forget(struct zone_set *zs, const struct site *s)
{
	struct unsettled *u = unsettled_of(zs, s);
	if (u != NULL)
		unsettled_drop(zs, u);
}

void unsettled_tick(struct zone_set *zs)
{
	struct unsettled *u;
	int64_t next = INT64_MAX;
	if (zs->unsettled.count == 0 || zs->wall_ms < zs->unsettled_due_ms)
		return;
	for (size_t at = 0; (u = map_next(&zs->unsettled, &at)) != NULL;) {
		struct site *s = u->site;
		if (u->due_ms <= zs->wall_ms)
			site_refresh(zs, s);
		u = unsettled_of(zs, s);
		if (u != NULL && u->due_ms < next)
			next = u->due_ms;
	}
	zs->unsettled_due_ms = next;
}

void unsettled_free(struct zone_set *zs)
{
	struct unsettled *u;
	for (size_t at = 0; (u = map_next(&zs->unsettled, &at)) != NULL;) {
		ramps_done(&u->ramps);
		mem_free(u->hosts); /* the names go all at once */
		mem_free(u);
	}
	map_done(&zs->unsettled);
}

static bool same_addresses(const struct host_name *n, const struct host_found *f, size_t count)
{
	if (n->count != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (n->addresses[i].family != f->addresses[i].family ||
		    memcmp(n->addresses[i].addr, f->addresses[i].addr, f->addresses[i].family == 4 ? 4 : 16) != 0)
			return false;
	return true;
}

/* An alias of a name of ours would keep itself alive: what it leads to is not taken. */
static bool leads_home(const struct zone_set *zs, const char *canonical)
{
	uint8_t wire[DNS_NAME_MAX];
	int len = canonical == NULL ? -1 : wire_parse(wire, sizeof(wire), canonical);
	return len > 0 && zones_hold_name(zs, wire, (size_t)len);
}

static bool has_host(const struct unsettled *u, const struct host_name *n)
{
	for (uint32_t i = 0; i < u->host_count; i++)
		if (u->hosts[i] == n)
			return true;
	return false;
}

void zone_set_host_found(struct zone_set *zs, const char *name, const struct host_found *found)
{
	struct host_name *n = host_names_find(&zs->host_names, name);
	struct unsettled *u;
	if (n == NULL)
		return;
	bool home = leads_home(zs, found->canonical), stale = found->stale;
	size_t count = home ? 0 : found->count < HOST_ADDRESSES_MAX ? found->count : HOST_ADDRESSES_MAX;
	bool same = same_addresses(n, found, count) && n->stale == stale;
	n->looked_up = true;
	n->home = home;
	if (same)
		return;
	n->stale = stale;
	n->count = (uint32_t)count;
	if (count > 0)
		memcpy(n->addresses, found->addresses, count * sizeof(n->addresses[0]));
	for (size_t at = 0; (u = map_next(&zs->unsettled, &at)) != NULL;)
		if (has_host(u, n))
			site_refresh(zs, u->site);
}

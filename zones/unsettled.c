/* unsettled.c - see unsettled.h. */
#include "zones/unsettled.h"
#include "base/hash.h"
#include "base/mem.h"

struct unsettled {
	struct site *site;
	uint64_t id; /* of the site */
	int64_t due_ms;
	struct ramps ramps;
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

static void unsettled_drop(struct zone_set *zs, struct unsettled *u)
{
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
	const struct blob_cluster *c = blob_clusters(b);
	for (uint32_t n = blob_cold(b)->clusters; n > 0; n--, c++) {
		int64_t at = c->blob == NULL ? INT64_MAX : held_until(zs, c->blob);
		until = at < until ? at : until;
	}
	return until;
}

void unsettled_keep(struct zone_set *zs, struct site *s, const struct blob *b)
{
	struct unsettled *u = unsettled_of(zs, s);
	int64_t due = all_held_until(zs, b);
	if (u == NULL && (due == INT64_MAX || (u = unsettled_get(zs, s)) == NULL))
		return;
	int64_t step = ramps_settle(&u->ramps, zs->wall_ms);
	u->due_ms = step < due ? step : due;
	if (u->due_ms == INT64_MAX)
		unsettled_drop(zs, u);
	else if (u->due_ms < zs->unsettled_due_ms)
		zs->unsettled_due_ms = u->due_ms;
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
		mem_free(u);
	}
	map_done(&zs->unsettled);
}

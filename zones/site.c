/* site.c - services: their names in the index, their blobs, the addresses they make visible. Control thread. Whatever memory is refused, what is published stays as it was and the
 * change is tried again at the next tick. */
#include "base/clock.h"
#include "base/mem.h"
#include "zones/hidden.h"
#include "zones/image.h"
#include "zones/label.h"
#include "zones/unsettled.h"

enum { RENEW_NS = 20000000 }; /* of one tick for services that are compiled again */
enum { NAME_ROOM = 191 }; /* service, group, namespace, ns and zone; leaves 64 octets for selectors */

void zones_touch(struct zone_set *zs)
{
	for (size_t i = 0; i < zs->zone_count; i++)
		zs->zones[i].dirty |= zs->zones[i].export != NULL || zs->zones[i].layout == LAYOUT_REVERSE;
	zs->changes++;
}

/* ---- sites */

bool site_equal(const void *value, const void *key)
{
	return ((const struct site *)value)->id == *(const uint64_t *)key;
}

static uint64_t id_hash(uint64_t id)
{
	return hash_bytes(&id, sizeof(id));
}

struct site *site_find(const struct zone_set *zs, uint64_t id)
{
	return map_find(&zs->sites, id_hash(id), &id);
}

/* Short forms where service, group, namespace, ns and the zone leave no room for selectors (dns.md 1.4). */
static int site_shorten(struct zone_set *zs, struct site *s, const struct service_key *key)
{
	struct label service, group, ns;
	struct folder *g = s->group, *n = s->group->parent;
	label_encode(&service, LABEL_SERVICE, key->name, key->name_len);
	label_encode(&group, LABEL_GROUP, g->name, strlen(g->name));
	label_encode(&ns, LABEL_NAMESPACE, n->name, strlen(n->name));
	size_t len = service.len + group.len + ns.len + 3u + 3u + zs->longest_zone;
	if (len > NAME_ROOM && group.len > 36) {
		if (names_claim_brief(zs, &g->names, n->number, LABEL_GROUP, g->name) < 0)
			return E_NOMEM;
		len -= group.len - 36u;
	}
	if (len > NAME_ROOM && ns.len > 36) {
		if (names_claim_brief(zs, &n->names, PARENT_ROOT, LABEL_NAMESPACE, n->name) < 0)
			return E_NOMEM;
		len -= ns.len - 36u;
	}
	if (len > NAME_ROOM && service.len > 36)
		return names_claim_brief(zs, &s->names, g->number, LABEL_SERVICE, key->name);
	return E_OK;
}

/* A site that says nothing yet: its names are claimed when it has its first blob. */
static struct site *site_make(struct zone_set *zs, const struct service_info *info)
{
	const struct service_key *key = &info->key;
	struct site *s = slab_get(zs->slab, sizeof(*s));
	if (s == NULL)
		return NULL;
	memset(s, 0, sizeof(*s));
	struct folder *ns = folder_get(zs, NULL, key->ns, info->created);
	s->group = ns == NULL ? NULL : folder_get(zs, ns, key->group, info->created);
	if (s->group == NULL) {
		folder_prune(zs, ns);
		slab_put(zs->slab, s, sizeof(*s));
		return NULL;
	}
	s->id = info->id;
	if (map_add(&zs->sites, id_hash(s->id), s) < 0) {
		folder_prune(zs, s->group);
		slab_put(zs->slab, s, sizeof(*s));
		return NULL;
	}
	s->group->children++;
	s->image_number = zs->image_number;
	s->next = zs->youngest;
	if (s->next != NULL)
		s->next->prev = s;
	zs->youngest = s;
	return s;
}

static int site_claim(struct zone_set *zs, struct site *s, const struct service_info *info)
{
	if (s->names.canonical.node != 0)
		return E_OK;
	int rc = names_claim(zs, &s->names, s->group->number, LABEL_SERVICE, info->key.name, info->created, 0);
	if (rc == E_OK && site_shorten(zs, s, &info->key) < 0) {
		names_release(zs, &s->names);
		rc = E_NOMEM;
	}
	return rc;
}

static void stats_swap(struct zone_set *zs, const struct blob *old, const struct blob *fresh)
{
	uint64_t bytes = atomic_load_explicit(&zs->stat_bytes, memory_order_relaxed);
	uint64_t dropped = atomic_load_explicit(&zs->stat_dropped, memory_order_relaxed);
	uint64_t blobs = atomic_load_explicit(&zs->stat_blobs, memory_order_relaxed);
	if (old != NULL) {
		bytes -= blob_bytes(old);
		dropped -= blob_cold(old)->dropped;
		blobs--;
	}
	if (fresh != NULL) {
		bytes += blob_bytes(fresh);
		dropped += blob_cold(fresh)->dropped;
		blobs++;
	}
	atomic_store_explicit(&zs->stat_bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&zs->stat_dropped, dropped, memory_order_relaxed);
	atomic_store_explicit(&zs->stat_blobs, blobs, memory_order_relaxed);
}

static struct appearance site_appearance(const struct site *s)
{
	return (struct appearance){ s->shown, s->blob };
}

/* New addresses stand before anybody is pointed to them, old ones until nobody is. */
static void site_publish(struct zone_set *zs, struct site *s, const struct appearance *fresh, struct blob *blob,
			 const struct exports_change *change)
{
	struct appearance old = site_appearance(s);
	image_before(zs, s);
	if (old.blob == NULL)
		hidden_note(zs, s, &s->view->info->key, fresh->shown->bits);
	if (change->added)
		exports_add(zs, &old, fresh);
	names_show(zs, &s->names, blob);
	if (change->dropped)
		exports_drop(zs, &old, fresh);
	if (old.shown != NULL && old.shown != fresh->shown)
		exports_leave(zs, old.shown, s->group);
	stats_swap(zs, s->blob, blob);
	s->shown = fresh->shown;
	s->blob = blob;
	if (old.blob != NULL)
		blob_retire((struct blob *)(uintptr_t)old.blob, zs->reaper);
	zones_touch(zs);
}

static const struct shown *site_shown(struct zone_set *zs, const struct site *s)
{
	if (s->shown != NULL && (!exports_read_metadata(zs) || (s->compiled != NULL && s->compiled->info == s->view->info)))
		return s->shown;
	return exports_showing(zs, s->view->info);
}

/* Room and names for @fresh, and its folders. E_NOMEM: nothing was done. */
static int site_prepare(struct zone_set *zs, struct site *s, const struct appearance *fresh,
			struct exports_change *change)
{
	struct appearance old = site_appearance(s);
	int rc = exports_reserve(zs, &old, fresh, change);
	if (rc == E_OK)
		rc = site_claim(zs, s, s->view->info);
	if (rc == E_OK && fresh->shown != old.shown)
		rc = exports_enter(zs, fresh->shown, s->group);
	return rc;
}

/* Compiles s->view, where @before was answered. E_NOMEM: everything published is as it was. */
static int site_compile_behind(struct zone_set *zs, struct site *s, const struct blob *before)
{
	struct exports_change change;
	struct appearance fresh = { .shown = site_shown(zs, s) };
	struct blob_past past = { .lender = s->compiled == NULL ? NULL : s->blob, .lender_view = s->compiled,
				  .before = before, .now_ms = zs->wall_ms,
				  .starting = !atomic_load_explicit(&zs->ready, memory_order_relaxed) };
	unsettled_lend(zs, s, &past);
	struct blob *blob = fresh.shown == NULL ? NULL : blob_compile(zs->builder, s->view, &past);
	if (blob == NULL)
		return E_NOMEM;
	blob->shown = fresh.shown->bits;
	if (s->blob != NULL && s->shown == fresh.shown && blob_same(s->blob, blob)) {
		blob_release(blob);
		s->compiled = s->view;
		unsettled_keep(zs, s, s->blob);
		return E_OK;
	}
	fresh.blob = blob;
	int rc = site_prepare(zs, s, &fresh, &change);
	if (rc < 0) {
		blob_release(blob);
		return rc;
	}
	site_publish(zs, s, &fresh, blob, &change);
	s->compiled = s->view;
	unsettled_keep(zs, s, blob);
	return E_OK;
}

static int site_compile(struct zone_set *zs, struct site *s)
{
	return site_compile_behind(zs, s, s->blob);
}

static void site_fail(struct zone_set *zs, struct site *s)
{
	s->compiled = NULL; /* the view it was made from may be gone by the next try */
	if (s->failed)
		return;
	s->failed = true;
	s->next_failed = zs->failed;
	zs->failed = s;
}

static void site_unfail(struct zone_set *zs, struct site *s)
{
	struct site **at = &zs->failed;
	if (!s->failed)
		return;
	while (*at != s)
		at = &(*at)->next_failed;
	*at = s->next_failed;
	s->failed = false;
}

static void lost_forget(struct zone_set *zs, uint64_t id)
{
	for (unsigned i = 0; i < zs->lost_count; i++)
		if (zs->lost[i]->info->id == id) {
			zs->lost[i] = zs->lost[--zs->lost_count];
			return;
		}
}

static void site_remove(struct zone_set *zs, struct site *s)
{
	struct appearance old = site_appearance(s), nothing = { NULL, NULL };
	image_before(zs, s);
	image_forget(zs, s);
	if (zs->stale == s)
		zs->stale = s->next;
	if (zs->copied == s)
		zs->copied = s->next;
	*(s->prev != NULL ? &s->prev->next : &zs->youngest) = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	site_unfail(zs, s);
	unsettled_forget(zs, s);
	names_release(zs, &s->names);
	if (s->blob != NULL) {
		hidden_forget(zs, s);
		exports_drop(zs, &old, &nothing);
		exports_leave(zs, s->shown, s->group);
		stats_swap(zs, s->blob, NULL);
		blob_retire(s->blob, zs->reaper);
		zones_touch(zs);
	}
	map_remove(&zs->sites, id_hash(s->id), &s->id);
	s->group->children--;
	folder_prune(zs, s->group);
	slab_put(zs->slab, s, sizeof(*s));
}

void site_refresh(struct zone_set *zs, struct site *s)
{
	if (site_compile(zs, s) < 0)
		site_fail(zs, s);
	else
		site_unfail(zs, s);
}

static void site_lose(struct zone_set *zs, const struct service_view *view)
{
	if (zs->lost_count < LOST_MAX)
		zs->lost[zs->lost_count++] = view;
}

static void site_update(struct zone_set *zs, const struct service_view *fresh)
{
	struct site *s = site_find(zs, fresh->info->id);
	uint64_t start = clock_ns();
	if (s == NULL && (s = site_make(zs, fresh->info)) == NULL) {
		site_lose(zs, fresh);
		return;
	}
	const struct service_view *old = s->view;
	s->view = fresh;
	unsettled_note(zs, s, old);
	site_refresh(zs, s);
	atomic_fetch_add_explicit(&zs->stat_rebuilds, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&zs->stat_rebuild_ns, clock_ns() - start, memory_order_relaxed);
}

/* Folders may be older than what is in them. */
static void folders_age(struct zone_set *zs, const struct folder *like)
{
	struct folder *ns = folder_get(zs, NULL, like->parent->name, like->parent->names.raw.created);
	if (ns != NULL)
		folder_get(zs, ns, like->name, like->names.raw.created);
}

void site_adopt(struct zone_set *zs, const struct zone_set *from, const struct site *like)
{
	if (site_find(zs, like->id) != NULL || like->view == NULL)
		return;
	struct site *s = site_make(zs, like->view->info);
	if (s == NULL) {
		site_lose(zs, like->view);
		return;
	}
	folders_age(zs, like->group);
	s->view = like->view;
	unsettled_adopt(zs, s, from, like);
	if (site_compile_behind(zs, s, like->blob) < 0)
		site_fail(zs, s);
}

void site_on_view(struct zone_set *zs, const struct service_view *fresh, uint64_t gone_id)
{
	uint64_t id = fresh != NULL ? fresh->info->id : gone_id;
	struct site *s;
	if (zs->lost_count > 0)
		lost_forget(zs, id);
	if (fresh != NULL)
		site_update(zs, fresh);
	else if ((s = site_find(zs, id)) != NULL)
		site_remove(zs, s);
}

void sites_retry(struct zone_set *zs)
{
	const struct service_view *lost[LOST_MAX];
	unsigned n = zs->lost_count;
	memcpy(lost, zs->lost, n * sizeof(lost[0]));
	zs->lost_count = 0;
	for (unsigned i = 0; i < n; i++)
		site_update(zs, lost[i]);
	struct site *next, *s = zs->failed;
	zs->failed = NULL;
	for (; s != NULL; s = next) {
		next = s->next_failed;
		s->failed = false;
		if (site_compile(zs, s) < 0)
			site_fail(zs, s);
	}
}

void sites_renew(struct zone_set *zs)
{
	uint64_t start = clock_ns();
	while (zs->stale != NULL && clock_ns() - start < RENEW_NS) {
		struct site *s = zs->stale;
		zs->stale = s->next;
		s->compiled = NULL; /* nothing of the old answer can be used again */
		if (s->view != NULL)
			site_refresh(zs, s);
	}
}

bool sites_free(struct zone_set *zs, unsigned most)
{
	for (; zs->youngest != NULL && most > 0; most--) {
		struct site *s = zs->youngest;
		zs->youngest = s->next;
		if (s->blob != NULL)
			blob_release(s->blob);
		slab_put(zs->slab, s, sizeof(*s));
	}
	return zs->youngest == NULL;
}

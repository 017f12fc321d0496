/* site.c - services and the folders (namespaces, groups) above them: their names in the index, their blobs, the
 * addresses they make visible. Control thread. Whatever memory is refused, what is published stays as it was and the
 * change is tried again at the next tick. */
#include "base/clock.h"
#include "base/mem.h"
#include "zones/label.h"
#include "zones/zone.h"

enum { NAME_ROOM = 191 }; /* service, group, namespace, ns and zone; leaves 64 octets for selectors */

void zones_touch(struct zone_set *zs)
{
	for (size_t i = 0; i < zs->zone_count; i++)
		zs->zones[i].dirty = true;
}

/* ---- names of one object */

/* Same on every node: orders aliases of one creation number. */
static uint64_t tie_of(const char *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 0x100000001b3u;
	return h;
}

static void wire_of(uint8_t ret[64], const struct label *l)
{
	memset(ret, 0, 64);
	ret[0] = l->len;
	memcpy(ret + 1, l->text, l->len);
}

static void names_release(struct zone_set *zs, struct names *n)
{
	name_release(&zs->index, &n->brief);
	name_release(&zs->index, &n->raw);
	name_release(&zs->index, &n->canonical);
}

static int claim_label(struct zone_set *zs, struct claim *c, uint32_t parent, const struct label *l)
{
	uint8_t wire[64];
	wire_of(wire, l);
	return name_claim(&zs->index, c, parent, wire);
}

/* All or nothing. What the names show is set afterwards. */
static int names_claim(struct zone_set *zs, struct names *n, uint32_t parent, enum label_kind kind, const char *s,
		       uint64_t created, uint32_t child)
{
	size_t len = strlen(s);
	struct label label;
	uint8_t canonical[64], raw[64];
	struct claim claim = { .child = child, .created = created, .tie = tie_of(s, len) };
	label_encode(&label, kind, s, len);
	wire_of(canonical, &label);
	*n = (struct names){ claim, claim, claim };
	n->canonical.canonical = n->brief.canonical = true;
	int rc = name_claim(&zs->index, &n->canonical, parent, canonical);
	if (rc < 0 || !zs->conf.raw_alias || !raw_label(raw, s, len) || memcmp(raw, canonical, 64) == 0)
		return rc;
	rc = name_claim(&zs->index, &n->raw, parent, raw);
	if (rc < 0)
		names_release(zs, n);
	return rc;
}

/* The slug-less form, for an object some of whose names are too long. */
static int names_claim_brief(struct zone_set *zs, struct names *n, uint32_t parent, enum label_kind kind,
			     const char *s)
{
	struct label label;
	if (n->brief.node != 0)
		return E_OK;
	label_encode_short(&label, kind, s, strlen(s));
	int rc = claim_label(zs, &n->brief, parent, &label);
	return rc == E_EXISTS ? E_OK : rc;
}

static void names_show(struct zone_set *zs, struct names *n, struct blob *blob)
{
	name_show(&zs->index, &n->canonical, blob);
	name_show(&zs->index, &n->raw, blob);
	name_show(&zs->index, &n->brief, blob);
}

/* ---- folders */

struct folder_key {
	const struct folder *parent;
	const char *name;
};

static uint64_t folder_hash(const struct folder *parent, const char *name)
{
	return hash_more(hash_bytes(&parent, sizeof(parent)), name, strlen(name));
}

bool folder_equal(const void *value, const void *key)
{
	const struct folder *f = value;
	const struct folder_key *k = key;
	return f->parent == k->parent && strcmp(f->name, k->name) == 0;
}

static struct map *folder_map(struct zone_set *zs, const struct folder *parent)
{
	return parent == NULL ? &zs->namespaces : &zs->groups;
}

static uint32_t folder_number(struct zone_set *zs, const struct folder *parent, const char *name)
{
	for (size_t i = 0; parent != NULL && i < zs->scope_count; i++)
		if (strcmp(zs->scopes[i].ns, parent->name) == 0 && strcmp(zs->scopes[i].group, name) == 0)
			return PARENT_SCOPES + (uint32_t)i;
	return zs->next_number++;
}

static void folder_free(struct zone_set *zs, struct folder *f)
{
	if (f->blob != NULL)
		blob_retire(f->blob, zs->reaper);
	mem_free(f);
}

static struct folder *folder_make(struct zone_set *zs, struct folder *parent, const char *name, uint64_t created)
{
	enum label_kind kind = parent == NULL ? LABEL_NAMESPACE : LABEL_GROUP;
	struct folder *f = mem_zalloc(1, sizeof(*f) + strlen(name) + 1);
	struct label label;
	if (f == NULL)
		return NULL;
	strcpy(f->name, name);
	f->parent = parent;
	f->number = folder_number(zs, parent, name);
	bool hashed = label_encode(&label, kind, name, strlen(name)) == LABEL_HASHED;
	if (hashed && (f->blob = blob_compile_name(zs->builder, name)) == NULL)
		goto no_memory;
	if (names_claim(zs, &f->names, parent == NULL ? PARENT_ROOT : parent->number, kind, name, created,
			f->number) < 0)
		goto no_memory;
	if (map_add(folder_map(zs, parent), folder_hash(parent, name), f) < 0) {
		names_release(zs, &f->names);
		goto no_memory;
	}
	names_show(zs, &f->names, f->blob);
	if (parent != NULL)
		parent->children++;
	return f;
no_memory:
	folder_free(zs, f);
	return NULL;
}

/* Takes away a folder that nothing is left in, and its parent if that was the last. */
static void folder_prune(struct zone_set *zs, struct folder *f)
{
	while (f != NULL && f->children == 0) {
		struct folder *parent = f->parent;
		struct folder_key key = { parent, f->name };
		map_remove(folder_map(zs, parent), folder_hash(parent, f->name), &key);
		names_release(zs, &f->names);
		folder_free(zs, f);
		if (parent != NULL)
			parent->children--;
		f = parent;
	}
}

static struct folder *folder_get(struct zone_set *zs, struct folder *parent, const char *name, uint64_t created)
{
	struct folder_key key = { parent, name };
	struct folder *f = map_find(folder_map(zs, parent), folder_hash(parent, name), &key);
	return f != NULL ? f : folder_make(zs, parent, name, created);
}

/* ---- addresses */

struct host_change {
	uint32_t added4, added6, dropped;
};

static bool same_v4(const struct blob *a, const struct blob *b)
{
	uint32_t differ = 0, x, y;
	for (uint32_t i = 0; i < a->n4; i++) {
		memcpy(&x, a->v4[i].addr, 4);
		memcpy(&y, b->v4[i].addr, 4);
		differ |= x ^ y;
	}
	return differ == 0;
}

static bool same_v6(const struct blob *a, const struct blob *b)
{
	const struct blob_v6 *x = blob_v6(a), *y = blob_v6(b);
	for (uint32_t i = 0; i < a->n6; i++)
		if (memcmp(x[i].addr, y[i].addr, 16) != 0)
			return false;
	return true;
}

/* The same addresses in the same roles: most changes leave them alone. */
static bool hosts_same(const struct blob *a, const struct blob *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	const struct blob_cold *x = blob_cold(a), *y = blob_cold(b);
	if (a->n4 != b->n4 || a->n6 != b->n6 || x->idle4 != y->idle4 || x->idle6 != y->idle6)
		return false;
	return same_v4(a, b) && same_v6(a, b) &&
	       memcmp(blob_at(a, x->at_idle4), blob_at(b, y->at_idle4), 4 * (size_t)x->idle4) == 0 &&
	       memcmp(blob_at(a, x->at_idle6), blob_at(b, y->at_idle6), 16 * (size_t)x->idle6) == 0;
}

/* Calls for each address that is in only one of two blobs (either may be NULL). */
static void hosts_differ(const struct blob *old, const struct blob *fresh,
			 void (*each)(void *arg, bool added, int family, const uint8_t *addr), void *arg)
{
	struct address_walk a = { 0 }, b = { 0 };
	bool in_a = old != NULL && address_next(old, &a), in_b = fresh != NULL && address_next(fresh, &b);
	while (in_a || in_b) {
		int order = !in_a ? 1 : !in_b ? -1 : a.family - b.family;
		if (order == 0)
			order = memcmp(a.addr, b.addr, a.family == 4 ? 4 : 16);
		if (order > 0)
			each(arg, true, b.family, b.addr);
		else if (order < 0)
			each(arg, false, a.family, a.addr);
		if (order <= 0)
			in_a = address_next(old, &a);
		if (order >= 0)
			in_b = address_next(fresh, &b);
	}
}

static void count_added(void *arg, bool added, int family, const uint8_t *addr)
{
	struct host_change *c = arg;
	(void)addr;
	c->added4 += added && family == 4;
	c->added6 += added && family == 6;
	c->dropped += !added;
}

struct host_tables {
	struct host_table *all, *bound; /* either may be NULL */
};

static void add_one(void *arg, bool added, int family, const uint8_t *addr)
{
	struct host_tables *t = arg;
	if (added && t->all != NULL)
		host_table_add(t->all, family, addr);
	if (added && t->bound != NULL)
		host_table_add(t->bound, family, addr);
}

static void drop_one(void *arg, bool added, int family, const uint8_t *addr)
{
	struct host_tables *t = arg;
	if (!added && t->all != NULL)
		host_table_drop(t->all, family, addr);
	if (!added && t->bound != NULL)
		host_table_drop(t->bound, family, addr);
}

/* What will change, and room for it. E_NOMEM. */
static int hosts_reserve(const struct host_tables *t, const struct blob *old, const struct blob *fresh,
			 struct host_change *change)
{
	*change = (struct host_change){ 0 };
	if (hosts_same(old, fresh))
		return E_OK;
	hosts_differ(old, fresh, count_added, change);
	if (t->all != NULL && host_table_reserve(t->all, change->added4, change->added6) < 0)
		return E_NOMEM;
	return t->bound == NULL ? E_OK : host_table_reserve(t->bound, change->added4, change->added6);
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

static struct site *site_find(struct zone_set *zs, uint64_t id)
{
	return map_find(&zs->sites, id_hash(id), &id);
}

static struct host_table *scope_hosts(struct zone_set *zs, const struct service_key *key)
{
	for (size_t i = 0; i < zs->scope_count; i++)
		if (strcmp(zs->scopes[i].ns, key->ns) == 0 && strcmp(zs->scopes[i].group, key->group) == 0)
			return zs->scopes[i].hosts;
	return NULL;
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
	s->bound_hosts = scope_hosts(zs, key);
	if (map_add(&zs->sites, id_hash(s->id), s) < 0) {
		folder_prune(zs, s->group);
		slab_put(zs->slab, s, sizeof(*s));
		return NULL;
	}
	s->group->children++;
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

/* New addresses stand before anybody is pointed to them, old ones until nobody is. */
static void site_publish(struct zone_set *zs, struct site *s, struct blob *fresh, const struct host_change *change)
{
	struct host_tables tables = { zs->hosts, s->bound_hosts };
	struct blob *old = s->blob;
	if (change->added4 + change->added6 > 0)
		hosts_differ(old, fresh, add_one, &tables);
	names_show(zs, &s->names, fresh);
	if (change->dropped > 0)
		hosts_differ(old, fresh, drop_one, &tables);
	stats_swap(zs, old, fresh);
	s->blob = fresh;
	if (old != NULL)
		blob_retire(old, zs->reaper);
	zones_touch(zs);
}

/* Compiles s->view. E_NOMEM: everything published is as it was. */
static int site_compile(struct zone_set *zs, struct site *s)
{
	struct host_tables tables = { zs->hosts, s->bound_hosts };
	struct blob *fresh = blob_compile(zs->builder, s->view, s->compiled == NULL ? NULL : s->blob, s->compiled);
	if (fresh == NULL)
		return E_NOMEM;
	if (s->blob != NULL && blob_same(s->blob, fresh)) {
		blob_release(fresh);
		s->compiled = s->view;
		return E_OK;
	}
	struct host_change change;
	int rc = hosts_reserve(&tables, s->blob, fresh, &change);
	if (rc == E_OK)
		rc = site_claim(zs, s, s->view->info);
	if (rc < 0) {
		blob_release(fresh);
		return rc;
	}
	site_publish(zs, s, fresh, &change);
	s->compiled = s->view;
	return E_OK;
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
	struct host_tables tables = { zs->hosts, s->bound_hosts };
	site_unfail(zs, s);
	names_release(zs, &s->names);
	if (s->blob != NULL) {
		hosts_differ(s->blob, NULL, drop_one, &tables);
		stats_swap(zs, s->blob, NULL);
		blob_retire(s->blob, zs->reaper);
		zones_touch(zs);
	}
	map_remove(&zs->sites, id_hash(s->id), &s->id);
	s->group->children--;
	folder_prune(zs, s->group);
	slab_put(zs->slab, s, sizeof(*s));
}

static void site_update(struct zone_set *zs, const struct service_view *fresh)
{
	struct site *s = site_find(zs, fresh->info->id);
	uint64_t start = clock_ns();
	if (s == NULL && (s = site_make(zs, fresh->info)) == NULL) {
		if (zs->lost_count < LOST_MAX)
			zs->lost[zs->lost_count++] = fresh;
		return;
	}
	s->view = fresh;
	if (site_compile(zs, s) < 0)
		site_fail(zs, s);
	else
		site_unfail(zs, s);
	atomic_fetch_add_explicit(&zs->stat_rebuilds, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&zs->stat_rebuild_ns, clock_ns() - start, memory_order_relaxed);
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

void sites_free(struct zone_set *zs)
{
	struct site *s;
	struct folder *f;
	for (size_t at = 0; (s = map_next(&zs->sites, &at)) != NULL;) {
		if (s->blob != NULL)
			blob_release(s->blob);
		slab_put(zs->slab, s, sizeof(*s));
	}
	struct map *maps[] = { &zs->groups, &zs->namespaces };
	for (int i = 0; i < 2; i++)
		for (size_t at = 0; (f = map_next(maps[i], &at)) != NULL;) {
			if (f->blob != NULL)
				blob_release(f->blob);
			mem_free(f);
		}
}

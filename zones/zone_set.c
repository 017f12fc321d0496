/* zone_set.c - a set of zones from its settings to its end, its watcher, its serials; and the first stages of a
 * query, which find the zone and bring the memory near. */
#include "base/clock.h"
#include "base/mem.h"
#include "zones/unsettled.h"
#include "zones/zone.h"
#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	SERIAL_INTERVAL_MS = 1000,
	PREFETCH_LINES = 4, /* of a blob: the head and twelve addresses */
	PREFETCH_SRV = 6,   /* four instances, or the first of more */
};

bool folder_equal(const void *value, const void *key);
bool site_equal(const void *value, const void *key);

/* ---- making */

static int compare_zones(const void *a, const void *b)
{
	const struct zone *x = a, *y = b;
	return x->labels != y->labels ? (int)y->labels - x->labels : x->number - y->number;
}

static int zones_check(struct zone_set *zs, struct error *err)
{
	for (size_t i = 0; i < zs->zone_count; i++)
		for (size_t j = 0; j < zs->zone_count; j++) {
			struct zone *z = &zs->zones[i], *w = &zs->zones[j];
			if (i == j || w->len < z->len)
				continue;
			size_t at = 0;
			for (int skip = w->labels - z->labels; skip > 0; skip--)
				at += 1u + w->name[at];
			if (w->len - at != z->len || memcmp(w->name + at, z->name, z->len) != 0)
				continue;
			if (at == 0)
				return error_set(err, E_EXISTS, "zone %s is set twice", z->text);
			z->below = true;
		}
	return E_OK;
}

/* The scope of a namespace or group, made if it is new. NULL: no memory. */
static struct scope *scope_get(struct zone_set *zs, const char *ns, const char *group)
{
	for (size_t i = 0; i < zs->scope_count; i++) {
		struct scope *s = &zs->scopes[i];
		if (strcmp(s->ns, ns) == 0 && (s->group == NULL) == (group == NULL) &&
		    (group == NULL || strcmp(s->group, group) == 0))
			return s;
	}
	struct scope *s = &zs->scopes[zs->scope_count]; /* there is room for one per zone and one more */
	s->ns = arena_strdup(&zs->strings, ns);
	s->group = group == NULL ? NULL : arena_strdup(&zs->strings, group);
	if (s->ns == NULL || (s->group == NULL) != (group == NULL))
		return NULL;
	zs->scope_count++;
	return s;
}

/* Where the names of @z stand in the index. */
static int zone_place(struct zone_set *zs, struct zone *z, const struct zone_conf *conf, struct error *err)
{
	const char *ns = conf->ns != NULL && *conf->ns != '\0' ? conf->ns : "public";
	const char *group = conf->group != NULL && *conf->group != '\0' ? conf->group : "DEFAULT_GROUP";
	struct scope *s = &zs->scopes[0];
	struct export *x;
	int rc = vanities_make(&z->vanities, &zs->strings, z->text, &conf->aliases, err);
	if (rc == E_OK)
		rc = vanities_check(&z->vanities, z->layout == LAYOUT_FULL, z->text, conf->mname, err);
	z->vanities.expand = conf->expand;
	if (rc < 0 || (z->layout == LAYOUT_STATIC && z->vanities.count == 0))
		return rc;
	if (z->layout == LAYOUT_BOUND || z->layout == LAYOUT_BOUND_NS)
		s = scope_get(zs, ns, z->layout == LAYOUT_BOUND ? group : NULL);
	if (s == NULL)
		return error_set(err, E_NOMEM, "no memory");
	rc = export_get(zs, conf, &z->vanities, &x, err);
	if (rc < 0)
		return rc;
	z->export = x;
	z->hides = x->bit;
	z->scope = PARENT_SCOPES + (uint32_t)(s - zs->scopes);
	if (z->layout == LAYOUT_BOUND_GROUP) {
		struct label label;
		label_encode(&label, LABEL_GROUP, group, strlen(group));
		z->group[0] = label.len;
		memcpy(z->group + 1, label.text, label.len);
		z->scope = PARENT_ROOT;
	}
	return E_OK;
}

static void zone_start(struct zone_set *zs, struct zone *z)
{
	z->set = zs;
	z->number = z->row = (int)(z - zs->zones);
	z->dirty = true;
	atomic_init(&z->serial, serial_next(0, clock_wall_ms()));
}

/* A reverse zone's SOA names, unless it says others, are those of @like. */
static int reverse_zone_init(struct zone *z, const struct zone_conf *own, const struct zone_conf *like, struct error *err)
{
	char mname[DNS_NAME_MAX + 8], rname[DNS_NAME_MAX + 16];
	struct zone_conf conf = *own;
	int rc = reverse_zone_prefix(&z->prefix, own->name, err);
	if (rc < 0)
		return rc;
	snprintf(mname, sizeof(mname), "%s%s", like->mname != NULL ? "" : "ns1.", like->mname != NULL ? like->mname : like->name);
	snprintf(rname, sizeof(rname), "%s%s", like->rname != NULL ? "" : "hostmaster.",
		 like->rname != NULL ? like->rname : like->name);
	if (conf.mname == NULL)
		conf.mname = mname;
	if (conf.rname == NULL)
		conf.rname = rname;
	return zone_init(z, &conf, err);
}

static int zone_make(struct zone_set *zs, const struct zone_conf *conf, const struct zone_conf *like, struct error *err)
{
	struct zone *z = &zs->zones[zs->zone_count++];
	bool reverse = conf->layout == LAYOUT_REVERSE;
	int rc = reverse ? reverse_zone_init(z, conf, like, err) : zone_init(z, conf, err);
	if (rc < 0)
		return rc;
	if (reverse)
		reverse_add_prefix(&zs->reverse, &z->prefix);
	else if ((rc = zone_place(zs, z, conf, err)) < 0)
		return error_wrap(err, rc, "zone %s", z->text);
	zone_start(zs, z);
	if (z->export != NULL && z->len > zs->longest_zone)
		zs->longest_zone = z->len;
	return E_OK;
}

static int compare_numbers(const void *a, const void *b)
{
	const struct zone *const *x = a, *const *y = b;
	return (*x)->number - (*y)->number;
}

/* Who may ask @z has found the same addresses in one before it. */
static bool forward_needless(const struct zone_set *zs, const struct zone *z)
{
	for (size_t i = 0; i < zs->forward_count; i++)
		if (zs->forward[i]->export == z->export && (zone_is_open(zs->forward[i]) || zone_same_clients(zs->forward[i], z)))
			return true;
	return false;
}

/* The export feeds the view of its zone @z. */
static int export_view(struct zone_set *zs, struct export *x, const struct zone *z)
{
	unsigned view = reverse_view_of(&zs->reverse, z);
	struct reverse_views *to = &x->views;
	for (size_t i = 0; to->at == NULL && i < zs->forward_count; i++)
		to->count += zs->forward[i]->export == x;
	if (to->at == NULL) {
		to->at = arena_zalloc(&zs->strings, to->count * sizeof(*to->at));
		to->count = 0;
	}
	if (to->at == NULL)
		return E_NOMEM;
	to->at[to->count++] = (uint16_t)view;
	return E_OK;
}

/* Zones have their last place: what points at them can be made. */
static int forward_settle(struct zone_set *zs, struct error *err)
{
	const struct zone **all = arena_zalloc(&zs->strings, (zs->zone_count + 1) * sizeof(struct zone *));
	size_t n = 0;
	int rc = all == NULL ? E_NOMEM : E_OK;
	for (size_t i = 0; rc == E_OK && i < zs->zone_count; i++)
		if (zs->zones[i].export != NULL)
			all[n++] = &zs->zones[i];
	if (n > 0)
		qsort(all, n, sizeof(all[0]), compare_numbers);
	for (size_t i = 0; i < n; i++)
		if (!forward_needless(zs, all[i]))
			zs->forward[zs->forward_count++] = all[i];
	for (size_t i = 0; rc == E_OK && i < zs->forward_count; i++)
		rc = export_view(zs, &zs->exports[zs->forward[i]->export - zs->exports], zs->forward[i]);
	return rc < 0 ? error_set(err, rc, "zones: no memory") : E_OK;
}

static int zones_room(struct zone_set *zs, const struct zone_set_conf *conf)
{
	size_t n = conf->zone_count + conf->reverse_count + 1;
	struct cidr *prefixes = arena_zalloc(&zs->strings, n * sizeof(*prefixes));
	struct reverse_view *views = arena_zalloc(&zs->strings, n * sizeof(*views));
	zs->zones = mem_zalloc(n, sizeof(*zs->zones));
	zs->scopes = mem_zalloc(n, sizeof(*zs->scopes));
	zs->exports = mem_zalloc(n, sizeof(*zs->exports));
	zs->forward = arena_zalloc(&zs->strings, n * sizeof(struct zone *));
	if (zs->zones == NULL || zs->scopes == NULL || zs->exports == NULL || zs->forward == NULL || prefixes == NULL ||
	    views == NULL || scope_get(zs, "public", "DEFAULT_GROUP") == NULL)
		return E_NOMEM;
	reverse_init(&zs->reverse, prefixes, views, zs->reaper);
	return E_OK;
}

/* Whose names reverse zones have in their SOA: the first zone of names, one that everybody may know if there is one. */
static const struct zone_conf *zone_to_be_like(const struct zone_set_conf *conf)
{
	static const struct zone_conf nothing = { .name = "invalid" };
	const struct zone_conf *ret = NULL;
	for (size_t i = 0; i < conf->zone_count; i++) {
		const struct zone_conf *z = &conf->zones[i];
		if (z->layout == LAYOUT_REVERSE)
			continue;
		if (z->query_allow.count == 0 && z->listen.count == 0)
			return z;
		ret = ret != NULL ? ret : z;
	}
	return ret != NULL ? ret : &nothing;
}

static int zones_make(struct zone_set *zs, const struct zone_set_conf *conf, struct error *err)
{
	const struct zone_conf *like = zone_to_be_like(conf);
	char name[REVERSE_NAME_MAX];
	struct zone_conf plain = { .name = name, .layout = LAYOUT_REVERSE };
	if (conf->zone_count > EXPORTS_MAX)
		return error_set(err, E_LIMIT, "%zu zones are more than %d", conf->zone_count, EXPORTS_MAX);
	if (zones_room(zs, conf) < 0)
		return error_set(err, E_NOMEM, "zones: no memory");
	int rc = E_OK;
	for (size_t i = 0; i < conf->zone_count && rc == E_OK; i++)
		rc = zone_make(zs, &conf->zones[i], like, err);
	for (size_t i = 0; i < conf->reverse_count && rc == E_OK; i++) {
		rc = reverse_zone_name(name, &conf->reverse[i], err);
		if (rc == E_OK)
			rc = zone_make(zs, &plain, like, err);
	}
	if (rc < 0)
		return rc;
	qsort(zs->zones, zs->zone_count, sizeof(*zs->zones), compare_zones);
	rc = forward_settle(zs, err);
	return rc < 0 ? rc : zones_check(zs, err);
}

static int conf_copy(struct zone_set *zs, const struct zone_set_conf *conf)
{
	zs->conf = *conf;
	zs->conf.zones = NULL;
	zs->conf.reverse = NULL;
	zs->keys = mem_zalloc(conf->metadata_key_count + 1, sizeof(*zs->keys));
	if (zs->keys == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < conf->metadata_key_count; i++)
		if ((zs->keys[i] = mem_strdup(conf->metadata_keys[i])) == NULL)
			return E_NOMEM;
	zs->conf.metadata_keys = (const char *const *)zs->keys;
	zs->conf.selector_keys = NULL;
	return E_OK;
}

int zone_set_new(struct zone_set **ret, const struct zone_set_conf *conf, struct rcu_reaper *reaper,
		 struct error *err)
{
	struct zone_set *zs = mem_zalloc(1, sizeof(*zs));
	if (zs == NULL)
		return error_set(err, E_NOMEM, "zones: no memory");
	zs->reaper = reaper;
	arena_init(&zs->strings, NULL, 0, 0);
	map_init(&zs->sites, site_equal);
	map_init(&zs->unsettled, unsettled_equal);
	zs->unsettled_due_ms = INT64_MAX;
	host_names_init(&zs->host_names, zs);
	map_init(&zs->namespaces, folder_equal);
	map_init(&zs->groups, folder_equal);
	int rc = conf_copy(zs, conf);
	if (rc == E_OK)
		rc = name_index_init(&zs->index, reaper);
	if (rc == E_OK && ((zs->slab = slab_new_huge()) == NULL ||
			   (zs->builder = blob_builder_new(&zs->conf, zs->slab, &zs->host_names)) == NULL))
		rc = E_NOMEM;
	if (rc < 0)
		error_set(err, rc, "zones: no memory");
	else
		rc = selector_keys_make(&zs->selectors, &zs->strings, conf->selector_keys, conf->selector_key_count, err);
	if (rc == E_OK) {
		blob_builder_select(zs->builder, zs->selectors);
		rc = zones_make(zs, conf, err);
	}
	zs->next_number = PARENT_SCOPES + (uint32_t)zs->scope_count;
	if (rc == E_OK)
		rc = zone_set_ns_addresses(zs, NULL, 0, err);
	if (rc < 0) {
		zone_set_free(zs);
		return rc;
	}
	zs->wall_ms = clock_wall_ms();
	*ret = zs;
	return E_OK;
}

bool zone_set_free_some(struct zone_set *zs, unsigned services)
{
	return sites_free(zs, services);
}

void zone_set_free(struct zone_set *zs)
{
	if (zs == NULL)
		return;
	unsettled_free(zs);
	sites_free(zs, UINT_MAX);
	folders_free(zs);
	host_names_done(&zs->host_names);
	map_done(&zs->sites);
	map_done(&zs->namespaces);
	map_done(&zs->groups);
	blob_builder_free(zs->builder);
	slab_free(zs->slab);
	name_index_done(&zs->index);
	for (size_t i = 0; i < zs->zone_count; i++)
		zone_done(&zs->zones[i]);
	exports_done(zs);
	reverse_done(&zs->reverse);
	for (size_t i = 0; zs->keys != NULL && zs->keys[i] != NULL; i++)
		mem_free(zs->keys[i]);
	mem_free(zs->keys);
	mem_free(atomic_load(&zs->ns));
	mem_free(zs->scopes);
	mem_free(zs->zones);
	arena_done(&zs->strings);
	mem_free(zs);
}

/* ---- the name server's own addresses */

/* What every zone has changes. */
static void zones_touch_all(struct zone_set *zs)
{
	zones_touch(zs);
	for (size_t i = 0; i < zs->zone_count; i++)
		zs->zones[i].dirty = true;
}

static void ns_free(void *arg, struct rcu_head *head)
{
	(void)arg;
	mem_free((char *)head - offsetof(struct ns_addresses, reap));
}

int zone_set_ns_addresses(struct zone_set *zs, const char *const *addresses, size_t n, struct error *err)
{
	static const char *const loopback[] = { "127.0.0.1" };
	uint8_t addr[16];
	if (n == 0) {
		addresses = loopback;
		n = 1;
	}
	struct ns_addresses *ns = mem_zalloc(1, sizeof(*ns) + n * 20);
	if (ns == NULL)
		return error_set(err, E_NOMEM, "addresses of the name server: no memory");
	ns->v6 = (uint8_t(*)[16])(void *)((char *)ns->v4 + n * 4);
	for (size_t i = 0; i < n; i++) {
		if (inet_pton(AF_INET, addresses[i], addr) == 1) {
			memcpy(ns->v4[ns->n4++], addr, 4);
		} else if (inet_pton(AF_INET6, addresses[i], addr) == 1) {
			memcpy(ns->v6[ns->n6++], addr, 16);
		} else {
			mem_free(ns);
			return error_set(err, E_INVALID, "\"%s\" is no address", addresses[i]);
		}
	}
	struct ns_addresses *old = atomic_load_explicit(&zs->ns, memory_order_relaxed);
	rcu_publish(&zs->ns, ns);
	if (old != NULL)
		rcu_reaper_add(zs->reaper, &old->reap, ns_free);
	zones_touch_all(zs);
	return E_OK;
}

void zone_set_ttls(struct zone_set *zs, uint32_t ttl, uint32_t ttl_host, uint32_t ttl_negative)
{
	struct zone_set_conf *c = &zs->conf;
	if (c->ttl == ttl && c->ttl_host == ttl_host && c->ttl_negative == ttl_negative)
		return;
	__atomic_store_n(&c->ttl, ttl, __ATOMIC_RELAXED);
	__atomic_store_n(&c->ttl_host, ttl_host, __ATOMIC_RELAXED);
	__atomic_store_n(&c->ttl_negative, ttl_negative, __ATOMIC_RELAXED);
	zones_touch_all(zs);
}

void zone_set_selection(struct zone_set *zs, const struct zone_set_conf *fresh)
{
	struct zone_set_conf *c = &zs->conf;
	__atomic_store_n(&c->subset_rotate_ms, fresh->subset_rotate_ms, __ATOMIC_RELAXED);
	if (c->mode == fresh->mode && c->cap == fresh->cap && c->protect == fresh->protect &&
	    c->all_unhealthy == fresh->all_unhealthy && c->last_max_ms == fresh->last_max_ms)
		return;
	c->mode = fresh->mode;
	c->cap = fresh->cap;
	c->protect = fresh->protect;
	c->all_unhealthy = fresh->all_unhealthy;
	c->last_max_ms = fresh->last_max_ms;
	zs->stale = zs->youngest;
	sites_renew(zs);
}

int zone_set_access(struct zone_set *zs, const struct zone_conf *conf)
{
	uint8_t wire[DNS_NAME_MAX];
	int len = wire_parse(wire, sizeof(wire), conf->name);
	for (size_t i = 0; len > 0 && i < zs->zone_count; i++) {
		struct zone *z = &zs->zones[i];
		if (z->len == len && memcmp(z->name, wire, z->len) == 0)
			return zone_access_set(z, conf, z->layout == LAYOUT_REVERSE || zs->reverse.count == 0);
	}
	return E_RANGE;
}

/* ---- watcher, serials */

void zone_publish(struct zone_set *zs, struct zone *z)
{
	uint32_t last = atomic_load_explicit(&z->serial, memory_order_relaxed);
	uint32_t serial = serial_next(last, zs->wall_ms);
	atomic_store_explicit(&z->serial, serial, memory_order_relaxed);
	z->dirty = false;
	z->published_ms = zs->wall_ms;
	if (zs->conf.on_serial != NULL)
		zs->conf.on_serial(zs->conf.arg, z->text, serial);
}

static void serials_publish(struct zone_set *zs)
{
	for (size_t i = 0; i < zs->zone_count; i++) {
		struct zone *z = &zs->zones[i];
		if (!z->dirty || (z->published_ms != 0 && zs->wall_ms >= z->published_ms &&
				  zs->wall_ms - z->published_ms < SERIAL_INTERVAL_MS))
			continue;
		zone_publish(zs, z);
	}
}

void zone_set_serial_restore(struct zone_set *zs, const char *zone, uint32_t last)
{
	uint8_t wire[DNS_NAME_MAX];
	int len = wire_parse(wire, sizeof(wire), zone);
	for (size_t i = 0; len > 0 && i < zs->zone_count; i++) {
		struct zone *z = &zs->zones[i];
		if (z->len == len && memcmp(z->name, wire, z->len) == 0) {
			atomic_store_explicit(&z->serial, serial_next(last, zs->wall_ms + ZONE_SERIALS_AHEAD * 1000LL),
					      memory_order_relaxed);
			z->dirty = true;
		}
	}
}

static void stats_keep(struct zone_set *zs)
{
	atomic_store_explicit(&zs->stat_hosts, exports_hosts(zs), memory_order_relaxed);
	atomic_store_explicit(&zs->stat_nodes, zs->index.nodes, memory_order_relaxed);
	atomic_store_explicit(&zs->stat_conflicts, zs->index.conflicts, memory_order_relaxed);
}

static void on_view(void *arg, const struct service_view *old, const struct service_view *fresh)
{
	site_on_view(arg, fresh, old != NULL ? old->info->id : 0);
}

static void on_turn(void *arg, uint64_t number)
{
	struct zone_set *zs = arg;
	(void)number;
	zs->wall_ms = clock_wall_ms();
	serials_publish(zs);
	stats_keep(zs);
}

struct registry_watcher zone_set_watcher(struct zone_set *zs)
{
	return (struct registry_watcher){ .on_view = on_view, .on_turn = on_turn, .arg = zs };
}

void zone_set_tick(struct zone_set *zs, int64_t wall_ms)
{
	zs->wall_ms = wall_ms;
	if (zs->failed != NULL || zs->lost_count > 0)
		sites_retry(zs);
	if (zs->stale != NULL)
		sites_renew(zs);
	unsettled_tick(zs);
	serials_publish(zs);
	stats_keep(zs);
}

void zone_set_ready(struct zone_set *zs)
{
	atomic_store_explicit(&zs->ready, true, memory_order_release);
}

const char *zone_set_zone_name(const struct zone_set *zs, int zone)
{
	for (size_t i = 0; i < zs->zone_count; i++)
		if (zs->zones[i].number == zone)
			return zs->zones[i].text;
	return NULL;
}

size_t zone_set_zone_count(const struct zone_set *zs)
{
	return zs->zone_count;
}

void zone_set_count_as(struct zone_set *zs, int zone, int row)
{
	for (size_t i = 0; i < zs->zone_count; i++)
		if (zs->zones[i].number == zone)
			zs->zones[i].row = row;
}

static uint64_t stat_read(const _Atomic uint64_t *stat)
{
	return atomic_load_explicit((_Atomic uint64_t *)stat, memory_order_relaxed);
}

void zone_set_stats(const struct zone_set *zs, struct zone_set_stats *ret)
{
	*ret = (struct zone_set_stats){
		.nodes = stat_read(&zs->stat_nodes),
		.blobs = stat_read(&zs->stat_blobs),
		.hosts = stat_read(&zs->stat_hosts),
		.alias_conflicts = stat_read(&zs->stat_conflicts),
		.hidden = stat_read(&zs->stat_hidden),
		.dropped_addresses = stat_read(&zs->stat_dropped),
		.rebuilds = stat_read(&zs->stat_rebuilds),
		.rebuild_ns = stat_read(&zs->stat_rebuild_ns),
		.bytes = stat_read(&zs->stat_bytes),
	};
}

/* ---- the stages of a query */

/* Both end in the root of the same length, with zeros behind. */
static inline bool zone_matches(const struct zone *z, const uint8_t *name)
{
	uint64_t a, b;
	for (size_t at = 0; at < z->len; at += 8) {
		memcpy(&a, z->name + at, 8);
		memcpy(&b, name + at, 8);
		if (a != b)
			return false;
	}
	return true;
}

static const struct zone *zone_find(const struct zone_set *zs, const struct dns_query *q)
{
	const struct zone *lower = NULL;
	for (size_t i = 0; i < zs->zone_count; i++) {
		const struct zone *z = &zs->zones[i];
		if (q->labels < z->labels)
			continue;
		size_t at = q->label_at[q->labels - z->labels];
		if (q->qname_len - at != z->len || !zone_matches(z, q->name + at) ||
		    (zone_access(z) != NULL && !zone_is_at(z, q->at)))
			continue;
		/* the DS of an apex is the upper zone's, if that is ours too */
		if (q->qtype != RR_DS || q->labels != z->labels || lower != NULL)
			return z;
		lower = z;
	}
	return lower;
}

/* The number of what stands below labels @from..@to (of @count, from the apex leftwards, 0 the first) under @parent; 0:
 * nothing does. These nodes are few and near. */
static uint32_t folder_below(const struct zone_set *zs, const struct dns_query *q, unsigned count, unsigned from,
			     unsigned to, uint32_t parent)
{
	for (; from < to && parent != 0; from++)
		parent = name_child(&zs->index, parent, q->name + q->label_at[count - 1 - from]);
	return parent;
}

/* Which label is the service's (counted from the left, 1 the first), and under which parent. 0: the name has none. */
static inline unsigned service_label(const struct zone_set *zs, const struct dns_query *q, uint32_t *parent)
{
	const struct zone *z = q->zone;
	unsigned count = (unsigned)(q->labels - z->labels), above = 3;
	*parent = z->scope;
	if (z->layout == LAYOUT_BOUND)
		return count;
	if (count < 2)
		return 0;
	const uint8_t *last = q->name + q->label_at[count - 1];
	if (z->layout == LAYOUT_FULL) {
		if (memcmp(last, "\003svc", 4) == 0)
			return count - 1;
		if (count < 4 || memcmp(last, "\002ns", 3) != 0)
			return 0;
		*parent = folder_below(zs, q, count, 1, 3, PARENT_ROOT);
	} else {
		above = 1;
		*parent = folder_below(zs, q, count, 0, 1, z->scope);
		if (z->layout == LAYOUT_BOUND_GROUP && *parent != 0)
			*parent = name_child(&zs->index, *parent, z->group);
	}
	return *parent == 0 ? 0 : count - above;
}

void zone_set_prefetch(const struct zone_set *zs, struct dns_query *q)
{
	struct label_key k;
	uint32_t parent = 0;
	q->zone = zone_find(zs, q);
	q->scratch[AT_STAGE] = STAGE_NONE;
	if (q->zone == NULL)
		return;
	unsigned label = service_label(zs, q, &parent);
	if (label == 0)
		return;
	unsigned at = q->label_at[label - 1];
	if (label == 2 && is_proto(q->name + at))
		at = 0; /* _<service>._proto */
	service_key_load(&k, q->name + at);
	uint64_t hash = name_hash(&zs->index, parent, &k);
	name_prefetch(&zs->index, hash);
	q->scratch[AT_STAGE] = STAGE_HASHED;
	q->scratch[AT_HASH] = hash;
	q->scratch[AT_PARENT] = parent;
	q->scratch[AT_LABEL] = at;
}

void zone_set_locate(const struct zone_set *zs, struct dns_query *q)
{
	if (q->scratch[AT_STAGE] != STAGE_HASHED)
		return;
	const struct node *n = name_guess(&zs->index, q->scratch[AT_HASH]);
	if (n != NULL)
		__builtin_prefetch(n);
}

void zone_set_prepare(const struct zone_set *zs, struct dns_query *q)
{
	struct label_key k;
	if (q->scratch[AT_STAGE] != STAGE_HASHED)
		return;
	service_key_load(&k, q->name + q->scratch[AT_LABEL]);
	const struct node *n = name_find(&zs->index, q->scratch[AT_HASH], (uint32_t)q->scratch[AT_PARENT], &k);
	q->scratch[AT_STAGE] = STAGE_FOUND;
	q->scratch[AT_NODE] = (uint64_t)(uintptr_t)n;
	if (n == NULL)
		return;
	const struct blob *b = rcu_read(&((struct node *)n)->blob);
	if (b == NULL)
		return;
	unsigned lines = q->qtype == RR_SRV ? PREFETCH_SRV : PREFETCH_LINES;
	for (unsigned i = 0; i < lines; i++)
		__builtin_prefetch((const char *)b + i * 64);
}

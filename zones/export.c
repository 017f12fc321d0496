/* export.c - see export.h. Filters, the interned sets of exports, and the addresses and folders that they count. */
#include "zones/export.h"
#include "base/error.h"
#include "base/mem.h"
#include "zones/zone.h"
#include <string.h>

/* ---- making */

static const char *namespace_of(const char *text)
{
	return text == NULL || *text == '\0' ? "public" : text;
}

static const char *group_of(const char *text)
{
	return text == NULL || *text == '\0' ? "DEFAULT_GROUP" : text;
}

static int words_copy(struct arena *mem, struct word_list *ret, const struct word_list *from)
{
	ret->at = arena_zalloc(mem, (from->count + 1) * sizeof(*ret->at));
	for (size_t i = 0; ret->at != NULL && i < from->count; i++, ret->count++)
		if ((ret->at[i] = arena_strdup(mem, from->at[i])) == NULL)
			return E_NOMEM;
	return ret->at == NULL ? E_NOMEM : E_OK;
}

static bool filters(const struct export *x)
{
	return x->namespaces.count + x->groups.count + x->metadata.count > 0;
}

/* What the zone shows, borrowed from @conf. */
static struct export wanted(const struct zone_conf *conf, const struct vanity_list *vanities)
{
	struct export x = { .namespaces = conf->export_namespaces, .groups = conf->export_groups,
			    .metadata = conf->export_metadata };
	if (conf->layout == LAYOUT_BOUND || conf->layout == LAYOUT_BOUND_NS)
		x.ns = namespace_of(conf->ns);
	if (conf->layout == LAYOUT_BOUND || conf->layout == LAYOUT_BOUND_GROUP)
		x.group = group_of(conf->group);
	x.nothing = conf->layout == LAYOUT_STATIC;
	if (vanities->count > 0 && (x.nothing || x.ns != NULL || x.group != NULL || filters(&x)))
		x.vanities = *vanities;
	return x;
}

static bool same_export(const struct export *a, const struct export *b)
{
	return a->nothing == b->nothing && a->vanities.at == b->vanities.at && texts_equal(a->ns, b->ns) && texts_equal(a->group, b->group) && words_equal(&a->namespaces, &b->namespaces) &&
	       words_equal(&a->groups, &b->groups) && words_equal(&a->metadata, &b->metadata);
}

static int export_fill(struct zone_set *zs, struct export *to, const struct export *from)
{
	to->nothing = from->nothing;
	to->vanities = from->vanities;
	to->ns = from->ns == NULL ? NULL : arena_strdup(&zs->strings, from->ns);
	to->group = from->group == NULL ? NULL : arena_strdup(&zs->strings, from->group);
	if ((to->ns == NULL) != (from->ns == NULL) || (to->group == NULL) != (from->group == NULL) ||
	    words_copy(&zs->strings, &to->namespaces, &from->namespaces) < 0 ||
	    words_copy(&zs->strings, &to->groups, &from->groups) < 0 ||
	    words_copy(&zs->strings, &to->metadata, &from->metadata) < 0)
		return E_NOMEM;
	if (host_table_init(&to->hosts, zs->reaper) < 0)
		return E_NOMEM;
	if (!filters(from))
		return E_OK;
	if (host_table_init(&to->folders, zs->reaper) < 0) {
		host_table_done(&to->hosts);
		return E_NOMEM;
	}
	to->bit = (uint32_t)1 << zs->filters++;
	return E_OK;
}

int export_get(struct zone_set *zs, const struct zone_conf *conf, const struct vanity_list *vanities,
	       struct export **ret, struct error *err)
{
	struct export want = wanted(conf, vanities), *x = zs->exports;
	for (; x < zs->exports + zs->export_count; x++)
		if (same_export(x, &want)) {
			*ret = x;
			return E_OK;
		}
	if (filters(&want) && zs->filters == EXPORT_FILTERS_MAX)
		return error_set(err, E_LIMIT, "there are %d different export filters already, more cannot be",
				 EXPORT_FILTERS_MAX);
	if (export_fill(zs, x, &want) < 0) {
		memset(x, 0, sizeof(*x));
		return error_set(err, E_NOMEM, "no memory");
	}
	zs->export_count++;
	*ret = x;
	return E_OK;
}

void exports_done(struct zone_set *zs)
{
	for (size_t i = 0; i < zs->export_count; i++) {
		host_table_done(&zs->exports[i].hosts);
		if (zs->exports[i].bit != 0)
			host_table_done(&zs->exports[i].folders);
	}
	mem_free(zs->exports);
	for (size_t i = 0; i < zs->shown_count; i++)
		mem_free(zs->shown[i]);
	mem_free(zs->shown);
}

/* ---- who is shown */

static bool among(const struct word_list *words, const char *word)
{
	for (size_t i = 0; i < words->count; i++)
		if (strcmp(words->at[i], word) == 0)
			return true;
	return words->count == 0;
}

/* @wanted: "key=value", or "key" for any value. */
static bool has_pair(const struct packed *metadata, const char *wanted)
{
	size_t len = strcspn(wanted, "=");
	struct pair p;
	for (size_t at = 0; packed_next(metadata, &at, &p);)
		if (p.key_len == len && memcmp(p.key, wanted, len) == 0)
			return wanted[len] == '\0' || strcmp(p.value, wanted + len + 1) == 0;
	return false;
}

static bool shows(const struct export *x, const struct service_info *info)
{
	const struct service_key *key = &info->key;
	if (x->nothing)
		return false;
	if (x->ns != NULL && strcmp(x->ns, key->ns) != 0)
		return false;
	if (x->group != NULL && strcmp(x->group, key->group) != 0)
		return false;
	if (x->bit == 0)
		return true;
	if (!among(&x->namespaces, key->ns) || !among(&x->groups, key->group))
		return false;
	for (size_t i = 0; i < x->metadata.count; i++)
		if (!has_pair(&info->metadata, x->metadata.at[i]))
			return false;
	return true;
}

static const struct shown *shown_intern(struct zone_set *zs, const uint16_t *in, uint32_t count, uint32_t bits)
{
	for (size_t i = 0; i < zs->shown_count; i++)
		if (zs->shown[i]->count == count && memcmp(zs->shown[i]->in, in, count * sizeof(*in)) == 0 &&
		    zs->shown[i]->bits == bits)
			return zs->shown[i];
	struct shown **all = mem_realloc(zs->shown, (zs->shown_count + 1) * sizeof(struct shown *));
	if (all == NULL)
		return NULL;
	zs->shown = all;
	struct shown *s = mem_alloc(sizeof(*s) + count * sizeof(*in));
	if (s == NULL)
		return NULL;
	s->bits = bits;
	s->count = count;
	memcpy(s->in, in, count * sizeof(*in));
	return zs->shown[zs->shown_count++] = s;
}

const struct shown *exports_showing(struct zone_set *zs, const struct service_info *info)
{
	uint16_t in[EXPORTS_MAX];
	uint32_t count = 0, bits = 0;
	for (size_t i = 0; i < zs->export_count; i++) {
		const struct export *x = &zs->exports[i];
		bool named = shows(x, info);
		if (named)
			bits |= x->bit;
		if (named || vanities_name(&x->vanities, &info->key))
			in[count++] = (uint16_t)i;
	}
	return shown_intern(zs, in, count, bits);
}

bool exports_read_metadata(const struct zone_set *zs)
{
	for (size_t i = 0; i < zs->export_count; i++)
		if (zs->exports[i].metadata.count > 0)
			return true;
	return false;
}

/* ---- addresses */

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

/* The exports of either of two appearances, with what each says there. */
struct pairing {
	const struct appearance *old, *fresh;
	uint32_t at_old, at_fresh;
	/* the current one */
	uint16_t export;
	const struct blob *was, *is;
};

static bool pairing_next(struct pairing *p)
{
	const struct shown *a = p->old->shown, *b = p->fresh->shown;
	bool in_a = a != NULL && p->at_old < a->count, in_b = b != NULL && p->at_fresh < b->count;
	if (!in_a && !in_b)
		return false;
	p->export = !in_a || (in_b && b->in[p->at_fresh] < a->in[p->at_old]) ? b->in[p->at_fresh] : a->in[p->at_old];
	in_a = in_a && a->in[p->at_old] == p->export;
	in_b = in_b && b->in[p->at_fresh] == p->export;
	p->at_old += in_a;
	p->at_fresh += in_b;
	p->was = in_a ? p->old->blob : NULL;
	p->is = in_b ? p->fresh->blob : NULL;
	return true;
}

struct host_counts {
	uint32_t added4, added6, dropped;
};

static void count_one(void *arg, bool added, int family, const uint8_t *addr)
{
	struct host_counts *c = arg;
	(void)addr;
	c->added4 += added && family == 4;
	c->added6 += added && family == 6;
	c->dropped += !added;
}

int exports_reserve(struct zone_set *zs, const struct appearance *old, const struct appearance *fresh,
		    struct exports_change *change)
{
	struct pairing p = { .old = old, .fresh = fresh };
	*change = (struct exports_change){ false, false };
	if (old->shown == fresh->shown && hosts_same(old->blob, fresh->blob))
		return E_OK;
	struct host_counts all = { 0 };
	while (pairing_next(&p)) {
		struct host_counts c = { 0 };
		hosts_differ(p.was, p.is, count_one, &c);
		all.added4 += c.added4;
		all.added6 += c.added6;
		if (host_table_reserve(&zs->exports[p.export].hosts, c.added4, c.added6) < 0)
			return E_NOMEM;
		change->added |= c.added4 + c.added6 > 0;
		change->dropped |= c.dropped > 0;
	}
	return reverse_reserve(&zs->reverse, all.added4, all.added6);
}

/* The names above an address in a reverse zone stand before it does, and go after it. */
struct hosts_here {
	struct zone_set *zs;
	struct export *export;
};

static void add_one(void *arg, bool added, int family, const uint8_t *addr)
{
	struct hosts_here *here = arg;
	if (!added)
		return;
	reverse_add(&here->zs->reverse, &here->export->views, family, addr);
	host_table_add(&here->export->hosts, family, addr);
}

static void drop_one(void *arg, bool added, int family, const uint8_t *addr)
{
	struct hosts_here *here = arg;
	if (added)
		return;
	host_table_drop(&here->export->hosts, family, addr);
	reverse_drop(&here->zs->reverse, &here->export->views, family, addr);
}

void exports_add(struct zone_set *zs, const struct appearance *old, const struct appearance *fresh)
{
	struct pairing p = { .old = old, .fresh = fresh };
	while (pairing_next(&p)) {
		struct hosts_here here = { zs, &zs->exports[p.export] };
		hosts_differ(p.was, p.is, add_one, &here);
	}
}

void exports_drop(struct zone_set *zs, const struct appearance *old, const struct appearance *fresh)
{
	struct pairing p = { .old = old, .fresh = fresh };
	while (pairing_next(&p)) {
		struct hosts_here here = { zs, &zs->exports[p.export] };
		hosts_differ(p.was, p.is, drop_one, &here);
	}
}

uint64_t exports_hosts(const struct zone_set *zs)
{
	uint64_t n = 0;
	for (size_t i = 0; i < zs->export_count; i++)
		n += zs->exports[i].hosts.live[0] + zs->exports[i].hosts.live[1];
	return n;
}

/* ---- folders */

int exports_enter(struct zone_set *zs, const struct shown *shown, const struct folder *group)
{
	for (uint32_t i = 0; i < shown->count; i++) {
		struct export *x = &zs->exports[shown->in[i]];
		if ((shown->bits & x->bit) != 0 && host_table_reserve(&x->folders, 2, 0) < 0)
			return E_NOMEM;
	}
	for (uint32_t i = 0; i < shown->count; i++) {
		struct export *x = &zs->exports[shown->in[i]];
		if ((shown->bits & x->bit) == 0)
			continue;
		host_table_add(&x->folders, 4, (const uint8_t *)&group->number);
		host_table_add(&x->folders, 4, (const uint8_t *)&group->parent->number);
	}
	return E_OK;
}

void exports_leave(struct zone_set *zs, const struct shown *shown, const struct folder *group)
{
	for (uint32_t i = 0; i < shown->count; i++) {
		struct export *x = &zs->exports[shown->in[i]];
		if ((shown->bits & x->bit) == 0)
			continue;
		host_table_drop(&x->folders, 4, (const uint8_t *)&group->number);
		host_table_drop(&x->folders, 4, (const uint8_t *)&group->parent->number);
	}
}

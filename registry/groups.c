/* groups.c - which namespaces and groups there are and the service names of each group, for lists. A group's
 * list has a sorted front and an unsorted tail; it is put in order when somebody reads it. */
#include "base/hash.h"
#include "base/mem.h"
#include "registry/core.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct namespace {
	char *id, *name, *description; /* in @text, the latter two in @labels' when renamed */
	struct namespace *labels;
	uint64_t services, groups;
	bool created; /* by someone; otherwise it lives as long as its groups */
	size_t id_len;
	char text[];
};

struct group {
	struct namespace *ns;
	struct service **services; /* NULL: a hole in the sorted front */
	uint32_t filled, sorted, holes, cap, held;
	size_t name_len;
	char name[];
};

struct group_key {
	const struct namespace *ns;
	const char *name;
	size_t len;
};

bool namespace_equal(const void *value, const void *of)
{
	const struct namespace *ns = value;
	const struct packed *key = of; /* a slice */

	return ns->id_len == key->len && memcmp(ns->id, key->at, key->len) == 0;
}

bool group_equal(const void *value, const void *of)
{
	const struct group *g = value;
	const struct group_key *key = of;

	return g->ns == key->ns && g->name_len == key->len && memcmp(g->name, key->name, key->len) == 0;
}

/* ---- namespaces */

struct namespace *namespace_find(struct registry *r, const char *id, size_t len)
{
	struct packed key = { id, (uint32_t)len, 0 };

	return map_find(&r->namespaces, hash_bytes(id, len), &key);
}

bool namespace_created(const struct namespace *ns)
{
	return ns->created;
}

struct namespace *namespace_new(struct registry *r, const char *id, const char *name, const char *description)
{
	size_t id_len = strlen(id), name_len = strlen(name), description_len = strlen(description);
	struct namespace *ns = mem_zalloc(1, sizeof(*ns) + id_len + name_len + description_len + 3);

	(void)r;
	if (ns == NULL)
		return NULL;
	ns->id_len = id_len;
	ns->id = memcpy(ns->text, id, id_len + 1);
	ns->name = memcpy(ns->id + id_len + 1, name, name_len + 1);
	ns->description = memcpy(ns->name + name_len + 1, description, description_len + 1);
	return ns;
}

void namespace_free(struct namespace *ns)
{
	if (ns != NULL)
		mem_free(ns->labels);
	mem_free(ns);
}


/* Where @id stands among the created ones, or would. */
static size_t listed_place(const struct registry *r, const char *id)
{
	size_t from = 0, to = r->listed_count;

	while (from < to) {
		size_t mid = (from + to) / 2;

		if (strcmp(r->listed_namespaces[mid]->id, id) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

int namespace_reserve(struct registry *r, struct namespace *fresh)
{
	if (namespace_find(r, fresh->id, fresh->id_len) == NULL) {
		/* The map may need room: the newcomer is put in at once, implicit, and taken out by a drop. */
		int rc = map_add(&r->namespaces, hash_bytes(fresh->id, fresh->id_len), fresh);

		if (rc < 0)
			return rc;
	}
	if (r->listed_count == r->listed_cap) {
		size_t cap = r->listed_cap == 0 ? 16 : r->listed_cap * 2;
		struct namespace **list = mem_realloc(r->listed_namespaces, cap * sizeof(*list));

		if (list == NULL) {
			namespace_unreserve(r, fresh);
			return E_NOMEM;
		}
		r->listed_namespaces = list;
		r->listed_cap = cap;
	}
	return E_OK;
}

static void map_forget(struct registry *r, struct namespace *ns)
{
	struct packed key = { ns->id, (uint32_t)ns->id_len, 0 };

	map_remove(&r->namespaces, hash_bytes(ns->id, ns->id_len), &key);
}

void namespace_unreserve(struct registry *r, struct namespace *fresh)
{
	if (namespace_find(r, fresh->id, fresh->id_len) == fresh && !fresh->created && fresh->groups == 0)
		map_forget(r, fresh);
}

void namespace_take(struct registry *r, struct namespace *fresh)
{
	struct namespace *ns = namespace_find(r, fresh->id, fresh->id_len);
	size_t place = listed_place(r, fresh->id);

	if (ns != fresh) { /* renamed, or known implicitly so far */
		mem_free(ns->labels);
		ns->labels = fresh;
		ns->name = fresh->name;
		ns->description = fresh->description;
	}
	if (ns->created)
		return;
	ns->created = true;
	memmove(&r->listed_namespaces[place + 1], &r->listed_namespaces[place],
		(r->listed_count - place) * sizeof(*r->listed_namespaces));
	r->listed_namespaces[place] = ns;
	r->listed_count++;
	registry_stat(&r->stat_namespaces, 1);
}

void namespace_forget(struct registry *r, struct namespace *ns)
{
	size_t place = listed_place(r, ns->id);

	assert(ns->created && r->listed_namespaces[place] == ns);
	r->listed_count--;
	memmove(&r->listed_namespaces[place], &r->listed_namespaces[place + 1],
		(r->listed_count - place) * sizeof(*r->listed_namespaces));
	registry_stat(&r->stat_namespaces, -1);
	ns->created = false;
	if (ns->groups == 0) {
		map_forget(r, ns);
		namespace_free(ns);
	}
}

static struct namespace *namespace_hold(struct registry *r, const struct service_key *key)
{
	struct namespace *ns = namespace_find(r, key->ns, key->ns_len);

	if (ns != NULL)
		return ns;
	ns = namespace_new(r, key->ns, key->ns, "");
	if (ns != NULL && map_add(&r->namespaces, hash_bytes(ns->id, ns->id_len), ns) < 0) {
		namespace_free(ns);
		return NULL;
	}
	return ns;
}

static void namespace_release(struct registry *r, struct namespace *ns)
{
	if (ns->groups > 0 || ns->created)
		return;
	map_forget(r, ns);
	namespace_free(ns);
}

void namespace_row_of(struct namespace_row *to, const struct namespace *ns)
{
	to->id = ns->id;
	to->name = ns->name;
	to->description = ns->description;
	to->type = 2;
	to->services = ns->services;
}

size_t registry_namespaces(struct registry *r, size_t from, size_t max, struct namespace_row *ret,
			   size_t *ret_count)
{
	struct namespace *reserved = namespace_find(r, "public", 6);
	size_t n = 0, total = r->listed_count + 1;

	if (from == 0 && max > 0)
		ret[n++] = (struct namespace_row){ "public", "public", "Default Namespace", 0,
						   reserved == NULL ? 0 : reserved->services };
	for (size_t i = from == 0 ? 1 : from; i < total && n < max; i++)
		namespace_row_of(&ret[n++], r->listed_namespaces[i - 1]);
	*ret_count = n;
	return total;
}

/* ---- groups */

static uint64_t group_hash(const struct group_key *key)
{
	return hash_more(hash_bytes(key->ns->id, key->ns->id_len), key->name, key->len);
}

static struct group *group_new(struct registry *r, const struct group_key *key)
{
	struct group *g = mem_zalloc(1, sizeof(*g) + key->len + 1);

	if (g == NULL)
		return NULL;
	g->ns = (struct namespace *)(uintptr_t)key->ns;
	g->name_len = key->len;
	memcpy(g->name, key->name, key->len);
	if (map_add(&r->groups, group_hash(key), g) < 0) {
		mem_free(g);
		return NULL;
	}
	g->ns->groups++;
	return g;
}

static int reserve(struct group *g)
{
	if (g->held + 1 <= g->cap) /* holes are filled up when room is needed */
		return E_OK;
	uint32_t cap = g->cap == 0 ? 2 : g->cap * 2;
	struct service **list = mem_realloc(g->services, cap * sizeof(*list));

	if (list == NULL)
		return E_NOMEM;
	g->services = list;
	g->cap = cap;
	return E_OK;
}

static void group_done(struct registry *r, struct group *g)
{
	struct group_key key = { g->ns, g->name, g->name_len };

	map_remove(&r->groups, group_hash(&key), &key);
	g->ns->groups--;
	namespace_release(r, g->ns);
	mem_free(g->services);
	mem_free(g);
}

/* @held counts services that hold the group, listed or not; hidden ones have a place kept. */
int group_hold(struct registry *r, struct service *s)
{
	struct service_key key = service_key_of(s);
	struct namespace *ns = namespace_hold(r, &key);
	struct group *g;

	if (ns == NULL)
		return E_NOMEM;
	struct group_key group_key = { ns, key.group, key.group_len };

	g = map_find(&r->groups, group_hash(&group_key), &group_key);
	if (g == NULL)
		g = group_new(r, &group_key);
	if (g == NULL) {
		namespace_release(r, ns);
		return E_NOMEM;
	}
	if (reserve(g) < 0) {
		if (g->held == 0)
			group_done(r, g);
		return E_NOMEM;
	}
	g->held++;
	s->group = g;
	return E_OK;
}

void group_release(struct registry *r, struct service *s)
{
	struct group *g = s->group;

	s->group = NULL;
	if (--g->held == 0)
		group_done(r, g);
}

static void compact(struct group *g)
{
	uint32_t to = 0, sorted = 0;

	if (g->holes == 0)
		return;
	for (uint32_t i = 0; i < g->filled; i++) {
		if (g->services[i] == NULL)
			continue;
		g->services[i]->group_slot = to;
		g->services[to++] = g->services[i];
		if (i < g->sorted)
			sorted = to;
	}
	g->filled = to;
	g->sorted = sorted;
	g->holes = 0;
}

void group_add(struct service *s)
{
	struct group *g = s->group;

	if (g->filled == g->cap)
		compact(g);
	assert(g->filled < g->cap);
	s->group_slot = g->filled;
	g->services[g->filled++] = s;
	g->ns->services++;
}

void group_remove(struct service *s)
{
	struct group *g = s->group;
	uint32_t slot = s->group_slot;

	g->ns->services--;
	if (slot >= g->sorted) { /* in the tail order does not matter */
		struct service *last = g->services[g->filled - 1];

		g->services[slot] = last;
		last->group_slot = slot;
		g->filled--;
	} else {
		g->services[slot] = NULL;
		if (++g->holes > g->filled / 2)
			compact(g);
	}
}

static const char *bare_name(const struct service *s)
{
	return s->text + s->ns_len + s->group_len + 2;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(bare_name(*(struct service *const *)a), bare_name(*(struct service *const *)b));
}

/* Puts the few newcomers of the tail where they belong, or sorts all when they are many. */
static void put_in_order(struct group *g)
{
	compact(g);
	if (g->filled - g->sorted > 64 || g->sorted < 64) {
		qsort(g->services, g->filled, sizeof(*g->services), compare_names);
		g->sorted = g->filled;
	}
	for (; g->sorted < g->filled; g->sorted++) {
		struct service *s = g->services[g->sorted];
		uint32_t from = 0, to = g->sorted;

		while (from < to) {
			uint32_t mid = from + (to - from) / 2;

			if (strcmp(bare_name(g->services[mid]), bare_name(s)) < 0)
				from = mid + 1;
			else
				to = mid;
		}
		memmove(&g->services[from + 1], &g->services[from], (g->sorted - from) * sizeof(s));
		g->services[from] = s;
	}
	for (uint32_t i = 0; i < g->filled; i++)
		g->services[i]->group_slot = i;
}

struct service *const *group_ordered(struct registry *r, const char *ns, const char *group, size_t *count)
{
	struct namespace *n = namespace_find(r, ns, strlen(ns));
	struct group_key key = { n, group, strlen(group) };
	struct group *g = n == NULL ? NULL : map_find(&r->groups, group_hash(&key), &key);

	*count = 0;
	if (g == NULL)
		return NULL;
	if (g->sorted < g->filled || g->holes > 0)
		put_in_order(g);
	*count = g->filled;
	return g->services;
}

void groups_each(struct registry *r, const char *ns, const char *group,
		 void (*each)(void *arg, const char *ns, const char *group), void *arg)
{
	struct group *g;

	for (size_t at = 0; (g = map_next(&r->groups, &at)) != NULL;)
		if (g->filled > 0 && (ns == NULL || strcmp(g->ns->id, ns) == 0) &&
		    (group == NULL || strcmp(g->name, group) == 0))
			each(arg, g->ns->id, g->name);
}

size_t registry_group_names(struct registry *r, const char *ns, const char *group, size_t from, size_t max,
			    const char **ret, size_t *ret_count)
{
	size_t count;
	struct service *const *services = group_ordered(r, ns, group, &count);

	*ret_count = 0;
	for (size_t i = from; i < count && *ret_count < max; i++)
		ret[(*ret_count)++] = bare_name(services[i]);
	return count;
}

void groups_free(struct registry *r)
{
	struct namespace *ns;
	struct group *g;

	for (size_t at = 0; (g = map_next(&r->groups, &at)) != NULL;) {
		mem_free(g->services);
		mem_free(g);
	}
	for (size_t at = 0; (ns = map_next(&r->namespaces, &at)) != NULL;)
		namespace_free(ns);
	mem_free(r->listed_namespaces);
}

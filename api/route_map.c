/* route_map.c - how a path finds its row in the table: one hash over the path, then the method; and what
 * resembles a path that found none. See routes.h. */
#include "api/handlers.h"
#include "base/hash.h"
#include "base/mem.h"
#include <string.h>

enum { METHODS_PER_PATH = 5, NEAR_MAX = 8 };

struct path_entry {
	const char *path;
	size_t len;
	unsigned allowed, count;
	const struct route *rows[METHODS_PER_PATH];
};

struct route_map {
	struct map map;
	size_t count;
	struct path_entry entries[]; /* as many as there are rows */
};

struct path_key {
	const char *at;
	size_t len;
};

static bool path_equal(const void *value, const void *key)
{
	const struct path_entry *e = value;
	const struct path_key *k = key;
	return e->len == k->len && memcmp(e->path, k->at, k->len) == 0;
}

static struct path_entry *find_path(const struct route_map *m, const char *at, size_t len)
{
	struct path_key key = { at, len };
	return map_find(&m->map, hash_bytes(at, len), &key);
}

static int add_row(struct route_map *m, const struct route *row)
{
	struct path_entry *e = find_path(m, row->path, strlen(row->path));
	if (e == NULL) {
		e = &m->entries[m->count++];
		*e = (struct path_entry){ .path = row->path, .len = strlen(row->path) };
		int rc = map_add(&m->map, hash_bytes(e->path, e->len), e);
		if (rc < 0)
			return rc;
	}
	if (e->count == METHODS_PER_PATH || (e->allowed & row->methods) != 0)
		return E_EXISTS; /* two rows for one request */
	e->allowed |= row->methods;
	e->rows[e->count++] = row;
	return E_OK;
}

int route_map_new(struct route_map **ret)
{
	struct route_map *m = mem_zalloc(1, sizeof(*m) + route_count() * sizeof(m->entries[0]));
	if (m == NULL)
		return E_NOMEM;
	map_init(&m->map, path_equal);
	for (size_t i = 0; i < route_count(); i++) {
		int rc = add_row(m, route_at(i));
		if (rc < 0) {
			route_map_free(m);
			return rc;
		}
	}
	*ret = m;
	return E_OK;
}

void route_map_free(struct route_map *m)
{
	if (m == NULL)
		return;
	map_done(&m->map);
	mem_free(m);
}

static void trim_path(const char **path, size_t *len)
{
	if (*len >= 7 && memcmp(*path, "/nacos/", 7) == 0) {
		*path += 6;
		*len -= 6;
	}
	if (*len > 1 && (*path)[*len - 1] == '/')
		(*len)--;
}

/* The deepest row whose last segment is a star. At most a few segments are tried. */
static struct path_entry *find_star(const struct route_map *m, const char *path, size_t len)
{
	char with_star[ROUTE_PATH_MAX + 2];
	memcpy(with_star, path, len);
	for (unsigned tries = 0; tries < 6 && len > 1; tries++) {
		while (len > 1 && with_star[len - 1] != '/')
			len--;
		with_star[len] = '*';
		struct path_entry *e = find_path(m, with_star, len + 1);
		if (e != NULL)
			return e;
		len--;
	}
	return NULL;
}

const struct route *route_match(const struct route_map *m, unsigned method, const char *path, size_t len,
				unsigned *allowed)
{
	*allowed = 0;
	if (len > ROUTE_PATH_MAX)
		return NULL;
	trim_path(&path, &len);
	struct path_entry *e = find_path(m, path, len);
	if (e == NULL)
		e = find_star(m, path, len);
	if (e == NULL)
		return NULL;
	*allowed = e->allowed;
	for (unsigned i = 0; i < e->count; i++)
		if (e->rows[i]->methods & method)
			return e->rows[i];
	return NULL;
}

/* What is left when the common start and the common end are taken off: cheap, and small for a typo. */
static size_t difference(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t least = a_len < b_len ? a_len : b_len, most = a_len < b_len ? b_len : a_len;
	size_t start = 0, end = 0;
	while (start < least && a[start] == b[start])
		start++;
	while (end < least - start && a[a_len - 1 - end] == b[b_len - 1 - end])
		end++;
	return most - start - end;
}

size_t route_near(const char *path, size_t len, const struct route **ret, size_t max)
{
	size_t scores[NEAR_MAX], count = 0;
	if (len > ROUTE_PATH_MAX)
		return 0;
	if (max > NEAR_MAX)
		max = NEAR_MAX;
	trim_path(&path, &len);
	for (size_t i = 0; i < route_count(); i++) {
		const struct route *row = route_at(i);
		size_t row_len = strlen(row->path), score = difference(path, len, row->path, row_len), at;
		if (score * 2 > row_len || (i > 0 && strcmp(row->path, route_at(i - 1)->path) == 0))
			continue;
		for (at = count < max ? count : max; at > 0 && scores[at - 1] > score; at--)
			if (at < max) {
				scores[at] = scores[at - 1];
				ret[at] = ret[at - 1];
			}
		if (at == max)
			continue;
		scores[at] = score;
		ret[at] = row;
		if (count < max)
			count++;
	}
	return count;
}

const char *route_method_name(unsigned method)
{
	return method == M_GET	    ? "GET"
	       : method == M_POST   ? "POST"
	       : method == M_PUT    ? "PUT"
	       : method == M_DELETE ? "DELETE"
	       : method == M_PATCH  ? "PATCH"
				    : "ANY";
}

const char *route_class_name(enum route_class c)
{
	static const char *const names[ROUTE_CLASSES] = {
		[CLASS_INSTANCE] = "instance", [CLASS_LIST] = "list",	       [CLASS_BEAT] = "beat",
		[CLASS_SERVICE] = "service",   [CLASS_HEALTH] = "health",      [CLASS_NAMESPACE] = "namespace",
		[CLASS_OPERATOR] = "operator", [CLASS_STATE] = "state",	       [CLASS_NATIVE] = "native",
		[CLASS_WAIT] = "wait",
		[CLASS_NOT_BUILT] = "not_built", [CLASS_UNKNOWN] = "unknown",
	};
	return names[c];
}

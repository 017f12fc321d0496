/* catalog.c - services and instances in pages, for consoles and maintainers (nacos-naming 2.7, 3.5, 4.3). Which services
 * a page has is found on the control thread; they are written here, from their views. */
#include "api/handlers.h"
#include "api/io.h"
#include "api/pattern.h"
#include "api/shapes.h"
#include "registry/failure.h"
#include <string.h>

enum { PAGE_MAX = 10000 /* services or instances of one page */, ANSWER_MAX = 64 << 20 /* bytes */ };

static const struct service_view *missing(struct request *r, const struct service_key *key)
{
	error_set(&r->err, E_NOTFOUND, "service %s@@%s is not found in namespace %s", key->group, key->name, key->ns);
	return NULL;
}

void api_catalog_service(struct request *r)
{
	struct service_key key;
	if (request_key(r, &key) < 0) {
		reply_failure(r);
		return;
	}
	rcu_begin();
	const struct service_view *v = registry_view(request_registry(r), &key);
	if (v != NULL)
		shape_catalog_service(answer_begin(r), v);
	rcu_end();
	if (v != NULL || missing(r, &key) != NULL)
		answer_end(r);
	else
		reply_failure(r);
}

/* ---- instances */

struct instances {
	const char *cluster; /* NULL: all */
	bool healthy_given, healthy, enabled_given, enabled;
	int64_t page, size;
};

static bool instance_passes(const struct instances *q, const struct service_view *v, const struct instance *i)
{
	if (q->cluster != NULL && strcmp(v->info->clusters[i->cluster].name, q->cluster) != 0)
		return false;
	if (q->healthy_given && q->healthy != ((i->flags & INSTANCE_HEALTHY) != 0))
		return false;
	return !q->enabled_given || q->enabled == ((i->flags & INSTANCE_ENABLED) != 0);
}

/* The array of those from @from to below @to; returns how many pass. */
static int64_t write_instances(struct text *t, const struct service_view *v, const struct instances *q, int64_t from, int64_t to)
{
	int64_t at = 0;
	json_open(t, '[');
	for (uint32_t n = 0; v != NULL && n < v->count; n++) {
		const struct instance *i = v->instances[n];
		if (!instance_passes(q, v, i))
			continue;
		if (at >= from && at < to)
			shape_instance(t, v->info, i, (i->flags & INSTANCE_HEALTHY) != 0);
		at++;
	}
	json_close(t, ']');
	return at;
}

/* The numbers of v3's Page. */
static void write_page_numbers(struct text *t, int64_t total, int64_t page, int64_t size)
{
	json_kv_i64(t, "totalCount", total);
	json_kv_i64(t, "pageNumber", page);
	json_kv_i64(t, "pagesAvailable", (total + size - 1) / size);
}

/* A page before the first one is the first; v1 has nothing on page 0, as the original. */
static void write_page(struct request *r, struct text *t, const struct service_view *v, const struct instances *q)
{
	int64_t from = q->page > 1 ? (q->page - 1) * q->size : 0, to = from + q->size;
	if (request_is_v1(r) && q->page == 0)
		to = 0;
	json_open(t, '{');
	json_key(t, request_is_v1(r) ? "list" : r->route->face == FACE_V3 ? "pageItems" : "instances");
	int64_t total = write_instances(t, v, q, from, to);
	if (r->route->face == FACE_V3)
		write_page_numbers(t, total, q->page, q->size);
	else
		json_kv_i64(t, "count", total);
	json_close(t, '}');
}

/* v3 has defaults, and refuses what is no page. */
static int read_paging_v3(struct request *r, int64_t *page, int64_t *size)
{
	int rc = param_int(&r->params, P_PAGE_NO, 1, INT32_MAX, 1, page, &r->err);
	if (rc == E_OK)
		rc = param_int(&r->params, P_PAGE_SIZE, 1, INT32_MAX, 100, size, &r->err);
	if (*size > PAGE_MAX)
		*size = PAGE_MAX; /* totalCount tells that there is more */
	return rc;
}

static int read_paging(struct request *r, int64_t least_size, int64_t *page, int64_t *size)
{
	const char *given;
	if (r->route->face == FACE_V3)
		return read_paging_v3(r, page, size);
	int rc = param_require(&r->params, P_PAGE_NO, &given, &r->err);
	if (rc == E_OK)
		rc = param_require(&r->params, P_PAGE_SIZE, &given, &r->err);
	if (rc == E_OK)
		rc = param_int(&r->params, P_PAGE_NO, INT32_MIN, INT32_MAX, 1, page, &r->err);
	if (rc == E_OK)
		rc = param_int(&r->params, P_PAGE_SIZE, least_size, INT32_MAX, 1, size, &r->err);
	if (*size > PAGE_MAX)
		*size = PAGE_MAX; /* count tells that there is more */
	return rc;
}

/* v1 names one cluster, which must be there; on v2 the filters mean what they say: false is not "do not care". */
static int read_instances(struct request *r, struct instances *q)
{
	const struct params *p = &r->params;
	int rc = E_OK;
	q->cluster = param_text(p, P_CLUSTER_NAME);
	if (request_is_v1(r))
		rc = param_require(p, P_CLUSTER_NAME, &q->cluster, &r->err);
	q->healthy_given = !request_is_v1(r) && param_text(p, P_HEALTHY_ONLY) != NULL;
	q->enabled_given = !request_is_v1(r) && param_text(p, P_ENABLED_ONLY) != NULL;
	q->healthy = param_bool(p, P_HEALTHY_ONLY, true);
	q->enabled = param_bool(p, P_ENABLED_ONLY, true);
	return rc == E_OK ? read_paging(r, 0, &q->page, &q->size) : rc;
}

static int cluster_missing(struct request *r, const struct service_key *key, const char *cluster)
{
	char part[SHOWN_MAX];
	return error_set(&r->err, E_NOTFOUND, "cluster %s is not found in service %s@@%s",
			 shown(part, cluster, strlen(cluster)), key->group, key->name);
}

static bool has_cluster(const struct service_view *v, const char *name)
{
	struct shown_clusters shown;
	clusters_shown(&shown, v);
	for (uint32_t i = 0; i < v->info->cluster_count; i++)
		if (strcmp(v->info->clusters[i].name, name) == 0)
			return cluster_shown(&shown, v->info, i);
	return false;
}

void api_catalog_instances(struct request *r)
{
	struct service_key key;
	struct instances q = { 0 };
	bool found;
	if (request_key(r, &key) < 0 || read_instances(r, &q) < 0) {
		reply_failure(r);
		return;
	}
	rcu_begin();
	const struct service_view *v = registry_view(request_registry(r), &key);
	found = !request_is_v1(r) || (v != NULL && has_cluster(v, q.cluster));
	if (found)
		write_page(r, answer_begin(r), v, &q);
	else if (v == NULL)
		missing(r, &key);
	rcu_end();
	if (found) {
		answer_end(r);
		return;
	}
	if (v != NULL)
		cluster_missing(r, &key, q.cluster);
	reply_failure(r);
}

/* v3's list for maintainers: one cluster, DEFAULT unless another is named, which must be there; disabled instances are
 * listed too, and health is what it is, without the protect rule. */
void api_admin_instances(struct request *r)
{
	struct service_key key;
	struct instances q = { .cluster = param_or(&r->params, P_CLUSTER_NAME, "DEFAULT") };
	if (request_key(r, &key) < 0) {
		reply_failure(r);
		return;
	}
	q.healthy_given = q.healthy = param_flag(&r->params, P_HEALTHY_ONLY, false);
	rcu_begin();
	const struct service_view *v = registry_view(request_registry(r), &key);
	bool found = v != NULL && has_cluster(v, q.cluster);
	if (found)
		write_instances(answer_begin(r), v, &q, 0, INT64_MAX);
	else if (v == NULL)
		missing(r, &key);
	else
		cluster_missing(r, &key, q.cluster);
	rcu_end();
	if (found)
		answer_end(r);
	else
		reply_failure(r);
}

/* ---- services. r->out collects "group NUL name NUL" of the first page, and behind @page_at of the wanted one. */

struct services {
	const char *ns, *service, *group; /* patterns, NULL: all */
	bool filled_only, with_instances;
	int64_t page, from, size, total;
	size_t page_at;
};

static void collect(struct request *r, const struct service_view *v)
{
	struct services *q = r->more;
	const struct service_key *key = &v->info->key;
	if ((q->filled_only && v->count == 0) || !pattern_found(q->group, key->group) || !pattern_found(q->service, key->name))
		return;
	int64_t at = q->total++;
	if (at >= q->size && (at < q->from || at >= q->from + q->size))
		return;
	text_put(&r->out, key->group, key->group_len + 1u);
	text_put(&r->out, key->name, key->name_len + 1u);
	if (at < q->size && at < q->from)
		q->page_at = r->out.len;
}

static void write_entry(struct request *r, struct text *t, const struct service_key *key)
{
	const struct services *q = r->more;
	rcu_begin();
	const struct service_view *v = registry_view(request_registry(r), key);
	if (v != NULL && q->with_instances && r->route->face == FACE_V3)
		shape_service_detail(t, v, DETAIL_V3_HOSTS);
	else if (v != NULL && q->with_instances)
		shape_catalog_detail(t, v);
	else if (v != NULL)
		shape_catalog_entry(t, v);
	rcu_end();
}

/* What stands before and behind the array of services: nothing on v1 with instances. */
static void open_services(struct request *r, struct text *t)
{
	const struct services *q = r->more;
	bool v3 = r->route->face == FACE_V3;
	if (q->with_instances && !v3)
		return;
	json_open(t, '{');
	if (v3)
		write_page_numbers(t, q->total, q->page, q->size);
	else
		json_kv_i64(t, "count", q->total);
	json_key(t, v3 ? "pageItems" : "serviceList");
}

static void close_services(struct request *r, struct text *t)
{
	const struct services *q = r->more;
	if (!q->with_instances || r->route->face == FACE_V3)
		json_close(t, '}');
}

/* Behind the first page, or where the wanted one begins. As the original: when everything fits into one page, every page of
 * v1 is that one. */
static size_t page_begin(const struct request *r)
{
	const struct services *q = r->more;
	if (r->route->face != FACE_V3)
		return q->total < q->size ? 0 : q->page_at;
	return q->from >= q->total ? r->out.len : q->page_at;
}

static void services_found(struct request *r)
{
	const struct services *q = r->more;
	if (r->err.code < 0) {
		reply_failure(r);
		return;
	}
	struct text *t = answer_begin(r);
	if (r->out.failed)
		t->failed = true;
	open_services(r, t);
	json_open(t, '[');
	const char *page = r->out.at + page_begin(r), *end = r->out.at + r->out.len;
	while (!r->out.failed && page < end && t->len < ANSWER_MAX) {
		struct service_key key = { .ns = q->ns, .group = page, .ns_len = (uint16_t)strlen(q->ns) };
		key.group_len = (uint16_t)strlen(page);
		key.name = page + key.group_len + 1;
		key.name_len = (uint16_t)strlen(key.name);
		page = key.name + key.name_len + 1;
		write_entry(r, t, &key);
	}
	json_close(t, ']');
	close_services(r, t);
	if (page < end && t->len >= ANSWER_MAX) {
		error_set(&r->err, E_LIMIT, "Param 'pageSize' is illegal, %lld services make over %d bytes: ask for fewer",
			  (long long)q->size, ANSWER_MAX);
		reply_failure(r);
		return;
	}
	answer_end(r);
}

static int read_services(struct request *r, struct services *q)
{
	const struct params *p = &r->params;
	q->page = 1;
	q->ns = param_or(p, P_NAMESPACE_ID, "public");
	q->service = param_text(p, P_SERVICE_NAME_PARAM);
	q->group = param_text(p, P_GROUP_NAME_PARAM);
	q->filled_only = param_bool(p, r->route->face == FACE_V3 ? P_IGNORE_EMPTY : P_HAS_IP_COUNT, false);
	q->with_instances = param_bool(p, P_WITH_INSTANCES, false);
	int rc = name_check_namespace(q->ns, strlen(q->ns), &r->err);
	if (rc == E_OK && q->service != NULL)
		rc = pattern_check(q->service, param_name(P_SERVICE_NAME_PARAM), &r->err);
	if (rc == E_OK && q->group != NULL)
		rc = pattern_check(q->group, param_name(P_GROUP_NAME_PARAM), &r->err);
	if (rc == E_OK)
		rc = read_paging(r, INT32_MIN, &q->page, &q->size);
	if (q->size < 1)
		q->size = 1; /* as the original, which looks whether the page is full after it has put one in */
	q->from = q->page > 1 ? (q->page - 1) * q->size : 0;
	return rc;
}

void api_catalog_services(struct request *r)
{
	struct services *q = arena_zalloc(&r->call->arena, sizeof(*q));
	r->more = q;
	if (q == NULL)
		error_set(&r->err, E_NOMEM, "no memory for the list");
	if (q == NULL || read_services(r, q) < 0)
		reply_failure(r);
	else
		request_walk(r, q->ns, NULL, collect, services_found);
}

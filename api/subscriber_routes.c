/* subscriber_routes.c - who subscribes, over HTTP: subscribers of a service, subscriptions of a client (nacos-naming
 * 2.3, 3.5, 4.3). They are seen on every I/O thread; order and pages are made here. */
#include "api/clients.h"
#include "api/handlers.h"
#include "api/io.h"
#include "api/shapes.h"
#include "api/subscriber.h"
#include <string.h>

enum { PAGE_MAX = 10000, PAGE_V1 = 1000, PAGE_V3 = 100 };

struct subscriber_query {
	struct address_query wanted;
	const char *client;
	int64_t page, size;
};

static void fail(struct request *r)
{
	error_set(&r->err, E_NOMEM, "no memory for the list of subscribers");
	reply_failure(r);
}

/* What the threads have seen, sorted; NULL: that was answered. */
static struct subscriber *sorted(struct request *r, size_t *count)
{
	struct subscriber *list;
	*count = subscribers_sort(&list, &r->call->arena, &r->out);
	if (list == NULL)
		fail(r);
	return list;
}

static void write_grouped(struct text *t, const char *member, const struct service_key *key)
{
	json_key(t, member);
	shape_grouped(t, key);
}

/* ---- of a service, in pages */

static void write_v1(struct text *t, const struct subscriber *s)
{
	char address[SHOWN_MAX];
	snprintf(address, sizeof(address), "%s:%u", s->ip, s->port);
	json_open(t, '{');
	json_kv_str(t, "addrStr", address);
	json_kv_str(t, "agent", s->agent);
	json_kv_str(t, "app", s->app);
	json_kv_str(t, "ip", s->ip);
	json_kv_i64(t, "port", s->port);
	json_kv_str(t, "namespaceId", s->key.ns);
	write_grouped(t, "serviceName", &s->key);
	json_kv_str(t, "cluster", s->clusters);
	json_close(t, '}');
}

static void write_v3(struct text *t, const struct subscriber *s)
{
	json_open(t, '{');
	json_kv_str(t, "namespaceId", s->key.ns);
	json_kv_str(t, "groupName", s->key.group);
	json_kv_str(t, "serviceName", s->key.name);
	json_kv_str(t, "ip", s->ip);
	json_kv_i64(t, "port", s->port);
	json_kv_str(t, "agent", s->agent);
	json_kv_str(t, "appName", s->app);
	json_close(t, '}');
}

static void page_found(struct request *r)
{
	const struct subscriber_query *q = r->more;
	bool v1 = request_is_v1(r);
	size_t n;
	struct subscriber *list = sorted(r, &n);
	if (list == NULL)
		return;
	size_t from = (size_t)((q->page - 1) * q->size), to = from + (size_t)q->size;
	struct text *t = answer_begin(r);
	json_open(t, '{');
	if (!v1) {
		json_kv_i64(t, "totalCount", (int64_t)n);
		json_kv_i64(t, "pageNumber", q->page);
		json_kv_i64(t, "pagesAvailable", ((int64_t)n + q->size - 1) / q->size);
	}
	json_key(t, v1 ? "subscribers" : "pageItems");
	json_open(t, '[');
	for (size_t i = from; i < n && i < to; i++)
		(v1 ? write_v1 : write_v3)(t, &list[i]);
	json_close(t, ']');
	if (v1)
		json_kv_i64(t, "count", (int64_t)n);
	json_close(t, '}');
	answer_end(r);
}

static void see_service(const struct request *r, struct io *io, struct text *to)
{
	const struct subscriber_query *q = r->more;
	subscribers_of_service(io, &q->wanted.key, to);
}

static struct subscriber_query *query_new(struct request *r)
{
	r->more = arena_zalloc(&r->call->arena, sizeof(struct subscriber_query));
	if (r->more == NULL)
		fail(r);
	return r->more;
}

void api_service_subscribers(struct request *r)
{
	struct subscriber_query *q = query_new(r);
	if (q == NULL)
		return;
	if (request_key(r, &q->wanted.key) < 0 || param_int(&r->params, P_PAGE_NO, INT32_MIN, INT32_MAX, 1, &q->page, &r->err) < 0 ||
	    param_int(&r->params, P_PAGE_SIZE, 0, INT32_MAX, request_is_v1(r) ? PAGE_V1 : PAGE_V3, &q->size, &r->err) < 0) {
		reply_failure(r);
		return;
	}
	if (q->page < 1)
		q->page = 1;
	if (q->size < 1)
		q->size = 1;
	if (q->size > PAGE_MAX)
		q->size = PAGE_MAX; /* the count tells that there is more */
	request_tour(r, see_service, page_found);
}

/* ---- of a service, as clients */

static void write_client(struct text *t, const struct subscriber *s, bool v3)
{
	char address[SHOWN_MAX];
	json_open(t, '{');
	json_kv_str(t, "clientId", s->client);
	if (v3) {
		snprintf(address, sizeof(address), "%s:%u", s->ip, s->port);
		json_kv_str(t, "appName", s->app);
		json_kv_str(t, "agent", s->agent);
		json_kv_str(t, "address", address);
	} else {
		json_kv_str(t, "ip", s->ip);
		json_kv_i64(t, "port", s->port);
	}
	json_close(t, '}');
}

static void clients_found(struct request *r)
{
	const struct subscriber_query *q = r->more;
	size_t n;
	struct subscriber *list = sorted(r, &n);
	if (list == NULL)
		return;
	struct text *t = answer_begin(r);
	json_open(t, '[');
	for (size_t i = 0; i < n; i++)
		if (address_wanted(&q->wanted, list[i].ip, list[i].port))
			write_client(t, &list[i], r->route->face == FACE_V3);
	json_close(t, ']');
	answer_end(r);
}

void api_service_subscriber_list(struct request *r)
{
	struct subscriber_query *q = query_new(r);
	if (q == NULL)
		return;
	if (request_address(r, &q->wanted) < 0)
		reply_failure(r);
	else
		request_tour(r, see_service, clients_found);
}

/* ---- of a client */

static void write_subscription(struct text *t, const struct subscriber *s, bool v3)
{
	char address[SHOWN_MAX];
	snprintf(address, sizeof(address), "%s:%u", s->ip, s->port);
	json_open(t, '{');
	json_kv_str(t, v3 ? "namespaceId" : "namespace", s->key.ns);
	json_kv_str(t, v3 ? "groupName" : "group", s->key.group);
	json_kv_str(t, "serviceName", s->key.name);
	json_key(t, "subscriberInfo");
	json_open(t, '{');
	if (v3)
		json_kv_str(t, "clientId", s->client);
	json_kv_str(t, v3 ? "appName" : "app", s->app);
	json_kv_str(t, "agent", s->agent);
	json_kv_str(t, v3 ? "address" : "addr", address);
	json_close(t, '}');
	json_close(t, '}');
}

static void see_client(const struct request *r, struct io *io, struct text *to)
{
	const struct subscriber_query *q = r->more;
	subscriptions_of_client(io, q->client, to);
}

static void subscriptions_found(struct request *r)
{
	const struct subscriber_query *q = r->more;
	size_t n;
	struct subscriber *list = sorted(r, &n);
	if (list == NULL)
		return;
	if (n == 0) { /* perhaps there is no such client */
		client_answer_empty(r, q->client);
		return;
	}
	struct text *t = answer_begin(r);
	json_open(t, '[');
	for (size_t i = 0; i < n; i++)
		write_subscription(t, &list[i], r->route->face == FACE_V3);
	json_close(t, ']');
	answer_end(r);
}

void api_client_subscribed(struct request *r)
{
	struct subscriber_query *q = query_new(r);
	if (q == NULL)
		return;
	if (param_require(&r->params, P_CLIENT_ID, &q->client, &r->err) < 0)
		reply_failure(r);
	else
		request_tour(r, see_client, subscriptions_found);
}

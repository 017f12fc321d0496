/* connections.c - who is connected, and who subscribes to a service with what was pushed to whom: our own lists, in
 * pages, for operators. */
#include "api/handlers.h"
#include "api/io.h"
#include "api/subscriber.h"
#include <stdlib.h>
#include <string.h>

enum { PAGE = 1000, PAGE_MAX = 10000 };

struct page {
	struct service_key key;
	int64_t number, size;
};

static const char *transport(enum client_kind kind)
{
	return kind == CLIENT_GRPC ? "gRPC" : "UDP";
}

void subscriber_shape(struct text *t, const struct subscriber *s, uint64_t number)
{
	json_open(t, '{');
	json_kv_str(t, "client", s->client);
	json_kv_str(t, "transport", transport(s->kind));
	json_kv_str(t, "ip", s->ip);
	json_kv_i64(t, "port", s->port);
	json_kv_str(t, "version", s->agent);
	json_kv_str(t, "app", s->app);
	json_kv_str(t, "clusters", s->clusters);
	json_kv_bool(t, "upToDate", s->told >= number);
	json_kv_i64(t, "acknowledgedNumber", (int64_t)s->told);
	json_kv_i64(t, "currentNumber", (int64_t)number);
	json_kv_i64(t, "sentNumber", (int64_t)s->sent);
	json_kv_bool(t, "pending", s->pending);
	json_kv_i64(t, "lagMs", s->pending_ms);
	json_kv_i64(t, "sent", (int64_t)s->pushes);
	json_kv_i64(t, "acknowledged", (int64_t)s->acks);
	json_kv_i64(t, "retries", (int64_t)s->retries);
	json_kv_i64(t, "subscribedForMs", s->age_ms);
	json_close(t, '}');
}

void subscribers_total(struct text *t, const struct subscriber *list, size_t count, uint64_t number)
{
	uint64_t current = 0, pending = 0, sent = 0, acknowledged = 0, retries = 0;
	int64_t lag_ms = 0;
	for (size_t i = 0; i < count; i++) {
		current += list[i].told >= number;
		pending += list[i].pending;
		sent += list[i].pushes;
		acknowledged += list[i].acks;
		retries += list[i].retries;
		if (list[i].pending_ms > lag_ms)
			lag_ms = list[i].pending_ms;
	}
	json_kv_i64(t, "count", (int64_t)count);
	json_kv_i64(t, "currentNumber", (int64_t)number);
	json_kv_i64(t, "upToDate", (int64_t)current);
	json_kv_i64(t, "pending", (int64_t)pending);
	json_kv_i64(t, "lagMs", lag_ms);
	json_kv_i64(t, "sent", (int64_t)sent);
	json_kv_i64(t, "acknowledged", (int64_t)acknowledged);
	json_kv_i64(t, "retries", (int64_t)retries);
}

static struct page *page_read(struct request *r)
{
	struct page *p = arena_zalloc(&r->call->arena, sizeof(*p));
	r->more = p;
	if (p == NULL) {
		error_set(&r->err, E_NOMEM, "no memory for the list");
		return NULL;
	}
	if (param_int(&r->params, P_PAGE_NO, 1, INT32_MAX, 1, &p->number, &r->err) < 0 ||
	    param_int(&r->params, P_PAGE_SIZE, 1, PAGE_MAX, PAGE, &p->size, &r->err) < 0)
		return NULL;
	return p;
}

static void list_failed(struct request *r)
{
	error_set(&r->err, E_NOMEM, "no memory for the list");
	reply_failure(r);
}

/* ---- subscribers of a service */

static void see_subscribers(const struct request *r, struct io *io, struct text *to)
{
	subscribers_of_service(io, &((const struct page *)r->more)->key, to);
}

static void subscribers_seen(struct request *r)
{
	const struct page *p = r->more;
	struct subscriber *list;
	size_t n = subscribers_sort(&list, &r->call->arena, &r->out);
	size_t from = (size_t)((p->number - 1) * p->size), to = from + (size_t)p->size;
	if (list == NULL) {
		list_failed(r);
		return;
	}
	rcu_begin();
	const struct service_view *v = registry_view(request_registry(r), &p->key);
	bool exists = v != NULL;
	uint64_t number = exists ? v->number : 0;
	rcu_end();
	struct text *t = answer_begin_bare(r);
	json_open(t, '{');
	json_kv_str(t, "namespaceId", p->key.ns);
	json_kv_str(t, "groupName", p->key.group);
	json_kv_str(t, "serviceName", p->key.name);
	json_kv_bool(t, "exists", exists);
	subscribers_total(t, list, n, number);
	json_key(t, "subscribers");
	json_open(t, '[');
	for (size_t i = from; i < n && i < to; i++)
		subscriber_shape(t, &list[i], number);
	json_close(t, ']');
	json_close(t, '}');
	answer_end_bare(r);
}

void api_native_subscribers(struct request *r)
{
	struct page *p = page_read(r);
	if (p == NULL || request_key(r, &p->key) < 0)
		reply_failure(r);
	else
		request_tour(r, see_subscribers, subscribers_seen);
}

/* ---- connections */

static void see_connections(const struct request *r, struct io *io, struct text *to)
{
	(void)r;
	clients_seen(io, NULL, to);
}

static const char *state_of(const struct client *c)
{
	if (c->kind == CLIENT_UDP)
		return "pushed to";
	if (!c->connected)
		return c->claimed ? "closed, its client is back" : "closed, in grace";
	if (!c->set_up)
		return "not set up";
	return c->asked ? "silent, asked" : "connected";
}

static void client_shape(struct text *t, const struct client *c)
{
	json_open(t, '{');
	json_kv_str(t, "client", c->id);
	json_kv_str(t, "transport", transport(c->kind));
	json_kv_str(t, "state", state_of(c));
	json_kv_str(t, "ip", c->ip);
	json_kv_i64(t, "port", c->port);
	json_kv_str(t, "version", c->agent);
	json_kv_str(t, "app", c->app);
	json_kv_i64(t, "ageMs", c->age_ms);
	json_kv_i64(t, "silentMs", c->silent_ms);
	json_kv_i64(t, "services", (int64_t)c->services);
	json_kv_i64(t, "subscriptions", (int64_t)c->subscriptions);
	json_kv_i64(t, "pending", (int64_t)c->pending);
	json_close(t, '}');
}

/* The oldest first; ids of two clients differ. */
static int compare_age(const void *a, const void *b)
{
	const struct client *x = a, *y = b;
	if (x->age_ms != y->age_ms)
		return x->age_ms > y->age_ms ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void connections_seen(struct request *r)
{
	const struct page *p = r->more;
	struct client *list;
	size_t n = clients_sort(&list, &r->call->arena, &r->out);
	size_t from = (size_t)((p->number - 1) * p->size), to = from + (size_t)p->size;
	if (list == NULL) {
		list_failed(r);
		return;
	}
	qsort(list, n, sizeof(*list), compare_age);
	struct text *t = answer_begin_bare(r);
	json_open(t, '{');
	json_kv_i64(t, "count", (int64_t)n);
	json_key(t, "connections");
	json_open(t, '[');
	for (size_t i = from; i < n && i < to; i++)
		client_shape(t, &list[i]);
	json_close(t, ']');
	json_close(t, '}');
	answer_end_bare(r);
}

void api_native_connections(struct request *r)
{
	if (page_read(r) == NULL)
		reply_failure(r);
	else
		request_tour(r, see_connections, connections_seen);
}

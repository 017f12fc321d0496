/* clients.c - clients over HTTP: list, one of them, what it publishes, who publishes a service (nacos-naming 3.5);
 * see clients.h. Connections will be clients too; subscriptions come with them. */
#include "api/clients.h"
#include "api/handlers.h"
#include "api/io.h"
#include "api/shapes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "registry/failure.h"
#include <stdlib.h>
#include <string.h>

void client_set_done(struct client_set *s)
{
	mem_free(s->slots);
	s->slots = NULL;
}

static size_t slot_of(const struct client_set *s, uint64_t hash)
{
	size_t at = (size_t)hash & (s->cap - 1);
	while (s->slots[at] != 0 && s->slots[at] != hash)
		at = (at + 1) & (s->cap - 1);
	return at;
}

static bool grow(struct client_set *s)
{
	struct client_set larger = { .cap = s->cap == 0 ? 1024 : s->cap * 2 };
	larger.slots = mem_zalloc(larger.cap, sizeof(*larger.slots));
	if (larger.slots == NULL)
		return false;
	for (size_t i = 0; i < s->cap; i++)
		if (s->slots[i] != 0)
			larger.slots[slot_of(&larger, s->slots[i])] = s->slots[i];
	mem_free(s->slots);
	s->slots = larger.slots;
	s->cap = larger.cap;
	return true;
}

bool client_set_add(struct client_set *s, const struct instance *i)
{
	bool ephemeral = (i->flags & INSTANCE_EPHEMERAL) != 0;
	uint8_t rest[3] = { (uint8_t)(i->port >> 8), (uint8_t)i->port, ephemeral };
	uint64_t hash = hash_more(hash_bytes(instance_ip(i), i->ip_len), rest, sizeof(rest));
	if (s->failed)
		return false;
	if ((s->ephemeral + s->persistent) * 2 >= s->cap && !grow(s)) {
		s->failed = true;
		return false;
	}
	if (hash == 0)
		hash = 1;
	size_t at = slot_of(s, hash);
	if (s->slots[at] != 0)
		return false;
	s->slots[at] = hash;
	s->ephemeral += ephemeral;
	s->persistent += !ephemeral;
	return true;
}

static void add_id(struct text *t, const char *ip, unsigned port, bool ephemeral)
{
	char id[192];
	snprintf(id, sizeof(id), "%s:%u#%s", ip, port, ephemeral ? "true" : "false");
	json_str(t, id);
}

static void answer_found(struct request *r)
{
	struct text *t = answer_begin(r);
	if (r->out.failed)
		t->failed = true;
	json_raw(t, r->out.at, r->out.len);
	answer_end(r);
}

/* ---- list */

static void add_clients(struct request *r, const struct service_view *v)
{
	struct client_set *s = r->more;
	for (uint32_t n = 0; n < v->count; n++) {
		const struct instance *i = v->instances[n];
		if (client_set_add(s, i))
			add_id(&r->out, instance_ip(i), i->port, (i->flags & INSTANCE_EPHEMERAL) != 0);
	}
}

static void clients_found(struct request *r)
{
	struct client_set *s = r->more;
	if (s->failed)
		error_set(&r->err, E_NOMEM, "no memory for the list of clients");
	client_set_done(s);
	json_close(&r->out, ']');
	if (r->err.code < 0)
		reply_failure(r);
	else
		answer_found(r);
}

void api_client_list(struct request *r)
{
	r->more = arena_zalloc(&r->call->arena, sizeof(struct client_set));
	if (r->more == NULL) {
		error_set(&r->err, E_NOMEM, "no memory for the list of clients");
		reply_failure(r);
		return;
	}
	json_open(&r->out, '[');
	request_walk(r, NULL, NULL, add_clients, clients_found);
}

/* ---- one client: "ip:port#true" */

struct client_query {
	const char *id;
	char *ip;
	size_t ip_len;
	uint16_t port;
	bool ephemeral, publishes;
	bool found;
	int64_t updated_ms;
};

/* false: an id that nobody can have; it is not there then. */
static bool parse_id(struct client_query *q, struct arena *mem)
{
	q->ip = arena_strdup(mem, q->id);
	char *sharp = q->ip != NULL ? strrchr(q->ip, '#') : NULL;
	if (sharp == NULL || (strcmp(sharp, "#true") != 0 && strcmp(sharp, "#false") != 0))
		return false;
	q->ephemeral = sharp[1] == 't';
	*sharp = '\0';
	char *colon = strrchr(q->ip, ':'), *end;
	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return false;
	unsigned long port = strtoul(colon + 1, &end, 10);
	*colon = '\0';
	q->ip_len = strlen(q->ip);
	q->port = (uint16_t)port;
	return *end == '\0' && port <= 65535 && q->ip_len > 0;
}

static void write_published(struct request *r, const struct service_view *v, const struct instance *i)
{
	struct text *t = &r->out;
	json_open(t, '{');
	json_kv_str(t, "namespace", v->info->key.ns);
	json_kv_str(t, "group", v->info->key.group);
	json_kv_str(t, "serviceName", v->info->key.name);
	json_key(t, "registeredInstance");
	json_open(t, '{');
	json_key(t, "ip");
	json_strn(t, instance_ip(i), i->ip_len);
	json_kv_i64(t, "port", i->port);
	json_kv_str(t, "cluster", v->info->clusters[i->cluster].name);
	json_close(t, '}');
	json_close(t, '}');
}

/* Of an ephemeral one the last beat by the wall clock, of a persistent one its registration. */
static int64_t updated_ms(const struct instance *i)
{
	if (!(i->flags & INSTANCE_EPHEMERAL))
		return i->registered_ms;
	return clock_wall_ms() - (clock_ms() - atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed));
}

static void look_for_client(struct request *r, const struct service_view *v)
{
	struct client_query *q = r->more;
	const struct instance *i;
	uint32_t at = 0;
	if (v->info->ephemeral != q->ephemeral)
		return;
	while ((i = view_find(v, q->ip, q->ip_len, q->port, &at)) != NULL) {
		q->found = true;
		if (updated_ms(i) > q->updated_ms)
			q->updated_ms = updated_ms(i);
		if (q->publishes)
			write_published(r, v, i);
	}
}

static void client_missing(struct request *r)
{
	const struct client_query *q = r->more;
	char part[SHOWN_MAX];
	error_set_what(&r->err, E_NOTFOUND, FAIL_INSTANCE_MISSING, "clientId [ %s ] not exist",
		       shown(part, q->id, strlen(q->id)));
	reply_failure(r);
}

static void client_found(struct request *r)
{
	const struct client_query *q = r->more;
	char port[8];
	if (r->err.code < 0) {
		reply_failure(r);
		return;
	}
	if (!q->found) {
		client_missing(r);
		return;
	}
	if (q->publishes) {
		json_close(&r->out, ']');
		answer_found(r);
		return;
	}
	struct text *t = answer_begin(r);
	json_open(t, '{');
	json_kv_str(t, "clientId", q->id);
	json_kv_bool(t, "ephemeral", q->ephemeral);
	json_kv_i64(t, "lastUpdatedTime", q->updated_ms);
	json_kv_str(t, "clientType", "ipPort");
	json_kv_str(t, "clientIp", q->ip);
	snprintf(port, sizeof(port), "%u", q->port);
	json_kv_str(t, "clientPort", port);
	json_close(t, '}');
	answer_end(r);
}

static void find_client(struct request *r, bool publishes)
{
	struct client_query *q = arena_zalloc(&r->call->arena, sizeof(*q));
	r->more = q;
	if (q == NULL)
		error_set(&r->err, E_NOMEM, "no memory for the client");
	if (q == NULL || param_require(&r->params, P_CLIENT_ID, &q->id, &r->err) < 0) {
		reply_failure(r);
		return;
	}
	if (!parse_id(q, &r->call->arena)) {
		client_missing(r);
		return;
	}
	q->publishes = publishes;
	if (publishes)
		json_open(&r->out, '[');
	request_walk(r, NULL, NULL, look_for_client, client_found);
}

void api_client_detail(struct request *r)
{
	find_client(r, false);
}

void api_client_published(struct request *r)
{
	find_client(r, true);
}

/* ---- who publishes a service; without an address all do (the original finds none then) */

void api_service_publishers(struct request *r)
{
	struct service_key key;
	uint16_t port = 0;
	bool by_port = param_text(&r->params, P_PORT) != NULL;
	const char *ip = param_text(&r->params, P_IP);
	if (request_key(r, &key) < 0 || (by_port && param_port(&r->params, P_PORT, &port, &r->err) < 0)) {
		reply_failure(r);
		return;
	}
	struct text *t = answer_begin(r);
	json_open(t, '[');
	rcu_begin();
	const struct service_view *v = registry_view(request_registry(r), &key);
	for (uint32_t n = 0; v != NULL && n < v->count; n++) {
		const struct instance *i = v->instances[n];
		if ((ip != NULL && strcmp(ip, instance_ip(i)) != 0) || (by_port && port != i->port))
			continue;
		json_open(t, '{');
		json_key(t, "ip");
		json_strn(t, instance_ip(i), i->ip_len);
		json_kv_i64(t, "port", i->port);
		json_kv_str(t, "cluster", v->info->clusters[i->cluster].name);
		json_key(t, "clientId");
		add_id(t, instance_ip(i), i->port, (i->flags & INSTANCE_EPHEMERAL) != 0);
		json_close(t, '}');
	}
	rcu_end();
	json_close(t, ']');
	answer_end(r);
}

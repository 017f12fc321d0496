/* clients.c - clients as Nacos has them: list, one of them, what it publishes, who publishes a service (nacos-naming
 * 3.5, 4.3); see clients.h. Whoever has a connection, or is pushed to, is known to its I/O thread; who only registers
 * over HTTP is found by walking the services. */
#include "api/clients.h"
#include "api/handlers.h"
#include "api/io.h"
#include "api/shapes.h"
#include "api/subscriber.h"
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
	if (s->failed || instance_is_held(i)) /* its client is a connection */
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

static void clients_walked(struct request *r)
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

static void see_all(const struct request *r, struct io *io, struct text *to)
{
	(void)r;
	clients_seen(io, NULL, to);
}

static void all_seen(struct request *r)
{
	struct text rows = r->out;
	struct client c;
	text_init(&r->out);
	json_open(&r->out, '[');
	for (const char *at = rows.at; at < rows.at + rows.len;) {
		at = client_read(&c, at);
		if (c.connected && c.set_up)
			json_str(&r->out, c.id);
	}
	r->out.failed = r->out.failed || rows.failed;
	text_done(&rows);
	request_walk(r, NULL, NULL, add_clients, clients_walked);
}

void api_client_list(struct request *r)
{
	r->more = arena_zalloc(&r->call->arena, sizeof(struct client_set));
	if (r->more == NULL) {
		error_set(&r->err, E_NOMEM, "no memory for the list of clients");
		reply_failure(r);
		return;
	}
	request_tour(r, see_all, all_seen);
}

/* ---- one client: the id of a connection, or "ip:port#true" */

enum wanted { WANTED_DETAIL, WANTED_PUBLISHED, WANTED_NOTHING /* but whether there is such a client */ };

struct client_query {
	enum wanted wanted;
	const char *id;
	char *ip;
	size_t ip_len;
	uint16_t port;
	bool ephemeral;
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

struct published {
	const struct request *r;
	struct text *to;
};

static void write_published(void *arg, const struct service_key *key, const char *ip, uint16_t port, const char *cluster)
{
	const struct published *p = arg;
	const struct client_query *q = p->r->more;
	struct text *t = p->to;
	bool v3 = p->r->route->face == FACE_V3;
	json_open(t, '{');
	json_kv_str(t, v3 ? "namespaceId" : "namespace", key->ns);
	json_kv_str(t, v3 ? "groupName" : "group", key->group);
	json_kv_str(t, "serviceName", key->name);
	json_key(t, v3 ? "publisherInfo" : "registeredInstance");
	json_open(t, '{');
	if (v3)
		json_kv_str(t, "clientId", q->id);
	json_kv_str(t, "ip", ip);
	json_kv_i64(t, "port", port);
	json_kv_str(t, v3 ? "clusterName" : "cluster", cluster);
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
	struct published to = { r, &r->out };
	const struct instance *i;
	uint32_t at = 0;
	if (v->info->ephemeral != q->ephemeral)
		return;
	while ((i = view_find(v, q->ip, q->ip_len, q->port, &at)) != NULL) {
		if (instance_is_held(i))
			continue;
		q->found = true;
		if (updated_ms(i) > q->updated_ms)
			q->updated_ms = updated_ms(i);
		if (q->wanted == WANTED_PUBLISHED)
			write_published(&to, &v->info->key, instance_ip(i), i->port, v->info->clusters[i->cluster].name);
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

static void write_detail(struct request *r, const struct client *c, const struct client_query *q)
{
	struct text *t = answer_begin(r);
	char port[8];
	json_open(t, '{');
	json_kv_str(t, "clientId", q->id);
	json_kv_bool(t, "ephemeral", c != NULL || q->ephemeral);
	json_kv_i64(t, "lastUpdatedTime", c != NULL ? clock_wall_ms() - c->silent_ms : q->updated_ms);
	json_kv_str(t, "clientType", c != NULL && c->kind == CLIENT_GRPC ? "connection" : "ipPort");
	if (c != NULL && c->kind == CLIENT_GRPC)
		json_kv_str(t, "connectType", "GRPC");
	if (c != NULL) {
		json_kv_str(t, "appName", c->app);
		json_kv_str(t, "version", c->agent);
	}
	json_kv_str(t, "clientIp", c != NULL ? c->ip : q->ip);
	snprintf(port, sizeof(port), "%u", c != NULL ? c->port : q->port);
	json_kv_str(t, "clientPort", port);
	json_close(t, '}');
	answer_end(r);
}

static void client_walked(struct request *r)
{
	const struct client_query *q = r->more;
	if (r->err.code < 0) {
		reply_failure(r);
	} else if (!q->found) {
		client_missing(r);
	} else if (q->wanted == WANTED_DETAIL) {
		write_detail(r, NULL, q);
	} else {
		json_close(&r->out, ']');
		answer_found(r);
	}
}

/* Its row, and behind it, when that is wanted, what it publishes. */
static void see_client(const struct request *r, struct io *io, struct text *to)
{
	const struct client_query *q = r->more;
	struct published published = { r, to };
	clients_seen(io, q->id, to);
	if (to->len == 0 || q->wanted != WANTED_PUBLISHED)
		return;
	text_char(to, '[');
	session_each_published(io, q->id, write_published, &published);
	json_close(to, ']');
}

static void client_seen(struct request *r)
{
	struct client_query *q = r->more;
	struct client c;
	if (r->out.len == 0 && !r->out.failed) { /* it has no connection */
		if (!parse_id(q, &r->call->arena)) {
			client_missing(r);
			return;
		}
		json_open(&r->out, '[');
		request_walk(r, NULL, NULL, look_for_client, client_walked);
		return;
	}
	if (r->out.failed) {
		error_set(&r->err, E_NOMEM, "no memory for the client");
		reply_failure(r);
		return;
	}
	const char *behind = client_read(&c, r->out.at);
	if (q->wanted == WANTED_DETAIL) {
		write_detail(r, &c, q);
		return;
	}
	struct text *t = answer_begin(r);
	if (q->wanted == WANTED_PUBLISHED)
		json_raw(t, behind, (size_t)(r->out.at + r->out.len - behind));
	else
		json_raw(t, "[]", 2);
	answer_end(r);
}

static void find_client(struct request *r, const char *id, enum wanted wanted)
{
	struct client_query *q = arena_zalloc(&r->call->arena, sizeof(*q));
	r->more = q;
	if (q == NULL) {
		error_set(&r->err, E_NOMEM, "no memory for the client");
		reply_failure(r);
		return;
	}
	q->id = id;
	q->wanted = wanted;
	request_tour(r, see_client, client_seen);
}

static void find_named(struct request *r, enum wanted wanted)
{
	const char *id;
	if (param_require(&r->params, P_CLIENT_ID, &id, &r->err) < 0)
		reply_failure(r);
	else
		find_client(r, id, wanted);
}

void api_client_detail(struct request *r)
{
	find_named(r, WANTED_DETAIL);
}

void api_client_published(struct request *r)
{
	find_named(r, WANTED_PUBLISHED);
}

void client_answer_empty(struct request *r, const char *id)
{
	find_client(r, id, WANTED_NOTHING);
}

/* ---- who publishes a service; without an address all do (the original finds none then) */

struct publisher {
	uint64_t number; /* instance.publisher; 0: no connection's */
	uint16_t port;
	bool ephemeral;
	const char *ip, *cluster; /* behind it */
};

struct publisher_query {
	struct address_query wanted;
	bool held;
	const char *rows; /* struct publisher with its texts */
	size_t rows_len;
	struct client *clients;
	size_t client_count;
};

/* On the control thread, which knows whose an instance is. */
static int read_publishers(struct registry *reg, void *arg, struct error *err)
{
	struct request *r = arg;
	struct publisher_query *q = r->more;
	(void)err;
	rcu_begin();
	const struct service_view *v = registry_view(reg, &q->wanted.key);
	for (uint32_t n = 0; v != NULL && n < v->count; n++) {
		const struct instance *i = v->instances[n];
		if (!address_wanted(&q->wanted, instance_ip(i), i->port))
			continue;
		struct publisher p = { .number = instance_is_held(i) ? i->publisher : 0,
				       .port = i->port,
				       .ephemeral = (i->flags & INSTANCE_EPHEMERAL) != 0 };
		const char *cluster = v->info->clusters[i->cluster].name;
		q->held = q->held || p.number != 0;
		text_put(&r->out, &p, sizeof(p));
		text_put(&r->out, instance_ip(i), i->ip_len + 1u);
		text_put(&r->out, cluster, strlen(cluster) + 1);
	}
	rcu_end();
	return E_OK;
}

static void write_publisher(struct request *r, struct text *t, const struct publisher *p)
{
	const struct publisher_query *q = r->more;
	const struct client *c = p->number != 0 ? client_of(q->clients, q->client_count, p->number) : NULL;
	if (p->number != 0 && c == NULL)
		return; /* its connection ended meanwhile */
	json_open(t, '{');
	json_kv_str(t, "ip", p->ip);
	json_kv_i64(t, "port", p->port);
	json_kv_str(t, r->route->face == FACE_V3 ? "clusterName" : "cluster", p->cluster);
	json_key(t, "clientId");
	if (c != NULL)
		json_str(t, c->id);
	else
		add_id(t, p->ip, p->port, p->ephemeral);
	json_close(t, '}');
}

static void publishers_found(struct request *r)
{
	struct publisher_query *q = r->more;
	struct text *t = answer_begin(r);
	q->client_count = clients_sort(&q->clients, &r->call->arena, &r->out);
	t->failed = t->failed || q->clients == NULL;
	json_open(t, '[');
	for (const char *at = q->rows; at < q->rows + q->rows_len;) {
		struct publisher p;
		memcpy(&p, at, sizeof(p));
		p.ip = at + sizeof(p);
		p.cluster = p.ip + strlen(p.ip) + 1;
		at = p.cluster + strlen(p.cluster) + 1;
		write_publisher(r, t, &p);
	}
	json_close(t, ']');
	answer_end(r);
}

static void see_publishers(const struct request *r, struct io *io, struct text *to)
{
	session_each_publisher(io, &((const struct publisher_query *)r->more)->wanted.key, to);
}

static void publishers_read(struct request *r)
{
	struct publisher_query *q = r->more;
	q->rows_len = r->out.len;
	q->rows = r->out.failed ? NULL : arena_memdup0(&r->call->arena, r->out.at, r->out.len);
	if (q->rows == NULL) {
		error_set(&r->err, E_NOMEM, "no memory for the list of publishers");
		reply_failure(r);
		return;
	}
	text_clear(&r->out);
	if (q->held)
		request_tour(r, see_publishers, publishers_found);
	else
		publishers_found(r);
}

void api_service_publishers(struct request *r)
{
	struct publisher_query *q = arena_zalloc(&r->call->arena, sizeof(*q));
	r->more = q;
	if (q == NULL) {
		error_set(&r->err, E_NOMEM, "no memory for the list of publishers");
		reply_failure(r);
		return;
	}
	if (request_address(r, &q->wanted) < 0)
		reply_failure(r);
	else
		request_call(r, read_publishers, publishers_read);
}

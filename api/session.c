/* session.c - see session.h.
 *
 * Happy path: connection > ServerCheckRequest > stream > ConnectionSetupRequest (set up) > requests > the
 * connection closes > grace (its ports are asked: knocking.h) > what is still its own is deregistered > freed. A client
 * that says nothing for idle_ms is asked (ClientDetectionRequest); without any answer its connection is closed and there
 * is no grace, since it was silent for longer. What a newer connection has registered again meanwhile is no longer its own:
 * the registry leaves that alone. */
#include "api/session.h"

#include "api/io.h"
#include "api/knocking.h"
#include "api/payload.h"
#include "api/push.h"
#include "api/subscriber.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	RETRY_MS = 1000, /* no memory for deregistrations */
	RESET_MS = 5000, /* until a client that was asked to go is cut off */
	LATE_MS = 100,	 /* a loop that is later than this has stood still */
};

/* SDKs that are late: until they see that their connection has gone, and from their new one until they have
 * registered again. Python's redo comes in rounds of 30 s; Python 2.x does not notice that its stream has ended, only
 * a health check that fails (5 s apart, 10 s behind a call), nor does Rust, which then waits 2 s and more. */
static const struct late_sdk {
	const char *version; /* how clientVersion begins */
	int64_t notice_ms, redo_ms; /* 0: as others */
} late_sdks[] = {
	{ "Nacos-Python-Client:v2", 12000, 35000 },
	{ "Nacos-Python-Client:v3", 0, 35000 },
	{ "Nacos-Rust-Client:", 14000, 6000 },
};

static const struct late_sdk *late_sdk(const struct session *s)
{
	for (size_t i = 0; i < sizeof(late_sdks) / sizeof(late_sdks[0]); i++)
		if (strncmp(s->version, late_sdks[i].version, strlen(late_sdks[i].version)) == 0)
			return &late_sdks[i];
	return NULL;
}

/* How long what a closed connection published waits for its client. */
static int64_t grace_ms(const struct session *s)
{
	const struct late_sdk *late = late_sdk(s);
	int64_t grace = s->io->conf.reconnect_grace_ms;
	if (s->evicted)
		return 0;
	return late != NULL && grace > 0 && late->notice_ms > grace ? late->notice_ms : grace;
}

static bool entry_equal(const void *value, const void *key)
{
	const struct service_key *a = &((const struct session_entry *)value)->key, *b = key;
	return a->name_len == b->name_len && a->group_len == b->group_len && a->ns_len == b->ns_len &&
	       memcmp(a->name, b->name, a->name_len) == 0 && memcmp(a->group, b->group, a->group_len) == 0 &&
	       memcmp(a->ns, b->ns, a->ns_len) == 0;
}

static void link_session(struct session *s, struct session **list)
{
	s->prev = NULL;
	s->next = *list;
	if (s->next != NULL)
		s->next->prev = s;
	*list = s;
}

static void unlink_session(struct session *s, struct session **list)
{
	*(s->prev != NULL ? &s->prev->next : list) = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
}

/* ---- beginning */

static void peer_text(struct session *s, const union stream_peer *peer)
{
	if (peer->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &peer->v6.sin6_addr, s->peer, sizeof(s->peer));
		s->peer_port = ntohs(peer->v6.sin6_port);
	} else {
		inet_ntop(AF_INET, &peer->v4.sin_addr, s->peer, sizeof(s->peer));
		s->peer_port = ntohs(peer->v4.sin_port);
	}
}

static void on_idle(struct io_timer *t);

static struct session *session_of(struct io_timer *t)
{
	return (struct session *)((char *)t - offsetof(struct session, timer));
}

int session_open(struct io *io, struct grpc_conn *conn)
{
	struct session *s = mem_zalloc(1, sizeof(*s));
	if (s == NULL)
		return E_NOMEM;
	s->io = io;
	s->conn = conn;
	peer_text(s, grpc_conn_peer(conn));
	snprintf(s->id, sizeof(s->id), "%lld_%s_%u", (long long)clock_wall_ms(), s->peer, s->peer_port);
	s->publisher = (uint64_t)(io->number + 1) << 48 | ++io->publishers;
	s->since_ms = s->active_ms = clock_ms();
	map_init(&s->entries, entry_equal);
	push_session_init(s);
	link_session(s, &io->sessions);
	io->session_count++;
	metrics_shift(io->cell_sessions, 1);
	grpc_conn_set_user(conn, s);
	io_timer_start(io, &s->timer, io->conf.connection_idle_ms, on_idle);
	return E_OK;
}

/* ---- the end */

static void session_free(struct session *s)
{
	struct io *io = s->io;
	struct session_entry *e;
	io_timer_stop(io, &s->timer);
	knocking_free(s->knocking);
	mem_free(s->labels);
	for (size_t at = 0; (e = map_next(&s->entries, &at)) != NULL;) {
		mem_free(e->addresses);
		mem_free(e);
	}
	map_done(&s->entries);
	push_session_done(s);
	unlink_session(s, s->conn != NULL ? &io->sessions : &io->graced);
	mem_free(s);
}

void session_release(struct session *s)
{
	if (s->conn == NULL && s->messages == 0 && s->commands == 0 && (s->entries.count == 0 || s->leaving))
		session_free(s);
}

void session_message_done(struct session *s)
{
	if (--s->messages == 0 && s->conn == NULL && !s->leaving && grace_ms(s) > 0 && !s->io->draining)
		knocking_start(s); /* it had to wait for this one */
	session_release(s);
}

static void on_told(struct command *cmd)
{
	struct session *s = cmd->owner;
	mem_free(cmd);
	s->commands--;
	session_release(s);
}

static void deregister(struct session *s, const struct session_entry *e, const struct entry_address *a,
		       enum command_cause cause, struct command *cmd)
{
	command_init(cmd, CMD_INSTANCE_DEREGISTER);
	cmd->cause = cause;
	cmd->remote = s->peer;
	cmd->key = e->key;
	cmd->instance.ip = a->ip;
	cmd->instance.port = a->port;
	cmd->instance.cluster = a->cluster;
	cmd->instance.publisher = s->publisher;
	cmd->owner = s;
	s->commands++;
	io_submit(s->io, cmd, on_told);
}

int session_refuse(struct session *s, const struct session_entry *e, struct entry_address *a)
{
	struct command *cmd = mem_alloc(sizeof(*cmd));
	if (cmd == NULL)
		return E_NOMEM;
	deregister(s, e, a, CAUSE_PORT_REFUSED, cmd);
	a->gone = true;
	return E_OK;
}

static int run_away(struct registry *reg, void *arg, struct error *err)
{
	const struct session *s = arg;
	return registry_publisher_away(reg, s->publisher) < 0 ? error_set(err, E_NOMEM, "no memory") : E_OK;
}

static int run_forget(struct registry *reg, void *arg, struct error *err)
{
	const struct session *s = arg;
	(void)err;
	registry_publisher_forget(reg, s->publisher);
	return E_OK;
}

/* Tells the registry of the connection itself. E_NOMEM: nothing is told. */
static int tell(struct session *s, int (*run)(struct registry *reg, void *arg, struct error *err))
{
	struct command *cmd = mem_alloc(sizeof(*cmd));
	if (cmd == NULL)
		return E_NOMEM;
	command_init(cmd, CMD_CALL);
	cmd->call.run = run;
	cmd->call.arg = s;
	cmd->owner = s;
	s->commands++;
	io_submit(s->io, cmd, on_told);
	return E_OK;
}

/* Is its timer late? Then this process stood still, perhaps its whole machine: what clients said lies unread, and they
 * had no time, either. It is given that time again (@most_ms at most), once. */
static bool given_more(struct session *s, int64_t most_ms, void (*due)(struct io_timer *t))
{
	int64_t late_ms = clock_ms() - s->timer.node.due_ms;
	if (late_ms <= LATE_MS || s->excused)
		return false;
	s->excused = true;
	io_timer_start(s->io, &s->timer, late_ms < most_ms ? late_ms : most_ms, due);
	return true;
}

static void on_grace_over(struct io_timer *t)
{
	struct session *s = session_of(t);
	if (!s->evicted && given_more(s, grace_ms(s), on_grace_over))
		return;
	if (!s->io->draining) /* at our own end everything stays, for the warm copy */
		session_leave(s);
}

/* Everything that it published goes. What was submitted before a failed allocation is submitted again: that
 * does no harm. */
void session_leave(struct session *s)
{
	struct session_entry *e;
	io_timer_stop(s->io, &s->timer);
	if (s->messages > 0) { /* a registration of it may be under way */
		io_timer_start(s->io, &s->timer, RETRY_MS / 10, on_grace_over);
		return;
	}
	for (size_t at = 0; (e = map_next(&s->entries, &at)) != NULL;)
		for (size_t i = 0; e->addresses != NULL && i < e->addresses->count; i++) {
			const struct entry_address *a = &e->addresses->at[i];
			if (a->gone)
				continue;
			struct command *cmd = mem_alloc(sizeof(*cmd));
			if (cmd == NULL) {
				io_timer_start(s->io, &s->timer, RETRY_MS, on_grace_over);
				return;
			}
			deregister(s, e, a, CAUSE_CONNECTION, cmd);
		}
	if (tell(s, run_forget) < 0) {
		io_timer_start(s->io, &s->timer, RETRY_MS, on_grace_over);
		return;
	}
	s->leaving = true;
	session_release(s);
}

void session_conn_gone(struct session *s)
{
	struct io *io = s->io;
	unlink_session(s, &io->sessions);
	link_session(s, &io->graced);
	s->conn = NULL;
	s->stream = NULL;
	io->session_count--;
	metrics_shift(io->cell_sessions, -1);
	push_session_end(s);
	fuzzy_session_end(s);
	log_debug("grpc", "connection %s (%s) closed: %zu services published", s->id, s->version, s->entries.count);
	if (s->entries.count == 0 || io->draining) {
		io_timer_stop(io, &s->timer);
		session_release(s);
		return;
	}
	s->excused = false;
	tell(s, run_away); /* without memory its address may fall back to it while the grace lasts */
	io_timer_start(io, &s->timer, grace_ms(s), on_grace_over);
	if (grace_ms(s) > 0 && s->messages == 0)
		knocking_start(s);
}

/* A client without its stream hears of nothing: it must connect again. */
void session_stream_gone(struct session *s)
{
	s->stream = NULL;
	if (s->conn != NULL)
		grpc_conn_close(s->conn);
}

void sessions_free(struct io *io)
{
	while (io->sessions != NULL)
		session_free(io->sessions);
	while (io->graced != NULL)
		session_free(io->graced);
}

/* ---- does it still answer? */

static void on_unanswered(struct io_timer *t)
{
	struct session *s = session_of(t);
	if (s->conn == NULL || given_more(s, s->io->conf.connection_probe_ms, on_unanswered))
		return;
	log_info("grpc", "connection %s (%s) has not answered for %lld ms: closed", s->id, s->version,
		 (long long)(clock_ms() - s->active_ms));
	s->evicted = true;
	metrics_add(s->io->cell_evicted, 1);
	grpc_conn_close(s->conn);
}

static void on_idle(struct io_timer *t)
{
	static const char tail[] = "\",\"module\":\"internal\"}";
	struct session *s = session_of(t);
	const struct api_conf *conf = &s->io->conf;
	int64_t idle = clock_ms() - s->active_ms;
	char body[96];
	if (s->conn == NULL)
		return;
	if (idle < conf->connection_idle_ms || s->stream == NULL) { /* without a stream HTTP/2's own rule holds */
		int64_t left = conf->connection_idle_ms - idle;
		io_timer_start(s->io, t, left > 0 ? left : conf->connection_idle_ms, on_idle);
		return;
	}
	snprintf(body, sizeof(body), "{\"headers\":{},\"requestId\":\"d%llu", (unsigned long long)++s->requests);
	s->detecting = true;
	s->excused = false;
	const struct stream_part parts[] = { { .at = body, .len = strlen(body) }, { .at = tail, .len = sizeof(tail) - 1 } };
	session_send(s, "ClientDetectionRequest", parts, 2);
	io_timer_start(s->io, t, conf->connection_probe_ms, on_unanswered);
}

void session_active(struct session *s)
{
	s->active_ms = io_now_ms(s->io);
	if (!s->detecting || s->evicted || s->resetting)
		return;
	s->detecting = false;
	io_timer_start(s->io, &s->timer, s->io->conf.connection_idle_ms, on_idle);
}

/* ---- asked to go */

static void on_stayed(struct io_timer *t)
{
	struct session *s = session_of(t);
	if (s->conn != NULL)
		grpc_conn_close(s->conn);
}

void session_reset(struct session *s, const struct session_target *to)
{
	struct text body;
	if (s->resetting || s->stream == NULL)
		return;
	text_init(&body);
	json_open(&body, '{');
	text_printf(&body, "\"headers\":{},\"requestId\":\"r%llu\"", (unsigned long long)++s->requests);
	if (to->host[0] != '\0') {
		json_kv_str(&body, "serverIp", to->host);
		json_kv_str(&body, "serverPort", to->port);
	}
	json_kv_str(&body, "connectionId", s->id);
	json_kv_str(&body, "module", "internal");
	json_close(&body, '}');
	if (!body.failed)
		session_send(s, "ConnectResetRequest", &(struct stream_part){ .at = body.at, .len = body.len }, 1);
	text_done(&body);
	s->resetting = true;
	io_timer_start(s->io, &s->timer, RESET_MS, on_stayed);
}

unsigned api_session_count(const struct api *a)
{
	unsigned count = 0;
	for (unsigned i = 0; i < a->io_count; i++)
		count += atomic_load_explicit(&a->ios[i].session_count, memory_order_relaxed);
	return count;
}

/* A client whose SDK is late to register again is back: what its old connection published stays for so long. */
static void claim(const struct session *s, int64_t redo_ms)
{
	for (struct session *old = s->io->graced; old != NULL; old = old->next)
		if (!old->claimed && !old->leaving && !old->evicted && strcmp(old->peer, s->peer) == 0 &&
		    strcmp(old->version, s->version) == 0) {
			old->claimed = true;
			io_timer_start(s->io, &old->timer, redo_ms, on_grace_over);
			return;
		}
}

void session_set_up(struct session *s)
{
	s->set_up = true;
	const struct late_sdk *late = late_sdk(s);
	if (late != NULL)
		claim(s, late->redo_ms);
}

int session_send(struct session *s, const char *type, const struct stream_part *body, unsigned count)
{
	uint8_t envelope[PAYLOAD_HEAD_MAX];
	struct stream_part parts[4] = { { .at = envelope } };
	size_t len = 0;
	assert(count >= 1 && count <= 3);
	for (unsigned i = 0; i < count; i++) {
		parts[i + 1] = body[i];
		len += body[i].len;
	}
	parts[0].len = payload_head(envelope, type, len);
	if (s->stream == NULL)
		return grpc_refuse(body, count, E_CLOSED);
	return grpc_send(s->stream, parts, count + 1);
}

/* ---- what it publishes */

struct entry_addresses *entry_addresses_new(const struct instance_spec *specs, size_t count)
{
	size_t bytes = sizeof(struct entry_addresses) + count * sizeof(struct entry_address);
	for (size_t i = 0; i < count; i++)
		bytes += strlen(specs[i].ip) + strlen(specs[i].cluster) + 2;
	struct entry_addresses *a = mem_alloc(bytes);
	if (a == NULL)
		return NULL;
	char *at = (char *)&a->at[count];
	a->count = count;
	for (size_t i = 0; i < count; i++) {
		a->at[i] = (struct entry_address){ .ip = at, .port = specs[i].port };
		at = stpcpy(at, specs[i].ip) + 1;
		a->at[i].cluster = at;
		at = stpcpy(at, specs[i].cluster) + 1;
	}
	return a;
}

static struct session_entry *entry_new(const struct service_key *key, uint64_t hash)
{
	struct session_entry *e = mem_alloc(sizeof(*e) + key->ns_len + key->group_len + key->name_len + 3u);
	if (e == NULL)
		return NULL;
	e->hash = hash;
	e->addresses = NULL;
	e->key = *key;
	e->key.ns = e->text;
	e->key.group = stpcpy(e->text, key->ns) + 1;
	e->key.name = stpcpy(e->text + key->ns_len + 1, key->group) + 1;
	memcpy(e->text + key->ns_len + key->group_len + 2, key->name, key->name_len + 1u);
	return e;
}

int session_publish(struct session *s, const struct service_key *key, struct entry_addresses *fresh,
		    struct entry_addresses **ret_old)
{
	uint64_t hash = service_key_hash(key);
	struct session_entry *e = map_find(&s->entries, hash, key);
	*ret_old = NULL;
	if (e == NULL && fresh == NULL)
		return E_OK;
	if (e == NULL) {
		e = entry_new(key, hash);
		if (e == NULL || map_add(&s->entries, hash, e) < 0) {
			mem_free(e);
			return E_NOMEM;
		}
	}
	*ret_old = e->addresses;
	e->addresses = fresh;
	if (fresh == NULL) {
		map_remove(&s->entries, hash, key);
		mem_free(e);
	}
	return E_OK;
}

/* ---- for those who ask */

static void put_client(const struct session *s, struct text *to)
{
	int64_t now_ms = clock_ms();
	client_put(to, &(struct client){
		.kind = CLIENT_GRPC,
		.id = s->id,
		.ip = s->peer,
		.port = s->peer_port,
		.agent = s->version,
		.app = s->app[0] != '\0' ? s->app : "unknown",
		.set_up = s->set_up,
		.connected = s->conn != NULL,
		.claimed = s->claimed,
		.asked = s->detecting,
		.publisher = s->publisher,
		.services = s->entries.count,
		.subscriptions = s->subscriptions.count,
		.pending = push_pending(s),
		.age_ms = now_ms - s->since_ms,
		.silent_ms = now_ms > s->active_ms ? now_ms - s->active_ms : 0,
		.left_ms = s->conn != NULL || s->timer.node.due_ms < now_ms ? 0 : s->timer.node.due_ms - now_ms,
	});
}

void session_each_client(struct io *io, const char *client, struct text *to)
{
	for (const struct session *s = io->sessions; s != NULL; s = s->next)
		if (client == NULL || strcmp(s->id, client) == 0)
			put_client(s, to);
	for (const struct session *s = io->graced; s != NULL; s = s->next)
		if (client == NULL || strcmp(s->id, client) == 0)
			put_client(s, to);
}

void session_each_publisher(struct io *io, const struct service_key *key, struct text *to)
{
	uint64_t hash = service_key_hash(key);
	for (const struct session *s = io->sessions; s != NULL; s = s->next)
		if (map_find(&s->entries, hash, key) != NULL)
			put_client(s, to);
	for (const struct session *s = io->graced; s != NULL; s = s->next)
		if (map_find(&s->entries, hash, key) != NULL)
			put_client(s, to);
}

void session_each_published(struct io *io, const char *client,
			    void (*each)(void *arg, const struct service_key *key, const char *ip, uint16_t port,
					 const char *cluster),
			    void *arg)
{
	const struct session_entry *e;
	const struct session *s = io->sessions;
	while (s != NULL && strcmp(s->id, client) != 0)
		s = s->next;
	for (size_t at = 0; s != NULL && (e = map_next(&s->entries, &at)) != NULL;)
		for (size_t i = 0; e->addresses != NULL && i < e->addresses->count; i++)
			each(arg, &e->key, e->addresses->at[i].ip, e->addresses->at[i].port, e->addresses->at[i].cluster);
}

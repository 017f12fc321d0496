/* push.c - see push.h.
 *
 * A topic is one service that somebody on this I/O thread subscribes to. Its first subscription makes it join the
 * feed (a command to control and back) before it is answered, so that no change falls between the answer and the
 * first news; its last one makes it leave. While a command of it is under way others wait; it is freed when it
 * has left and no news of it is under way.
 *
 * A subscription's push: news > (merge window) > the encoded view > stream > ack. Without an ack in time, or with
 * a refusal, the newest view is sent again after a while, until the connection is closed. */
#include "api/push.h"

#include "api/feed.h"
#include "api/io.h"
#include "api/message.h"
#include "api/shapes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ACK_MS = 5000,
	RETRY_MS = 1000,
	WAITING_MAX = 32768, /* unsent bytes of a connection: it takes no push for now */
	SHAPE_GRPC = 3,	     /* behind the shapes of lists by HTTP */
};

struct subscription {
	struct topic *topic;
	struct session *session;
	struct subscription *next, *prev; /* of the topic */
	struct io_timer timer;		  /* ack, or retry */
	uint64_t handle;
	unsigned sequence;
	uint64_t told, sent; /* numbers: known to have arrived, under way */
	bool in_flight, slot;
	char clusters[];
};

struct topic {
	struct feed_topic feed; /* first: news is cast */
	struct io *io;
	struct subscription *first;
	unsigned count;
	struct command command; /* join or leave */
	bool joined, busy;
	struct message *waiting, **waiting_end; /* subscribers' requests, for the join */
	struct io_timer merge;
	bool merging;
	int64_t pushed_ms;
	char text[];
};

/* ---- bodies */

struct encoding *push_encode(struct io *io, const struct service_key *key, const char *clusters, bool healthy_only,
			     uint64_t *ret_number)
{
	struct registry *reg = io->api->registry;
	const struct service_view *v = registry_view(reg, key);
	struct list_query q = {
		.clusters = clusters,
		.healthy_only = healthy_only,
		.cache_ms = registry_switches(reg)->push_cache_ms,
		.bare_name = true,
	};
	if (v == NULL)
		return NULL;
	*ret_number = v->number;
	struct encoding_key at = {
		.service_id = v->info->id,
		.number = v->number,
		.settings = (uint32_t)q.cache_ms,
		.shape = (uint16_t)(SHAPE_GRPC * 2 + healthy_only),
		.clusters = clusters,
		.clusters_len = (uint16_t)strlen(clusters),
	};
	struct encoding *c = encodings_find(&io->encodings, &at);
	metrics_add(c != NULL ? io->cell_hits : io->cell_misses, 1);
	if (c != NULL)
		return c;
	struct text *t = &io->encode;
	text_clear(t);
	shape_service_info(t, key, v, &q);
	return t->failed ? NULL : encodings_add(&io->encodings, &at, t->at, t->len);
}

/* ---- one push */

static struct subscription *subscription_of(struct io_timer *t)
{
	return (struct subscription *)((char *)t - offsetof(struct subscription, timer));
}

static void push_one(struct subscription *sub);

static void on_retry(struct io_timer *t)
{
	push_one(subscription_of(t));
}

static void on_unacked(struct io_timer *t)
{
	struct subscription *sub = subscription_of(t);
	struct io *io = sub->session->io;
	metrics_add(io->push.timed_out, 1);
	sub->in_flight = false;
	io_timer_start(io, &sub->timer, RETRY_MS, on_retry);
}

static int send_push(struct subscription *sub, const struct encoding *c)
{
	static const char tail[] = "}";
	struct text *t = &sub->session->io->encode;
	text_clear(t);
	text_printf(t, "{\"headers\":{},\"requestId\":\"%llu.%u\",\"module\":\"naming\",\"serviceInfo\":",
		    (unsigned long long)sub->handle, ++sub->sequence);
	text_put(t, c->body, c->len);
	return t->failed ? E_NOMEM
			 : session_send(sub->session, "NotifySubscriberRequest", t->at, t->len, tail, sizeof(tail) - 1);
}

/* The newest view to one subscriber, or its slot is marked for when there is room. */
static void push_one(struct subscription *sub)
{
	struct session *s = sub->session;
	struct io *io = s->io;
	uint64_t number = 0;
	if (s->stream == NULL)
		return;
	if (grpc_conn_waiting(s->conn) > WAITING_MAX) {
		if (!sub->slot)
			metrics_add(io->push.delayed, 1);
		sub->slot = true;
		return;
	}
	sub->slot = false;
	rcu_begin();
	struct encoding *c = push_encode(io, &sub->topic->feed.key, sub->clusters, false, &number);
	rcu_end();
	if (c == NULL) {
		if (number != 0) /* no memory */
			io_timer_start(io, &sub->timer, RETRY_MS, on_retry);
		return;
	}
	if (number > (sub->in_flight && sub->sent > sub->told ? sub->sent : sub->told)) {
		if (send_push(sub, c) == E_OK) {
			sub->sent = number;
			sub->in_flight = true;
			metrics_add(io->push.sent, 1);
			io_timer_start(io, &sub->timer, ACK_MS, on_unacked);
		} else {
			sub->in_flight = false;
			io_timer_start(io, &sub->timer, RETRY_MS, on_retry);
		}
	}
	encoding_release(c);
}

void push_acked(struct session *s, const char *request, bool well)
{
	char *end;
	unsigned long long handle = strtoull(request, &end, 10);
	struct subscription *sub = *end == '.' ? handles_find(&s->io->push_handles, handle) : NULL;
	if (sub == NULL || sub->session != s || !sub->in_flight || strtoul(end + 1, NULL, 10) != sub->sequence)
		return; /* of an older push, or unsubscribed meanwhile */
	sub->in_flight = false;
	io_timer_stop(s->io, &sub->timer);
	if (!well) {
		metrics_add(s->io->push.refused, 1);
		io_timer_start(s->io, &sub->timer, RETRY_MS, on_retry);
		return;
	}
	sub->told = sub->sent;
	metrics_add(s->io->push.acked, 1);
}

/* ---- news */

static void push_topic(struct topic *t)
{
	t->pushed_ms = clock_ms();
	for (struct subscription *sub = t->first; sub != NULL; sub = sub->next)
		push_one(sub);
}

static void on_merged(struct io_timer *timer)
{
	struct topic *t = (struct topic *)((char *)timer - offsetof(struct topic, merge));
	t->merging = false;
	push_topic(t);
}

static void topic_news(struct topic *t)
{
	int64_t wait = t->pushed_ms + t->io->api->conf.push_merge_ms - clock_ms();
	if (t->merging)
		return;
	if (wait <= 0) {
		push_topic(t);
		return;
	}
	t->merging = true;
	io_timer_start(t->io, &t->merge, wait, on_merged);
}

static bool topic_rests(const struct topic *t);
static void topic_free(struct topic *t);

static void on_news(void *arg, struct inbox_message *first, unsigned count)
{
	struct io *io = arg;
	(void)count;
	for (struct inbox_message *m = first, *next; m != NULL; m = next) {
		struct topic *t = (struct topic *)m;
		next = m->next;
		atomic_store(&t->feed.pending, false);
		if (topic_rests(t))
			topic_free(t);
		else if (!io->draining)
			topic_news(t);
	}
}

/* ---- topics */

static bool topic_equal(const void *value, const void *key)
{
	const struct service_key *a = &((const struct topic *)value)->feed.key, *b = key;
	return a->name_len == b->name_len && a->group_len == b->group_len && a->ns_len == b->ns_len &&
	       memcmp(a->name, b->name, a->name_len) == 0 && memcmp(a->group, b->group, a->group_len) == 0 &&
	       memcmp(a->ns, b->ns, a->ns_len) == 0;
}

static struct topic *topic_new(struct io *io, const struct service_key *key, uint64_t hash)
{
	struct topic *t = mem_zalloc(1, sizeof(*t) + key->ns_len + key->group_len + key->name_len + 3u);
	if (t == NULL)
		return NULL;
	t->io = io;
	t->waiting_end = &t->waiting;
	t->feed.inbox = io->push_news;
	t->feed.hash = hash;
	t->feed.key = *key;
	t->feed.key.ns = t->text;
	t->feed.key.group = stpcpy(t->text, key->ns) + 1;
	t->feed.key.name = stpcpy(t->text + key->ns_len + 1, key->group) + 1;
	memcpy(t->text + key->ns_len + key->group_len + 2, key->name, key->name_len + 1u);
	if (map_add(&io->topics, hash, t) < 0) {
		mem_free(t);
		return NULL;
	}
	return t;
}

static bool topic_rests(const struct topic *t)
{
	return t->count == 0 && !t->joined && !t->busy && t->waiting == NULL && !atomic_load(&t->feed.pending);
}

static void topic_free(struct topic *t)
{
	map_remove(&t->io->topics, t->feed.hash, &t->feed.key);
	io_timer_stop(t->io, &t->merge);
	mem_free(t);
}

static int run_join(struct registry *reg, void *arg, struct error *err)
{
	struct topic *t = arg;
	(void)reg;
	if (feed_join(&t->io->api->feed, &t->feed) < 0)
		return error_set(err, E_NOMEM, "no memory for the subscription");
	return E_OK;
}

static int run_leave(struct registry *reg, void *arg, struct error *err)
{
	struct topic *t = arg;
	(void)reg;
	(void)err;
	feed_leave(&t->io->api->feed, &t->feed);
	return E_OK;
}

static void topic_settle(struct topic *t);

static void answer_waiting(struct topic *t, const struct error *err)
{
	struct message *m = t->waiting;
	t->waiting = NULL;
	t->waiting_end = &t->waiting;
	for (struct message *next; m != NULL; m = next) {
		next = m->next;
		if (err != NULL)
			m->err = *err;
		m->finish(m);
	}
}

static void on_joined(struct command *cmd)
{
	struct topic *t = cmd->owner;
	t->joined = cmd->code == E_OK; /* still busy: answers may subscribe and unsubscribe */
	while (!t->joined && t->first != NULL)
		push_unsubscribe(t->first->session, &t->feed.key);
	answer_waiting(t, cmd->code == E_OK ? NULL : &cmd->error);
	t->busy = false;
	topic_settle(t);
}

static void on_left(struct command *cmd)
{
	struct topic *t = cmd->owner;
	t->busy = t->joined = false;
	topic_settle(t);
}

/* What is to be done now that nothing is under way. It may be freed by this call. */
static void topic_settle(struct topic *t)
{
	bool wanted = t->count > 0 || t->waiting != NULL;
	if (t->busy)
		return;
	if (t->joined == wanted) {
		if (topic_rests(t))
			topic_free(t);
		return;
	}
	if (!wanted && t->io->draining)
		return; /* the feed is gone */
	t->busy = true;
	command_init(&t->command, CMD_CALL);
	t->command.call.run = wanted ? run_join : run_leave;
	t->command.call.arg = t;
	t->command.owner = t;
	io_submit(t->io, &t->command, wanted ? on_joined : on_left);
}

/* ---- subscriptions */

static bool subscription_equal(const void *value, const void *key)
{
	return topic_equal(((const struct subscription *)value)->topic, key);
}

static void subscription_free(struct subscription *sub)
{
	struct topic *t = sub->topic;
	struct io *io = t->io;
	map_remove(&sub->session->subscriptions, t->feed.hash, &t->feed.key);
	*(sub->prev != NULL ? &sub->prev->next : &t->first) = sub->next;
	if (sub->next != NULL)
		sub->next->prev = sub->prev;
	t->count--;
	handles_remove(&io->push_handles, sub->handle);
	io_timer_stop(io, &sub->timer);
	metrics_set(io->push.subscriptions, --io->subscription_count);
	mem_free(sub);
}

static int subscription_new(struct session *s, struct topic *t, const char *clusters)
{
	struct io *io = s->io;
	size_t len = strlen(clusters);
	struct subscription *sub = mem_zalloc(1, sizeof(*sub) + len + 1);
	if (sub == NULL)
		return E_NOMEM;
	sub->topic = t;
	sub->session = s;
	memcpy(sub->clusters, clusters, len + 1);
	sub->handle = handles_add(&io->push_handles, sub);
	if (sub->handle == 0 || map_add(&s->subscriptions, t->feed.hash, sub) < 0) {
		if (sub->handle != 0)
			handles_remove(&io->push_handles, sub->handle);
		mem_free(sub);
		return E_NOMEM;
	}
	sub->next = t->first;
	if (sub->next != NULL)
		sub->next->prev = sub;
	t->first = sub;
	t->count++;
	metrics_set(io->push.subscriptions, ++io->subscription_count);
	return E_OK;
}

static void subscribe_failed(struct message *m, int code, const char *why)
{
	error_set(&m->err, code, "%s", why);
	m->finish(m);
}

void push_subscribe(struct message *m, const char *clusters)
{
	struct session *s = m->session;
	struct io *io = s->io;
	uint64_t hash = service_key_hash(&m->key);
	struct subscription *old = map_find(&s->subscriptions, hash, &m->key);
	struct topic *t = map_find(&io->topics, hash, &m->key);
	if (s->conn == NULL) {
		m->finish(m);
		return;
	}
	if (old == NULL && s->subscriptions.count >= SUBSCRIPTIONS_MAX) {
		subscribe_failed(m, E_LIMIT, "this connection has 20000 subscriptions, the most that it may have");
		return;
	}
	if (t == NULL)
		t = topic_new(io, &m->key, hash);
	if (t == NULL) {
		subscribe_failed(m, E_NOMEM, "no memory for the subscription");
		return;
	}
	if (old != NULL && strcmp(old->clusters, clusters) != 0) { /* the newest value counts */
		subscription_free(old);
		old = NULL;
	}
	if (old == NULL && subscription_new(s, t, clusters) < 0) {
		subscribe_failed(m, E_NOMEM, "no memory for the subscription");
	} else if (t->joined && !t->busy) {
		m->finish(m);
		return;
	} else {
		m->next = NULL;
		*t->waiting_end = m;
		t->waiting_end = &m->next;
	}
	topic_settle(t);
}

void push_unsubscribe(struct session *s, const struct service_key *key)
{
	struct subscription *sub = map_find(&s->subscriptions, service_key_hash(key), key);
	if (sub == NULL)
		return;
	struct topic *t = sub->topic;
	subscription_free(sub);
	topic_settle(t);
}

void push_told(struct session *s, const struct service_key *key, uint64_t number)
{
	struct subscription *sub = map_find(&s->subscriptions, service_key_hash(key), key);
	if (sub != NULL && number > sub->told)
		sub->told = number;
}

/* ---- sessions */

void push_session_init(struct session *s)
{
	map_init(&s->subscriptions, subscription_equal);
}

void push_session_done(struct session *s)
{
	map_done(&s->subscriptions);
}

void push_session_end(struct session *s)
{
	struct subscription *sub;
	for (size_t at = 0; (sub = map_next(&s->subscriptions, &at)) != NULL;) {
		struct topic *t = sub->topic;
		subscription_free(sub);
		topic_settle(t);
	}
}

void push_session_drained(struct session *s)
{
	struct subscription *sub;
	for (size_t at = 0; (sub = map_next(&s->subscriptions, &at)) != NULL;)
		if (sub->slot)
			push_one(sub);
}

/* ---- the thread's */

static void declare_metrics(struct push_cells *c)
{
	static const char help[] = "Pushes to gRPC subscribers, by what became of them.";
	c->subscriptions = metrics_gauge("grpc_subscriptions", "Subscriptions of gRPC connections.", NULL);
	c->sent = metrics_counter("grpc_pushes_total", help, "result=\"sent\"");
	c->acked = metrics_counter("grpc_pushes_total", help, "result=\"acked\"");
	c->refused = metrics_counter("grpc_pushes_total", help, "result=\"refused\"");
	c->timed_out = metrics_counter("grpc_pushes_total", help, "result=\"unacked\"");
	c->delayed = metrics_counter("grpc_pushes_total", help, "result=\"delayed\"");
}

int push_open(struct io *io)
{
	map_init(&io->topics, topic_equal);
	handles_init(&io->push_handles);
	text_init(&io->encode);
	declare_metrics(&io->push);
	return inbox_open(&io->push_news, &io->loop, on_news, io);
}

void push_close(struct io *io)
{
	if (io->push_news != NULL)
		inbox_close(io->push_news, NULL, NULL);
	io->push_news = NULL;
}

/* The feed has stopped and every command is back. */
void push_free(struct io *io)
{
	struct topic *t;
	for (size_t at = 0; (t = map_next(&io->topics, &at)) != NULL;)
		mem_free(t);
	map_done(&io->topics);
	handles_done(&io->push_handles);
	text_done(&io->encode);
}

/* push.c - see push.h.
 *
 * A subscription's push: news > (merge window) > the encoded view > stream > ack. Without an ack in time, or with
 * a refusal, the newest view is sent again after a while, until the connection is closed. */
#include "api/push.h"

#include "api/info_body.h"
#include "api/io.h"
#include "api/message.h"
#include "api/subscriber.h"
#include "api/topic.h"
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
	FIRST_MS = 100, /* from the answer to a first subscription to the push of the same */
	SLICE = 32,	     /* pushes that are queued before they are handed to the sockets */
	WAITING_MAX = 32768, /* unsent bytes of a connection: it takes no push for now */
};

struct subscription {
	struct topic *topic;
	struct session *session;
	struct subscription *next, *prev; /* of the topic */
	struct io_timer timer;		  /* of the next try */
	int64_t ack_by_ms;		  /* while a push is in flight; the topic's timer looks */
	uint64_t handle;
	unsigned sequence;
	uint64_t told, sent; /* numbers: known to have arrived, under way */
	uint32_t pushes, acks, retries;
	bool in_flight, slot;
	bool answered, again;	    /* its request was; what the answer told is to be pushed as well */
	bool pending;		    /* counted as one whose newest list is not known to have arrived */
	int64_t pending_ms, since_ms; /* clock_ms(): since when it is pending; of the subscription */
	char clusters[];
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
	return info_body(io, key, v, &q, SHAPE_GRPC);
}

/* What the pushes of one change share: the list is looked up and encoded once, and the clock is read once. */
struct round {
	struct topic *topic;
	int64_t now_ms;
	struct encoding *body; /* of @clusters; NULL: not asked for yet, or there is none */
	const char *clusters;  /* its first subscriber's */
	uint64_t number;
};

static void round_begin(struct round *round, struct topic *t)
{
	*round = (struct round){ .topic = t, .now_ms = clock_ms() };
}

static void round_end(struct round *round)
{
	if (round->body != NULL)
		encoding_release(round->body);
}

/* With a reference, as by push_encode(). */
static struct encoding *round_body(struct round *round, const char *clusters, uint64_t *ret_number)
{
	if (round->body == NULL || strcmp(round->clusters, clusters) != 0) {
		round_end(round);
		round->clusters = clusters;
		rcu_begin();
		round->body = push_encode(round->topic->io, &round->topic->feed.key, clusters, false, &round->number);
		rcu_end();
	}
	*ret_number = round->number;
	return round->body != NULL ? encoding_hold(round->body) : NULL;
}

/* ---- one push */

static struct subscription *subscription_of(struct io_timer *t)
{
	return (struct subscription *)((char *)t - offsetof(struct subscription, timer));
}

/* For people and metrics; what is sent when does not depend on it. */
static void set_pending(struct subscription *sub, bool pending, int64_t now_ms)
{
	const struct push_cells *cells = &sub->session->io->push;
	if (sub->pending == pending)
		return;
	sub->pending = pending;
	if (pending)
		sub->pending_ms = now_ms;
	else
		metrics_observe(cells->lag, (double)(now_ms - sub->pending_ms) * 1e-3);
	metrics_shift(cells->pending, pending ? 1 : -1);
}

static void push_again(struct subscription *sub);

static void on_retry(struct io_timer *t)
{
	push_again(subscription_of(t));
}

static void on_unacked(struct subscription *sub)
{
	struct io *io = sub->session->io;
	metrics_add(io->push.timed_out, 1);
	sub->retries++;
	sub->in_flight = false;
	io_timer_start(io, &sub->timer, RETRY_MS, on_retry);
}

/* One timer for all subscribers: most have acknowledged long before it is due. */
static void on_acks_due(struct io_timer *timer)
{
	struct topic *t = (struct topic *)((char *)timer - offsetof(struct topic, acks));
	int64_t now = clock_ms(), next = INT64_MAX;
	for (struct subscription *sub = t->first; sub != NULL; sub = sub->next) {
		if (sub->in_flight && sub->ack_by_ms <= now)
			on_unacked(sub);
		else if (sub->in_flight && sub->ack_by_ms < next)
			next = sub->ack_by_ms;
	}
	t->awaits = next != INT64_MAX;
	if (t->awaits)
		io_timer_start(t->io, &t->acks, next - now, on_acks_due);
}

static void await_ack(struct subscription *sub, int64_t now_ms)
{
	struct topic *t = sub->topic;
	sub->in_flight = true;
	sub->ack_by_ms = now_ms + ACK_MS;
	if (!t->awaits)
		io_timer_start(t->io, &t->acks, ACK_MS, on_acks_due);
	t->awaits = true;
}

/* Takes over the reference. */
static int send_push(struct subscription *sub, struct encoding *c)
{
	struct text *head = &sub->session->io->scratch;
	text_clear(head);
	text_add(head, "{\"headers\":{},\"requestId\":\"");
	text_u64(head, sub->handle);
	text_add(head, ".");
	text_u64(head, ++sub->sequence);
	text_add(head, "\",\"module\":\"naming\",\"serviceInfo\":");
	const struct stream_part body[] = {
		{ .at = head->at, .len = head->len },
		{ c->body, c->len, encoding_release, c },
		{ .at = "}", .len = 1 },
	};
	return head->failed ? grpc_refuse(body, 3, E_NOMEM)
			    : session_send(sub->session, "NotifySubscriberRequest", body, 3);
}

/* The newest view to one subscriber of the round's topic, or its slot is marked for when there is room. */
static void push_one(struct subscription *sub, struct round *round)
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
		set_pending(sub, true, round->now_ms);
		return;
	}
	sub->slot = false;
	struct encoding *c = round_body(round, sub->clusters, &number);
	if (c == NULL) {
		if (number != 0) /* no memory */
			io_timer_start(io, &sub->timer, RETRY_MS, on_retry);
		return;
	}
	bool fresh = number > (sub->in_flight && sub->sent > sub->told ? sub->sent : sub->told);
	if (fresh || sub->again) {
		sub->again = false;
		set_pending(sub, fresh, round->now_ms);
		if (send_push(sub, c) == E_OK) {
			sub->pushes++;
			sub->sent = number;
			metrics_add(io->push.sent, 1);
			io_timer_stop(io, &sub->timer);
			await_ack(sub, round->now_ms);
		} else {
			sub->in_flight = false;
			io_timer_start(io, &sub->timer, RETRY_MS, on_retry);
		}
		return;
	}
	encoding_release(c);
	if (!sub->in_flight)
		set_pending(sub, false, round->now_ms); /* it was told by an answer meanwhile */
}

static void push_again(struct subscription *sub)
{
	struct round round;
	round_begin(&round, sub->topic);
	push_one(sub, &round);
	round_end(&round);
}

void push_acked(struct session *s, const char *request, bool well)
{
	char *end;
	unsigned long long handle = strtoull(request, &end, 10);
	struct subscription *sub = *end == '.' ? handles_find(&s->io->push_handles, handle) : NULL;
	if (sub == NULL || sub->session != s || !sub->in_flight || strtoul(end + 1, NULL, 10) != sub->sequence)
		return; /* of an older push, or unsubscribed meanwhile */
	sub->in_flight = false;
	if (!well) {
		metrics_add(s->io->push.refused, 1);
		sub->retries++;
		io_timer_start(s->io, &sub->timer, RETRY_MS, on_retry);
		return;
	}
	sub->told = sub->sent;
	sub->acks++;
	set_pending(sub, sub->slot, clock_ms());
	metrics_add(s->io->push.acked, 1);
}

/* Of thousands of connections none is in the caches: what all of a slice will touch is asked for at once. */
static void fetch_slice(struct subscription *const *slice, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		__builtin_prefetch(slice[i]->session);
	for (unsigned step = 0; step < GRPC_FETCH_STEPS; step++)
		for (unsigned i = 0; i < n; i++)
			if (slice[i]->session->stream != NULL)
				grpc_call_fetch(slice[i]->session->stream, step);
}

/* In slices: what is queued for some connections leaves while it is in the caches, and memory for all is never asked for.
 * Flushing ends no subscription: a connection that fails is told of from the loop. */
void push_news(struct topic *t)
{
	struct http2_server *http2 = grpc_server_http2(t->io->grpc);
	struct subscription *slice[SLICE], *sub = t->first;
	struct round round;
	round_begin(&round, t);
	while (sub != NULL) {
		unsigned n = 0;
		for (; n < SLICE && sub != NULL; sub = sub->next)
			slice[n++] = sub;
		fetch_slice(slice, n);
		for (unsigned i = 0; i < n; i++)
			push_one(slice[i], &round);
		if (sub != NULL) /* the rest leaves at the end of this turn */
			http2_server_flush(http2);
	}
	round_end(&round);
}

/* ---- subscriptions */

static bool subscription_equal(const void *value, const void *key)
{
	return topic_is(((const struct subscription *)value)->topic, key);
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
	metrics_shift(io->push.subscriptions, -1);
	if (sub->pending)
		metrics_shift(io->push.pending, -1);
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
	sub->since_ms = clock_ms();
	metrics_shift(io->push.subscriptions, 1);
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
	struct subscription *old = map_find(&s->subscriptions, service_key_hash(&m->key), &m->key);
	if (s->conn == NULL) {
		m->finish(m);
		return;
	}
	if (s->app[0] == '\0')
		snprintf(s->app, sizeof(s->app), "%s", m->app);
	if (old == NULL && s->subscriptions.count >= SUBSCRIPTIONS_MAX) {
		subscribe_failed(m, E_LIMIT, "this connection has 20000 subscriptions, the most that it may have");
		return;
	}
	struct topic *t = topic_get(io, &m->key);
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
		topic_wait(t, m);
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

void push_topic_lost(struct topic *t)
{
	while (t->first != NULL)
		subscription_free(t->first);
}

/* The answer to a first subscription is not enough: SDKs that subscribe again on a new connection do not read it (Java
 * 2.x and 3.x, RedoScheduledTask; Python and Rust likewise), and would not hear of what changed before. The original
 * pushes as well; who has read the answer sees a number that it knows. */
void push_told(struct session *s, const struct service_key *key, uint64_t number)
{
	struct subscription *sub = map_find(&s->subscriptions, service_key_hash(key), key);
	if (sub == NULL)
		return;
	if (number > sub->told)
		sub->told = number;
	if (!sub->answered && !sub->in_flight) {
		sub->again = true;
		io_timer_start(s->io, &sub->timer, FIRST_MS, on_retry);
	}
	sub->answered = true;
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
			push_again(sub);
}

/* ---- for those who ask */

static void put_subscriber(const struct subscription *sub, struct text *to)
{
	const struct session *s = sub->session;
	int64_t now_ms = clock_ms();
	subscriber_put(to, &(struct subscriber){
		.kind = CLIENT_GRPC,
		.key = sub->topic->feed.key,
		.client = s->id,
		.ip = s->peer,
		.port = s->peer_port,
		.agent = s->version,
		.app = s->app[0] != '\0' ? s->app : "unknown",
		.clusters = sub->clusters,
		.told = sub->told,
		.sent = sub->sent,
		.pushes = sub->pushes,
		.acks = sub->acks,
		.retries = sub->retries,
		.pending = sub->pending,
		.pending_ms = sub->pending ? now_ms - sub->pending_ms : 0,
		.age_ms = now_ms - sub->since_ms,
	});
}

void push_each_subscriber(struct io *io, const struct service_key *key, struct text *to)
{
	const struct topic *t = map_find(&io->topics, service_key_hash(key), key);
	for (const struct subscription *sub = t != NULL ? t->first : NULL; sub != NULL; sub = sub->next)
		put_subscriber(sub, to);
}

void push_each_subscription(struct io *io, const char *client, struct text *to)
{
	const struct subscription *sub;
	for (const struct session *s = io->sessions; s != NULL; s = s->next)
		if (strcmp(s->id, client) == 0)
			for (size_t at = 0; (sub = map_next(&s->subscriptions, &at)) != NULL;)
				put_subscriber(sub, to);
}

unsigned push_pending(const struct session *s)
{
	const struct subscription *sub;
	unsigned n = 0;
	for (size_t at = 0; (sub = map_next(&s->subscriptions, &at)) != NULL;)
		n += sub->pending;
	return n;
}

/* ---- the thread's */

static void declare_metrics(struct push_cells *c)
{
	static const char help[] = "Pushes to gRPC subscribers, by what became of them.";
	c->subscriptions = metrics_gauge("grpc_subscriptions", "Subscriptions of gRPC connections.", NULL);
	c->pending = metrics_gauge("grpc_pushes_pending",
				   "Subscriptions whose newest push is not acknowledged, or waits for room.", NULL);
	c->lag = metrics_histogram("grpc_push_lag_seconds",
				   "From the moment that news was to be sent to a subscriber until it acknowledged the newest.", NULL);
	c->sent = metrics_counter("grpc_pushes_total", help, "result=\"sent\"");
	c->acked = metrics_counter("grpc_pushes_total", help, "result=\"acked\"");
	c->refused = metrics_counter("grpc_pushes_total", help, "result=\"refused\"");
	c->timed_out = metrics_counter("grpc_pushes_total", help, "result=\"unacked\"");
	c->delayed = metrics_counter("grpc_pushes_total", help, "result=\"delayed\"");
}

int push_open(struct io *io)
{
	handles_init(&io->push_handles);
	text_init(&io->encode);
	declare_metrics(&io->push);
	return topics_open(io);
}

void push_close(struct io *io)
{
	topics_close(io);
}

void push_free(struct io *io)
{
	topics_free(io);
	handles_done(&io->push_handles);
	text_done(&io->encode);
}

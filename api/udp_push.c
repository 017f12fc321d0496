/* udp_push.c - see udp_push.h.
 *
 * The happy path of a change: news > the newest view's datagram, encoded once > a batch of datagrams > in flight until
 * the client acknowledges it. Without that it is sent once more after ack_ms, and is given up after as long again. What
 * the kernel has no room for is late: it goes, as what is newest then, when there is room. */
#include "api/udp_push.h"

#include "api/info_body.h"
#include "api/io.h"
#include "api/udp_packet.h"
#include "api/udp_poll.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
	TRIES = 2,
	/* A Java client whose list is empty polls after 1, 2, 4 ... at last 60 s. */
	EMPTY_EXPIRY_MS = 90000,
	REF_BYTES = 8, /* in front of a datagram in its encoding */
};

struct udp_batch {
	struct udp_socket *socket;
	unsigned count;
	struct {
		struct udp_subscription *sub;
		struct encoding *body;
		uint64_t number;
	} at[UDP_BATCH];
	struct udp_datagram datagrams[UDP_BATCH];
};

/* ---- datagrams */

/* Of the newest view, with the number that is to be acknowledged in front, and nothing behind that where it is too
 * large; NULL: the service is missing, or no memory. *@number: 0 if it is missing. */
static struct encoding *datagram(struct udp_push *u, const struct topic *t, const char *clusters, uint64_t *number)
{
	struct io *io = u->io;
	const struct service_view *v = registry_view(io->api->registry, &t->feed.key);
	struct list_query q = {
		.clusters = clusters,
		.cache_ms = registry_switches(io->api->registry)->push_cache_ms,
	};
	*number = v != NULL ? v->number : 0;
	if (v == NULL)
		return NULL;
	struct encoding_key at = info_body_key(v, &q, SHAPE_UDP);
	struct encoding *c = encodings_find(&io->encodings, &at);
	if (c != NULL)
		return c;
	struct encoding *info = info_body(io, &t->feed.key, v, &q, SHAPE_V1);
	if (info == NULL)
		return NULL;
	uint64_t now = (uint64_t)clock_wall_ms() * 1000; /* below 2^53 until 2255: Node reads a double */
	uint64_t ref = now > u->last_ref ? now : u->last_ref + 1;
	u->last_ref = ref;
	text_clear(&u->packet);
	text_put(&u->packet, &ref, REF_BYTES);
	udp_packet_write(&u->packet, &u->scratch, info->body, info->len, ref);
	encoding_release(info);
	return u->packet.failed ? NULL : encodings_add(&io->encodings, &at, u->packet.at, u->packet.len);
}

static uint64_t datagram_ref(const struct encoding *c)
{
	uint64_t ref;
	memcpy(&ref, c->body, REF_BYTES);
	return ref;
}

/* ---- what is in flight: by address and number */

struct flight {
	const union udp_address *to;
	uint64_t ref;
};

static uint64_t flight_hash(const struct flight *f)
{
	return hash_more(udp_address_hash(f->to), &f->ref, sizeof(f->ref));
}

static bool flight_equal(const void *value, const void *key)
{
	const struct udp_subscription *sub = value;
	const struct flight *f = key;
	return sub->ref == f->ref && udp_address_same(&sub->client->at, f->to);
}

static void flight_end(struct udp_push *u, struct udp_subscription *sub)
{
	struct flight f = { &sub->client->at, sub->ref };
	if (sub->tries == 0)
		return;
	map_remove(&u->in_flight, flight_hash(&f), &f);
	io_timer_stop(u->io, &sub->ack);
	sub->tries = 0;
}

static void push_now(struct udp_push *u, struct udp_subscription *sub);
static void flush(struct udp_push *u);

static struct udp_push *push_of(const struct udp_subscription *sub)
{
	return sub->topic->io->api->udp;
}

/* For people and metrics; what is sent when does not depend on it. */
static void set_pending(struct udp_push *u, struct udp_subscription *sub, bool pending)
{
	if (sub->pending == pending)
		return;
	sub->pending = pending;
	if (pending)
		sub->pending_ms = clock_ms();
	metrics_shift(u->cells.pending, pending ? 1 : -1);
}

/* What was pushed last goes nowhere: its client had better ask. */
static void given_up(struct udp_push *u, struct udp_subscription *sub, uint64_t number)
{
	sub->told = number;
	sub->deaf = true;
	set_pending(u, sub, false);
}

static void on_unacked(struct io_timer *timer)
{
	struct udp_subscription *sub = (struct udp_subscription *)((char *)timer - offsetof(struct udp_subscription, ack));
	struct udp_push *u = push_of(sub);
	unsigned tries = sub->tries;
	flight_end(u, sub);
	if (tries >= TRIES) {
		metrics_add(u->cells.unacked, 1);
		given_up(u, sub, sub->sent);
		return;
	}
	metrics_add(u->cells.again, 1);
	sub->retries++;
	uint64_t before = sub->sent;
	push_now(u, sub);
	flush(u);
	if (sub->tries > 0 && sub->sent == before)
		sub->tries = tries + 1;
}

static void flight_begin(struct udp_push *u, struct udp_subscription *sub, uint64_t ref, uint64_t number)
{
	struct flight f = { &sub->client->at, ref };
	flight_end(u, sub);
	sub->pushes++;
	sub->sent = number;
	sub->ref = ref;
	if (map_add(&u->in_flight, flight_hash(&f), sub) < 0)
		return; /* no memory: nobody will look for its acknowledgement */
	sub->tries = 1;
	io_timer_start(u->io, &sub->ack, u->io->conf.udp.ack_ms, on_unacked);
}

/* ---- out */

static void late_remove(struct udp_push *u, struct udp_subscription *sub)
{
	if (!sub->late)
		return;
	*(sub->late_prev != NULL ? &sub->late_prev->late_next : &u->late) = sub->late_next;
	if (sub->late_next != NULL)
		sub->late_next->late_prev = sub->late_prev;
	sub->late = false;
}

static void late_add(struct udp_push *u, struct udp_subscription *sub)
{
	if (sub->late)
		return;
	metrics_add(u->cells.late, 1);
	sub->late = true;
	sub->late_prev = NULL;
	sub->late_next = u->late;
	if (sub->late_next != NULL)
		sub->late_next->late_prev = sub;
	u->late = sub;
}

static bool no_room(int why)
{
	return why == EAGAIN || why == EWOULDBLOCK || why == ENOBUFS || why == EINTR;
}

/* Hands the batch to the kernel: what it refuses is given up, what it has no room for is late. */
static void flush(struct udp_push *u)
{
	struct udp_batch *b = u->batch;
	for (unsigned at = 0; at < b->count;) {
		int why;
		unsigned sent = udp_socket_send(b->socket, b->datagrams + at, b->count - at, &why);
		metrics_add(u->cells.sent, sent);
		for (unsigned end = at + sent; at < end; at++)
			flight_begin(u, b->at[at].sub, datagram_ref(b->at[at].body), b->at[at].number);
		if (at == b->count)
			break;
		if (no_room(why)) {
			for (; at < b->count; at++)
				late_add(u, b->at[at].sub);
			udp_socket_want_room(b->socket);
		} else {
			metrics_add(u->cells.failed, 1);
			given_up(u, b->at[at].sub, b->at[at].number);
			at++;
		}
	}
	for (unsigned i = 0; i < b->count; i++)
		encoding_release(b->at[i].body);
	b->count = 0;
}

/* Into the batch; @body is taken. */
static void enqueue(struct udp_push *u, struct udp_subscription *sub, struct encoding *body, uint64_t number)
{
	struct udp_batch *b = u->batch;
	struct udp_socket *socket = udp_socket_for(&u->sockets, &sub->client->at);
	if (b->count == UDP_BATCH || (b->count > 0 && b->socket != socket))
		flush(u);
	set_pending(u, sub, true);
	b->socket = socket;
	b->at[b->count].sub = sub;
	b->at[b->count].body = body;
	b->at[b->count].number = number;
	b->datagrams[b->count++] = (struct udp_datagram){ &sub->client->at, body->body + REF_BYTES, body->len - REF_BYTES };
}

/* The newest view, unless it has arrived or is in flight. The caller flushes. */
static void push_now(struct udp_push *u, struct udp_subscription *sub)
{
	uint64_t number;
	rcu_begin();
	struct encoding *c = datagram(u, sub->topic, sub->clusters, &number);
	rcu_end();
	late_remove(u, sub);
	if (c == NULL)
		return; /* its next poll will tell */
	if (number <= sub->told || (sub->tries > 0 && number <= sub->sent)) {
		encoding_release(c);
	} else if (c->len == REF_BYTES || c->len - REF_BYTES > sub->gate->datagram_max) {
		metrics_add(u->cells.large, 1);
		flight_end(u, sub);
		given_up(u, sub, number);
		encoding_release(c);
	} else {
		enqueue(u, sub, c, number);
	}
}

static void on_room(void *arg)
{
	struct udp_push *u = arg;
	struct udp_subscription *sub = u->late;
	u->late = NULL;
	for (struct udp_subscription *s = sub; s != NULL; s = s->late_next)
		s->late = false;
	for (struct udp_subscription *next; sub != NULL; sub = next) {
		next = sub->late_next;
		push_now(u, sub);
	}
	flush(u);
}

void udp_push_news(struct topic *t)
{
	struct udp_push *u = t->io->api->udp;
	for (struct udp_subscription *sub = t->first_udp; sub != NULL; sub = sub->next)
		push_now(u, sub);
	if (t->first_udp != NULL)
		flush(u);
}

/* ---- in */

static void on_datagram(void *arg, const union udp_address *from, const char *at, size_t len)
{
	struct udp_push *u = arg;
	struct flight f = { from, len <= UDP_ACK_MAX ? udp_ack_read(at, len) : 0 };
	struct udp_subscription *sub = f.ref != 0 ? map_find(&u->in_flight, flight_hash(&f), &f) : NULL;
	if (sub == NULL) {
		metrics_add(f.ref != 0 ? u->cells.stray : u->cells.garbage, 1);
		return;
	}
	flight_end(u, sub);
	metrics_add(u->cells.acked, 1);
	metrics_observe(u->cells.lag, (double)(clock_ms() - sub->pending_ms) * 1e-3);
	set_pending(u, sub, sub->late);
	sub->acks++;
	sub->told = sub->acked = sub->sent;
	sub->deaf = false;
	if (sub->gate->rests_on_pushes)
		sub->renewed_ms = clock_ms();
}

/* ---- subscriptions */

struct subscription_key {
	const struct service_key *service;
	const char *clusters;
	size_t clusters_len;
	const union udp_address *to;
};

static uint64_t key_hash(const struct subscription_key *k)
{
	uint64_t parts[2] = { service_key_hash(k->service), udp_address_hash(k->to) };
	return hash_more(hash_bytes(parts, sizeof(parts)), k->clusters, k->clusters_len);
}

static bool subscription_equal(const void *value, const void *key)
{
	const struct udp_subscription *sub = value;
	const struct subscription_key *k = key;
	return sub->clusters_len == k->clusters_len && memcmp(sub->clusters, k->clusters, k->clusters_len) == 0 &&
	       udp_address_same(&sub->client->at, k->to) && topic_is(sub->topic, k->service);
}

static void link_subscription(struct udp_subscription *sub)
{
	struct topic *t = sub->topic;
	struct udp_client *c = sub->client;
	sub->next = t->first_udp;
	if (sub->next != NULL)
		sub->next->prev = sub;
	t->first_udp = sub;
	t->count++;
	sub->client_next = c->first;
	if (sub->client_next != NULL)
		sub->client_next->client_prev = sub;
	c->first = sub;
	c->subscriptions++;
	c->host->subscriptions++;
}

static void unlink_subscription(struct udp_subscription *sub)
{
	struct topic *t = sub->topic;
	struct udp_client *c = sub->client;
	*(sub->prev != NULL ? &sub->prev->next : &t->first_udp) = sub->next;
	if (sub->next != NULL)
		sub->next->prev = sub->prev;
	t->count--;
	*(sub->client_prev != NULL ? &sub->client_prev->client_next : &c->first) = sub->client_next;
	if (sub->client_next != NULL)
		sub->client_next->client_prev = sub->client_prev;
	c->subscriptions--;
	c->host->subscriptions--;
}

static void subscription_free(struct udp_push *u, struct udp_subscription *sub)
{
	struct topic *t = sub->topic;
	struct subscription_key key = { &t->feed.key, sub->clusters, sub->clusters_len, &sub->client->at };
	flight_end(u, sub);
	late_remove(u, sub);
	io_timer_stop(u->io, &sub->expiry);
	map_remove(&u->subscriptions, key_hash(&key), &key);
	set_pending(u, sub, false);
	unlink_subscription(sub);
	udp_client_drop(&u->clients, sub->client);
	metrics_set(u->cells.subscriptions, --u->count);
	mem_free(sub);
}

static void on_expiry(struct io_timer *timer)
{
	struct udp_subscription *sub =
	    (struct udp_subscription *)((char *)timer - offsetof(struct udp_subscription, expiry));
	struct udp_push *u = push_of(sub);
	struct topic *t = sub->topic;
	int64_t limit = u->io->conf.udp.expiry_ms;
	if (sub->may_be_empty && limit < EMPTY_EXPIRY_MS)
		limit = EMPTY_EXPIRY_MS;
	int64_t left = sub->renewed_ms + limit - clock_ms();
	if (left > 0) {
		io_timer_start(u->io, &sub->expiry, left, on_expiry);
		return;
	}
	metrics_add(u->cells.expired, 1);
	subscription_free(u, sub);
	topic_settle(t);
}

void udp_push_topic_lost(struct topic *t)
{
	while (t->first_udp != NULL)
		subscription_free(t->io->api->udp, t->first_udp);
}

/* Is there room for one more of @h? */
static bool has_room(struct udp_push *u, const struct udp_host *h)
{
	const struct udp_push_conf *conf = &u->io->conf.udp;
	if (u->count >= conf->subscriptions) {
		metrics_add(u->cells.refused_total, 1);
		log_warn("push", "no place for one more UDP subscription: push.udp_subscriptions (%u) is reached", conf->subscriptions);
		return false;
	}
	if (h->subscriptions >= conf->subscriptions_per_address) {
		metrics_add(u->cells.refused_address, 1);
		log_warn("push", "too many UDP subscriptions of one address: push.udp_subscriptions_per_address (%u) is reached",
			 conf->subscriptions_per_address);
		return false;
	}
	return true;
}

static struct udp_subscription *subscription_alloc(const struct subscription_key *key, const struct udp_wish *w)
{
	struct udp_subscription *sub = mem_zalloc(1, sizeof(*sub) + key->clusters_len + 1);
	if (sub == NULL)
		return NULL;
	sub->gate = w->gate;
	sub->told = w->told;
	sub->clusters_len = (uint16_t)key->clusters_len;
	memcpy(sub->clusters, w->clusters, key->clusters_len + 1);
	return sub;
}

/* NULL: no memory. */
static struct udp_subscription *subscription_new(struct udp_push *u, const struct subscription_key *key,
						 const struct udp_wish *w, struct topic *t, struct udp_client *c)
{
	struct udp_subscription *sub = subscription_alloc(key, w);
	if (sub == NULL)
		return NULL;
	sub->topic = t;
	sub->client = c;
	if (map_add(&u->subscriptions, key_hash(key), sub) < 0) {
		mem_free(sub);
		return NULL;
	}
	sub->since_ms = clock_ms();
	link_subscription(sub);
	io_timer_start(u->io, &sub->expiry, u->io->conf.udp.expiry_ms, on_expiry);
	metrics_add(u->cells.made, 1);
	metrics_set(u->cells.subscriptions, ++u->count);
	return sub;
}

static struct udp_subscription *subscribe(struct udp_push *u, const struct subscription_key *key, const struct udp_wish *w)
{
	struct udp_subscription *sub = NULL;
	struct udp_client *c = udp_client_get(&u->clients, &w->to);
	struct topic *t = NULL;
	if (c != NULL && !has_room(u, c->host)) {
		udp_client_drop(&u->clients, c);
		return NULL;
	}
	if (c != NULL)
		t = topic_get(u->io, key->service);
	if (t != NULL)
		sub = subscription_new(u, key, w, t, c);
	if (sub == NULL)
		metrics_add(u->cells.refused_memory, 1);
	if (c != NULL)
		udp_client_drop(&u->clients, c);
	if (t != NULL)
		topic_settle(t); /* freed if it has nobody */
	return sub;
}

static void renew(struct udp_subscription *sub, const struct udp_wish *w)
{
	struct udp_client *c = sub->client;
	c->polled_ms = sub->renewed_ms = clock_ms();
	sub->may_be_empty = w->may_be_empty;
	sub->gate = w->gate;
	if (w->told > sub->answered)
		sub->answered = w->told;
	memcpy(c->agent, w->agent, sizeof(c->agent));
	memcpy(c->app, w->app, sizeof(c->app));
}

bool udp_push_subscribe(struct udp_push *u, const struct udp_wish *w)
{
	struct subscription_key key = { &w->key, w->clusters, strlen(w->clusters), &w->to };
	if (u->io->draining || udp_socket_for(&u->sockets, &w->to) == NULL)
		return false;
	struct udp_subscription *sub = map_find(&u->subscriptions, key_hash(&key), &key);
	bool is_new = sub == NULL;
	if (is_new)
		sub = subscribe(u, &key, w);
	if (sub == NULL)
		return false;
	renew(sub, w);
	if (is_new && sub->topic->joined) { /* what came since the answer was read has been told to others already */
		push_now(u, sub);
		flush(u);
	}
	return !sub->deaf;
}

/* ---- the thread's */

static void declare_metrics(struct udp_cells *c)
{
	static const char push_help[] = "Pushes to UDP subscribers, by what became of them.";
	static const char subscription_help[] = "UDP subscriptions that were made, ended because their polls stayed away, or were refused.";
	static const char ignored_help[] = "Datagrams on the port of UDP push that acknowledge nothing that is under way.";
	c->subscriptions = metrics_gauge("udp_subscriptions", "Subscriptions of 1.x clients, which are pushed to over UDP.", NULL);
	c->made = metrics_counter("udp_subscriptions_total", subscription_help, "result=\"made\"");
	c->expired = metrics_counter("udp_subscriptions_total", subscription_help, "result=\"expired\"");
	c->refused_total = metrics_counter("udp_subscriptions_total", subscription_help, "result=\"refused_total\"");
	c->refused_address = metrics_counter("udp_subscriptions_total", subscription_help, "result=\"refused_address\"");
	c->refused_memory = metrics_counter("udp_subscriptions_total", subscription_help, "result=\"refused_memory\"");
	c->pending = metrics_gauge("udp_pushes_pending", "Subscriptions over UDP whose newest push is not acknowledged, or waits for room.", NULL);
	c->lag = metrics_histogram("udp_push_lag_seconds",
				   "From the moment that news was to be sent to a UDP subscriber until it acknowledged the newest.", NULL);
	c->sent = metrics_counter("udp_pushes_total", push_help, "result=\"sent\"");
	c->again = metrics_counter("udp_pushes_total", push_help, "result=\"repeated\"");
	c->acked = metrics_counter("udp_pushes_total", push_help, "result=\"acked\"");
	c->unacked = metrics_counter("udp_pushes_total", push_help, "result=\"unacked\"");
	c->failed = metrics_counter("udp_pushes_total", push_help, "result=\"failed\"");
	c->large = metrics_counter("udp_pushes_total", push_help, "result=\"too_large\"");
	c->late = metrics_counter("udp_pushes_total", push_help, "result=\"delayed\"");
	c->garbage = metrics_counter("udp_datagrams_ignored_total", ignored_help, "reason=\"garbage\"");
	c->stray = metrics_counter("udp_datagrams_ignored_total", ignored_help, "reason=\"unknown\"");
}

static void on_relayed(void *arg, struct inbox_message *first, unsigned count)
{
	struct udp_push *u = arg;
	(void)count;
	for (struct inbox_message *m = first, *next; m != NULL; m = next) {
		next = m->next;
		udp_push_subscribe(u, udp_relayed_wish(m));
		mem_free(m);
	}
}

/* The hosts of HTTP for clients, each with the port above that of its first address; a free one stays one. */
static unsigned addresses_of_http(const struct doors *doors, struct sockaddr_storage *ret)
{
	unsigned n = 0;
	for (size_t i = 0; i < doors->count && n < UDP_SOCKETS_MAX; i++) {
		const struct sockaddr_storage *at = &doors->at[i].asked;
		bool known = doors->at[i].kind != DOOR_PUBLIC;
		for (unsigned k = 0; k < n && !known; k++)
			known = udp_host_same((const union udp_address *)at, (const union udp_address *)&ret[k]);
		if (known)
			continue;
		ret[n] = *at;
		union udp_address *to = (union udp_address *)&ret[n++];
		in_port_t *port = at->ss_family == AF_INET ? &to->v4.sin_port : &to->v6.sin6_port;
		if (*port != 0)
			*port = htons((uint16_t)(ntohs(*port) + 1));
	}
	return n;
}

static int bind_all(struct udp_push *u, const struct api *a, struct error *err)
{
	struct sockaddr_storage http[UDP_SOCKETS_MAX];
	const struct udp_push_conf *conf = &a->conf.udp;
	if (conf->listen_count > 0)
		return udp_sockets_bind(&u->sockets, conf->listens, (unsigned)conf->listen_count, err);
	return udp_sockets_bind(&u->sockets, http, addresses_of_http(&a->doors, http), err);
}

int udp_push_open(struct api *a, struct io *io, struct error *err)
{
	if (a->conf.udp.subscriptions == 0)
		return E_OK;
	struct udp_push *u = mem_zalloc(1, sizeof(*u));
	struct udp_batch *b = mem_zalloc(1, sizeof(*b));
	if (u == NULL || b == NULL) {
		mem_free(u);
		mem_free(b);
		return error_set(err, E_NOMEM, "no memory for UDP push");
	}
	u->io = io;
	u->batch = b;
	u->sockets.on_datagram = on_datagram;
	u->sockets.on_room = on_room;
	u->sockets.arg = u;
	map_init(&u->subscriptions, subscription_equal);
	udp_clients_init(&u->clients);
	map_init(&u->in_flight, flight_equal);
	text_init(&u->packet);
	text_init(&u->scratch);
	declare_metrics(&u->cells);
	a->udp = u; /* closed and freed with @io from here on */
	int rc = inbox_open(&u->relayed, &io->loop, on_relayed, u);
	if (rc < 0)
		return error_set(err, rc, "no inbox for UDP push");
	rc = bind_all(u, a, err);
	return rc < 0 ? rc : udp_sockets_poll(&u->sockets, &io->loop, err);
}

size_t api_udp_addresses(const struct api *a, struct sockaddr_storage *ret, size_t max)
{
	size_t n = 0;
	for (; a->udp != NULL && n < a->udp->sockets.count && n < max; n++)
		memcpy(&ret[n], &a->udp->sockets.at[n].bound, sizeof(a->udp->sockets.at[n].bound));
	return n;
}

void udp_push_close(struct udp_push *u)
{
	if (u == NULL)
		return;
	udp_sockets_close(&u->sockets);
	if (u->relayed != NULL)
		inbox_close(u->relayed, NULL, NULL);
	u->relayed = NULL;
}

void udp_push_free(struct udp_push *u)
{
	struct udp_subscription *sub;
	if (u == NULL)
		return;
	for (size_t at = 0; (sub = map_next(&u->subscriptions, &at)) != NULL;)
		mem_free(sub);
	udp_clients_done(&u->clients);
	map_done(&u->subscriptions);
	map_done(&u->in_flight);
	text_done(&u->packet);
	text_done(&u->scratch);
	mem_free(u->batch);
	mem_free(u);
}

/* tcp.c - connections of one worker. Happy path: on_connection > reading; bytes come into the worker's buffer, or
 * behind the part of a message that the connection keeps > every whole message is answered into the worker's output
 * buffer > one write > reading on. Over TLS the bytes are opened first, and the output buffer is sealed before that one
 * write. What the socket does not take at once is kept by the connection, and it is not read
 * from until that is written: so a client that never reads costs one output buffer until its idle time is over. Ends:
 * the peer closes (what it sent before is answered, by the forwarder too), idle, a slow message, a bad length, a limit, an error; all by
 * conn_close(), and the close callback frees. */
#include "dnsd/tcp.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "dnsd/tcp_input.h"
#include <assert.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

enum {
	READ_MAX = 65536,
	OUT_MAX = 2 * FRAME_MAX,
	BUCKETS = 1024, /* of client prefixes */
	BACKLOG = 1024,
	SWEEP_MS = 250,
	PLAIN_MAX = READ_MAX + 32768, /* of one read, and of the record that was begun before */
	FORWARDED_MAX = 64, /* questions of one connection that wait for the forwarder */
};

struct conn_list { /* oldest first */
	struct conn *first, *last;
};

struct conn {
	uv_tcp_t tcp;
	uv_write_t write;
	struct tcp_front *front;
	struct conn *next, *prev; /* in @list */
	struct conn_list *list;	  /* idle or partial of the front; NULL: closing */
	int64_t since_ms;	  /* idle: of its last question or progress; partial: of the message's first octet */
	struct conn *prefix_next;
	uint64_t prefix;
	struct client client;
	struct dns_place place; /* where it came in; outlives the listener */
	struct tcp_input in;
	uint8_t *out; /* being written */
	bool writing; /* and not read from meanwhile */
	struct tls_session *tls; /* NULL: in the clear */
	struct asker asker;	   /* waits for answers of the forwarder */
	unsigned asked;		   /* so many */
	struct forward_query *late; /* answers of the forwarder behind what is being written */
	bool ended;		   /* the peer sends no more; closed when nothing is asked */
	struct transfer *transfer; /* on its way: nothing else is answered, or read, before it is through; NULL: none */
};

struct listening {
	uv_tcp_t tcp;
	struct listening *next;
	struct dns_place place;
	bool secure;
	bool starved; /* a peer waits, and there was no memory for it */
};

struct tcp_front {
	uv_loop_t *loop;
	struct tcp_conf conf;
	struct responder *responder;
	uv_timer_t sweep; /* runs while there is a connection */
	struct listening *listenings;
	struct conn_list idle, partial;
	unsigned count;
	bool closing;
	struct conn *buckets[BUCKETS];
	struct exchange exchange;
	uint8_t in[READ_MAX];
	uint8_t out[OUT_MAX];
	size_t out_len;
	uint8_t *plain;		/* PLAIN_MAX; NULL: no listener is secured */
	struct tls_sink sealed; /* empty between callbacks */
};

/* Lists. */

static void list_remove(struct conn *c)
{
	struct conn_list *l = c->list;
	*(c->prev != NULL ? &c->prev->next : &l->first) = c->next;
	*(c->next != NULL ? &c->next->prev : &l->last) = c->prev;
	c->next = c->prev = NULL;
	c->list = NULL;
}

static void list_append(struct conn_list *l, struct conn *c, int64_t now_ms)
{
	c->prev = l->last;
	c->next = NULL;
	*(l->last != NULL ? &l->last->next : &l->first) = c;
	l->last = c;
	c->list = l;
	c->since_ms = now_ms;
}

/* Nothing is read or answered before what is under way is written. */
static bool conn_busy(const struct conn *c)
{
	return c->writing || c->transfer != NULL;
}

static enum transport conn_transport(const struct conn *c)
{
	return c->tls != NULL ? TRANSPORT_TLS : TRANSPORT_TCP;
}

static int64_t front_now(const struct tcp_front *f)
{
	return (int64_t)uv_now(f->loop);
}

/* After a change: waits for a question, or for the rest of one. @fresh: something was completed meanwhile. */
static void conn_rank(struct conn *c, bool fresh)
{
	struct tcp_front *f = c->front;
	struct conn_list *l = c->in.len > 0 && !conn_busy(c) ? &f->partial : &f->idle;
	if (c->list == l && !fresh)
		return; /* the clock of a message started, or of a connection that asks nothing, runs on */
	list_remove(c);
	list_append(l, c, front_now(f));
}

/* Ends. */

static struct conn **bucket_of(struct tcp_front *f, uint64_t prefix)
{
	return &f->buckets[prefix % BUCKETS];
}

static void on_conn_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;
	tcp_input_clear(&c->in);
	mem_free(c->out);
	tls_session_free(c->tls);
	mem_free(c);
}

/* What it asked of the forwarder is nobody's any more. */
static void conn_forget(struct conn *c)
{
	struct forwarding *g = c->front->responder->forwarding;
	forwarding_leave(g, &c->asker);
	for (struct inbox_message *m = c->late != NULL ? &c->late->message : NULL, *next; m != NULL; m = next) {
		next = m->next;
		forward_query_free(g->forward, (struct forward_query *)m);
	}
	c->late = NULL;
}

/* So that the peer knows that nothing was cut off; if the socket does not take it, that is that. */
static void say_goodbye(struct conn *c)
{
	struct tls_sink *sealed = &c->front->sealed;
	sealed->len = 0;
	tls_session_end(c->tls, sealed);
	uv_buf_t buf = uv_buf_init((char *)sealed->at, (unsigned)sealed->len);
	if (sealed->len > 0)
		uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
}

static void conn_close(struct conn *c, enum close_reason why)
{
	struct tcp_front *f = c->front;
	if (c->list == NULL)
		return;
	if (c->tls != NULL && !c->writing && why != CLOSE_ERROR)
		say_goodbye(c);
	f->sealed.len = 0;
	list_remove(c);
	if (c->transfer != NULL)
		transfer_free(c->transfer);
	c->transfer = NULL;
	if (f->responder->forwarding != NULL)
		conn_forget(c);
	struct conn **at = bucket_of(f, c->prefix);
	while (*at != c)
		at = &(*at)->prefix_next;
	*at = c->prefix_next;
	f->count--;
	metrics_add(f->responder->tally.cells->closed[why], 1);
	metrics_add(f->responder->tally.cells->connections, (uint64_t)-1);
	uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

static int64_t idle_limit(const struct tcp_front *f)
{
	return f->count > f->conf.max - f->conf.max / 4 ? f->conf.idle_ms / 5 : f->conf.idle_ms;
}

static void accept_one(struct tcp_front *f, struct listening *l);

static void on_sweep(uv_timer_t *timer)
{
	struct tcp_front *f = timer->data;
	int64_t now = front_now(f), idle = idle_limit(f);
	while (f->idle.first != NULL && now - f->idle.first->since_ms >= idle)
		conn_close(f->idle.first, CLOSE_IDLE);
	while (f->partial.first != NULL && now - f->partial.first->since_ms >= f->conf.message_ms)
		conn_close(f->partial.first, CLOSE_SLOW);
	if (f->count == 0)
		uv_timer_stop(timer); /* an idle worker sleeps */
	for (struct listening *l = f->listenings; l != NULL; l = l->next)
		if (l->starved)
			accept_one(f, l);
}

static void sweep_start(struct tcp_front *f)
{
	if (uv_is_active((uv_handle_t *)&f->sweep))
		return;
	int64_t least = f->conf.message_ms < f->conf.idle_ms / 5 ? f->conf.message_ms : f->conf.idle_ms / 5;
	uint64_t every = least / 8 < SWEEP_MS ? (uint64_t)(least / 8 + 1) : SWEEP_MS;
	uv_timer_start(&f->sweep, on_sweep, every, every);
}

/* Answers. */

/* The message of @n octets behind the output buffer's end, but for its length, is one more; 0: there is none. */
static void out_add(struct tcp_front *f, size_t n)
{
	uint8_t *to = f->out + f->out_len;
	if (n == 0)
		return;
	to[0] = (uint8_t)(n >> 8);
	to[1] = (uint8_t)n;
	f->out_len += FRAME_HEAD + n;
}

static void on_transfer(void *arg);

/* Begins the transfer that the exchange asks for; or returns the length of its refusal at @to. */
static size_t conn_transfer(struct conn *c, uint8_t *to)
{
	struct tcp_front *f = c->front;
	struct sockaddr_storage peer = { 0 };
	int peer_len = sizeof peer;
	size_t len;
	uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &peer_len);
	c->transfer = transfer_begin(f->conf.transfers, &f->exchange, (const struct sockaddr *)&peer, on_transfer, c, to,
				     DNS_MESSAGE_MAX, &len);
	return len;
}

/* Its answer comes when it comes: later questions may be answered before (RFC 7766, 7). */
static bool conn_forward(struct conn *c, const uint8_t *msg, size_t len)
{
	struct tcp_front *f = c->front;
	struct forwarding_question w = { .msg = msg, .len = len };
	if (c->asked >= FORWARDED_MAX || !respond_ask(f->responder, &f->exchange, &c->asker, &w))
		return false;
	c->asked++;
	return true;
}

/* Answers whole messages of @unread into the output buffer, while a largest answer still fits. Why it went no further:
 * FRAME_WHOLE: something else comes first. @any: there was one. */
static enum frame_state answer_some(struct conn *c, struct cursor *unread, bool *any)
{
	struct tcp_front *f = c->front;
	struct dns_query *q = &f->exchange.question.query;
	enum frame_state state = FRAME_WHOLE;
	struct cursor msg;
	f->exchange.client = c->client;
	q->client = c->client.bucket;
	q->at = &c->place;
	q->now_ms = clock_wall_ms();
	respond_begin(f->responder);
	while (c->transfer == NULL && OUT_MAX - f->out_len >= FRAME_MAX) {
		state = tcp_input_next(unread, &msg);
		if (state != FRAME_WHOLE)
			break;
		*any = true;
		size_t len = cursor_left(&msg);
		uint8_t *to = f->out + f->out_len + FRAME_HEAD;
		size_t n = respond_message(f->responder, &f->exchange, msg.at, len, conn_transport(c), to, DNS_MESSAGE_MAX);
		if (f->exchange.fate == QUESTION_FORWARD && !conn_forward(c, msg.at, len))
			n = respond_write(f->responder, &f->exchange, to, DNS_MESSAGE_MAX);
		if (f->exchange.fate == QUESTION_TRANSFER)
			n = conn_transfer(c, to);
		out_add(f, n);
	}
	respond_end(f->responder);
	tally_flush(&f->responder->tally);
	return state;
}

static void conn_go_on(struct conn *c);

static void on_written(uv_write_t *write, int status)
{
	struct conn *c = write->data;
	mem_free(c->out);
	c->out = NULL;
	c->writing = false;
	if (c->list == NULL)
		return; /* closing: status says so */
	if (status < 0)
		conn_close(c, CLOSE_ERROR);
	else if (c->transfer != NULL)
		transfer_want(c->transfer);
	else
		conn_go_on(c);
}

/* Writes the output buffer: at once, and what is left by the loop. false: closed. */
static bool conn_write(struct conn *c)
{
	struct tcp_front *f = c->front;
	uint8_t *at = f->out;
	size_t len = f->out_len;
	f->out_len = 0;
	if (c->tls != NULL) {
		if (tls_session_write(c->tls, at, len, &f->sealed) < 0)
			return conn_close(c, CLOSE_ERROR), false;
		at = f->sealed.at;
		len = f->sealed.len;
		f->sealed.len = 0;
	}
	if (len == 0)
		return true;
	uv_buf_t buf = uv_buf_init((char *)at, (unsigned)len);
	int n = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
	if (n < 0 && n != UV_EAGAIN)
		return conn_close(c, CLOSE_ERROR), false;
	size_t sent = n > 0 ? (size_t)n : 0;
	if (sent == len)
		return true;
	c->out = mem_alloc(len - sent);
	if (c->out == NULL)
		return conn_close(c, CLOSE_ERROR), false;
	memcpy(c->out, at + sent, len - sent);
	buf = uv_buf_init((char *)c->out, (unsigned)(len - sent));
	c->write.data = c;
	if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) < 0)
		return conn_close(c, CLOSE_ERROR), false;
	c->writing = true;
	return true;
}

/* Answers all it can of what came and is not answered. */
static void conn_feed(struct conn *c, struct cursor unread)
{
	enum frame_state state = FRAME_WHOLE;
	bool any = false;
	while (!conn_busy(c) && state == FRAME_WHOLE) {
		state = answer_some(c, &unread, &any);
		if (!conn_write(c))
			return;
	}
	if (state == FRAME_BAD && !conn_busy(c))
		return conn_close(c, CLOSE_LENGTH);
	if (!tcp_input_keep(&c->in, &unread))
		return conn_close(c, CLOSE_ERROR);
	conn_rank(c, any || conn_busy(c));
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = handle->data;
	struct tcp_front *f = c->front;
	uint8_t *at = f->in;
	size_t room = sizeof f->in;
	(void)suggested;
	if (c->tls == NULL)
		room = tcp_input_room(&c->in, f->in, sizeof f->in, &at);
	*buf = uv_buf_init((char *)at, (unsigned)room); /* none: reported as UV_ENOBUFS */
}

static bool conn_is_through(const struct conn *c)
{
	return c->ended && c->asked == 0 && c->late == NULL && !conn_busy(c);
}

/* The peer sends no more: what it asked is still answered. */
static void conn_end(struct conn *c)
{
	c->ended = true;
	uv_read_stop((uv_stream_t *)&c->tcp);
	if (conn_is_through(c))
		conn_close(c, CLOSE_PEER);
}

/* Opens @len sealed octets, and goes on with what was in them. */
static void conn_unseal(struct conn *c, const uint8_t *at, size_t len)
{
	struct tcp_front *f = c->front;
	struct cursor unread;
	size_t got = 0;
	ssize_t n;
	tls_session_feed(c->tls, at, len);
	while ((n = tls_session_read(c->tls, f->plain + got, PLAIN_MAX - got, &f->sealed)) > 0)
		got += (size_t)n;
	if (got == 0)
		conn_write(c); /* the handshake's next message, or an alert */
	else if (tcp_input_append(&c->in, f->plain, got, &unread))
		conn_feed(c, unread);
	else
		conn_close(c, CLOSE_ERROR);
	if (c->list == NULL || n == 0)
		return;
	if (n == E_CLOSED)
		conn_end(c);
	else
		conn_close(c, CLOSE_ERROR);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = stream->data;
	if (n == UV_EOF)
		return conn_end(c);
	if (n < 0)
		return conn_close(c, CLOSE_ERROR);
	if (n == 0)
		return;
	if (c->tls != NULL)
		conn_unseal(c, (const uint8_t *)buf->base, (size_t)n);
	else
		conn_feed(c, tcp_input_received(&c->in, (const uint8_t *)buf->base, (size_t)n));
	if (c->list != NULL && conn_busy(c))
		uv_read_stop(stream);
}

/* One answer of the forwarder, while nothing is being written. false: closed. */
static bool conn_answer(struct conn *c, const struct forward_query *q)
{
	struct tcp_front *f = c->front;
	f->exchange.client = c->client;
	f->exchange.question.query.at = &c->place;
	respond_begin(f->responder);
	out_add(f, respond_forwarded(f->responder, &f->exchange, q, conn_transport(c),
				      f->out + f->out_len + FRAME_HEAD, DNS_MESSAGE_MAX));
	respond_end(f->responder);
	tally_flush(&f->responder->tally);
	if (!conn_write(c))
		return false;
	conn_rank(c, true);
	return true;
}

/* Those that waited behind a write. false: closed. */
static bool conn_answer_late(struct conn *c)
{
	while (c->late != NULL && !conn_busy(c)) {
		struct forward_query *q = c->late;
		c->late = (struct forward_query *)q->message.next;
		bool open = conn_answer(c, q);
		forward_query_free(c->front->responder->forwarding->forward, q);
		if (!open)
			return false;
	}
	return true;
}

static bool on_forwarded(struct asker *a, struct forward_query *q)
{
	struct conn *c = (struct conn *)(void *)((uint8_t *)a - offsetof(struct conn, asker));
	c->asked--;
	if (conn_busy(c) || c->late != NULL) {
		struct forward_query **last = &c->late;
		while (*last != NULL)
			last = (struct forward_query **)(void *)&(*last)->message.next;
		q->message.next = NULL;
		*last = q;
		return true;
	}
	if (conn_answer(c, q) && conn_is_through(c))
		conn_close(c, CLOSE_PEER);
	return false;
}

/* Its write is done: first what waited behind it, then reading. */
static void conn_go_on(struct conn *c)
{
	if (!conn_answer_late(c) || conn_busy(c))
		return;
	conn_feed(c, tcp_input_unread(&c->in));
	if (c->list == NULL || conn_busy(c))
		return;
	if (conn_is_through(c))
		conn_close(c, CLOSE_PEER);
	else if (!c->ended)
		uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

/* One message of the transfer; while the socket takes them whole, one each turn of the loop. */
static void on_transfer(void *arg)
{
	struct conn *c = arg;
	struct tcp_front *f = c->front;
	if (c->writing)
		return; /* on_written comes back to it */
	size_t n = transfer_next(c->transfer, f->out + FRAME_HEAD);
	if (n == TRANSFER_LATER) {
		transfer_want(c->transfer);
		return;
	}
	if (n == TRANSFER_LATE)
		return conn_close(c, CLOSE_SLOW);
	if (n == 0) {
		transfer_free(c->transfer);
		c->transfer = NULL;
		conn_go_on(c);
		return;
	}
	out_add(f, n);
	if (!conn_write(c))
		return;
	tally_flush(&f->responder->tally);
	conn_rank(c, true);
	if (!c->writing)
		transfer_want(c->transfer);
}

/* Beginnings. */

static struct conn *oldest(const struct tcp_front *f)
{
	return f->idle.first != NULL ? f->idle.first : f->partial.first;
}

/* The limits, before @fresh is counted: whoever was idle longest makes room. */
static void make_room(struct tcp_front *f, uint64_t prefix)
{
	unsigned same = 0;
	struct conn *longest = NULL;
	for (struct conn *c = *bucket_of(f, prefix); c != NULL; c = c->prefix_next) {
		if (c->prefix != prefix)
			continue;
		same++;
		if (longest == NULL || c->since_ms <= longest->since_ms) /* newest come first */
			longest = c;
	}
	if (longest != NULL && same >= f->conf.per_prefix)
		conn_close(longest, CLOSE_LIMIT);
	if (f->count >= f->conf.max && oldest(f) != NULL)
		conn_close(oldest(f), CLOSE_LIMIT);
}

/* The /32 or /64 of the peer. */
static uint64_t prefix_of(const struct sockaddr_storage *peer)
{
	uint64_t prefix = 0;
	if (peer->ss_family == AF_INET)
		return ((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr;
	memcpy(&prefix, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, sizeof prefix);
	return prefix;
}

static void accept_one(struct tcp_front *f, struct listening *l)
{
	struct conn *c = mem_zalloc(1, sizeof *c);
	l->starved = c == NULL;
	if (c == NULL) { /* libuv holds the peer until it is accepted: the sweep tries again */
		sweep_start(f);
		return;
	}
	struct sockaddr_storage peer = { 0 };
	int peer_len = sizeof peer;
	uv_tcp_init(f->loop, &c->tcp);
	c->tcp.data = c;
	c->front = f;
	c->tls = l->secure ? tls_session_new(f->conf.tls) : NULL;
	if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&c->tcp) < 0 ||
	    uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &peer_len) < 0 || (l->secure && c->tls == NULL)) {
		uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
		return;
	}
	c->prefix = prefix_of(&peer);
	c->place = l->place;
	respond_client(f->responder, &c->client, (const struct sockaddr *)&peer);
	if (f->responder->forwarding != NULL)
		forwarding_join(f->responder->forwarding, &c->asker, on_forwarded);
	make_room(f, c->prefix);
	struct conn **bucket = bucket_of(f, c->prefix);
	c->prefix_next = *bucket;
	*bucket = c;
	list_append(&f->idle, c, front_now(f));
	f->count++;
	sweep_start(f);
	metrics_add(f->responder->tally.cells->opened, 1);
	metrics_add(f->responder->tally.cells->connections, 1);
	uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct listening *l = (struct listening *)server;
	if (status == 0)
		accept_one(server->data, l);
}

int tcp_front_open(struct tcp_front **ret, uv_loop_t *loop, const struct tcp_conf *conf, struct responder *responder,
		   struct error *err)
{
	struct tcp_front *f = mem_zalloc(1, sizeof *f);
	if (f == NULL)
		return error_set(err, E_NOMEM, "no memory for DNS connections");
	f->loop = loop;
	f->conf = *conf;
	f->responder = responder;
	uv_timer_init(loop, &f->sweep);
	f->sweep.data = f;
	*ret = f;
	return E_OK;
}

static void on_listening_closed(uv_handle_t *handle)
{
	mem_free(handle); /* its first member */
}

/* What TLS needs besides, once. */
static bool front_secure(struct tcp_front *f)
{
	if (f->plain == NULL)
		f->plain = mem_alloc(PLAIN_MAX);
	f->sealed.cap = OUT_MAX + tls_overhead(OUT_MAX);
	if (f->sealed.at == NULL)
		f->sealed.at = mem_alloc(f->sealed.cap);
	return f->plain != NULL && f->sealed.at != NULL;
}

int tcp_front_listen(struct tcp_front *f, int fd, const struct dns_place *place, bool secure, struct listening **ret,
		     struct error *err)
{
	struct listening *l = mem_zalloc(1, sizeof *l);
	if (l == NULL || (secure && !front_secure(f))) {
		mem_free(l);
		close(fd);
		return error_set(err, E_NOMEM, "no memory for a DNS listener");
	}
	uv_tcp_init(f->loop, &l->tcp);
	l->tcp.data = f;
	l->place = *place;
	l->secure = secure;
	int rc = uv_tcp_open(&l->tcp, fd);
	if (rc < 0) {
		close(fd);
		uv_close((uv_handle_t *)&l->tcp, on_listening_closed);
		return error_set(err, E_IO, "watch a DNS listener: %s", uv_strerror(rc));
	}
	l->next = f->listenings;
	f->listenings = l;
	rc = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
	if (rc < 0)
		return error_set(err, E_IO, "listen for DNS over TCP: %s", uv_strerror(rc));
	*ret = l;
	return E_OK;
}

void tcp_front_unlisten(struct tcp_front *f, struct listening *l)
{
	struct listening **at = &f->listenings;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	uv_close((uv_handle_t *)&l->tcp, on_listening_closed);
}

void tcp_front_close(struct tcp_front *f)
{
	assert(!f->closing);
	f->closing = true;
	while (oldest(f) != NULL)
		conn_close(oldest(f), CLOSE_PEER);
	for (struct listening *l = f->listenings, *next; l != NULL; l = next) {
		next = l->next;
		uv_close((uv_handle_t *)&l->tcp, on_listening_closed);
	}
	f->listenings = NULL;
	uv_close((uv_handle_t *)&f->sweep, NULL);
}

void tcp_front_free(struct tcp_front *f)
{
	mem_free(f->sealed.at);
	mem_free(f->plain);
	mem_free(f);
}

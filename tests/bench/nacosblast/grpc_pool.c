/* grpc_pool.c - see grpc_pool.h. */
#include "grpc_pool.h"
#include "clock.h"
#include "die.h"
#include "h2_header.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
	SETUP_PAUSE_MS = 100, /* SDKs wait so long after ConnectionSetupRequest */
	SETUP_TRIES = 30,     /* HealthCheckRequests until a connection must be registered */
	STARTING_MAX = 128,   /* gRPC connections being set up at once */
};

/* One unary request in flight. */
struct call {
	const struct grpc_op *op;
	bool measured; /* belongs to the phase; else to the connection's own upkeep */
	uint64_t begun;
	int http_status, grpc_status;
	char message[200]; /* grpc-message */
	struct buf request, response;
	struct call *next_free;
};

/* One SDK's connection. Happy path: connect; ServerCheckRequest; the stream with
 * ConnectionSetupRequest; a pause of 100 ms; HealthCheckRequest until it no longer says
 * "unregistered"; up. It ends when the server closes TCP or ends the stream: what is in flight has
 * then failed, and the pool decides whether it is opened again. */
struct grpc_conn {
	struct sock sock; /* first: on_events casts */
	struct grpc_pool *pool;
	unsigned number, tries;
	enum conn_state state;
	bool broken;	  /* to be torn down once nghttp2 has returned */
	uint64_t wake_at; /* when the state has something to do; 0: never. Set by grpc_conn_wake_at() */
	unsigned wake_slot; /* in the pool's heap of wakes, from 1 on; 0: none */
	uint64_t taken;
	nghttp2_session *h2;
	struct buf out;
	int32_t stream_id; /* requestBiStream; 0: none */
	struct buf stream_in, stream_out;
	struct call *calls, *free_calls;
	unsigned busy;
};

static void wake_put(struct grpc_pool *p, unsigned slot, struct grpc_conn *c)
{
	p->wakes[slot] = c;
	c->wake_slot = slot;
}

/* @c belongs at @slot or above or below it. */
static void wake_sift(struct grpc_pool *p, unsigned slot, struct grpc_conn *c)
{
	for (; slot > 1 && p->wakes[slot / 2]->wake_at > c->wake_at; slot /= 2)
		wake_put(p, slot, p->wakes[slot / 2]);
	for (unsigned child; (child = 2 * slot) <= p->wake_count; slot = child) {
		if (child < p->wake_count && p->wakes[child + 1]->wake_at < p->wakes[child]->wake_at)
			child++;
		if (p->wakes[child]->wake_at >= c->wake_at)
			break;
		wake_put(p, slot, p->wakes[child]);
	}
	wake_put(p, slot, c);
}

/* 0: never. */
static void grpc_conn_wake_at(struct grpc_conn *c, uint64_t at)
{
	struct grpc_pool *p = c->pool;
	c->wake_at = at;
	if (at > 0) {
		wake_sift(p, c->wake_slot ? c->wake_slot : ++p->wake_count, c);
	} else if (c->wake_slot > 0) {
		struct grpc_conn *last = p->wakes[p->wake_count--];
		if (last != c)
			wake_sift(p, c->wake_slot, last);
		c->wake_slot = 0;
	}
}

static struct call *call_take(struct grpc_conn *c)
{
	struct call *call = c->free_calls;
	if (call == NULL)
		return NULL;
	c->free_calls = call->next_free;
	c->busy++;
	buf_clear(&call->request);
	buf_clear(&call->response);
	call->http_status = 0;
	call->grpc_status = -1;
	call->message[0] = 0;
	return call;
}

static void call_give(struct grpc_conn *c, struct call *call)
{
	call->op = NULL;
	call->next_free = c->free_calls;
	c->free_calls = call;
	c->busy--;
}

static ssize_t request_read(nghttp2_session *h2, int32_t id, uint8_t *to, size_t room,
			    uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct buf *from = &((struct call *)source->ptr)->request;
	size_t n = buf_left(from) < room ? buf_left(from) : room;
	(void)h2;
	(void)id;
	(void)user;
	memcpy(to, buf_head(from), n);
	from->head += n;
	if (buf_left(from) == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static ssize_t stream_read(nghttp2_session *h2, int32_t id, uint8_t *to, size_t room,
			   uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct buf *from = &((struct grpc_conn *)source->ptr)->stream_out;
	size_t n = buf_left(from) < room ? buf_left(from) : room;
	(void)h2;
	(void)id;
	(void)flags;
	(void)user;
	if (n == 0)
		return NGHTTP2_ERR_DEFERRED;
	memcpy(to, buf_head(from), n);
	from->head += n;
	return (ssize_t)n;
}

static int32_t grpc_submit(struct grpc_conn *c, const char *path, nghttp2_data_provider *body,
			   void *stream)
{
	const char *authority = c->pool->authority;
	nghttp2_nv headers[] = {
		HEADER_TEXT(":method", "POST"),
		HEADER_TEXT(":scheme", "http"),
		HEADER(":path", path, strlen(path)),
		HEADER(":authority", authority, strlen(authority)),
		HEADER_TEXT("content-type", "application/grpc"),
		HEADER_TEXT("te", "trailers"),
		HEADER_TEXT("user-agent", "nacosblast"),
	};
	int32_t id = nghttp2_submit_request(c->h2, NULL, headers,
					    sizeof(headers) / sizeof(*headers), body, stream);
	if (id < 0)
		c->broken = true;
	return id;
}

/* Begin a call of kind @op. The caller flushes. False: no room. */
static bool grpc_call(struct grpc_conn *c, const struct grpc_op *op, bool measured, uint64_t number)
{
	struct grpc_pool *p = c->pool;
	struct call *call = call_take(c);
	if (call == NULL)
		return false;
	call->op = op;
	call->measured = measured;
	call->begun = p->loop->now;
	buf_clear(&p->body);
	op->write(p->load, c->number, c->taken - (measured ? 1 : 0), number, &p->body);
	put_payload(&call->request, op->request, &p->body, p->opt->token);
	nghttp2_data_provider body = { .source.ptr = call, .read_callback = request_read };
	grpc_submit(c, "/Request/request", &body, call);
	return true;
}

/* Send a message on the connection's stream. */
static void grpc_stream_send(struct grpc_conn *c, const char *type, const struct buf *body)
{
	put_payload(&c->stream_out, type, body, c->pool->opt->token);
	if (c->stream_id > 0)
		nghttp2_session_resume_data(c->h2, c->stream_id);
}

static void grpc_conn_setup(struct grpc_conn *c)
{
	struct grpc_pool *p = c->pool;
	buf_clear(&p->body);
	buf_text(&p->body, "{\"headers\":{},\"module\":\"internal\",\"clientVersion\":"
			   "\"Nacos-Java-Client:v2.2.0\",\"tenant\":\"");
	buf_text(&p->body, p->opt->namespace_id);
	buf_text(&p->body,
		 "\",\"labels\":{\"source\":\"sdk\",\"AppName\":\"unknown\",\"module\":\"");
	buf_text(&p->body, p->module);
	buf_text(&p->body, "\"}}");
	grpc_stream_send(c, "ConnectionSetupRequest", &p->body);
	nghttp2_data_provider body = { .source.ptr = c, .read_callback = stream_read };
	c->stream_id = grpc_submit(c, "/BiRequestStream/requestBiStream", &body, NULL);
	c->state = CONN_SETTING_UP;
	grpc_conn_wake_at(c, p->loop->now + SETUP_PAUSE_MS * MS);
}

static void grpc_conn_is_up(struct grpc_conn *c)
{
	c->state = CONN_UP;
	c->pool->starting--;
	c->pool->up++;
	grpc_conn_wake_at(c, c->pool->opt->health_sec
				 ? c->pool->loop->now + c->pool->opt->health_sec * SEC
				 : 0);
}

/* The answer to a call of the connection's own: handshake or keep-alive. */
static void grpc_upkeep_answer(struct grpc_conn *c, bool good, enum error_kind kind,
			       const struct payload *a)
{
	struct grpc_pool *p = c->pool;
	if (c->state == CONN_UP)
		return; /* a periodic HealthCheckRequest: if it failed the server closes */
	if (good && c->state == CONN_CHECKING) {
		grpc_conn_setup(c);
	} else if (good) {
		grpc_conn_is_up(c);
	} else if ((kind == ERR_TYPE || kind == ERR_RESULT) && ++c->tries < SETUP_TRIES) {
		/* ErrorResponse: starting (300), or not yet registered (301) */
		c->state = c->stream_id ? CONN_SETTING_UP : CONN_CHECKING;
		grpc_conn_wake_at(c, p->loop->now + SETUP_PAUSE_MS * MS);
	} else {
		if (p->phase.tally)
			tally_error(p->phase.tally, kind, "handshake", a->body, a->body_len);
		c->broken = true;
	}
}

/* What a finished call amounts to: ERR_KINDS for success; @a is what it says. */
static enum error_kind call_judge(const struct call *call, uint32_t reset, struct payload *a)
{
	size_t total;
	*a = (struct payload){ "", call->message, 0, strlen(call->message) };
	if (call->http_status != 0 && call->http_status != 200)
		return ERR_STATUS;
	if (reset != 0 || call->grpc_status > 0)
		return ERR_GRPC;
	if (call->grpc_status < 0 || message_take(&call->response, a, &total) != PARSE_WHOLE)
		return ERR_PROTOCOL;
	if (!payload_is(a, call->op->response))
		return ERR_TYPE;
	if (json_number(a->body, a->body_len, "\"resultCode\"", -1) != 200)
		return ERR_RESULT;
	if (call->op->has_hosts && !hosts_present(a->body, a->body_len))
		return ERR_EMPTY;
	return ERR_KINDS;
}

static void grpc_conn_fill(struct grpc_conn *c);

static void call_finish(struct grpc_conn *c, struct call *call, uint32_t reset)
{
	struct grpc_pool *p = c->pool;
	struct payload a;
	enum error_kind kind = call_judge(call, reset, &a);
	struct tally *t = p->phase.tally;
	if (!call->measured) {
		grpc_upkeep_answer(c, kind == ERR_KINDS, kind, &a);
		call_give(c, call);
		return;
	}
	if (kind != ERR_KINDS) {
		char what[160];
		snprintf(what, sizeof(what), "%s, HTTP %d, grpc-status %d, answer %.*s",
			 call->op->request, call->http_status, call->grpc_status,
			 (int)(a.type_len < 60 ? a.type_len : 60), a.type);
		tally_error(t, kind, what, a.body, a.body_len);
	} else {
		t->ops++;
		t->bytes += a.body_len;
		if (t->ops % SAMPLE_EVERY == 1) {
			t->sampled++;
			t->hosts += text_count(a.body, a.body_len, "\"ip\":");
		}
		hist_add(&t->latency, p->loop->now - call->begun);
	}
	p->phase.in_flight--;
	call_give(c, call);
	grpc_conn_fill(c);
}

/* A request of the server on the stream: answer it as SDKs do, XRequest with XResponse. */
static void grpc_stream_message(struct grpc_conn *c, const struct payload *m)
{
	struct grpc_pool *p = c->pool;
	const char *id;
	size_t id_len;
	char type[128];
	if (payload_is(m, "SetupAckRequest") || m->type_len < 8 || m->type_len > 100 ||
	    memcmp(m->type + m->type_len - 7, "Request", 7) != 0)
		return;
	p->detections += payload_is(m, "ClientDetectionRequest");
	p->resets += payload_is(m, "ConnectResetRequest");
	if (payload_is(m, "NotifySubscriberRequest")) {
		p->pushes++;
		if (p->on_notify)
			p->on_notify(p->notify_arg, c->number, m);
	}
	if (!json_text(m->body, m->body_len, "\"requestId\"", &id, &id_len)) {
		id = "";
		id_len = 0;
	}
	snprintf(type, sizeof(type), "%.*sResponse", (int)m->type_len - 7, m->type);
	buf_clear(&p->reply);
	buf_text(&p->reply,
		 "{\"resultCode\":200,\"errorCode\":0,\"success\":true,\"requestId\":\"");
	buf_put(&p->reply, id, id_len);
	buf_text(&p->reply, "\"}");
	grpc_stream_send(c, type, &p->reply);
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *user)
{
	struct call *call = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	(void)flags;
	(void)user;
	if (call == NULL)
		return 0;
	if (name_len == 7 && memcmp(name, ":status", 7) == 0) {
		call->http_status = atoi((const char *)value); /* nghttp2 ends values with a zero */
	} else if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0) {
		call->grpc_status = atoi((const char *)value);
	} else if (name_len == 12 && memcmp(name, "grpc-message", 12) == 0) {
		size_t n =
		    value_len < sizeof(call->message) ? value_len : sizeof(call->message) - 1;
		memcpy(call->message, value, n);
		call->message[n] = 0;
	}
	return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *from, size_t len,
		   void *user)
{
	struct grpc_conn *c = user;
	(void)flags;
	if (id != c->stream_id) {
		struct call *call = nghttp2_session_get_stream_user_data(h2, id);
		if (call != NULL && buf_left(&call->response) + len <= MESSAGE_MAX)
			buf_put(&call->response, from, len);
		return 0;
	}
	/* Whole messages are read where they are. */
	struct buf lent = { .at = (uint8_t *)(uintptr_t)from, .len = len };
	struct buf *in = buf_left(&c->stream_in) > 0 ? &c->stream_in : &lent;
	if (in == &c->stream_in)
		buf_put(in, from, len);
	for (;;) {
		struct payload m;
		size_t total;
		int rc = message_take(in, &m, &total);
		if (rc == PARSE_MORE)
			break;
		if (rc == PARSE_BAD) {
			c->broken = true;
			return 0;
		}
		grpc_stream_message(c, &m);
		in->head += total;
	}
	if (in == &lent)
		buf_put(&c->stream_in, buf_head(&lent), buf_left(&lent));
	return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error, void *user)
{
	struct grpc_conn *c = user;
	struct call *call = nghttp2_session_get_stream_user_data(h2, id);
	if (id == c->stream_id)
		c->broken = true;
	else if (call != NULL)
		call_finish(c, call, error);
	return 0;
}

static void grpc_conn_lost(struct grpc_conn *c, enum error_kind kind, const char *what)
{
	struct grpc_pool *p = c->pool;
	if (c->state == CONN_UP)
		p->up--;
	else
		p->starting--;
	if (c->state != CONN_UP && !c->broken && p->phase.tally) {
		char when[64];
		snprintf(when, sizeof(when), "%s during the handshake", what);
		tally_error(p->phase.tally, kind, when, NULL, 0);
	}
	p->closed++;
	c->state = CONN_DOWN;
	c->broken = false;
	c->stream_id = 0;
	nghttp2_session_del(c->h2);
	c->h2 = NULL;
	sock_close(&c->sock);
	for (unsigned i = 0; i <= p->depth; i++) {
		struct call *call = &c->calls[i];
		if (call->op == NULL)
			continue;
		if (call->measured) {
			tally_error(p->phase.tally, kind, what, NULL, 0);
			p->phase.in_flight--;
		}
		call_give(c, call);
	}
	if (p->reopen && p->phase.tally)
		p->phase.tally->reconnects++;
	grpc_conn_wake_at(c, p->reopen ? p->loop->now + RETRY_MS * MS : 0);
}

/* Send all that nghttp2 has to say, in as few system calls as its frames allow. */
static void grpc_conn_flush(struct grpc_conn *c)
{
	const uint8_t *frames;
	ssize_t n = 0;
	bool full;
	if (c->h2 == NULL)
		return;
	do {
		while (buf_left(&c->out) < READ_CHUNK &&
		       (n = nghttp2_session_mem_send(c->h2, &frames)) > 0)
			buf_put(&c->out, frames, (size_t)n);
		full = buf_left(&c->out) >= READ_CHUNK;
		if (n < 0 || !sock_flush(c->pool->loop, &c->sock, &c->out))
			c->broken = true;
	} while (full && !c->broken && buf_left(&c->out) == 0);
	bool done = !nghttp2_session_want_read(c->h2) && !nghttp2_session_want_write(c->h2);
	if (c->broken || done)
		grpc_conn_lost(c, ERR_CLOSED, "closed by the server");
}

/* Begin as many calls as there is room for; one call is kept back for upkeep. The caller flushes.
 */
static void grpc_conn_fill(struct grpc_conn *c)
{
	struct grpc_pool *p = c->pool;
	uint64_t op;
	if (c->state != CONN_UP || c->number < p->first || c->number >= p->last)
		return;
	while (c->busy < p->depth && !c->broken && phase_take(&p->phase, &c->taken, &op))
		grpc_call(c, p->op, true, op);
}

static void grpc_conn_open(struct grpc_conn *c)
{
	struct grpc_pool *p = c->pool;
	const struct options *opt = p->opt;
	unsigned source = opt->sources ? 1 + c->number % opt->sources : 0;
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10 << 20 },
	};
	c->tries = 0;
	grpc_conn_wake_at(c, 0);
	buf_clear(&c->out);
	buf_clear(&c->stream_in);
	buf_clear(&c->stream_out);
	if (nghttp2_session_client_new2(&c->h2, p->callbacks, c, p->option) != 0)
		die("out of memory (an HTTP/2 session)");
	nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, settings, 2);
	nghttp2_session_set_local_window_size(c->h2, NGHTTP2_FLAG_NONE, 0, 10 << 20);
	p->starting++;
	c->state = CONN_CONNECTING;
	if (!sock_connect(p->loop, &c->sock, opt->host, opt->grpc_port, source))
		grpc_conn_lost(c, ERR_CONNECT, strerror(errno));
}

static void grpc_conn_connected(struct grpc_conn *c)
{
	int err = sock_error(&c->sock);
	if (err != 0) {
		grpc_conn_lost(c, ERR_CONNECT, strerror(err));
		return;
	}
	c->state = CONN_CHECKING;
	grpc_call(c, &grpc_ops[GRPC_SERVER_CHECK], false, 0);
	grpc_conn_flush(c);
}

static void grpc_conn_on_events(struct sock *s, uint32_t events)
{
	struct grpc_conn *c = (struct grpc_conn *)s;
	struct loop *loop = c->pool->loop;
	if (c->state == CONN_CONNECTING) {
		grpc_conn_connected(c);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		ssize_t n = recv(s->fd, loop->chunk, READ_CHUNK, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || nghttp2_session_mem_recv(c->h2, loop->chunk, (size_t)n) < 0) {
			grpc_conn_lost(c, ERR_CLOSED,
				       n <= 0 ? "closed by the server" : "not HTTP/2");
			return;
		}
	}
	grpc_conn_fill(c);
	if (c->pool->answers_later && !c->broken && nghttp2_session_want_read(c->h2))
		sock_later(loop, s);
	else
		grpc_conn_flush(c);
}

static void grpc_conn_on_later(struct sock *s)
{
	grpc_conn_flush((struct grpc_conn *)s);
}

/* What is due by the clock: handshakes go on, lost connections come back, idle ones say they live.
 */
static void grpc_conn_wake(struct grpc_conn *c)
{
	struct grpc_pool *p = c->pool;
	grpc_conn_wake_at(c, 0);
	if (c->state == CONN_DOWN) {
		grpc_conn_open(c);
		return;
	}
	if (c->state == CONN_SETTING_UP)
		c->state = CONN_CONFIRMING;
	grpc_call(c, &grpc_ops[c->state == CONN_CHECKING ? GRPC_SERVER_CHECK : GRPC_HEALTH_CHECK],
		  false, 0);
	if (c->state == CONN_UP && p->opt->health_sec)
		grpc_conn_wake_at(c, p->loop->now + p->opt->health_sec * SEC);
	grpc_conn_flush(c);
}

void grpc_pool_tick(void *arg)
{
	struct grpc_pool *p = arg;
	while (p->next_start < p->n && p->starting < STARTING_MAX)
		grpc_conn_open(&p->conns[p->next_start++]);
	while (p->wake_count > 0 && p->wakes[1]->wake_at <= p->loop->now)
		grpc_conn_wake(p->wakes[1]); /* which takes it off, or sets a later time */
}

void grpc_pool_init(struct grpc_pool *p, struct loop *loop, const struct load *load, unsigned n,
		    unsigned depth, const char *module)
{
	const struct options *opt = load->opt;
	*p = (struct grpc_pool){
		.loop = loop, .opt = opt, .load = load, .n = n, .depth = depth, .module = module
	};
	snprintf(p->authority, sizeof(p->authority), "%s:%u", opt->host_text, opt->grpc_port);
	if (nghttp2_session_callbacks_new(&p->callbacks) != 0 ||
	    nghttp2_option_new(&p->option) != 0)
		die("out of memory (HTTP/2 callbacks)");
	nghttp2_session_callbacks_set_on_header_callback(p->callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(p->callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(p->callbacks, on_stream_close);
	nghttp2_option_set_no_closed_streams(p->option, 1);
	p->conns = must_alloc(n, sizeof(*p->conns));
	p->wakes = must_alloc(n + 1, sizeof(*p->wakes));
	for (unsigned i = 0; i < n; i++) {
		struct grpc_conn *c = &p->conns[i];
		c->sock = (struct sock){ .fd = -1,
					 .on_events = grpc_conn_on_events,
					 .on_later = grpc_conn_on_later };
		c->pool = p;
		c->number = i;
		c->calls = must_alloc(depth + 1, sizeof(struct call));
		for (unsigned k = 0; k <= depth; k++) {
			c->calls[k].next_free = c->free_calls;
			c->free_calls = &c->calls[k];
		}
	}
}

void grpc_pool_done(struct grpc_pool *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		struct grpc_conn *c = &p->conns[i];
		nghttp2_session_del(c->h2);
		sock_close(&c->sock);
		for (unsigned k = 0; k <= p->depth; k++) {
			buf_done(&c->calls[k].request);
			buf_done(&c->calls[k].response);
		}
		free(c->calls);
		buf_done(&c->out);
		buf_done(&c->stream_in);
		buf_done(&c->stream_out);
	}
	free(p->conns);
	free(p->wakes);
	nghttp2_session_callbacks_del(p->callbacks);
	nghttp2_option_del(p->option);
	buf_done(&p->body);
	buf_done(&p->reply);
}

bool grpc_pool_start(struct grpc_pool *p, double seconds, struct tally *tally)
{
	uint64_t until = now_ns() + (uint64_t)(seconds * (double)SEC);
	p->phase = (struct phase){ .tally = tally };
	p->loop->now = now_ns();
	while (p->up < p->n && p->loop->now < until) {
		grpc_pool_tick(p);
		loop_turn(p->loop, 5);
		if (p->next_start == p->n && p->starting == 0 && !p->reopen)
			break;
	}
	return p->up == p->n;
}

void grpc_pool_run(struct grpc_pool *p, enum grpc_op_name op, struct phase phase, double warmup,
		   double seconds, struct cost *cost)
{
	p->op = &grpc_ops[op];
	p->phase = phase;
	p->phase.open = true;
	p->loop->now = now_ns();
	for (unsigned i = p->first; i < p->last; i++) {
		p->conns[i].taken = 0;
		grpc_conn_fill(&p->conns[i]);
		grpc_conn_flush(&p->conns[i]);
	}
	phase_drive(&p->phase, p->loop, p->opt, warmup, seconds, grpc_pool_tick, p, cost);
	for (unsigned i = p->first; i < p->last; i++)
		for (unsigned k = 0; k <= p->depth; k++)
			p->conns[i].calls[k].measured = false; /* a late answer counts no more */
}

/* http2.c - see http2.h. A connection reads into nghttp2, which calls back from within; answers are
 * queued in requests and handed to the socket once per turn of the loop (a prepare and a check handle),
 * so that the frames of one turn leave in one write. A connection whose socket is full is neither
 * written nor read until it has drained.
 *
 * A connection ends by http2_conn_close() (ours), on_end or on_lost (the peer's), or a protocol error:
 * the stream is closed, and from its callback every request is told, then the connection, then both
 * are freed. nghttp2 never calls back after that. */
#include "net/http2.h"
#include "base/mem.h"
#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <string.h>

enum {
	OUT_LEN = 65536,	     /* bytes of frames gathered for one write */
	FRAME_ROOM = 16384 + 9 + 256, /* the most that one mem_send gives */
	SOCKET_FULL = 131072,	     /* bytes that wait in the stream: the socket is full */
	SWEEP_MS = 1000,
	CHUNK_LEN = 2048,
	CONTROL_MAX = 4096, /* frames that nghttp2 may hold for a peer that does not read */
};

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct chunk {
	struct chunk *next;
	size_t at, len, cap;
	uint8_t bytes[];
};

struct http2_request {
	struct http2_conn *conn;
	struct http2_request *next, *prev;
	int32_t id;
	void *user;
	bool told;     /* on_head was called: on_gone will be */
	bool ended;    /* the client's side */
	bool answered; /* our head is out */
	bool finishing, deferred;
	uint32_t head_bytes;
	struct chunk *first, *last;
	size_t queued;
	char *trailers; /* name NUL value NUL ... */
	unsigned trailer_count;
	char method[12], type[HTTP2_TYPE_MAX], path[HTTP2_PATH_MAX];
};

struct http2_conn {
	struct http2_server *server;
	struct stream *stream;
	void (*give_back)(struct stream *stream);
	struct http2_conn *next, *prev, *next_dirty;
	nghttp2_session *session;
	struct http2_request *requests;
	unsigned request_count;
	void *user;
	size_t queued; /* of all requests */
	uint64_t since_ms, stalled_ms;
	size_t unsent;
	bool dirty, full, receiving, doomed, closing, draining, told;
};

struct http2_server {
	struct http2_server_conf conf;
	struct http2_server_counts counts;
	uv_loop_t *loop;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_timer_t sweep;
	unsigned handles;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *options;
	struct http2_conn *conns, *dirty;
	char *out;
	bool draining, closing;
	uint64_t drain_by_ms;
	void (*on_drained)(void *arg);
	void *drained_arg;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

bool http2_preface(const char *at, size_t len, bool *whole)
{
	size_t n = len < HTTP2_PREFACE_LEN ? len : HTTP2_PREFACE_LEN;
	*whole = len >= 3; /* no method of HTTP/1 begins with PRI */
	return n > 0 && memcmp(at, PREFACE, n) == 0;
}

static void on_sweep(uv_timer_t *timer);

/* ---- the heap */

static void *heap_alloc(size_t size, void *arg)
{
	(void)arg;
	return mem_alloc(size);
}
static void heap_free(void *at, void *arg)
{
	(void)arg;
	mem_free(at);
}
static void *heap_calloc(size_t count, size_t size, void *arg)
{
	(void)arg;
	return mem_zalloc(count, size);
}
static void *heap_realloc(void *at, size_t size, void *arg)
{
	(void)arg;
	return mem_realloc(at, size);
}

/* ---- marking what has something to send */

static void mark(struct http2_conn *c)
{
	struct http2_server *s = c->server;
	if (c->dirty || c->closing)
		return;
	c->dirty = true;
	c->next_dirty = s->dirty;
	s->dirty = c;
}

static void unmark(struct http2_conn *c)
{
	struct http2_conn **at = &c->server->dirty;
	while (c->dirty && *at != c)
		at = &(*at)->next_dirty;
	if (c->dirty)
		*at = c->next_dirty;
	c->dirty = false;
}

/* ---- requests */

static void chunks_free(struct http2_request *r)
{
	for (struct chunk *k; (k = r->first) != NULL; mem_free(k))
		r->first = k->next;
	r->last = NULL;
	r->conn->queued -= r->queued;
	r->queued = 0;
}

static struct http2_request *request_new(struct http2_conn *c, int32_t id)
{
	struct http2_request *r = mem_zalloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->conn = c;
	r->id = id;
	r->next = c->requests;
	if (r->next != NULL)
		r->next->prev = r;
	c->requests = r;
	c->request_count++;
	c->server->counts.open_requests++;
	return r;
}

static void request_end(struct http2_request *r)
{
	struct http2_conn *c = r->conn;
	struct http2_server *s = c->server;
	if (r->told)
		s->conf.events.on_gone(s->conf.arg, r);
	chunks_free(r);
	*(r->prev != NULL ? &r->prev->next : &c->requests) = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	c->request_count--;
	s->counts.open_requests--;
	if (c->request_count == 0)
		c->since_ms = uv_now(s->loop);
	mem_free(r->trailers);
	mem_free(r);
}

/* ---- nghttp2's callbacks */

static struct http2_request *request_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2_conn *c = arg;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct http2_request *r = request_new(c, frame->hd.stream_id);
	if (r == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets this request only */
	nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, r);
	return 0;
}

static void keep(char *to, size_t cap, const uint8_t *value, size_t len)
{
	if (len >= cap || memchr(value, 0, len) != NULL)
		return;
	memcpy(to, value, len);
	to[len] = '\0';
}

static bool is(const uint8_t *name, size_t len, const char *literal)
{
	return strlen(literal) == len && memcmp(name, literal, len) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
		     const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct http2_conn *c = arg;
	struct http2_request *r = request_of(session, frame->hd.stream_id);
	(void)flags;
	if (r == NULL)
		return 0;
	size_t room = c->server->conf.headers_max - r->head_bytes;
	if (name_len + value_len + 32 > room) { /* RFC 9113 6.5.2 counts 32 for each */
		c->server->counts.refused_heads++;
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	r->head_bytes += (uint32_t)(name_len + value_len + 32);
	if (r->told)
		return 0; /* trailers are read over */
	if (is(name, name_len, ":method"))
		keep(r->method, sizeof(r->method), value, value_len);
	else if (is(name, name_len, ":path"))
		keep(r->path, sizeof(r->path), value, value_len);
	else if (is(name, name_len, "content-type"))
		keep(r->type, sizeof(r->type), value, value_len);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2_conn *c = arg;
	struct http2_server *s = c->server;
	struct http2_request *r;
	if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
	    (r = request_of(session, frame->hd.stream_id)) == NULL)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && !r->told) {
		r->told = true;
		s->counts.requests++;
		s->conf.events.on_head(s->conf.arg, r);
	}
	if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && !r->ended) {
		r->ended = true;
		s->conf.events.on_end(s->conf.arg, r);
	}
	return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *at, size_t len, void *arg)
{
	struct http2_conn *c = arg;
	struct http2_request *r = request_of(session, id);
	(void)flags;
	if (r != NULL && r->told)
		c->server->conf.events.on_data(c->server->conf.arg, r, at, len);
	return 0;
}

/* Our side is complete before the client's: it need not send the rest (RFC 9113 8.1). */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2_request *r;
	(void)arg;
	if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
	    (r = request_of(session, frame->hd.stream_id)) != NULL && !r->ended)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, r->id, NGHTTP2_NO_ERROR);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct http2_conn *c = arg;
	struct http2_request *r = request_of(session, id);
	if (r == NULL)
		return 0;
	if (code != NGHTTP2_NO_ERROR)
		c->server->counts.resets++;
	nghttp2_session_set_stream_user_data(session, id, NULL);
	request_end(r);
	return 0;
}

/* ---- writing answers */

static unsigned fields_put(nghttp2_nv *to, unsigned n, const char *name, const char *value, uint8_t flags)
{
	to[n] = (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value),
			      flags };
	return n + 1;
}

static void submit_trailers(struct http2_request *r)
{
	nghttp2_nv nv[HTTP2_FIELDS_MAX];
	const char *at = r->trailers;
	unsigned n = 0;
	while (n < r->trailer_count) {
		const char *value = at + strlen(at) + 1;
		n = fields_put(nv, n, at, value, NGHTTP2_NV_FLAG_NONE);
		at = value + strlen(value) + 1;
	}
	nghttp2_submit_trailer(r->conn->session, r->id, nv, n);
}

static ssize_t on_source(nghttp2_session *session, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
			 nghttp2_data_source *source, void *arg)
{
	struct http2_request *r = source->ptr;
	size_t n = 0;
	(void)session;
	(void)id;
	(void)arg;
	for (struct chunk *k; n < room && (k = r->first) != NULL;) {
		size_t part = k->len - k->at < room - n ? k->len - k->at : room - n;
		memcpy(to + n, k->bytes + k->at, part);
		n += part;
		k->at += part;
		if (k->at < k->len)
			break;
		r->first = k->next;
		if (r->first == NULL)
			r->last = NULL;
		mem_free(k);
	}
	r->queued -= n;
	r->conn->queued -= n;
	if (r->first == NULL && r->finishing) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		submit_trailers(r);
	} else if (n == 0) {
		r->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	return (ssize_t)n;
}

static void wake(struct http2_request *r)
{
	if (r->deferred) {
		r->deferred = false;
		nghttp2_session_resume_data(r->conn->session, r->id);
	}
	mark(r->conn);
}

int http2_head(struct http2_request *r, const char *status, const struct http2_field *fields, unsigned count, bool end)
{
	nghttp2_nv nv[HTTP2_FIELDS_MAX + 1];
	nghttp2_data_provider source = { { .ptr = r }, on_source };
	unsigned n = fields_put(nv, 0, ":status", status, NGHTTP2_NV_FLAG_NONE);
	assert(count <= HTTP2_FIELDS_MAX && !r->answered);
	for (unsigned i = 0; i < count; i++)
		n = fields_put(nv, n, fields[i].name, fields[i].value, NGHTTP2_NV_FLAG_NONE);
	if (r->conn->closing)
		return E_CLOSED;
	r->answered = true;
	int rc = nghttp2_submit_response(r->conn->session, r->id, nv, n, end ? NULL : &source);
	mark(r->conn);
	return rc == 0 ? E_OK : rc == NGHTTP2_ERR_NOMEM ? E_NOMEM : E_CLOSED;
}

static struct chunk *chunk_room(struct http2_request *r, size_t len)
{
	struct chunk *k = r->last;
	if (k != NULL && k->cap - k->len >= len)
		return k;
	size_t cap = len > CHUNK_LEN ? len : len < 256 ? 256 : CHUNK_LEN;
	k = mem_alloc(sizeof(*k) + cap);
	if (k == NULL)
		return NULL;
	*k = (struct chunk){ .cap = cap };
	*(r->last != NULL ? &r->last->next : &r->first) = k;
	r->last = k;
	return k;
}

int http2_write(struct http2_request *r, const struct stream_part *parts, unsigned count)
{
	struct http2_conn *c = r->conn;
	size_t len = 0;
	for (unsigned i = 0; i < count; i++)
		len += parts[i].len;
	if (c->closing || r->finishing)
		return E_CLOSED;
	if (len > c->server->conf.out_max || c->queued > c->server->conf.out_max - len)
		return E_LIMIT;
	struct chunk *k = chunk_room(r, len);
	if (k == NULL)
		return E_NOMEM;
	for (unsigned i = 0; i < count; i++) {
		if (parts[i].len > 0)
			memcpy(k->bytes + k->len, parts[i].at, parts[i].len);
		k->len += parts[i].len;
	}
	r->queued += len;
	c->queued += len;
	wake(r);
	return E_OK;
}

int http2_finish(struct http2_request *r, const struct http2_field *fields, unsigned count)
{
	size_t len = 0;
	assert(count > 0 && count <= HTTP2_FIELDS_MAX && r->answered);
	if (r->conn->closing || r->finishing)
		return E_CLOSED;
	for (unsigned i = 0; i < count; i++)
		len += strlen(fields[i].name) + strlen(fields[i].value) + 2;
	char *at = r->trailers = mem_alloc(len);
	if (at == NULL)
		return E_NOMEM;
	for (unsigned i = 0; i < count; i++) {
		at = stpcpy(at, fields[i].name) + 1;
		at = stpcpy(at, fields[i].value) + 1;
	}
	r->trailer_count = count;
	r->finishing = true;
	wake(r);
	return E_OK;
}

void http2_reset(struct http2_request *r)
{
	if (r->conn->closing)
		return;
	nghttp2_submit_rst_stream(r->conn->session, NGHTTP2_FLAG_NONE, r->id, NGHTTP2_INTERNAL_ERROR);
	mark(r->conn);
}

/* ---- a connection's socket */

static void on_stream_closed(struct stream *stream)
{
	struct http2_conn *c = stream->user;
	struct http2_server *s = c->server;
	void (*give_back)(struct stream *) = c->give_back;
	while (c->requests != NULL)
		request_end(c->requests);
	if (c->told)
		s->conf.events.on_conn_closed(s->conf.arg, c);
	nghttp2_session_del(c->session);
	*(c->prev != NULL ? &c->prev->next : &s->conns) = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	s->counts.connections--;
	mem_free(c);
	give_back(stream); /* the server looks for its end at the next sweep */
	if (s->conns == NULL && (s->draining || s->closing))
		uv_timer_start(&s->sweep, on_sweep, 0, SWEEP_MS);
}

static void conn_end(struct http2_conn *c)
{
	if (c->closing)
		return;
	c->doomed = true;
	if (c->receiving)
		return; /* nghttp2 is on the stack */
	unmark(c);
	c->closing = true;
	stream_close(c->stream, on_stream_closed);
}

/* Frames of nghttp2, until there are no more or the socket is full. False: the connection has ended. */
static bool conn_send(struct http2_conn *c)
{
	struct http2_server *s = c->server;
	while (c->stream->queued < SOCKET_FULL) {
		const uint8_t *frame;
		size_t n = 0;
		ssize_t len = 0;
		while (n + FRAME_ROOM <= OUT_LEN && (len = nghttp2_session_mem_send(c->session, &frame)) > 0) {
			assert(n + (size_t)len <= OUT_LEN);
			memcpy(s->out + n, frame, (size_t)len);
			n += (size_t)len;
		}
		struct stream_part part = { .at = s->out, .len = n };
		if (n > 0 && stream_write(c->stream, &part, 1) < 0) {
			s->counts.cut_off++;
			conn_end(c);
			return false;
		}
		if (len < 0)
			conn_end(c);
		if (len <= 0)
			return len == 0;
	}
	return true;
}

/* Every whole request is answered: while draining nothing else is waited for. */
static bool at_rest(const struct http2_conn *c)
{
	for (const struct http2_request *r = c->requests; r != NULL; r = r->next)
		if (r->ended || r->queued > 0)
			return false;
	return true;
}

static void conn_flush(struct http2_conn *c)
{
	if (c->closing || c->full)
		return;
	if (c->doomed) {
		nghttp2_session_terminate_session(c->session, NGHTTP2_NO_ERROR);
		c->doomed = false;
		if (conn_send(c))
			conn_end(c);
		return;
	}
	if (!conn_send(c))
		return;
	if (c->stream->queued >= SOCKET_FULL) {
		c->full = true;
		stream_read_stop(c->stream);
		return;
	}
	if ((!nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session)) ||
	    (c->draining && at_rest(c) && c->stream->queued == 0))
		conn_end(c);
}

static void flush_all(struct http2_server *s)
{
	for (struct http2_conn *c; (c = s->dirty) != NULL;) {
		s->dirty = c->next_dirty;
		c->dirty = false;
		conn_flush(c);
	}
}

static void on_prepare(uv_prepare_t *handle)
{
	flush_all(handle->data);
}

static void on_check(uv_check_t *handle)
{
	flush_all(handle->data);
}

static void receive(struct http2_conn *c, const char *at, size_t len)
{
	c->receiving = true;
	ssize_t rc = nghttp2_session_mem_recv(c->session, (const uint8_t *)at, len);
	c->receiving = false;
	if (rc < 0 || nghttp2_session_get_outbound_queue_size(c->session) > CONTROL_MAX) {
		c->server->counts.protocol_errors++;
		c->doomed = true;
	}
	mark(c);
}

static void on_read(struct stream *stream, char *at, size_t len)
{
	receive(stream->user, at, len);
}

/* A client that has shut its side is not served further: gRPC clients do that when they leave. */
static void on_end(struct stream *stream)
{
	conn_end(stream->user);
}

static void on_drained(struct stream *stream)
{
	struct http2_conn *c = stream->user;
	struct http2_server *s = c->server;
	if (c->full) {
		c->full = false;
		stream_read_start(stream);
	}
	mark(c);
	if (s->conf.events.on_conn_drained != NULL)
		s->conf.events.on_conn_drained(s->conf.arg, c);
}

static const struct stream_events stream_events = { NULL, on_read, on_end, on_end, on_drained };

/* ---- connections */

static int session_new(struct http2_conn *c)
{
	struct http2_server *s = c->server;
	nghttp2_mem mem = { NULL, heap_alloc, heap_free, heap_calloc, heap_realloc };
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, s->conf.requests_max },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, s->conf.headers_max },
		{ NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 16384 },
	};
	if (nghttp2_session_server_new3(&c->session, s->callbacks, c, s->options, &mem) != 0)
		return E_NOMEM;
	if (nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 3) != 0 ||
	    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, (int32_t)s->conf.window) != 0) {
		nghttp2_session_del(c->session);
		return E_NOMEM;
	}
	return E_OK;
}

int http2_adopt(struct http2_server *s, struct stream *stream, const char *at, size_t len,
		void (*give_back)(struct stream *stream))
{
	if (s->draining || s->closing)
		return E_CLOSED;
	struct http2_conn *c = mem_zalloc(1, sizeof(*c));
	if (c == NULL)
		return E_NOMEM;
	c->server = s;
	if (session_new(c) < 0) {
		mem_free(c);
		return E_NOMEM;
	}
	c->stream = stream;
	c->give_back = give_back;
	c->since_ms = uv_now(s->loop);
	c->next = s->conns;
	if (c->next != NULL)
		c->next->prev = c;
	s->conns = c;
	s->counts.connections++;
	s->counts.connections_total++;
	stream->events = &stream_events;
	stream->user = c;
	if (!uv_is_active((uv_handle_t *)&s->sweep))
		uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	c->told = true;
	if (s->conf.events.on_conn(s->conf.arg, c) < 0) {
		c->doomed = true;
		mark(c);
	} else {
		receive(c, at, len);
	}
	return E_OK;
}

void http2_conn_set_user(struct http2_conn *c, void *user)
{
	c->user = user;
}

void *http2_conn_user(const struct http2_conn *c)
{
	return c->user;
}

const union stream_peer *http2_conn_peer(const struct http2_conn *c)
{
	return &c->stream->peer;
}

size_t http2_conn_waiting(const struct http2_conn *c)
{
	return c->queued + c->stream->queued;
}

void http2_conn_close(struct http2_conn *c)
{
	if (c->closing)
		return;
	c->doomed = true;
	if (c->full && !c->receiving)
		conn_end(c); /* it would not read a GOAWAY either */
	else
		mark(c);
}

struct http2_conn *http2_request_conn(const struct http2_request *r)
{
	return r->conn;
}

void http2_request_set_user(struct http2_request *r, void *user)
{
	r->user = user;
}

void *http2_request_user(const struct http2_request *r)
{
	return r->user;
}

const char *http2_method(const struct http2_request *r)
{
	return r->method;
}

const char *http2_path(const struct http2_request *r)
{
	return r->path;
}

const char *http2_content_type(const struct http2_request *r)
{
	return r->type;
}

/* ---- time, and the end */

static void on_handle_closed(uv_handle_t *handle)
{
	struct http2_server *s = handle->data;
	if (--s->handles > 0)
		return;
	void (*on_closed)(void *) = s->on_closed;
	void *arg = s->closed_arg;
	nghttp2_session_callbacks_del(s->callbacks);
	nghttp2_option_del(s->options);
	mem_free(s->out);
	mem_free(s);
	if (on_closed != NULL)
		on_closed(arg);
}

static void check_ends(struct http2_server *s)
{
	if (s->conns != NULL)
		return;
	if (s->closing) {
		if (uv_is_closing((uv_handle_t *)&s->sweep))
			return;
		uv_close((uv_handle_t *)&s->prepare, on_handle_closed);
		uv_close((uv_handle_t *)&s->check, on_handle_closed);
		uv_close((uv_handle_t *)&s->sweep, on_handle_closed);
		return;
	}
	uv_timer_stop(&s->sweep);
	void (*drained)(void *) = s->on_drained;
	s->on_drained = NULL;
	if (drained != NULL)
		drained(s->drained_arg);
}

static void sweep_conn(struct http2_conn *c, uint64_t now)
{
	struct http2_server *s = c->server;
	size_t unsent = stream_unsent(c->stream);
	if (unsent == 0 || c->unsent == 0 || unsent < c->unsent)
		c->stalled_ms = now;
	c->unsent = unsent;
	if (s->draining && now >= s->drain_by_ms) {
		conn_end(c);
	} else if (now - c->stalled_ms >= s->conf.write_ms) {
		s->counts.timeouts++;
		conn_end(c);
	} else if (c->request_count == 0 && now - c->since_ms >= s->conf.idle_ms) {
		s->counts.timeouts++;
		http2_conn_close(c);
	} else if (c->draining) {
		mark(c);
	}
}

static void on_sweep(uv_timer_t *timer)
{
	struct http2_server *s = timer->data;
	uint64_t now = uv_now(s->loop);
	for (struct http2_conn *c = s->conns; c != NULL; c = c->next) /* closing is asynchronous */
		if (!c->closing)
			sweep_conn(c, now);
	check_ends(s);
}

void http2_server_drain(struct http2_server *s, uint32_t grace_ms, void (*on_all_drained)(void *arg), void *arg)
{
	s->draining = true;
	s->on_drained = on_all_drained;
	s->drained_arg = arg;
	uv_update_time(s->loop);
	s->drain_by_ms = uv_now(s->loop) + grace_ms;
	for (struct http2_conn *c = s->conns; c != NULL; c = c->next) {
		if (c->closing)
			continue;
		c->draining = true;
		nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
				      nghttp2_session_get_last_proc_stream_id(c->session), NGHTTP2_NO_ERROR, NULL, 0);
		mark(c);
	}
	uv_timer_start(&s->sweep, on_sweep, 0, 50);
}

void http2_server_close(struct http2_server *s, void (*on_closed)(void *arg), void *arg)
{
	assert(!s->closing);
	s->closing = true;
	s->on_closed = on_closed;
	s->closed_arg = arg;
	for (struct http2_conn *c = s->conns; c != NULL; c = c->next)
		conn_end(c);
	uv_timer_start(&s->sweep, on_sweep, 0, SWEEP_MS);
}

/* ---- the beginning */

#define OR_DEFAULT(field, value) ((field) = (field) ? (field) : (value))

static int nghttp2_parts(struct http2_server *s)
{
	nghttp2_session_callbacks *cb;
	if (nghttp2_session_callbacks_new(&s->callbacks) != 0 || nghttp2_option_new(&s->options) != 0)
		return E_NOMEM;
	cb = s->callbacks;
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_option_set_no_closed_streams(s->options, 1);
	nghttp2_option_set_max_outbound_ack(s->options, 1000);
	return E_OK;
}

int http2_server_open(struct http2_server **ret, uv_loop_t *loop, const struct http2_server_conf *conf,
		      struct error *err)
{
	struct http2_server *s = mem_zalloc(1, sizeof(*s));
	if (s == NULL)
		return error_set(err, E_NOMEM, "HTTP/2 server: no memory");
	s->conf = *conf;
	s->loop = loop;
	OR_DEFAULT(s->conf.requests_max, 256);
	OR_DEFAULT(s->conf.headers_max, 16384);
	OR_DEFAULT(s->conf.window, 1u << 20);
	OR_DEFAULT(s->conf.out_max, 8u << 20);
	OR_DEFAULT(s->conf.idle_ms, 75000);
	OR_DEFAULT(s->conf.write_ms, 30000);
	s->out = mem_alloc(OUT_LEN);
	if (s->out == NULL || nghttp2_parts(s) < 0) {
		nghttp2_session_callbacks_del(s->callbacks);
		nghttp2_option_del(s->options);
		mem_free(s->out);
		mem_free(s);
		return error_set(err, E_NOMEM, "HTTP/2 server: no memory");
	}
	uv_prepare_init(loop, &s->prepare);
	uv_check_init(loop, &s->check);
	uv_timer_init(loop, &s->sweep);
	s->prepare.data = s->check.data = s->sweep.data = s;
	s->handles = 3;
	uv_prepare_start(&s->prepare, on_prepare);
	uv_check_start(&s->check, on_check);
	uv_unref((uv_handle_t *)&s->prepare);
	uv_unref((uv_handle_t *)&s->check);
	*ret = s;
	return E_OK;
}

const struct http2_server_counts *http2_server_counts(const struct http2_server *s)
{
	return &s->counts;
}

/* http2.c - see http2.h. A connection reads into nghttp2, which calls back from within; answers are
 * queued in requests and handed to the socket once per turn of the loop (a prepare and a check handle),
 * so that the frames of one turn leave in one write. A connection whose socket is full is neither
 * written nor read until it has drained.
 *
 * nghttp2 holds 16 KiB in each session for the one frame that it writes. Since a frame is copied away as soon as it
 * is made, and on one thread, all sessions of a server write theirs into the same buffer (heap_realloc).
 *
 * A connection ends by http2_conn_close() (ours), on_end or on_lost (the peer's), or a protocol error:
 * the stream is closed, and from its callback every request is told, then the connection, then both
 * are freed. nghttp2 never calls back after that. */
#include "net/http2_internal.h"
#include "base/mem.h"
#include <assert.h>
#include <string.h>

enum {
	SOCKET_FULL = 131072,	     /* bytes that wait in the stream: the socket is full */
	SWEEP_MS = 1000,
	MUCH = 16384,		     /* bytes that wait for a peer's window: their going is news */
	KEPT_MAX = 2 << 20,	     /* bytes of spare blocks */
	CONTROL_MAX = 4096, /* frames that nghttp2 may hold for a peer that does not read */
	FRAME_LEAST = 16384, FRAME_MOST = 17408, /* sizes of nghttp2's frame buffer, whose only allocation of that size it is */
	TABLE_LEN = 512, /* bytes of the client's HPACK table: changing grpc-timeouts would fill up a larger one, for nothing */
	OWN_TABLE_LEN = 0, /* of ours: two short fields in each answer are not worth 350 bytes of heap in each session */
};

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

bool http2_preface(const char *at, size_t len, bool *whole)
{
	size_t n = len < HTTP2_PREFACE_LEN ? len : HTTP2_PREFACE_LEN;
	*whole = len >= 3; /* no method of HTTP/1 begins with PRI */
	return n > 0 && memcmp(at, PREFACE, n) == 0;
}

static void on_sweep(uv_timer_t *timer);

/* ---- the heap; the argument is the connection */

static void *heap_alloc(size_t size, void *arg)
{
	const struct http2_conn *c = arg;
	return stock_alloc(&c->server->stock, size);
}
static void heap_free(void *at, void *arg)
{
	const struct http2_conn *c = arg;
	if (at != c->server->frame)
		stock_free(&c->server->stock, at);
}
static void *heap_calloc(size_t count, size_t size, void *arg)
{
	const struct http2_conn *c = arg;
	return size > 0 && count > SIZE_MAX / size ? NULL : stock_zalloc(&c->server->stock, count * size);
}
static void *heap_realloc(void *at, size_t size, void *arg)
{
	struct http2_conn *c = arg;
	struct http2_server *s = c->server;
	if (at == NULL && size >= FRAME_LEAST && size <= FRAME_MOST && !c->has_frame) {
		c->has_frame = true;
		return s->frame;
	}
	if (at == NULL || at != s->frame)
		return stock_realloc(&s->stock, at, size);
	void *own = stock_alloc(&s->stock, size); /* it wants a larger one */
	if (own != NULL)
		memcpy(own, at, size < FRAME_MOST ? size : FRAME_MOST);
	return own;
}

/* ---- marking what has something to send */

void http2_mark(struct http2_conn *c)
{
	struct http2_server *s = c->server;
	if (c->dirty || c->closing)
		return;
	c->dirty = true;
	c->next_dirty = NULL;
	*s->dirty_end = c;
	s->dirty_end = &c->next_dirty;
}

static void unmark(struct http2_conn *c)
{
	struct http2_server *s = c->server;
	struct http2_conn **at = &s->dirty;
	if (!c->dirty)
		return;
	while (*at != c)
		at = &(*at)->next_dirty;
	*at = c->next_dirty;
	if (*at == NULL)
		s->dirty_end = at;
	c->dirty = false;
}

/* ---- whose time is looked at */

void http2_watch(struct http2_conn *c)
{
	struct http2_server *s = c->server;
	if (c->watched)
		return;
	c->watched = true;
	c->stalled_ms = uv_now(s->loop);
	c->watch_prev = NULL;
	c->watch_next = s->watched;
	if (c->watch_next != NULL)
		c->watch_next->watch_prev = c;
	s->watched = c;
	if (!uv_is_active((uv_handle_t *)&s->sweep))
		uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

static void unwatch(struct http2_conn *c)
{
	if (!c->watched)
		return;
	c->watched = false;
	*(c->watch_prev != NULL ? &c->watch_prev->watch_next : &c->server->watched) = c->watch_next;
	if (c->watch_next != NULL)
		c->watch_next->watch_prev = c->watch_prev;
}

/* ---- a connection's socket */

static void on_stream_closed(struct stream *stream)
{
	struct http2_conn *c = stream->user;
	struct http2_server *s = c->server;
	void (*give_back)(struct stream *) = c->give_back;
	while (c->requests != NULL)
		http2_request_end(c->requests);
	unwatch(c);
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

/* Frames of nghttp2 into s->out, as many as have room: those of data are put there by http2_request.c, others here.
 * More than 0: there may be more; 0: there are none; below: the connection is to end. */
static ssize_t gather(struct http2_conn *c)
{
	struct http2_server *s = c->server;
	const uint8_t *frame;
	ssize_t len = 1;
	s->out_len = 0;
	while (len > 0 && s->out_len + HTTP2_FRAME_ROOM <= HTTP2_OUT_LEN) {
		len = nghttp2_session_mem_send(c->session, &frame);
		if (len <= 0)
			break;
		assert(s->out_len + (size_t)len <= HTTP2_OUT_LEN + HTTP2_FRAME_ROOM);
		memcpy(s->out + s->out_len, frame, (size_t)len);
		s->out_len += (size_t)len;
	}
	/* It also gives 0 when a frame of data found no room for itself. */
	return len == 0 && s->out_len + HTTP2_FRAME_ROOM > HTTP2_OUT_LEN ? 1 : len;
}

/* Until there are no more frames or the socket is full. False: the connection has ended. */
static bool conn_send(struct http2_conn *c)
{
	struct http2_server *s = c->server;
	while (c->stream->queued < SOCKET_FULL) {
		ssize_t more = gather(c);
		struct stream_part part = { .at = s->out, .len = s->out_len };
		if (s->out_len > 0 && stream_write(c->stream, &part, 1) < 0) {
			s->counts.cut_off++;
			conn_end(c);
			return false;
		}
		if (more < 0)
			conn_end(c);
		if (more <= 0)
			return more == 0;
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
	struct http2_server *s = c->server;
	size_t before = http2_conn_waiting(c);
	if (c->closing || c->full)
		return;
	if (c->doomed) {
		if (c->why != NULL)
			nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
					      nghttp2_session_get_last_proc_stream_id(c->session),
					      NGHTTP2_ENHANCE_YOUR_CALM, (const uint8_t *)c->why, strlen(c->why));
		else
			nghttp2_session_terminate_session(c->session, NGHTTP2_NO_ERROR);
		c->doomed = false;
		if (conn_send(c))
			conn_end(c);
		return;
	}
	if (!conn_send(c))
		return;
	if (c->queued > 0 || c->stream->queued > 0)
		http2_watch(c);
	if (c->stream->queued >= SOCKET_FULL) {
		c->full = true;
		stream_read_stop(c->stream);
		return;
	}
	if ((!nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session)) ||
	    (c->draining && at_rest(c) && c->stream->queued == 0))
		conn_end(c);
	else if (before >= MUCH && http2_conn_waiting(c) < before && s->conf.events.on_conn_drained != NULL)
		s->conf.events.on_conn_drained(s->conf.arg, c); /* the socket never was full: nobody else would say so */
}

void http2_server_flush(struct http2_server *s)
{
	assert(!s->receiving);
	for (struct http2_conn *c; (c = s->dirty) != NULL;) {
		s->dirty = c->next_dirty;
		if (s->dirty == NULL)
			s->dirty_end = &s->dirty;
		c->dirty = false;
		conn_flush(c);
	}
}

static void on_prepare(uv_prepare_t *handle)
{
	http2_server_flush(handle->data);
}

static void on_check(uv_check_t *handle)
{
	http2_server_flush(handle->data);
}

static void receive(struct http2_conn *c, const char *at, size_t len)
{
	c->receiving = c->server->receiving = true;
	ssize_t rc = nghttp2_session_mem_recv(c->session, (const uint8_t *)at, len);
	c->receiving = c->server->receiving = false;
	if (rc < 0 || nghttp2_session_get_outbound_queue_size(c->session) > CONTROL_MAX) {
		c->server->counts.protocol_errors++;
		c->doomed = true;
	}
	http2_mark(c);
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
	http2_mark(c);
	if (s->conf.events.on_conn_drained != NULL)
		s->conf.events.on_conn_drained(s->conf.arg, c);
}

static const struct stream_events stream_events = { NULL, on_read, on_end, on_end, on_drained };

/* ---- connections */

static int session_new(struct http2_conn *c)
{
	struct http2_server *s = c->server;
	nghttp2_mem mem = { c, heap_alloc, heap_free, heap_calloc, heap_realloc };
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, s->conf.requests_max },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, s->conf.headers_max },
		{ NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 16384 },
		{ NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, TABLE_LEN },
	};
	if (nghttp2_session_server_new3(&c->session, s->callbacks, c, s->options, &mem) != 0)
		return E_NOMEM;
	if (nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 4) != 0 ||
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
	http2_watch(c);
	c->told = true;
	if (s->conf.events.on_conn(s->conf.arg, c) < 0) {
		c->doomed = true;
		http2_mark(c);
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
		http2_mark(c);
}

void http2_conn_refuse(struct http2_conn *c, const char *why)
{
	c->why = why;
	http2_conn_close(c);
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
	mem_free(s->frame);
	mem_free(s->out);
	stock_done(&s->stock);
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

/* Has the client taken something since the last sweep, or is there nothing? */
static bool moves(struct http2_conn *c)
{
	size_t unsent = stream_unsent(c->stream), before = c->unsent;
	bool left = c->sent != c->swept; /* the queues of requests: its windows are open */
	c->unsent = unsent;
	c->swept = c->sent;
	if (unsent > 0)
		return before == 0 || unsent < before;
	return c->queued == 0 || left || before > 0;
}

static void sweep_conn(struct http2_conn *c, uint64_t now)
{
	struct http2_server *s = c->server;
	if (moves(c))
		c->stalled_ms = now;
	if (s->draining && now >= s->drain_by_ms) {
		conn_end(c);
	} else if (now - c->stalled_ms >= s->conf.write_ms) {
		s->counts.timeouts++;
		conn_end(c);
	} else if (c->request_count == 0 && now - c->since_ms >= s->conf.idle_ms) {
		s->counts.timeouts++;
		http2_conn_close(c);
	} else if (c->draining) {
		http2_mark(c);
	} else if (c->request_count > 0 && c->unsent == 0 && c->queued == 0) {
		unwatch(c);
	}
}

static void on_sweep(uv_timer_t *timer)
{
	struct http2_server *s = timer->data;
	uint64_t now = uv_now(s->loop);
	for (struct http2_conn *c = s->watched, *next; c != NULL; c = next) { /* closing is asynchronous */
		next = c->watch_next;
		if (!c->closing)
			sweep_conn(c, now);
	}
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
		http2_watch(c);
		nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
				      nghttp2_session_get_last_proc_stream_id(c->session), NGHTTP2_NO_ERROR, NULL, 0);
		http2_mark(c);
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
	if (nghttp2_session_callbacks_new(&s->callbacks) != 0 || nghttp2_option_new(&s->options) != 0)
		return E_NOMEM;
	http2_request_callbacks(s->callbacks);
	nghttp2_option_set_no_closed_streams(s->options, 1);
	nghttp2_option_set_max_outbound_ack(s->options, 1000);
	nghttp2_option_set_max_deflate_dynamic_table_size(s->options, OWN_TABLE_LEN);
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
	s->dirty_end = &s->dirty;
	stock_init(&s->stock, KEPT_MAX);
	OR_DEFAULT(s->conf.requests_max, 256);
	OR_DEFAULT(s->conf.headers_max, 16384);
	OR_DEFAULT(s->conf.window, 1u << 20);
	OR_DEFAULT(s->conf.out_max, 8u << 20);
	OR_DEFAULT(s->conf.idle_ms, 75000);
	OR_DEFAULT(s->conf.write_ms, 30000);
	s->out = mem_alloc(HTTP2_OUT_LEN + HTTP2_FRAME_ROOM);
	s->frame = mem_alloc(FRAME_MOST);
	if (s->out == NULL || s->frame == NULL || nghttp2_parts(s) < 0) {
		nghttp2_session_callbacks_del(s->callbacks);
		nghttp2_option_del(s->options);
		mem_free(s->frame);
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

void http2_server_set_requests_max(struct http2_server *s, uint32_t requests_max)
{
	if (requests_max > 0)
		s->conf.requests_max = requests_max;
}

const struct http2_server_counts *http2_server_counts(const struct http2_server *s)
{
	return &s->counts;
}

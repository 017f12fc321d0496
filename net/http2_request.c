/* http2_request.c - requests of an HTTP/2 connection: what nghttp2 tells of them, and their answers. See http2.h. */
#include "net/http2_internal.h"
#include "base/mem.h"
#include <assert.h>
#include <string.h>

enum {
	CHUNK_LEN = 512,      /* that small parts share */
	BORROWED_LEAST = 512, /* shorter ones are copied all the same */
	CONTROLS_MAX = 1000,  /* a second */
};

struct http2_chunk { /* of what is queued to be sent: own bytes, or the writer's */
	struct http2_chunk *next;
	const uint8_t *from;
	size_t at, len, cap;
	void (*release)(void *arg); /* NULL: own */
	void *release_arg;
	uint8_t bytes[];
};

/* ---- requests */

/* The first one, and what follows it is the first. */
static void chunk_drop(struct http2_request *r)
{
	struct http2_chunk *k = r->first;
	r->first = k->next;
	if (r->first == NULL)
		r->last = NULL;
	if (k->release != NULL)
		k->release(k->release_arg);
	stock_free(&r->conn->server->stock, k);
}

static void chunks_free(struct http2_request *r)
{
	while (r->first != NULL)
		chunk_drop(r);
	r->conn->queued -= r->queued;
	r->queued = 0;
}

static struct http2_request *request_new(struct http2_conn *c, int32_t id)
{
	struct stock *stock = &c->server->stock;
	struct http2_request *r = stock_zalloc(stock, sizeof(*r));
	struct http2_head *head = stock_alloc(stock, sizeof(*head));
	if (r == NULL || head == NULL) {
		stock_free(stock, r);
		stock_free(stock, head);
		return NULL;
	}
	head->method[0] = head->type[0] = head->path[0] = '\0';
	r->head = head;
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

void http2_request_end(struct http2_request *r)
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
	if (c->request_count == 0) {
		c->since_ms = uv_now(s->loop);
		http2_watch(c);
	}
	stock_free(&s->stock, r->head);
	if (r->trailers != r->trailer_room)
		mem_free(r->trailers);
	stock_free(&s->stock, r);
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
		keep(r->head->method, sizeof(r->head->method), value, value_len);
	else if (is(name, name_len, ":path"))
		keep(r->head->path, sizeof(r->head->path), value, value_len);
	else if (is(name, name_len, "content-type"))
		keep(r->head->type, sizeof(r->head->type), value, value_len);
	return 0;
}

/* Frames that cost us something and bring nobody anything; clients ping once in a while. */
static void count_control(struct http2_conn *c)
{
	uint64_t now = uv_now(c->server->loop);
	if (now - c->controls_ms >= 1000) {
		c->controls_ms = now;
		c->controls = 0;
	}
	if (++c->controls != CONTROLS_MAX)
		return;
	c->server->counts.floods++;
	http2_conn_refuse(c, "too many control frames");
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2_conn *c = arg;
	struct http2_server *s = c->server;
	struct http2_request *r;
	if (frame->hd.type == NGHTTP2_PING || frame->hd.type == NGHTTP2_SETTINGS || frame->hd.type == NGHTTP2_PRIORITY ||
	    (frame->hd.type == NGHTTP2_DATA && frame->hd.length == 0 && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0))
		count_control(c);
	if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
	    (r = request_of(session, frame->hd.stream_id)) == NULL)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && !r->told) {
		r->told = true;
		s->counts.requests++;
		s->conf.events.on_head(s->conf.arg, r);
		stock_free(&s->stock, r->head);
		r->head = NULL;
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
	http2_request_end(r);
	return 0;
}

/* ---- writing answers */

static unsigned fields_put(nghttp2_nv *to, unsigned n, const char *name, const char *value, uint8_t flags)
{
	to[n] = (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value),
			      flags };
	return n + 1;
}

/* Nothing of them is needed behind the end of the request, which keeps them. */
static void submit_trailers(struct http2_request *r)
{
	nghttp2_nv nv[HTTP2_FIELDS_MAX];
	const char *at = r->trailers;
	unsigned n = 0;
	while (n < r->trailer_count) {
		const char *value = at + strlen(at) + 1;
		n = fields_put(nv, n, at, value, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
		at = value + strlen(value) + 1;
	}
	nghttp2_submit_trailer(r->conn->session, r->id, nv, n);
}

/* How much the next frame of data holds; on_send_data() then takes it at once: nghttp2 may not be left with half a
 * frame, since the buffer with its beginning is that of all sessions. */
static ssize_t on_source(nghttp2_session *session, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
			 nghttp2_data_source *source, void *arg)
{
	struct http2_request *r = source->ptr;
	const struct http2_server *s = r->conn->server;
	size_t n = r->queued < room ? r->queued : room;
	(void)session;
	(void)id;
	(void)to;
	(void)arg;
	if (s->out_len + HTTP2_FRAME_ROOM > HTTP2_OUT_LEN)
		return NGHTTP2_ERR_PAUSE;
	if (n == r->queued && r->finishing) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		submit_trailers(r);
	} else if (n == 0) {
		r->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	return (ssize_t)n;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t len,
			nghttp2_data_source *source, void *arg)
{
	enum { HEAD_LEN = 9 };
	struct http2_request *r = source->ptr;
	struct http2_server *s = r->conn->server;
	(void)session;
	(void)frame; /* it has no padding: nobody asks for any */
	(void)arg;
	uint8_t *to = s->out + s->out_len;
	memcpy(to, head, HEAD_LEN);
	to += HEAD_LEN;
	s->out_len += HEAD_LEN + len;
	r->queued -= len;
	r->conn->queued -= len;
	r->conn->sent += len;
	while (len > 0) {
		struct http2_chunk *k = r->first;
		size_t part = k->len - k->at < len ? k->len - k->at : len;
		memcpy(to, k->from + k->at, part);
		to += part;
		len -= part;
		k->at += part;
		if (k->at == k->len)
			chunk_drop(r);
	}
	return 0;
}

static void wake(struct http2_request *r)
{
	if (r->deferred) {
		r->deferred = false;
		nghttp2_session_resume_data(r->conn->session, r->id);
	}
	http2_mark(r->conn);
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
	http2_mark(r->conn);
	return rc == 0 ? E_OK : rc == NGHTTP2_ERR_NOMEM ? E_NOMEM : E_CLOSED;
}

/* @need bytes of room at the end of what is queued; NULL: no memory. */
static struct http2_chunk *chunk_room(struct http2_request *r, size_t need)
{
	struct http2_chunk *k = r->last;
	if (k != NULL && k->release == NULL && k->cap - k->len >= need)
		return k;
	size_t cap = need > CHUNK_LEN ? need : CHUNK_LEN;
	k = stock_alloc(&r->conn->server->stock, sizeof(*k) + cap);
	if (k == NULL)
		return NULL;
	*k = (struct http2_chunk){ .cap = cap };
	k->from = k->bytes;
	*(r->last != NULL ? &r->last->next : &r->first) = k;
	r->last = k;
	return k;
}

static int part_copy(struct http2_request *r, const struct stream_part *part)
{
	struct http2_chunk *k = part->len == 0 ? NULL : chunk_room(r, part->len);
	if (k != NULL) {
		memcpy(k->bytes + k->len, part->at, part->len);
		k->len += part->len;
	}
	return k == NULL && part->len > 0 ? E_NOMEM : E_OK;
}

static int part_borrow(struct http2_request *r, const struct stream_part *part)
{
	struct http2_chunk *k = stock_alloc(&r->conn->server->stock, sizeof(*k));
	if (k == NULL)
		return E_NOMEM;
	*k = (struct http2_chunk){ .from = part->at,
				   .len = part->len,
				   .release = part->release,
				   .release_arg = part->release_arg };
	*(r->last != NULL ? &r->last->next : &r->first) = k;
	r->last = k;
	return E_OK;
}

/* Takes over the release, whatever comes out. */
static int part_queue(struct http2_request *r, const struct stream_part *part)
{
	bool borrowed = part->release != NULL && part->len >= BORROWED_LEAST;
	int rc = borrowed ? part_borrow(r, part) : part_copy(r, part);
	if (part->release != NULL && (!borrowed || rc < 0))
		part->release(part->release_arg);
	return rc;
}

static int parts_queue(struct http2_request *r, const struct stream_part *parts, unsigned count, int rc)
{
	for (unsigned i = 0; i < count; i++) {
		if (rc < 0 && parts[i].release != NULL)
			parts[i].release(parts[i].release_arg);
		if (rc < 0)
			continue;
		rc = part_queue(r, &parts[i]);
		if (rc == E_OK) {
			r->queued += parts[i].len;
			r->conn->queued += parts[i].len;
		}
	}
	return rc;
}

int http2_write(struct http2_request *r, const struct stream_part *parts, unsigned count)
{
	struct http2_conn *c = r->conn;
	size_t len = 0;
	int rc = E_OK;
	for (unsigned i = 0; i < count; i++)
		len += parts[i].len;
	if (c->closing || r->finishing)
		rc = E_CLOSED;
	else if (len > c->server->conf.out_max || c->queued > c->server->conf.out_max - len)
		rc = E_LIMIT;
	bool begun = rc == E_OK;
	rc = parts_queue(r, parts, count, rc);
	if (begun && rc < 0)
		http2_reset(r); /* it is cut in the middle */
	else if (rc == E_OK)
		wake(r);
	return rc;
}

static void fetch(const void *at, size_t len)
{
	enum { LINE = 64 };
	for (size_t i = 0; i < len; i += LINE)
		__builtin_prefetch((const char *)at + i);
}

void http2_fetch(const struct http2_request *r, unsigned step)
{
	enum { SESSION_HEAD = 256 }; /* of nghttp2's: where it begins to look */
	const struct http2_conn *c = r->conn;
	if (step == 0) {
		fetch(c, sizeof(*c));
	} else {
		fetch(c->stream, sizeof(*c->stream));
		fetch(c->session, SESSION_HEAD);
	}
}

int http2_finish(struct http2_request *r, const struct http2_field *fields, unsigned count)
{
	size_t len = 0;
	assert(count > 0 && count <= HTTP2_FIELDS_MAX && r->answered);
	if (r->conn->closing || r->finishing)
		return E_CLOSED;
	for (unsigned i = 0; i < count; i++)
		len += strlen(fields[i].name) + strlen(fields[i].value) + 2;
	char *at = r->trailers = len <= sizeof(r->trailer_room) ? r->trailer_room : mem_alloc(len);
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
	http2_mark(r->conn);
}

void http2_request_callbacks(nghttp2_session_callbacks *cb)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
	nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
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
	return r->head->method;
}

const char *http2_path(const struct http2_request *r)
{
	return r->head->path;
}

const char *http2_content_type(const struct http2_request *r)
{
	return r->head->type;
}

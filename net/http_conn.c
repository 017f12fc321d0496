/* http_conn.c - one connection: bytes to requests. The parser is fed straight from the loop's shared
 * read buffer and halts behind every request, which is then handed to the user; what a read leaves
 * incomplete is copied to the connection's own buffer, where the next read continues. Places in the
 * request are offsets from its first byte, so that this copy does not disturb them.
 *
 * Happy path: http_conn_start > on_read > conn_pass > dispatch > (answer) > http_conn_settle > ... >
 * on_end > http_conn_finish > http_conn_close > on_closed. It ends otherwise by a refusal (bad
 * syntax, limits, time-outs: one last answer), by on_lost, or by an output queue over its bound.
 * CONN_LINGER shuts our side and reads on for a moment: closing a socket that holds unread bytes
 * would reset the connection, and the peer might never see the last answer. */
#include "base/mem.h"
#include "net/http2.h"
#include "net/http_cells.h"
#include "net/http_internal.h"
#include "net/http_scan.h"
#include <assert.h>
#include <string.h>
#include <strings.h>

enum {
	IN_ROOM_MIN = 4096,
	BODY_MAX = 1 << 30, /* whatever the user allows: places are 32 bits */
	OUT_PAUSE = 1 << 20, /* bytes that wait for a slow reader; it may ask again when they are gone */
	LINGER_BYTES_MAX = 1 << 20 /* a peer that sends more after its last answer is cut off */
};

static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";

static void buffer_put(struct http_server *s, char *buffer, size_t cap)
{
	if (cap != HTTP_IN_LEN || s->spare_buffer_count >= HTTP_SPARE_MAX) {
		mem_free(buffer);
		return;
	}
	memcpy(buffer, &s->spare_buffers, sizeof(char *));
	s->spare_buffers = buffer;
	s->spare_buffer_count++;
}

static char *buffer_get(struct http_server *s)
{
	char *buffer = s->spare_buffers;
	if (buffer == NULL)
		return mem_alloc(HTTP_IN_LEN);
	memcpy(&s->spare_buffers, buffer, sizeof(char *));
	s->spare_buffer_count--;
	return buffer;
}

static void in_release(struct http_conn *c)
{
	if (c->in.at != NULL)
		buffer_put(c->server, c->in.at, c->in.cap);
	memset(&c->in, 0, sizeof(c->in));
}

/* Room for @more bytes behind what is there. */
static bool in_reserve(struct http_conn *c, size_t more)
{
	size_t need = c->in.len + more, cap = c->in.cap;
	if (need <= cap)
		return true;
	if (c->in.at == NULL && need <= HTTP_IN_LEN) {
		c->in.at = buffer_get(c->server);
		c->in.cap = c->in.at == NULL ? 0 : HTTP_IN_LEN;
		return c->in.at != NULL;
	}
	for (cap = cap ? cap : HTTP_IN_LEN; cap < need;)
		cap *= 2;
	char *at = mem_realloc(c->in.at, cap);
	if (at == NULL)
		return false;
	c->in.at = at;
	c->in.cap = cap;
	return true;
}

/* ---- the parser's callbacks: they only take down places and limits */

static int refusal(struct http_conn *c, int status, const char *why)
{
	c->refusal.status = status;
	c->refusal.why = why;
	return -1; /* the parser stops with an error */
}

static uint32_t place(const struct http_conn *c, const char *at)
{
	return (uint32_t)(at - c->base);
}

static int on_begin(http_parser *p)
{
	struct http_conn *c = p->data;
	c->reading = http_call_new(c);
	if (c->reading == NULL)
		return refusal(c, 503, "no memory");
	c->phase = PHASE_HEAD;
	c->since_ms = http_now(c->server);
	return 0;
}

static int on_url(http_parser *p, const char *at, size_t len)
{
	struct http_conn *c = p->data;
	struct call *call = c->reading;
	if (call->url_len == 0)
		call->url = place(c, at);
	if (len > c->server->conf.url_max - call->url_len)
		return refusal(c, 414, "the request target is too long");
	call->url_len += (uint32_t)len;
	return 0;
}

/* A header's place; its value follows. NULL: refused. */
static struct http_header *header_add(struct http_conn *c, const char *name, size_t len)
{
	struct call *call = c->reading;
	if (call->header_count >= c->server->conf.headers_max) {
		refusal(c, 431, "too many headers");
		return NULL;
	}
	struct http_header *h = &call->headers[call->header_count++];
	*h = (struct http_header){ .name = place(c, name), .name_len = (uint32_t)len };
	return h;
}

static int on_name(http_parser *p, const char *at, size_t len)
{
	struct http_conn *c = p->data;
	struct call *call = c->reading;
	if (c->phase == PHASE_BODY)
		return 0; /* trailers are read over */
	if (memchr(at, ' ', len) != NULL) /* RFC 9112 5.1: a way to smuggle requests */
		return refusal(c, 400, "blank in a header name");
	if (call->name_open) { /* cut by the end of a read */
		call->headers[call->header_count - 1].name_len += (uint32_t)len;
		return 0;
	}
	call->name_open = true;
	return header_add(c, at, len) == NULL ? -1 : 0;
}

static int fold(struct http_conn *c)
{
	return refusal(c, 400, "a header goes on in the next line"); /* RFC 9112 5.2 */
}

static int on_value(http_parser *p, const char *at, size_t len)
{
	struct http_conn *c = p->data;
	struct call *call = c->reading;
	if (c->phase == PHASE_BODY)
		return 0;
	struct http_header *h = &call->headers[call->header_count - 1];
	if (call->name_open) {
		h->value = place(c, at);
		h->value_len = (uint32_t)len;
		call->name_open = false;
		const char *name_end = c->base + h->name + h->name_len;
		if (len > 0 && memchr(name_end, '\n', (size_t)(at - name_end)) != NULL)
			return fold(c);
		return 0; /* an empty value's place is already the next line's */
	}
	if (len > 0 && place(c, at) != h->value + h->value_len)
		return fold(c);
	h->value_len += (uint32_t)len;
	return 0;
}

/* What the head alone decides. */
static int check_head(struct http_conn *c, const http_parser *p)
{
	const struct call *call = c->reading;
	unsigned hosts = 0;
	for (unsigned i = 0; i < call->header_count; i++)
		if (call->headers[i].name_len == 4 &&
		    strncasecmp(c->base + call->headers[i].name, "host", 4) == 0)
			hosts++;
	if (call->head_len > c->server->conf.head_max)
		return refusal(c, 431, "the request head is too large");
	if (p->http_major != 1)
		return refusal(c, 505, "HTTP/1.0 and HTTP/1.1 are spoken here");
	if (hosts > 1 || (hosts == 0 && p->http_minor > 0)) /* RFC 9112 3.2 */
		return refusal(c, 400, "one Host header is needed");
	if (p->method == HTTP_CONNECT)
		return refusal(c, 501, "CONNECT is not served");
	return 0;
}

static uint64_t body_limit(const struct http_conn *c, struct call *call)
{
	const struct http_server_conf *conf = &c->server->conf;
	uint64_t limit = conf->body_max;
	if (conf->on_body_limit != NULL) {
		http_call_fill(call, c->base);
		limit = conf->on_body_limit(conf->arg, &call->pub);
	}
	return limit < BODY_MAX ? limit : BODY_MAX;
}

static int on_head(http_parser *p)
{
	struct http_conn *c = p->data;
	struct call *call = c->reading;
	const struct http_header *h =
	    call->header_count > 0 ? &call->headers[call->header_count - 1] : NULL;
	bool chunked = (p->flags & F_CHUNKED) != 0;
	call->head_len = h == NULL ? call->url + call->url_len : h->value + h->value_len;
	call->name_open = false;
	call->body = call->head_len;
	call->pub.method = (enum http_method)p->method;
	call->pub.http10 = p->http_minor == 0;
	if (check_head(c, p) < 0)
		return -1;
	p->upgrade = 0; /* upgrades are ignored: RFC 9110 7.8 allows it */
	c->phase = PHASE_BODY;
	c->since_ms = http_now(c->server);
	if (!chunked && (p->content_length == 0 || p->content_length == UINT64_MAX))
		return 0;
	call->body_limit = body_limit(c, call);
	if (!chunked && p->content_length > call->body_limit)
		return refusal(c, 413, "the body is too large");
	struct slice expect = http_call_find(call, c->base, "expect");
	call->wants_continue = p->http_minor > 0 && expect.len == 12 &&
			       strncasecmp(expect.at, "100-continue", 12) == 0;
	return 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
	struct http_conn *c = p->data;
	struct call *call = c->reading;
	struct slice *body = &call->pub.body;
	if (len > call->body_limit - body->len)
		return refusal(c, 413, "the body is too large");
	if (body->len == 0)
		call->body = place(c, at);
	else if (place(c, at) != call->body + body->len) /* chunks move together */
		memmove(c->base + call->body + body->len, at, len);
	body->len += len;
	call->wants_continue = false;
	return 0;
}

static int on_whole(http_parser *p)
{
	struct http_conn *c = p->data;
	c->reading->keep_alive = http_should_keep_alive(p) != 0;
	c->whole = true;
	http_parser_pause(p, 1);
	return 0;
}

void http_parse_init(http_parser_settings *parse)
{
	http_parser_settings_init(parse);
	parse->on_message_begin = on_begin;
	parse->on_url = on_url;
	parse->on_header_field = on_name;
	parse->on_header_value = on_value;
	parse->on_headers_complete = on_head;
	parse->on_body = on_body;
	parse->on_message_complete = on_whole;
}

/* ---- requests */

static void enqueue(struct http_conn *c, struct call *call)
{
	c->reading = NULL;
	c->phase = PHASE_IDLE;
	call->next = NULL;
	*c->last = call;
	c->last = &call->next;
	c->pending++;
}

static void dispatch(struct http_conn *c)
{
	struct http_server *s = c->server;
	struct call *call = c->reading;
	call->raw_len = call->body + call->pub.body.len;
	http_call_fill(call, c->base);
	enqueue(c, call);
	if (!call->keep_alive) {
		c->state = CONN_LAST;
		c->clean = true;
	}
	s->counts.requests++;
	s->dispatching = call;
	s->conf.on_request(s->conf.arg, &call->pub);
	if (s->dispatching != NULL && !call->kept) { /* unanswered: the buffer will be used again */
		call->base = NULL;
		call->pub.path = call->pub.query = call->pub.body = (struct slice){ "", 0 };
	}
	s->dispatching = NULL;
}

void http_conn_refuse(struct http_conn *c, int status, const char *why)
{
	struct call *call = c->reading != NULL ? c->reading : http_call_new(c);
	if (call == NULL) {
		http_conn_close(c);
		return;
	}
	c->server->counts.refused++;
	http_refusal_count(status);
	c->state = CONN_LAST;
	c->clean = false;
	call->close_after = true;
	enqueue(c, call);
	http_reply_text(&call->pub, status, why);
}

static void refuse_syntax(struct http_conn *c)
{
	enum http_errno e = HTTP_PARSER_ERRNO(&c->parser);
	if (c->refusal.status != 0)
		http_conn_refuse(c, c->refusal.status, c->refusal.why);
	else if (e == HPE_HEADER_OVERFLOW)
		http_conn_refuse(c, 431, "the request head is too large");
	else if (e == HPE_INVALID_METHOD)
		http_conn_refuse(c, 400, "unknown method");
	else
		http_conn_refuse(c, 400, http_errno_description(e));
}

/* ---- one pass over bytes that were read */

/* Keep what belongs to an unfinished request, or was not looked at: [base, end), of which @parsed
 * bytes are through the parser. */
static void in_save(struct http_conn *c, size_t parsed, size_t len)
{
	const struct call *call = c->reading;
	if (c->phase == PHASE_BODY && call != NULL && parsed == len)
		parsed = len = call->body + call->pub.body.len; /* chunk sizes go */
	if (len == 0) {
		in_release(c);
		return;
	}
	if (c->in.at != NULL && c->base >= c->in.at && c->base < c->in.at + c->in.cap) {
		memmove(c->in.at, c->base, len);
	} else {
		c->in.len = 0;
		if (!in_reserve(c, len)) {
			http_conn_close(c);
			return;
		}
		memcpy(c->in.at, c->base, len);
	}
	c->in.len = len;
	c->in.parsed = parsed;
}

static void pass_end(struct http_conn *c, const char *at, const char *end)
{
	if (c->state != CONN_OPEN) {
		in_release(c);
		return;
	}
	if (c->reading == NULL && at == end) {
		in_release(c); /* nothing, or empty lines between requests */
		return;
	}
	if (c->phase == PHASE_HEAD && (size_t)(end - c->base) > c->server->conf.head_max &&
	    !c->paused) {
		http_conn_refuse(c, 431, "the request head is too large");
		in_release(c);
		return;
	}
	in_save(c, (size_t)(at - c->base), (size_t)(end - c->base));
}

/* Give [from, to) to the parser; false: it has stopped. */
static bool feed(struct http_conn *c, const char *from, const char *to)
{
	if (from < to) /* no bytes would mean the end to it */
		http_parser_execute(&c->parser, &c->server->parse, from, (size_t)(to - from));
	return HTTP_PARSER_ERRNO(&c->parser) == HPE_OK;
}

/* A request begins at @at: take down the target and the headers that are plain to see, and give the
 * parser only what lies between them. Returns where it shall go on: at a place where it had come
 * to by itself. */
static const char *head_scan(struct http_conn *c, const char *at, const char *end)
{
	struct http_line line;
	const char *target_end, *target = http_scan_target(at, end, &target_end);
	if (target == NULL || !feed(c, at, target + 1) || c->reading == NULL)
		return target == NULL ? at : target + 1;
	struct call *call = c->reading;
	call->url_len = (uint32_t)(target_end - target);
	if (call->url_len > c->server->conf.url_max) {
		refusal(c, 414, "the request target is too long");
		return target_end;
	}
	const char *fed = target_end, *next = memchr(fed, '\n', (size_t)(end - fed));
	if (next == NULL || next - fed != (ptrdiff_t)sizeof(" HTTP/1.1\r") - 1)
		return fed;
	enum http_line_kind kind;
	for (next++; (kind = http_scan_line(next, end, &line)) != LINE_OTHER; next = line.next) {
		if (kind == LINE_FRAMING)
			continue; /* goes to the parser with the next stretch */
		if (!feed(c, fed, next))
			return next;
		fed = line.next;
		struct http_header *h = header_add(c, next, line.name_len);
		if (h == NULL)
			return fed;
		h->value = place(c, line.value);
		h->value_len = (uint32_t)line.value_len;
	}
	return fed;
}

/* Enough is under way: no more is read until the user has answered, or the peer has read. */
static bool crowded(const struct http_conn *c)
{
	return c->pending >= c->server->conf.pipeline_max || stream_unsent(&c->stream) > OUT_PAUSE;
}

/* The bytes [at, end) are new to the parser; the request at hand begins at @base. */
static void conn_pass(struct http_conn *c, char *base, char *at, char *end)
{
	struct http_server *s = c->server;
	c->passing = true;
	c->base = base;
	c->paused = false;
	while (at < end && c->state == CONN_OPEN) {
		if (crowded(c)) {
			c->paused = true;
			break;
		}
		if (c->reading == NULL)
			at += head_scan(c, at, end) - at;
		if (at < end && c->refusal.status == 0 && HTTP_PARSER_ERRNO(&c->parser) == HPE_OK)
			at += http_parser_execute(&c->parser, &s->parse, at, (size_t)(end - at));
		if (c->whole) {
			c->whole = false;
			http_parser_pause(&c->parser, 0);
			dispatch(c);
			c->base = at;
		} else if (HTTP_PARSER_ERRNO(&c->parser) != HPE_OK || c->refusal.status != 0) {
			refuse_syntax(c);
		}
	}
	pass_end(c, at, end);
	c->base = NULL;
	c->passing = false;
	http_conn_settle(c);
}

/* What is to be done in the next turn of the loop: reading on, or one more piece of a body. */
static void want_resume(struct http_conn *c)
{
	struct http_server *s = c->server;
	if (c->resuming)
		return;
	c->resuming = true;
	c->resume_next = s->resume;
	s->resume = c;
	http_later(s);
}

void http_conn_settle(struct http_conn *c)
{
	struct http_server *s = c->server;
	if (c->reading != NULL && c->reading->wants_continue && c->first == NULL &&
	    c->state == CONN_OPEN) {
		c->reading->wants_continue = false;
		http_out_raw(c, CONTINUE, sizeof(CONTINUE) - 1);
	}
	if (s->out_conn == c)
		http_out_flush(s);
	if (c->state >= CONN_LINGER)
		return;
	if (http_streams(c) && c->stream.queued == 0)
		want_resume(c);
	if (c->paused) {
		if (!crowded(c))
			want_resume(c);
		else
			stream_read_stop(&c->stream);
		return;
	}
	if (c->ended && c->state == CONN_OPEN) {
		c->state = CONN_LAST; /* it sent its last request; an unfinished one is void */
		c->clean = true;
	}
	if (c->first != NULL)
		return;
	if (c->state == CONN_LAST || (s->draining && c->reading == NULL))
		http_conn_finish(c);
	else if (c->reading == NULL)
		c->since_ms = http_now(s);
}

void http_conn_resume(struct http_conn *c)
{
	c->resuming = false;
	if (c->state < CONN_LINGER && http_streams(c) && c->stream.queued == 0)
		http_stream_step(c);
	if (c->state != CONN_OPEN || !c->paused || crowded(c))
		return;
	c->since_ms = http_now(c->server); /* the pause was ours */
	if (!c->ended)
		stream_read_start(&c->stream);
	conn_pass(c, c->in.at, c->in.at + c->in.parsed, c->in.at + c->in.len);
}

/* ---- the stream's events */

static bool on_room(struct stream *stream, uv_buf_t *room)
{
	struct http_conn *c = (struct http_conn *)stream;
	if (c->in.len == 0 || c->state != CONN_OPEN)
		return false;
	if (!in_reserve(c, IN_ROOM_MIN)) {
		room->base = NULL;
		room->len = 0; /* libuv reports UV_ENOBUFS: on_lost */
		return true;
	}
	room->base = c->in.at + c->in.len;
	room->len = c->in.cap - c->in.len;
	return true;
}

/* The first bytes of a connection: HTTP/2 if they are its preface. True: they are dealt with. */
static bool preface_taken(struct http_conn *c, char *at, size_t len)
{
	struct http_server *s = c->server;
	bool whole;
	if (c->in.len > 0) {
		at = c->in.at;
		len += c->in.len;
	}
	if (!http2_preface(at, len, &whole)) {
		c->spoken = true;
		return false;
	}
	if (!whole) { /* one or two bytes: wait for more */
		c->base = at;
		in_save(c, 0, len);
		c->base = NULL;
		return true;
	}
	if (s->conf.on_http2(s->conf.arg, &c->stream, c->listener_tag, at, len) < 0) {
		http_conn_close(c);
		return true;
	}
	c->state = CONN_LENT;
	http_conn_unlink(c);
	s->counts.lent++;
	in_release(c);
	return true;
}

static void on_read(struct stream *stream, char *at, size_t len)
{
	struct http_conn *c = (struct http_conn *)stream;
	if (c->state != CONN_OPEN) { /* bytes that nobody will answer */
		c->discarded += len;
		if (c->state == CONN_LINGER && c->discarded > LINGER_BYTES_MAX)
			http_conn_close(c);
		return;
	}
	if (!c->spoken && c->server->conf.on_http2 != NULL && preface_taken(c, at, len))
		return;
	if (c->in.len == 0) {
		conn_pass(c, at, at, at + len);
		return;
	}
	c->in.len += len;
	conn_pass(c, c->in.at, c->in.at + c->in.parsed, c->in.at + c->in.len);
}

static void on_end(struct stream *stream)
{
	struct http_conn *c = (struct http_conn *)stream;
	c->ended = true;
	if (c->state == CONN_LINGER) {
		c->clean = true;
		http_conn_finish(c);
		return;
	}
	http_conn_settle(c);
}

static void on_lost(struct stream *stream)
{
	http_conn_close((struct http_conn *)stream);
}

static void on_drained(struct stream *stream)
{
	struct http_conn *c = (struct http_conn *)stream;
	if (c->phase == PHASE_IDLE)
		c->since_ms = http_now(c->server);
	if (c->state == CONN_LINGER)
		http_conn_finish(c);
	else if ((c->paused && c->state == CONN_OPEN) || http_streams(c))
		http_conn_settle(c);
}

const struct stream_events http_conn_events = { on_room, on_read, on_end, on_lost, on_drained };

/* ---- beginning and end */

void http_conn_start(struct http_conn *c)
{
	c->last = &c->first;
	c->since_ms = http_now(c->server);
	http_parser_init(&c->parser, HTTP_REQUEST);
	c->parser.data = c;
	stream_start(&c->stream, &c->server->streams, &http_conn_events, c->server->conf.out_max);
	stream_read_start(&c->stream);
}

void http_conn_finish(struct http_conn *c)
{
	if (c->server->out_conn == c)
		http_out_flush(c->server);
	if (c->state == CONN_CLOSING)
		return;
	if (c->clean && c->stream.queued == 0) {
		http_conn_close(c);
		return;
	}
	if (c->state == CONN_LINGER)
		return;
	c->state = CONN_LINGER;
	c->since_ms = http_now(c->server);
	stream_shut(&c->stream);
	if (!c->ended)
		stream_read_start(&c->stream);
}

/* Calls that nobody waits for any more. The user is told, and may answer from within. */
static void calls_orphan(struct http_conn *c)
{
	for (struct call *call; (call = c->first) != NULL;) {
		c->first = call->next;
		call->conn = NULL;
		if (call->held != NULL) {
			http_answer_drop(call->held);
			http_call_free(call);
		} else if (call->more != NULL) {
			http_stream_drop(call);
			http_call_free(call);
		} else if (call->on_gone != NULL) {
			void (*on_gone)(void *, struct http_call *) = call->on_gone;
			call->on_gone = NULL;
			on_gone(call->gone_arg, &call->pub);
		}
	}
}

static void on_closed(struct stream *stream)
{
	struct http_conn *c = (struct http_conn *)stream;
	calls_orphan(c);
	if (c->reading != NULL)
		http_call_free(c->reading);
	in_release(c);
	http_conn_recycle(c);
}

void http_stream_return(struct stream *stream)
{
	struct http_conn *c = (struct http_conn *)stream;
	c->server->counts.lent--;
	on_closed(stream);
}

void http_conn_close(struct http_conn *c)
{
	if (c->state >= CONN_CLOSING)
		return; /* a lent one is closed by who has it */
	c->state = CONN_CLOSING;
	if (c->server->out_conn == c)
		http_out_flush(c->server);
	stream_close(&c->stream, on_closed);
}

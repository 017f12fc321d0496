/* http_reply.c - answers and their order. An answer whose turn it is goes to the server's out buffer
 * and from there to the socket: at once, or, while its connection is being read, together with the
 * other answers of that read. One out of turn is held in its call's arena until the earlier ones
 * are given. */
#include "base/clock.h"
#include "base/mem.h"
#include "net/http_internal.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	HEAD_FIXED_MAX = 320,	/* bytes of a head without content type, extra lines and server name */
	BODY_INLINE_MAX = 16384 /* a longer body is not copied to the out buffer */
};

const char *http_status_text(int status)
{
	const char *text = http_status_str((enum http_status)status);
	return strcmp(text, "<unknown>") == 0 ? "Unknown" : text;
}

/* ---- the out buffer */

/* Send what is gathered. On failure its connection is closed. */
void http_out_flush(struct http_server *s)
{
	struct http_conn *c = s->out_conn;
	unsigned count = s->part_count;
	s->part_count = 0;
	s->out_used = 0;
	if (count == 0)
		return;
	int rc = stream_write(&c->stream, s->parts, count);
	if (c->state == CONN_CLOSING || rc == E_OK)
		return;
	if (rc == E_LIMIT)
		s->counts.cut_off++;
	http_conn_close(c);
}

/* Make room for @len more bytes and two more parts of @c. */
static void out_reserve(struct http_conn *c, size_t len)
{
	struct http_server *s = c->server;
	if (s->out_conn != c || s->out_used + len > HTTP_OUT_LEN ||
	    s->part_count + 2 > STREAM_PARTS_MAX)
		http_out_flush(s);
	s->out_conn = c;
}

/* @len bytes at the out buffer's end are written: they join the part before, if that ends there. */
static void out_advance(struct http_server *s, size_t len)
{
	char *at = s->out + s->out_used;
	struct stream_part *tail = s->part_count > 0 ? &s->parts[s->part_count - 1] : NULL;
	s->out_used += len;
	if (tail != NULL && tail->release == NULL && (const char *)tail->at + tail->len == at)
		tail->len += len;
	else
		s->parts[s->part_count++] = (struct stream_part){ .at = at, .len = len };
}

void http_out_raw(struct http_conn *c, const char *text, size_t len)
{
	struct http_server *s = c->server;
	out_reserve(c, len);
	memcpy(s->out + s->out_used, text, len);
	out_advance(s, len);
}

/* ---- the head */

static char *put(char *to, const char *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

#define PUT(to, text) put((to), (text), sizeof(text) - 1)

static char *put_number(char *to, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return put(to, digits + at, sizeof(digits) - at);
}

static char *put_status(char *to, int status)
{
	if (status == 200)
		return PUT(to, "HTTP/1.1 200 OK\r\n");
	to = PUT(to, "HTTP/1.1 ");
	to = put_number(to, (uint64_t)status);
	*to++ = ' ';
	const char *text = http_status_text(status);
	to = put(to, text, strlen(text));
	return PUT(to, "\r\n");
}

/* Made once a second. */
static char *put_date(char *to, struct http_server *s)
{
	uint64_t now = http_now(s);
	if (s->date_len == 0 || now - s->date_ms >= 1000) {
		time_t wall = (time_t)(clock_wall_ms() / 1000);
		struct tm tm;
		s->date_ms = now;
		s->date_len = strftime(s->date, sizeof(s->date),
				       "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&wall, &tm));
	}
	return put(to, s->date, s->date_len);
}

static size_t head_bound(const struct http_server *s, const struct http_answer *a)
{
	return HEAD_FIXED_MAX + (a->content_type ? strlen(a->content_type) : 0) +
	       (a->extra ? strlen(a->extra) : 0) +
	       (s->conf.server_name ? strlen(s->conf.server_name) : 0);
}

/* At most head_bound() bytes. */
static char *put_head(char *to, const struct call *call, const struct http_answer *a, bool close)
{
	struct http_server *s = call->server;
	to = put_status(to, a->status);
	to = put_date(to, s);
	if (s->conf.server_name != NULL) {
		to = PUT(to, "Server: ");
		to = put(to, s->conf.server_name, strlen(s->conf.server_name));
		to = PUT(to, "\r\n");
	}
	if (a->content_type != NULL) {
		to = PUT(to, "Content-Type: ");
		to = put(to, a->content_type, strlen(a->content_type));
		to = PUT(to, "\r\n");
	}
	if (a->more != NULL) {
		if (!call->pub.http10)
			to = PUT(to, "Transfer-Encoding: chunked\r\n");
	} else if (a->status != 204 && a->status != 304) {
		to = PUT(to, "Content-Length: ");
		to = put_number(to, a->body_len);
		to = PUT(to, "\r\n");
	}
	if (a->extra != NULL)
		to = put(to, a->extra, strlen(a->extra));
	if (close)
		to = PUT(to, "Connection: close\r\n");
	else if (call->pub.http10)
		to = PUT(to, "Connection: keep-alive\r\n");
	return PUT(to, "\r\n");
}

void http_answer_drop(const struct http_answer *a)
{
	if (a->release != NULL)
		a->release(a->release_arg);
}

/* A head too long for the out buffer: cannot be, unless a user's extra lines are tens of KiB. */
static bool emit_long_head(struct http_conn *c, const struct call *call,
			   const struct http_answer *a, bool close)
{
	struct http_server *s = c->server;
	char *head = mem_alloc(head_bound(s, a));
	if (head == NULL)
		return false;
	size_t len = (size_t)(put_head(head, call, a, close) - head);
	out_reserve(c, 0);
	s->parts[s->part_count++] =
	    (struct stream_part){ .at = head, .len = len, .release = mem_free, .release_arg = head };
	return true;
}

/* The head of the first call to the out buffer, and room for @room bytes behind it. false: no memory. */
static bool emit_head(struct http_conn *c, const struct call *call, const struct http_answer *a, size_t room, bool close)
{
	struct http_server *s = c->server;
	size_t bound = head_bound(s, a);
	if (bound > HTTP_OUT_LEN / 2) {
		if (!emit_long_head(c, call, a, close))
			return false;
		out_reserve(c, room);
		return true;
	}
	out_reserve(c, bound + room);
	char *head = s->out + s->out_used;
	out_advance(s, (size_t)(put_head(head, call, a, close) - head));
	return true;
}

/* Head and body of the first call to the out buffer; takes over the release. */
static void emit(struct http_conn *c, const struct call *call, const struct http_answer *a,
		 bool close)
{
	struct http_server *s = c->server;
	bool bodiless = call->pub.method == HTTP_HEAD || a->status == 204 || a->status == 304;
	size_t body_len = bodiless ? 0 : a->body_len;
	bool copy = a->release == NULL && body_len <= BODY_INLINE_MAX;
	if (!emit_head(c, call, a, copy ? body_len : 0, close)) {
		http_answer_drop(a);
		http_conn_close(c);
		return;
	}
	if (copy && body_len > 0) {
		memcpy(s->out + s->out_used, a->body, body_len);
		out_advance(s, body_len);
	} else if (!copy) {
		s->parts[s->part_count++] = (struct stream_part){ .at = a->body,
								  .len = body_len,
								  .release = a->release,
								  .release_arg = a->release_arg };
		if (a->release == NULL)
			http_out_flush(s); /* the body is the caller's when we return */
	}
}

/* ---- order */

/* The first call of @c is answered, to the last byte. */
static void first_done(struct http_conn *c, bool close)
{
	struct call *call = c->first;
	c->first = call->next;
	if (c->first == NULL)
		c->last = &c->first;
	c->pending--;
	http_call_free(call);
	if (!close || c->state == CONN_CLOSING)
		return;
	if (c->state == CONN_OPEN)
		c->state = CONN_LAST;
	/* Requests behind a final answer get none: RFC 9112 9.6. */
	http_conn_finish(c);
}

static void answer_first(struct http_conn *c, const struct http_answer *a)
{
	struct call *call = c->first;
	bool close = !call->keep_alive || call->close_after || c->server->draining;
	emit(c, call, a, close);
	first_done(c, close);
}

/* The first call of @c is answered by a body that comes in pieces: here its head. */
static void stream_first(struct http_conn *c, const struct http_answer *a)
{
	struct call *call = c->first;
	call->held = NULL;
	call->more = a->more;
	call->release = a->release;
	call->release_arg = a->release_arg;
	if (!call->keep_alive || call->pub.http10 || c->server->draining)
		call->close_after = true; /* of HTTP/1.0 the only sign of the end */
	if (!emit_head(c, call, a, 0, call->close_after)) {
		http_conn_close(c);
	} else if (call->pub.method == HTTP_HEAD) {
		http_stream_drop(call);
		first_done(c, call->close_after);
	}
}

/* The first call of @c, and those behind it whose answers were held. */
static void answer_turns(struct http_conn *c, const struct http_answer *a)
{
	while (a != NULL) {
		if (a->more != NULL)
			stream_first(c, a);
		else
			answer_first(c, a);
		a = c->state < CONN_LINGER && c->first != NULL ? c->first->held : NULL;
	}
}

void http_stream_drop(struct call *call)
{
	call->more = NULL;
	call->release(call->release_arg);
}

void http_stream_step(struct http_conn *c)
{
	enum { SIZE_LEN = 6, END_LEN = 7 }; /* "4000\r\n"; "\r\n0\r\n\r\n" */
	struct http_server *s = c->server;
	struct call *call = c->first;
	size_t len = 0, frame = call->pub.http10 ? 0 : SIZE_LEN;
	out_reserve(c, SIZE_LEN + HTTP_PIECE_MAX + END_LEN);
	if (c->state >= CONN_LINGER)
		return;
	char *at = s->out + s->out_used, *end;
	bool more = call->more(call->release_arg, at + frame, HTTP_PIECE_MAX, &len);
	assert(len <= HTTP_PIECE_MAX);
	if (len > 0 && frame > 0) {
		snprintf(at, SIZE_LEN, "%04x\r", (unsigned)len);
		at[SIZE_LEN - 1] = '\n';
	}
	end = len > 0 ? at + frame + len : at;
	if (len > 0 && frame > 0)
		end = PUT(end, "\r\n");
	if (!more && frame > 0)
		end = PUT(end, "0\r\n\r\n");
	if (end > at)
		out_advance(s, (size_t)(end - at));
	c->unsent = 0; /* what waited before was taken: the peer reads */
	if (!more) {
		http_stream_drop(call);
		first_done(c, call->close_after || s->draining);
		if (c->state < CONN_LINGER && c->first != NULL)
			answer_turns(c, c->first->held);
	}
	http_conn_settle(c);
}

static struct http_answer *answer_copy(struct call *call, const struct http_answer *a)
{
	struct arena *mem = &call->pub.arena;
	struct http_answer *copy = arena_alloc(mem, sizeof(*copy));
	if (copy == NULL)
		return NULL;
	*copy = *a;
	if (a->content_type != NULL)
		copy->content_type = arena_strdup(mem, a->content_type);
	if (a->extra != NULL)
		copy->extra = arena_strdup(mem, a->extra);
	if (a->release == NULL)
		copy->body = arena_memdup0(mem, a->body_len ? a->body : "", a->body_len);
	if ((a->content_type != NULL && copy->content_type == NULL) ||
	    (a->extra != NULL && copy->extra == NULL) || (a->release == NULL && copy->body == NULL))
		return NULL;
	return copy;
}

static void unlink_call(struct http_conn *c, struct call *call)
{
	struct call **at = &c->first;
	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	if (call->next == NULL)
		c->last = at;
	c->pending--;
}

static void answer(struct call *call, struct http_answer *a)
{
	struct http_conn *c = call->conn;
	assert(call->held == NULL);
	call->on_gone = NULL;
	if (c == NULL || c->state >= CONN_LINGER) {
		if (c != NULL)
			unlink_call(c, call);
		http_answer_drop(a);
		http_call_free(call);
		return;
	}
	if (call != c->first) {
		call->held = answer_copy(call, a);
		if (call->held != NULL)
			return;
		http_answer_drop(a); /* no memory to hold it: the order cannot be kept */
		unlink_call(c, call);
		http_call_free(call);
		http_conn_close(c);
		return;
	}
	answer_turns(c, a);
	if (!c->passing)
		http_conn_settle(c);
}

void http_reply_shared(struct http_call *pub, int status, const char *content_type,
		       const char *extra, const void *body, size_t body_len,
		       void (*release)(void *arg), void *release_arg)
{
	struct http_answer a = { .status = status,
				 .content_type = content_type,
				 .extra = extra,
				 .body = body,
				 .body_len = body_len,
				 .release = release,
				 .release_arg = release_arg };
	answer((struct call *)pub, &a);
}

void http_reply_stream(struct http_call *pub, int status, const char *content_type, http_more_fn *more,
		       void (*release)(void *arg), void *arg)
{
	((struct call *)pub)->stream_since_ms = http_now(((struct call *)pub)->server);
	struct http_answer a = {
		.status = status, .content_type = content_type, .release = release, .release_arg = arg, .more = more
	};
	answer((struct call *)pub, &a);
}

void http_reply(struct http_call *pub, int status, const char *content_type, const char *extra,
		const void *body, size_t body_len)
{
	http_reply_shared(pub, status, content_type, extra, body, body_len, NULL, NULL);
}

void http_reply_text(struct http_call *pub, int status, const char *text)
{
	http_reply(pub, status, "text/plain;charset=UTF-8", NULL, text, strlen(text));
}

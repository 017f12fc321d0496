/* http2.h - HTTP/2 server sessions (nghttp2) over streams that somebody else has accepted: the HTTP/1
 * server sees the client preface ("prior knowledge") and lends the stream. One server per I/O loop;
 * every call and callback runs on its thread. It knows heads, data, trailers, flow control and limits;
 * what a path means is its user's business.
 *
 * Happy path of a request: on_head > on_data ... > on_end > http2_head > http2_write ... >
 * http2_finish > on_gone. on_gone comes once for every on_head, also when the client resets the
 * request or the connection ends; the request is freed behind it. What is written waits in the
 * request's own queue until window and socket take it: a slow reader fills only its connection's
 * bound, and while the socket is full nothing more is read from it. */
#ifndef NET_HTTP2_H
#define NET_HTTP2_H

#include "base/error.h"
#include "net/stream.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum { HTTP2_PATH_MAX = 256, HTTP2_TYPE_MAX = 64, HTTP2_FIELDS_MAX = 4, HTTP2_PREFACE_LEN = 24 };

struct http2_server;  /* opaque */
struct http2_conn;    /* opaque */
struct http2_request; /* opaque */

struct http2_field {
	const char *name, *value; /* name in lower case */
};

struct http2_events {
	/* Before the first request. E_OK, or the connection is closed (on_conn_closed comes too). */
	int (*on_conn)(void *arg, struct http2_conn *c);
	/* Behind the last on_gone; @c is freed afterwards. */
	void (*on_conn_closed)(void *arg, struct http2_conn *c);
	/* The socket has taken all that waited, or some of much that waited for the peer's window. NULL: not wanted. */
	void (*on_conn_drained)(void *arg, struct http2_conn *c);
	void (*on_head)(void *arg, struct http2_request *r);
	void (*on_data)(void *arg, struct http2_request *r, const uint8_t *at, size_t len);
	void (*on_end)(void *arg, struct http2_request *r); /* the client's side is complete */
	void (*on_gone)(void *arg, struct http2_request *r);
};

struct http2_server_conf {
	/* 0 in any number takes the default in brackets */
	uint32_t requests_max; /* of one connection at a time, announced [256] */
	uint32_t headers_max;  /* bytes of one head, announced [16384]; over it: stream reset */
	uint32_t window;       /* bytes of the connection's receive window [1 MiB] */
	size_t out_max;	       /* bytes that wait in one connection's requests [8 MiB] */
	uint32_t idle_ms;      /* a connection without any request [75000]: GOAWAY, closed */
	uint32_t write_ms;     /* a client that takes no byte of what waits, or opens no window [30000]: closed */
	struct http2_events events;
	void *arg;
};

struct http2_server_counts {
	uint64_t connections_total, requests, resets, refused_heads, timeouts, cut_off, protocol_errors, floods;
	unsigned connections, open_requests;
};

int http2_server_open(struct http2_server **ret, uv_loop_t *loop, const struct http2_server_conf *conf,
		      struct error *err);
const struct http2_server_counts *http2_server_counts(const struct http2_server *s);
/* Announced to connections from now on. 0: as it was. */
void http2_server_set_requests_max(struct http2_server *s, uint32_t requests_max);
/* Takes a started stream whose first bytes are [at, at+len); it comes back by stream_close(stream,
 * give_back). Errors (E_NOMEM, E_CLOSED: draining): the stream stays the caller's. */
int http2_adopt(struct http2_server *s, struct stream *stream, const char *at, size_t len,
		void (*give_back)(struct stream *stream));
/* Hands what is queued to the sockets now, in the order in which it was queued, instead of at the end of this turn of
 * the loop: for who queues to thousands of connections. Not from within a callback of a request's. */
void http2_server_flush(struct http2_server *s);
/* GOAWAY to everybody; a connection closes when every whole request is answered, all after
 * @grace_ms. @on_drained from the loop. */
void http2_server_drain(struct http2_server *s, uint32_t grace_ms, void (*on_drained)(void *arg), void *arg);
/* Cuts off what is left and frees. @on_closed (may be NULL) from the loop. */
void http2_server_close(struct http2_server *s, void (*on_closed)(void *arg), void *arg);

/* Does [at, at+len) begin like the preface? True for a part of it, too (@whole: all of what tells it
 * from HTTP/1 is there). */
bool http2_preface(const char *at, size_t len, bool *whole);

/* ---- connections */
void http2_conn_set_user(struct http2_conn *c, void *user);
void *http2_conn_user(const struct http2_conn *c);
const union stream_peer *http2_conn_peer(const struct http2_conn *c);
size_t http2_conn_waiting(const struct http2_conn *c); /* bytes in requests' queues and the socket's */
/* GOAWAY, then the TCP connection is closed; what waits is dropped. Fine from within callbacks. */
void http2_conn_close(struct http2_conn *c);
/* The same, with an error and the reason (static text) in the GOAWAY: it has broken a limit. */
void http2_conn_refuse(struct http2_conn *c, const char *why);

/* ---- requests */
struct http2_conn *http2_request_conn(const struct http2_request *r);
void http2_request_set_user(struct http2_request *r, void *user);
void *http2_request_user(const struct http2_request *r);
/* Of its head, within on_head; "" when absent or too long. */
const char *http2_method(const struct http2_request *r);
const char *http2_path(const struct http2_request *r); /* longer than HTTP2_PATH_MAX */
const char *http2_content_type(const struct http2_request *r);
/* The answer's head: :status and @fields (at most HTTP2_FIELDS_MAX, copied). @end: that is all. */
int http2_head(struct http2_request *r, const char *status, const struct http2_field *fields, unsigned count,
	       bool end);
/* Queues the joined parts; with a release a part is the writer's until it was handed on, and is released once whatever
 * comes out. E_LIMIT: over out_max, nothing is queued; E_NOMEM: the request is reset. */
int http2_write(struct http2_request *r, const struct stream_part *parts, unsigned count);
/* Asks for what writing to @r and sending it will touch, if it is not in the caches: see grpc_call_fetch(). */
enum { HTTP2_FETCH_STEPS = 2 };
void http2_fetch(const struct http2_request *r, unsigned step);
/* Trailers behind what was written, and the end (1..HTTP2_FIELDS_MAX fields, copied). */
int http2_finish(struct http2_request *r, const struct http2_field *fields, unsigned count);
void http2_reset(struct http2_request *r);

#endif

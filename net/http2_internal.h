/* http2_internal.h - what the files of HTTP/2 share: http2.c (server, connections, sockets, time) and
 * http2_request.c (requests and their answers, nghttp2's callbacks). Nobody else includes it. */
#ifndef NET_HTTP2_INTERNAL_H
#define NET_HTTP2_INTERNAL_H

#include "base/stock.h"
#include "net/http2.h"
#include <nghttp2/nghttp2.h>

enum {
	HTTP2_OUT_LEN = 65536,		    /* bytes of frames gathered for one write */
	HTTP2_FRAME_ROOM = 16384 + 9 + 256, /* the most that one frame takes: so many more there is room for */
	HTTP2_TRAILER_ROOM = 24,	    /* a status without a message */
};

struct http2_chunk; /* Its time is to be looked at: it waits for a request, or for its client to read. */
void http2_watch(struct http2_conn *c);

/* http2_request.c */

/* Of the request whose head is being read: kept until the user has been told. */
struct http2_head {
	char method[12], type[HTTP2_TYPE_MAX], path[HTTP2_PATH_MAX];
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
	struct http2_chunk *first, *last;
	size_t queued;
	char *trailers; /* name NUL value NUL ... */
	unsigned trailer_count;
	char trailer_room[HTTP2_TRAILER_ROOM];
	struct http2_head *head; /* NULL: told */
};

struct http2_conn {
	struct http2_server *server;
	struct stream *stream;
	void (*give_back)(struct stream *stream);
	struct http2_conn *next, *prev, *next_dirty;
	struct http2_conn *watch_next, *watch_prev; /* those whose time the sweep looks at */
	nghttp2_session *session;
	struct http2_request *requests;
	unsigned request_count;
	void *user;
	size_t queued; /* of all requests */
	uint64_t since_ms, stalled_ms;
	size_t unsent;	      /* at the last sweep */
	uint64_t sent, swept; /* bytes that have left the requests' queues; at the last sweep */
	const char *why;      /* it is refused: what the client is told */
	unsigned controls;    /* control frames of this second */
	uint64_t controls_ms;
	bool dirty, full, receiving, doomed, closing, draining, told, watched;
	bool has_frame; /* it has the server's frame buffer */
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
	struct http2_conn *conns, *dirty, **dirty_end; /* in the order of marking */
	struct http2_conn *watched;
	struct stock stock; /* requests, what they send, and nghttp2's own */
	uint8_t *out;	    /* frames of the connection that is being flushed */
	size_t out_len;
	uint8_t *frame; /* where nghttp2 writes a frame, one for all sessions: see http2.c */
	bool draining, closing, receiving; /* nghttp2 is on the stack */
	uint64_t drain_by_ms;
	void (*on_drained)(void *arg);
	void *drained_arg;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* http2.c: it has something to send, or to end. */
void http2_mark(struct http2_conn *c);

/* http2_request.c */
void http2_request_callbacks(nghttp2_session_callbacks *callbacks);
void http2_request_end(struct http2_request *r); /* tells and frees */

#endif

/* http1.h - an HTTP/1.1 (and 1.0) server on one libuv loop. One server per I/O loop; every call and
 * callback here runs on that loop's thread. It knows methods, heads and bodies, keep-alive,
 * pipelining, limits and time-outs; what a path means is its user's business.
 *
 * A request becomes a `struct http_call`, given to on_request() when it is wholly there. The user
 * answers each call exactly once, within on_request() or later on the same loop, in any order:
 * answers leave in the order of the requests. A call outlives its connection: when the client has
 * gone, the answer is dropped, but it must still be given (it ends the call).
 *
 * The common request costs one recv, one send and no heap allocation. Slices of the request point
 * into the shared read buffer and are valid until on_request() returns or the call is answered,
 * whichever is first; who answers later copies what he needs, or calls http_call_keep() first. */
#ifndef NET_HTTP1_H
#define NET_HTTP1_H

#include "base/arena.h"
#include "base/error.h"
#include "net/listener.h"
#include <http_parser.h> /* enum http_method: HTTP_GET, HTTP_POST, ... */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

struct http_server; /* opaque */
struct stream;

struct slice { /* borrowed bytes, no NUL behind */
	const char *at;
	size_t len;
};

/* One request and the right to answer it. Users read the upper part. */
struct http_call {
	/* request: raw slices */
	enum http_method method;
	struct slice path;  /* "/nacos/v1/ns/instance", still percent-encoded; "*" for OPTIONS * */
	struct slice query; /* behind the first '?', without it; may be empty */
	struct slice body;  /* whole and contiguous, chunks joined */
	bool http10;
	const struct sockaddr *peer; /* valid as long as the call */
	int listener_tag;	     /* as given to http_server_listen() */
	/* The request's memory: dropped when the call has been answered. */
	struct arena arena;
	/* The user's: NULL/0 at first, untouched by the server. */
	void *user;
	uint64_t user_id;
};

/* Called with a whole request. The user may answer at once. */
typedef void http_request_fn(void *arg, struct http_call *call);
/* Called when the head is there (method, path, query, headers are set; body is not) and a body
 * follows: the most body bytes this request may have. More are answered 413 and the connection is
 * closed. NULL: conf.body_max for all. */
typedef uint64_t http_body_limit_fn(void *arg, const struct http_call *call);

struct http_server_conf {
	/* 0 in any number takes the default in brackets */
	uint32_t head_max;	/* bytes of request line and headers [65536, at most 65536]: 431 */
	uint32_t url_max;	/* bytes of the request target [32768]: 414 */
	uint32_t headers_max;	/* count [100, at most 100]: 431 */
	uint64_t body_max;	/* where on_body_limit is NULL [1 MiB] */
	uint32_t pipeline_max;	/* unanswered requests of one connection; then it is not read [32] */
	uint64_t out_max;	/* bytes queued for a slow reader, then it is cut off [16 MiB] */
	uint32_t idle_ms;	/* keep-alive without a request [75000]: closed */
	uint32_t head_ms;	/* from a request's first byte to the end of its head [10000]: 408 */
	uint32_t body_ms;	/* from there to the end of the body [30000]: 408 */
	uint32_t write_ms;	/* a client that takes no byte of what is queued [30000]: cut off */
	uint32_t stream_ms;	/* from http_reply_stream() to the end of that body [600000]: cut off */
	uint32_t linger_ms;	/* reading on after a final error answer [1000] */
	uint32_t conns_max;	/* of all listeners of this server, without lent ones; 0: no limit */
	/* Server header value, borrowed until closed; NULL: none is sent. */
	const char *server_name;
	http_request_fn *on_request;
	http_body_limit_fn *on_body_limit; /* NULL: body_max */
	/* A connection begins with the preface of HTTP/2: its stream is lent, with the bytes that were
	 * read, and comes back by stream_close(stream, http_stream_return). A failure: it is closed.
	 * NULL: HTTP/2 is not spoken. Whoever borrows ends these before the server is closed. */
	int (*on_http2)(void *arg, struct stream *stream, int listener_tag, const char *at, size_t len);
	void *arg;
};

struct http_server_counts {
	uint64_t requests;	/* handed to on_request */
	uint64_t refused;	/* answered 4xx/5xx by the server itself */
	uint64_t timeouts;	/* idle, head, body, write, stream */
	uint64_t cut_off;	/* clients that did not read */
	unsigned connections;	/* open now, lent ones too */
	unsigned lent;		/* of them, to HTTP/2 */
	unsigned calls;		/* unanswered now, those of gone clients too */
};

/* @conf is copied. Errors: E_NOMEM, E_RANGE, E_IO. */
int http_server_open(struct http_server **ret, uv_loop_t *loop, const struct http_server_conf *conf,
		     struct error *err);
/* One more address, any time before the drain. *@ret_listener (may be NULL) is borrowed: for
 * listener_address() and listener_counts(); the server closes it. Errors: see listener_open(). */
int http_server_listen(struct http_server *s, const struct sockaddr *at,
		       const struct listener_conf *conf, int listener_tag,
		       struct listener **ret_listener, struct error *err);
/* Limits and time-outs from now on (settings reload); what was accepted before keeps its place. The callbacks, the name
 * and @arg stay as they were opened. E_RANGE: nothing was changed. */
int http_server_set_limits(struct http_server *s, const struct http_server_conf *conf, struct error *err);
/* A listener that is no longer wanted (settings reload): stops accepting, its connections live on. */
void http_server_unlisten(struct http_server *s, struct listener *l);
const struct http_server_counts *http_server_counts(const struct http_server *s);
/* Stop in order: listeners close, idle connections close, what is in flight is answered with
 * "Connection: close". After @grace_ms whatever is left is cut off. @on_drained (once) runs from the
 * loop when no connection is left. */
void http_server_drain(struct http_server *s, uint32_t grace_ms, void (*on_drained)(void *arg),
		       void *arg);
/* Cut everything off and free. Every call must have been answered, or be answered before
 * @on_closed can run: it waits for them. After a drain this is quick. */
void http_server_close(struct http_server *s, void (*on_closed)(void *arg), void *arg);

/* The callback for stream_close() of a lent stream. */
void http_stream_return(struct stream *stream);

/* The value of a request header, surrounding blanks trimmed; at NULL: not there. @name in any case.
 * The first one where there are several. */
struct slice http_call_header(const struct http_call *call, const char *name);
/* The @nth header (0..) as sent; false: no more. */
bool http_call_header_at(const struct http_call *call, unsigned nth, struct slice *name,
			 struct slice *value);
/* Path, query, body and headers move into the call's arena, so that they live until the answer.
 * E_NOMEM: they stay as they were. Fine to call twice. */
int http_call_keep(struct http_call *call);
/* The client is still there. */
bool http_call_connected(const struct http_call *call);
/* Where the client has connected to, port and all; false: it is gone. */
bool http_call_local(const struct http_call *call, struct sockaddr_storage *ret);
/* @on_gone runs (from the loop, at most once, never after the answer) when the client goes before
 * the answer; the call must still be answered (from within is fine). NULL: no longer wanted. */
void http_call_on_gone(struct http_call *call, void (*on_gone)(void *arg, struct http_call *call),
		       void *arg);
/* Close the connection behind this answer. Before http_reply(). */
void http_call_close_after(struct http_call *call);

/* Answer and end @call: it must not be touched afterwards. @content_type NULL: no such header.
 * @extra: more header lines, each with its CRLF ("Location: /x\r\n"), or NULL. @body is copied. */
void http_reply(struct http_call *call, int status, const char *content_type, const char *extra,
		const void *body, size_t body_len);
/* The same, but @body stays the caller's until @release(@release_arg) has been called, exactly once,
 * on this loop, perhaps before this call returns. It must not change until then. */
void http_reply_shared(struct http_call *call, int status, const char *content_type,
		       const char *extra, const void *body, size_t body_len,
		       void (*release)(void *arg), void *release_arg);
/* The next bytes of a body: at most @cap of them to @to, *@ret_len tells how many; 0: there will be, soon. false: these were
 * the last. Answers no calls. */
typedef bool http_more_fn(void *arg, char *to, size_t cap, size_t *ret_len);
/* The same, but the body is as long as it turns out to be (chunked; for HTTP/1.0 up to the end of the connection) and is asked
 * for piece by piece, when the client has taken the piece before. @release(@arg) ends it, exactly once: ahead of its last
 * bytes, or when the client has gone or was cut off. */
void http_reply_stream(struct http_call *call, int status, const char *content_type, http_more_fn *more,
		       void (*release)(void *arg), void *arg);
/* text/plain;charset=UTF-8 */
void http_reply_text(struct http_call *call, int status, const char *text);

const char *http_status_text(int status); /* "Not Found"; "Unknown" */

#endif

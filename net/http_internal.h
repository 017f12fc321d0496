/* http_internal.h - what the files of the HTTP/1 server share: http1.c (server, listeners, time),
 * http_conn.c (reading and parsing), http_call.c (calls and their headers), http_reply.c (answers
 * and their order). Nobody else includes it. */
#ifndef NET_HTTP_INTERNAL_H
#define NET_HTTP_INTERNAL_H

#include "net/http1.h"
#include "net/stream.h"

enum {
	HTTP_HEADERS_MAX = 100,
	HTTP_CALL_FIRST = 4096, /* bytes of a call's arena that need no heap */
	HTTP_OUT_LEN = 65536,	/* bytes of heads and copied bodies gathered for one write */
	HTTP_PIECE_MAX = 16384, /* of a body that is streamed, for one write */
	HTTP_IN_LEN = 8192,	/* first size of a connection's own buffer */
	HTTP_SPARE_MAX = 128,	/* connections, calls, buffers kept for reuse, each */
	HTTP_DATE_MAX = 64,
};

/* Places in the raw request, counted from its first byte, so that they survive its moving. */
struct http_header {
	uint32_t name, name_len, value, value_len;
};

/* An answer that cannot be sent yet, since an earlier request is unanswered; or one to be sent. */
struct http_answer {
	int status;
	const char *content_type, *extra;
	const void *body;
	size_t body_len;
	void (*release)(void *arg);
	void *release_arg;
	http_more_fn *more; /* of release_arg; NULL: @body is all of it */
};

struct call {
	struct http_call pub; /* first: users hold a pointer to it */
	struct http_server *server;
	struct http_conn *conn;	  /* NULL: gone */
	struct call *next;	  /* of the connection's, or of the spare ones */
	struct http_answer *held; /* in the arena: answered, but not its turn */
	http_more_fn *more;	  /* answered, and its turn, but there is more of the body; NULL: no */
	void (*release)(void *arg);
	void *release_arg;
	uint64_t stream_since_ms; /* of such an answer, given or held */
	const char *base;	  /* the raw request */
	size_t raw_len;		  /* head and body */
	uint32_t url, url_len, head_len;
	size_t body;
	uint64_t body_limit;
	unsigned header_count;
	bool keep_alive, kept, close_after, wants_continue;
	bool name_open; /* the last header's name may go on */
	void (*on_gone)(void *arg, struct http_call *call);
	void *gone_arg;
	union stream_peer peer;
	struct http_header headers[HTTP_HEADERS_MAX];
	_Alignas(16) char first[HTTP_CALL_FIRST];
};

enum http_conn_state {
	CONN_OPEN,   /* requests are read */
	CONN_LAST,   /* no more are read; closes behind the last answer */
	CONN_LINGER, /* all is answered: the peer shall see it before the socket goes */
	CONN_CLOSING,
	CONN_LENT /* HTTP/2 has the stream */
};
enum http_conn_phase { PHASE_IDLE, PHASE_HEAD, PHASE_BODY }; /* of reading */

struct http_conn {
	struct stream stream; /* first: stream.c's callbacks cast */
	struct http_server *server;
	struct http_conn *next, *prev; /* of the server's; next: of the spare ones */
	http_parser parser;
	enum http_conn_state state;
	enum http_conn_phase phase;
	uint64_t since_ms; /* phase, or lingering, began */
	struct call *reading;	     /* its request is not whole yet */
	struct call *first, **last;  /* unanswered, or answered out of turn; oldest first */
	unsigned pending;	     /* of them */
	char *base;		     /* during a pass: the raw request at hand */
	struct {
		char *at;
		size_t len, cap, parsed;
	} in;			     /* what one read did not complete */
	struct {
		int status;
		const char *why;
	} refusal; /* set by a parser callback that fails */
	bool passing;  /* within conn_pass(): answers gather until its end */
	bool whole;    /* the parser stopped behind a request */
	bool paused;   /* pipeline_max is reached */
	bool resuming; /* on the server's list */
	bool ended;    /* the peer sends no more */
	bool spoken;   /* it was seen to be HTTP/1 */
	bool clean;    /* nothing unread is to be expected: no lingering */
	struct http_conn *resume_next;
	uint64_t stalled_ms; /* when unsent last shrank */
	size_t unsent;	     /* at the last sweep */
	size_t discarded;    /* bytes read while lingering */
	int listener_tag;
};

struct http_listen {
	struct http_listen *next;
	struct http_server *server;
	struct listener *listener; /* NULL: it is closing */
	int tag;
};

struct http_server {
	struct http_server_conf conf;
	struct http_server_counts counts;
	struct stream_loop streams;
	struct http_listen *listens;
	struct http_conn *conns, *spare_conns, *resume;
	unsigned spare_conn_count;
	struct call *spare_calls, *dispatching;
	unsigned spare_call_count;
	char *spare_buffers; /* each begins with the next one's address */
	unsigned spare_buffer_count;
	http_parser_settings parse;
	uv_timer_t sweep;
	uv_idle_t later; /* runs once, soon: resumes, ends */
	unsigned handles;
	uint32_t sweep_ms;
	uint64_t drain_by_ms;
	bool draining, closing;
	void (*on_drained)(void *arg);
	void *drained_arg;
	void (*on_closed)(void *arg);
	void *closed_arg;
	/* Answers gathered for one write; of @out_conn, or nobody. */
	struct http_conn *out_conn;
	char *out;
	size_t out_used;
	struct stream_part parts[STREAM_PARTS_MAX];
	unsigned part_count;
	uint64_t date_ms; /* loop time of @date; 0: none */
	char date[HTTP_DATE_MAX];
	size_t date_len;
};

static inline uint64_t http_now(const struct http_server *s)
{
	return uv_now(s->streams.loop); /* the loop's cached time: no system call */
}

/* http1.c */
void http_later(struct http_server *s); /* on_later runs in the next turn of the loop */
void http_conn_unlink(struct http_conn *c); /* off the list of those that the sweep looks at: it is lent */
void http_conn_recycle(struct http_conn *c);

/* http_conn.c */
void http_parse_init(http_parser_settings *parse);
extern const struct stream_events http_conn_events;
void http_conn_start(struct http_conn *c);
void http_conn_resume(struct http_conn *c);
/* Answer the request at hand with an error behind all earlier ones, then close. */
void http_conn_refuse(struct http_conn *c, int status, const char *why);
/* Everything is answered that will be: close, politely if the peer may still be sending. */
void http_conn_finish(struct http_conn *c);
void http_conn_close(struct http_conn *c);
/* After answers, outside a pass: send them, then see what this connection does next. */
void http_conn_settle(struct http_conn *c);

/* http_call.c */
struct call *http_call_new(struct http_conn *c); /* NULL: no memory */
void http_call_free(struct call *call);
void http_call_fill(struct call *call, const char *base); /* the public slices */
struct slice http_call_find(const struct call *call, const char *base, const char *name);

/* http_reply.c */
void http_out_flush(struct http_server *s);
void http_out_raw(struct http_conn *c, const char *text, size_t len); /* constant text */
void http_answer_drop(const struct http_answer *a);
/* The answer whose turn it is has more of its body to come. */
static inline bool http_streams(const struct http_conn *c)
{
	return c->first != NULL && c->first->more != NULL;
}
void http_stream_step(struct http_conn *c);  /* one piece of it; nothing waits for the client */
void http_stream_drop(struct call *call);    /* its client has gone */

#endif

/* grpc.h - gRPC calls on HTTP/2 sessions: length-prefixed messages, unary and streaming methods, trailers,
 * a grpc-status for every failure, limits. Server side, on one I/O loop; all calls and callbacks run there.
 * What is in a message is its user's business.
 *
 * A unary call comes as one on_message and is answered once by grpc_reply() or grpc_fail(), then or later;
 * it outlives its connection: when the client has gone the answer is dropped, but must still be given. A
 * streaming call is announced by on_open, gets on_message for each message and on_gone at its end; it is
 * not to be touched afterwards. */
#ifndef NET_GRPC_H
#define NET_GRPC_H

#include "net/http2.h"

enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
};

enum { GRPC_FETCH_STEPS = 2 + HTTP2_FETCH_STEPS };

struct grpc_server; /* opaque */
struct grpc_conn;   /* opaque */
struct grpc_call;   /* opaque */

struct grpc_method {
	const char *path; /* "/Service/method" */
	bool streams;	  /* else unary */
};

struct grpc_server_conf {
	const struct grpc_method *methods; /* borrowed */
	unsigned method_count;
	uint32_t message_max; /* bytes of one message [4 MiB]; unfinished ones of a connection: twice that */
	struct http2_server_conf http2; /* its events are ours */
	int (*on_conn)(void *arg, struct grpc_conn *c); /* E_OK, or it is closed (on_conn_gone comes too) */
	void (*on_conn_gone)(void *arg, struct grpc_conn *c);
	void (*on_conn_drained)(void *arg, struct grpc_conn *c); /* NULL: not wanted */
	void (*on_open)(void *arg, struct grpc_call *call, unsigned method);
	void (*on_message)(void *arg, struct grpc_call *call, unsigned method, const uint8_t *at, size_t len);
	void (*on_gone)(void *arg, struct grpc_call *call); /* streaming calls only */
	void *arg;
};

struct grpc_server_counts {
	uint64_t calls, messages_in, messages_out, failures; /* failures: statuses but OK */
	unsigned unanswered;
};

int grpc_server_open(struct grpc_server **ret, uv_loop_t *loop, const struct grpc_server_conf *conf,
		     struct error *err);
struct http2_server *grpc_server_http2(struct grpc_server *s); /* for http2_adopt() and the drain */
/* From the next message, and the next connection, on. 0: as it was. */
void grpc_server_set_limits(struct grpc_server *s, uint32_t message_max, uint32_t streams_max);
const struct grpc_server_counts *grpc_server_counts(const struct grpc_server *s);
/* Cuts off what is left. Waits for unary calls that are unanswered. @on_closed from the loop. */
void grpc_server_close(struct grpc_server *s, void (*on_closed)(void *arg), void *arg);

/* ---- connections */
void grpc_conn_set_user(struct grpc_conn *c, void *user);
void *grpc_conn_user(const struct grpc_conn *c);
const union stream_peer *grpc_conn_peer(const struct grpc_conn *c);
size_t grpc_conn_waiting(const struct grpc_conn *c); /* bytes on their way out */
void grpc_conn_close(struct grpc_conn *c);	     /* the TCP connection */
void grpc_conn_refuse(struct grpc_conn *c, const char *why); /* the same, and says why (static text) */

/* ---- calls */
struct grpc_conn *grpc_call_conn(const struct grpc_call *call); /* NULL: gone */
void grpc_call_set_user(struct grpc_call *call, void *user);
void *grpc_call_user(const struct grpc_call *call);
/* Streaming: one message more, of the joined @parts (at most 7; released as by http2_write()). E_LIMIT: too much waits;
 * E_CLOSED. */
int grpc_send(struct grpc_call *call, const struct stream_part *parts, unsigned count);
/* For who is about to send to many calls, of which none is in the caches: asks for what that will touch. Each step, of
 * GRPC_FETCH_STEPS, needs what the one before it has brought. */
void grpc_call_fetch(const struct grpc_call *call, unsigned step);
/* For who cannot send them: releases @parts; returns @rc. */
int grpc_refuse(const struct stream_part *parts, unsigned count, int rc);
/* Unary: the answer, and the end of @call. */
void grpc_reply(struct grpc_call *call, const struct stream_part *parts, unsigned count);
/* Ends either kind with a status; @message: plain text, percent-encoded here. A unary @call is gone. */
void grpc_fail(struct grpc_call *call, enum grpc_status status, const char *message);

#endif

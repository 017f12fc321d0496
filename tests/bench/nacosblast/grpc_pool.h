/* grpc_pool.h - the gRPC client: connections as SDKs hold them, each with its stream and its calls;
 * HTTP/2 is libnghttp2's. */
#ifndef NACOSBLAST_GRPC_POOL_H
#define NACOSBLAST_GRPC_POOL_H

#include "grpc_ops.h"
#include "loop.h"
#include "payload.h"
#include "phase.h"

#include <nghttp2/nghttp2.h>

struct grpc_conn; /* its fields live in grpc_pool.c */

/* The caller embeds it. Between init and start, or between two runs, it sets @first and @last,
 * @reopen, @answers_later, @on_notify; it reads @up, @n and the counts. All else is for
 * grpc_pool.c. */
struct grpc_pool {
	struct loop *loop;
	const struct options *opt;
	const struct load *load;
	const struct grpc_op *op;
	struct phase phase;
	unsigned first, last; /* the connections that work in this phase */
	struct grpc_conn *conns;
	struct grpc_conn **wakes; /* a heap by wake_at: [1..wake_count] */
	unsigned wake_count;
	unsigned n, depth, starting, up, next_start;
	bool reopen;				     /* lost connections come back */
	bool answers_later;			     /* what the server asks, once nothing is left to read */
	uint64_t closed, detections, pushes, resets; /* what the servers did */
	void (*on_notify)(void *arg, unsigned conn, const struct payload *); /* a push has come */
	void *notify_arg;
	const char *module;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	struct buf body, reply;
	char authority[64];
};

/* @n connections of @depth calls each, none opened yet; @module is the label that the server files
 * them under. @loop, @load and @module are borrowed until grpc_pool_done(). */
void grpc_pool_init(struct grpc_pool *p, struct loop *loop, const struct load *load, unsigned n,
		    unsigned depth, const char *module);
void grpc_pool_done(struct grpc_pool *p);

/* Set all connections up. False: after @seconds some are missing. */
bool grpc_pool_start(struct grpc_pool *p, double seconds, struct tally *tally);

/* As http_pool_run(), on the connections @first..@last-1. @phase says the limits and the tally. */
void grpc_pool_run(struct grpc_pool *p, enum grpc_op_name op, struct phase phase, double warmup,
		   double seconds, struct cost *cost);

/* What is due by the clock: to be called every few milliseconds. @arg: the pool. */
void grpc_pool_tick(void *arg);

#endif

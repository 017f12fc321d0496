/* http_pool.h - the HTTP/1.1 client: keep-alive connections that run operations of one kind at a
 * time. */
#ifndef NACOSBLAST_HTTP_POOL_H
#define NACOSBLAST_HTTP_POOL_H

#include "http_ops.h"
#include "loop.h"
#include "phase.h"

struct http_conn; /* its fields live in http_pool.c */

/* The caller embeds it and may read @phase; all else is for http_pool.c. */
struct http_pool {
	struct loop *loop;
	const struct options *opt;
	const struct load *load;
	const struct http_op *op;
	struct phase phase;
	struct http_conn *conns;
	unsigned n, depth;
	struct buf head, query, body, chunks;
};

/* @n connections of @depth requests in flight each; none is opened yet. @loop and @load are
 * borrowed until http_pool_done(). */
void http_pool_init(struct http_pool *p, struct loop *loop, const struct load *load, unsigned n,
		    unsigned depth);
void http_pool_done(struct http_pool *p);

/* Run @limit operations (0: no limit) of kind @op for at most @seconds after @warmup seconds. @cost
 * may be NULL. */
void http_pool_run(struct http_pool *p, enum http_op_name op, uint64_t limit, double warmup,
		   double seconds, struct tally *tally, struct cost *cost);

#endif

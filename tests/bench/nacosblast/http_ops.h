/* http_ops.h - the requests over HTTP: how each is written and its answer judged, as rows of a
 * table. */
#ifndef NACOSBLAST_HTTP_OPS_H
#define NACOSBLAST_HTTP_OPS_H

#include "http_response.h"
#include "load.h"
#include "tally.h"

/* One kind of request. @write fills query and body (both start empty); @judge says what an answer
 * is, ERR_KINDS meaning success. */
struct http_op {
	const char *method, *path;
	void (*write)(const struct load *, uint64_t op, struct buf *query, struct buf *body);
	enum error_kind (*judge)(const struct options *, const struct http_response *);
};

enum http_op_name {
	HTTP_REGISTER,
	HTTP_DEREGISTER,
	HTTP_PERSISTENT,
	HTTP_DROP_PERSISTENT,
	HTTP_BEAT,
	HTTP_LIST,
	HTTP_V2_REGISTER,
	HTTP_V3_REGISTER,
	HTTP_CONFIG_PUBLISH,
	HTTP_CONFIG_GET,
	HTTP_CONFIG_REMOVE,
	HTTP_PUSH_REGISTER,
	HTTP_PUSH_BEAT,
	HTTP_PUSH_DEREGISTER,
	HTTP_UDP_SUBSCRIBE,
};

extern const struct http_op http_ops[]; /* by enum http_op_name */

#endif

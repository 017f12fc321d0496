/* http_response.h - an HTTP/1.1 response, read from the bytes that have come so far. */
#ifndef NACOSBLAST_HTTP_RESPONSE_H
#define NACOSBLAST_HTTP_RESPONSE_H

#include "buf.h"

#include <stdbool.h>

struct http_response {
	int status;
	const char *body; /* borrowed from the connection's buffers */
	size_t body_len;
	bool close;   /* the server will close after this answer */
	size_t total; /* bytes that the whole response took */
};

/* The response that @in begins with: PARSE_WHOLE, PARSE_MORE or PARSE_BAD. Its body lies in @in, or
 * in @scratch where it came in chunks. The caller consumes ret->total bytes. */
int http_response_parse(const struct buf *in, struct buf *scratch, struct http_response *ret);

#endif

/* payload.h - the protobuf message that Nacos sends over gRPC, coded by hand, in gRPC's framing. */
#ifndef NACOSBLAST_PAYLOAD_H
#define NACOSBLAST_PAYLOAD_H

#include "buf.h"

#include <stdbool.h>

/* Appends the framed payload. @token: access token or NULL. */
void put_payload(struct buf *b, const char *type, const struct buf *body, const char *token);

/* A payload read, its parts borrowed. */
struct payload {
	const char *type, *body;
	size_t type_len, body_len;
};

bool payload_is(const struct payload *p, const char *type);

/* The first framed message in @in, if it is whole: PARSE_WHOLE, PARSE_MORE or PARSE_BAD. The caller
 * consumes @ret_total bytes. */
int message_take(const struct buf *in, struct payload *ret, size_t *ret_total);

#endif

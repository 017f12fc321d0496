/* payload.h - the protobuf envelope of Nacos' gRPC messages (payload.proto), read in place and written by
 * hand: two nested messages and a map are not worth a copy of every string. Any thread. */
#ifndef API_PAYLOAD_H
#define API_PAYLOAD_H

#include "base/error.h"
#include "net/http1.h"

enum { PAYLOAD_TYPE_MAX = 64, PAYLOAD_HEAD_MAX = 128 };

struct payload { /* slices of the message; at NULL: absent */
	struct slice type, client_ip, body;
	struct slice app; /* headers["app"] */
};

/* E_INVALID: not such a message. @ret is then untouched. */
int payload_decode(struct payload *ret, const void *at, size_t len, struct error *err);
/* What stands before a body of @body_len bytes, in @to (PAYLOAD_HEAD_MAX bytes); returns its length. @type:
 * at most PAYLOAD_TYPE_MAX bytes. Behind the body nothing stands. */
size_t payload_head(uint8_t *to, const char *type, size_t body_len);

#endif

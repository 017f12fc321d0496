/* reply.h - one DNS answer around what the zones write: header, question as it came, sections, OPT last (dns.md
 * 2.6, 3.1, 3.2). The reply may be built in the buffer that holds the query: then the question stays where it is
 * and is not copied. Any thread; no heap. */
#ifndef DNSD_REPLY_H
#define DNSD_REPLY_H

#include "dnsd/identity.h"

struct reply_limits {
	uint16_t udp_size;     /* ours, 512..4096; also what our OPT says */
	uint16_t keepalive_ds; /* tcp-keepalive timeout in 100 ms */
	const struct identity_slot *identity; /* NULL: the server does not name itself */
};

/* Starts the answer to @q at @to, of @cap bytes (at least 512): the question stands, @ret->w is where sections go
 * and ends at the size limit, less the room of the OPT. */
void reply_begin(struct dns_answer *ret, const struct question *q, uint8_t *to, size_t cap,
		 const struct reply_limits *limits);
/* Closes it: OPT and header. @rcode may be an extended one (BADVERS). Returns the length of the message. */
size_t reply_end(struct dns_answer *a, const struct question *q, uint16_t rcode, const struct reply_limits *limits);

#endif

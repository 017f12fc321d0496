/* transfer.h - whole zones on streams (AXFR, RFC 5936; an IXFR is answered by the whole zone or by our SOA alone, RFC
 * 1995). One `struct transfers` a worker, on its thread. A transfer hands out one message at a time, when the stream can
 * take it and the loop has had a turn, so that neither other queries nor memory notice how large the zone is. */
#ifndef DNSD_TRANSFER_H
#define DNSD_TRANSFER_H

#include "dnsd/respond.h"
#include "zones/zone_out.h"
#include <uv.h>

struct transfers;
struct transfer;

struct transfers_conf {
	unsigned max;	 /* at a time; the next one is refused */
	int64_t time_ms; /* each is through within, or cut off */
};

/* @conf is copied, @responder borrowed. E_NOMEM. */
int transfers_open(struct transfers **ret, uv_loop_t *loop, const struct transfers_conf *conf, struct responder *responder);
void transfers_close(struct transfers *t); /* every transfer has been freed; handles are gone when the loop has run out */
void transfers_free(struct transfers *t);

/* @x has the fate QUESTION_TRANSFER. NULL: it is refused, by *@len octets that are at @to (0: by nothing). Otherwise
 * @on_ready runs from the loop as soon as transfer_next() may be called. */
struct transfer *transfer_begin(struct transfers *t, struct exchange *x, const struct sockaddr *peer,
				void (*on_ready)(void *arg), void *arg, uint8_t *to, size_t cap, size_t *len);
/* The next message into @to, of DNS_MESSAGE_MAX octets. 0: that was all; TRANSFER_LATER: it has none yet, after much
 * looking, and wants another turn; TRANSFER_LATE: its time is over, and the connection's with it. */
#define TRANSFER_LATER SIZE_MAX
#define TRANSFER_LATE (SIZE_MAX - 1)
size_t transfer_next(struct transfer *x, uint8_t *to);
void transfer_want(struct transfer *x); /* on_ready once more, in the loop's next turn */
void transfer_free(struct transfer *x); /* any time */

#endif

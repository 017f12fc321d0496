/* tally.h - what a run counts: operations, errors by kind, latencies. */
#ifndef NACOSBLAST_TALLY_H
#define NACOSBLAST_TALLY_H

#include <stddef.h>
#include <stdint.h>

enum {
	SAMPLE_EVERY = 64, /* in one answer of so many the hosts are counted */
};

/* Log-linear: 64 steps in each power of two, so a value is known to 1.6 %. Nanoseconds. */
enum { HIST_STEPS = 64, HIST_SLOTS = HIST_STEPS * 59 };

struct hist {
	uint64_t count, max;
	uint64_t slots[HIST_SLOTS];
};

void hist_add(struct hist *h, uint64_t v);

/* The value that a share @q (0..1) of all values does not exceed. */
uint64_t hist_at(const struct hist *h, double q);

enum error_kind {
	ERR_CONNECT,  /* refused, or reset before it stood */
	ERR_CLOSED,   /* the connection went with requests in flight */
	ERR_STATUS,   /* an HTTP status other than 200 */
	ERR_GRPC,     /* a grpc-status other than 0, or the stream was reset */
	ERR_RESULT,   /* the answer says that the request failed */
	ERR_TYPE,     /* an answer of another type than the request's */
	ERR_EMPTY,    /* a list without hosts where there are some */
	ERR_PROTOCOL, /* not HTTP, HTTP/2 or a Payload */
	ERR_TIMEOUT,  /* no answer by the end of the run */
	ERR_KINDS
};

/* What a run counts. All zero: nothing yet. */
struct tally {
	uint64_t ops, bytes, sampled, hosts, reconnects;
	uint64_t errors[ERR_KINDS];
	struct hist latency;
	unsigned shown;
};

/* Count an error, and show the first few on stderr; @body may be NULL, and is shown with its
 * control characters as dots. */
void tally_error(struct tally *t, enum error_kind kind, const char *what, const void *body,
		 size_t len);

/* Forget what the warm-up counted; errors stay. */
void tally_restart(struct tally *t);

uint64_t tally_errors(const struct tally *t);	/* of all kinds */
void tally_print_errors(const struct tally *t); /* " errors=..." and the kinds that there were */

#endif

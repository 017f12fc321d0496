/* tcp.h - the streams of one worker (dns.md 3.5): framed questions in, framed answers out, in order but
 * for those that come later; in the clear or over TLS. Runs on the
 * worker's thread and loop. Bounded: connections, their share per client prefix, time without a question, time for one
 * message, and what is held for a client that does not read. */
#ifndef DNSD_TCP_H
#define DNSD_TCP_H

#include "dnsd/transfer.h"
#include "net/tls.h"
#include <uv.h>

struct tcp_conf {
	int64_t idle_ms;    /* a fifth when three quarters of the places are taken */
	int64_t message_ms; /* one message must be whole within */
	unsigned max, per_prefix;
	struct transfers *transfers; /* borrowed until tcp_front_close() */
	struct tls_slot *tls; /* for listeners that are secured */
};

struct tcp_front;

/* @responder and @counters are borrowed until tcp_front_free(). Errors: E_NOMEM. */
int tcp_front_open(struct tcp_front **ret, uv_loop_t *loop, const struct tcp_conf *conf, struct responder *responder,
		   struct error *err);
struct listening;
/* Takes the listening @fd, on failure too. @secure: TLS before everything (RFC 7858). *@ret is borrowed, for
 * tcp_front_unlisten(). Errors: E_NOMEM, E_IO. */
int tcp_front_listen(struct tcp_front *f, int fd, const struct dns_place *place, bool secure, struct listening **ret,
		     struct error *err);
void tcp_front_unlisten(struct tcp_front *f, struct listening *l); /* its connections live on */
void tcp_front_close(struct tcp_front *f); /* every handle; they are gone when the loop has run out */
void tcp_front_free(struct tcp_front *f);

#endif

/* tls.h - TLS by OpenSSL over bytes that somebody else moves: what was received goes in, plain bytes come out, and the
 * other way round, so that any stream on any loop can be secured. A context (certificate, key, protocols) is immutable and
 * shared by all threads; a session is one connection's and one thread's. It refuses to know sockets. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/error.h"
#include "base/rcu.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tls_conf {
	const char *cert, *key; /* PEM files: the chain, the server's own first; its key */
	const char *protocol;	/* the one that ALPN may name, a constant such as "dot"; NULL: ALPN is ignored */
};

struct tls_context;
/* Errors, with file and reason: E_MISSING (a file is not there), E_DENIED, E_INVALID (no certificate, no key, or not of
 * one another), E_NOMEM. */
int tls_context_load(struct tls_context **ret, const struct tls_conf *conf, struct error *err);
/* @fresh, of the same names as @old (a renewal), takes over the keys of session tickets, so that clients of before resume; of
 * other names it does not: who was promised one server must not be resumed by another. Before @fresh is used. */
void tls_context_inherit(struct tls_context *fresh, const struct tls_context *old);
void tls_context_free(struct tls_context *c); /* sessions live on without it; NULL is fine */

/* What threads that accept connections look at; the control thread replaces it. */
struct tls_slot {
	_Atomic(struct tls_context *) now;
};
/* @fresh is taken; what was there before goes to @reaper. */
void tls_slot_set(struct tls_slot *slot, struct tls_context *fresh, struct rcu_reaper *reaper);
/* From the same thread, now and then: keys of tickets live for 12 hours, then for 12 more to resume by. */
void tls_slot_turn(struct tls_slot *slot, int64_t now_ms);

/* Where a session puts what is to be sent. The owner's; may be shared by the sessions of a thread between calls. */
struct tls_sink {
	uint8_t *at;
	size_t len, cap;
};

struct tls_session;
/* The server's side, with what is in @slot (an RCU reader's thread). NULL: no memory, or an empty slot. */
struct tls_session *tls_session_new(struct tls_slot *slot);
void tls_session_free(struct tls_session *s); /* NULL is fine */
/* @len received octets, borrowed until tls_session_read() has given back 0 or an error. */
void tls_session_feed(struct tls_session *s, const uint8_t *at, size_t len);
/* Plain octets into @to: how many; 0: no more of what was fed; E_CLOSED: the peer has ended it in order, and what came
 * before was read; E_INVALID: broken. May put handshake messages and alerts into @out. */
ssize_t tls_session_read(struct tls_session *s, uint8_t *to, size_t cap, struct tls_sink *out);
/* Seals @len octets into @out, in as few records as hold them. E_INVALID: not now (no handshake yet), broken, or @out has
 * no room. */
int tls_session_write(struct tls_session *s, const uint8_t *from, size_t len, struct tls_sink *out);
/* What TLS adds to @len octets that are written, at most. */
size_t tls_overhead(size_t len);
void tls_session_end(struct tls_session *s, struct tls_sink *out); /* says goodbye, if there is anybody to say it to */

#endif

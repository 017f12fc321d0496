/* tls_tickets.h - the keys that seal session tickets (RFC 5077, RFC 8446 4.6.1): one for new tickets, and the one before, so
 * that its tickets still resume. They are random, change with time, and are wiped when they are two turns old, so that what
 * was said long ago cannot be read by who takes the process's memory. Any thread; private to net/. */
#ifndef NET_TLS_TICKETS_H
#define NET_TLS_TICKETS_H

#include <openssl/ssl.h>
#include <stdint.h>

enum { TLS_TICKETS_TURN_MS = 12 * 3600 * 1000 };

struct tls_tickets;
struct tls_tickets *tls_tickets_new(void); /* NULL: no memory */
struct tls_tickets *tls_tickets_ref(struct tls_tickets *t);
void tls_tickets_unref(struct tls_tickets *t); /* NULL is fine */
/* A new key, if the present one has been in use for so long; the first call begins to count. */
void tls_tickets_turn(struct tls_tickets *t, int64_t now_ms);
/* Sessions of @ctx seal by the keys that are each one's app data. */
void tls_tickets_use(SSL_CTX *ctx);

#endif

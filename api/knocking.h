/* knocking.h - does anybody still listen where a closed connection has published? Where nobody does its client is dead, not
 * cut off, and its instance need not wait out the grace. One I/O thread's. */
#ifndef API_KNOCKING_H
#define API_KNOCKING_H

struct knocking;
struct session;

/* @s is closed, waits for its client, and has no message under way: what it publishes does not change any more. It lives at
 * least until the answers are in. Without memory, or where nobody knocks, nothing happens. */
void knocking_start(struct session *s);
void knocking_free(struct knocking *k); /* with its session; NULL is fine */

#endif

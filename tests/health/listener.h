/* listener.h - a little server on a thread of its own that behaves as a test wants: answers with fixed bytes,
 * byte by byte, not at all... */
#ifndef TESTS_HEALTH_LISTENER_H
#define TESTS_HEALTH_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

struct listener;

/* On 127.0.0.1 or ::1, a free port. NULL: the host has no such address. */
struct listener *listener_new(bool v6);
void listener_free(struct listener *l);
uint16_t listener_port(const struct listener *l);
/* @text is sent to whoever has sent an empty line, then the connection is closed; borrowed until changed.
 * NULL: nothing is sent and the connection stays open. */
void listener_answer(struct listener *l, const char *text);
void listener_slow(struct listener *l, int byte_ms); /* a pause before each byte */
/* The whole last request, copied. */
void listener_last(struct listener *l, char *to, unsigned size);

/* A port that is taken and refuses connections; and one whose queue is full, so that nobody answers. */
int port_that_refuses(uint16_t *ret); /* a socket to close */
struct silent {
	int fds[12];
	uint16_t port;
};
void silent_open(struct silent *s);
void silent_close(struct silent *s);

#endif

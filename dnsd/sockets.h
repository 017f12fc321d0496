/* sockets.h - the descriptors of the DNS front end: bound, with every option set, before any worker runs. Control
 * thread. It reads and writes nothing. */
#ifndef DNSD_SOCKETS_H
#define DNSD_SOCKETS_H

#include "base/error.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

enum { ADDRESS_TEXT_MAX = 64 };
void address_format(char to[ADDRESS_TEXT_MAX], const struct sockaddr_storage *at); /* 127.0.0.1:53, [::1]:53 */
bool address_is_wildcard(const struct sockaddr_storage *at);
uint16_t address_port(const struct sockaddr_storage *at);
socklen_t address_len(const struct sockaddr_storage *at);

/* One UDP socket and one listening TCP socket a worker, all at one address and port. */
struct socket_pair {
	int udp, tcp; /* -1: none */
};

enum { SOCKETS_BESIDE = 1, SOCKETS_STREAM = 2 };
/* Binds @count pairs at @at; port 0 becomes a free one, written back. @how: SOCKETS_STREAM: no UDP; SOCKETS_BESIDE: beside
 * sockets of ours that hold this port already, at an address that overlaps (127.0.0.1 before, 0.0.0.0 now). All or nothing: on failure no pair is open.
 * Errors: E_CONFLICT (the address is in use), E_DENIED, E_UNSUPPORTED (no such address family here), E_IO. */
int sockets_bind(struct socket_pair *pairs, size_t count, struct sockaddr_storage *at, unsigned how, struct error *err);
void sockets_close(struct socket_pair *pairs, size_t count);

#endif

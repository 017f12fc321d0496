/* client.h - who asks, as far as an answer depends on it. Any thread; knows no sockets. */
#ifndef DNSD_CLIENT_H
#define DNSD_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct client {
	uint64_t bucket;  /* of the prefix, /24 or /56, mixed: the same in every process, so that a restart moves nobody's subset */
	uint8_t addr[16]; /* network order; an IPv4 address in the first four */
	uint8_t addr_len; /* 4, 16; 0: of another family */
	bool recursion;	  /* names outside of our zones are asked for it; client_init() says no */
	bool near;	  /* a loopback, private or link-local address: no other network can spoof it */
};

void client_init(struct client *ret, const struct sockaddr *peer);

#endif

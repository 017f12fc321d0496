/* place.h - one of the server's own addresses, as it was set: with port 0 if that was asked for. Any thread. */
#ifndef ZONES_PLACE_H
#define ZONES_PLACE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

struct dns_place {
	uint8_t addr[16]; /* network order; an IPv4 address in the first four */
	uint8_t len;	  /* 4, 16; 0: unknown */
	uint16_t port;
};

static inline void dns_place_of(struct dns_place *ret, const struct sockaddr_storage *address)
{
	*ret = (struct dns_place){ 0 };
	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *in4 = (const void *)address;
		memcpy(ret->addr, &in4->sin_addr, 4);
		ret->len = 4;
		ret->port = ntohs(in4->sin_port);
	} else if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;
		memcpy(ret->addr, &in6->sin6_addr, 16);
		ret->len = 16;
		ret->port = ntohs(in6->sin6_port);
	}
}

static inline bool dns_place_equal(const struct dns_place *a, const struct dns_place *b)
{
	return a->port == b->port && a->len == b->len && memcmp(a->addr, b->addr, a->len) == 0;
}

#endif

/* client.c - see client.h. */
#include "dnsd/client.h"
#include <netinet/in.h>
#include <string.h>

static uint64_t mix(uint64_t x) /* the finaliser of splitmix64 */
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static bool near4(uint32_t a)
{
	return a >> 24 == 127 || a >> 24 == 10 || a >> 16 == 0xc0a8 || a >> 20 == 0xac1 || a >> 16 == 0xa9fe;
}

static bool near6(const struct in6_addr *a)
{
	return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_LINKLOCAL(a) || (a->s6_addr[0] & 0xfe) == 0xfc;
}

void client_init(struct client *ret, const struct sockaddr *peer)
{
	uint64_t prefix = 0;
	ret->addr_len = 0;
	ret->near = ret->recursion = false;
	if (peer->sa_family == AF_INET) {
		const struct in_addr *a = &((const struct sockaddr_in *)(const void *)peer)->sin_addr;
		uint32_t host = ntohl(a->s_addr);
		memcpy(ret->addr, a, 4);
		ret->addr_len = 4;
		ret->near = near4(host);
		prefix = host >> 8 | 4ULL << 56;
	} else if (peer->sa_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
		memcpy(ret->addr, a, 16);
		ret->addr_len = 16;
		ret->near = near6(a);
		memcpy(&prefix, a, 7);
		prefix |= 6ULL << 56;
	}
	ret->bucket = mix(prefix);
}

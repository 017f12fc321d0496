/* cidr.h - address ranges: "10.0.0.0/8", "fd00::/8", a bare address for itself alone. Any thread. */
#ifndef BASE_CIDR_H
#define BASE_CIDR_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct cidr {
	sa_family_t family; /* AF_INET, AF_INET6 */
	uint8_t bits;	    /* of the prefix */
	uint8_t addr[16];   /* network order; bits behind the prefix are 0 */
};

struct cidr_list {
	struct cidr *at;
	size_t count;
};

/* A range of IPv4-mapped addresses is one of IPv4. E_INVALID, E_RANGE (prefix too long); *ret is then untouched. */
int cidr_parse(struct cidr *ret, const char *text, struct error *err);
/* IPv4-mapped IPv6 peers are matched as the IPv4 addresses that they are. Ports do not count. */
bool cidr_match(const struct cidr *c, const struct sockaddr *peer);
bool cidr_match_address(const struct cidr *c, sa_family_t family, const uint8_t *address); /* 4 or 16 octets */
bool cidr_match_any(const struct cidr *list, size_t count, const struct sockaddr *peer);

#endif

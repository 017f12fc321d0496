/* udp_packet.h - the datagrams of UDP push: a ServiceInfo on its way to clients of 1.x, and their acknowledgements
 * (nacos-naming 6.3, 6.4). Pure functions over bytes. */
#ifndef API_UDP_PACKET_H
#define API_UDP_PACKET_H

#include "base/text.h"

enum {
	UDP_PACKET_MAX = 65507,	   /* no datagram is larger */
	UDP_PLAIN_MAX = 1 << 20,   /* bytes that are compressed at all: beyond, it would take too long for its chance */
	UDP_GZIP_FROM = 1024,
	UDP_ACK_MAX = 2048,
};

/* Appends the datagram with @info (a ServiceInfo's JSON) and @ref to @to, compressed if it is long. @scratch is
 * overwritten. false: it is too large for any datagram, or there is no memory; @to is as it was then. */
bool udp_packet_write(struct text *to, struct text *scratch, const char *info, size_t len, uint64_t ref);

/* The number that @datagram acknowledges; 0: it is no acknowledgement. */
uint64_t udp_ack_read(const char *datagram, size_t len);

#endif

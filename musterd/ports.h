/* ports.h - ports.json of the data directory: the addresses that were bound, written whole (a rename) before
 * the server is ready, so that tools and tests never guess a port. */
#ifndef MUSTERD_PORTS_H
#define MUSTERD_PORTS_H

#include "base/error.h"
#include <stddef.h>
#include <sys/socket.h>

struct bound_addresses {
	struct sockaddr_storage dns[64], dns_tls[64], http[16], operator[16], grpc[16], push[16];
	size_t dns_count, dns_tls_count, http_count, operator_count, grpc_count, push_count;
};

int ports_write(const char *data_dir, const struct bound_addresses *bound, struct error *err);
void ports_remove(const char *data_dir);
/* "127.0.0.1:53", "[::1]:53". */
void bound_format(char *to, size_t cap, const struct sockaddr_storage *address);

#endif

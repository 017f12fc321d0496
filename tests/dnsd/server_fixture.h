/* server_fixture.h - a running DNS server over the stub zones, and clients that wait at most some seconds. */
#ifndef TESTS_DNSD_SERVER_FIXTURE_H
#define TESTS_DNSD_SERVER_FIXTURE_H

#include "dnsd/dns_server.h"
#include "tests/support/dns_wire.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
	struct dns_server_conf conf; /* change, then server_start() */
	struct dns_listen listens[3];
	struct dns_server *server;
	struct sockaddr_storage addrs[3]; /* bound */
	size_t addr_count;
};

int fixture_setup(void **state); /* listens on 127.0.0.1:0, two threads; not started */
int fixture_teardown(void **state);
void server_start(struct fixture *f);
struct sockaddr_storage address_of(const char *host, unsigned port);
unsigned port_of(const struct fixture *f);
int client_udp(const struct sockaddr_storage *to); /* connected, with a receive time-out */
int client_tcp(const struct sockaddr_storage *to);
/* One whole message from a stream into @to; 0: the server closed; fails the test on a time-out. */
size_t stream_read(int fd, uint8_t *to, size_t cap);
void stream_write(int fd, const void *from, size_t len);
void stream_query(int fd, const struct wire *w); /* framed */

#endif

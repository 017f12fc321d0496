/* server_fixture.c - the server and its clients. */
#include "tests/dnsd/server_fixture.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

struct sockaddr_storage address_of(const char *host, unsigned port)
{
	struct sockaddr_storage at = { 0 };
	struct sockaddr_in *four = (struct sockaddr_in *)&at;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&at;
	if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)port);
	} else {
		assert_int_equal(inet_pton(AF_INET6, host, &six->sin6_addr), 1);
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)port);
	}
	return at;
}

int fixture_setup(void **state)
{
	static const struct zone_slot none; /* the stub looks at no set */
	struct fixture *f = calloc(1, sizeof *f);
	f->conf.zones = &none;
	f->listens[0].addr = address_of("127.0.0.1", 0);
	f->conf.listens = f->listens;
	f->conf.listen_count = 1;
	f->conf.threads = 2;
	f->conf.udp_gso = true;
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	if (f->server != NULL)
		dns_server_stop(f->server);
	free(f);
	return 0;
}

void server_start(struct fixture *f)
{
	struct error err = { 0 };
	int rc = dns_server_start(&f->server, &f->conf, &err);
	if (rc != E_OK)
		fail_msg("start: %s", err.text);
	f->addr_count = dns_server_addresses(f->server, false, f->addrs, 3);
}

unsigned port_of(const struct fixture *f)
{
	const struct sockaddr_in *at = (const struct sockaddr_in *)&f->addrs[0];
	return ntohs(at->sin_port); /* at the same place in an IPv6 address */
}

static int client(int type, const struct sockaddr_storage *to)
{
	int fd = socket(to->ss_family, type | SOCK_CLOEXEC, 0);
	struct timeval limit = { .tv_sec = 10 };
	socklen_t len = to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	assert_int_equal(connect(fd, (const struct sockaddr *)to, len), 0);
	return fd;
}

int client_udp(const struct sockaddr_storage *to)
{
	return client(SOCK_DGRAM, to);
}

int client_tcp(const struct sockaddr_storage *to)
{
	return client(SOCK_STREAM, to);
}

/* Exactly @len octets; false: closed before the first. */
static bool read_exactly(int fd, uint8_t *to, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = recv(fd, to + got, len - got, 0);
		if (n < 0 && errno != ECONNRESET)
			fail_msg("the server neither answers nor closes: %s", strerror(errno));
		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

size_t stream_read(int fd, uint8_t *to, size_t cap)
{
	uint8_t head[2];
	if (!read_exactly(fd, head, 2))
		return 0;
	size_t len = wire_get16(head);
	assert_true(len <= cap);
	return read_exactly(fd, to, len) ? len : 0;
}

void stream_write(int fd, const void *from, size_t len)
{
	for (size_t sent = 0; sent < len;) {
		ssize_t n = send(fd, (const uint8_t *)from + sent, len - sent, MSG_NOSIGNAL);
		assert_true(n > 0);
		sent += (size_t)n;
	}
}

void stream_query(int fd, const struct wire *w)
{
	uint8_t head[2] = { (uint8_t)(w->len >> 8), (uint8_t)w->len };
	stream_write(fd, head, 2);
	stream_write(fd, w->at, w->len);
}

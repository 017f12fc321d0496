/* sockets.c - binding. The first socket of an address is bound without SO_REUSEPORT and gets it afterwards: so
 * another server on that port, even another Muster of the same user, is a conflict and not a silent sharer, and
 * port 0 is never given a port that somebody else shares. The other workers' sockets then join it. */
#include "dnsd/sockets.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PORT_TRIES = 64, TCP_BACKLOG = 1024, BUFFER_WANTED = 8 << 20 };

static const struct sockaddr_in *in4(const struct sockaddr_storage *at)
{
	return (const struct sockaddr_in *)(const void *)at;
}

static const struct sockaddr_in6 *in6(const struct sockaddr_storage *at)
{
	return (const struct sockaddr_in6 *)(const void *)at;
}

bool address_is_wildcard(const struct sockaddr_storage *at)
{
	if (at->ss_family == AF_INET)
		return in4(at)->sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&in6(at)->sin6_addr);
}

uint16_t address_port(const struct sockaddr_storage *at)
{
	return ntohs(at->ss_family == AF_INET ? in4(at)->sin_port : in6(at)->sin6_port);
}

socklen_t address_len(const struct sockaddr_storage *at)
{
	return at->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void address_set_port(struct sockaddr_storage *at, uint16_t port)
{
	if (at->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)at)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)(void *)at)->sin6_port = htons(port);
}

void address_format(char to[ADDRESS_TEXT_MAX], const struct sockaddr_storage *at)
{
	char host[INET6_ADDRSTRLEN] = "?";
	bool four = at->ss_family == AF_INET;
	inet_ntop(at->ss_family, four ? (const void *)&in4(at)->sin_addr : (const void *)&in6(at)->sin6_addr, host,
		  sizeof host);
	snprintf(to, ADDRESS_TEXT_MAX, four ? "%s:%u" : "[%s]:%u", host, (unsigned)address_port(at));
}

static bool set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/* Best effort: what the kernel does not know or does not grant is not worth failing for. */
static void udp_tune(int fd, const struct sockaddr_storage *at)
{
	bool four = at->ss_family == AF_INET;
	if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_WANTED))
		set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_WANTED);
	if (!set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_WANTED))
		set(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_WANTED);
	/* Spoofed ICMP must not shrink the path MTU (dns.md 3.1). */
	if (four && !set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT))
		set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	if (!four && !set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT))
		set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
}

static bool udp_wants_pktinfo(int fd, const struct sockaddr_storage *at)
{
	if (!address_is_wildcard(at))
		return true;
	if (at->ss_family == AF_INET)
		return set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	return set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

/* A bound socket or -errno. @first: see the head of this file. */
static int bound_socket(int type, const struct sockaddr_storage *at, bool first)
{
	int fd = socket(at->ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	bool ok = at->ss_family == AF_INET || set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (type == SOCK_STREAM)
		ok = ok && set(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* connections of our last run in TIME_WAIT */
	else
		ok = ok && udp_wants_pktinfo(fd, at);
	ok = ok && (first || set(fd, SOL_SOCKET, SO_REUSEPORT, 1));
	ok = ok && bind(fd, (const struct sockaddr *)at, address_len(at)) == 0;
	ok = ok && (!first || set(fd, SOL_SOCKET, SO_REUSEPORT, 1));
	if (ok && type == SOCK_STREAM) {
		set(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* inherited by what is accepted */
		ok = listen(fd, TCP_BACKLOG) == 0;
	} else if (ok) {
		udp_tune(fd, at);
	}
	if (ok)
		return fd;
	int errnum = errno;
	close(fd);
	return -errnum;
}

void sockets_close(struct socket_pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (pairs[i].udp >= 0)
			close(pairs[i].udp);
		if (pairs[i].tcp >= 0)
			close(pairs[i].tcp);
		pairs[i] = (struct socket_pair){ -1, -1 };
	}
}

static int port_learn(int fd, struct sockaddr_storage *at)
{
	struct sockaddr_storage bound;
	socklen_t len = sizeof bound;
	if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0)
		return -errno;
	address_set_port(at, address_port(&bound));
	return 0;
}

/* The @nth pair at a known or a free port: 0 or -errno. */
static int pair_bind(struct socket_pair *pair, size_t nth, struct sockaddr_storage *at, unsigned how)
{
	bool first = nth == 0 && (how & SOCKETS_BESIDE) == 0;
	if ((how & SOCKETS_STREAM) == 0) {
		pair->udp = bound_socket(SOCK_DGRAM, at, first);
		int rc = pair->udp >= 0 && address_port(at) == 0 ? port_learn(pair->udp, at) : pair->udp;
		if (rc < 0)
			return rc;
	}
	pair->tcp = bound_socket(SOCK_STREAM, at, first);
	return pair->tcp >= 0 && address_port(at) == 0 ? port_learn(pair->tcp, at) : pair->tcp;
}

int sockets_bind(struct socket_pair *pairs, size_t count, struct sockaddr_storage *at, unsigned how, struct error *err)
{
	bool any_port = address_port(at) == 0;
	int rc = -EADDRINUSE;
	for (size_t i = 0; i < count; i++)
		pairs[i] = (struct socket_pair){ -1, -1 };
	for (unsigned tries = any_port ? PORT_TRIES : 1; tries > 0 && rc == -EADDRINUSE; tries--) {
		struct sockaddr_storage asked = *at;
		rc = 0;
		for (size_t i = 0; i < count && rc >= 0; i++)
			rc = pair_bind(&pairs[i], i, &asked, how);
		if (rc >= 0) {
			*at = asked;
			return E_OK;
		}
		sockets_close(pairs, count); /* the free UDP port may be a taken TCP port: another one */
	}
	char text[ADDRESS_TEXT_MAX];
	address_format(text, at);
	if (rc == -EADDRINUSE)
		return error_set(err, E_CONFLICT, "DNS address %s is in use", text);
	if (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL)
		return error_set(err, E_UNSUPPORTED, "DNS address %s: %s", text, strerror(-rc));
	return error_set_errno(err, -rc, "DNS address %s", text);
}

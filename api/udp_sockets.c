/* udp_sockets.c - see udp_sockets.h. */
#include "api/udp_sockets.h"

#include "api/udp_packet.h"
#include "base/hash.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	BUFFER_WANTED = 4 << 20, /* bytes: a change for thousands leaves at once, and their acks come at once */
	READS_MAX = 1024,	 /* of one turn */
};

/* ---- addresses */

static const void *host_of(const union udp_address *a, size_t *len)
{
	bool four = a->any.sa_family == AF_INET;
	*len = four ? sizeof(a->v4.sin_addr) : sizeof(a->v6.sin6_addr);
	return four ? (const void *)&a->v4.sin_addr : &a->v6.sin6_addr;
}

static in_port_t port_of(const union udp_address *a)
{
	return a->any.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port;
}

bool udp_host_same(const union udp_address *a, const union udp_address *b)
{
	size_t len;
	const void *x = host_of(a, &len);
	return a->any.sa_family == b->any.sa_family && memcmp(x, host_of(b, &len), len) == 0 &&
	       (a->any.sa_family == AF_INET || a->v6.sin6_scope_id == b->v6.sin6_scope_id);
}

bool udp_address_same(const union udp_address *a, const union udp_address *b)
{
	return port_of(a) == port_of(b) && udp_host_same(a, b);
}

uint64_t udp_host_hash(const union udp_address *a)
{
	size_t len;
	const void *host = host_of(a, &len);
	return hash_bytes(host, len);
}

uint64_t udp_address_hash(const union udp_address *a)
{
	in_port_t port = port_of(a);
	return hash_more(udp_host_hash(a), &port, sizeof(port));
}

static bool is_any(const union udp_address *a)
{
	return a->any.sa_family == AF_INET ? a->v4.sin_addr.s_addr == htonl(INADDR_ANY)
					   : IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

bool udp_host_is_loopback(const union udp_address *a)
{
	return a->any.sa_family == AF_INET ? ntohl(a->v4.sin_addr.s_addr) >> 24 == 127
					   : IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

/* ---- opening and closing */

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static void tune(int fd)
{
	if (set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_WANTED) < 0)
		set(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_WANTED);
	if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_WANTED) < 0)
		set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_WANTED);
}

static int bind_one(struct udp_socket *s, const struct sockaddr_storage *at, struct error *err)
{
	char host[INET6_ADDRSTRLEN] = "?";
	size_t host_len;
	socklen_t len = at->ss_family == AF_INET ? sizeof(s->bound.v4) : sizeof(s->bound.v6);
	memcpy(&s->bound, at, len);
	s->fd = socket(at->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd >= 0 && (at->ss_family == AF_INET || set(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) == 0) &&
	    bind(s->fd, &s->bound.any, len) == 0 && getsockname(s->fd, &s->bound.any, &len) == 0) {
		tune(s->fd);
		return E_OK;
	}
	int why = errno;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	inet_ntop(at->ss_family, host_of(&s->bound, &host_len), host, sizeof(host));
	return error_set_errno(err, why, "UDP push from %s port %u (push.udp_listen sets another one, push.udp_subscriptions = 0 none)",
			       host, ntohs(port_of(&s->bound)));
}

int udp_sockets_bind(struct udp_sockets *s, const struct sockaddr_storage *at, unsigned count, struct error *err)
{
	if (count > UDP_SOCKETS_MAX)
		return error_set(err, E_LIMIT, "%u addresses of UDP push are more than %d", count, UDP_SOCKETS_MAX);
	for (s->count = 0; s->count < count; s->count++) {
		struct udp_socket *one = &s->at[s->count];
		one->all = s;
		int rc = bind_one(one, &at[s->count], err);
		if (rc < 0) {
			udp_sockets_close(s);
			return rc;
		}
	}
	return E_OK;
}

static void receive(struct udp_socket *s)
{
	char buf[UDP_ACK_MAX + 1];
	for (unsigned i = 0; i < READS_MAX; i++) {
		union udp_address from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(s->fd, buf, sizeof(buf), MSG_DONTWAIT, &from.any, &len);
		if (n < 0)
			return;
		if (len >= sizeof(from.v4))
			s->all->on_datagram(s->all->arg, &from, buf, (size_t)n);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct udp_socket *s = poll->data;
	if (status < 0)
		return;
	if (events & UV_READABLE)
		receive(s);
	if ((events & UV_WRITABLE) && s->wants_room) {
		s->wants_room = false;
		uv_poll_start(&s->poll, UV_READABLE, on_poll);
		s->all->on_room(s->all->arg);
	}
}

int udp_sockets_poll(struct udp_sockets *s, uv_loop_t *loop, struct error *err)
{
	for (unsigned i = 0; i < s->count; i++) {
		int rc = uv_poll_init(loop, &s->at[i].poll, s->at[i].fd);
		if (rc < 0) {
			for (; i-- > 0;)
				uv_close((uv_handle_t *)&s->at[i].poll, NULL);
			return error_set(err, E_IO, "UDP push cannot be polled: %s", uv_strerror(rc));
		}
		s->at[i].poll.data = &s->at[i];
	}
	for (unsigned i = 0; i < s->count; i++)
		uv_poll_start(&s->at[i].poll, UV_READABLE, on_poll);
	s->polled = true;
	return E_OK;
}

void udp_sockets_close(struct udp_sockets *s)
{
	for (; s->count > 0; s->count--) {
		struct udp_socket *one = &s->at[s->count - 1];
		if (s->polled)
			uv_close((uv_handle_t *)&one->poll, NULL);
		close(one->fd);
	}
	s->polled = false;
}

/* ---- sending */

void udp_socket_want_room(struct udp_socket *s)
{
	if (!s->wants_room && s->all->polled)
		uv_poll_start(&s->poll, UV_READABLE | UV_WRITABLE, on_poll);
	s->wants_room = s->all->polled;
}

struct udp_socket *udp_socket_for(struct udp_sockets *s, const union udp_address *to)
{
	struct udp_socket *found = NULL;
	for (unsigned i = 0; i < s->count; i++) {
		struct udp_socket *one = &s->at[i];
		if (one->bound.any.sa_family != to->any.sa_family)
			continue;
		if (is_any(&one->bound) || udp_host_is_loopback(&one->bound) == udp_host_is_loopback(to))
			return one;
		found = one; /* the kernel knows better, or refuses */
	}
	return found;
}

unsigned udp_socket_send(struct udp_socket *s, const struct udp_datagram *first, unsigned count, int *why)
{
	struct mmsghdr out[UDP_BATCH];
	struct iovec parts[UDP_BATCH];
	unsigned sent = 0;
	count = count < UDP_BATCH ? count : UDP_BATCH;
	for (unsigned i = 0; i < count; i++) {
		parts[i] = (struct iovec){ (void *)(uintptr_t)first[i].at, first[i].len };
		out[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = (void *)(uintptr_t)first[i].to,
							.msg_namelen = first[i].to->any.sa_family == AF_INET
									   ? sizeof(struct sockaddr_in)
									   : sizeof(struct sockaddr_in6),
							.msg_iov = &parts[i],
							.msg_iovlen = 1 } };
	}
	*why = 0;
	while (sent < count) {
		int n = sendmmsg(s->fd, out + sent, count - sent, MSG_DONTWAIT);
		if (n <= 0) {
			*why = n < 0 ? errno : EAGAIN;
			return sent;
		}
		sent += (unsigned)n;
	}
	return sent;
}

/* loop.c - see loop.h. */
#include "loop.h"
#include "clock.h"
#include "die.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 256, /* epoll events taken at once */
	BUSY_EVENTS = 64, /* with fewer of them a loop that may rest does */
	REST_NS = 250000,
	LATER_MAX = 32, /* answers written between two looks at what has come */
};

void loop_init(struct loop *loop)
{
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0)
		die("epoll_create1: %s", strerror(errno));
	loop->chunk = must_alloc(1, READ_CHUNK);
	loop->woke = loop->now = now_ns();
	loop->rests = false;
	loop->later = NULL;
	loop->later_end = &loop->later;
}

void loop_done(struct loop *loop)
{
	close(loop->epfd);
	free(loop->chunk);
}

void sock_later(struct loop *loop, struct sock *s)
{
	if (s->is_later)
		return;
	s->is_later = true;
	s->next_later = NULL;
	*loop->later_end = s;
	loop->later_end = &s->next_later;
}

static void loop_turn_later(struct loop *loop)
{
	for (unsigned n = 0; n < LATER_MAX && loop->later != NULL; n++) {
		struct sock *s = loop->later;
		loop->later = s->next_later;
		if (loop->later == NULL)
			loop->later_end = &loop->later;
		s->is_later = false;
		if (s->fd >= 0)
			s->on_later(s);
	}
}

static void loop_rest(void)
{
	struct timespec t = { .tv_nsec = REST_NS };
	nanosleep(&t, NULL);
}

void loop_turn(struct loop *loop, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	bool waits = loop->later == NULL && !loop->rests;
	int n = epoll_wait(loop->epfd, events, EVENTS_MAX, waits ? timeout_ms : 0);
	loop->woke = now_ns();
	loop->now = loop->woke;
	if (n <= 0)
		loop_turn_later(loop);
	for (int i = 0; i < n; i++) {
		struct sock *s = events[i].data.ptr;
		if (i > 0)
			loop->now = now_ns();
		s->on_events(s, events[i].events);
	}
	if (loop->rests && n < BUSY_EVENTS && (n > 0 || loop->later == NULL))
		loop_rest();
}

void loop_run_until(struct loop *loop, uint64_t until, void (*tick)(void *), void *arg)
{
	while (loop->now < until) {
		loop_turn(loop, 5);
		if (tick)
			tick(arg);
	}
}

void sock_watch(struct loop *loop, struct sock *s, int op, bool write)
{
	struct epoll_event e = { .events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0),
				 .data.ptr = s };
	if (epoll_ctl(loop->epfd, op, s->fd, &e) < 0)
		die("epoll_ctl: %s", strerror(errno));
	s->want_write = write;
}

void sock_close(struct sock *s)
{
	if (s->fd >= 0)
		close(s->fd); /* leaves the epoll set with it: nobody duplicates our descriptors */
	s->fd = -1;
}

bool sock_flush(struct loop *loop, struct sock *s, struct buf *out)
{
	while (buf_left(out) > 0) {
		ssize_t n = send(s->fd, buf_head(out), buf_left(out), MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0)
			break;
		out->head += (size_t)n;
	}
	bool write = buf_left(out) > 0;
	if (write != s->want_write)
		sock_watch(loop, s, EPOLL_CTL_MOD, write);
	return true;
}

bool sock_connect(struct loop *loop, struct sock *s, struct in_addr host, uint16_t port,
		  unsigned source)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = host };
	int on = 1;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		die("socket: %s (see ulimit -n)", strerror(errno));
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (source > 0) {
		struct sockaddr_in from = { .sin_family = AF_INET };
		from.sin_addr.s_addr = htonl(0x7f000000u + source);
		setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		if (bind(s->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
			die("bind 127.0.0.%u: %s", source, strerror(errno));
	}
	if (connect(s->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS) {
		sock_close(s);
		return false;
	}
	sock_watch(loop, s, EPOLL_CTL_ADD, true);
	return true;
}

int sock_error(const struct sock *s)
{
	int err = 0;
	socklen_t len = sizeof(err);
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return errno;
	return err;
}

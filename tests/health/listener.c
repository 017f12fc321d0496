/* listener.c - see listener.h. */
#include "tests/health/listener.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OPEN_MAX_ = 64, REQUEST_MAX = 4096 };

struct listener {
	int fd, wake[2];
	uint16_t port;
	pthread_t thread;
	pthread_mutex_t lock;
	const char *answer;
	int byte_ms;
	char last[REQUEST_MAX];
	int open[OPEN_MAX_];
	unsigned open_count;
};

static int bound_socket(bool v6, uint16_t *ret)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *to = v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
	socklen_t len = v6 ? sizeof(in6) : sizeof(in);
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, to, len) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	getsockname(fd, to, &len);
	*ret = ntohs(v6 ? in6.sin6_port : in.sin_port);
	return fd;
}

static bool read_request(struct listener *l, int fd)
{
	char got[REQUEST_MAX];
	size_t len = 0;
	while (len < sizeof(got) - 1) {
		struct pollfd wait[2] = { { fd, POLLIN, 0 }, { l->wake[0], POLLIN, 0 } };
		if (poll(wait, 2, 2000) <= 0 || wait[1].revents != 0)
			return false;
		ssize_t n = recv(fd, got + len, sizeof(got) - 1 - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		got[len] = '\0';
		if (strstr(got, "\r\n\r\n") != NULL)
			break;
	}
	pthread_mutex_lock(&l->lock);
	memcpy(l->last, got, len + 1);
	pthread_mutex_unlock(&l->lock);
	return true;
}

static void send_answer(struct listener *l, int fd, const char *answer, int byte_ms)
{
	size_t len = strlen(answer);
	if (byte_ms == 0) {
		send(fd, answer, len, MSG_NOSIGNAL);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		struct pollfd wake = { l->wake[0], POLLIN, 0 };
		if (poll(&wake, 1, byte_ms) > 0 || send(fd, answer + i, 1, MSG_NOSIGNAL) != 1)
			return;
	}
}

static void serve(struct listener *l, int fd)
{
	if (read_request(l, fd)) {
		pthread_mutex_lock(&l->lock);
		const char *answer = l->answer;
		int byte_ms = l->byte_ms;
		pthread_mutex_unlock(&l->lock);
		if (answer == NULL && l->open_count < OPEN_MAX_) {
			l->open[l->open_count++] = fd;
			return;
		}
		if (answer != NULL)
			send_answer(l, fd, answer, byte_ms);
	}
	close(fd);
}

static void *run(void *arg)
{
	struct listener *l = arg;
	for (;;) {
		struct pollfd wait[2] = { { l->fd, POLLIN, 0 }, { l->wake[0], POLLIN, 0 } };
		if (poll(wait, 2, -1) < 0 && errno != EINTR)
			break;
		if (wait[1].revents != 0)
			break;
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			serve(l, fd);
	}
	for (unsigned i = 0; i < l->open_count; i++)
		close(l->open[i]);
	return NULL;
}

struct listener *listener_new(bool v6)
{
	struct listener *l = mem_zalloc(1, sizeof(*l));
	l->fd = bound_socket(v6, &l->port);
	if (l->fd < 0 || listen(l->fd, 512) < 0 || pipe(l->wake) < 0) {
		mem_free(l);
		return NULL;
	}
	l->answer = "HTTP/1.1 200 OK\r\n\r\n";
	pthread_mutex_init(&l->lock, NULL);
	pthread_create(&l->thread, NULL, run, l);
	return l;
}

void listener_free(struct listener *l)
{
	close(l->wake[1]);
	pthread_join(l->thread, NULL);
	close(l->wake[0]);
	close(l->fd);
	pthread_mutex_destroy(&l->lock);
	mem_free(l);
}

uint16_t listener_port(const struct listener *l)
{
	return l->port;
}

void listener_answer(struct listener *l, const char *text)
{
	pthread_mutex_lock(&l->lock);
	l->answer = text;
	pthread_mutex_unlock(&l->lock);
}

void listener_slow(struct listener *l, int byte_ms)
{
	pthread_mutex_lock(&l->lock);
	l->byte_ms = byte_ms;
	pthread_mutex_unlock(&l->lock);
}

void listener_last(struct listener *l, char *to, unsigned size)
{
	pthread_mutex_lock(&l->lock);
	snprintf(to, size, "%s", l->last);
	pthread_mutex_unlock(&l->lock);
}

int port_that_refuses(uint16_t *ret)
{
	return bound_socket(false, ret);
}

void silent_open(struct silent *s)
{
	s->fds[0] = bound_socket(false, &s->port);
	listen(s->fds[0], 0);
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(s->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	for (unsigned i = 1; i < 12; i++) { /* nobody accepts: the queue is full after the first */
		s->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(s->fds[i], (struct sockaddr *)&to, sizeof(to));
	}
}

void silent_close(struct silent *s)
{
	for (unsigned i = 0; i < 12; i++)
		close(s->fds[i]);
}

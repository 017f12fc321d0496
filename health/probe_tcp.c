/* probe_tcp.c - a TCP connection that completes within 500 ms is a success (nacos-naming 7.4). Nothing is sent;
 * the connection is reset, so that thousands of checks leave no TIME_WAIT behind. */
#include "health/probe.h"
#include <sys/epoll.h>

static bool tcp_start(struct probe *p, struct probe_result *ret)
{
	bool connected;
	if (!probe_connect(p, &connected, ret))
		return true;
	if (connected)
		return probe_ok(p, ret);
	if (!probe_watch(p, p->fd, EPOLLOUT | EPOLLET, ret))
		return true;
	probe_deadline(p, PROBE_CONNECT_MS);
	return false;
}

static bool tcp_ready(struct probe *p, uint32_t events, struct probe_result *ret)
{
	if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
		int errnum = probe_socket_error(p->fd);
		if (errnum != 0)
			return probe_failed_errno(p, ret, errnum);
	}
	return probe_ok(p, ret);
}

const struct probe_kind probe_tcp = { tcp_start, tcp_ready, NULL };

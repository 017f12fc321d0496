/* probe.c - what all kinds of probes share: the pool, the epoll set, time-outs, results.
 *
 * Happy path: probes_start takes one from the pool > the kind connects and registers its socket (once, edge
 * triggered) > probes_poll hands it its events until it ends > the socket is closed, the probe goes back to the
 * pool, the result goes to the owner. Or its time-out comes first. An event that was already fetched for a probe
 * that has ended is told by the generation number that travels with it. */
#include "health/probe.h"
#include "base/clock.h"
#include "base/mem.h"
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, POLL_ROUNDS = 8, TIMEOUTS_MAX = 1 << 20 };

static const struct probe_kind *const kinds[] = {
	[CHECKER_TCP] = &probe_tcp,
	[CHECKER_HTTP] = &probe_http,
	[CHECKER_MYSQL] = &probe_mysql,
};

int probes_init(struct probes *s, unsigned max,
		void (*on_result)(void *arg, struct check_task *t, const struct probe_result *result), void *arg,
		struct error *err)
{
	*s = (struct probes){ .epoll = -1, .max = max, .on_result = on_result, .arg = arg };
	text_init(&s->request);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0)
		return error_set_errno(err, errno, "epoll_create1");
	s->timeouts = wheel_new(clock_ms());
	s->pool = mem_zalloc(max, sizeof(*s->pool));
	if (s->timeouts == NULL || s->pool == NULL) {
		probes_done(s);
		return error_set(err, E_NOMEM, "no memory for %u probes", max);
	}
	return E_OK;
}

void probes_done(struct probes *s)
{
	assert(s->in_flight == 0);
	if (s->epoll >= 0)
		close(s->epoll);
	wheel_free(s->timeouts);
	mem_free(s->pool);
	text_done(&s->request);
}

static struct probe *pool_get(struct probes *s)
{
	struct probe *p = s->free;
	if (p != NULL) {
		s->free = p->next_free;
	} else {
		p = &s->pool[s->used];
		p->index = s->used++;
		p->owner = s;
	}
	s->in_flight++;
	return p;
}

static void pool_put(struct probe *p)
{
	struct probes *s = p->owner;
	p->task->probe = NULL;
	p->task = NULL;
	p->generation++;
	p->next_free = s->free;
	s->free = p;
	s->in_flight--;
}

static void probe_end(struct probe *p, const struct probe_result *result)
{
	wheel_remove(p->owner->timeouts, &p->timeout);
	if (kinds[p->kind]->end != NULL)
		kinds[p->kind]->end(p, result);
	if (p->fd >= 0)
		close(p->fd); /* and so it leaves the epoll set */
	p->fd = -1;
	pool_put(p);
}

bool probes_start(struct probes *s, struct check_task *t, struct probe_result *ret)
{
	assert(!probes_full(s) && t->probe == NULL);
	struct probe *p = pool_get(s);
	p->task = t;
	t->probe = p;
	p->fd = -1;
	p->kind = t->group->spec->kind;
	p->started_ns = clock_ns();
	memset(&p->mysql, 0, sizeof(p->mysql));
	p->http.sent = false;
	p->http.offset = 0;
	p->http.len = 0;
	bool ended = check_port(t) == 0
			     ? probe_failed(p, ret, PROBE_FAIL_NOW, CAUSE_REFUSED, "port 0")
			     : kinds[p->kind]->start(p, ret);
	if (ended)
		probe_end(p, ret);
	return ended;
}

void probe_cancel(struct probe *p)
{
	probe_end(p, NULL);
}

static void report(struct probe *p, const struct probe_result *result)
{
	struct probes *s = p->owner;
	struct check_task *t = p->task;
	probe_end(p, result);
	s->on_result(s->arg, t, result);
}

void probes_poll(struct probes *s)
{
	struct epoll_event events[EVENTS_MAX];
	for (unsigned round = 0; round < POLL_ROUNDS; round++) {
		int n = epoll_wait(s->epoll, events, EVENTS_MAX, 0);
		s->now_ms = clock_ms();
		for (int i = 0; i < n; i++) {
			struct probe *p = &s->pool[(uint32_t)events[i].data.u64];
			struct probe_result result;
			if (p->task == NULL || p->generation != (uint32_t)(events[i].data.u64 >> 32))
				continue;
			if (kinds[p->kind]->ready(p, events[i].events, &result))
				report(p, &result);
		}
		if (n < EVENTS_MAX)
			return;
	}
}

static void on_timeout(void *arg, struct wheel_node *node)
{
	struct probes *s = arg;
	struct probe *p = (struct probe *)((char *)node - offsetof(struct probe, timeout));
	struct probe_result result;
	if (s->now_ms - node->due_ms > PROBE_STALL_MS)
		probe_failed(p, &result, PROBE_VOID, CAUSE_LOCAL, "this server stood still");
	else
		probe_failed(p, &result, PROBE_FAIL, CAUSE_TIMEOUT, "timeout");
	report(p, &result);
}

void probes_turn(struct probes *s, int64_t now_ms)
{
	s->now_ms = now_ms;
	wheel_turn(s->timeouts, now_ms, TIMEOUTS_MAX, on_timeout, s);
}

/* ---- for the kinds */

static socklen_t address_of(const struct check_task *t, struct sockaddr_storage *to)
{
	if (t->family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)to;
		*in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(check_port(t)) };
		memcpy(&in->sin_addr, t->addr, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
	*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(check_port(t)) };
	memcpy(&in6->sin6_addr, t->addr, 16);
	return sizeof(*in6);
}

/* Who is asked again at once has often answered already: the same host nearly always, and a call costs less than being told
 * by epoll. */
static bool connect_now(int fd, const struct sockaddr_storage *to, socklen_t len)
{
	return connect(fd, (const struct sockaddr *)to, len) == 0 ||
	       (errno == EINPROGRESS && connect(fd, (const struct sockaddr *)to, len) == 0);
}

bool probe_connect(struct probe *p, bool *connected, struct probe_result *ret)
{
	static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct sockaddr_storage to;
	socklen_t len = address_of(p->task, &to);
	int family = p->task->family == 4 ? AF_INET : AF_INET6;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		probe_failed_errno(p, ret, errno);
		return false;
	}
	p->fd = fd;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	*connected = connect_now(fd, &to, len);
	if (!*connected && errno != EALREADY) { /* it is under way */
		probe_failed_errno(p, ret, errno);
		return false;
	}
	return true;
}

bool probe_watch(struct probe *p, int fd, uint32_t events, struct probe_result *ret)
{
	struct epoll_event event = { .events = events,
				     .data.u64 = p->index | (uint64_t)p->generation << 32 };
	int op = fd == p->fd ? EPOLL_CTL_ADD : EPOLL_CTL_MOD; /* another's socket may be in it already */
	int rc = epoll_ctl(p->owner->epoll, op, fd, &event);
	if (rc < 0 && op == EPOLL_CTL_MOD && errno == ENOENT)
		rc = epoll_ctl(p->owner->epoll, EPOLL_CTL_ADD, fd, &event);
	if (rc == 0)
		return true;
	probe_failed(p, ret, PROBE_VOID, CAUSE_LOCAL, "epoll: %s", strerror(errno));
	return false;
}

void probe_deadline(struct probe *p, int32_t ms)
{
	wheel_remove(p->owner->timeouts, &p->timeout);
	wheel_add(p->owner->timeouts, &p->timeout, clock_ms() + ms);
}

static bool ended(struct probe *p, struct probe_result *ret, enum probe_outcome outcome, enum probe_cause cause)
{
	ret->outcome = outcome;
	ret->cause = cause;
	ret->rt_ms = (uint32_t)((clock_ns() - p->started_ns) / 1000000);
	ret->reason[0] = '\0';
	return true;
}

bool probe_ok(struct probe *p, struct probe_result *ret)
{
	return ended(p, ret, PROBE_OK, CAUSE_OF_OK);
}

bool probe_failed(struct probe *p, struct probe_result *ret, enum probe_outcome outcome, enum probe_cause cause,
		  const char *reason, ...)
{
	va_list args;
	ended(p, ret, outcome, cause);
	va_start(args, reason);
	vsnprintf(ret->reason, sizeof(ret->reason), reason, args);
	va_end(args);
	return true;
}

bool probe_failed_errno(struct probe *p, struct probe_result *ret, int errnum)
{
	switch (errnum) {
	case ECONNREFUSED:
		return probe_failed(p, ret, PROBE_FAIL_NOW, CAUSE_REFUSED, "connect refused");
	case ETIMEDOUT:
		return probe_failed(p, ret, PROBE_FAIL, CAUSE_TIMEOUT, "timeout");
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EAGAIN:	    /* no local port is free */
	case EADDRNOTAVAIL: /* the same, or this host has no such protocol */
	case EAFNOSUPPORT:
	case ENETUNREACH:   /* our routes, not the instance */
	case ENETDOWN:
		return probe_failed(p, ret, PROBE_VOID, CAUSE_LOCAL, "%s", strerror(errnum));
	default:
		return probe_failed(p, ret, PROBE_FAIL, CAUSE_NETWORK, "%s", strerror(errnum));
	}
}

int probe_socket_error(int fd)
{
	int errnum = 0;
	socklen_t len = sizeof(errnum);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
		return errno;
	return errnum;
}

/* probe.h - single probes: pooled objects, their sockets in one epoll set of the health loop, their time-outs on
 * a wheel. One file per kind (probe_tcp.c, probe_http.c, probe_mysql.c) behind a table. A probe knows no registry
 * and no schedule: it ends with a result. Everything here is the health thread's. */
#ifndef HEALTH_PROBE_H
#define HEALTH_PROBE_H

#include "base/text.h"
#include "health/check_task.h"
#include <mysql.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

enum {
	PROBE_CONNECT_MS = 500,
	PROBE_READ_MS = 500,  /* HTTP: from the request to the status line */
	PROBE_LOGIN_MS = 1000,
	PROBE_QUERY_MS = 1000,
	PROBE_STALL_MS = 1000, /* a time-out that comes later than this is our own standstill */
	STATUS_LINE_MAX = 48,
};

struct probes;

struct http_probe {
	bool sent;
	uint16_t offset; /* of the request, sent */
	uint8_t len;
	char line[STATUS_LINE_MAX];
};

struct mysql_probe {
	struct mysql_conn *conn; /* the task's, while it runs */
	uint8_t stage;
	bool cached; /* the connection is from an earlier run */
	int rc;
	MYSQL *opened;
	MYSQL_RES *result;
	MYSQL_ROW row;
};

struct probe {
	struct wheel_node timeout;
	struct probes *owner;
	struct check_task *task; /* NULL: in the pool */
	struct probe *next_free;
	uint64_t started_ns;
	uint32_t index, generation;
	int fd; /* -1: none of ours */
	enum checker_kind kind;
	union {
		struct http_probe http;
		struct mysql_probe mysql;
	};
};

struct probe_kind {
	/* True: it has ended already, *@ret is set. */
	bool (*start)(struct probe *p, struct probe_result *ret);
	/* @events of epoll. True: it has ended. */
	bool (*ready)(struct probe *p, uint32_t events, struct probe_result *ret);
	/* Lets go of what the kind holds; @result: what it ended with, NULL when it is cancelled. */
	void (*end)(struct probe *p, const struct probe_result *result);
};
extern const struct probe_kind probe_tcp, probe_http, probe_mysql;

struct probes {
	int epoll;
	struct wheel *timeouts;
	struct probe *pool; /* [0..max) */
	struct probe *free;
	unsigned max, used, in_flight; /* used: taken from the pool's untouched part */
	int64_t now_ms;
	struct text request; /* scratch for HTTP */
	void (*on_result)(void *arg, struct check_task *t, const struct probe_result *result);
	void *arg;
};

int probes_init(struct probes *s, unsigned max,
		void (*on_result)(void *arg, struct check_task *t, const struct probe_result *result), void *arg,
		struct error *err);
void probes_done(struct probes *s); /* none in flight */
static inline bool probes_full(const struct probes *s)
{
	return s->in_flight >= s->max;
}
/* Not when full, and not while @t has one under way. True: *@ret is the result at once, and on_result is not
 * called for it. */
bool probes_start(struct probes *s, struct check_task *t, struct probe_result *ret);
void probe_cancel(struct probe *p); /* no result */
/* Reads what epoll has, without waiting; results come by on_result. */
void probes_poll(struct probes *s);
/* Ends what has taken too long. */
void probes_turn(struct probes *s, int64_t now_ms);

/* ---- for the kinds */

/* A non-blocking TCP socket to the task's address that leaves no TIME_WAIT behind, connecting or connected
 * (*@connected). False: *@ret says why not. */
bool probe_connect(struct probe *p, bool *connected, struct probe_result *ret);
bool probe_watch(struct probe *p, int fd, uint32_t events, struct probe_result *ret); /* false: *@ret */
void probe_deadline(struct probe *p, int32_t ms);
bool probe_ok(struct probe *p, struct probe_result *ret); /* all three return true */
bool probe_failed(struct probe *p, struct probe_result *ret, enum probe_outcome outcome, enum probe_cause cause,
		  const char *reason, ...) __attribute__((format(printf, 5, 6)));
bool probe_failed_errno(struct probe *p, struct probe_result *ret, int errnum);
int probe_socket_error(int fd); /* SO_ERROR */

/* The status of an HTTP/1 status line's beginning: 100..999; 0: more bytes are needed; -1: not HTTP. */
int http_status(const char *at, size_t len);
/* What precedes and follows the Host value in a request; headers "name:value|name:value". Bytes that would
 * break the request are left out or percent-encoded. */
void http_request_head(struct text *to, const char *path);
void http_request_tail(struct text *to, const char *headers);

void mysql_conn_free(struct mysql_conn *c); /* NULL is fine */

#endif

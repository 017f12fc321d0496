/* probe_http.c - GET, and the status of the answer; nothing but the status line is read (nacos-naming 7.4). The
 * expected status is a success, be it 302 or 503; else 503, 302 and a time-out count as failures, any other
 * status fails at once. The 500 ms for the answer run from the request to the whole status line, so a server
 * that sends one byte now and then does not hold a probe. Redirects are not followed. */
#include "health/probe.h"
#include "base/mem.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

enum { REQUEST_MAX = 16384 };

/* ---- the request */

static void put_target_byte(struct text *to, unsigned char c)
{
	if (c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\' || c == '^' || c == '`' ||
	    (c >= '{' && c <= '}'))
		text_printf(to, "%%%02X", c);
	else
		text_char(to, (char)c);
}

/* A relative URL against http://ip:port; one with its own host keeps only what follows the host, since checks
 * go to the instance and nowhere else. */
static const char *path_of(const char *url)
{
	size_t scheme = strcspn(url, ":/?#");
	const char *at = url;
	if (scheme > 0 && strncmp(url + scheme, "://", 3) == 0)
		at = url + scheme + 1;
	if (at[0] == '/' && at[1] == '/')
		at += 2 + strcspn(at + 2, "/?#");
	return at;
}

void http_request_head(struct text *to, const char *path)
{
	const char *at = path_of(path);
	text_add(to, "GET ");
	if (*at != '/')
		text_char(to, '/');
	for (; *at != '\0' && *at != '#'; at++)
		put_target_byte(to, (unsigned char)*at);
	text_add(to, " HTTP/1.1\r\nHost: ");
}

static bool token_byte(unsigned char c)
{
	return isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* One "name:value"; a part that is not that is left out. */
static void put_header(struct text *to, const char *at, size_t len)
{
	const char *colon = memchr(at, ':', len);
	if (colon == NULL || colon == at)
		return;
	size_t name_len = (size_t)(colon - at);
	for (size_t i = 0; i < name_len; i++)
		if (!token_byte((unsigned char)at[i]))
			return;
	if ((name_len == 4 && strncasecmp(at, "host", 4) == 0) ||
	    (name_len == 10 && strncasecmp(at, "connection", 10) == 0))
		return; /* ours */
	const char *value = colon + 1;
	size_t value_len = len - name_len - 1;
	for (size_t i = 0; i < value_len; i++)
		if ((unsigned char)value[i] < ' ' && value[i] != '\t')
			return; /* it would end the header */
	text_put(to, at, name_len);
	text_add(to, ": ");
	text_put(to, value, value_len);
	text_add(to, "\r\n");
}

void http_request_tail(struct text *to, const char *headers)
{
	text_add(to, "\r\nConnection: close\r\nUser-Agent: muster\r\nAccept: */*\r\n");
	for (const char *at = headers; *at != '\0';) {
		size_t len = strcspn(at, "|");
		put_header(to, at, len);
		at += len + (at[len] == '|');
	}
	text_add(to, "\r\n");
}

static bool group_prepare(struct check_group *g)
{
	struct text head, tail;
	if (g->http_head != NULL)
		return true;
	text_init(&head);
	text_init(&tail);
	http_request_head(&head, g->spec->path);
	http_request_tail(&tail, g->spec->headers);
	if (!head.failed && !tail.failed) {
		g->http_head = text_take(&head);
		g->http_tail = text_take(&tail);
	}
	text_done(&head);
	text_done(&tail);
	return g->http_head != NULL && g->http_tail != NULL;
}

static bool request_build(struct probe *p)
{
	struct text *to = &p->owner->request;
	const struct check_task *t = p->task;
	if (!group_prepare(t->group))
		return false;
	text_clear(to);
	text_add(to, t->group->http_head);
	if (t->family == 6)
		text_char(to, '[');
	text_put(to, t->ip, t->ip_len);
	if (t->family == 6)
		text_char(to, ']');
	text_char(to, ':');
	text_u64(to, check_port(t));
	text_add(to, t->group->http_tail);
	return !to->failed;
}

/* ---- the exchange */

/* True: ended. */
static bool send_request(struct probe *p, struct probe_result *ret)
{
	const struct text *request = &p->owner->request;
	if (!request_build(p))
		return probe_failed(p, ret, PROBE_VOID, CAUSE_LOCAL, "no memory");
	if (request->len > REQUEST_MAX)
		return probe_failed(p, ret, PROBE_FAIL_NOW, CAUSE_PROTOCOL, "path and headers are too long");
	while (p->http.offset < request->len) {
		ssize_t n = send(p->fd, request->at + p->http.offset, request->len - p->http.offset,
				 MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false; /* goes on when there is room */
		if (n < 0)
			return probe_failed_errno(p, ret, errno);
		p->http.offset = (uint16_t)(p->http.offset + n);
	}
	p->http.sent = true;
	probe_deadline(p, PROBE_READ_MS);
	return false;
}

static bool http_start(struct probe *p, struct probe_result *ret)
{
	bool connected;
	if (!probe_connect(p, &connected, ret))
		return true;
	if (!connected)
		probe_deadline(p, PROBE_CONNECT_MS);
	else if (send_request(p, ret))
		return true;
	uint32_t events = p->http.sent ? EPOLLIN | EPOLLET : EPOLLIN | EPOLLOUT | EPOLLET;
	return !probe_watch(p, p->fd, events, ret);
}

int http_status(const char *at, size_t len)
{
	static const char form[] = "HTTP/0.0 000";
	size_t i;
	for (i = 0; i < len && i < sizeof(form) - 1; i++) {
		bool digit = at[i] >= '0' && at[i] <= '9';
		if (form[i] == '0' ? !digit : at[i] != form[i])
			return -1;
	}
	if (len < sizeof(form))
		return 0;
	char after = at[sizeof(form) - 1];
	if ((after != ' ' && after != '\r' && after != '\n') || at[9] == '0')
		return -1;
	return (at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0');
}

static bool judge(struct probe *p, int status, struct probe_result *ret)
{
	if (status < 0)
		return probe_failed(p, ret, PROBE_FAIL, CAUSE_PROTOCOL, "the answer is not HTTP");
	if (status == p->task->group->spec->expected_code)
		return probe_ok(p, ret);
	enum probe_outcome outcome = status == 503 || status == 302 ? PROBE_FAIL : PROBE_FAIL_NOW;
	return probe_failed(p, ret, outcome, CAUSE_STATUS, "status %d", status);
}

static bool read_answer(struct probe *p, struct probe_result *ret)
{
	struct http_probe *h = &p->http;
	for (;;) {
		ssize_t n = recv(p->fd, h->line + h->len, sizeof(h->line) - h->len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0 && errno == ECONNRESET)
			return probe_failed(p, ret, PROBE_FAIL, CAUSE_PROTOCOL, "connection reset");
		if (n < 0)
			return probe_failed_errno(p, ret, errno);
		if (n == 0)
			return probe_failed(p, ret, PROBE_FAIL, CAUSE_PROTOCOL, "closed without an answer");
		h->len = (uint8_t)(h->len + n);
		int status = http_status(h->line, h->len); /* decided long before the line is full */
		if (status != 0)
			return judge(p, status, ret);
	}
}

static bool http_ready(struct probe *p, uint32_t events, struct probe_result *ret)
{
	if (!p->http.sent) {
		if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
			int errnum = probe_socket_error(p->fd);
			if (errnum != 0)
				return probe_failed_errno(p, ret, errnum);
		}
		if ((events & (EPOLLOUT | EPOLLHUP)) == 0)
			return false;
		if (send_request(p, ret))
			return true;
		if (!p->http.sent)
			return false;
	}
	return read_answer(p, ret);
}

const struct probe_kind probe_http = { http_start, http_ready, NULL };

/* http_fixture.c - see http_fixture.h. */
#include "tests/net/http_fixture.h"
#include "base/clock.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static void on_gone(void *arg, struct http_call *call)
{
	struct fixture *f = arg;
	(void)call;
	f->gone++;
}

static void on_release(void *arg)
{
	((struct fixture *)arg)->released++;
}

static void answer_echo(struct http_call *call)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s %.*s?%.*s ", http_method_str(call->method),
			 (int)call->path.len, call->path.at, (int)call->query.len, call->query.at);
	size_t head = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
	char *whole = arena_alloc(&call->arena, head + call->body.len);
	if (whole == NULL) {
		http_reply_text(call, 503, "no memory for the answer");
		return;
	}
	memcpy(whole, text, head);
	if (call->body.len > 0)
		memcpy(whole + head, call->body.at, call->body.len);
	http_reply(call, 200, "text/plain", NULL, whole, head + call->body.len);
}

static void on_request(void *arg, struct http_call *call)
{
	struct fixture *f = arg;
	f->requests++;
	if (f->mode == ANSWER_SHARED) {
		http_reply_shared(call, 200, "text/plain", NULL, f->shared, f->shared_len,
				  on_release, f);
	} else if (f->mode == ANSWER_LATER && f->held_count < HELD_MAX) {
		if (f->keep)
			http_call_keep(call);
		http_call_on_gone(call, on_gone, f);
		f->held[f->held_count++] = call;
	} else {
		answer_echo(call);
	}
}

static uint64_t on_body_limit(void *arg, const struct http_call *call)
{
	struct fixture *f = arg;
	f->limit_asked++;
	return call->path.len == 5 && memcmp(call->path.at, "/none", 5) == 0 ? 0 : f->body_limit;
}

void fixture_start(struct fixture *f)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct error err;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->conf.on_request = on_request;
	f->conf.arg = f;
	if (f->body_limit > 0)
		f->conf.on_body_limit = on_body_limit;
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(http_server_open(&f->server, &f->loop, &f->conf, &err), E_OK);
	assert_int_equal(http_server_listen(f->server, (struct sockaddr *)&at, &f->listen_conf, 7,
					    &f->listener, &err),
			 E_OK);
	f->port = listener_port(f->listener);
}

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

void fixture_stop(struct fixture *f)
{
	for (unsigned i = 0; i < f->held_count; i++)
		if (f->held[i] != NULL)
			http_reply_text(f->held[i], 200, "late");
	http_server_close(f->server, set_true, &f->closed);
	fixture_until_true(f, &f->closed);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

void fixture_turn(struct fixture *f)
{
	uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void wait_for(struct fixture *f, int fd, short events, int64_t begun)
{
	struct pollfd at[2] = { { uv_backend_fd(&f->loop), POLLIN, 0 }, { fd, events, 0 } };
	if (clock_ms() - begun > WAIT_MS)
		fail_msg("nothing happened for %d ms", WAIT_MS);
	fixture_turn(f);
	poll(at, fd < 0 ? 1 : 2, 1);
}

void fixture_until(struct fixture *f, const unsigned *what, unsigned least)
{
	for (int64_t begun = clock_ms(); *what < least;)
		wait_for(f, -1, 0, begun);
}

void fixture_until_true(struct fixture *f, const bool *what)
{
	for (int64_t begun = clock_ms(); !*what;)
		wait_for(f, -1, 0, begun);
}

/* ---- clients */

void client_open(struct client *c, struct fixture *f)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(f->port) };
	int on = 1, narrow = 4096;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*c = (struct client){ .f = f, .got = malloc(CLIENT_GOT_MAX) };
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->narrow)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &narrow, sizeof(narrow));
	assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

void client_close(struct client *c)
{
	close(c->fd);
	free(c->got);
}

void client_reset(struct client *c)
{
	struct linger now = { 1, 0 };
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	client_close(c);
}

void client_half_close(struct client *c)
{
	shutdown(c->fd, SHUT_WR);
}

void client_read(struct client *c)
{
	while (!c->ended && c->len < CLIENT_GOT_MAX) {
		ssize_t n = recv(c->fd, c->got + c->len, CLIENT_GOT_MAX - c->len, MSG_DONTWAIT);
		if (n > 0) {
			c->len += (size_t)n;
			continue;
		}
		c->reset = n < 0 && errno == ECONNRESET;
		c->ended = n == 0 || c->reset;
		return;
	}
}

void client_send(struct client *c, const void *from, size_t len)
{
	const char *at = from;
	for (int64_t begun = clock_ms(); len > 0;) {
		ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);
		if (n > 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN)
			return; /* the server has closed: the test looks at what it said */
		wait_for(c->f, c->fd, POLLOUT, begun);
		client_read(c);
	}
}

void client_say(struct client *c, const char *text)
{
	client_send(c, text, strlen(text));
}

void client_until_end(struct client *c)
{
	for (int64_t begun = clock_ms(); !c->ended; client_read(c))
		wait_for(c->f, c->fd, POLLIN, begun);
}

static size_t content_length(const char *head)
{
	const char *at = strcasestr(head, "\r\ncontent-length: ");
	return at == NULL ? 0 : strtoul(at + 18, NULL, 10);
}

/* Whether a whole answer stands at @c->seen. */
static bool answer_find(struct client *c, bool head_only, struct answer *ret)
{
	const char *at = c->got + c->seen;
	size_t left = c->len - c->seen;
	const char *end = memmem(at, left, "\r\n\r\n", 4);
	if (end == NULL)
		return false;
	size_t head_len = (size_t)(end + 4 - at);
	char *head = mem_memdup0(at, head_len);
	size_t body_len = head_only ? 0 : content_length(head);
	if (left - head_len < body_len) {
		mem_free(head);
		return false;
	}
	*ret = (struct answer){ .status = atoi(head + 9),
				.head = head,
				.body = mem_memdup0(end + 4, body_len),
				.body_len = body_len,
				.closes = strcasestr(head, "connection: close") != NULL };
	c->seen += head_len + body_len;
	return true;
}

struct answer client_answer(struct client *c, bool head_only)
{
	struct answer a = { 0 };
	for (int64_t begun = clock_ms(); !answer_find(c, head_only, &a); client_read(c)) {
		if (c->ended)
			fail_msg("the connection ended without an answer");
		wait_for(c->f, c->fd, POLLIN, begun);
	}
	assert_memory_equal(a.head, "HTTP/1.1 ", 9);
	return a;
}

void answer_done(struct answer *a)
{
	mem_free((void *)(uintptr_t)a->head);
	mem_free((void *)(uintptr_t)a->body);
}

void client_expect(struct client *c, int status, const char *body)
{
	struct answer a = client_answer(c, false);
	assert_int_equal(a.status, status);
	if (body != NULL)
		assert_string_equal(a.body, body);
	answer_done(&a);
}

void client_expect_last(struct client *c, int status, const char *body)
{
	struct answer a = client_answer(c, false);
	assert_int_equal(a.status, status);
	assert_true(a.closes);
	if (body != NULL)
		assert_string_equal(a.body, body);
	answer_done(&a);
	client_until_end(c);
	assert_int_equal(c->len, c->seen);
	assert_false(c->reset);
}

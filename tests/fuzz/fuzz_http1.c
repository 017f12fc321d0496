/* fuzz_http1.c - arbitrary bytes to the HTTP server over loopback, once in one piece and once in small
 * ones (the first byte says how small). Both ways must give the same requests, every answer must
 * look like one, and the connection must be gone soon after the client has shut its side. */
#include "base/text.h"
#include "net/form.h"
#include "net/http1.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INPUT_MAX = 8192, TURNS_MAX = 1000 };

struct target {
	uv_loop_t loop;
	struct http_server *server;
	struct sockaddr_in at;
	struct text *seen; /* what the requests at hand were */
};

static void trap_if(bool wrong, const char *what)
{
	if (!wrong)
		return;
	fprintf(stderr, "fuzz_http1: %s\n", what);
	abort();
}

static void note(struct text *to, struct slice s)
{
	text_u64(to, s.len);
	text_char(to, ' ');
	text_put(to, s.at, s.len);
}

static void on_request(void *arg, struct http_call *call)
{
	struct target *t = arg;
	struct slice name, value;
	struct form form;
	note(t->seen, call->path);
	note(t->seen, call->query);
	note(t->seen, call->body);
	for (unsigned i = 0; http_call_header_at(call, i, &name, &value); i++) {
		note(t->seen, name);
		note(t->seen, value);
	}
	trap_if(http_call_header(call, "content-length").len > 100, "an odd length was accepted");
	form_init(&form);
	form_parse(&form, &call->arena, call->query.at, call->query.len);
	form_parse(&form, &call->arena, call->body.at, call->body.len);
	for (unsigned i = 0; i < form.count; i++)
		trap_if(form.pairs[i].key[form.pairs[i].key_len] != 0 ||
			    form.pairs[i].value[form.pairs[i].value_len] != 0,
			"a pair has no NUL behind");
	http_call_keep(call);
	http_reply(call, 200, NULL, NULL, "ok", 2);
}

static struct target *target_start(void)
{
	struct target *t = calloc(1, sizeof(*t));
	struct http_server_conf conf = { .on_request = on_request, .arg = t, .body_max = 1000 };
	struct listener_conf listen_conf = { 0 };
	struct listener *l;
	struct error err;
	if (t == NULL || uv_loop_init(&t->loop) != 0)
		abort();
	t->at.sin_family = AF_INET;
	t->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (http_server_open(&t->server, &t->loop, &conf, &err) < 0 ||
	    http_server_listen(t->server, (struct sockaddr *)&t->at, &listen_conf, 0, &l, &err) < 0)
		trap_if(true, err.text);
	t->at.sin_port = htons(listener_port(l));
	return t;
}

static int client_open(const struct target *t)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct linger now = { 1, 0 }; /* leave no TIME-WAIT behind */
	trap_if(fd < 0 || connect(fd, (const struct sockaddr *)&t->at, sizeof(t->at)) < 0,
		"cannot connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	return fd;
}

static void check_answers(int fd)
{
	static char got[1 << 20];
	ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
	trap_if(n > 0 && (n < 20 || memcmp(got, "HTTP/1.1 ", 9) != 0), "not an answer");
}

/* All of @bytes, @piece at a time; the requests go to @seen. */
static void run(struct target *t, const uint8_t *bytes, size_t size, size_t piece,
		struct text *seen)
{
	int fd = client_open(t), turns = 0;
	t->seen = seen;
	for (size_t at = 0; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		if (send(fd, bytes + at, n, MSG_NOSIGNAL) < 0)
			break;
		uv_run(&t->loop, UV_RUN_NOWAIT);
		if (at == 0)
			uv_run(&t->loop, UV_RUN_NOWAIT); /* the first one accepts */
	}
	shutdown(fd, SHUT_WR);
	do {
		uv_run(&t->loop, UV_RUN_NOWAIT);
		trap_if(++turns > TURNS_MAX, "the connection stays");
	} while (http_server_counts(t->server)->connections > 0 || turns < 4);
	trap_if(http_server_counts(t->server)->calls > 0, "a call is left");
	check_answers(fd);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct target *target; /* one server for all inputs */
	struct text whole, pieces;
	if (size < 2 || size > INPUT_MAX)
		return 0;
	if (target == NULL)
		target = target_start();
	text_init(&whole);
	text_init(&pieces);
	run(target, bytes + 1, size - 1, size, &whole);
	run(target, bytes + 1, size - 1, 1u + bytes[0] % 32u, &pieces);
	if (whole.len != pieces.len || memcmp(whole.at, pieces.at, whole.len) != 0) {
		fprintf(stderr, "whole: %s\npieces: %s\n", whole.at, pieces.at);
		trap_if(true, "pieces give other requests");
	}
	text_done(&whole);
	text_done(&pieces);
	return 0;
}

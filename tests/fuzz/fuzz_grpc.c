/* fuzz_grpc.c - arbitrary bytes behind the preface of HTTP/2 to a gRPC server over loopback, in pieces whose size the
 * first byte says. Whatever comes, no message is over the limit, every call ends, and the connection is gone soon after
 * the client has shut its side. */
#include "net/grpc.h"
#include "net/http1.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INPUT_MAX = 16384, MESSAGE_MOST = 2000, TURNS_MAX = 2000 };

struct target {
	uv_loop_t loop;
	struct http_server *server;
	struct grpc_server *grpc;
	struct sockaddr_in at;
	unsigned streams; /* streaming calls that are open */
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void trap_if(bool wrong, const char *what)
{
	if (!wrong)
		return;
	fprintf(stderr, "fuzz_grpc: %s\n", what);
	abort();
}

static void on_release(void *arg)
{
	free(arg);
}

/* The answer is the message, twice: copied, and lent. */
static void on_message(void *arg, struct grpc_call *call, unsigned method, const uint8_t *at, size_t len)
{
	trap_if(len > MESSAGE_MOST, "a message over the limit");
	char *lent = malloc(len + 600);
	trap_if(lent == NULL, "no memory");
	memset(lent, 'x', len + 600);
	const struct stream_part parts[] = { { .at = at, .len = len }, { lent, len + 600, on_release, lent } };
	(void)arg;
	if (method == 0)
		grpc_reply(call, parts, 2);
	else
		grpc_send(call, parts, 2);
}

static void on_open(void *arg, struct grpc_call *call, unsigned method)
{
	(void)call;
	(void)method;
	((struct target *)arg)->streams++;
}

static void on_gone(void *arg, struct grpc_call *call)
{
	(void)call;
	((struct target *)arg)->streams--;
}

static int on_conn(void *arg, struct grpc_conn *c)
{
	(void)arg;
	(void)c;
	return 0;
}

static void on_conn_gone(void *arg, struct grpc_conn *c)
{
	(void)arg;
	(void)c;
}

static void no_request(void *arg, struct http_call *call)
{
	(void)arg;
	http_reply(call, 404, NULL, NULL, "", 0);
}

static int adopt(void *arg, struct stream *stream, int tag, const char *at, size_t len)
{
	struct target *t = arg;
	(void)tag;
	return http2_adopt(grpc_server_http2(t->grpc), stream, at, len, http_stream_return);
}

static struct target *target_start(void)
{
	static const struct grpc_method methods[] = { { "/a/b", false }, { "/a/s", true } };
	struct target *t = calloc(1, sizeof(*t));
	struct error err;
	struct listener *l;
	struct listener_conf listen_conf = { 0 };
	struct http_server_conf conf = { .on_request = no_request, .on_http2 = adopt, .arg = t };
	struct grpc_server_conf grpc = { .methods = methods,
					 .method_count = 2,
					 .message_max = MESSAGE_MOST,
					 .on_conn = on_conn,
					 .on_conn_gone = on_conn_gone,
					 .on_open = on_open,
					 .on_message = on_message,
					 .on_gone = on_gone,
					 .arg = t };
	if (t == NULL || uv_loop_init(&t->loop) != 0)
		abort();
	t->at.sin_family = AF_INET;
	t->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (grpc_server_open(&t->grpc, &t->loop, &grpc, &err) < 0 ||
	    http_server_open(&t->server, &t->loop, &conf, &err) < 0 ||
	    http_server_listen(t->server, (struct sockaddr *)&t->at, &listen_conf, 0, &l, &err) < 0)
		trap_if(true, err.text);
	t->at.sin_port = htons(listener_port(l));
	return t;
}

static int client_open(const struct target *t)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct linger now = { 1, 0 }; /* leave no TIME-WAIT behind */
	trap_if(fd < 0 || connect(fd, (const struct sockaddr *)&t->at, sizeof(t->at)) < 0, "cannot connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	return fd;
}

static void run(struct target *t, const uint8_t *bytes, size_t size, size_t piece)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	static char sink[1 << 18];
	int fd = client_open(t), turns = 0;
	if (send(fd, preface, sizeof(preface) - 1, MSG_NOSIGNAL) < 0)
		abort();
	uv_run(&t->loop, UV_RUN_NOWAIT);
	uv_run(&t->loop, UV_RUN_NOWAIT); /* the first one accepts */
	for (size_t at = 0; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		if (send(fd, bytes + at, n, MSG_NOSIGNAL) < 0)
			break;
		uv_run(&t->loop, UV_RUN_NOWAIT);
		while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
	}
	shutdown(fd, SHUT_WR);
	do {
		uv_run(&t->loop, UV_RUN_NOWAIT);
		while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
		trap_if(++turns > TURNS_MAX, "the connection stays");
	} while (http2_server_counts(grpc_server_http2(t->grpc))->connections > 0 || turns < 4);
	trap_if(t->streams > 0, "a streaming call is left");
	trap_if(grpc_server_counts(t->grpc)->unanswered > 0, "a call is left");
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct target *target; /* one server for all inputs */
	if (size < 2 || size > INPUT_MAX)
		return 0;
	if (target == NULL)
		target = target_start();
	run(target, bytes + 1, size - 1, bytes[0] == 0 ? size : bytes[0]);
	return 0;
}

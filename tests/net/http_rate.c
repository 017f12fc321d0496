/* http_rate.c - the HTTP server with a handler that does next to nothing, to measure what net/ itself
 * costs against the load generator's own echo server:
 *
 *   taskset -c 0 tests/net/http_rate 8848 &
 *   taskset -c 1 nacosblast http-beat -t 3 -P $!
 *
 * A path that ends in "/list" gets 3,000 shared bytes, PUT a short JSON object, all else "ok". It
 * ends by SIGTERM. */
#include "net/http1.h"
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char BEAT[] = "{\"clientBeatInterval\":5000,\"code\":10200,\"lightBeatEnabled\":true}";
static char list[3000];

static void list_done(void *arg)
{
	(void)arg; /* a cached answer would be unreferenced here */
}

static void on_request(void *arg, struct http_call *call)
{
	(void)arg;
	if (call->path.len > 5 && memcmp(call->path.at + call->path.len - 5, "/list", 5) == 0)
		http_reply_shared(call, 200, "application/json;charset=UTF-8", NULL, list,
				  sizeof(list), list_done, NULL);
	else if (call->method == HTTP_PUT)
		http_reply(call, 200, "application/json;charset=UTF-8", NULL, BEAT,
			   sizeof(BEAT) - 1);
	else
		http_reply_text(call, 200, "ok");
}

static void list_fill(void)
{
	size_t n = (size_t)snprintf(list, sizeof(list), "{\"name\":\"x\",\"hosts\":[");
	while (n + 200 < sizeof(list))
		n += (size_t)snprintf(list + n, sizeof(list) - n,
				      "{\"ip\":\"127.0.0.1\",\"port\":80,\"weight\":1.0,"
				      "\"healthy\":true,\"valid\":true},");
	n += (size_t)snprintf(list + n, sizeof(list) - n, "{\"ip\":\"127.0.0.1\",\"port\":81}]");
	memset(list + n, ' ', sizeof(list) - n);
	list[sizeof(list) - 1] = '}';
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct http_server_conf conf = { .on_request = on_request };
	struct listener_conf listen_conf = { 0 };
	struct http_server *server;
	struct error err;
	uv_loop_t loop;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	at.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 8848));
	list_fill();
	uv_loop_init(&loop);
	if (http_server_open(&server, &loop, &conf, &err) < 0 ||
	    http_server_listen(server, (struct sockaddr *)&at, &listen_conf, 0, NULL, &err) < 0) {
		fprintf(stderr, "http_rate: %s\n", err.text);
		return 1;
	}
	return uv_run(&loop, UV_RUN_DEFAULT);
}

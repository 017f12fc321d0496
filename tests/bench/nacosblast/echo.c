/* echo.c - the echo server, HTTP and gRPC: the ceiling of generator and protocol. As little work as
 * the protocol allows: answers are made once; what is asked is not looked at beyond the path or the
 * payload's type. */
#define _GNU_SOURCE
#include "clock.h"
#include "die.h"
#include "h2_header.h"
#include "load.h"
#include "loop.h"
#include "mode.h"
#include "payload.h"
#include "text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct echo_route {
	const char *mark; /* in the path (HTTP), or the payload's type (gRPC) */
	const char *type; /* gRPC: the answer's type */
	const char *body; /* with %s: the list of hosts; with %c: the configuration's content */
};

static const struct echo_route echo_http_routes[] = {
	{ "/instance/beat", NULL,
	  "{\"clientBeatInterval\":5000,\"code\":10200,\"lightBeatEnabled\":true}" },
	{ "/instance/list", NULL,
	  "{\"name\":\"DEFAULT_GROUP@@s\",\"groupName\":\"DEFAULT_GROUP\",\"clusters\":\"\","
	  "\"cacheMillis\":10000,\"hosts\":[%s],\"lastRefTime\":1,\"checksum\":\"\"}" },
	{ "/v2/", NULL, "{\"code\":0,\"message\":\"success\",\"data\":\"ok\"}" },
	{ "/v3/", NULL, "{\"code\":0,\"message\":\"success\",\"data\":\"ok\"}" },
	{ "GET /nacos/v1/cs/configs", NULL, "%c" },
	{ "/cs/configs", NULL, "true" },
	{ "", NULL, "ok" },
};

#define SUCCESS "{\"resultCode\":200,\"errorCode\":0,\"success\":true"
static const struct echo_route echo_grpc_routes[] = {
	{ "InstanceRequest", "InstanceResponse", SUCCESS ",\"type\":\"registerInstance\"}" },
	{ "ServiceQueryRequest", "QueryServiceResponse",
	  SUCCESS
	  ",\"serviceInfo\":{\"name\":\"s\",\"groupName\":\"DEFAULT_GROUP\",\"clusters\":\"\","
	  "\"cacheMillis\":10000,\"hosts\":[%s],\"lastRefTime\":1,\"checksum\":\"\"}}" },
	{ "SubscribeServiceRequest", "SubscribeServiceResponse",
	  SUCCESS
	  ",\"serviceInfo\":{\"name\":\"s\",\"groupName\":\"DEFAULT_GROUP\",\"clusters\":\"\","
	  "\"cacheMillis\":10000,\"hosts\":[%s],\"lastRefTime\":1,\"checksum\":\"\"}}" },
	{ "ServerCheckRequest", "ServerCheckResponse", SUCCESS ",\"connectionId\":\"echo\"}" },
	{ "HealthCheckRequest", "HealthCheckResponse", SUCCESS "}" },
	{ "ConfigPublishRequest", "ConfigPublishResponse", SUCCESS "}" },
	{ "ConfigRemoveRequest", "ConfigRemoveResponse", SUCCESS "}" },
	{ "ConfigQueryRequest", "ConfigQueryResponse",
	  SUCCESS ",\"contentType\":\"text\",\"content\":\"%c\"}" },
	{ "", "ErrorResponse", "{\"resultCode\":500,\"errorCode\":302,\"success\":false}" },
};
enum {
	HTTP_ROUTES = sizeof(echo_http_routes) / sizeof(*echo_http_routes),
	GRPC_ROUTES = sizeof(echo_grpc_routes) / sizeof(*echo_grpc_routes)
};

struct echo_server {
	struct loop loop;
	struct sock http, grpc; /* the listeners */
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	struct buf http_answers[HTTP_ROUTES], grpc_answers[GRPC_ROUTES];
};

static struct echo_server *echo_of(struct sock *listener, bool grpc)
{
	return (struct echo_server *)((char *)listener -
				      (grpc ? offsetof(struct echo_server, grpc)
					    : offsetof(struct echo_server, http)));
}

/* The body of @route with its list or content put in. */
static void echo_body(struct buf *b, const struct echo_route *route, const struct options *opt)
{
	const char *percent = strchr(route->body, '%');
	if (percent == NULL) {
		buf_text(b, route->body);
		return;
	}
	buf_put(b, route->body, (size_t)(percent - route->body));
	for (unsigned i = 0; percent[1] == 's' && i < opt->instances; i++) {
		buf_text(b, i ? ",{\"ip\":\"" : "{\"ip\":\"");
		put_ip(b, i);
		buf_text(b, "\",\"port\":8000,\"weight\":1.0,\"healthy\":true,\"enabled\":true,"
			    "\"ephemeral\":true,"
			    "\"clusterName\":\"DEFAULT\",\"serviceName\":\"DEFAULT_GROUP@@s\","
			    "\"metadata\":");
		put_metadata(b, opt, 0, false);
		buf_text(b,
			 ",\"instanceHeartBeatInterval\":5000,\"instanceHeartBeatTimeOut\":15000,"
			 "\"ipDeleteTimeout\":30000}");
	}
	if (percent[1] == 'c')
		put_content(b, 0, opt->content);
	buf_text(b, percent + 2);
}

static void echo_answers_init(struct echo_server *e, const struct options *opt)
{
	struct buf body = { 0 };
	for (unsigned i = 0; i < HTTP_ROUTES; i++) {
		buf_clear(&body);
		echo_body(&body, &echo_http_routes[i], opt);
		buf_text(&e->http_answers[i],
			 "HTTP/1.1 200 OK\r\nContent-Type: text/plain;charset=UTF-8\r\n"
			 "Content-Length: ");
		buf_number(&e->http_answers[i], buf_left(&body));
		buf_text(&e->http_answers[i], "\r\n\r\n");
		buf_put(&e->http_answers[i], buf_head(&body), buf_left(&body));
	}
	for (unsigned i = 0; i < GRPC_ROUTES; i++) {
		buf_clear(&body);
		echo_body(&body, &echo_grpc_routes[i], opt);
		put_payload(&e->grpc_answers[i], echo_grpc_routes[i].type, &body, NULL);
	}
	buf_done(&body);
}

/* A client of the HTTP port; freed when it goes. */
struct echo_http {
	struct sock sock; /* first: on_events casts */
	struct echo_server *server;
	struct buf in, out;
};

static void echo_http_free(struct echo_http *c)
{
	sock_close(&c->sock);
	buf_done(&c->in);
	buf_done(&c->out);
	free(c);
}

/* The length of the first request in @in, 0 when it is not whole yet. */
static size_t echo_request_len(const struct buf *in)
{
	const char *text = (const char *)buf_head(in);
	const char *end = memmem(text, buf_left(in), "\r\n\r\n", 4);
	size_t body = 0;
	if (end == NULL)
		return 0;
	for (const char *line = text; (line = memchr(line, '\n', (size_t)(end - line))) != NULL;) {
		line++;
		if ((*line == 'C' || *line == 'c') && end - line > 15 &&
		    strncasecmp(line, "content-length:", 15) == 0)
			body = strtoul(line + 15, NULL, 10);
	}
	size_t total = (size_t)(end + 4 - text) + (body <= MESSAGE_MAX ? body : 0);
	return buf_left(in) >= total ? total : 0;
}

static void echo_http_on_events(struct sock *s, uint32_t events)
{
	struct echo_http *c = (struct echo_http *)s;
	(void)events;
	buf_reserve(&c->in, 32768);
	ssize_t n = recv(s->fd, c->in.at + c->in.len, c->in.cap - c->in.len, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		echo_http_free(c);
		return;
	}
	c->in.len += n > 0 ? (size_t)n : 0;
	for (size_t len; buf_left(&c->in) > 0 && (len = echo_request_len(&c->in)) > 0;) {
		const char *text = (const char *)buf_head(&c->in);
		const char *eol = memchr(text, '\r', len);
		const char *query = memchr(text, '?', (size_t)(eol - text));
		size_t path = (size_t)((query ? query : eol) - text);
		unsigned i = 0;
		while (i + 1 < HTTP_ROUTES && !text_after(text, path, echo_http_routes[i].mark))
			i++;
		const struct buf *answer = &c->server->http_answers[i];
		buf_put(&c->out, buf_head(answer), buf_left(answer));
		c->in.head += len;
	}
	if (!sock_flush(&c->server->loop, s, &c->out))
		echo_http_free(c);
}

/* A client of the gRPC port and its streams. */
struct echo_stream {
	struct buf in;
	const struct buf *answer;
	size_t at;
	bool bidirectional;
	struct echo_stream *next_free, *next; /* the free ones; all of the connection */
};

struct echo_grpc {
	struct sock sock; /* first: on_events casts */
	struct echo_server *server;
	nghttp2_session *h2;
	struct buf out;
	struct echo_stream *free_streams, *streams;
};

static ssize_t answer_read(nghttp2_session *h2, int32_t id, uint8_t *to, size_t room,
			   uint32_t *flags, nghttp2_data_source *source, void *user)
{
	static const nghttp2_nv trailers[] = { HEADER_TEXT("grpc-status", "0") };
	struct echo_stream *s = source->ptr;
	(void)user;
	if (s->bidirectional)
		return NGHTTP2_ERR_DEFERRED;
	size_t left = buf_left(s->answer) - s->at, n = left < room ? left : room;
	memcpy(to, buf_head(s->answer) + s->at, n);
	s->at += n;
	if (n == left) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_submit_trailer(h2, id, trailers, 1);
	}
	return (ssize_t)n;
}

static void echo_respond(struct echo_grpc *c, int32_t id, struct echo_stream *s)
{
	static const nghttp2_nv headers[] = { HEADER_TEXT(":status", "200"),
					      HEADER_TEXT("content-type", "application/grpc") };
	nghttp2_data_provider body = { .source.ptr = s, .read_callback = answer_read };
	struct payload m;
	size_t total;
	if (!s->bidirectional) {
		unsigned i = GRPC_ROUTES - 1;
		if (message_take(&s->in, &m, &total) == PARSE_WHOLE)
			for (i = 0;
			     i + 1 < GRPC_ROUTES && !payload_is(&m, echo_grpc_routes[i].mark);)
				i++;
		s->answer = &c->server->grpc_answers[i];
	}
	nghttp2_submit_response(c->h2, id, headers, 2, &body);
}

static int echo_on_begin(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
	struct echo_grpc *c = user;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct echo_stream *s = c->free_streams;
	if (s != NULL) {
		c->free_streams = s->next_free;
	} else {
		s = must_alloc(1, sizeof(*s));
		s->next = c->streams;
		c->streams = s;
	}
	buf_clear(&s->in);
	s->at = 0;
	s->bidirectional = false;
	nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, s);
	return 0;
}

static int echo_on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
			  size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
			  void *user)
{
	(void)flags;
	(void)user;
	if (name_len == 5 && memcmp(name, ":path", 5) == 0) {
		struct echo_stream *s =
		    nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
		if (s != NULL)
			s->bidirectional = value_len > 4 && memcmp(value, "/BiR", 4) == 0;
	}
	return 0;
}

static int echo_on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *from,
			size_t len, void *user)
{
	struct echo_stream *s = nghttp2_session_get_stream_user_data(h2, id);
	(void)flags;
	(void)user;
	if (s != NULL && !s->bidirectional && buf_left(&s->in) + len <= MESSAGE_MAX)
		buf_put(&s->in, from, len);
	return 0;
}

static int echo_on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	struct echo_stream *s = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	if (s != NULL && (s->bidirectional ? frame->hd.type == NGHTTP2_HEADERS && !end : end))
		echo_respond(user, frame->hd.stream_id, s);
	return 0;
}

static int echo_on_close(nghttp2_session *h2, int32_t id, uint32_t error, void *user)
{
	struct echo_grpc *c = user;
	struct echo_stream *s = nghttp2_session_get_stream_user_data(h2, id);
	(void)error;
	if (s != NULL) {
		s->next_free = c->free_streams;
		c->free_streams = s;
		nghttp2_session_set_stream_user_data(h2, id, NULL);
	}
	return 0;
}

static void echo_grpc_free(struct echo_grpc *c)
{
	nghttp2_session_del(c->h2);
	sock_close(&c->sock);
	buf_done(&c->out);
	for (struct echo_stream *s = c->streams, *next; s != NULL; s = next) {
		next = s->next;
		buf_done(&s->in);
		free(s);
	}
	free(c);
}

static void echo_grpc_on_events(struct sock *s, uint32_t events)
{
	struct echo_grpc *c = (struct echo_grpc *)s;
	struct loop *loop = &c->server->loop;
	const uint8_t *frames;
	(void)events;
	ssize_t n = recv(s->fd, loop->chunk, READ_CHUNK, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN) ||
	    (n > 0 && nghttp2_session_mem_recv(c->h2, loop->chunk, (size_t)n) < 0)) {
		echo_grpc_free(c);
		return;
	}
	bool full, alive;
	do {
		while (buf_left(&c->out) < READ_CHUNK &&
		       (n = nghttp2_session_mem_send(c->h2, &frames)) > 0)
			buf_put(&c->out, frames, (size_t)n);
		full = buf_left(&c->out) >= READ_CHUNK;
		alive = n >= 0 && sock_flush(loop, s, &c->out);
	} while (alive && full && buf_left(&c->out) == 0);
	if (!alive)
		echo_grpc_free(c);
}

static int echo_accept(const struct sock *listener)
{
	int on = 1, fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void echo_http_on_client(struct sock *s, uint32_t events)
{
	struct echo_server *e = echo_of(s, false);
	(void)events;
	for (int fd; (fd = echo_accept(s)) >= 0;) {
		struct echo_http *c = must_alloc(1, sizeof(*c));
		c->server = e;
		c->sock = (struct sock){ .fd = fd, .on_events = echo_http_on_events };
		sock_watch(&e->loop, &c->sock, EPOLL_CTL_ADD, false);
	}
}

static void echo_grpc_on_client(struct sock *s, uint32_t events)
{
	struct echo_server *e = echo_of(s, true);
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 10000 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10 << 20 },
	};
	(void)events;
	for (int fd; (fd = echo_accept(s)) >= 0;) {
		struct echo_grpc *c = must_alloc(1, sizeof(*c));
		c->server = e;
		c->sock = (struct sock){ .fd = fd, .on_events = echo_grpc_on_events };
		if (nghttp2_session_server_new2(&c->h2, e->callbacks, c, e->option) != 0)
			die("out of memory (an HTTP/2 session)");
		nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, settings, 2);
		nghttp2_session_set_local_window_size(c->h2, NGHTTP2_FLAG_NONE, 0, 10 << 20);
		sock_watch(&e->loop, &c->sock, EPOLL_CTL_ADD, false);
	}
}

static void echo_listen(struct echo_server *e, struct sock *s, const struct options *opt,
			uint16_t port, void (*on_client)(struct sock *, uint32_t))
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = opt->host };
	int on = 1;
	s->on_events = on_client;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(s->fd, 4096) < 0)
		die("cannot listen on %s:%u: %s", opt->host_text, port, strerror(errno));
	sock_watch(&e->loop, s, EPOLL_CTL_ADD, false);
}

int run_echo(const struct mode *mode, const struct options *opt)
{
	struct echo_server *e = must_alloc(1, sizeof(*e));
	(void)mode;
	loop_init(&e->loop);
	echo_answers_init(e, opt);
	if (nghttp2_session_callbacks_new(&e->callbacks) != 0 ||
	    nghttp2_option_new(&e->option) != 0)
		die("out of memory (HTTP/2 callbacks)");
	nghttp2_session_callbacks_set_on_begin_headers_callback(e->callbacks, echo_on_begin);
	nghttp2_session_callbacks_set_on_header_callback(e->callbacks, echo_on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(e->callbacks, echo_on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(e->callbacks, echo_on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(e->callbacks, echo_on_close);
	nghttp2_option_set_no_closed_streams(e->option, 1);
	nghttp2_option_set_no_http_messaging(e->option, 1);
	echo_listen(e, &e->http, opt, opt->http_port, echo_http_on_client);
	echo_listen(e, &e->grpc, opt, opt->grpc_port, echo_grpc_on_client);
	printf("mode=echo-server pid=%d http=%s:%u grpc=%s:%u\n", (int)getpid(), opt->host_text,
	       opt->http_port, opt->host_text, opt->grpc_port);
	fflush(stdout);
	uint64_t until =
	    opt->seconds_given ? now_ns() + (uint64_t)(opt->seconds * (double)SEC) : UINT64_MAX;
	while (e->loop.now < until)
		loop_turn(&e->loop, opt->seconds_given ? 50 : -1);
	return 0; /* the kernel takes the rest back */
}

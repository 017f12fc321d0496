/* sdkline.c - see sdkline.h. HTTP/2 is libnghttp2's on a blocking socket, the Payload is coded by hand:
 *   message Metadata { string type = 3; }
 *   message Payload { Metadata metadata = 2; google.protobuf.Any body = 3; }    Any.value = 2
 * in gRPC framing: a zero byte and a big-endian length of four before it. */
#include "sdkline.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_MAX = 8192, FRAME_HEAD = 5 };

/* Bytes on their way; @at: how many of them have gone. */
struct bytes {
	uint8_t text[MESSAGE_MAX];
	size_t len, at;
};

struct sdkline {
	nghttp2_session *h2;
	int fd;
	int32_t stream, call;		/* ids; @call is 0 once its answer is whole */
	struct bytes said, asked;	/* to the stream, to the call */
	struct bytes heard, answered;	/* from them */
};

/* ---- payloads */

static void put(struct bytes *b, const void *from, size_t n)
{
	if (n > sizeof(b->text) - b->len) {
		fputs("sdkline: a message is too long\n", stderr);
		exit(2);
	}
	memcpy(b->text + b->len, from, n);
	b->len += n;
}

static void put_byte(struct bytes *b, size_t value)
{
	uint8_t byte = (uint8_t)value;

	put(b, &byte, 1);
}

/* Lengths here fit two bytes of seven bits. */
static void put_head(struct bytes *b, uint8_t tag, size_t len)
{
	put_byte(b, tag);
	put_byte(b, (len & 127) | 128);
	put_byte(b, len >> 7);
}

static void put_payload(struct bytes *b, const char *type, const char *body)
{
	size_t type_len = strlen(type), body_len = strlen(body);
	size_t metadata = 3 + type_len, any = 3 + body_len, all = 3 + metadata + 3 + any;

	if (b->at == b->len)
		b->at = b->len = 0;
	put_byte(b, 0);
	for (int shift = 24; shift >= 0; shift -= 8)
		put_byte(b, all >> shift);
	put_head(b, 0x12, metadata);
	put_head(b, 0x1a, type_len);
	put(b, type, type_len);
	put_head(b, 0x1a, any);
	put_head(b, 0x12, body_len);
	put(b, body, body_len);
}

/* The length of the first message, its head included; 0: not whole yet. */
static size_t whole(const struct bytes *b)
{
	const uint8_t *p = b->text;
	size_t len;

	if (b->len < FRAME_HEAD)
		return 0;
	len = FRAME_HEAD + ((size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4]);
	return len <= b->len ? len : 0;
}

static bool says(const struct bytes *b, size_t len, const char *what)
{
	return memmem(b->text, len, what, strlen(what)) != NULL;
}

/* ---- HTTP/2 */

static ssize_t on_read(nghttp2_session *h2, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
		       nghttp2_data_source *source, void *user)
{
	struct sdkline *line = user;
	struct bytes *b = source->ptr;
	size_t n = b->len - b->at < room ? b->len - b->at : room;

	(void)h2;
	(void)id;
	if (n == 0 && b == &line->said)
		return NGHTTP2_ERR_DEFERRED;
	memcpy(to, b->text + b->at, n);
	b->at += n;
	if (b == &line->asked && b->at == b->len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static int32_t submit(struct sdkline *line, const char *path, struct bytes *from)
{
	nghttp2_data_provider body = { .source.ptr = from, .read_callback = on_read };
	const char *const pairs[][2] = { { ":method", "POST" },		      { ":scheme", "http" },
					 { ":path", path },		      { ":authority", "localhost" },
					 { "content-type", "application/grpc" }, { "te", "trailers" } };
	nghttp2_nv headers[6];

	for (size_t i = 0; i < 6; i++)
		headers[i] = (nghttp2_nv){ (uint8_t *)(uintptr_t)pairs[i][0], (uint8_t *)(uintptr_t)pairs[i][1],
					   strlen(pairs[i][0]), strlen(pairs[i][1]), NGHTTP2_NV_FLAG_NONE };
	return nghttp2_submit_request(line->h2, NULL, headers, 6, &body, NULL);
}

static void say(struct sdkline *line, const char *type, const char *body)
{
	put_payload(&line->said, type, body);
	if (line->stream > 0)
		nghttp2_session_resume_data(line->h2, line->stream);
}

/* A question on the stream: is this client there? */
static void answer_question(struct sdkline *line, size_t len)
{
	static const char key[] = "\"requestId\":\"";
	const uint8_t *id = memmem(line->heard.text, len, key, sizeof(key) - 1), *end;
	char body[160];

	if (id == NULL || !says(&line->heard, len, "ClientDetectionRequest"))
		return;
	id += sizeof(key) - 1;
	end = memchr(id, '"', len - (size_t)(id - line->heard.text));
	if (end == NULL || end - id > 64)
		return;
	snprintf(body, sizeof(body), "{\"resultCode\":200,\"requestId\":\"%.*s\"}", (int)(end - id), (const char *)id);
	say(line, "ClientDetectionResponse", body);
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *from, size_t len, void *user)
{
	struct sdkline *line = user;
	size_t n;

	(void)h2;
	(void)flags;
	if (id != line->stream) {
		put(&line->answered, from, len);
		return 0;
	}
	put(&line->heard, from, len);
	while ((n = whole(&line->heard)) > 0) {
		answer_question(line, n);
		memmove(line->heard.text, line->heard.text + n, line->heard.len - n);
		line->heard.len -= n;
	}
	return 0;
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t error, void *user)
{
	struct sdkline *line = user;

	(void)h2;
	(void)error;
	if (id == line->call)
		line->call = 0;
	return 0;
}

static bool flush(struct sdkline *line)
{
	const uint8_t *frames;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(line->h2, &frames)) > 0)
		if (send(line->fd, frames, (size_t)n, MSG_NOSIGNAL) != n)
			return false;
	return n == 0;
}

bool sdkline_ask(struct sdkline *line, const char *type, const char *body)
{
	uint8_t chunk[16384];
	size_t len;

	line->asked.at = line->asked.len = line->answered.len = 0;
	put_payload(&line->asked, type, body);
	line->call = submit(line, "/Request/request", &line->asked);
	while (line->call > 0) {
		ssize_t n = flush(line) ? recv(line->fd, chunk, sizeof(chunk), 0) : -1;
		if (n <= 0 || nghttp2_session_mem_recv(line->h2, chunk, (size_t)n) < 0) {
			fprintf(stderr, "sdkline: %s: the connection is gone\n", type);
			return false;
		}
	}
	len = line->call == 0 ? whole(&line->answered) : 0;
	if (len > 0 && says(&line->answered, len, "\"resultCode\":200") && !says(&line->answered, len, "\"success\":false"))
		return true;
	fprintf(stderr, "sdkline: %s %s: %.*s\n", type, body, (int)len, (const char *)line->answered.text);
	return false;
}

/* ---- beginning and end */

static int dial(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval limit = { 60, 0 };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static bool session_begin(struct sdkline *line)
{
	nghttp2_session_callbacks *callbacks;
	int rc;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return false;
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	rc = nghttp2_session_client_new(&line->h2, callbacks, line);
	nghttp2_session_callbacks_del(callbacks);
	return rc == 0 && nghttp2_submit_settings(line->h2, NGHTTP2_FLAG_NONE, NULL, 0) == 0;
}

/* The set-up has no answer of its own: only who was set up is told that it is well. */
static bool set_up(struct sdkline *line)
{
	say(line, "ConnectionSetupRequest",
	    "{\"clientVersion\":\"Test:v1\",\"tenant\":\"public\",\"labels\":{\"source\":\"sdk\",\"module\":\"naming\"}}");
	line->stream = submit(line, "/BiRequestStream/requestBiStream", &line->said);
	return line->stream > 0 && sdkline_ask(line, "HealthCheckRequest", "{}");
}

struct sdkline *sdkline_new(uint16_t port)
{
	struct sdkline *line = calloc(1, sizeof(*line));

	if (line == NULL)
		return NULL;
	line->fd = dial(port);
	if (line->fd >= 0 && session_begin(line) && set_up(line))
		return line;
	sdkline_free(line);
	return NULL;
}

void sdkline_free(struct sdkline *line)
{
	if (line->h2 != NULL)
		nghttp2_session_del(line->h2);
	if (line->fd >= 0)
		close(line->fd);
	free(line);
}

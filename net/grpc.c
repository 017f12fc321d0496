/* grpc.c - see grpc.h. A message is read straight out of an HTTP/2 data chunk when it lies whole in it,
 * else gathered in the call's own buffer, which is bounded by message_max and, for all calls of a
 * connection, by twice that. A call is freed when its request has gone and, if unary, it was answered. */
#include "net/grpc.h"
#include "base/mem.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { PREFIX_LEN = 5, PARTS_MAX = 8, MESSAGE_TEXT_MAX = 256 };

struct grpc_conn {
	struct grpc_server *server;
	struct http2_conn *h2;
	void *user;
	size_t partial;
};

struct grpc_call {
	struct grpc_server *server;
	struct grpc_conn *conn;	    /* NULL: gone */
	struct http2_request *request; /* NULL: gone */
	void *user;
	unsigned method;
	bool streams, headed, over; /* over: status given, or the answer is */
	bool delivered;		    /* unary: its message was */
	uint8_t prefix[PREFIX_LEN];
	unsigned prefix_len;
	uint8_t *at; /* of a message that is not whole */
	size_t len, cap;
};

struct grpc_server {
	struct grpc_server_conf conf;
	struct grpc_server_counts counts;
	struct http2_server *h2;
	bool h2_closed;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* ---- ends */

static void server_release(struct grpc_server *s)
{
	if (!s->h2_closed || s->counts.unanswered > 0)
		return;
	void (*on_closed)(void *) = s->on_closed;
	void *arg = s->closed_arg;
	mem_free(s);
	if (on_closed != NULL)
		on_closed(arg);
}

static void gather_end(struct grpc_call *call)
{
	if (call->conn != NULL)
		call->conn->partial -= call->cap;
	mem_free(call->at);
	call->at = NULL;
	call->len = call->cap = 0;
}

/* Unary: both halves must be over. */
static void call_release(struct grpc_call *call)
{
	struct grpc_server *s = call->server;
	if (call->request != NULL || (!call->streams && call->delivered && !call->over))
		return;
	gather_end(call);
	mem_free(call);
	if (s->h2_closed)
		server_release(s);
}

/* ---- answers */

static int head_put(struct grpc_call *call)
{
	static const struct http2_field fields[] = { { "content-type", "application/grpc" } };
	if (call->headed)
		return E_OK;
	call->headed = true;
	return http2_head(call->request, "200", fields, 1, false);
}

/* gRPC over HTTP2: grpc-message is percent-encoded. */
static void message_encode(char *to, size_t cap, const char *text)
{
	size_t n = 0;
	for (; *text != '\0' && n + 4 < cap; text++) {
		unsigned char b = (unsigned char)*text;
		if (b >= 0x20 && b <= 0x7e && b != '%')
			to[n++] = (char)b;
		else
			n += (size_t)snprintf(to + n, cap - n, "%%%02X", b);
	}
	to[n] = '\0';
}

static void status_put(struct grpc_call *call, enum grpc_status status, const char *text)
{
	char number[12], message[MESSAGE_TEXT_MAX];
	struct http2_field fields[3] = { { "grpc-status", number }, { "grpc-message", message } };
	unsigned count = text == NULL ? 1 : 2;
	int rc;
	snprintf(number, sizeof(number), "%d", (int)status);
	message_encode(message, sizeof(message), text == NULL ? "" : text);
	if (call->headed) {
		rc = http2_finish(call->request, fields, count);
	} else { /* trailers only */
		fields[count] = (struct http2_field){ "content-type", "application/grpc" };
		rc = http2_head(call->request, "200", fields, count + 1, true);
		call->headed = true;
	}
	if (rc < 0)
		http2_reset(call->request);
}

void grpc_fail(struct grpc_call *call, enum grpc_status status, const char *message)
{
	if (call->over)
		return;
	call->over = true;
	if (status != GRPC_OK)
		call->server->counts.failures++;
	if (call->request != NULL)
		status_put(call, status, message);
	if (!call->streams) {
		if (call->delivered)
			call->server->counts.unanswered--;
		call_release(call);
	}
}

int grpc_refuse(const struct stream_part *parts, unsigned count, int rc)
{
	for (unsigned i = 0; i < count; i++)
		if (parts[i].release != NULL)
			parts[i].release(parts[i].release_arg);
	return rc;
}

int grpc_send(struct grpc_call *call, const struct stream_part *parts, unsigned count)
{
	struct stream_part all[PARTS_MAX];
	uint8_t prefix[PREFIX_LEN] = { 0 };
	size_t len = 0;
	assert(count < PARTS_MAX);
	if (call->request == NULL || call->over)
		return grpc_refuse(parts, count, E_CLOSED);
	for (unsigned i = 0; i < count; i++)
		len += parts[i].len;
	if (len > UINT32_MAX)
		return grpc_refuse(parts, count, E_LIMIT);
	for (int i = 0; i < 4; i++)
		prefix[1 + i] = (uint8_t)(len >> (24 - 8 * i));
	all[0] = (struct stream_part){ .at = prefix, .len = PREFIX_LEN };
	memcpy(all + 1, parts, count * sizeof(*parts));
	int rc = head_put(call);
	if (rc < 0)
		return grpc_refuse(parts, count, rc);
	rc = http2_write(call->request, all, count + 1);
	if (rc == E_OK)
		call->server->counts.messages_out++;
	return rc;
}

void grpc_call_fetch(const struct grpc_call *call, unsigned step)
{
	if (step == 0) {
		__builtin_prefetch(call);
	} else if (step == 1) {
		__builtin_prefetch(call->conn);
		__builtin_prefetch(call->request);
	} else if (call->request != NULL) {
		http2_fetch(call->request, step - 2);
	}
}

void grpc_reply(struct grpc_call *call, const struct stream_part *parts, unsigned count)
{
	int rc = grpc_send(call, parts, count);
	if (rc == E_OK || rc == E_CLOSED)
		grpc_fail(call, GRPC_OK, NULL);
	else
		grpc_fail(call, GRPC_RESOURCE_EXHAUSTED, "too many bytes wait for this client");
}

/* ---- messages in */

static void deliver(struct grpc_call *call, const uint8_t *at, size_t len)
{
	struct grpc_server *s = call->server;
	if (!call->streams && call->delivered) {
		grpc_fail(call, GRPC_INVALID_ARGUMENT, "a second message in a unary call");
		return;
	}
	if (!call->streams)
		s->counts.unanswered++;
	call->delivered = true;
	s->counts.messages_in++;
	s->conf.on_message(s->conf.arg, call, call->method, at, len);
}

/* Room for the whole message. False: refused. */
static bool gather_begin(struct grpc_call *call, size_t need)
{
	struct grpc_conn *c = call->conn;
	if (c->partial + need > 2 * (size_t)call->server->conf.message_max) {
		grpc_fail(call, GRPC_RESOURCE_EXHAUSTED, "too many unfinished messages on this connection");
		return false;
	}
	call->at = mem_alloc(need);
	if (call->at == NULL) {
		grpc_fail(call, GRPC_RESOURCE_EXHAUSTED, "no memory for the message");
		return false;
	}
	call->cap = need;
	call->len = 0;
	c->partial += need;
	return true;
}

static size_t prefix_need(const struct grpc_call *call)
{
	const uint8_t *p = call->prefix;
	return (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
}

static bool prefix_accepted(struct grpc_call *call)
{
	char text[96];
	if (call->prefix[0] != 0) {
		grpc_fail(call, GRPC_UNIMPLEMENTED, "compressed messages are not supported");
		return false;
	}
	if (prefix_need(call) <= call->server->conf.message_max)
		return true;
	snprintf(text, sizeof(text), "a message of %zu bytes is over the limit of %u", prefix_need(call),
		 call->server->conf.message_max);
	grpc_fail(call, GRPC_RESOURCE_EXHAUSTED, text);
	return false;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void on_data(void *arg, struct http2_request *r, const uint8_t *at, size_t len)
{
	struct grpc_call *call = http2_request_user(r);
	const uint8_t *end = at + len;
	(void)arg;
	/* The user may end the call (its request stays until on_gone, so do we). */
	while (call != NULL && at < end && !call->over && (call->streams || !call->delivered)) {
		if (call->prefix_len < PREFIX_LEN) {
			size_t n = least((size_t)(end - at), PREFIX_LEN - call->prefix_len);
			memcpy(call->prefix + call->prefix_len, at, n);
			call->prefix_len += (unsigned)n;
			at += n;
			if (call->prefix_len < PREFIX_LEN || !prefix_accepted(call))
				return;
		}
		size_t need = prefix_need(call);
		if (call->at == NULL && need <= (size_t)(end - at)) {
			call->prefix_len = 0;
			at += need;
			deliver(call, at - need, need);
		} else {
			if (call->at == NULL && !gather_begin(call, need))
				return;
			size_t n = least((size_t)(end - at), need - call->len);
			memcpy(call->at + call->len, at, n);
			call->len += n;
			at += n;
			if (call->len < need)
				return;
			call->prefix_len = 0;
			uint8_t *whole = call->at;
			call->conn->partial -= call->cap;
			call->at = NULL;
			call->len = call->cap = 0;
			deliver(call, whole, need);
			mem_free(whole);
		}
		call = http2_request_user(r);
	}
	if (call != NULL && at < end && !call->over)
		grpc_fail(call, GRPC_INVALID_ARGUMENT, "a second message in a unary call");
}

static void on_end(void *arg, struct http2_request *r)
{
	struct grpc_call *call = http2_request_user(r);
	(void)arg;
	if (call == NULL || call->over)
		return;
	if (call->prefix_len > 0 || (!call->streams && !call->delivered))
		grpc_fail(call, GRPC_INVALID_ARGUMENT, "the stream ended within a message");
	else if (call->streams)
		grpc_fail(call, GRPC_OK, NULL);
}

/* ---- requests and connections */

static const char TYPE[] = "application/grpc";

static int method_find(const struct grpc_server *s, const char *path)
{
	for (unsigned i = 0; i < s->conf.method_count; i++)
		if (strcmp(s->conf.methods[i].path, path) == 0)
			return (int)i;
	return -1;
}

static void on_head(void *arg, struct http2_request *r)
{
	struct grpc_server *s = arg;
	const char *type = http2_content_type(r);
	char after = strncmp(type, TYPE, sizeof(TYPE) - 1) == 0 ? type[sizeof(TYPE) - 1] : 'x';
	if (strcmp(http2_method(r), "POST") != 0 || (after != '\0' && after != '+' && after != ';')) {
		http2_head(r, "415", NULL, 0, true); /* gRPC over HTTP2: so that no HTTP client takes it for success */
		return;
	}
	int method = method_find(s, http2_path(r));
	struct grpc_call *call = mem_zalloc(1, sizeof(*call));
	if (call == NULL) {
		http2_reset(r);
		return;
	}
	call->server = s;
	call->conn = http2_conn_user(http2_request_conn(r));
	call->request = r;
	http2_request_set_user(r, call);
	s->counts.calls++;
	if (method < 0) {
		call->streams = true; /* nothing to be answered later */
		grpc_fail(call, GRPC_UNIMPLEMENTED, "unknown method");
		return;
	}
	call->method = (unsigned)method;
	call->streams = s->conf.methods[method].streams;
	if (call->streams) {
		call->delivered = true; /* on_gone is due */
		s->conf.on_open(s->conf.arg, call, call->method);
	}
}

static void on_gone(void *arg, struct http2_request *r)
{
	struct grpc_server *s = arg;
	struct grpc_call *call = http2_request_user(r);
	if (call == NULL)
		return;
	if (call->streams && call->delivered)
		s->conf.on_gone(s->conf.arg, call);
	gather_end(call);
	call->request = NULL;
	call->conn = NULL;
	if (call->streams)
		call->over = true;
	call_release(call);
}

static int on_conn(void *arg, struct http2_conn *h2)
{
	struct grpc_server *s = arg;
	struct grpc_conn *c = mem_zalloc(1, sizeof(*c));
	if (c == NULL)
		return E_NOMEM;
	c->server = s;
	c->h2 = h2;
	http2_conn_set_user(h2, c);
	return s->conf.on_conn(s->conf.arg, c);
}

static void on_conn_closed(void *arg, struct http2_conn *h2)
{
	struct grpc_server *s = arg;
	struct grpc_conn *c = http2_conn_user(h2);
	if (c == NULL)
		return;
	s->conf.on_conn_gone(s->conf.arg, c);
	mem_free(c);
}

static void on_conn_drained(void *arg, struct http2_conn *h2)
{
	struct grpc_server *s = arg;
	if (s->conf.on_conn_drained != NULL)
		s->conf.on_conn_drained(s->conf.arg, http2_conn_user(h2));
}

void grpc_conn_set_user(struct grpc_conn *c, void *user)
{
	c->user = user;
}

void *grpc_conn_user(const struct grpc_conn *c)
{
	return c->user;
}

const union stream_peer *grpc_conn_peer(const struct grpc_conn *c)
{
	return http2_conn_peer(c->h2);
}

size_t grpc_conn_waiting(const struct grpc_conn *c)
{
	return http2_conn_waiting(c->h2);
}

void grpc_conn_close(struct grpc_conn *c)
{
	http2_conn_close(c->h2);
}

void grpc_conn_refuse(struct grpc_conn *c, const char *why)
{
	http2_conn_refuse(c->h2, why);
}

struct grpc_conn *grpc_call_conn(const struct grpc_call *call)
{
	return call->conn;
}

void grpc_call_set_user(struct grpc_call *call, void *user)
{
	call->user = user;
}

void *grpc_call_user(const struct grpc_call *call)
{
	return call->user;
}

/* ---- the server */

#define OR_DEFAULT(field, value) ((field) = (field) ? (field) : (value))

int grpc_server_open(struct grpc_server **ret, uv_loop_t *loop, const struct grpc_server_conf *conf,
		     struct error *err)
{
	struct grpc_server *s = mem_zalloc(1, sizeof(*s));
	if (s == NULL)
		return error_set(err, E_NOMEM, "gRPC server: no memory");
	s->conf = *conf;
	OR_DEFAULT(s->conf.message_max, 4u << 20);
	struct http2_server_conf http2 = conf->http2;
	http2.events = (struct http2_events){
		.on_conn = on_conn,
		.on_conn_closed = on_conn_closed,
		.on_conn_drained = on_conn_drained,
		.on_head = on_head,
		.on_data = on_data,
		.on_end = on_end,
		.on_gone = on_gone,
	};
	http2.arg = s;
	int rc = http2_server_open(&s->h2, loop, &http2, err);
	if (rc < 0) {
		mem_free(s);
		return rc;
	}
	*ret = s;
	return E_OK;
}

struct http2_server *grpc_server_http2(struct grpc_server *s)
{
	return s->h2;
}

void grpc_server_set_limits(struct grpc_server *s, uint32_t message_max, uint32_t streams_max)
{
	if (message_max > 0)
		s->conf.message_max = message_max;
	http2_server_set_requests_max(s->h2, streams_max);
}

const struct grpc_server_counts *grpc_server_counts(const struct grpc_server *s)
{
	return &s->counts;
}

static void on_h2_closed(void *arg)
{
	struct grpc_server *s = arg;
	s->h2_closed = true;
	server_release(s);
}

void grpc_server_close(struct grpc_server *s, void (*on_closed)(void *arg), void *arg)
{
	s->on_closed = on_closed;
	s->closed_arg = arg;
	http2_server_close(s->h2, on_h2_closed, s);
}

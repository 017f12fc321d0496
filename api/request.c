/* request.c - answers and commands of one request; see request.h. */
#include "api/request.h"

#include "api/failure_map.h"
#include "api/io.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "net/form.h"
#include <arpa/inet.h>
#include <assert.h>
#include <string.h>
#include <time.h>

static const char result_ok[] = "{\"code\":0,\"message\":\"success\",\"data\":\"ok\"}";

struct registry *request_registry(const struct request *r)
{
	return r->io->api->registry;
}

/* Counted before the answer leaves, since the answer ends the request's memory. */
static void account(struct request *r, int status)
{
	enum route_class class = r->route != NULL ? r->route->class : CLASS_UNKNOWN;
	unsigned hundreds = (unsigned)status / 100;
	metrics_add(r->io->requests[class][hundreds < STATUS_CLASSES ? hundreds : 5], 1);
	api_count_answer(r->io->api->counts, r->route, hundreds < STATUS_CLASSES ? hundreds : 5);
	metrics_observe(r->io->durations[class], (double)(clock_ns() - r->started_ns) * 1e-9);
}

void reply(struct request *r, int status, const char *type, const void *body, size_t len)
{
	account(r, status);
	struct text out = r->out; /* @body may be its */
	http_reply(r->call, status, type, NULL, body, len);
	text_done(&out);
}

void reply_shared(struct request *r, const char *type, const void *body, size_t len,
		  void (*release)(void *arg), void *arg)
{
	account(r, 200);
	text_done(&r->out);
	http_reply_shared(r->call, 200, type, NULL, body, len, release, arg);
}

void reply_stream(struct request *r, const char *type, http_more_fn *more, void (*release)(void *arg), void *arg)
{
	account(r, 200);
	text_done(&r->out);
	http_reply_stream(r->call, 200, type, more, release, arg);
}

void reply_text(struct request *r, int status, const char *text)
{
	reply(r, status, TYPE_TEXT, text, strlen(text));
}

void reply_json(struct request *r, int status, const struct text *body)
{
	if (body->failed)
		reply_text(r, 503, "no memory for the answer");
	else
		reply(r, status, TYPE_JSON, body->at, body->len);
}

void reply_json_with(struct request *r, int status, const struct text *body, const char *headers)
{
	if (body->failed) {
		reply_text(r, 503, "no memory for the answer");
		return;
	}
	account(r, status);
	text_done(&r->out);
	http_reply(r->call, status, TYPE_JSON, headers, body->at, body->len);
}

void reply_ok(struct request *r)
{
	if (request_is_v1(r))
		reply(r, 200, TYPE_TEXT, "ok", 2);
	else
		reply(r, 200, TYPE_JSON, result_ok, sizeof(result_ok) - 1);
}

void reply_bool(struct request *r, bool v)
{
	const char *bare = v ? "true" : "false";
	if (request_is_v1(r)) {
		reply(r, 200, TYPE_JSON, bare, strlen(bare));
		return;
	}
	struct text *t = answer_begin(r);
	json_bool(t, v);
	answer_end(r);
}

static void result_failure(struct request *r, int status, const struct failure_row *row)
{
	struct text *t = &r->io->scratch;
	text_clear(t);
	json_open(t, '{');
	json_kv_i64(t, "code", row->code);
	json_kv_str(t, "message", row->message);
	json_kv_str(t, "data", r->err.text);
	json_close(t, '}');
	reply_json(r, status, t);
}

void reply_failure(struct request *r)
{
	const struct failure_row *row = failure_row(&r->err);
	enum face face = r->route->face;
	api_count_refusal(r->io->api->counts, &r->err);
	int status = face == FACE_V2 ? row->v2_status : face == FACE_V3 ? row->v3_status : row->v1_status;
	if (face == FACE_NATIVE)
		reply_framework(r, status, r->err.text, NULL);
	else if (face == FACE_V1 || row->plain)
		reply_text(r, status, r->err.text);
	else
		result_failure(r, status, row);
}

static void add_timestamp(struct text *t)
{
	char text[64];
	int64_t now = clock_wall_ms();
	time_t seconds = (time_t)(now / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	text[n] = '\0';
	json_key(t, "timestamp");
	text_printf(t, "\"%s.%03d+00:00\"", text, (int)(now % 1000));
}

void reply_framework(struct request *r, int status, const char *message, const char *extra_headers)
{
	struct text *t = &r->io->scratch;
	text_clear(t);
	json_open(t, '{');
	add_timestamp(t);
	json_kv_i64(t, "status", status);
	json_kv_str(t, "error", http_status_text(status));
	json_kv_str(t, "message", message);
	json_key(t, "path");
	if (r->call->path.len > 0 || r->route == NULL)
		json_strn(t, r->call->path.at, r->call->path.len < 512 ? r->call->path.len : 512);
	else
		json_str(t, r->route->path); /* the request has been let go while a command was under way */
	json_close(t, '}');
	account(r, status);
	text_done(&r->out);
	if (t->failed)
		http_reply_text(r->call, 503, "no memory for the answer");
	else
		http_reply(r->call, status, TYPE_JSON, extra_headers, t->at, t->len);
}

struct text *answer_begin_bare(struct request *r)
{
	text_clear(&r->io->scratch);
	return &r->io->scratch;
}

struct text *answer_begin(struct request *r)
{
	static const char head[] = "{\"code\":0,\"message\":\"success\",\"data\":";
	struct text *t = answer_begin_bare(r);
	if (!request_is_v1(r) && r->route->face != FACE_NATIVE)
		text_put(t, head, sizeof(head) - 1);
	return t;
}

void answer_end_bare(struct request *r)
{
	reply_json(r, 200, &r->io->scratch);
}

void answer_end(struct request *r)
{
	if (!request_is_v1(r) && r->route->face != FACE_NATIVE)
		json_close(&r->io->scratch, '}');
	answer_end_bare(r);
}

int request_key(struct request *r, struct service_key *ret)
{
	const struct param_value *service = &r->params.values[P_SERVICE_NAME];
	const char *name;
	int rc = param_require(&r->params, P_SERVICE_NAME, &name, &r->err);
	if (rc < 0)
		return rc;
	char *buf = arena_alloc(&r->call->arena, service->len + 1u);
	if (buf == NULL)
		return error_set(&r->err, E_NOMEM, "no memory for the service name");
	return name_normalise(ret, param_or(&r->params, P_NAMESPACE_ID, ""), param_or(&r->params, P_GROUP_NAME, ""),
			      name, buf, &r->err);
}

int request_address(struct request *r, struct address_query *ret)
{
	int rc = request_key(r, &ret->key);
	ret->ip = param_text(&r->params, P_IP);
	ret->by_port = param_number_given(&r->params, P_PORT);
	return rc < 0 || !ret->by_port ? rc : param_port(&r->params, P_PORT, &ret->port, &r->err);
}

bool address_wanted(const struct address_query *q, const char *ip, uint16_t port)
{
	return (q->ip == NULL || strcmp(q->ip, ip) == 0) && (!q->by_port || q->port == port);
}

char *request_last_segment(struct request *r)
{
	const char *path = r->call->path.at, *slash = path;
	for (size_t i = 0; i < r->call->path.len; i++)
		if (path[i] == '/')
			slash = path + i + 1;
	size_t len = (size_t)(path + r->call->path.len - slash);
	char *to = len > 0 ? arena_alloc(&r->call->arena, len + 1) : NULL;
	if (to != NULL)
		url_decode(to, slash, len, 0);
	return to;
}

/* The peer as text, for the change log. IPv4 is written here: it is on the way of every registration. */
static const char *peer_text(struct request *r)
{
	const struct sockaddr *peer = r->call->peer;
	char *to = arena_alloc(&r->call->arena, INET6_ADDRSTRLEN);
	if (to == NULL || peer == NULL)
		return NULL;
	if (peer->sa_family == AF_INET6)
		return inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, to,
				 INET6_ADDRSTRLEN);
	const uint8_t *b = (const uint8_t *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
	char *at = to;
	for (int i = 0; i < 4; i++) {
		if (b[i] >= 100)
			*at++ = (char)('0' + b[i] / 100);
		if (b[i] >= 10)
			*at++ = (char)('0' + b[i] / 10 % 10);
		*at++ = (char)('0' + b[i] % 10);
		*at++ = '.';
	}
	at[-1] = '\0';
	return to;
}

/* What a publisher says of itself, and what an operator says of others. */
static enum command_cause cause_of(enum command_kind kind)
{
	switch (kind) {
	case CMD_INSTANCE_REGISTER:
	case CMD_INSTANCE_DEREGISTER:
		return CAUSE_API;
	case CMD_INSTANCE_BEAT:
		return CAUSE_BEAT;
	default:
		return CAUSE_OPERATOR;
	}
}

void request_command(struct request *r, enum command_kind kind)
{
	command_init(&r->cmd, kind);
	r->cmd.cause = cause_of(kind);
	r->cmd.remote = peer_text(r);
}

/* The command of a request is the desk's no longer. */
void request_came_back(struct command *cmd)
{
	struct request *r = cmd->owner;
	if (cmd->code < 0 && !r->takes_failure) {
		r->err = cmd->error;
		reply_failure(r);
	} else if (r->finish != NULL) {
		r->finish(r);
	} else {
		reply_ok(r);
	}
}

void request_submit(struct request *r, void (*finish)(struct request *r))
{
	struct io *io = r->io;

	if (io_has_room(io, &r->err) < 0) {
		reply_failure(r);
		return;
	}
	r->finish = finish;
	r->cmd.owner = r;
	io_submit(io, &r->cmd, request_came_back);
}

void request_call(struct request *r, int (*read)(struct registry *reg, void *arg, struct error *err),
		  void (*finish)(struct request *r))
{
	command_init(&r->cmd, CMD_CALL);
	r->cmd.call.run = read;
	r->cmd.call.arg = r;
	request_submit(r, finish);
}

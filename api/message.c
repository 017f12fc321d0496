/* message.c - see message.h: from bytes to a row of the table and back. */
#include "api/message.h"

#include "api/failure_map.h"
#include "api/io.h"
#include "api/json_tree.h"
#include "api/push.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "registry/failure.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Codes of nacos-naming 5.3. */
enum { CODE_STARTING = 300, CODE_NOT_REGISTERED = 301, CODE_NO_HANDLER = 302, CODE_UNREADABLE = 502 };

static const struct message_kind kinds[] = {
	{ "ServerCheckRequest", "ServerCheckResponse", BEFORE_SETUP | WHEN_STARTING, NULL, internal_server_check },
	{ "HealthCheckRequest", "HealthCheckResponse", BEFORE_SETUP | WHEN_STARTING, NULL, internal_health_check },
	{ "PushAckRequest", "PushAckResponse", WHEN_STARTING, NULL, internal_push_ack },
	{ "ServerLoaderInfoRequest", "ServerLoaderInfoResponse", BEFORE_SETUP, NULL, internal_loader_info },
	{ "ServerReloadRequest", "ServerReloadResponse", BEFORE_SETUP | WHEN_STARTING, NULL, internal_server_reload },
	{ "InstanceRequest", "InstanceResponse", 0, naming_instance_decode, naming_instance },
	{ "PersistentInstanceRequest", "InstanceResponse", 0, naming_instance_decode, naming_persistent },
	{ "BatchInstanceRequest", "BatchInstanceResponse", 0, naming_batch_decode, naming_batch },
	{ "ServiceQueryRequest", "QueryServiceResponse", 0, naming_query_decode, naming_query },
	{ "SubscribeServiceRequest", "SubscribeServiceResponse", 0, naming_subscribe_decode, naming_subscribe },
	{ "ServiceListRequest", "ServiceListResponse", 0, naming_list_decode, naming_list },
	{ "NamingFuzzyWatchRequest", "NamingFuzzyWatchResponse", 0, fuzzy_watch_decode, fuzzy_watch_run },
	/* The configuration service is not in this release. */
	{ "ConfigQueryRequest", "ConfigQueryResponse", 0, NULL, config_not_built },
	{ "ConfigPublishRequest", "ConfigPublishResponse", 0, NULL, config_not_built },
	{ "ConfigRemoveRequest", "ConfigRemoveResponse", 0, NULL, config_not_built },
	{ "ConfigBatchListenRequest", "ConfigChangeBatchListenResponse", 0, NULL, config_listen },
	{ "ConfigFuzzyWatchRequest", "ConfigFuzzyWatchResponse", 0, NULL, config_not_built },
	{ "ClientConfigMetricRequest", "ClientConfigMetricResponse", 0, NULL, config_not_built },
};

const struct message_kind *message_kinds(size_t *count)
{
	*count = sizeof(kinds) / sizeof(kinds[0]);
	return kinds;
}

static const struct message_kind *kind_find(struct slice type)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i].type) == type.len && memcmp(kinds[i].type, type.at, type.len) == 0)
			return &kinds[i];
	return NULL;
}

/* ---- answers */

static void message_free(struct message *m)
{
	struct session *s = m->session;
	struct io *io = m->io;
	if (m->body_heap != NULL)
		cJSON_Delete(m->body_heap);
	text_done(&m->out);
	mem_free(m->old);
	arena_done(&m->arena);
	stock_free(&io->messages, m);
	session_message_done(s);
}

static void send_answer(struct message *m, const char *type, const struct text *t, const struct stream_part *more,
			bool well)
{
	static const struct stream_part none = { .at = "" };
	const struct stream_part tail = { .at = "}", .len = more != NULL ? 1 : 0 };
	uint8_t head[PAYLOAD_HEAD_MAX];
	metrics_add(well ? m->io->cell_rpc_ok : m->io->cell_rpc_failed, 1);
	metrics_observe(m->io->rpc_duration, (double)(clock_ns() - m->started_ns) * 1e-9);
	if (t->failed) {
		if (more != NULL && more->release != NULL)
			more->release(more->release_arg);
		grpc_fail(m->call, GRPC_RESOURCE_EXHAUSTED, "no memory for the answer");
	} else {
		size_t more_len = more != NULL ? more->len : 0;
		struct stream_part parts[] = {
			{ .at = head, .len = payload_head(head, type, t->len + more_len + tail.len) },
			{ .at = t->at, .len = t->len },
			more != NULL ? *more : none,
			tail,
		};
		grpc_reply(m->call, parts, 4);
	}
	message_free(m);
}

static struct text *begin(struct message *m, int result, int error, const char *text)
{
	struct text *t = &m->io->scratch;
	text_clear(t);
	json_open(t, '{');
	json_kv_i64(t, "resultCode", result);
	json_kv_i64(t, "errorCode", error);
	json_kv_bool(t, "success", result == 200);
	if (text != NULL)
		json_kv_str(t, "message", text);
	if (m->request_id != NULL)
		json_kv_str(t, "requestId", m->request_id);
	return t;
}

struct text *message_begin(struct message *m)
{
	return begin(m, 200, 0, NULL);
}

void message_end(struct message *m)
{
	struct text *t = &m->io->scratch;
	json_close(t, '}');
	send_answer(m, m->kind->answer, t, NULL, true);
}

void message_end_raw(struct message *m, const char *key, const struct stream_part *value)
{
	struct text *t = &m->io->scratch;
	json_key(t, key);
	send_answer(m, m->kind->answer, t, value, true);
}

void message_ok(struct message *m)
{
	message_begin(m);
	message_end(m);
}

void message_error(struct message *m, int error_code, const char *text)
{
	struct text *t = begin(m, 500, error_code, text);
	/* What SDKs read without looking at the result first. */
	if (m->kind->run == naming_list) {
		json_kv_i64(t, "count", 0);
		json_key(t, "serviceNames");
		json_raw(t, "[]", 2);
	}
	json_close(t, '}');
	send_answer(m, m->kind->answer, t, NULL, false);
}

void message_fail(struct message *m)
{
	const struct failure_row *row = failure_row(&m->err);
	message_error(m, row->v1_status, m->err.text);
}

void message_refuse(struct message *m, int error_code, const char *text)
{
	struct text *t = begin(m, 500, error_code, text);
	json_close(t, '}');
	send_answer(m, "ErrorResponse", t, NULL, false);
}

/* ---- commands */

int message_commands(struct message *m, size_t count)
{
	m->commands = arena_alloc(&m->arena, (count + (count == 0)) * sizeof(*m->commands));
	return m->commands == NULL ? error_set(&m->err, E_NOMEM, "no memory for the request") : E_OK;
}

static void on_back(struct command *cmd)
{
	struct message *m = cmd->owner;
	if (cmd->code < 0 && m->err.code == E_OK)
		m->err = cmd->error;
	if (--m->waiting == 0)
		m->finish(m);
}

void message_submit(struct message *m, struct command *cmd)
{
	if (m->err.code < 0 || io_has_room(m->io, &m->err) < 0)
		return; /* message_submitted tells it */
	cmd->owner = m;
	cmd->remote = m->session->peer;
	m->waiting++;
	io_submit(m->io, cmd, on_back);
}

void message_submitted(struct message *m, void (*finish)(struct message *m))
{
	m->finish = finish;
	if (m->waiting == 0)
		finish(m);
}

/* ---- reading */

const char *message_text(const cJSON *in, const char *name)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(in, name);
	return cJSON_IsString(v) ? v->valuestring : "";
}

bool message_bool(const cJSON *in, const char *name, bool otherwise)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(in, name);
	return cJSON_IsBool(v) ? cJSON_IsTrue(v) : otherwise;
}

int message_int(const cJSON *in, const char *name, int64_t least, int64_t most, int64_t otherwise, int64_t *ret,
		struct error *err)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(in, name);
	if (v == NULL || cJSON_IsNull(v)) {
		*ret = otherwise;
		return E_OK;
	}
	if (!cJSON_IsNumber(v))
		return error_set_what(err, E_INVALID, FAIL_PARAM, "Param '%s' is illegal, it is not a number", name);
	if (!(v->valuedouble >= (double)least && v->valuedouble <= (double)most))
		return error_set_what(err, E_RANGE, FAIL_PARAM, "Param '%s' is illegal, %g is outside %lld..%lld", name,
				      v->valuedouble, (long long)least, (long long)most);
	*ret = (int64_t)v->valuedouble;
	return E_OK;
}

static bool read_body(struct message *m, const struct payload *p)
{
	bool none = p->body.len == 0;
	m->body = json_tree_read(&m->arena, none ? "{}" : p->body.at, none ? 2 : p->body.len, &m->body_heap);
	if (!cJSON_IsObject(m->body))
		return false;
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(m->body, "requestId");
	m->request_id = cJSON_IsString(id) ? id->valuestring : NULL;
	if (p->app.len > 0 && p->app.len <= APP_MAX)
		m->app = arena_memdup0(&m->arena, p->app.at, p->app.len);
	return true;
}

static void dispatch(struct message *m, const struct payload *p)
{
	char text[192];
	m->kind = kind_find(p->type);
	if (!read_body(m, p)) {
		message_refuse(m, CODE_UNREADABLE, "the body is not a JSON object");
	} else if (m->kind == NULL) {
		snprintf(text, sizeof(text), "RequestHandler Not Found: %.*s is not in this release", (int)p->type.len,
			 p->type.at);
		message_refuse(m, CODE_NO_HANDLER, text);
	} else if (!m->session->set_up && (m->kind->flags & BEFORE_SETUP) == 0) {
		message_refuse(m, CODE_NOT_REGISTERED, "Connection is unregistered.");
	} else if ((m->kind->flags & WHEN_STARTING) == 0 && api_not_ready(m->io->api) != NULL) {
		message_refuse(m, CODE_STARTING, "Server is starting, please try later.");
	} else if (m->kind->decode != NULL && (m->err.code = m->kind->decode(m)) < 0) {
		message_fail(m);
	} else {
		m->kind->run(m);
	}
}

void message_received(struct session *s, struct grpc_call *call, const uint8_t *at, size_t len)
{
	struct payload p;
	struct error err;
	if (payload_decode(&p, at, len, &err) < 0) {
		grpc_fail(call, GRPC_INVALID_ARGUMENT, err.text);
		return;
	}
	struct message *m = stock_alloc(&s->io->messages, sizeof(*m));
	if (m == NULL) {
		grpc_fail(call, GRPC_RESOURCE_EXHAUSTED, "no memory for the request");
		return;
	}
	memset(m, 0, offsetof(struct message, first));
	m->io = s->io;
	m->session = s;
	m->call = call;
	m->started_ns = clock_ns();
	m->app = "";
	arena_init(&m->arena, m->first, sizeof(m->first), 0);
	text_init(&m->out);
	s->messages++;
	session_active(s);
	dispatch(m, &p);
}

/* ---- the stream */

static bool type_is(const struct payload *p, const char *type)
{
	return strlen(type) == p->type.len && memcmp(type, p->type.at, p->type.len) == 0;
}

void message_streamed(struct session *s, const uint8_t *at, size_t len)
{
	struct payload p;
	struct error err;
	if (payload_decode(&p, at, len, &err) < 0 || p.body.len == 0)
		return; /* nothing that could be answered */
	_Alignas(16) char first[1024];
	struct arena mem;
	cJSON *heap;
	arena_init(&mem, first, sizeof(first), 0);
	const cJSON *body = json_tree_read(&mem, p.body.at, p.body.len, &heap);
	if (cJSON_IsObject(body)) {
		session_active(s);
		if (type_is(&p, "ConnectionSetupRequest")) {
			internal_set_up(s, body);
		} else if (type_is(&p, "NotifySubscriberResponse") || type_is(&p, "ErrorResponse")) {
			const cJSON *code = cJSON_GetObjectItemCaseSensitive(body, "resultCode");
			push_acked(s, message_text(body, "requestId"), cJSON_IsNumber(code) && code->valuedouble == 200);
		}
	}
	if (heap != NULL)
		cJSON_Delete(heap);
	arena_done(&mem);
}

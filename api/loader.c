/* loader.c - connections of gRPC clients, over HTTP: who is connected, and the request to connect elsewhere (nacos-config
 * 7.5). Connections are seen on every I/O thread. */
#include "api/handlers.h"
#include "api/io.h"
#include "api/machine.h"
#include "api/members.h"
#include "base/clock.h"
#include "base/log.h"
#include <stdio.h>
#include <string.h>

struct loader_query {
	const char *id;		/* of the one that is asked to go; NULL: @left of them */
	struct session_target to;
	_Atomic int64_t left;	/* each I/O thread takes of it */
	_Atomic unsigned asked; /* to go */
};

static struct loader_query *query_new(struct request *r)
{
	struct loader_query *q = arena_zalloc(&r->call->arena, sizeof(*q));
	r->more = q;
	if (q == NULL) {
		error_set(&r->err, E_NOMEM, "no memory for the request");
		reply_failure(r);
	}
	return q;
}

/* ---- who is connected: members of an object, by connection */

static void shape_connection(struct text *t, const struct session *s, int64_t wall_ms, int64_t now_ms)
{
	json_key(t, s->id);
	json_open(t, '{');
	json_kv_bool(t, "traced", false);
	json_key(t, "abilityTable");
	json_raw(t, "{}", 2);
	json_key(t, "metaInfo");
	json_open(t, '{');
	json_kv_str(t, "connectType", "GRPC");
	json_kv_str(t, "clientIp", s->peer);
	json_kv_str(t, "remoteIp", s->peer);
	json_kv_i64(t, "remotePort", s->peer_port);
	json_kv_str(t, "version", s->version);
	json_kv_str(t, "connectionId", s->id);
	json_kv_i64(t, "createTime", wall_ms - (now_ms - s->since_ms));
	json_kv_i64(t, "lastActiveTime", wall_ms - (now_ms - s->active_ms));
	json_kv_str(t, "appName", s->app);
	const char *labels = s->labels != NULL ? s->labels : "{}";
	json_key(t, "labels");
	json_raw(t, labels, strlen(labels));
	json_close(t, '}');
	json_close(t, '}');
}

/* Each thread writes ",member" for each, so that what the threads wrote can be joined. */
static void see_connections(const struct request *r, struct io *io, struct text *to)
{
	int64_t wall_ms = clock_wall_ms(), now_ms = clock_ms();
	struct text one;
	(void)r;
	text_init(&one);
	for (const struct session *s = io->sessions; s != NULL; s = s->next) {
		if (!s->set_up)
			continue;
		text_clear(&one);
		shape_connection(&one, s, wall_ms, now_ms);
		text_char(to, ',');
		text_put(to, one.at, one.len);
		to->failed = to->failed || one.failed;
	}
	text_done(&one);
}

static void connections_seen(struct request *r)
{
	struct text *t = answer_begin(r);
	if (r->out.failed)
		t->failed = true;
	text_char(t, '{');
	if (r->out.len > 0)
		text_put(t, r->out.at + 1, r->out.len - 1);
	json_close(t, '}');
	answer_end(r);
}

void api_loader_current(struct request *r)
{
	request_tour(r, see_connections, connections_seen);
}

/* ---- how many: a cluster of one */

static void write_load(struct request *r, struct text *t)
{
	char number[32];
	snprintf(number, sizeof(number), "%.2f", machine_load() > 0 ? machine_load() : 0.0);
	json_kv_str(t, "load", number);
	double cpu = cpu_meter_read(&r->io->cpu);
	snprintf(number, sizeof(number), "%.3f", cpu > 0 ? cpu : 0.0);
	json_kv_str(t, "cpu", number);
}

static void write_member(struct request *r, struct text *t, int64_t count)
{
	struct member m;
	bool nested = r->route->face == FACE_V2;
	member_self(r->io, &m);
	json_open(t, '{');
	json_kv_str(t, "address", m.address);
	if (nested) {
		char text[24];
		snprintf(text, sizeof(text), "%lld", (long long)count);
		json_key(t, "metric");
		json_open(t, '{');
		json_kv_str(t, "sdkConCount", text);
		json_kv_str(t, "conCount", text);
	} else {
		json_kv_i64(t, "sdkConCount", count);
		json_kv_i64(t, "conCount", count);
	}
	write_load(r, t);
	if (nested)
		json_close(t, '}');
	json_close(t, '}');
}

void api_loader_cluster(struct request *r)
{
	char threshold[24];
	int64_t count = api_session_count(r->io->api);
	struct text *t = answer_begin(r);
	json_open(t, '{');
	json_key(t, "detail");
	json_open(t, '[');
	write_member(r, t, count);
	json_close(t, ']');
	json_kv_i64(t, "memberCount", 1);
	json_kv_i64(t, "metricsCount", 1);
	json_kv_bool(t, "completed", true);
	json_kv_i64(t, "max", count);
	json_kv_i64(t, "min", count);
	json_kv_i64(t, "avg", count);
	snprintf(threshold, sizeof(threshold), "%.1f", (double)count * 1.1);
	json_kv_str(t, "threshold", threshold);
	json_kv_i64(t, "total", count);
	json_close(t, '}');
	answer_end(r);
}

/* ---- asking connections to go elsewhere */

/* "host:port" of the server to go to; blank: any of the client's own choice. */
static int read_target(struct request *r, struct session_target *ret)
{
	const char *address = param_text(&r->params, P_REDIRECT_ADDRESS), *colon;
	char part[SHOWN_MAX];
	*ret = (struct session_target){ "", "" };
	if (address == NULL)
		return E_OK;
	colon = strrchr(address, ':');
	size_t digits = colon != NULL ? strspn(colon + 1, "0123456789") : 0;
	if (colon == NULL || colon == address || digits == 0 || digits > 5 || colon[1 + digits] != '\0' || colon - address > 253)
		return error_set(&r->err, E_INVALID, "Param 'redirectAddress' is illegal, '%s' is not host:port",
				 shown(part, address, strlen(address)));
	char *host = arena_memdup0(&r->call->arena, address, (size_t)(colon - address));
	if (host == NULL)
		return error_set(&r->err, E_NOMEM, "no memory for the request");
	*ret = (struct session_target){ host, colon + 1 };
	return E_OK;
}

static void ask_to_go(const struct request *r, struct io *io, struct text *to)
{
	struct loader_query *q = r->more;
	(void)to;
	for (struct session *s = io->sessions, *next; s != NULL; s = next) {
		next = s->next;
		if (!s->set_up || (q->id != NULL && strcmp(q->id, s->id) != 0))
			continue;
		if (q->id == NULL && atomic_fetch_sub(&q->left, 1) <= 0)
			return;
		session_reset(s, &q->to);
		atomic_fetch_add(&q->asked, 1);
	}
}

/* As the original: a connection that is not there (any more) is no failure. */
static void asked_to_go(struct request *r)
{
	const struct loader_query *q = r->more;
	log_info("grpc", "operator: %u connections asked to go%s%s", atomic_load(&q->asked), q->to.host[0] != '\0' ? " to " : "",
		 q->to.host);
	if (r->route->face == FACE_V2)
		reply_text(r, 200, "success");
	else
		reply_ok(r);
}

void api_loader_reload_client(struct request *r)
{
	struct loader_query *q = query_new(r);
	if (q == NULL)
		return;
	if (param_require(&r->params, P_CONNECTION_ID, &q->id, &r->err) < 0 || read_target(r, &q->to) < 0)
		reply_failure(r);
	else
		request_tour(r, ask_to_go, asked_to_go);
}

/* So many may stay. */
void api_loader_reload_current(struct request *r)
{
	struct loader_query *q = query_new(r);
	int64_t stay = 0;
	const char *given;
	if (q == NULL)
		return;
	if (param_require(&r->params, P_COUNT, &given, &r->err) < 0 ||
	    param_int(&r->params, P_COUNT, 0, INT32_MAX, 0, &stay, &r->err) < 0 || read_target(r, &q->to) < 0) {
		reply_failure(r);
		return;
	}
	atomic_init(&q->left, (int64_t)api_session_count(r->io->api) - stay);
	request_tour(r, ask_to_go, asked_to_go);
}

/* A cluster of one is as balanced as it can be. */
void api_loader_balance(struct request *r)
{
	if (r->route->face == FACE_V2)
		reply_text(r, 200, "Ok");
	else
		reply_ok(r);
}

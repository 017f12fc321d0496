/* io.c - the I/O threads: calls come in, are matched, decoded and answered from views or become commands;
 * the commands of one loop turn leave as one list, right after the poll that read them, and come back by the
 * inbox. A command that is under way keeps its call, so a server is closed only when all have come back. */
#include "api/io.h"

#include "api/config_wait.h"
#include "api/failure_map.h"
#include "api/handlers.h"
#include "api/rpc.h"
#include "api/udp_push.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "config.h"
#include "net/form.h"
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum {
	UNKNOWN_BODY = 1 << 16,	   /* bytes read of a request that gets a 404 */
	SCRATCH_KEPT = 1 << 20,	   /* a larger scratch text is given back */
	DRAIN_MS = 5000,
	MESSAGES_KEPT = 2 << 20, /* bytes of spare ones */
};

const char *api_not_ready(const struct api *a)
{
	return a->conf.not_ready == NULL ? NULL : a->conf.not_ready(a->conf.not_ready_arg);
}

int64_t io_now_ms(struct io *io)
{
	if (io->now_ms == 0)
		io->now_ms = clock_ms();
	return io->now_ms;
}

/* ---- what comes in */

static unsigned method_of(const struct http_call *call)
{
	switch (call->method) {
	case HTTP_GET:
	case HTTP_HEAD:
		return M_GET;
	case HTTP_POST:
		return M_POST;
	case HTTP_PUT:
		return M_PUT;
	case HTTP_DELETE:
		return M_DELETE;
	case HTTP_PATCH:
		return M_PATCH;
	default:
		return 0;
	}
}

/* @buf: ROUTE_PATH_MAX + 1 bytes, used when the path is percent-encoded. */
static const struct route *match(const struct io *io, const struct http_call *call, char *buf, unsigned *allowed)
{
	const char *path = call->path.at;
	size_t len = call->path.len;
	*allowed = 0;
	if (len > ROUTE_PATH_MAX)
		return NULL;
	if (memchr(path, '%', len) != NULL) {
		len = url_decode(buf, path, len, 0);
		path = buf;
	}
	return route_match(io->api->routes, method_of(call), path, len, allowed);
}

static uint64_t body_limit(void *arg, const struct http_call *call)
{
	char buf[ROUTE_PATH_MAX + 1];
	unsigned allowed;
	struct io *io = arg;
	const struct route *row = match(io, call, buf, &allowed);
	uint64_t most = row != NULL ? row->body_max : UNKNOWN_BODY;
	return io->max_body > 0 && most > io->max_body ? io->max_body : most;
}

static void answer_unknown(struct request *r)
{
	const struct route *near[5];
	struct text *t = &r->out;
	size_t count = route_near(r->call->path.at, r->call->path.len, near, 5);
	char path[160];
	shown(path, r->call->path.at, r->call->path.len < 48 ? r->call->path.len : 48);
	json_open(t, '{');
	json_kv_i64(t, "status", 404);
	json_kv_str(t, "error", "Not Found");
	json_key(t, "message");
	char message[256];
	snprintf(message, sizeof(message), "no such api:%s:%s", http_method_str(r->call->method), path);
	json_str(t, message);
	json_key(t, "path");
	json_strn(t, r->call->path.at, r->call->path.len < 512 ? r->call->path.len : 512);
	json_key(t, "near");
	json_open(t, '[');
	for (size_t i = 0; i < count; i++) {
		snprintf(message, sizeof(message), "/nacos%s", near[i]->path);
		json_str(t, near[i]->face == FACE_NATIVE ? near[i]->path : message);
	}
	json_close(t, ']');
	json_close(t, '}');
	reply_json(r, 404, t);
}

static void answer_wrong_method(struct request *r, unsigned allowed)
{
	static const unsigned methods[] = { M_GET, M_POST, M_PUT, M_DELETE, M_PATCH };
	char header[96] = "Allow: ", message[160];
	size_t at = strlen(header);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (allowed & methods[i])
			at += (size_t)snprintf(header + at, sizeof(header) - at, "%s%s", at > 7 ? ", " : "",
					       route_method_name(methods[i]));
	snprintf(message, sizeof(message), "Request method '%s' is not supported here, only %s",
		 http_method_str(r->call->method), header + 7);
	snprintf(header + at, sizeof(header) - at, "\r\n");
	reply_framework(r, 405, message, header);
}

/* Naming answers nothing before the registry is whole (an empty list would be a lie), or while an operator
 * holds it down. Operator and state routes always answer. */
static bool gate_passes(struct request *r)
{
	enum route_class c = r->route->class;
	if (c != CLASS_INSTANCE && c != CLASS_LIST && c != CLASS_BEAT && c != CLASS_SERVICE && c != CLASS_HEALTH &&
	    c != CLASS_NAMESPACE)
		return true;
	const char *missing = api_not_ready(r->io->api);
	char status[16] = "", text[320];
	bool reads = r->call->method == HTTP_GET || r->call->method == HTTP_HEAD;
	if (missing == NULL) {
		rcu_begin();
		const struct switches *s = registry_switches(request_registry(r));
		if (s->status[0] != '\0')
			memcpy(status, s->status, sizeof(status));
		rcu_end();
		status[sizeof(status) - 1] = '\0';
		if (status[0] == '\0' || strcmp(status, "UP") == 0 || (strcmp(status, "READ_ONLY") == 0 && reads) ||
		    (strcmp(status, "WRITE_ONLY") == 0 && !reads))
			return true;
		missing = "overridden by the operator";
	}
	snprintf(text, sizeof(text), "server is %snow, detailed error message: %s",
		 status[0] != '\0' ? status : "STARTING", missing);
	reply_text(r, 503, text);
	return false;
}

static bool decode_params(struct request *r)
{
	struct http_call *call = r->call;
	/* The trimming of v1 naming (nacos-naming 2.1); elsewhere values are taken as they are. */
	params_init(&r->params, &call->arena, request_is_v1(r));
	return params_add(&r->params, call->query.at, call->query.len, &r->err) == E_OK &&
	       params_add(&r->params, call->body.at, call->body.len, &r->err) == E_OK;
}

static void on_request(void *arg, struct http_call *call)
{
	struct io *io = arg;
	char buf[ROUTE_PATH_MAX + 1];
	unsigned allowed;
	struct request *r = arena_alloc(&call->arena, sizeof(*r));
	if (r == NULL) {
		http_reply_text(call, 503, "no memory for the request");
		return;
	}
	r->call = call;
	r->io = io;
	r->started_ns = clock_ns();
	r->more = NULL;
	r->takes_failure = false;
	r->err.code = r->err.what = 0;
	text_init(&r->out);
	r->route = match(io, call, buf, &allowed);
	if (r->route == NULL) {
		if (allowed == 0)
			answer_unknown(r);
		else
			answer_wrong_method(r, allowed);
	} else if (io->doors.operators > 0 && !route_is_for(r->route, (enum door_kind)call->listener_tag)) {
		answer_other_door(r);
	} else if (gate_passes(r)) {
		if (decode_params(r))
			r->route->run(r);
		else
			reply_failure(r);
	}
}

/* ---- commands: out after each poll, back by the inbox */

static void submit_all(struct io *io)
{
	if (io->first != NULL) {
		struct inbox_message *first = io->first, *last = io->last;
		io->first = io->last = NULL;
		metrics_set(io->cell_in_flight, io->in_flight);
		desk_submit_list(io->api->desk, (struct command *)first, (struct command *)last);
	}
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct io *io = prepare->data;
	io->now_ms = 0; /* the poll may take long */
	submit_all(io);
}

static void on_check(uv_check_t *check)
{
	struct io *io = check->data;
	io->now_ms = 0;
	submit_all(io);
	if (io->scratch.cap > SCRATCH_KEPT)
		text_done(&io->scratch);
}

int io_has_room(const struct io *io, struct error *err)
{
	unsigned limit = io->api->conf.inbox;
	if (io->in_flight < limit && desk_depth(io->api->desk) < limit)
		return E_OK;
	return error_set(err, E_LIMIT, "%u commands are under way already, the limit is %u (limits.inbox): try again", limit, limit);
}

void io_submit(struct io *io, struct command *cmd, void (*on_back)(struct command *cmd))
{
	cmd->reply_to = io->inbox;
	cmd->on_done = on_back;
	cmd->message.next = NULL;
	*(io->last != NULL ? &io->last->next : &io->first) = &cmd->message;
	io->last = &cmd->message;
	io->in_flight++;
}

/* Both servers are closed: the rest ends when every command is back. */
static void finish_stop(struct io *io)
{
	if (!io->servers_closed || io->in_flight > 0 || io->finished)
		return;
	io->finished = true;
	assert(io->first == NULL);
	uv_close((uv_handle_t *)&io->check, NULL);
	uv_close((uv_handle_t *)&io->prepare, NULL);
	io_timers_close(io);
	push_close(io);
	if (io->number == 0)
		udp_push_close(io->api->udp);
	fuzzy_close(io);
	loop_watch_close(&io->watch);
	inbox_close(io->inbox, NULL, NULL);
	inbox_close(io->news, NULL, NULL);
	io->inbox = io->news = NULL;
}

static void on_server_closed(void *arg)
{
	struct io *io = arg;
	if (--io->servers > 0)
		return;
	io->servers_closed = true;
	finish_stop(io);
}

static void on_grpc_closed(void *arg)
{
	struct io *io = arg;
	http_server_close(io->server, on_server_closed, io); /* it has its streams back */
	on_server_closed(io);
}

static void on_drained(void *arg)
{
	struct io *io = arg;
	if (--io->servers > 0)
		return;
	io->servers = 2;
	grpc_server_close(io->grpc, on_grpc_closed, io);
}

static void begin_stop(struct io *io)
{
	if (io->draining)
		return;
	io->draining = true;
	config_waits_end(io);
	io->servers = 2;
	/* No ConnectResetRequest: nobody else is there to go to, and one on top of the closed connection has nacos-sdk-go connect
	 * twice; when its second connection breaks too, its redo and its reconnecting wait for each other for good. */
	http2_server_flush(grpc_server_http2(io->grpc)); /* ahead of the GOAWAY, behind which some read no more */
	http2_server_drain(grpc_server_http2(io->grpc), DRAIN_MS, on_drained, io);
	http_server_drain(io->server, DRAIN_MS, on_drained, io);
}

static void on_inbox(void *arg, struct inbox_message *first, unsigned count)
{
	struct io *io = arg;
	bool stop = false;
	unsigned commands = 0;
	(void)count;
	for (struct inbox_message *m = first, *next; m != NULL; m = next) {
		next = m->next;
		if (m == &io->stop) {
			stop = true;
			continue;
		}
		struct command *cmd = (struct command *)m;
		commands++;
		cmd->on_done(cmd);
	}
	io->in_flight -= commands;
	metrics_set(io->cell_in_flight, io->in_flight);
	if (stop)
		begin_stop(io);
	finish_stop(io);
}

/* News of doors from the control thread. An address that cannot be served was bound all the same: it is told of here,
 * since the one who asked for it has gone on. */
static void on_news(void *arg, struct inbox_message *first, unsigned count)
{
	struct io *io = arg;
	(void)count;
	for (struct inbox_message *m = first, *next; m != NULL; m = next) {
		struct error err;
		next = m->next;
		if (io->draining)
			door_news_discard((struct door_news *)m);
		else if (io_take_doors(io, (struct door_news *)m, &err) < 0)
			log_error("http", "an address is not served: %s", err.text);
	}
}

/* ---- the thread */

static void io_parts_free(struct io *io)
{
	sessions_free(io);
	stock_done(&io->messages);
	push_free(io);
	if (io->number == 0)
		udp_push_free(io->api->udp);
	fuzzy_free(io);
	io_timers_free(io);
	encodings_done(&io->encodings);
	text_done(&io->scratch);
}

static void io_run(void *arg)
{
	struct io *io = arg;
	char name[16];
	snprintf(name, sizeof(name), "http-%u", io->number % 1000);
	thread_begin(name, THREAD_PLAIN);
	rcu_thread_start();
	metrics_thread_start();
	uv_run(&io->loop, UV_RUN_DEFAULT);
	io_parts_free(io);
	metrics_thread_stop();
	rcu_thread_stop();
	atomic_fetch_sub(&io->api->running, 1);
	uv_async_send(&io->api->stopped); /* it is closed only after every thread was joined */
}

static void declare_metrics(struct io *io)
{
	char labels[96];
	metrics_set(metrics_gauge("build_info", "Always 1; which build this is.",
				  "version=\"" PACKAGE_VERSION "\""),
		    1);
	for (unsigned c = 0; c < ROUTE_CLASSES; c++) {
		for (unsigned s = 1; s < STATUS_CLASSES; s++) {
			snprintf(labels, sizeof(labels), "class=\"%s\",status=\"%uxx\"",
				 route_class_name((enum route_class)c), s);
			io->requests[c][s] =
			    metrics_counter("http_requests_total", "HTTP requests answered, by class of route.", labels);
		}
		io->requests[c][0] = io->requests[c][5];
		snprintf(labels, sizeof(labels), "class=\"%s\"", route_class_name((enum route_class)c));
		io->durations[c] = metrics_histogram("http_request_duration_seconds",
						     "From the whole request to its answer, by class of route.", labels);
	}
	io->cell_hits = metrics_counter("http_encodings_total", "Lists answered, by whether they were encoded already.",
					"found=\"yes\"");
	io->cell_misses = metrics_counter("http_encodings_total",
					  "Lists answered, by whether they were encoded already.", "found=\"no\"");
	snprintf(labels, sizeof(labels), "thread=\"%u\"", io->number);
	io->cell_in_flight = metrics_gauge("http_commands_in_flight",
					   "Commands of HTTP requests that wait for the registry.", labels);
}

struct http_server_conf io_http_conf(struct io *io, const struct api_conf *c)
{
	return (struct http_server_conf){
		.head_max = c->max_header,
		.url_max = c->max_header,
		.body_max = c->max_body,
		.idle_ms = (uint32_t)c->idle_ms,
		.head_ms = (uint32_t)c->header_ms,
		.write_ms = (uint32_t)c->write_ms,
		.stream_ms = (uint32_t)io->api->conf.zone_text_ms, /* as of the start, like that of transfers */
		.out_max = c->max_output,
		.conns_max = c->connections,
		.server_name = NULL,
		.on_request = on_request,
		.on_body_limit = body_limit,
		.on_http2 = rpc_adopt,
		.arg = io,
	};
}

static int open_server(struct io *io, struct error *err)
{
	struct http_server_conf conf = io_http_conf(io, &io->api->conf);
	return http_server_open(&io->server, &io->loop, &conf, err);
}

/* Everything of one thread but the thread. On failure what is open is left to close_unstarted(). */
static int io_open(struct io *io, struct api *a, unsigned number, struct error *err)
{
	io->api = a;
	io->number = number;
	io->conf = a->conf;
	text_init(&io->scratch);
	cpu_meter_start(&io->cpu);
	stock_init(&io->messages, MESSAGES_KEPT);
	encodings_init(&io->encodings, a->conf.encoding_cache / a->io_count);
	if (uv_loop_init(&io->loop) < 0) {
		io->api = NULL;
		return error_set(err, E_NOMEM, "no event loop for HTTP");
	}
	loop_watch_open(&io->watch, &io->loop, "http");
	uv_check_init(&io->loop, &io->check);
	io->check.data = io;
	uv_check_start(&io->check, on_check);
	uv_unref((uv_handle_t *)&io->check);
	uv_prepare_init(&io->loop, &io->prepare);
	io->prepare.data = io;
	uv_prepare_start(&io->prepare, on_prepare);
	uv_unref((uv_handle_t *)&io->prepare);
	int rc = inbox_open(&io->inbox, &io->loop, on_inbox, io);
	if (rc == E_OK)
		rc = inbox_open(&io->news, &io->loop, on_news, io);
	if (rc < 0)
		return error_set(err, rc, "no inbox for HTTP");
	declare_metrics(io);
	if (io_timers_open(io) < 0 || push_open(io) < 0 || fuzzy_open(io) < 0)
		return error_set(err, E_NOMEM, "no memory for gRPC");
	rc = rpc_open(io, err);
	return rc < 0 ? rc : open_server(io, err);
}

/* On the caller's thread, before io->thread ever ran. */
static void close_unstarted(struct io *io)
{
	if (io->api == NULL)
		return;
	if (io->grpc != NULL)
		grpc_server_close(io->grpc, NULL, NULL);
	if (io->server != NULL)
		http_server_close(io->server, NULL, NULL);
	io_timers_close(io);
	push_close(io);
	if (io->number == 0)
		udp_push_close(io->api->udp);
	fuzzy_close(io);
	if (io->inbox != NULL)
		inbox_close(io->inbox, NULL, NULL);
	if (io->news != NULL)
		inbox_close(io->news, NULL, NULL);
	uv_close((uv_handle_t *)&io->check, NULL);
	uv_close((uv_handle_t *)&io->prepare, NULL);
	loop_watch_close(&io->watch);
	uv_run(&io->loop, UV_RUN_DEFAULT);
	uv_loop_close(&io->loop);
	io_parts_free(io);
}

static void api_free(struct api *a)
{
	route_map_free(a->routes);
	feed_done(&a->feed);
	mem_free(a->counts);
	mem_free(a->advertise);
	mem_free(a->ios);
	mem_free(a);
}

static int api_new(struct api **ret, struct desk *desk, const struct api_conf *conf, struct error *err)
{
	struct api *a = mem_zalloc(1, sizeof(*a));
	if (a == NULL)
		return error_set(err, E_NOMEM, "no memory for HTTP");
	a->desk = desk;
	a->registry = desk_registry(desk);
	a->conf = *conf;
	a->conf.listens = a->conf.operator_listens = NULL;
	a->io_count = conf->io_threads > 0 ? conf->io_threads : 1;
	a->ios = mem_zalloc(a->io_count, sizeof(*a->ios));
	a->conf.grpc_listens = NULL;
	a->conf.advertise = NULL;
	a->advertise = conf->advertise != NULL ? mem_strdup(conf->advertise) : NULL;
	a->started_ms = clock_ms();
	feed_init(&a->feed);
	if (a->ios == NULL || (conf->advertise != NULL && a->advertise == NULL)) {
		api_free(a);
		return error_set(err, E_NOMEM, "no memory for HTTP");
	}
	a->counts = api_counts_new();
	int rc = a->counts == NULL ? E_NOMEM : route_map_new(&a->routes);
	if (rc < 0) {
		api_free(a);
		return error_set(err, rc, "the table of routes cannot be indexed");
	}
	*ret = a;
	return E_OK;
}

int api_start(struct api **ret, struct desk *desk, const struct api_conf *conf, struct error *err)
{
	struct api *a = NULL;
	int rc = api_new(&a, desk, conf, err);
	if (rc < 0)
		return rc;
	unsigned opened = 0;
	struct api_change *doors = NULL;
	while (rc == E_OK && opened < a->io_count)
		rc = io_open(&a->ios[opened], a, opened, err), opened++;
	if (rc == E_OK)
		rc = api_prepare(&doors, a, conf, err);
	if (rc == E_OK)
		api_commit(a, doors);
	if (rc == E_OK)
		rc = udp_push_open(a, &a->ios[0], err);
	a->conf.udp.listens = NULL;
	if (rc < 0) {
		while (opened > 0)
			close_unstarted(&a->ios[--opened]);
		api_free(a);
		return rc;
	}
	struct registry_watcher watcher = feed_watcher(&a->feed);
	desk_watch(desk, &watcher);
	for (unsigned i = 0; i < a->io_count; i++) {
		atomic_fetch_add(&a->running, 1);
		if (uv_thread_create(&a->ios[i].thread, io_run, &a->ios[i]) < 0)
			atomic_fetch_sub(&a->running, 1); /* its sockets serve nobody; the others do */
		else
			a->ios[i].thread_started = true;
	}
	*ret = a;
	return E_OK;
}

/* ---- the end, on the control thread */

static void on_async_closed(uv_handle_t *handle)
{
	struct api *a = handle->data;
	void (*on_stopped)(void *) = a->on_stopped;
	void *arg = a->stopped_arg;
	for (unsigned i = 0; i < a->io_count; i++)
		uv_loop_close(&a->ios[i].loop);
	desk_unwatch(a->desk, &a->feed);
	api_free(a);
	on_stopped(arg);
}

static void on_thread_ended(uv_async_t *async)
{
	struct api *a = async->data;
	if (atomic_load(&a->running) > 0 || a->on_stopped == NULL || uv_is_closing((uv_handle_t *)async))
		return;
	for (unsigned i = 0; i < a->io_count; i++)
		if (a->ios[i].thread_started)
			uv_thread_join(&a->ios[i].thread); /* it has nothing left to do */
	uv_close((uv_handle_t *)async, on_async_closed);
}

void api_stop(struct api *a, uv_loop_t *control, void (*on_stopped)(void *arg), void *arg)
{
	a->feed.stopped = true; /* before the threads end: nobody would receive news */
	a->on_stopped = on_stopped;
	a->stopped_arg = arg;
	atomic_store(&a->stopping, true);
	uv_async_init(control, &a->stopped, on_thread_ended);
	a->stopped.data = a;
	for (unsigned i = 0; i < a->io_count; i++) {
		struct io *io = &a->ios[i];
		if (io->thread_started)
			inbox_post(io->inbox, &io->stop);
		else
			close_unstarted(io);
	}
	uv_async_send(&a->stopped);
}

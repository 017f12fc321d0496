/* rpc.c - see rpc.h: what the gRPC server tells goes to sessions and messages. */
#include "api/rpc.h"

#include "api/io.h"
#include "api/message.h"
#include "base/metrics.h"

enum { METHOD_REQUEST, METHOD_STREAM };

static const struct grpc_method methods[] = {
	[METHOD_REQUEST] = { "/Request/request", false },
	[METHOD_STREAM] = { "/BiRequestStream/requestBiStream", true },
};

static int on_conn(void *arg, struct grpc_conn *conn)
{
	struct io *io = arg;
	const struct api_conf *conf = &io->conf;
	if (conf->grpc_connections > 0 && api_session_count(io->api) >= conf->grpc_connections) {
		metrics_add(io->cell_refused, 1); /* those that came by the HTTP port count as well */
		grpc_conn_refuse(conn, "no place for one more connection: grpc.connections is reached");
		return E_LIMIT;
	}
	return session_open(io, conn);
}

static void on_conn_gone(void *arg, struct grpc_conn *conn)
{
	struct session *s = grpc_conn_user(conn);
	(void)arg;
	if (s != NULL)
		session_conn_gone(s);
}

static void on_conn_drained(void *arg, struct grpc_conn *conn)
{
	struct session *s = grpc_conn_user(conn);
	(void)arg;
	if (s == NULL)
		return;
	push_session_drained(s);
	fuzzy_session_drained(s);
}

static struct session *session_of(struct grpc_call *call)
{
	return grpc_conn_user(grpc_call_conn(call));
}

static void on_open(void *arg, struct grpc_call *call, unsigned method)
{
	struct session *s = session_of(call);
	(void)arg;
	(void)method;
	if (s == NULL || s->stream != NULL)
		grpc_fail(call, GRPC_INVALID_ARGUMENT, "this connection has a stream already");
	else
		s->stream = call;
}

static void on_message(void *arg, struct grpc_call *call, unsigned method, const uint8_t *at, size_t len)
{
	struct session *s = session_of(call);
	(void)arg;
	if (method == METHOD_REQUEST)
		message_received(s, call, at, len);
	else if (s->stream == call)
		message_streamed(s, at, len);
}

static void on_gone(void *arg, struct grpc_call *call)
{
	struct session *s = session_of(call);
	(void)arg;
	if (s != NULL && s->stream == call)
		session_stream_gone(s);
}

static void declare_metrics(struct io *io)
{
	io->cell_sessions = metrics_gauge("grpc_connections", "Open gRPC connections.", NULL);
	io->cell_evicted = metrics_counter("grpc_connections_evicted_total",
					   "gRPC connections closed since the client did not answer.", NULL);
	io->cell_refused = metrics_counter("grpc_connections_refused_total",
					   "gRPC connections refused over a limit.", NULL);
	io->cell_rpc_ok = metrics_counter("grpc_requests_total", "Requests of gRPC clients answered.", "result=\"ok\"");
	io->cell_rpc_failed = metrics_counter("grpc_requests_total", "Requests of gRPC clients answered.",
					      "result=\"failed\"");
	io->rpc_duration = metrics_histogram("grpc_request_duration_seconds",
					     "From the whole gRPC request to its answer.", NULL);
}

int rpc_open(struct io *io, struct error *err)
{
	const struct api_conf *c = &io->api->conf;
	struct grpc_server_conf conf = {
		.methods = methods,
		.method_count = sizeof(methods) / sizeof(methods[0]),
		.message_max = c->grpc_max_message,
		.http2 = { .requests_max = c->grpc_streams, .write_ms = (uint32_t)c->write_ms },
		.on_conn = on_conn,
		.on_conn_gone = on_conn_gone,
		.on_conn_drained = on_conn_drained,
		.on_open = on_open,
		.on_message = on_message,
		.on_gone = on_gone,
		.arg = io,
	};
	declare_metrics(io);
	return grpc_server_open(&io->grpc, &io->loop, &conf, err);
}

void rpc_set_limits(struct io *io, const struct api_conf *c)
{
	io->conf.grpc_connections = c->grpc_connections;
	io->conf.grpc_connections_per_address = c->grpc_connections_per_address;
	io->conf.connection_idle_ms = c->connection_idle_ms;
	io->conf.connection_probe_ms = c->connection_probe_ms;
	io->conf.reconnect_grace_ms = c->reconnect_grace_ms;
	io->conf.reconnect_probe = c->reconnect_probe;
	io->conf.push_merge_ms = c->push_merge_ms;
	grpc_server_set_limits(io->grpc, c->grpc_max_message, c->grpc_streams);
}

int rpc_adopt(void *arg, struct stream *stream, int listener_tag, const char *at, size_t len)
{
	struct io *io = arg;
	(void)listener_tag;
	return http2_adopt(grpc_server_http2(io->grpc), stream, at, len, http_stream_return);
}

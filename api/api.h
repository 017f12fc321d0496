/* api.h - the HTTP and gRPC faces: routes and messages as table rows, Nacos v1, v2 and v3 shapes, native endpoints,
 * metrics. Runs on an I/O loop of its own thread; commands go to the desk, lists are read from views. Knows neither storage nor DNS wire. */
#ifndef API_API_H
#define API_API_H

#include "registry/desk.h"
#include <sys/socket.h>

struct api;

struct api_conf {
	const struct sockaddr_storage *listens; /* copied; port 0: a free one */
	size_t listen_count;
	unsigned io_threads; /* 1 */
	/* Peers that may connect; NULL: everybody (loopback listeners). Held against the socket's peer. */
	bool (*allowed)(void *arg, const struct sockaddr *peer);
	void *allowed_arg;
	uint32_t max_header, max_body;	/* bytes: 64 KiB, 1 MiB */
	int64_t idle_ms, header_ms;	/* 60000, 10000 */
	unsigned connections, connections_per_address;
	/* gRPC: at these addresses, or, if there are none, at those of HTTP with 1000 added to the port. */
	const struct sockaddr_storage *grpc_listens; /* copied */
	size_t grpc_listen_count;
	unsigned grpc_connections, grpc_connections_per_address;
	uint32_t grpc_max_message, grpc_streams; /* bytes; open calls of one connection */
	int64_t connection_idle_ms, connection_probe_ms; /* silent so long: asked; unanswered so long: closed */
	int64_t reconnect_grace_ms, push_merge_ms;
	size_t encoding_cache; /* bytes, 64 MiB */
	/* What is still missing before DNS and HTTP serve; NULL: ready. Any thread. */
	const char *(*not_ready)(void *arg);
	void *not_ready_arg;
};

/* E_CONFLICT: address in use; E_IO otherwise, with the address in the text. */
int api_start(struct api **ret, struct desk *desk, const struct api_conf *conf, struct error *err);
size_t api_addresses(const struct api *a, struct sockaddr_storage *ret, size_t max);
size_t api_grpc_addresses(const struct api *a, struct sockaddr_storage *ret, size_t max);
/* Stops accepting, answers what is under way, waits for the threads and frees. Call before desk_close;
 * the control loop must still run (the answers come from it): @on_stopped comes from @control. */
void api_stop(struct api *a, uv_loop_t *control, void (*on_stopped)(void *arg), void *arg);

#endif

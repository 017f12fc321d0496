/* api.h - the HTTP face: routes as table rows, Nacos v1, v2 and v3 shapes, native endpoints, metrics. Runs on an
 * I/O loop of its own thread; commands go to the desk, lists are read from views. Knows neither storage nor DNS wire. */
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
	size_t encoding_cache; /* bytes, 64 MiB */
	/* What is still missing before DNS and HTTP serve; NULL: ready. Any thread. */
	const char *(*not_ready)(void *arg);
	void *not_ready_arg;
};

/* E_CONFLICT: address in use; E_IO otherwise, with the address in the text. */
int api_start(struct api **ret, struct desk *desk, const struct api_conf *conf, struct error *err);
size_t api_addresses(const struct api *a, struct sockaddr_storage *ret, size_t max);
/* Stops accepting, answers what is under way, waits for the threads and frees. Call before desk_close;
 * the control loop must still run (the answers come from it): @on_stopped comes from @control. */
void api_stop(struct api *a, uv_loop_t *control, void (*on_stopped)(void *arg), void *arg);

#endif

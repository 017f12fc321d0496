/* api.h - the HTTP and gRPC faces: routes and messages as table rows, Nacos v1, v2 and v3 shapes, native endpoints,
 * metrics. Runs on an I/O loop of its own thread; commands go to the desk, lists are read from views. Knows neither storage nor DNS wire. */
#ifndef API_API_H
#define API_API_H

#include "base/text.h"
#include "net/http1.h"
#include "registry/desk.h"
#include "registry/explain.h"
#include "registry/knock.h"
#include <stdatomic.h>
#include <sys/socket.h>

struct api;

struct api_conf {
	const struct sockaddr_storage *listens; /* copied; port 0: a free one */
	size_t listen_count;
	/* Operator routes, metrics and health are answered here and no longer above; none: all is answered above. */
	const struct sockaddr_storage *operator_listens;
	size_t operator_count;
	const char *advertise; /* host or host:port for lists of servers, copied; NULL: where clients have connected to */
	unsigned io_threads; /* 1 */
	/* Peers that may connect; NULL: everybody (loopback listeners). Held against the socket's peer. */
	bool (*allowed)(void *arg, const struct sockaddr *peer);
	void *allowed_arg;
	uint32_t max_header, max_body;	/* bytes: 64 KiB, 1 MiB */
	int64_t idle_ms, header_ms, write_ms; /* 60000, 10000, 30000 */
	uint64_t max_output; /* bytes that wait for one client: 64 MiB */
	unsigned connections, connections_per_address;
	unsigned inbox;	       /* commands under way, above which a request is refused: 100,000 */
	/* gRPC: at these addresses, or, if there are none, at those of HTTP with 1000 added to the port. */
	const struct sockaddr_storage *grpc_listens; /* copied */
	size_t grpc_listen_count;
	unsigned grpc_connections, grpc_connections_per_address;
	uint32_t grpc_max_message, grpc_streams; /* bytes; open calls of one connection */
	int64_t connection_idle_ms, connection_probe_ms; /* silent so long: asked; unanswered so long: closed */
	int64_t reconnect_grace_ms, push_merge_ms;
	bool reconnect_probe; /* ask who still listens, by @knocker, before waiting that long */
	struct udp_push_conf {
		/* Where pushes to 1.x clients leave from; none: the hosts of HTTP, one port above. */
		const struct sockaddr_storage *listens; /* copied */
		size_t listen_count;
		unsigned subscriptions, subscriptions_per_address; /* limits; subscriptions 0: there is no UDP push */
		int64_t ack_ms, expiry_ms; /* unacknowledged so long: sent again; not polled so long: ended */
		/* May a client name this address though its request came from another one? NULL: none may. Any thread. */
		bool (*may_name)(void *arg, const struct sockaddr *named);
		void *may_name_arg;
	} udp;
	size_t encoding_cache; /* bytes, 64 MiB */
	/* What is still missing before DNS and HTTP serve; NULL: ready. Any thread. */
	const char *(*not_ready)(void *arg);
	void *not_ready_arg;
	/* Writes a backup and tells of it in @ret, as JSON; on a thread of its own, ends early when *@stop is set. NULL:
	 * nobody said where. */
	int (*backup)(void *arg, const atomic_bool *stop, struct text *ret, struct error *err);
	void *backup_arg;
	/* The zones as JSON, at once; and one of them as the text of a zone file: E_NOTFOUND, E_NOMEM, or @on_done is called
	 * once, on the control thread, with the text or with what is wrong. What there is more of it (see net/http1.h), and its
	 * end, on any one thread. NULL: there are none. Set before the start. */
	void (*zone_list)(void *arg, struct text *ret);
	int (*zone_text)(void *arg, const char *name, void (*on_done)(void *done_arg, int code, void *text), void *done_arg,
			 struct error *err);
	http_more_fn *zone_text_more;
	int64_t zone_text_ms; /* 600000: a client must have it all within */
	void (*zone_text_end)(void *text);
	void *zone_arg;
	struct explainer explainer; /* without functions: nothing is explained */
	struct knocker knocker;	    /* without functions: nobody knocks */
};

/* E_CONFLICT: address in use; E_IO otherwise, with the address in the text. */
int api_start(struct api **ret, struct desk *desk, const struct api_conf *conf, struct error *err);
/* Bound addresses, for everybody or (@operators) for operators only. */
size_t api_addresses(const struct api *a, bool operators, struct sockaddr_storage *ret, size_t max);
size_t api_grpc_addresses(const struct api *a, struct sockaddr_storage *ret, size_t max);
size_t api_udp_addresses(const struct api *a, struct sockaddr_storage *ret, size_t max);
/* A reload: new addresses are bound here, so that one that cannot be had leaves everything as it was (E_CONFLICT, E_IO).
 * The commit hands them to the I/O threads, with the limits and time-outs of @conf; what was served before goes on, and
 * connections of addresses that are gone live on. Threads, cache and callbacks of @conf are not looked at. */
struct api_change;
int api_prepare(struct api_change **ret, struct api *a, const struct api_conf *conf, struct error *err);
void api_commit(struct api *a, struct api_change *change); /* taken */
void api_abandon(struct api_change *change);		   /* taken; NULL is fine */
/* Stops accepting, answers what is under way, waits for the threads and frees. Call before desk_close;
 * the control loop must still run (the answers come from it): @on_stopped comes from @control. */
void api_stop(struct api *a, uv_loop_t *control, void (*on_stopped)(void *arg), void *arg);

#endif

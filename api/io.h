/* io.h - one I/O thread: a loop, an HTTP and a gRPC server, an inbox for commands that come back, the list of commands
 * of this turn, the cache of encoded lists. Everything here belongs to that thread unless it says so. */
#ifndef API_IO_H
#define API_IO_H

#include "api/api.h"
#include "api/counts.h"
#include "api/doors.h"
#include "api/encodings.h"
#include "api/feed.h"
#include "api/fuzzy.h"
#include "api/io_timer.h"
#include "api/machine.h"
#include "api/push.h"
#include "api/request.h"
#include "base/handle.h"
#include "base/loop_watch.h"
#include "base/stock.h"
#include "net/grpc.h"

struct api {
	struct desk *desk;
	struct registry *registry;
	struct api_conf conf; /* without the listens */
	char *advertise;
	struct feed feed; /* the control thread's */
	struct doors doors; /* as bound; the control thread's */
	struct route_map *routes;
	struct api_counts *counts;
	struct io *ios;
	unsigned io_count;
	int64_t started_ms; /* clock_ms(); who was restored was restored before */
	struct udp_push *udp; /* the first I/O thread's; NULL: there is none */
	/* stopping: on the control thread */
	uv_async_t stopped; /* an I/O thread sends it when it is about to end */
	_Atomic unsigned running;
	atomic_bool stopping;	/* any thread may look */
	atomic_bool backing_up; /* of the I/O threads: one backup at a time */
	_Atomic unsigned zone_texts; /* and so many texts of zones, each from its asking to its last piece */
	void (*on_stopped)(void *arg);
	void *stopped_arg;
	bool stopped_open;
};

struct io {
	struct api *api;
	unsigned number;
	uv_thread_t thread;
	bool thread_started;
	uv_loop_t loop;
	struct loop_watch watch;
	uv_check_t check; /* after each poll: this turn's commands leave together */
	uv_prepare_t prepare; /* before each poll: those of timers */
	struct http_server *server;
	struct grpc_server *grpc;
	unsigned servers; /* of these two, not closed or not drained yet */
	bool servers_closed, finished;
	struct doors doors; /* this thread's copy */
	struct api_conf conf; /* this thread's copy: the numbers of gRPC and pushes, which a reload changes */
	struct listener *listeners[DOORS_MAX]; /* by door; NULL: could not be opened */
	uint64_t max_body;
	struct inbox *inbox, *news; /* commands that come back; struct door_news */
	struct inbox_message stop; /* posted by api_stop */
	struct inbox_message *first, *last; /* commands of this turn */
	struct text scratch;
	struct encodings encodings;
	struct cpu_meter cpu;
	struct config_wait *config_waits;
	bool draining;
	int64_t now_ms; /* clock_ms() of this turn; 0: not asked yet */
	unsigned requests[ROUTE_CLASSES][STATUS_CLASSES], durations[ROUTE_CLASSES]; /* metric cells */
	unsigned cell_hits, cell_misses, cell_in_flight;
	/* gRPC */
	struct session *sessions, *graced; /* connected; closed */
	_Atomic unsigned session_count; /* connected; any thread may look */
	struct stock messages; /* gRPC's requests */
	uint64_t publishers;
	struct wheel *wheel;
	uv_timer_t timer;
	int64_t timer_due_ms;
	struct inbox *topic_news; /* from the feed */
	struct map topics;
	struct handles push_handles;
	struct text encode;
	struct push_cells push;
	struct inbox *fuzzy_news; /* struct fuzzy_news, from the feed */
	struct handles fuzzy_handles;
	struct fuzzy_watch *fuzzy_watches; /* all that are not freed */
	unsigned cell_sessions, cell_evicted, cell_refused, cell_rpc_ok, cell_rpc_failed, rpc_duration;
	unsigned in_flight; /* commands that the desk has, or will have at the end of this turn */
};

/* HTTP's part of @conf for one thread. */
struct http_server_conf io_http_conf(struct io *io, const struct api_conf *conf);
/* What is missing before everything serves, NULL: nothing. Any thread. */
const char *api_not_ready(const struct api *a);
int64_t io_now_ms(struct io *io);
/* E_LIMIT: as many commands are under way as limits.inbox allows. */
int io_has_room(const struct io *io, struct error *err);
/* To the desk at the end of this loop turn; @on_back receives it on this thread. cmd->owner is the caller's. */
void io_submit(struct io *io, struct command *cmd, void (*on_back)(struct command *cmd));

#endif

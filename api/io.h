/* io.h - one I/O thread: a loop, an HTTP server, an inbox for commands that come back, the list of commands
 * of this turn, the cache of encoded lists. Everything here belongs to that thread unless it says so. */
#ifndef API_IO_H
#define API_IO_H

#include "api/api.h"
#include "api/encodings.h"
#include "api/request.h"

struct api {
	struct desk *desk;
	struct registry *registry;
	struct api_conf conf; /* without the listens */
	struct sockaddr_storage *addresses;
	size_t address_count;
	struct route_map *routes;
	struct io *ios;
	unsigned io_count;
	/* stopping: on the control thread */
	uv_async_t stopped; /* an I/O thread sends it when it is about to end */
	_Atomic unsigned running;
	void (*on_stopped)(void *arg);
	void *stopped_arg;
	bool stopped_open;
};

enum { STATUS_CLASSES = 6 }; /* 0xx is never used */

struct io {
	struct api *api;
	unsigned number;
	uv_thread_t thread;
	bool thread_started;
	uv_loop_t loop;
	uv_check_t check; /* after each poll: this turn's commands leave together */
	struct http_server *server;
	struct inbox *inbox;
	struct inbox_message stop; /* posted by api_stop */
	struct inbox_message *first, *last; /* commands of this turn */
	struct text scratch;
	struct encodings encodings;
	bool draining;
	int64_t now_ms; /* clock_ms() of this turn; 0: not asked yet */
	unsigned requests[ROUTE_CLASSES][STATUS_CLASSES], durations[ROUTE_CLASSES]; /* metric cells */
	unsigned cell_hits, cell_misses, cell_in_flight;
	unsigned in_flight; /* commands that the desk has, or will have at the end of this turn */
};

/* What is missing before everything serves, NULL: nothing. Any thread. */
const char *api_not_ready(const struct api *a);
int64_t io_now_ms(struct io *io);
/* To the desk at the end of this loop turn; @on_back receives it on this thread. cmd->owner is the caller's. */
void io_submit(struct io *io, struct command *cmd, void (*on_back)(struct command *cmd));

#endif

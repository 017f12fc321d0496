/* worker.h - one DNS thread: a loop, its UDP sockets and its TCP listeners. Made and ended on the control thread. */
#ifndef DNSD_WORKER_H
#define DNSD_WORKER_H

#include "base/inbox.h"
#include "dnsd/counters.h"
#include "dnsd/dns_server.h"
#include "dnsd/sockets.h"

struct worker;

/* What one listen address gives a worker. */
struct worker_socket {
	struct sockaddr_storage addr;
	struct dns_place place; /* as it was set */
	struct socket_pair pair;
	bool secure; /* TLS, and no UDP */
};

/* Takes the descriptors of @sockets, on failure too, and starts the thread, named dns-@number. The rest is
 * borrowed until worker_free(). Errors: E_NOMEM, E_IO. */
int worker_start(struct worker **ret, unsigned number, const struct dns_server_conf *conf,
		 const struct dns_counters *counters, const struct worker_socket *sockets, size_t count,
		 struct error *err);
/* The sockets from now on, for one worker. Made on the control thread; the worker frees it. */
struct worker_news {
	struct inbox_message message;
	bool forwards; /* from now on, some may ask for names outside of the zones */
	size_t count;
	struct {
		int kept; /* which one it was before; -1: @socket is new, and taken */
		struct worker_socket socket;
	} at[];
};
void worker_tell(struct worker *w, struct worker_news *news); /* taken */
void worker_stop(struct worker *w); /* asks; worker_free() waits */
void worker_free(struct worker *w);

#endif

/* server_metrics.h - the metrics of the whole: the process, the registry's counts, what the store does, and whether
 * all is well. Most are read when somebody asks. Control thread; reading is done by any. */
#ifndef MUSTERD_SERVER_METRICS_H
#define MUSTERD_SERVER_METRICS_H

#include "registry/desk.h"
#include <uv.h>

struct server_metrics {
	struct desk *desk;
	const char *(*missing)(void *arg); /* NULL: ready */
	void *arg;
	_Atomic int store_state; /* enum store_state */
	unsigned what[CHANGE_WHATS], flips[2][CAUSE_CLEAN + 1]; /* metric cells */
};

/* @m lives as long as metrics are printed. @missing: any thread. */
void server_metrics_declare(struct server_metrics *m, struct desk *desk, const char *(*missing)(void *arg), void *arg);
struct registry_watcher server_metrics_watcher(struct server_metrics *m);

#endif

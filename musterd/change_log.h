/* change_log.h - the file that has one line of JSON for each effective change of the registry. The control thread
 * packs a change and goes on; a thread of libuv's pool formats, writes and rotates. Lines are limited to a rate,
 * what is over it is counted and told in a line of its own; what operators change is always written. Control thread. */
#ifndef MUSTERD_CHANGE_LOG_H
#define MUSTERD_CHANGE_LOG_H

#include "base/error.h"
#include "registry/registry.h"
#include <uv.h>

struct change_log;

struct change_log_conf {
	const char *path;  /* borrowed; NULL: no change log */
	unsigned rate;	   /* lines of instances a second; 0: all */
	size_t size;	   /* bytes of a file before it is rotated */
	unsigned files;	   /* kept: the one written and the older PATH.1, PATH.2... */
};

/* Tries the file at once, so that a wrong path is told at the start; the server serves nevertheless, and the file
 * is tried again with every change. E_NOMEM. */
int change_log_open(struct change_log **ret, uv_loop_t *loop, const struct change_log_conf *conf, struct error *err);
struct registry_watcher change_log_watcher(struct change_log *log);
/* Writes what is left; @on_closed runs later, once, and by then the log is freed. No change may come after. */
void change_log_close(struct change_log *log, void (*on_closed)(void *arg), void *arg);

#endif

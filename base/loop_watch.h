/* loop_watch.h - whether an event loop comes round in time: a timer that measures how late it is. A turn of the loop
 * that takes long, or a process that stands still, makes it late. On the loop's thread. */
#ifndef BASE_LOOP_WATCH_H
#define BASE_LOOP_WATCH_H

#include <stdint.h>
#include <uv.h>

enum { LOOP_WATCH_MS = 250, LOOP_STALL_MS = 100 };

struct loop_watch {
	uv_timer_t timer;
	uint64_t due_ns;
	unsigned lag, stalls; /* metric cells */
};

/* Does not keep the loop alive. @name: the label, a word; loops of one name are counted together. */
void loop_watch_open(struct loop_watch *w, uv_loop_t *loop, const char *name);
void loop_watch_close(struct loop_watch *w);

#endif

/* io_timer.h - the timers of one I/O thread: many, cheap, on one wheel. That thread's. */
#ifndef API_IO_TIMER_H
#define API_IO_TIMER_H

#include "base/wheel.h"

struct io;
struct io_timer {
	struct wheel_node node; /* first */
	void (*on_due)(struct io_timer *t);
};

int io_timers_open(struct io *io); /* E_NOMEM */
void io_timers_close(struct io *io); /* the handle; before the loop's last turn */
void io_timers_free(struct io *io);
/* (Re)starts it, to be due @after_ms from now. */
void io_timer_start(struct io *io, struct io_timer *t, int64_t after_ms, void (*on_due)(struct io_timer *t));
void io_timer_stop(struct io *io, struct io_timer *t); /* fine when it does not run */

#endif

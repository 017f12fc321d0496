/* io_timer.c - see io_timer.h. The libuv timer sleeps until the wheel's next deadline, or runs not at all. */
#include "api/io.h"
#include "base/clock.h"
#include "base/error.h"

enum { TURN_MAX = 1000, TICK_MS = 10 };

static void on_timer(uv_timer_t *timer);

static void arm(struct io *io, int64_t now_ms, int64_t at_ms)
{
	io->timer_due_ms = at_ms;
	uv_update_time(&io->loop);
	uv_timer_start(&io->timer, on_timer, at_ms > now_ms ? (uint64_t)(at_ms - now_ms) : 0, 0);
}

static void on_due(void *arg, struct wheel_node *node)
{
	struct io_timer *t = (struct io_timer *)node;
	(void)arg;
	t->on_due(t);
}

static void on_timer(uv_timer_t *timer)
{
	struct io *io = timer->data;
	int64_t now = clock_ms();
	io->timer_due_ms = INT64_MAX;
	unsigned called = wheel_turn(io->wheel, now, TURN_MAX, on_due, io);
	int64_t next = called == TURN_MAX ? now : wheel_next_ms(io->wheel);
	if (next != INT64_MAX && next < io->timer_due_ms)
		arm(io, now, next > now || called == TURN_MAX ? next : now + TICK_MS);
}

void io_timer_start(struct io *io, struct io_timer *t, int64_t after_ms, void (*due)(struct io_timer *t))
{
	int64_t now = clock_ms(), at = now + after_ms;
	wheel_remove(io->wheel, &t->node);
	t->on_due = due;
	wheel_add(io->wheel, &t->node, at);
	if (at < io->timer_due_ms)
		arm(io, now, at);
}

void io_timer_stop(struct io *io, struct io_timer *t)
{
	wheel_remove(io->wheel, &t->node);
}

int io_timers_open(struct io *io)
{
	io->wheel = wheel_new(clock_ms());
	if (io->wheel == NULL)
		return E_NOMEM;
	io->timer_due_ms = INT64_MAX;
	uv_timer_init(&io->loop, &io->timer);
	io->timer.data = io;
	uv_unref((uv_handle_t *)&io->timer);
	return E_OK;
}

void io_timers_close(struct io *io)
{
	if (io->wheel != NULL && !uv_is_closing((uv_handle_t *)&io->timer))
		uv_close((uv_handle_t *)&io->timer, NULL);
}

void io_timers_free(struct io *io)
{
	if (io->wheel != NULL)
		wheel_free(io->wheel);
	io->wheel = NULL;
}

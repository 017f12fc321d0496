/* loop_watch.c - see loop_watch.h. */
#include "base/loop_watch.h"
#include "base/metrics.h"

#include <stdio.h>

static void on_timer(uv_timer_t *timer)
{
	struct loop_watch *w = timer->data;
	uint64_t now_ns = uv_hrtime(), late_ns = now_ns > w->due_ns ? now_ns - w->due_ns : 0;

	metrics_observe(w->lag, (double)late_ns * 1e-9);
	if (late_ns > (uint64_t)LOOP_STALL_MS * 1000 * 1000)
		metrics_add(w->stalls, 1);
	w->due_ns = now_ns + (uint64_t)LOOP_WATCH_MS * 1000 * 1000;
}

void loop_watch_open(struct loop_watch *w, uv_loop_t *loop, const char *name)
{
	char labels[64];

	snprintf(labels, sizeof(labels), "loop=\"%s\"", name);
	w->lag = metrics_histogram("loop_lag_seconds", "How late a timer of an event loop was, looked at every 250 ms.", labels);
	w->stalls = metrics_counter("loop_stalls_total", "Times that a timer of an event loop was more than 100 ms late.", labels);
	uv_timer_init(loop, &w->timer);
	w->timer.data = w;
	uv_update_time(loop);
	w->due_ns = uv_hrtime() + (uint64_t)LOOP_WATCH_MS * 1000 * 1000;
	uv_timer_start(&w->timer, on_timer, LOOP_WATCH_MS, LOOP_WATCH_MS);
	uv_unref((uv_handle_t *)&w->timer);
}

void loop_watch_close(struct loop_watch *w)
{
	uv_close((uv_handle_t *)&w->timer, NULL);
}

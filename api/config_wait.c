/* config_wait.c - clients of the configuration service that wait for changes by a long poll (nacos-config 2.5). The service
 * is not in this release, and SDKs ask again at once after any answer, a refusal too: so they wait out their time here and
 * are told that nothing has changed. I/O thread. A waiting call costs its connection, and ends with the client, with its
 * time, or with the server. */
#include "api/config_wait.h"
#include "api/handlers.h"
#include "api/io.h"
#include <stdlib.h>

enum { WAIT_LEAST_MS = 10000, WAIT_MOST_MS = 120000, BEFORE_CLIENT_MS = 500 };

struct config_wait {
	struct io_timer timer; /* first */
	struct request *request;
	struct config_wait *next, **link;
};

static void finish(struct config_wait *w)
{
	struct request *r = w->request;
	io_timer_stop(r->io, &w->timer);
	if (w->next != NULL)
		w->next->link = w->link;
	*w->link = w->next;
	reply(r, 200, TYPE_TEXT, "", 0);
}

static void on_due(struct io_timer *t)
{
	finish((struct config_wait *)t);
}

static void on_gone(void *arg, struct http_call *call)
{
	(void)call;
	finish(arg);
}

void config_waits_end(struct io *io)
{
	while (io->config_waits != NULL)
		finish(io->config_waits);
}

/* The header's value in milliseconds; 0: none. */
static int64_t asked_ms(const struct request *r)
{
	struct slice s = http_call_header(r->call, "Long-Pulling-Timeout");
	int64_t ms = 0;
	for (size_t i = 0; i < s.len && s.at[i] >= '0' && s.at[i] <= '9' && ms < WAIT_MOST_MS; i++)
		ms = ms * 10 + (s.at[i] - '0');
	return ms;
}

static void wait(struct request *r, int64_t ms)
{
	struct io *io = r->io;
	struct config_wait *w = arena_zalloc(&r->call->arena, sizeof(*w));
	if (w == NULL) {
		reply_text(r, 503, "no memory for the request");
		return;
	}
	w->request = r;
	w->next = io->config_waits;
	w->link = &io->config_waits;
	if (w->next != NULL)
		w->next->link = &w->next;
	io->config_waits = w;
	io_timer_start(io, &w->timer, ms, on_due);
	http_call_on_gone(r->call, on_gone, w);
}

void api_config_listener(struct request *r)
{
	int64_t ms = asked_ms(r);
	/* A client that starts wants to know at once, and one that gives no time does not wait. */
	bool at_once = ms == 0 || http_call_header(r->call, "Long-Pulling-Timeout-No-Hangup").at != NULL || r->io->draining;
	if (at_once) {
		reply(r, 200, TYPE_TEXT, "", 0);
		return;
	}
	ms -= BEFORE_CLIENT_MS;
	wait(r, ms < WAIT_LEAST_MS ? WAIT_LEAST_MS : ms > WAIT_MOST_MS ? WAIT_MOST_MS : ms);
}

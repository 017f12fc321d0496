/* tour.c - requests that look at what the I/O threads own: connections, subscriptions. Each thread is visited by a
 * message in its inbox, reads what is its own, writes what it saw into a text of its visit, and sends the visit home.
 *
 * The control thread sends the visits out: whoever stops the threads is that thread too, so a visit stands in a
 * thread's inbox before the word that it must end, or is not sent there at all and goes straight home, unseen. The
 * home thread counts them as commands under way, so it lives until all are back. */
#include "api/io.h"
#include <string.h>

struct visit {
	struct command cmd; /* first, and only its message and on_done are used: inboxes of I/O threads take commands */
	struct io *io;	    /* to be visited */
	struct tour *tour;
	struct text out;
};

struct tour {
	struct request *r;
	request_tour_fn *each;
	void (*done)(struct request *r);
	unsigned waiting; /* home's: visits and the command that sends them out */
	struct visit visits[];
};

static void arrived(struct tour *t)
{
	struct request *r = t->r;
	if (--t->waiting > 0)
		return;
	for (unsigned i = 0; i < r->io->api->io_count; i++) {
		struct text *out = &t->visits[i].out;
		r->out.failed = r->out.failed || out->failed;
		text_put(&r->out, out->at, out->len);
		text_done(out);
	}
	t->done(r);
}

static void on_visit_back(struct command *cmd)
{
	arrived(((struct visit *)cmd)->tour);
}

/* On the visited thread. */
static void on_visit(struct command *cmd)
{
	struct visit *v = (struct visit *)cmd;
	v->io->in_flight++; /* it is none of this thread's, though its inbox counts it as one that has come back */
	v->tour->each(v->tour->r, v->io, &v->out);
	cmd->on_done = on_visit_back;
	inbox_post(v->tour->r->io->inbox, &cmd->message);
}

/* On the control thread. */
static int send_out(struct registry *reg, void *arg, struct error *err)
{
	struct tour *t = arg;
	struct io *home = t->r->io;
	struct api *a = home->api;
	(void)reg;
	(void)err;
	for (unsigned i = 0; i < a->io_count; i++) {
		struct visit *v = &t->visits[i];
		bool there = !a->feed.stopped && v->io->thread_started;
		v->cmd.on_done = there ? on_visit : on_visit_back;
		inbox_post(there ? v->io->inbox : home->inbox, &v->cmd.message);
	}
	return E_OK;
}

static void on_sent_out(struct command *cmd)
{
	arrived(cmd->owner);
}

void request_tour(struct request *r, request_tour_fn *each, void (*done)(struct request *r))
{
	struct io *io = r->io;
	unsigned count = io->api->io_count;
	struct tour *t = arena_zalloc(&r->call->arena, sizeof(*t) + count * sizeof(t->visits[0]));
	if (t == NULL)
		error_set(&r->err, E_NOMEM, "no memory for the request");
	if (t == NULL || io_has_room(io, &r->err) < 0) {
		reply_failure(r);
		return;
	}
	*t = (struct tour){ .r = r, .each = each, .done = done, .waiting = count + 1 };
	for (unsigned i = 0; i < count; i++) {
		t->visits[i].io = &io->api->ios[i];
		t->visits[i].tour = t;
		text_init(&t->visits[i].out);
	}
	io->in_flight += count;
	command_init(&r->cmd, CMD_CALL);
	r->cmd.call.run = send_out;
	r->cmd.call.arg = t;
	r->cmd.owner = t;
	io_submit(io, &r->cmd, on_sent_out);
}

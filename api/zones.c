/* zones.c - GET /muster/v1/zones and /muster/v1/zones/NAME: the zones, and one of them as the text of a zone file. The
 * text is written by a thread of its own, one at a time, and is no longer than what a client may be owed. */
#include "api/handlers.h"
#include "api/io.h"
#include "base/mem.h"
#include "base/thread.h"

struct zone_run { /* made by the I/O thread, which frees it when the thread has ended */
	uv_thread_t thread;
	struct request *r;
	const char *name;
};

void api_native_zones(struct request *r)
{
	const struct api *a = r->io->api;
	struct text *t = answer_begin_bare(r);
	if (a->conf.zone_list != NULL)
		a->conf.zone_list(a->conf.zone_arg, t);
	answer_end_bare(r);
}

static void zone_main(void *arg)
{
	struct zone_run *run = arg;
	struct request *r = run->r;
	const struct api *a = r->io->api;
	thread_begin("zone-text", THREAD_BACKGROUND);
	r->cmd.code = a->conf.zone_text(a->conf.zone_arg, run->name, a->conf.max_output, &r->out, &r->cmd.error);
	inbox_post(r->io->inbox, &r->cmd.message);
}

static void on_zone(struct request *r)
{
	struct zone_run *run = r->more;
	uv_thread_join(&run->thread);
	mem_free(run);
	atomic_store(&r->io->api->writing_zone, false);
	if (r->cmd.code < 0) {
		r->err = r->cmd.error;
		reply_failure(r);
	} else {
		reply(r, 200, "text/dns;charset=US-ASCII", r->out.at, r->out.len);
	}
}

static int zone_start(struct request *r, const char *name)
{
	struct api *a = r->io->api;
	bool idle = false;
	if (a->conf.zone_text == NULL)
		return error_set(&r->err, E_UNAVAILABLE, "this server gives no zones out");
	if (!atomic_compare_exchange_strong(&a->writing_zone, &idle, true))
		return error_set(&r->err, E_CONFLICT, "the text of a zone is being written already");
	struct zone_run *run = mem_zalloc(1, sizeof(*run));
	command_init(&r->cmd, CMD_CALL);
	r->cmd.owner = r;
	r->cmd.on_done = request_came_back;
	r->cmd.message.next = NULL;
	r->finish = on_zone;
	r->takes_failure = true;
	r->more = run;
	if (run != NULL && http_call_keep(r->call) == E_OK) {
		run->r = r;
		run->name = name;
		if (uv_thread_create(&run->thread, zone_main, run) == 0) {
			r->io->in_flight++;
			return E_OK;
		}
	}
	mem_free(run);
	atomic_store(&a->writing_zone, false);
	return error_set(&r->err, E_NOMEM, "no memory for the text of a zone");
}

void api_native_zone(struct request *r)
{
	const char *name = request_last_segment(r); /* in the arena */
	if (name == NULL)
		error_set(&r->err, E_NOTFOUND, "the path names no zone");
	if (name == NULL || zone_start(r, name) < 0)
		reply_failure(r);
}

/* zones.c - GET /muster/v1/zones and /muster/v1/zones/NAME: the zones, and one of them as the text of a zone file, written
 * as the client takes it. A few at a time, each for so long: a slow reader keeps the memory of one moment. */
#include "api/handlers.h"
#include "api/io.h"
#include "base/mem.h"

enum { ZONE_TEXTS_MAX = 4 }; /* at a time */

struct zone_run { /* from the asking to the last piece */
	struct api *api;
	struct request *r; /* until it is answered */
	void *text;	   /* whose pieces are taken; NULL: none yet */
};

void api_native_zones(struct request *r)
{
	const struct api *a = r->io->api;
	struct text *t = answer_begin_bare(r);
	if (a->conf.zone_list != NULL)
		a->conf.zone_list(a->conf.zone_arg, t);
	answer_end_bare(r);
}

static bool run_more(void *arg, char *to, size_t cap, size_t *ret_len)
{
	struct zone_run *run = arg;
	return run->api->conf.zone_text_more(run->text, to, cap, ret_len);
}

static void run_end(void *arg)
{
	struct zone_run *run = arg;
	struct api *a = run->api;
	if (run->text != NULL)
		a->conf.zone_text_end(run->text);
	mem_free(run);
	atomic_fetch_sub(&a->zone_texts, 1);
}

/* On the control thread. */
static void on_text(void *arg, int code, void *text)
{
	struct zone_run *run = arg;
	struct request *r = run->r;
	run->text = text;
	r->cmd.code = code;
	inbox_post(r->io->inbox, &r->cmd.message);
}

static void on_zone(struct request *r)
{
	struct zone_run *run = r->more;
	if (r->cmd.code == E_OK) {
		reply_stream(r, "text/dns;charset=US-ASCII", run_more, run_end, run);
		return;
	}
	run_end(run);
	error_set(&r->err, r->cmd.code, r->cmd.code == E_NOMEM ? "no memory for the text of the zone" : "the zone cannot be given now");
	reply_failure(r);
}

static int zone_ask(struct request *r, const char *name)
{
	struct api *a = r->io->api;
	struct zone_run *run = mem_zalloc(1, sizeof(*run));
	if (run == NULL || http_call_keep(r->call) < 0) {
		mem_free(run);
		atomic_fetch_sub(&a->zone_texts, 1);
		return error_set(&r->err, E_NOMEM, "no memory for the text of a zone");
	}
	command_init(&r->cmd, CMD_CALL);
	r->cmd.owner = r;
	r->cmd.on_done = request_came_back;
	r->cmd.message.next = NULL;
	r->finish = on_zone;
	r->takes_failure = true;
	r->more = run;
	*run = (struct zone_run){ .api = a, .r = r };
	r->io->in_flight++;
	int rc = a->conf.zone_text(a->conf.zone_arg, name, on_text, run, &r->err);
	if (rc < 0) {
		r->io->in_flight--;
		run_end(run);
	}
	return rc;
}

/* Of as many as may be read at a time. */
static bool place_take(struct api *a)
{
	unsigned taken = atomic_load(&a->zone_texts);
	while (taken < ZONE_TEXTS_MAX)
		if (atomic_compare_exchange_weak(&a->zone_texts, &taken, taken + 1))
			return true;
	return false;
}

void api_native_zone(struct request *r)
{
	struct api *a = r->io->api;
	const char *name = request_last_segment(r); /* in the arena */
	int rc;
	if (name == NULL)
		rc = error_set(&r->err, E_NOTFOUND, "the path names no zone");
	else if (a->conf.zone_text == NULL)
		rc = error_set(&r->err, E_UNAVAILABLE, "this server gives no zones out");
	else if (!place_take(a))
		rc = error_set(&r->err, E_CONFLICT, "%d texts of zones are being read already: as many as may be at a time", ZONE_TEXTS_MAX);
	else
		rc = zone_ask(r, name);
	if (rc < 0)
		reply_failure(r);
}

/* walking.c - requests that look at every service: in slices on the control thread, so that registrations in
 * between do not wait for the whole. */
#include "api/request.h"
#include "registry/walk.h"

enum { SLICE = 4096 /* services, below a millisecond or two */ };

struct walking {
	struct walk *walk;
	const char *ns, *group;
	request_each_fn *each;
	void (*done)(struct request *r);
	bool more;
};

static void show(void *arg, const struct service_view *v)
{
	struct request *r = arg;
	r->walking->each(r, v);
}

static int walk_step(struct registry *reg, void *arg, struct error *err)
{
	struct request *r = arg;
	struct walking *w = r->walking;
	if (w->walk == NULL && walk_new(&w->walk, reg, w->ns, w->group) < 0)
		return error_set(err, E_NOMEM, "no memory for the list of services");
	w->more = walk_slice(w->walk, reg, SLICE, show, r);
	return E_OK;
}

static void walked(struct request *r)
{
	struct walking *w = r->walking;
	if (r->cmd.code == E_OK && w->more) {
		request_call(r, walk_step, walked);
		return;
	}
	walk_free(w->walk);
	if (r->cmd.code < 0)
		r->err = r->cmd.error;
	w->done(r);
}

void request_walk(struct request *r, const char *ns, const char *group, request_each_fn *each,
		  void (*done)(struct request *r))
{
	struct walking *w = arena_zalloc(&r->call->arena, sizeof(*w));
	if (w == NULL) {
		error_set(&r->err, E_NOMEM, "no memory for the request");
		reply_failure(r);
		return;
	}
	w->ns = ns;
	w->group = group;
	w->each = each;
	w->done = done;
	r->walking = w;
	r->takes_failure = true;
	request_call(r, walk_step, walked);
}

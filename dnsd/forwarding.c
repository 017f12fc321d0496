/* forwarding.c - see forwarding.h. */
#include "dnsd/forwarding.h"
#include "base/mem.h"
#include <string.h>

static void on_home(void *arg, struct inbox_message *first, unsigned count)
{
	struct forwarding *g = arg;
	g->out -= count;
	for (struct inbox_message *m = first, *next; m != NULL; m = next) {
		struct forward_query *q = (struct forward_query *)m;
		struct asker *a = handles_find(&g->askers, q->asker);
		next = m->next;
		if (a == NULL || !a->answered(a, q))
			forward_query_free(g->forward, q);
	}
	g->on_back(g->arg);
}

int forwarding_open(struct forwarding *g, uv_loop_t *loop, struct forward *forward, void (*on_back)(void *arg), void *arg,
		    struct error *err)
{
	g->forward = forward;
	g->on_back = on_back;
	g->arg = arg;
	handles_init(&g->askers);
	if (inbox_open(&g->home, loop, on_home, g) == 0)
		return E_OK;
	return error_set(err, E_NOMEM, "no memory for forwarded questions");
}

void forwarding_close(struct forwarding *g)
{
	if (g->home != NULL)
		inbox_close(g->home, NULL, NULL);
	g->home = NULL;
}

void forwarding_done(struct forwarding *g)
{
	handles_done(&g->askers);
}

void forwarding_join(struct forwarding *g, struct asker *a, bool (*answered)(struct asker *a, struct forward_query *q))
{
	(void)g;
	a->answered = answered;
	a->handle = 0;
}

void forwarding_leave(struct forwarding *g, struct asker *a)
{
	if (a->handle != 0)
		handles_remove(&g->askers, a->handle);
	a->handle = 0;
}

bool forwarding_ask(struct forwarding *g, struct asker *a, const struct forwarding_question *w)
{
	struct forward_query *q = NULL;
	if (a->handle == 0)
		a->handle = handles_add(&g->askers, a);
	if (a->handle != 0 && g->home != NULL)
		q = forward_query_new(g->forward, w->msg, w->len, w->target, w->target_len);
	if (q == NULL)
		return false;
	q->home = g->home;
	q->asker = a->handle;
	if (w->extra_len > 0) {
		q->extra = mem_alloc(w->extra_len);
		if (q->extra == NULL) {
			forward_query_free(g->forward, q);
			return false;
		}
		memcpy(q->extra, w->extra, w->extra_len);
	}
	g->out++;
	forward_ask(g->forward, q);
	return true;
}

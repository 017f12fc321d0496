/* probe_schedule.c - see probe_schedule.h. The bucket holds a tenth of a second's tokens: a late turn of the loop
 * loses none, a burst stays small. */
#include "health/probe_schedule.h"

static const double STRETCH_GAIN = 1.0 / 64;

int schedule_init(struct probe_schedule *s, unsigned rate, int64_t now_ms, struct error *err)
{
	*s = (struct probe_schedule){ .rate = rate > 0 ? rate : 1, .stretch = 1 };
	s->ready.next = s->ready.prev = &s->ready;
	s->wheel = wheel_new(now_ms);
	if (s->wheel == NULL)
		return error_set(err, E_NOMEM, "no memory for the wheel of checks");
	return E_OK;
}

void schedule_done(struct probe_schedule *s)
{
	wheel_free(s->wheel);
}

void schedule_add(struct probe_schedule *s, struct check_task *t, int64_t due_ms)
{
	wheel_add(s->wheel, &t->node, due_ms);
}

static void unlink_ready(struct probe_schedule *s, struct check_task *t)
{
	t->node.next->prev = t->node.prev;
	t->node.prev->next = t->node.next;
	t->node.next = t->node.prev = NULL;
	t->queued = false;
	s->ready_count--;
}

void schedule_remove(struct probe_schedule *s, struct check_task *t)
{
	if (t->queued)
		unlink_ready(s, t);
	else
		wheel_remove(s->wheel, &t->node);
}

void schedule_queue(struct probe_schedule *s, struct check_task *t)
{
	t->node.next = &s->ready;
	t->node.prev = s->ready.prev;
	s->ready.prev->next = &t->node;
	s->ready.prev = &t->node;
	t->queued = true;
	s->ready_count++;
}

bool schedule_token(struct probe_schedule *s, uint64_t now_ns)
{
	double most = s->rate > 10 ? s->rate / 10.0 : 1;
	s->tokens += (double)(now_ns - s->filled_ns) * 1e-9 * s->rate;
	s->filled_ns = now_ns;
	if (s->tokens > most)
		s->tokens = most;
	if (s->tokens < 1)
		return false;
	s->tokens -= 1;
	return true;
}

struct check_task *schedule_take(struct probe_schedule *s, int64_t now_ms, uint64_t now_ns)
{
	if (s->ready_count == 0 || !schedule_token(s, now_ns))
		return NULL;
	struct wheel_node *node = s->ready.next;
	struct check_task *t = (struct check_task *)((char *)node - offsetof(struct check_task, node));
	unlink_ready(s, t);
	double planned = t->state.delay_ms > 0 ? t->state.delay_ms : 1;
	int64_t waited = now_ms - node->due_ms;
	s->stretch += STRETCH_GAIN * ((planned + (double)waited) / planned - s->stretch);
	return t;
}

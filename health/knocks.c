/* knocks.c - see knocks.h. A question waits in a queue while it has knocks that were not started; each knock under way has
 * a slot, whose task the probes know. The last answer hands the question back, which may free it. */
#include "health/knocks.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include <arpa/inet.h>

struct knock_slot {
	struct knock_slot *next_free;
	struct knock_question *question; /* NULL: free */
	size_t nth;
	struct check_task task; /* last: its text has no bound; here it has none */
};

int knocks_init(struct knocks *k, struct probes *probes, struct probe_schedule *schedule)
{
	const char *help = "Ports asked after a gRPC connection had closed, by what was found.";
	*k = (struct knocks){ .probes = probes, .schedule = schedule };
	k->slots = mem_zalloc(KNOCKS_AT_A_TIME, sizeof(*k->slots));
	if (k->slots == NULL)
		return E_NOMEM;
	k->spec = (struct check_spec){ .kind = CHECKER_TCP, .use_instance_port = true };
	k->group.spec = &k->spec;
	for (unsigned i = KNOCKS_AT_A_TIME; i-- > 0;) {
		k->slots[i].next_free = k->free;
		k->free = &k->slots[i];
	}
	k->cells[KNOCK_NOTHING] = metrics_counter("reconnect_probes_total", help, "result=\"nothing\"");
	k->cells[KNOCK_OPEN] = metrics_counter("reconnect_probes_total", help, "result=\"open\"");
	k->cells[KNOCK_REFUSED] = metrics_counter("reconnect_probes_total", help, "result=\"refused\"");
	return E_OK;
}

void knocks_done(struct knocks *k)
{
	mem_free(k->slots);
}

void knocks_ask(struct knocks *k, struct knock_question *q)
{
	q->next = NULL;
	q->started = q->answered = 0;
	if (k->first == NULL)
		k->first = q;
	else
		k->last->next = q;
	k->last = q;
}

static void answer(struct knocks *k, struct knock_question *q, size_t nth, enum knock_answer what)
{
	metrics_add(k->cells[what], 1);
	q->knocks[nth].answer = what;
	if (++q->answered == q->count)
		q->on_answer(q);
}

static enum knock_answer answer_of(const struct probe_result *result)
{
	if (result->outcome == PROBE_OK)
		return KNOCK_OPEN;
	return result->cause == CAUSE_REFUSED ? KNOCK_REFUSED : KNOCK_NOTHING;
}

bool knocks_take(struct knocks *k, struct check_task *t, const struct probe_result *result)
{
	if (t->group != &k->group)
		return false;
	struct knock_slot *slot = (struct knock_slot *)((char *)t - offsetof(struct knock_slot, task));
	struct knock_question *q = slot->question;
	slot->question = NULL;
	slot->next_free = k->free;
	k->free = slot;
	answer(k, q, slot->nth, answer_of(result));
	return true;
}

static bool address(struct check_task *t, const struct knock *knock)
{
	if (inet_pton(AF_INET, knock->ip, t->addr) == 1)
		t->family = 4;
	else if (inet_pton(AF_INET6, knock->ip, t->addr) == 1)
		t->family = 6;
	else
		return false;
	t->port = knock->port;
	return true;
}

/* The next one of the first question, which leaves the queue with its last. */
static struct knock_question *next_of(struct knocks *k, size_t *ret_nth)
{
	struct knock_question *q = k->first;
	*ret_nth = q->started++;
	if (q->started == q->count)
		k->first = q->next;
	return q;
}

static void start(struct knocks *k)
{
	struct knock_slot *slot = k->free;
	struct probe_result result;
	size_t nth;
	struct knock_question *q = next_of(k, &nth);
	if (!address(&slot->task, &q->knocks[nth])) {
		answer(k, q, nth, KNOCK_NOTHING);
		return;
	}
	k->free = slot->next_free;
	slot->question = q;
	slot->nth = nth;
	slot->task.group = &k->group;
	if (probes_start(k->probes, &slot->task, &result))
		knocks_take(k, &slot->task, &result);
}

void knocks_pump(struct knocks *k, bool on, int64_t now_ms)
{
	while (k->first != NULL) {
		if (!on || now_ms >= k->first->until_ms) {
			size_t nth;
			struct knock_question *q = next_of(k, &nth);
			answer(k, q, nth, KNOCK_NOTHING);
			continue;
		}
		if (k->free == NULL || probes_full(k->probes) || !schedule_token(k->schedule, clock_ns()))
			return;
		start(k);
	}
}

void knocks_end(struct knocks *k)
{
	knocks_pump(k, false, 0);
	for (unsigned i = 0; i < KNOCKS_AT_A_TIME; i++) {
		struct knock_slot *slot = &k->slots[i];
		if (slot->question == NULL)
			continue;
		probe_cancel(slot->task.probe);
		answer(k, slot->question, slot->nth, KNOCK_NOTHING);
		slot->question = NULL;
	}
}

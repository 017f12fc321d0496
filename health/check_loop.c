/* check_loop.c - see check_loop.h.
 *
 * Happy path: a target comes > its task is scheduled > due: it waits for a token and a free probe > the probe
 * ends > delay and counts follow > a flip is told to the owner. The timer sleeps until the next time-out or due
 * task; the probes' sockets wake the loop through one nested epoll set.
 *
 * A probe that says nothing (PROBE_VOID: no sockets left, our own standstill) changes no count: unknown is not
 * dead. Host names are not resolved here, since that would block; such instances keep their health and are
 * counted. */
#include "health/check_loop.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "registry/registry.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	DUE_MAX = 20000, /* tasks looked at in one turn */
	WHEEL_TICK_MS = 10,
	MANY_TARGETS = 100, /* within a second: a start, or a mass registration */
	OFF_LOOK_MS = 1000,
	RESPEC_SPREAD_MS = 500,
};

static void turn(struct check_loop *l);

static void on_timer(uv_timer_t *timer)
{
	turn(timer->data);
}

static const struct check_params *params_of(const struct check_loop *l, const struct check_task *t)
{
	return &l->params[t->group->spec->kind];
}

static bool is_checked(const struct check_task *t)
{
	return target_kind(t) < CHECKER_NONE;
}

static void read_switches(struct check_loop *l)
{
	rcu_begin();
	const struct switches *s = registry_switches(l->registry);
	l->checks_on = s->health_check && atomic_load_explicit(&l->loaded, memory_order_relaxed);
	l->check_times = s->check_times > 0 ? (unsigned)s->check_times : 1;
	l->params[CHECKER_TCP] = s->tcp;
	l->params[CHECKER_HTTP] = s->http;
	l->params[CHECKER_MYSQL] = s->mysql;
	rcu_end();
}

/* ---- results */

static void take_result(struct check_loop *l, struct check_task *t, const struct probe_result *result)
{
	metrics_add(l->metrics.probes[t->group->spec->kind][result->outcome], 1);
	t->last_outcome = (uint8_t)result->outcome;
	t->last_cause = (uint8_t)result->cause;
	t->last_rt_ms = result->rt_ms;
	t->last_ms = clock_ms();
	if (!l->checks_on)
		return;
	check_adapt(&t->state, params_of(l, t), result);
	switch (check_result(&t->state, result->outcome, l->check_times)) {
	case FLIP_NONE:
		return;
	case FLIP_UP:
		metrics_add(l->metrics.up, 1);
		break;
	case FLIP_DOWN:
		metrics_add(l->metrics.down[result->cause], 1);
		break;
	}
	l->on_flip(l->arg, t, result);
}

static void on_result(void *arg, struct check_task *t, const struct probe_result *result)
{
	struct check_loop *l = arg;
	if (!knocks_take(&l->knocks, t, result))
		take_result(l, t, result);
}

/* ---- running */

static void start_check(struct check_loop *l, struct check_task *t, int64_t now_ms)
{
	struct probe_result result;
	if (probes_start(&l->probes, t, &result))
		take_result(l, t, &result);
	schedule_add(&l->schedule, t, now_ms + check_next_delay(&t->state, &l->rng));
}

static void on_due(void *arg, struct wheel_node *node)
{
	struct check_loop *l = arg;
	struct check_task *t = (struct check_task *)((char *)node - offsetof(struct check_task, node));
	if (t->probe == NULL) {
		schedule_queue(&l->schedule, t);
		return;
	}
	check_overrun(&t->state, params_of(l, t));
	schedule_add(&l->schedule, t, node->due_ms + check_next_delay(&t->state, &l->rng));
}

static void pump(struct check_loop *l, int64_t now_ms)
{
	while (l->schedule.ready_count > 0 && !probes_full(&l->probes)) {
		struct check_task *t = schedule_take(&l->schedule, now_ms, clock_ns());
		if (t == NULL)
			return;
		start_check(l, t, now_ms);
	}
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void arm(struct check_loop *l, int64_t now_ms)
{
	int64_t next = wheel_next_ms(l->probes.timeouts);
	if (!l->checks_on)
		next = earlier(next, now_ms + OFF_LOOK_MS);
	else
		next = earlier(next, wheel_next_ms(l->schedule.wheel));
	if (l->schedule.ready_count > 0 || knocks_wait(&l->knocks))
		next = now_ms;
	if (next == INT64_MAX) {
		l->armed_ms = INT64_MAX;
		uv_timer_stop(&l->timer);
		return;
	}
	if (next < now_ms + WHEEL_TICK_MS)
		next = now_ms + WHEEL_TICK_MS;
	if (next == l->armed_ms && uv_is_active((uv_handle_t *)&l->timer))
		return;
	l->armed_ms = next;
	uv_update_time(&l->loop);
	uv_timer_start(&l->timer, on_timer, (uint64_t)(next - now_ms), 0);
}

static void show(const struct check_loop *l)
{
	for (unsigned k = 0; k < TARGET_KINDS; k++)
		metrics_set(l->metrics.targets[k], (double)l->targets.counts[k]);
	metrics_set(l->metrics.stretch, l->schedule.stretch);
	metrics_set(l->metrics.in_flight, l->probes.in_flight);
	metrics_set(l->metrics.waiting, l->schedule.ready_count);
}

static void turn(struct check_loop *l)
{
	if (l->stopping)
		return;
	read_switches(l);
	probes_poll(&l->probes); /* before time-outs: what has come in time counts */
	int64_t now = clock_ms();
	probes_turn(&l->probes, now);
	knocks_pump(&l->knocks, l->checks_on, now);
	if (l->checks_on) {
		wheel_turn(l->schedule.wheel, now, DUE_MAX, on_due, l);
		pump(l, now);
	}
	l->on_turn(l->arg);
	show(l);
	arm(l, now);
}

static void on_sockets(uv_poll_t *poll, int status, int events)
{
	struct check_loop *l = poll->data;
	(void)status;
	(void)events;
	if (l->stopping)
		return;
	probes_poll(&l->probes);
	int64_t now = clock_ms();
	knocks_pump(&l->knocks, l->checks_on, now);
	if (l->checks_on)
		pump(l, now);
	l->on_turn(l->arg);
	int64_t next = wheel_next_ms(l->probes.timeouts);
	if (next < l->armed_ms)
		arm(l, now);
}

/* ---- news */

/* Users want to hear of one new instance soon; a start with many is spread by the rule of 7.3. */
static int32_t first_delay(struct check_loop *l, struct check_task *t, int64_t now_ms)
{
	if (now_ms - l->added_since_ms >= 1000) {
		l->added_since_ms = now_ms;
		l->added = 0;
	}
	l->added++;
	return check_first_delay(&t->state, params_of(l, t), l->added > MANY_TARGETS, &l->rng);
}

static void halt(struct check_loop *l, struct check_task *t)
{
	if (t->probe != NULL)
		probe_cancel(t->probe);
	schedule_remove(&l->schedule, t);
	mysql_conn_free(t->conn);
	t->conn = NULL;
}

static void add(struct check_loop *l, struct target_news *n, int64_t now_ms)
{
	bool fresh;
	struct check_task *t = targets_add(&l->targets, n, &fresh);
	if (t == NULL)
		return; /* no memory: it keeps its registered health */
	if (!fresh) {
		t->state.healthy = n->healthy;
		return;
	}
	if (is_checked(t))
		schedule_add(&l->schedule, t, now_ms + first_delay(l, t, now_ms));
}

static void respec(struct check_loop *l, struct target_news *n, int64_t now_ms)
{
	struct check_group *g = targets_group(&l->targets, n->service_id, n->cluster);
	if (g == NULL || spec_equal(g->spec, n->spec))
		return;
	for (struct check_task *t = g->tasks; t != NULL; t = t->next)
		halt(l, t);
	targets_respec(&l->targets, g, n->spec);
	n->spec = NULL;
	uint32_t spread_ms = RESPEC_SPREAD_MS + g->count; /* soon, but not more than 1,000 a second */
	for (struct check_task *t = g->tasks; t != NULL; t = t->next) {
		t->state.rise = t->state.fall = 0; /* what was counted was something else */
		if (!is_checked(t))
			continue;
		if (t->state.delay_ms == 0)
			check_first_delay(&t->state, params_of(l, t), false, &l->rng);
		schedule_add(&l->schedule, t, now_ms + rng_below(&l->rng, spread_ms));
	}
}

static void set_state(struct check_task *t, bool healthy)
{
	if (t == NULL || t->state.healthy == healthy)
		return;
	t->state.healthy = healthy;
	t->state.rise = t->state.fall = 0;
}

static const char *result_text(const struct check_task *t)
{
	static const char *const texts[PROBE_CAUSES] = {
		[CAUSE_OF_OK] = "ok",
		[CAUSE_REFUSED] = "connection refused",
		[CAUSE_TIMEOUT] = "no answer in time",
		[CAUSE_STATUS] = "another HTTP status than expected",
		[CAUSE_PROTOCOL] = "the answer is not of that protocol",
		[CAUSE_NETWORK] = "network error",
		[CAUSE_SQL] = "login or command refused",
		[CAUSE_READ_ONLY] = "the database is read-only",
		[CAUSE_LOCAL] = "nothing was learned: trouble of this server",
	};
	return t->last_ms == 0 ? NULL : texts[t->last_outcome == PROBE_OK ? CAUSE_OF_OK : t->last_cause];
}

static void tell_one(const struct check_loop *l, struct check_task *t, struct probe_seen *s)
{
	s->known = t != NULL;
	if (t == NULL)
		return;
	s->checked = is_checked(t);
	s->result = result_text(t);
	s->ended_ms = t->last_ms;
	s->took_ms = t->last_rt_ms;
	s->in_a_row = t->state.healthy ? t->state.fall : t->state.rise;
	s->needed = l->check_times;
	s->next_ms = s->checked && !t->queued && t->node.next != NULL ? t->node.due_ms : 0;
}

static void tell(struct check_loop *l, struct probe_question *q)
{
	for (size_t i = 0; i < q->count; i++) {
		struct probe_seen *s = &q->seen[i];
		struct target_news key = { .service_id = q->service_id, .cluster = s->cluster, .port = s->port,
					   .ip = s->ip, .ip_len = (uint16_t)strlen(s->ip) };
		tell_one(l, targets_find(&l->targets, &key), s);
	}
	q->on_answer(q);
}

static void on_handle_closed(uv_handle_t *handle)
{
	(void)handle;
}

static void stop(struct check_loop *l)
{
	struct check_task *t;
	if (l->stopping)
		return;
	l->stopping = true;
	for (size_t i = 0; (t = map_next(&l->targets.tasks, &i)) != NULL;)
		halt(l, t);
	knocks_end(&l->knocks);
	loop_watch_close(&l->watch);
	uv_close((uv_handle_t *)&l->timer, on_handle_closed);
	uv_close((uv_handle_t *)&l->poll, on_handle_closed);
	inbox_close(l->inbox, NULL, NULL);
}

static void take_news(struct check_loop *l, struct target_news *n, int64_t now_ms)
{
	struct check_task *t;
	switch (n->kind) {
	case NEWS_ADD:
		add(l, n, now_ms);
		break;
	case NEWS_REMOVE:
		t = targets_find(&l->targets, n);
		if (t != NULL) {
			halt(l, t);
			targets_remove(&l->targets, t);
		}
		break;
	case NEWS_STATE:
		set_state(targets_find(&l->targets, n), n->healthy);
		break;
	case NEWS_CHECKER:
		respec(l, n, now_ms);
		break;
	case NEWS_ASK:
		tell(l, n->question);
		break;
	case NEWS_KNOCK:
		knocks_ask(&l->knocks, n->knocks);
		break;
	case NEWS_STOP:
		stop(l);
		break;
	}
}

static void on_news(void *arg, struct inbox_message *first, unsigned count)
{
	struct check_loop *l = arg;
	int64_t now = clock_ms();
	(void)count;
	if (!l->stopping)
		read_switches(l); /* the delays of new tasks depend on them */
	while (first != NULL) {
		struct target_news *n = (struct target_news *)first;
		first = first->next;
		if (!l->stopping)
			take_news(l, n, now);
		news_free(n);
	}
	if (!l->stopping) {
		knocks_pump(&l->knocks, l->checks_on, now);
		show(l);
		arm(l, now);
	}
}

/* ---- life */

static void declare_metrics(struct check_metrics *m)
{
	static const char *const kinds[] = { "tcp", "http", "mysql", "none", "host_name" };
	static const char *const outcomes[] = { "ok", "failure", "failure_at_once", "void" };
	static const char *const causes[] = { "ok", "refused", "timeout", "status", "protocol",
					      "network", "sql", "read_only", "local" };
	char labels[64];
	for (unsigned k = 0; k < TARGET_KINDS; k++) {
		snprintf(labels, sizeof(labels), "kind=\"%s\"", kinds[k]);
		m->targets[k] = metrics_gauge("probe_targets", "Persistent instances by kind of check.", labels);
	}
	for (unsigned k = 0; k < 3; k++)
		for (unsigned o = 0; o < PROBE_OUTCOMES; o++) {
			snprintf(labels, sizeof(labels), "kind=\"%s\",result=\"%s\"", kinds[k], outcomes[o]);
			m->probes[k][o] = metrics_counter("probes_total", "Probes that ended.", labels);
		}
	const char *flips = "Probe verdicts that changed an instance's health.";
	m->up = metrics_counter("probe_flips_total", flips, "to=\"healthy\",cause=\"ok\"");
	for (unsigned c = CAUSE_REFUSED; c < CAUSE_LOCAL; c++) {
		snprintf(labels, sizeof(labels), "to=\"unhealthy\",cause=\"%s\"", causes[c]);
		m->down[c] = metrics_counter("probe_flips_total", flips, labels);
	}
	m->stretch = metrics_gauge("probe_interval_stretch",
				   "Real interval between probes of an instance by the planned one.", NULL);
	m->in_flight = metrics_gauge("probes_in_flight", "Probes under way.", NULL);
	m->waiting = metrics_gauge("probes_waiting", "Checks that are due and wait for their turn.", NULL);
}

static int init_parts(struct check_loop *l, const struct prober_conf *conf, struct error *err)
{
	if (targets_init(&l->targets) < 0)
		return error_set(err, E_NOMEM, "no memory for probe targets");
	int rc = schedule_init(&l->schedule, conf->probe_rate, clock_ms(), err);
	if (rc < 0)
		return rc;
	rc = probes_init(&l->probes, conf->in_flight > 0 ? conf->in_flight : 1, on_result, l, err);
	if (rc == E_OK && knocks_init(&l->knocks, &l->probes, &l->schedule) < 0)
		rc = error_set(err, E_NOMEM, "no memory for probes");
	return rc;
}

int check_loop_init(struct check_loop *l, struct registry *registry, const struct prober_conf *conf,
		    struct error *err)
{
	*l = (struct check_loop){ .registry = registry, .armed_ms = INT64_MAX };
	rng_seed_system(&l->rng);
	int rc = init_parts(l, conf, err);
	if (rc < 0)
		return rc; /* out of memory at the start: the process ends */
	uv_loop_init(&l->loop);
	rc = inbox_open(&l->inbox, &l->loop, on_news, l);
	if (rc < 0)
		return error_set(err, rc, "no inbox for the health thread");
	loop_watch_open(&l->watch, &l->loop, "health");
	uv_timer_init(&l->loop, &l->timer);
	uv_poll_init(&l->loop, &l->poll, l->probes.epoll);
	l->timer.data = l->poll.data = l;
	declare_metrics(&l->metrics);
	return E_OK;
}

void check_loop_run(struct check_loop *l)
{
	uv_poll_start(&l->poll, UV_READABLE, on_sockets);
	uv_run(&l->loop, UV_RUN_DEFAULT);
}

void check_loop_done(struct check_loop *l)
{
	int rc = uv_loop_close(&l->loop);
	assert(rc == 0);
	(void)rc;
	targets_done(&l->targets);
	knocks_done(&l->knocks);
	probes_done(&l->probes);
	schedule_done(&l->schedule);
}

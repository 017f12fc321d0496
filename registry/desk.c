/* desk.c - see desk.h.
 *
 * A turn, within one iteration of the loop: the inbox delivers commands and the store reports commits (poll
 * phase) > every one is applied at once, or waits > on_turn_end (check phase): services that are due are
 * published, watchers first > completions go out, one list per inbox > garbage is handed on. A service that was
 * costly to publish waits for its time, its completions with it; a timer comes back for it in a turn of its own.
 *
 * End: desk_close > the inbox is closed and empty > nothing durable is under way and everything is published >
 * the store is closed > the warm copy is written > the reaper is closed > handles are closed > the desk is
 * freed, @on_closed. */
#include "registry/desk.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "registry/desk_inside.h"

#include <assert.h>
#include <string.h>

enum {
	SWEEP_MS = 5000,
	WARM_MS = 1000,
	WARM_PAUSE_MS = 1,		/* between slices: a third of the thread at most */
	WARM_SLICE_NS = 500 * 1000,	/* short: commands wait for it, and so may a DNS worker on the same core */
	PACE_FREE_NS = 20 * 1000,	/* a publication this quick never waits */
	PACE_FACTOR = 10,
	PACE_WAIT_NS = 100 * 1000 * 1000, /* at most: what an answer waits, even when the machine was busy with others */
	RETRY_MS = 10,			/* no memory for a view */
	INBOXES_MAX = 16,		/* replied to in one list each; more are replied to one by one */
};

/* ---- answers */

static void done_add(struct desk *d, struct command *cmd)
{
	cmd->next_waiting = NULL;
	*d->done_end = cmd;
	d->done_end = &cmd->next_waiting;
}

/* Its change, and any change before it, must be seen before it is answered. */
static void settle(struct desk *d, struct command *cmd, struct service *s)
{
	if (s == NULL || !s->dirty) {
		done_add(d, cmd);
		return;
	}
	cmd->next_waiting = NULL;
	*s->waiting_end = cmd;
	s->waiting_end = &cmd->next_waiting;
}

static void done_take_waiting(struct desk *d, struct service *s)
{
	if (s->waiting == NULL)
		return;
	*d->done_end = s->waiting;
	d->done_end = s->waiting_end;
	s->waiting = NULL;
	s->waiting_end = &s->waiting;
}

struct reply_list {
	struct inbox *inbox;
	struct inbox_message *first, *last;
};

static void reply_add(struct reply_list *lists, unsigned *n, struct command *cmd)
{
	unsigned i = 0;

	while (i < *n && lists[i].inbox != cmd->reply_to)
		i++;
	if (i == INBOXES_MAX) {
		inbox_post(cmd->reply_to, &cmd->message);
		return;
	}
	cmd->message.next = NULL;
	if (i == *n) {
		lists[(*n)++] = (struct reply_list){ cmd->reply_to, &cmd->message, &cmd->message };
	} else {
		lists[i].last->next = &cmd->message;
		lists[i].last = &cmd->message;
	}
}

static void answer(struct desk *d)
{
	struct reply_list lists[INBOXES_MAX];
	struct command *cmd = d->done;
	unsigned n = 0, count = 0;

	d->done = NULL;
	d->done_end = &d->done;
	while (cmd != NULL) {
		struct command *next = cmd->next_waiting;

		count++;
		if (cmd->reply_to != NULL)
			reply_add(lists, &n, cmd);
		else if (cmd->on_done != NULL)
			cmd->on_done(cmd);
		cmd = next;
	}
	atomic_fetch_sub_explicit(&d->in_hand, count, memory_order_relaxed);
	for (unsigned i = 0; i < n; i++)
		inbox_post_list(lists[i].inbox, lists[i].first, lists[i].last);
}

/* ---- commands */

static uint64_t turn_number(struct desk *d)
{
	if (d->number == 0)
		d->number = (uint64_t)store_number(d->store);
	return d->number;
}

static void fail(struct desk *d, struct command *cmd, int code)
{
	cmd->code = cmd->error.code = code;
	done_add(d, cmd);
}

static void run_planned(struct desk *d, struct command *cmd)
{
	struct plan p;
	int rc = plan_make(d->registry, &p, cmd, d->now_ms, &cmd->error);

	if (rc < 0) {
		fail(d, cmd, rc);
		return;
	}
	if (p.durable && !p.nothing) {
		rc = durable_commit(&d->durable, &p, &cmd->error);
		if (rc < 0) {
			plan_drop(d->registry, &p);
			if (cmd->error.what == FAIL_NONE)
				cmd->error.what = FAIL_STORE;
			fail(d, cmd, rc);
		}
		return;
	}
	if (!p.nothing)
		plan_apply(d->registry, &p, turn_number(d));
	settle(d, cmd, p.service);
}

void desk_run(struct desk *d, struct command *cmd)
{
	cmd->code = E_OK;
	cmd->number = 0;
	cmd->unknown = false;
	cmd->error.what = FAIL_NONE;
	if (cmd->kind == CMD_CALL) {
		cmd->code = cmd->call.run(d->registry, cmd->call.arg, &cmd->error);
		done_add(d, cmd);
	} else if (durable_wait(&d->durable, cmd) == 0) {
		run_planned(d, cmd);
	}
}

void desk_apply_now(struct desk *d, struct command *cmd)
{
	struct plan p;

	if (plan_make(d->registry, &p, cmd, d->now_ms, &cmd->error) == E_OK && !p.nothing)
		plan_apply(d->registry, &p, turn_number(d));
}

static void on_waited(void *arg, struct command *cmd)
{
	desk_run(arg, cmd);
}

static void on_settled(void *arg, struct plan *p, int code, const struct error *error, uint64_t number)
{
	struct desk *d = arg;
	struct command *cmd = p->cmd;

	(void)number;
	if (code == E_OK) {
		settle(d, cmd, p->service);
		return;
	}
	cmd->error.text[0] = '\0';
	if (error != NULL)
		cmd->error = *error;
	cmd->error.what = FAIL_STORE;
	error_wrap(&cmd->error, code, "the store refused the change");
	fail(d, cmd, code);
}

static void on_commands(void *arg, struct inbox_message *first, unsigned count)
{
	struct desk *d = arg;

	atomic_fetch_add_explicit(&d->in_hand, count, memory_order_relaxed);
	d->now_ms = clock_ms();
	if (d->turn_ns == 0)
		d->turn_ns = clock_ns();
	while (first != NULL) {
		struct command *cmd = (struct command *)first;

		first = first->next;
		if (d->ready) {
			desk_run(d, cmd);
		} else {
			cmd->next_waiting = NULL;
			*d->early_end = cmd;
			d->early_end = &cmd->next_waiting;
		}
	}
}

static void run_early(struct desk *d, bool refuse)
{
	struct command *cmd = d->early;

	d->early = NULL;
	d->early_end = &d->early;
	while (cmd != NULL) {
		struct command *next = cmd->next_waiting;

		if (refuse)
			fail(d, cmd, error_set(&cmd->error, E_UNAVAILABLE, "the registry is not loaded"));
		else
			desk_run(d, cmd);
		cmd = next;
	}
}

/* ---- publication */

/* Nanoseconds until @s may be published again; 0: now. */
static uint64_t pace(const struct desk *d, const struct service *s, uint64_t now_ns)
{
	uint64_t wait_ns = (uint64_t)s->build_ns * PACE_FACTOR;
	uint64_t due_ns = s->build_end_ns + (wait_ns < PACE_WAIT_NS ? wait_ns : PACE_WAIT_NS);

	if (s->build_ns <= PACE_FREE_NS || s->removed || d->closing || due_ns <= now_ns)
		return 0;
	return due_ns - now_ns;
}

static void publish_one(struct desk *d, struct service *s, uint64_t *now_ns, uint64_t *wait_ns)
{
	struct registry *r = d->registry;
	uint64_t wait = pace(d, s, *now_ns);

	if (wait == 0) {
		uint64_t begin_ns = *now_ns;

		if (service_publish(r, s) == E_OK) { /* a removed one is the reaper's now, but still there */
			done_take_waiting(d, s);
			*now_ns = clock_ns();
			s->build_end_ns = *now_ns;
			s->build_ns = (uint32_t)(*now_ns - begin_ns < UINT32_MAX ? *now_ns - begin_ns : UINT32_MAX);
			d->published = true;
			metrics_observe(d->cell_publications, (double)(*now_ns - begin_ns) * 1e-9);
			return;
		}
		wait = (uint64_t)RETRY_MS * 1000 * 1000;
	}
	s->next_dirty = NULL;
	*r->dirty_end = s;
	r->dirty_end = &s->next_dirty;
	if (wait < *wait_ns)
		*wait_ns = wait;
}

static void publish(struct desk *d)
{
	struct service *s = d->registry->dirty;
	uint64_t now_ns = clock_ns(), wait_ns = UINT64_MAX;

	d->registry->dirty = NULL;
	d->registry->dirty_end = &d->registry->dirty;
	while (s != NULL) {
		struct service *next = s->next_dirty;

		publish_one(d, s, &now_ns, &wait_ns);
		s = next;
	}
	if (wait_ns == UINT64_MAX)
		return;
	uv_update_time(d->loop);
	uv_timer_start(&d->pace_timer, on_pace_timer, wait_ns / 1000000 + 1, 0);
}

/* A turn of its own: the poll phase comes before the check phase, and may find nothing to wake it for long. */
void on_pace_timer(uv_timer_t *timer)
{
	desk_turn(timer->data);
}

static void tell_turn(struct desk *d)
{
	uint64_t number = atomic_load_explicit(&d->registry->stat_number, memory_order_relaxed);

	d->published = false;
	for (unsigned i = 0; i < d->registry->watcher_count; i++)
		if (d->registry->watchers[i].on_turn != NULL)
			d->registry->watchers[i].on_turn(d->registry->watchers[i].arg, number);
}

static void tell_answered(struct desk *d)
{
	for (unsigned i = 0; i < d->registry->watcher_count; i++)
		if (d->registry->watchers[i].on_answered != NULL)
			d->registry->watchers[i].on_answered(d->registry->watchers[i].arg);
}

void desk_turn(struct desk *d)
{
	bool published;

	if (d->registry->dirty != NULL && d->loaded)
		publish(d);
	if (d->loaded)
		registry_published(d->registry);
	published = d->published;
	if (published)
		tell_turn(d);
	d->number = 0;
	if (d->done != NULL)
		answer(d);
	if (published)
		tell_answered(d);
	if (d->turn_ns != 0)
		metrics_observe(d->cell_turns, (double)(clock_ns() - d->turn_ns) * 1e-9);
	d->turn_ns = 0;
	rcu_reaper_turn(d->reaper);
	if (d->loaded && !d->ready) {
		d->ready = true;
		if (d->conf.on_ready != NULL && !d->closing)
			d->conf.on_ready(d->conf.arg);
		run_early(d, false);
		if (d->registry->dirty != NULL || d->done != NULL)
			desk_turn(d);
	}
	if (d->closing)
		desk_end(d);
}

static void on_turn_end(uv_check_t *check)
{
	desk_turn(check->data);
}

/* ---- loading */

static void load_begin(void *arg)
{
	struct desk *d = arg;

	d->registry->loading = true;
	d->now_ms = clock_ms();
}

static void load_entry(void *arg, const struct store_entry *e)
{
	struct desk *d = arg;
	struct error error;
	int rc = d->ending ? E_OK : row_load(d->registry, e, false, d->now_ms, &error);

	if (rc == E_NOTFOUND) {
		if (d->conf.on_other_row != NULL)
			d->conf.on_other_row(d->conf.arg, e);
	} else if (rc < 0) {
		log_warn("registry", "a stored row cannot be used and is not served, it stays in the store: %s", error.text);
	}
}

static void restore(struct desk *d, int64_t number)
{
	struct error error;
	size_t count;

	if (d->conf.warm_path == NULL)
		return;
	int rc = warm_copy_open(&d->warm, d->conf.warm_path, d->now_ms, number, &count, &error);

	if (rc < 0)
		log_warn("registry", "there is no warm copy, so ephemeral instances will come back after a restart only with their next heartbeat: %s",
			 error.text);
	else if (count > 0)
		log_info("registry", "%zu ephemeral instances and probe verdicts are back from the warm copy, with a fresh grace period", count);
}

/* Loaded services get the first number of a fresh block: it is above any that was handed out before. */
static void load_end(void *arg, int64_t revision)
{
	struct desk *d = arg;
	struct registry *r = d->registry;
	struct store_origin origin;
	struct service *s;

	if (d->ending)
		return;
	store_origin(d->store, &origin);
	r->number_base = (uint64_t)origin.number_base;
	r->last_ref_offset = origin.t0_ms + origin.number_base - origin.rev0;
	restore(d, revision);
	r->loading = false;
	for (size_t at = 0; (s = rcu_map_next(&r->services, &at)) != NULL;)
		s->number = (uint64_t)revision;
	atomic_store_explicit(&r->stat_number, r->number_base + (uint64_t)revision, memory_order_relaxed);
	d->loaded = true;
	uv_timer_start(&d->sweep_timer, on_sweep_timer, SWEEP_MS, SWEEP_MS);
	if (d->warm.warm != NULL)
		uv_timer_start(&d->warm_timer, on_warm_timer, WARM_MS, 0);
}

static void on_state(void *arg, enum store_state state, const char *reason)
{
	struct desk *d = arg;

	if (d->conf.on_store_state != NULL)
		d->conf.on_store_state(d->conf.arg, state, reason);
}

/* ---- timers */

void on_sweep_timer(uv_timer_t *timer)
{
	struct desk *d = timer->data;

	d->now_ms = clock_ms();
	desk_sweep(d);
	desk_turn(d); /* as on_pace_timer */
}

void on_warm_timer(uv_timer_t *timer)
{
	struct desk *d = timer->data;

	if (!d->warm_pass)
		warm_copy_begin(&d->warm);
	d->warm_pass = !warm_copy_slice(&d->warm, WARM_SLICE_NS);
	if (!d->warm_pass)
		atomic_store_explicit(&d->warm_copy_ms, clock_ms(), memory_order_relaxed);
	uv_timer_start(timer, on_warm_timer, d->warm_pass ? WARM_PAUSE_MS : WARM_MS, 0);
}

/* ---- life */

struct registry *desk_registry(struct desk *d)
{
	return d->registry;
}

struct store *desk_store(struct desk *d)
{
	return d->store;
}

struct rcu_reaper *desk_reaper(struct desk *d)
{
	return d->reaper;
}

unsigned desk_depth(const struct desk *d)
{
	return inbox_depth(d->inbox) + atomic_load_explicit(&d->in_hand, memory_order_relaxed);
}

void desk_stats(const struct desk *d, struct desk_stats *ret)
{
	ret->depth = desk_depth(d);
	ret->warm_copy_ms = atomic_load_explicit(&d->warm_copy_ms, memory_order_relaxed);
}

void desk_submit(struct desk *d, struct command *cmd)
{
	inbox_post(d->inbox, &cmd->message);
}

void desk_submit_list(struct desk *d, struct command *first, struct command *last)
{
	inbox_post_list(d->inbox, &first->message, &last->message);
}

int desk_watch(struct desk *d, const struct registry_watcher *watcher)
{
	struct registry *r = d->registry;

	if (r->watcher_count == WATCHERS_MAX)
		return E_LIMIT;
	r->watchers[r->watcher_count++] = *watcher;
	r->change_watchers += watcher->on_change != NULL;
	return E_OK;
}

void desk_unwatch(struct desk *d, const void *arg)
{
	struct registry *r = d->registry;
	unsigned kept = 0;

	for (unsigned i = 0; i < r->watcher_count; i++)
		if (r->watchers[i].arg != arg)
			r->watchers[kept++] = r->watchers[i];
	r->watcher_count = kept;
}

static void cells_declare(struct desk *d)
{
	d->cell_turns = metrics_histogram("registry_turn_seconds",
					  "From taking a batch of commands to its publication and answers.", NULL);
	d->cell_publications = metrics_histogram("registry_publish_seconds",
						 "Building and publishing one service's view and its DNS answers.", NULL);
}

static void handles_open(struct desk *d, uv_loop_t *loop)
{
	uv_check_init(loop, &d->check);
	uv_timer_init(loop, &d->pace_timer);
	uv_timer_init(loop, &d->sweep_timer);
	uv_timer_init(loop, &d->warm_timer);
	d->check.data = d->pace_timer.data = d->sweep_timer.data = d->warm_timer.data = d;
	uv_check_start(&d->check, on_turn_end);
	d->handles = 4;
}

static int desk_parts(struct desk *d, uv_loop_t *loop, const struct desk_conf *conf, struct error *err)
{
	if (registry_new(&d->registry, &conf->registry) < 0)
		return error_set(err, E_NOMEM, "registry: no memory");
	if (rcu_reaper_start(&d->reaper, loop, d->registry) < 0) {
		registry_free(d->registry);
		return error_set(err, E_NOMEM, "registry: no memory");
	}
	registry_use_reaper(d->registry, d->reaper);
	if (inbox_open(&d->inbox, loop, on_commands, d) < 0) {
		d->inbox = NULL;
		return error_set(err, E_NOMEM, "registry: no memory");
	}
	return E_OK;
}

static void desk_done(struct desk *d)
{
	durable_done(&d->durable);
	warm_copy_done(&d->warm);
	mem_free(d);
}

/* A desk that could not be opened: what is a handle already closes on the loop, then memory follows. */
static void on_half_reaper_closed(void *arg)
{
	struct desk *d = arg;

	registry_free(d->registry);
	desk_done(d);
}

static void on_half_inbox_closed(void *arg)
{
	rcu_reaper_close(((struct desk *)arg)->reaper, on_half_reaper_closed, arg);
}

int desk_open_with(struct desk **ret, uv_loop_t *loop, const struct desk_conf *conf, desk_store_fn *open_store,
		   void *open_arg, struct error *err)
{
	struct store_feed feed = { .load_begin = load_begin,
				   .prepare = row_prepare,
				   .load_entry = load_entry,
				   .load_end = load_end,
				   .on_state = on_state };
	struct desk *d = mem_zalloc(1, sizeof(*d));
	struct registry_watcher copy;
	int rc;

	if (d == NULL)
		return error_set(err, E_NOMEM, "registry: no memory");
	d->conf = *conf;
	d->loop = loop;
	d->done_end = &d->done;
	d->early_end = &d->early;
	durable_init(&d->durable);
	rc = desk_parts(d, loop, conf, err);
	if (rc < 0 && d->reaper == NULL) {
		mem_free(d);
		return rc;
	}
	warm_copy_init(&d->warm, d->registry);
	feed.arg = d;
	if (rc == E_OK)
		rc = open_store(&d->store, loop, &conf->store, &feed, open_arg, err);
	if (rc < 0) {
		if (d->inbox != NULL)
			inbox_close(d->inbox, on_half_inbox_closed, d);
		else
			on_half_inbox_closed(d);
		return rc;
	}
	handles_open(d, loop);
	cells_declare(d);
	d->durable.registry = d->registry;
	d->durable.store = d->store;
	d->durable.on_settled = on_settled;
	d->durable.run = on_waited;
	d->durable.arg = d;
	copy = warm_copy_watcher(&d->warm);
	desk_watch(d, &copy);
	*ret = d;
	return E_OK;
}

static int open_by_url(struct store **ret, uv_loop_t *loop, const struct store_conf *conf,
		       const struct store_feed *feed, void *arg, struct error *err)
{
	(void)arg;
	return store_open(ret, loop, conf, feed, err);
}

int desk_open(struct desk **ret, uv_loop_t *loop, const struct desk_conf *conf, struct error *err)
{
	return desk_open_with(ret, loop, conf, open_by_url, NULL, err);
}

/* ---- the end, step by step */

static void on_handle_closed(uv_handle_t *handle)
{
	struct desk *d = handle->data;
	void (*on_closed)(void *arg) = d->on_closed;
	void *arg = d->closed_arg;

	if (--d->handles > 0)
		return;
	desk_done(d);
	on_closed(arg);
}

static void on_reaper_closed(void *arg)
{
	struct desk *d = arg;

	registry_free(d->registry);
	uv_close((uv_handle_t *)&d->check, on_handle_closed);
	uv_close((uv_handle_t *)&d->pace_timer, on_handle_closed);
	uv_close((uv_handle_t *)&d->sweep_timer, on_handle_closed);
	uv_close((uv_handle_t *)&d->warm_timer, on_handle_closed);
}

static void on_store_closed(void *arg)
{
	struct desk *d = arg;

	warm_copy_close(&d->warm);
	rcu_reaper_close(d->reaper, on_reaper_closed, d);
}

/* Goes on as soon as nobody waits for anything. */
void desk_end(struct desk *d)
{
	if (d->ending || !d->inbox_closed || d->durable.under_way > 0 || d->durable.locks.count > 0 ||
	    d->sweeps > 0 || d->done != NULL || (d->loaded && d->registry->dirty != NULL))
		return;
	d->ending = true;
	uv_timer_stop(&d->sweep_timer);
	uv_timer_stop(&d->warm_timer);
	uv_timer_stop(&d->pace_timer);
	uv_check_stop(&d->check);
	store_close(d->store, on_store_closed, d);
}

static void on_inbox_closed(void *arg)
{
	struct desk *d = arg;

	d->inbox_closed = true;
	if (!d->ready)
		run_early(d, true);
	desk_turn(d);
}

void desk_close(struct desk *d, void (*on_closed)(void *arg), void *arg)
{
	assert(!d->closing && on_closed != NULL);
	d->closing = true;
	d->on_closed = on_closed;
	d->closed_arg = arg;
	inbox_close(d->inbox, on_inbox_closed, d);
}

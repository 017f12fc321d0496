/* beats.c - the control thread's wheel of beat deadlines.
 *
 * Happy path: a record comes > its node is put on the wheel > beats only store a time in the record > the
 * deadline fires, sees the newer time and re-arms. Silence: the deadline fires > CMD_EXPIRE goes to the desk,
 * and the node is re-armed for a second look in case it is refused > the desk replaces the record (unhealthy;
 * its new deadline is the removal) or takes it away (the node leaves the wheel).
 *
 * The timer sleeps until the next deadline, at most TICK_MS, so that a pause of ours is seen; it does not run
 * while there is nothing on the wheel. A turn is bounded, so that answers to others go on in between. */
#include "health/beats.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "health/floor.h"
#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

enum {
	TICK_MS = 500,
	TURN_MAX = 2000,	/* deadlines looked at in one turn */
	EXPIRES_MAX = 4096,	/* commands under way */
	SECOND_LOOK_MS = 900,	/* when an expiry was refused */
	DESK_BUSY_MS = 10,
	WHEEL_TICK_MS = 10,
};

/* One CMD_EXPIRE; recycled. The command's strings point into @text. */
struct expiry {
	struct command cmd;
	struct expiry *next_free;
	size_t text_cap;
	char *text;
};

struct beats {
	uv_timer_t timer;
	uv_loop_t *loop;
	struct desk *desk;
	struct registry *registry;
	struct wheel *wheel;
	struct floor floor;
	bool never_remove;
	bool closing, timer_closed;
	bool alarmed; /* the present hold has been told */
	_Atomic int64_t armed_ms; /* when the timer is to fire; INT64_MAX: it sleeps. Any thread may look */
	atomic_bool holding;	  /* the floor is settling or holds somebody; any thread may look */
	int64_t now_ms;	  /* of the turn under way */
	struct expiry *free;
	unsigned expiries, under_way;
	unsigned unhealthy_total, removed_total, held, floors_total, pauses_total; /* metrics */
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

static void on_timer(uv_timer_t *timer)
{
	beats_tick(timer->data);
}

static void arm(struct beats *b, int64_t now_ms, int64_t at_ms)
{
	int64_t delay = at_ms > now_ms ? at_ms - now_ms : 0;
	if (delay > TICK_MS)
		delay = TICK_MS;
	b->armed_ms = now_ms + delay;
	uv_timer_start(&b->timer, on_timer, (uint64_t)delay, 0);
}

/* ---- the wheel follows the registry */

static int64_t due_ms(const struct beats *b, const struct instance *i)
{
	if (instance_is_held(i))
		return INT64_MAX; /* it lives by its connection */
	if (b->never_remove) {
		if ((i->flags & INSTANCE_HEALTHY) == 0)
			return INT64_MAX;
		return atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed) + i->unhealthy_ms + 1;
	}
	return beat_deadline_ms(i) + 1; /* strictly greater */
}

static void on_instance(void *arg, struct instance *old, struct instance *fresh)
{
	struct beats *b = arg;
	if (b->closing)
		return; /* the wheel is not turned again */
	if (old != NULL && (old->flags & INSTANCE_EPHEMERAL) != 0)
		wheel_remove(b->wheel, &old->wheel);
	if (fresh == NULL || (fresh->flags & INSTANCE_EPHEMERAL) == 0)
		return;
	int64_t due = due_ms(b, fresh);
	if (due == INT64_MAX)
		return;
	wheel_add(b->wheel, &fresh->wheel, due);
	if (b->armed_ms == INT64_MAX || due < b->armed_ms)
		arm(b, clock_ms(), due);
}

struct registry_watcher beats_watcher(struct beats *b)
{
	return (struct registry_watcher){ .on_instance = on_instance, .arg = b };
}

/* ---- expiries */

static void on_timer_closed(uv_handle_t *handle)
{
	struct beats *b = handle->data;
	b->timer_closed = true;
	if (b->on_closed != NULL)
		b->on_closed(b->on_closed_arg);
}

static void on_expired(struct command *cmd)
{
	struct beats *b = cmd->owner;
	struct expiry *e = (struct expiry *)((char *)cmd - offsetof(struct expiry, cmd));
	if (cmd->code == E_OK && cmd->number != 0)
		metrics_add(cmd->remove ? b->removed_total : b->unhealthy_total, 1);
	e->next_free = b->free;
	b->free = e;
	if (--b->under_way == 0 && b->closing)
		uv_close((uv_handle_t *)&b->timer, on_timer_closed);
}

static struct expiry *expiry_get(struct beats *b, size_t text_len)
{
	struct expiry *e = b->free;
	if (e == NULL) {
		e = mem_zalloc(1, sizeof(*e));
		if (e == NULL)
			return NULL;
		b->expiries++;
		e->next_free = b->free;
		b->free = e;
	}
	if (e->text_cap < text_len) {
		char *text = mem_realloc(e->text, text_len);
		if (text == NULL)
			return NULL;
		e->text = text;
		e->text_cap = text_len;
	}
	b->free = e->next_free;
	return e;
}

static const char *put(char **at, const char *text, size_t len)
{
	char *to = *at;
	memcpy(to, text, len);
	to[len] = '\0';
	*at = to + len + 1;
	return to;
}

/* False: no memory now; the second look will try again. */
static bool expire(struct beats *b, const struct instance *i, bool remove)
{
	const struct service_info *info = service_info(i->service);
	const struct service_key *key = &info->key;
	const char *cluster = info->clusters[i->cluster].name;
	size_t cluster_len = strlen(cluster);
	struct expiry *e = expiry_get(b, (size_t)key->ns_len + key->group_len + key->name_len + i->ip_len +
						 cluster_len + 5);
	if (e == NULL)
		return false;
	command_init(&e->cmd, CMD_EXPIRE);
	char *at = e->text;
	e->cmd.cause = CAUSE_BEAT_EXPIRED;
	e->cmd.key = *key;
	e->cmd.key.ns = put(&at, key->ns, key->ns_len);
	e->cmd.key.group = put(&at, key->group, key->group_len);
	e->cmd.key.name = put(&at, key->name, key->name_len);
	e->cmd.instance.ip = put(&at, instance_ip(i), i->ip_len);
	e->cmd.instance.cluster = put(&at, cluster, cluster_len);
	e->cmd.instance.port = i->port;
	e->cmd.instance.ephemeral = true;
	e->cmd.instance.healthy = false;
	e->cmd.remove = remove;
	e->cmd.reply_to = NULL;
	e->cmd.on_done = on_expired;
	e->cmd.owner = b;
	b->under_way++;
	desk_submit(b->desk, &e->cmd);
	return true;
}

/* A held instance is looked at again as soon as it could be late anew had it been rescued meanwhile. */
static int64_t next_look_ms(const struct beats *b, const struct instance *i)
{
	int64_t at = b->now_ms + (i->unhealthy_ms < i->remove_ms ? i->unhealthy_ms : i->remove_ms);
	return at < b->floor.until_ms ? at : b->floor.until_ms;
}

static void on_due(void *arg, struct wheel_node *node)
{
	struct beats *b = arg;
	struct instance *i = (struct instance *)((char *)node - offsetof(struct instance, wheel));
	int64_t due = due_ms(b, i);
	if (due == INT64_MAX)
		return;
	if (due > b->now_ms) { /* a beat has come since */
		wheel_add(b->wheel, node, due);
		return;
	}
	bool first = node->due_ms <= due; /* later looks are armed for later */
	if (floor_holds(&b->floor, i, b->now_ms, first)) {
		wheel_add(b->wheel, node, next_look_ms(b, i));
		return;
	}
	int64_t silent_ms = b->now_ms - atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed);
	wheel_add(b->wheel, node, b->now_ms + SECOND_LOOK_MS);
	if (b->under_way < EXPIRES_MAX)
		expire(b, i, !b->never_remove && silent_ms > i->remove_ms);
}

/* ---- the tick */

static bool checks_are_on(struct beats *b)
{
	rcu_begin();
	bool on = registry_switches(b->registry)->health_check;
	rcu_end();
	return on;
}

static void floor_turn(struct beats *b, int64_t now_ms)
{
	struct floor *f = &b->floor;
	if (f->state == FLOOR_SETTLING)
		floor_decide(f, b->registry, now_ms);
	else if (f->state == FLOOR_WATCHING && f->held > 0 && now_ms - f->counted_ms >= FLOOR_AGAIN_MS)
		floor_recount(f, b->registry, now_ms);
	if (!floor_over(f, now_ms))
		return;
	if (b->alarmed)
		log_warn("health", "the hold after the standstill is over: instances that have not beaten since are removed");
	b->alarmed = false;
	metrics_set(b->held, 0);
	floor_end(f);
}

static void floor_alarm(struct beats *b)
{
	struct floor *f = &b->floor;
	if (f->held == 0)
		return;
	metrics_set(b->held, (double)f->held);
	if (b->alarmed)
		return;
	b->alarmed = true;
	metrics_add(b->floors_total, 1);
	log_warn("health",
		 "this process stood still for %lld ms; %llu ephemeral instances that would now expire are held "
		 "for at most %lld s, until they beat again",
		 (long long)f->paused_ms, (unsigned long long)f->held, (long long)(f->hold_ms / 1000));
}

/* Returns when to come back. */
static int64_t turn(struct beats *b, int64_t now_ms)
{
	if (!checks_are_on(b))
		return now_ms + TICK_MS; /* deadlines stay where they are */
	if (floor_settling(&b->floor, now_ms))
		return b->floor.until_ms;
	floor_turn(b, now_ms);
	if (b->under_way >= EXPIRES_MAX)
		return now_ms + DESK_BUSY_MS;
	unsigned room = EXPIRES_MAX - b->under_way;
	unsigned max = room < TURN_MAX ? room : TURN_MAX;
	b->now_ms = now_ms;
	unsigned called = wheel_turn(b->wheel, now_ms, max, on_due, b);
	floor_alarm(b);
	if (called == max)
		return now_ms; /* more wait: let others run, then go on */
	int64_t next = wheel_next_ms(b->wheel);
	return next > now_ms ? next : now_ms + WHEEL_TICK_MS;
}

void beats_tick(struct beats *b)
{
	if (b->closing)
		return;
	int64_t now = clock_ms();
	if (b->armed_ms != INT64_MAX && now - b->armed_ms > FLOOR_STALL_MS) {
		metrics_add(b->pauses_total, 1);
		metrics_set(b->held, 0);
		b->alarmed = false;
		floor_pause(&b->floor, now, now - b->armed_ms);
	}
	int64_t next = turn(b, now);
	atomic_store(&b->holding, floor_in_force(&b->floor));
	if (next == INT64_MAX) {
		b->armed_ms = INT64_MAX;
		uv_timer_stop(&b->timer);
	} else {
		arm(b, now, next);
	}
}

/* ---- life */

static void declare_metrics(struct beats *b)
{
	const char *expired = "Instances whose heartbeats stayed away.";
	b->unhealthy_total = metrics_counter("beats_expired_total", expired, "step=\"unhealthy\"");
	b->removed_total = metrics_counter("beats_expired_total", expired, "step=\"removed\"");
	b->held = metrics_gauge("beats_floor_held",
				"Instances held back from expiry after a pause of this process.", NULL);
	b->floors_total = metrics_counter("beats_floor_total", "Times that a mass expiry was held back.", NULL);
	b->pauses_total = metrics_counter("beats_pauses_total",
					  "Times that this process stood still for more than 2 s.", NULL);
}

int beats_start(struct beats **ret, uv_loop_t *loop, struct desk *desk, const struct beats_conf *conf,
		struct error *err)
{
	struct beats *b = mem_zalloc(1, sizeof(*b));
	if (b == NULL)
		return error_set(err, E_NOMEM, "beats: no memory");
	b->wheel = wheel_new(clock_ms());
	if (b->wheel == NULL) {
		mem_free(b);
		return error_set(err, E_NOMEM, "beats: no memory for the wheel");
	}
	b->loop = loop;
	b->desk = desk;
	b->registry = desk_registry(desk);
	b->never_remove = conf->never_remove;
	b->armed_ms = INT64_MAX;
	floor_init(&b->floor, conf->floor_percent, conf->floor_hold_ms);
	declare_metrics(b);
	uv_timer_init(loop, &b->timer);
	b->timer.data = b;
	*ret = b;
	return E_OK;
}

/* ---- for people */

void beats_explain(struct beats *b, const struct instance *i, struct instance_explained *ret)
{
	int64_t now_ms = clock_ms(), due = due_ms(b, i);
	bool healthy = (i->flags & INSTANCE_HEALTHY) != 0;
	ret->kept = NULL;
	ret->expires_ms = due == INT64_MAX ? -1 : due > now_ms ? due - now_ms : 0;
	ret->removes = !b->never_remove && (!healthy || i->remove_ms <= i->unhealthy_ms);
	if (instance_is_held(i))
		return;
	if (due == INT64_MAX)
		ret->kept = "registry.expire_instances is off: it stays, unhealthy, until it is deregistered";
	else if (!checks_are_on(b))
		ret->kept = "the switch healthCheckEnabled is off: nothing expires";
	else if (due <= now_ms && floor_settling(&b->floor, now_ms))
		ret->kept = "this server stood still a moment ago: heartbeats that wait in its sockets are read first";
	else if (due <= now_ms && floor_holds(&b->floor, i, now_ms, false))
		ret->kept = "the floor is in force: this server stood still, and too many instances are silent since to believe it";
}

void beats_explain_floor(const struct beats *b, struct service_explained *ret)
{
	const struct floor *f = &b->floor;
	int64_t left = f->until_ms - clock_ms();
	ret->floor = floor_in_force(f);
	ret->floor_left_ms = ret->floor && left > 0 ? left : 0;
	ret->floor_held = f->held;
}

bool beats_doubt(const struct beats *b)
{
	int64_t armed_ms = atomic_load(&b->armed_ms);
	return atomic_load(&b->holding) || (armed_ms != INT64_MAX && clock_ms() - armed_ms > FLOOR_STALL_MS);
}

void beats_set_floor(struct beats *b, unsigned percent)
{
	b->floor.percent = percent;
}

void beats_close(struct beats *b, void (*on_closed)(void *arg), void *arg)
{
	assert(!b->closing);
	b->closing = true;
	b->on_closed = on_closed;
	b->on_closed_arg = arg;
	uv_timer_stop(&b->timer);
	if (b->under_way == 0) /* else the last command closes it, so that @on_closed is called by the loop */
		uv_close((uv_handle_t *)&b->timer, on_timer_closed);
}

void beats_free(struct beats *b)
{
	if (b == NULL)
		return;
	assert(b->timer_closed && b->under_way == 0);
	for (struct expiry *e = b->free; e != NULL;) {
		struct expiry *next = e->next_free;
		mem_free(e->text);
		mem_free(e);
		e = next;
	}
	floor_done(&b->floor);
	wheel_free(b->wheel);
	mem_free(b);
}

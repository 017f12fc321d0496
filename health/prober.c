/* prober.c - the control thread's side of active checks: the watcher that posts news of targets to the health
 * thread, and the way of verdicts to the desk and back. News of one turn go over as one list: a wake-up costs more
 * than a target.
 *
 * A verdict is made on the health thread, submitted in the batch of its turn, and comes back to on_verdict_done
 * on the control thread. One that was refused, or changed nothing because the registry knew better, tells the task
 * what the record says: it then counts anew. Stop: the health thread is
 * told behind all other news, closes its probes and ends; verdicts on their way come back later, so this block
 * lives until prober_free(). */
#include "health/prober.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "health/check_loop.h"
#include <assert.h>
#include <string.h>

enum { NEWS_MAX = 256 /* gathered, while a load goes on */ };

struct prober {
	struct check_loop loop;
	struct desk *desk;
	uv_thread_t thread;
	bool stopped;		    /* control's */
	struct inbox_message *news, *news_last; /* control's: of this turn */
	unsigned news_count;
	uint64_t added_service; /* control's: of the last news, if that was an instance to add; 0: it was not */
	uint16_t added_cluster;
	_Atomic unsigned verdicts; /* on their way */
	struct command *first, *last; /* health thread's: the batch of this turn */
};

struct verdict {
	struct command cmd; /* first */
	struct prober *prober;
	uint64_t service_id;
	uint16_t cluster;
	char text[]; /* the command's strings */
};

/* ---- verdicts */

/* Control's: what was gathered goes over. */
static void post_gathered(struct prober *p)
{
	if (p->news != NULL)
		inbox_post_list(p->loop.inbox, p->news, p->news_last);
	p->news = p->news_last = NULL;
	p->news_count = 0;
}

/* Behind whatever is on its way already. */
static void post(struct prober *p, struct target_news *n)
{
	if (n == NULL)
		log_error("health", "no memory: a changed instance or checker is probed as it was before, until it changes again");
	else
		inbox_post(p->loop.inbox, &n->message);
}

static void gather(struct prober *p, struct target_news *n)
{
	p->added_service = n != NULL && n->kind == NEWS_ADD ? n->service_id : 0;
	p->added_cluster = n != NULL ? n->cluster : 0;
	if (n == NULL) {
		post(p, n);
		return;
	}
	n->message.next = NULL;
	if (p->news == NULL)
		p->news = &n->message;
	else
		p->news_last->next = &n->message;
	p->news_last = &n->message;
	if (++p->news_count == NEWS_MAX)
		post_gathered(p);
}

/* What the published record of a verdict's instance says; false: it is gone. */
static bool published_health(struct prober *p, const struct verdict *v, bool *ret)
{
	const struct instance_spec *spec = &v->cmd.instance;
	const struct instance *i = NULL;
	uint32_t at = 0;
	rcu_begin();
	const struct service_view *view = registry_view(p->loop.registry, &v->cmd.key);
	if (view != NULL && view->info->id == v->service_id)
		while ((i = view_find(view, spec->ip, strlen(spec->ip), spec->port, &at)) != NULL &&
		       i->cluster != v->cluster)
			;
	if (i != NULL)
		*ret = (i->flags & INSTANCE_HEALTHY) != 0;
	rcu_end();
	return i != NULL;
}

static void on_verdict_done(struct command *cmd)
{
	struct verdict *v = (struct verdict *)cmd;
	struct prober *p = v->prober;
	bool healthy;
	if ((cmd->code < 0 || cmd->number == 0) && !p->stopped && published_health(p, v, &healthy)) {
		post_gathered(p);
		post(p, news_state(v->service_id, v->cluster, cmd->instance.ip, cmd->instance.port, healthy));
	}
	mem_free(v);
	atomic_fetch_sub(&p->verdicts, 1);
}

static const char *put(char **at, const char *text, size_t len)
{
	char *to = *at;
	memcpy(to, text, len);
	to[len] = '\0';
	*at = to + len + 1;
	return to;
}

static struct verdict *verdict_new(const struct check_task *t, const struct probe_result *why)
{
	const struct check_group *g = t->group;
	size_t cluster_len = strlen(g->cluster_name), reason_len = strlen(why->reason);
	size_t len = (size_t)g->key.ns_len + g->key.group_len + g->key.name_len + cluster_len + t->ip_len +
		     reason_len + 6;
	struct verdict *v = mem_alloc(sizeof(*v) + len);
	if (v == NULL)
		return NULL;
	char *at = v->text;
	command_init(&v->cmd, CMD_VERDICT);
	v->cmd.cause = CAUSE_PROBE;
	v->cmd.key = g->key;
	v->cmd.key.ns = put(&at, g->key.ns, g->key.ns_len);
	v->cmd.key.group = put(&at, g->key.group, g->key.group_len);
	v->cmd.key.name = put(&at, g->key.name, g->key.name_len);
	v->cmd.instance.cluster = put(&at, g->cluster_name, cluster_len);
	v->cmd.instance.ip = put(&at, t->ip, t->ip_len);
	v->cmd.instance.port = t->port;
	v->cmd.instance.ephemeral = false;
	v->cmd.instance.healthy = t->state.healthy;
	v->cmd.reason = put(&at, why->reason, reason_len);
	v->service_id = g->service_id;
	v->cluster = g->cluster;
	return v;
}

/* Health thread. */
static void on_flip(void *arg, const struct check_task *t, const struct probe_result *why)
{
	struct prober *p = arg;
	struct verdict *v = verdict_new(t, why);
	if (v == NULL) { /* the task believes what it has not told: let it hear that it was refused */
		post(p, news_state(t->group->service_id, t->group->cluster, t->ip, t->port, !t->state.healthy));
		return;
	}
	v->prober = p;
	v->cmd.reply_to = NULL;
	v->cmd.on_done = on_verdict_done;
	v->cmd.message.next = NULL;
	if (p->first == NULL)
		p->first = &v->cmd;
	else
		p->last->message.next = &v->cmd.message;
	p->last = &v->cmd;
	atomic_fetch_add(&p->verdicts, 1);
}

/* Health thread. */
static void on_turn(void *arg)
{
	struct prober *p = arg;
	if (p->first == NULL)
		return;
	struct command *first = p->first, *last = p->last;
	p->first = p->last = NULL;
	desk_submit_list(p->desk, first, last);
}

/* ---- the watcher */

static bool is_target(const struct instance *i)
{
	return i != NULL && (i->flags & INSTANCE_EPHEMERAL) == 0;
}

static bool same_target(const struct instance *a, const struct instance *b)
{
	return a->service == b->service && a->cluster == b->cluster && a->port == b->port &&
	       a->family == b->family && strcmp(instance_ip(a), instance_ip(b)) == 0;
}

static void on_instance(void *arg, struct instance *old, struct instance *fresh)
{
	struct prober *p = arg;
	bool was = is_target(old), is = is_target(fresh);
	if (p->stopped || (!was && !is))
		return;
	if (was && is && same_target(old, fresh)) {
		if (((old->flags ^ fresh->flags) & INSTANCE_HEALTHY) != 0)
			gather(p, news_about(NEWS_STATE, fresh));
		return;
	}
	if (was)
		gather(p, news_about(NEWS_REMOVE, old));
	if (is)
		gather(p, news_add(fresh, p->added_service == service_info(fresh->service)->id &&
					  p->added_cluster == fresh->cluster));
}

static void on_info(void *arg, const struct service_info *old, const struct service_info *fresh)
{
	struct prober *p = arg;
	if (p->stopped || fresh == NULL || fresh->ephemeral || old == NULL)
		return; /* without instances yet: those bring it along */
	for (uint32_t c = 0; c < fresh->cluster_count && c < old->cluster_count; c++)
		gather(p, news_checker(fresh, c));
}

static void on_change_turn(void *arg, uint64_t number)
{
	struct prober *p = arg;
	(void)number;
	atomic_store_explicit(&p->loop.loaded, true, memory_order_relaxed); /* nothing is published earlier */
	if (!p->stopped)
		post_gathered(p);
}

struct registry_watcher prober_watcher(struct prober *p)
{
	return (struct registry_watcher){ .on_instance = on_instance, .on_info = on_info, .on_turn = on_change_turn,
					  .arg = p };
}

/* ---- life */

static void run_thread(void *arg)
{
	struct prober *p = arg;
	thread_begin("health", THREAD_PLAIN);
	rcu_thread_start();
	metrics_thread_start();
	check_loop_run(&p->loop);
	mysql_thread_end();
	metrics_thread_stop();
	rcu_thread_stop();
}

int prober_start(struct prober **ret, struct desk *desk, const struct prober_conf *conf, struct error *err)
{
	struct prober *p = mem_zalloc(1, sizeof(*p));
	if (p == NULL)
		return error_set(err, E_NOMEM, "prober: no memory");
	p->desk = desk;
	mysql_library_init(0, NULL, NULL); /* once, before its threads */
	int rc = check_loop_init(&p->loop, desk_registry(desk), conf, err);
	if (rc < 0)
		return error_wrap(err, rc, "prober");
	p->loop.on_flip = on_flip;
	p->loop.on_turn = on_turn;
	p->loop.arg = p;
	rc = uv_thread_create(&p->thread, run_thread, p);
	if (rc < 0)
		return error_set_errno(err, -rc, "the health thread");
	*ret = p;
	return E_OK;
}

bool prober_ask(struct prober *p, struct probe_question *q)
{
	struct target_news *n = news_state(0, 0, "", 0, false);
	if (n == NULL)
		return false;
	n->kind = NEWS_ASK;
	n->question = q;
	post(p, n);
	return true;
}

bool prober_knock(struct prober *p, struct knock_question *q)
{
	struct target_news *n = news_state(0, 0, "", 0, false);
	if (n == NULL)
		return false;
	n->kind = NEWS_KNOCK;
	n->knocks = q;
	post(p, n);
	return true;
}

void prober_stop(struct prober *p)
{
	assert(!p->stopped);
	struct target_news *n = news_state(0, 0, "", 0, false);
	p->stopped = true;
	if (n == NULL)
		return; /* the process ends without it */
	n->kind = NEWS_STOP;
	post_gathered(p);
	post(p, n);
	uv_thread_join(&p->thread);
	check_loop_done(&p->loop);
}

void prober_free(struct prober *p)
{
	if (p == NULL)
		return;
	assert(p->stopped && atomic_load(&p->verdicts) == 0);
	mem_free(p);
}

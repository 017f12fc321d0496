/* explain.c - why an instance is listed and answered by DNS, or not, and which subscriber knows what: one answer for an
 * operator who does not know the source. What it takes is gathered in turn: last probes from the prober, publishers and
 * subscribers from the I/O threads; then everything is written on the control thread, where the registry stands
 * still. */
#include "api/explain_facts.h"
#include "api/handlers.h"
#include "api/io.h"
#include "base/clock.h"
#include <string.h>

enum { PROBES_MAX = 1000 };

struct asking {
	struct command cmd; /* first: comes back by this thread's inbox, which takes commands */
	struct probe_question question;
	struct request *r;
};

static void fail(struct request *r)
{
	error_set(&r->err, E_NOMEM, "no memory to explain it");
	reply_failure(r);
}

/* ---- the last step: on the control thread, and back */

static int missing_service(struct registry *reg, const struct explain_facts *f, struct error *err)
{
	(void)reg;
	if (f->subscriber_count == 0)
		return error_set(err, E_NOTFOUND, "there is no service %s@@%s in namespace %s", f->key.group, f->key.name,
				 f->key.ns);
	return error_set(err, E_NOTFOUND,
			 "there is no service %s@@%s in namespace %s; %zu clients subscribe to it and have been told that nobody is there",
			 f->key.group, f->key.name, f->key.ns, f->subscriber_count);
}

static int missing_instance(const struct service_view *v, const struct explain_facts *f, struct error *err)
{
	char what[SHOWN_MAX], port[16] = "", cluster[SHOWN_MAX];
	uint32_t others = 0;
	for (uint32_t n = 0; n < v->count; n++)
		others += strcmp(instance_ip(v->instances[n]), f->ip) == 0;
	if (f->by_port)
		snprintf(port, sizeof(port), ":%u", f->port);
	return error_set(err, E_NOTFOUND,
			 "service %s@@%s in namespace %s has no instance %s%s%s%s; it has %u instances, %u of them with that ip",
			 f->key.group, f->key.name, f->key.ns, shown(what, f->ip, strlen(f->ip)), port,
			 f->cluster != NULL ? " in cluster " : "",
			 f->cluster != NULL ? shown(cluster, f->cluster, strlen(f->cluster)) : "", v->count, others);
}

static int write_all(struct registry *reg, void *arg, struct error *err)
{
	struct request *r = arg;
	const struct explain_facts *f = r->more;
	int rc = E_OK;
	rcu_begin();
	const struct service_view *v = registry_view(reg, &f->key);
	if (v == NULL)
		rc = missing_service(reg, f, err);
	else if (f->ip != NULL && !explain_has(f, v))
		rc = missing_instance(v, f, err);
	else
		explain_write(&r->out, f, reg, v);
	rcu_end();
	return rc;
}

static void written(struct request *r)
{
	reply_json(r, 200, &r->out);
}

/* ---- what the I/O threads know */

static void see_publishers(const struct request *r, struct io *io, struct text *to)
{
	session_each_publisher(io, &((const struct explain_facts *)r->more)->key, to);
}

static void see_subscribers(const struct request *r, struct io *io, struct text *to)
{
	subscribers_of_service(io, &((const struct explain_facts *)r->more)->key, to);
}

/* The rows of a tour, kept while the next one is under way. */
static bool keep_rows(struct request *r, struct text *ret)
{
	ret->failed = r->out.failed;
	ret->len = r->out.len;
	ret->at = arena_memdup0(&r->call->arena, r->out.at, r->out.len);
	text_clear(&r->out);
	return ret->at != NULL && !ret->failed;
}

static void subscribers_seen(struct request *r)
{
	struct explain_facts *f = r->more;
	struct text rows;
	if (keep_rows(r, &rows))
		f->subscriber_count = subscribers_sort(&f->subscribers, &r->call->arena, &rows);
	if (f->subscribers == NULL)
		fail(r);
	else
		request_call(r, write_all, written);
}

static void publishers_seen(struct request *r)
{
	struct explain_facts *f = r->more;
	struct text rows;
	if (keep_rows(r, &rows))
		f->client_count = clients_sort(&f->clients, &r->call->arena, &rows);
	if (f->clients == NULL)
		fail(r);
	else
		request_tour(r, see_subscribers, subscribers_seen);
}

/* ---- what the prober knows */

static void on_probes(struct command *cmd)
{
	struct asking *a = (struct asking *)cmd;
	request_tour(a->r, see_publishers, publishers_seen);
}

/* On the prober's thread. */
static void on_answer(struct probe_question *q)
{
	struct asking *a = q->owner;
	inbox_post(a->r->io->inbox, &a->cmd.message);
}

/* What is probed of those that are asked for; NULL: no memory. */
static struct probe_seen *list_probes(struct request *r, const struct service_view *v, size_t *count)
{
	const struct explain_facts *f = r->more;
	struct probe_seen *seen;
	*count = 0;
	for (uint32_t n = 0; n < v->count && *count < PROBES_MAX; n++)
		*count += explain_wants(f, v, v->instances[n]);
	seen = arena_zalloc(&r->call->arena, (*count + 1) * sizeof(*seen));
	size_t at = 0;
	for (uint32_t n = 0; seen != NULL && at < *count; n++) {
		const struct instance *i = v->instances[n];
		if (!explain_wants(f, v, i))
			continue;
		seen[at].cluster = i->cluster;
		seen[at].port = i->port;
		seen[at].ip = arena_memdup0(&r->call->arena, instance_ip(i), i->ip_len);
		if (seen[at++].ip == NULL)
			return NULL;
	}
	return seen;
}

static bool ask_prober(struct request *r)
{
	struct explain_facts *f = r->more;
	struct asking *a = arena_zalloc(&r->call->arena, sizeof(*a));
	if (a == NULL)
		return false;
	rcu_begin();
	const struct service_view *v = registry_view(request_registry(r), &f->key);
	if (v != NULL && !v->info->ephemeral) {
		a->question.service_id = v->info->id;
		f->probes = list_probes(r, v, &f->probe_count);
	}
	rcu_end();
	if (f->probes == NULL || f->probe_count == 0)
		return false;
	a->r = r;
	a->cmd.on_done = on_probes;
	a->question.seen = f->probes;
	a->question.count = f->probe_count;
	a->question.on_answer = on_answer;
	a->question.owner = a;
	r->io->in_flight++; /* until it is back: the thread must not end before */
	if (f->explainer->probes(f->explainer->arg, &a->question))
		return true;
	r->io->in_flight--;
	f->probe_count = 0;
	return false;
}

static int read_facts(struct request *r, struct explain_facts *f)
{
	f->ip = param_text(&r->params, P_IP);
	f->cluster = param_or(&r->params, P_CLUSTER_NAME, param_text(&r->params, P_CLUSTER));
	f->by_port = param_text(&r->params, P_PORT) != NULL;
	int rc = request_key(r, &f->key);
	if (rc == E_OK && f->by_port)
		rc = param_port(&r->params, P_PORT, &f->port, &r->err);
	if (rc == E_OK && f->ip == NULL && (f->by_port || f->cluster != NULL))
		rc = error_set(&r->err, E_MISSING, "Param 'ip' is required when 'port' or 'clusterName' is given: all three name an instance");
	return rc;
}

void api_native_explain(struct request *r)
{
	struct explain_facts *f = arena_zalloc(&r->call->arena, sizeof(*f));
	r->more = f;
	if (f == NULL) {
		fail(r);
		return;
	}
	f->explainer = &r->io->api->conf.explainer;
	f->started_ms = r->io->api->started_ms;
	if (f->explainer->service == NULL)
		reply_framework(r, 501, "this build cannot explain", NULL);
	else if (read_facts(r, f) < 0 || io_has_room(r->io, &r->err) < 0)
		reply_failure(r);
	else if (!ask_prober(r))
		request_tour(r, see_publishers, publishers_seen);
}

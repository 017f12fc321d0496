/* native.c - our own endpoints: health, metrics, and why an instance is listed. */
#include "api/handlers.h"
#include "api/io.h"
#include "api/shapes.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "config.h"
#include <string.h>

void api_native_health(struct request *r)
{
	const char *missing = api_not_ready(r->io->api);
	struct text *t = answer_begin_bare(r);
	json_open(t, '{');
	json_kv_str(t, "status", missing == NULL ? "ok" : "unavailable");
	json_key(t, "missing");
	if (missing == NULL)
		json_null(t);
	else
		json_str(t, missing);
	json_kv_str(t, "version", PACKAGE_VERSION);
	json_close(t, '}');
	reply_json(r, missing == NULL ? 200 : 503, t);
}

void api_native_metrics(struct request *r)
{
	struct text *t = answer_begin_bare(r);
	metrics_print(t);
	if (t->failed)
		reply_text(r, 503, "no memory for the metrics");
	else
		reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", t->at, t->len);
}

struct instances_query {
	struct address_query wanted;
	int64_t started_ms;
};

static void write_instance(struct text *t, const struct service_view *v, const struct instance *i,
			   const struct instances_query *q, int64_t now_ms)
{
	int64_t beat = atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed);
	json_open(t, '{');
	json_key(t, "ip");
	json_strn(t, instance_ip(i), i->ip_len);
	json_kv_i64(t, "port", i->port);
	json_kv_str(t, "cluster", v->info->clusters[i->cluster].name);
	json_kv_double(t, "weight", i->weight);
	json_kv_bool(t, "healthy", (i->flags & INSTANCE_HEALTHY) != 0);
	json_kv_bool(t, "enabled", (i->flags & INSTANCE_ENABLED) != 0);
	json_kv_bool(t, "ephemeral", (i->flags & INSTANCE_EPHEMERAL) != 0);
	json_kv_bool(t, "overridden", (i->flags & INSTANCE_OVERRIDDEN) != 0);
	json_kv_bool(t, "restored", instance_is_restored(i, q->started_ms));
	json_key(t, "reason");
	if (i->reason_len > 0)
		json_strn(t, instance_reason(i), i->reason_len);
	else
		json_null(t);
	json_key(t, "lastBeatAgeMs");
	if (i->flags & INSTANCE_EPHEMERAL)
		json_i64(t, now_ms > beat ? now_ms - beat : 0);
	else
		json_null(t);
	json_kv_i64(t, "registeredMs", i->registered_ms);
	json_kv_str(t, "app", instance_app(i));
	json_key(t, "metadata");
	shape_metadata(t, instance_metadata(i));
	json_close(t, '}');
}

static void write_view(struct text *t, const struct service_view *v, const struct instances_query *q)
{
	int64_t now_ms = clock_ms();
	const struct service_info *info = v->info;
	json_open(t, '{');
	json_kv_str(t, "namespaceId", info->key.ns);
	json_kv_str(t, "groupName", info->key.group);
	json_kv_str(t, "serviceName", info->key.name);
	json_kv_i64(t, "number", (int64_t)v->number);
	json_kv_i64(t, "lastRefTime", v->last_ref_ms);
	json_kv_bool(t, "ephemeral", info->ephemeral);
	json_kv_bool(t, "stored", info->stored);
	json_kv_double(t, "protectThreshold", info->protect_threshold);
	json_kv_i64(t, "count", v->count);
	json_kv_i64(t, "healthy", v->healthy);
	json_key(t, "instances");
	json_open(t, '[');
	for (uint32_t n = 0; n < v->count; n++) {
		const struct instance *i = v->instances[n];
		if (address_wanted(&q->wanted, instance_ip(i), i->port))
			write_instance(t, v, i, q, now_ms);
	}
	json_close(t, ']');
	json_close(t, '}');
}

/* On the control thread: who publishes an instance is its business. */
static int write_instances(struct registry *reg, void *arg, struct error *err)
{
	struct request *r = arg;
	const struct instances_query *q = r->more;
	int rc = E_OK;
	const struct service_key *key = &q->wanted.key;
	rcu_begin();
	const struct service_view *v = registry_view(reg, key);
	if (v != NULL)
		write_view(&r->out, v, q);
	else
		rc = error_set(err, E_NOTFOUND, "there is no service %s@@%s in namespace %s", key->group, key->name,
			       key->ns);
	rcu_end();
	return rc;
}

static void instances_written(struct request *r)
{
	reply_json(r, 200, &r->out);
}

void api_native_instances(struct request *r)
{
	struct instances_query *q = arena_zalloc(&r->call->arena, sizeof(*q));
	r->more = q;
	if (q == NULL) {
		error_set(&r->err, E_NOMEM, "no memory for the list");
		reply_failure(r);
		return;
	}
	q->started_ms = r->io->api->started_ms;
	if (request_address(r, &q->wanted) < 0)
		reply_failure(r);
	else
		request_call(r, write_instances, instances_written);
}

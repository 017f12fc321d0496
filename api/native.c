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

static void write_instance(struct text *t, const struct service_view *v, const struct instance *i, int64_t now_ms)
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
	json_kv_bool(t, "restored", (i->flags & INSTANCE_RESTORED) != 0);
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

static void write_view(struct text *t, const struct service_view *v, const char *ip, const uint16_t *port)
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
		if ((ip == NULL || strcmp(ip, instance_ip(i)) == 0) && (port == NULL || *port == i->port))
			write_instance(t, v, i, now_ms);
	}
	json_close(t, ']');
	json_close(t, '}');
}

void api_native_instances(struct request *r)
{
	struct service_key key;
	uint16_t port = 0;
	bool by_port = param_text(&r->params, P_PORT) != NULL;
	if (request_key(r, &key) < 0 || (by_port && param_port(&r->params, P_PORT, &port, &r->err) < 0)) {
		reply_failure(r);
		return;
	}
	rcu_begin();
	const struct service_view *v = registry_view(request_registry(r), &key);
	if (v != NULL)
		write_view(answer_begin_bare(r), v, param_text(&r->params, P_IP), by_port ? &port : NULL);
	rcu_end();
	if (v != NULL) {
		answer_end_bare(r);
		return;
	}
	error_set(&r->err, E_NOTFOUND, "there is no service %s@@%s in namespace %s", key.group, key.name, key.ns);
	reply_failure(r);
}

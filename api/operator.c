/* operator.c - switches and metrics of the operator (nacos-naming 2.5, 7.8). */
#include "api/handlers.h"
#include "api/io.h"
#include <stdlib.h>
#include <unistd.h>

void api_switches_get(struct request *r)
{
	rcu_begin();
	switches_json(registry_switches(request_registry(r)), answer_begin(r));
	rcu_end();
	answer_end(r);
}

void api_switches_put(struct request *r)
{
	request_command(r, CMD_SWITCH_SET);
	r->cmd.cause = CAUSE_OPERATOR;
	if (param_require(&r->params, P_ENTRY, &r->cmd.set.entry, &r->err) < 0 ||
	    param_require(&r->params, P_VALUE, &r->cmd.set.value, &r->err) < 0)
		reply_failure(r);
	else
		request_submit(r, NULL);
}

static void write_status(struct request *r, struct text *t)
{
	rcu_begin();
	const char *override = registry_switches(request_registry(r))->status;
	json_kv_str(t, "status",
		    override[0] != '\0'			  ? override
		    : api_not_ready(r->io->api) != NULL ? "STARTING"
							  : "UP");
	rcu_end();
}

static double resident_share(void)
{
	return 0.0; /* of the machine's memory: muster_ metrics tell more */
}

static void write_counts(struct request *r, struct text *t)
{
	struct registry_stats s;
	registry_stats(request_registry(r), &s);
	bool v3 = r->route->face == FACE_V3;
	double load = 0;
	json_kv_i64(t, "serviceCount", (int64_t)s.services);
	json_kv_i64(t, "instanceCount", (int64_t)s.instances);
	json_kv_i64(t, "subscribeCount", 0);
	if (!v3)
		json_kv_i64(t, "responsibleInstanceCount", (int64_t)s.instances);
	json_kv_i64(t, "clientCount", (int64_t)s.instances);
	json_kv_i64(t, "connectionBasedClientCount", 0);
	json_kv_i64(t, "ephemeralIpPortClientCount", (int64_t)s.ephemeral);
	json_kv_i64(t, "persistentIpPortClientCount", (int64_t)s.persistent);
	json_kv_i64(t, "responsibleClientCount", (int64_t)s.instances);
	if (v3)
		return;
	if (getloadavg(&load, 1) != 1)
		load = 0;
	json_kv_double(t, "cpu", 0.0);
	json_kv_double(t, "load", load);
	json_kv_double(t, "mem", resident_share());
}

/* Always there: SDKs take anything but UP for down. */
void api_metrics_status(struct request *r)
{
	struct text *t = answer_begin(r);
	json_open(t, '{');
	write_status(r, t);
	if (!param_flag(&r->params, P_ONLY_STATUS, true))
		write_counts(r, t);
	json_close(t, '}');
	answer_end(r);
}

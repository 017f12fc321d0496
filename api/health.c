/* health.c - health set by hand, and what a client may ask about checks (nacos-naming 2.6, 7.4, 7.5). */
#include "api/handlers.h"
#include "api/io.h"
#include "api/shapes.h"
#include "registry/failure.h"

static int read_health(struct request *r)
{
	const struct params *p = &r->params;
	struct instance_spec *spec = &r->cmd.instance;
	int rc = request_key(r, &r->cmd.key);
	if (rc == E_OK)
		rc = param_require(p, P_IP, &spec->ip, &r->err);
	if (rc == E_OK)
		rc = param_port(p, P_PORT, &spec->port, &r->err);
	if (rc < 0)
		return rc;
	if (param_text(p, P_HEALTHY) == NULL && param_text(p, P_VALID) == NULL)
		return error_set(&r->err, E_MISSING, "Param 'healthy' is required.");
	spec->healthy = param_bool(p, P_HEALTHY, param_bool(p, P_VALID, false));
	spec->cluster = param_or(p, P_CLUSTER_NAME, param_or(p, P_CLUSTER, ""));
	spec->ephemeral = false;
	return E_OK;
}

void api_health_set(struct request *r)
{
	request_command(r, CMD_HEALTH_SET);
	if (read_health(r) < 0)
		reply_failure(r);
	else
		request_submit(r, NULL);
}

void api_health_server(struct request *r)
{
	struct registry_stats stats;
	registry_stats(request_registry(r), &stats);
	struct text *t = answer_begin_bare(r);
	text_printf(t,
		    "{\"msg\":\"Hello! I am Muster, speaking Nacos-Naming, and healthy! total services: %llu, "
		    "local port:%u\"}",
		    (unsigned long long)stats.services, doors_port(&r->io->doors));
	answer_end_bare(r);
}

void api_health_checkers(struct request *r)
{
	static const struct checker prototypes[] = {
		{ .kind = CHECKER_TCP, .type = "TCP" },
		{ .kind = CHECKER_HTTP, .type = "HTTP", .expected_code = 200 },
		{ .kind = CHECKER_MYSQL, .type = "MYSQL" },
		{ .kind = CHECKER_NONE, .type = "NONE" },
	};
	struct text *t = answer_begin(r);
	json_open(t, '{');
	for (size_t i = 0; i < sizeof(prototypes) / sizeof(prototypes[0]); i++) {
		json_key(t, prototypes[i].type);
		shape_checker(t, &prototypes[i]);
	}
	json_close(t, '}');
	answer_end(r);
}

/* state.c - liveness, readiness and what the server is, as consoles, manifests and SDKs ask for it
 * (nacos-naming 2.10, 4.4; nacos-config 7.3, 7.4). */
#include "api/handlers.h"
#include "api/io.h"
#include "api/members.h"
#include "config.h"

void api_state_liveness(struct request *r)
{
	if (request_is_v1(r))
		reply_text(r, 200, "OK");
	else
		reply_ok(r);
}

void api_state_readiness(struct request *r)
{
	const char *missing = api_not_ready(r->io->api);
	if (missing == NULL) {
		api_state_liveness(r);
		return;
	}
	const char *reason = arena_printf(&r->call->arena, "naming not in readiness: %s", missing);
	if (reason == NULL)
		reason = missing;
	if (request_is_v1(r)) {
		reply_text(r, 500, reason);
		return;
	}
	struct text *t = answer_begin_bare(r);
	json_open(t, '{');
	json_kv_i64(t, "code", 30000);
	json_kv_str(t, "message", "server error");
	json_kv_str(t, "data", reason);
	json_close(t, '}');
	answer_end_bare(r);
}

void api_state_actuator(struct request *r)
{
	bool ready = api_not_ready(r->io->api) == NULL;
	struct text *t = answer_begin_bare(r);
	text_add(t, ready ? "{\"status\":\"UP\"}" : "{\"status\":\"OUT_OF_SERVICE\"}");
	reply_json(r, ready ? 200 : 503, t);
}

/* Cluster health of v1 (RestResult) and v2 (Result). */
void api_state_up(struct request *r)
{
	const char *up = api_not_ready(r->io->api) == NULL ? "UP" : "STARTING";
	struct text *t = answer_begin(r);
	if (request_is_v1(r))
		text_printf(t, "{\"code\":200,\"message\":null,\"data\":\"%s\"}", up);
	else
		json_str(t, up);
	answer_end(r);
}

/* A flat map of texts; null where the original has it. */
void api_state_server(struct request *r)
{
	struct text *t = answer_begin(r);
	json_open(t, '{');
	json_kv_str(t, "version", NACOS_VERSION);
	json_kv_str(t, "muster_version", PACKAGE_VERSION);
	json_kv_str(t, "startup_mode", "standalone");
	json_kv_str(t, "standalone_mode", "standalone");
	json_kv_str(t, "function_mode", "naming");
	json_key(t, "server_port");
	text_printf(t, "\"%u\"", doors_port(&r->io->doors));
	json_kv_str(t, "datasource_platform", "");
	json_kv_str(t, "auth_enabled", "false");
	json_kv_str(t, "auth_system_type", "nacos");
	json_kv_str(t, "auth_admin_request", "false");
	json_kv_str(t, "login_page_enabled", "false");
	json_kv_str(t, "console_ui_enabled", "false");
	json_close(t, '}');
	answer_end(r);
}

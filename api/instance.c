/* instance.c - registration, removal, overlay, detail and beats of instances (nacos-naming 2.2, 3.3, 4.2). */
#include "api/handlers.h"
#include "api/io.h"
#include "api/json_in.h"
#include "api/shapes.h"
#include "base/writer.h"
#include "registry/failure.h"
#include <string.h>

/* Service, ip, port, cluster: what names an instance. */
static int read_address(struct request *r)
{
	struct instance_spec *spec = &r->cmd.instance;
	int rc = request_key(r, &r->cmd.key);
	if (rc == E_OK)
		rc = param_require(&r->params, P_IP, &spec->ip, &r->err);
	if (rc == E_OK)
		rc = name_check_ip(spec->ip, strlen(spec->ip), &r->err);
	if (rc == E_OK)
		rc = param_port(&r->params, P_PORT, &spec->port, &r->err);
	spec->cluster = param_or(&r->params, P_CLUSTER_NAME, param_or(&r->params, P_CLUSTER, ""));
	return rc;
}

static bool default_ephemeral(struct request *r)
{
	rcu_begin();
	bool v = registry_switches(request_registry(r))->default_ephemeral;
	rcu_end();
	return v;
}

static bool read_ephemeral(struct request *r)
{
	if (param_text(&r->params, P_EPHEMERAL) == NULL)
		return default_ephemeral(r);
	return param_bool(&r->params, P_EPHEMERAL, true);
}

static bool given(const struct request *r, enum param id)
{
	return param_text(&r->params, id) != NULL;
}

/* The rest of an instance; @has says which of them the request gave. */
static int read_fields(struct request *r)
{
	const struct params *p = &r->params;
	struct instance_spec *spec = &r->cmd.instance;
	struct pair_list metadata;
	int rc = param_double(p, P_WEIGHT, 1.0, &spec->weight, &r->err);
	if (rc == E_OK)
		rc = metadata_decode(&metadata, p->mem, p->values[P_METADATA], FAIL_INSTANCE_METADATA, "metadata",
				     &r->err);
	if (rc < 0)
		return rc;
	spec->metadata = metadata.at;
	spec->metadata_count = metadata.count;
	spec->enabled = param_bool(p, P_ENABLED, param_bool(p, P_ENABLE, true));
	spec->healthy = param_bool(p, P_HEALTHY, true);
	spec->ephemeral = read_ephemeral(r);
	spec->app = param_text(p, P_APP);
	spec->has = (unsigned)((given(r, P_WEIGHT) ? HAS_WEIGHT : 0) |
			       (given(r, P_ENABLED) || given(r, P_ENABLE) ? HAS_ENABLED : 0) |
			       (given(r, P_METADATA) ? HAS_METADATA : 0) | (given(r, P_HEALTHY) ? HAS_HEALTHY : 0));
	return E_OK;
}

static void submit_whole(struct request *r, enum command_kind kind)
{
	request_command(r, kind);
	if (read_address(r) < 0 || read_fields(r) < 0)
		reply_failure(r);
	else
		request_submit(r, NULL);
}

void api_instance_register(struct request *r)
{
	submit_whole(r, CMD_INSTANCE_REGISTER);
}

void api_instance_update(struct request *r)
{
	submit_whole(r, CMD_INSTANCE_UPDATE);
}

/* The answer of PATCH is the bare two bytes on v2 too. */
static void patched(struct request *r)
{
	reply(r, 200, TYPE_TEXT, "ok", 2);
}

void api_instance_patch(struct request *r)
{
	request_command(r, CMD_INSTANCE_PATCH);
	if (read_address(r) < 0 || read_fields(r) < 0)
		reply_failure(r);
	else
		request_submit(r, patched);
}

/* v3's PUT. What is not given stays as it is (the original fills in the defaults), and health is not its business: the
 * maintainer client sends healthy=true with every change. */
void api_instance_partial(struct request *r)
{
	request_command(r, CMD_INSTANCE_PATCH);
	if (read_address(r) < 0 || read_fields(r) < 0) {
		reply_failure(r);
		return;
	}
	r->cmd.instance.has &= ~(unsigned)HAS_HEALTHY;
	request_submit(r, NULL);
}

void api_instance_deregister(struct request *r)
{
	request_command(r, CMD_INSTANCE_DEREGISTER);
	if (read_address(r) < 0) {
		reply_failure(r);
		return;
	}
	r->cmd.instance.ephemeral = read_ephemeral(r);
	request_submit(r, NULL);
}

static const struct instance *find(const struct service_view *v, const char *ip, uint16_t port, const char *cluster)
{
	const struct instance *i;
	uint32_t at = 0;
	while ((i = view_find(v, ip, strlen(ip), port, &at)) != NULL)
		if (strcmp(v->info->clusters[i->cluster].name, cluster) == 0)
			return i;
	return NULL;
}

void api_instance_detail(struct request *r)
{
	struct service_key key;
	const char *ip;
	uint16_t port;
	if (request_key(r, &key) < 0 || param_require(&r->params, P_IP, &ip, &r->err) < 0 ||
	    param_port(&r->params, P_PORT, &port, &r->err) < 0) {
		reply_failure(r);
		return;
	}
	const char *cluster = param_or(&r->params, P_CLUSTER_NAME, param_or(&r->params, P_CLUSTER, "DEFAULT"));
	rcu_begin();
	const struct service_view *v = registry_view(request_registry(r), &key);
	const struct instance *i = v != NULL ? find(v, ip, port, cluster) : NULL;
	if (i != NULL && r->route->face == FACE_V3)
		shape_instance(answer_begin(r), v->info, i, (i->flags & INSTANCE_HEALTHY) != 0);
	else if (i != NULL)
		shape_instance_detail(answer_begin(r), v->info, i, request_is_v1(r));
	rcu_end();
	if (i != NULL) {
		answer_end(r);
		return;
	}
	char shown_ip[SHOWN_MAX], shown_cluster[SHOWN_MAX];
	error_set_what(&r->err, E_NOTFOUND, FAIL_INSTANCE_MISSING,
		       "no matched ip found: service %s@@%s has no instance %s:%u in cluster %s", key.group, key.name,
		       shown(shown_ip, ip, strlen(ip)), port, shown(shown_cluster, cluster, strlen(cluster)));
	reply_failure(r);
}

/* ---- beats */

static void beat_answer(struct request *r, int code, uint32_t beat_ms, bool light)
{
	char body[96];
	struct writer w = writer_of(body, sizeof(body));
	static const char head[] = "{\"clientBeatInterval\":", middle[] = ",\"code\":",
			  tail_on[] = ",\"lightBeatEnabled\":true}", tail_off[] = ",\"lightBeatEnabled\":false}";
	char digits[12];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + beat_ms % 10);
		beat_ms /= 10;
	} while (beat_ms > 0);
	writer_put(&w, head, sizeof(head) - 1);
	writer_put(&w, digits + at, sizeof(digits) - at);
	writer_put(&w, middle, sizeof(middle) - 1);
	writer_put(&w, code == 10200 ? "10200" : "20404", 5);
	if (light)
		writer_put(&w, tail_on, sizeof(tail_on) - 1);
	else
		writer_put(&w, tail_off, sizeof(tail_off) - 1);
	reply(r, 200, TYPE_JSON, body, writer_len(&w));
}

static bool light_beats(struct request *r)
{
	rcu_begin();
	bool v = registry_switches(request_registry(r))->light_beat;
	rcu_end();
	return v;
}

static void beaten(struct request *r)
{
	beat_answer(r, r->cmd.unknown ? 20404 : 10200, r->cmd.beat_ms, light_beats(r));
}

/* The beat JSON, if there is one, else ip, port and clusterName of the request. */
static int read_beat(struct request *r)
{
	struct instance_spec *spec = &r->cmd.instance;
	struct beat_in beat = { 0 };
	int rc = E_OK;
	r->cmd.full_beat = given(r, P_BEAT);
	if (r->cmd.full_beat)
		rc = beat_decode(&beat, r->params.mem, r->params.values[P_BEAT], &r->err);
	if (rc < 0)
		return rc;
	if (!given(r, P_SERVICE_NAME) && beat.service_name != NULL && beat.service_name[0] != '\0')
		r->params.values[P_SERVICE_NAME] =
		    (struct param_value){ (char *)(uintptr_t)beat.service_name, (uint32_t)strlen(beat.service_name) };
	rc = request_key(r, &r->cmd.key);
	if (rc < 0)
		return rc;
	spec->cluster = param_or(&r->params, P_CLUSTER_NAME, param_or(&r->params, P_CLUSTER, ""));
	if (beat.ip != NULL && beat.ip[0] != '\0')
		spec->ip = beat.ip;
	else if ((rc = param_require(&r->params, P_IP, &spec->ip, &r->err)) < 0)
		return rc;
	if (beat.has_port)
		spec->port = beat.port;
	else if ((rc = param_port(&r->params, P_PORT, &spec->port, &r->err)) < 0)
		return rc;
	if (!r->cmd.full_beat)
		return E_OK;
	if (beat.cluster != NULL && beat.cluster[0] != '\0')
		spec->cluster = beat.cluster;
	spec->weight = beat.weight;
	spec->ephemeral = beat.ephemeral;
	spec->metadata = beat.metadata.at;
	spec->metadata_count = beat.metadata.count;
	return E_OK;
}

/* A known, healthy instance only has its time stored, here; all else is control's. */
void api_instance_beat(struct request *r)
{
	request_command(r, CMD_INSTANCE_BEAT);
	if (read_beat(r) < 0) {
		reply_failure(r);
		return;
	}
	struct registry *reg = request_registry(r);
	const struct instance_spec *spec = &r->cmd.instance;
	rcu_begin();
	uint32_t beat_ms = registry_beat(reg, &r->cmd.key, spec->ip, strlen(spec->ip), spec->port, io_now_ms(r->io));
	bool light = registry_switches(reg)->light_beat;
	rcu_end();
	if (beat_ms > 0)
		beat_answer(r, 10200, beat_ms, light);
	else
		request_submit(r, beaten);
}

void api_legacy_beat(struct request *r)
{
	const char *dom;
	if (param_require(&r->params, P_DOM, &dom, &r->err) < 0) {
		reply_failure(r);
		return;
	}
	r->params.values[P_SERVICE_NAME] = r->params.values[P_DOM];
	r->params.values[P_GROUP_NAME] = (struct param_value){ 0 };
	api_instance_beat(r);
}

/* ---- v3 client: POST with heartBeat=true refreshes and never registers */

static void v3_beaten(struct request *r)
{
	static const char missing[] = "{\"code\":21003,\"message\":\"instance not found\",\"data\":null}";
	if (r->cmd.unknown)
		reply(r, 200, TYPE_JSON, missing, sizeof(missing) - 1);
	else
		reply_ok(r);
}

static void v3_beat(struct request *r)
{
	request_command(r, CMD_INSTANCE_BEAT);
	r->cmd.full_beat = false;
	if (read_address(r) < 0) {
		reply_failure(r);
		return;
	}
	const struct instance_spec *spec = &r->cmd.instance;
	rcu_begin();
	uint32_t beat_ms = registry_beat(request_registry(r), &r->cmd.key, spec->ip, strlen(spec->ip), spec->port,
					 io_now_ms(r->io));
	rcu_end();
	if (beat_ms > 0)
		reply_ok(r);
	else
		request_submit(r, v3_beaten);
}

void api_instance_v3_register(struct request *r)
{
	if (param_flag(&r->params, P_HEART_BEAT, false))
		v3_beat(r);
	else
		api_instance_register(r);
}

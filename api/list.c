/* list.c - lists of instances, from the published view, encoded once per view (nacos-naming 1.13, 2.2, 4.2). */
#include "api/handlers.h"
#include "api/info_body.h"
#include "api/io.h"
#include "api/udp_poll.h"
#include "base/metrics.h"
#include "registry/failure.h"
#include <string.h>

static void write_list(struct text *t, const struct service_key *key,
		       const struct service_view *v, const struct list_query *q, enum encoding_shape shape)
{
	bool protected_;
	if (shape == SHAPE_LEGACY)
		shape_legacy_list(t, v, q);
	else if (shape != SHAPE_V3)
		shape_service_info(t, key, v, q);
	else if (v != NULL)
		shape_hosts(t, v, q, &protected_);
	else
		json_raw(t, "[]", 2);
}

static void list(struct request *r, const struct service_key *key, struct list_query *q, enum encoding_shape shape)
{
	struct io *io = r->io;
	struct registry *reg = request_registry(r);
	struct encoding *c = NULL;
	rcu_begin();
	q->absent_ref_ms = registry_last_ref_ms(reg);
	const struct service_view *v = registry_view(reg, key);
	const struct switches *switches = registry_switches(reg);
	struct encoding_key at = { 0 };
	q->cache_ms = shape == SHAPE_V1_POLLED ? switches->cache_ms : switches->push_cache_ms;
	if (v != NULL) {
		at = info_body_key(v, q, shape);
		c = encodings_find(&io->encodings, &at);
	}
	if (c == NULL) {
		struct text *t = answer_begin(r);
		write_list(t, key, v, q, shape);
		if (r->route->face != FACE_V1)
			json_close(t, '}');
		if (v != NULL && !t->failed)
			c = encodings_add(&io->encodings, &at, t->at, t->len);
		metrics_add(io->cell_misses, 1);
	} else {
		metrics_add(io->cell_hits, 1);
	}
	rcu_end();
	if (c != NULL)
		reply_shared(r, TYPE_JSON, c->body, c->len, encoding_release, c);
	else
		answer_end_bare(r);
}

/* Each name of the comma list is held against layer A; an absurd list is refused before it is a cache key. */
static int check_clusters(struct request *r, enum param id, const char *clusters)
{
	const struct param_value *v = &r->params.values[id];
	if (v->at == NULL)
		return E_OK;
	for (const char *at = clusters; *at != '\0';) {
		size_t n = strcspn(at, ",");
		int rc = n == 0 ? E_OK : name_check_cluster(at, n, &r->err);
		if (rc < 0)
			return rc;
		at += n + (at[n] == ',');
	}
	return E_OK;
}

void api_instance_list(struct request *r)
{
	enum param id = request_is_v1(r) ? P_CLUSTERS : P_CLUSTER_NAME;
	struct service_key key;
	struct list_query q = {
		.clusters = param_or(&r->params, id, ""),
		.healthy_only = param_flag(&r->params, P_HEALTHY_ONLY, false),
	};
	if (request_key(r, &key) < 0 || check_clusters(r, id, q.clusters) < 0) {
		reply_failure(r);
		return;
	}
	enum udp_poll polled = udp_poll(r, &key, q.clusters);
	if (polled == UDP_INVALID)
		reply_failure(r);
	else if (request_is_v1(r))
		list(r, &key, &q, polled == UDP_POLLED ? SHAPE_V1_POLLED : SHAPE_V1);
	else
		list(r, &key, &q, SHAPE_V2);
}

/* The old CoreDNS plug-in's (2.9): `dom` is a bare name of DEFAULT_GROUP. */
void api_legacy_list(struct request *r)
{
	struct service_key key;
	struct list_query q = {
		.clusters = param_or(&r->params, P_CLUSTERS, ""),
		.healthy_only = param_flag(&r->params, P_HEALTHY_ONLY, false),
	};
	r->params.values[P_SERVICE_NAME] = r->params.values[P_DOM];
	r->params.values[P_GROUP_NAME] = (struct param_value){ 0 };
	if (param_require(&r->params, P_DOM, &q.dom, &r->err) < 0 || request_key(r, &key) < 0 ||
	    check_clusters(r, P_CLUSTERS, q.clusters) < 0) {
		reply_failure(r);
		return;
	}
	q.dom = key.name;
	list(r, &key, &q, SHAPE_LEGACY);
}

/* As the original: no cluster means DEFAULT, and healthyOnly is taken and not looked at. */
void api_instance_v3_list(struct request *r)
{
	struct service_key key;
	struct list_query q = { .clusters = param_or(&r->params, P_CLUSTER_NAME, "DEFAULT") };
	if (request_key(r, &key) < 0 || check_clusters(r, P_CLUSTER_NAME, q.clusters) < 0) {
		reply_failure(r);
		return;
	}
	list(r, &key, &q, SHAPE_V3);
}

/* ---- statuses: every instance with its health, disabled ones too */

/* The key: a parameter on v1, on v2 the last segment of the path. NULL: there is none. */
static char *statuses_key(struct request *r)
{
	if (request_is_v1(r))
		return r->params.values[P_KEY].at;
	return request_last_segment(r);
}

/* [namespace##]group@@service */
static int statuses_service(struct request *r, struct service_key *ret)
{
	char *key = statuses_key(r), *sharps = key != NULL ? strstr(key, "##") : NULL;
	const char *ns = "", *name = key;
	if (key == NULL)
		return error_set(&r->err, E_MISSING, "Param 'key' is required.");
	if (sharps != NULL) {
		*sharps = '\0';
		ns = key;
		name = sharps + 2;
	}
	char part[SHOWN_MAX], *buf = arena_alloc(&r->call->arena, strlen(name) + 1);
	if (buf == NULL)
		return error_set(&r->err, E_NOMEM, "no memory for the service name");
	if (strstr(name, "@@") == NULL || !utf8_valid(name, strlen(name)))
		return error_set_what(&r->err, E_INVALID, FAIL_PARAM,
				      "Param 'key' is illegal, '%s' is not [namespace##]group@@service",
				      shown(part, name, strlen(name)));
	return name_normalise(ret, ns, "", name, buf, &r->err);
}

void api_instance_statuses(struct request *r)
{
	struct service_key key;
	if (statuses_service(r, &key) < 0) {
		reply_failure(r);
		return;
	}
	struct text *t = answer_begin_bare(r), line;
	text_init(&line);
	json_open(t, '{');
	json_key(t, "ips");
	json_open(t, '[');
	rcu_begin();
	const struct service_view *v = registry_view(request_registry(r), &key);
	for (uint32_t n = 0; v != NULL && n < v->count; n++) {
		const struct instance *i = v->instances[n];
		text_clear(&line);
		text_printf(&line, "%s:%u_%s", instance_ip(i), i->port, i->flags & INSTANCE_HEALTHY ? "true" : "false");
		json_strn(t, line.at, line.len);
	}
	rcu_end();
	if (line.failed)
		t->failed = true;
	text_done(&line);
	json_close(t, ']');
	json_close(t, '}');
	answer_end_bare(r);
}

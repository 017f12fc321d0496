/* shapes.c - JSON of the reference; see shapes.h. */
#include "api/shapes.h"

#include <string.h>

void shape_grouped(struct text *t, const struct service_key *key)
{
	/* Their characters were checked on the way in, but a quote is legal in a service name. */
	char buf[1024];
	size_t len = (size_t)key->group_len + 2 + key->name_len;
	if (len > sizeof(buf)) { /* the limits are 128 and 512 */
		json_strn(t, key->name, key->name_len);
		return;
	}
	memcpy(buf, key->group, key->group_len);
	memcpy(buf + key->group_len, "@@", 2);
	memcpy(buf + key->group_len + 2, key->name, key->name_len);
	json_strn(t, buf, len);
}

void shape_metadata(struct text *t, struct packed metadata)
{
	struct pair p;
	json_open(t, '{');
	for (size_t at = 0; packed_next(&metadata, &at, &p);) {
		json_key(t, p.key);
		json_strn(t, p.value, p.value_len);
	}
	json_close(t, '}');
}

void shape_instance_id(struct text *t, const struct service_info *info, const struct instance *i)
{
	if (i->id_len > 0) {
		json_strn(t, instance_custom_id(i), i->id_len);
		return;
	}
	char buf[1024];
	const char *cluster = info->clusters[i->cluster].name;
	const char *parts[] = { instance_ip(i), "#", NULL, "#", cluster, "#", info->key.group, "@@", info->key.name };
	char port[8];
	char *digit = port + sizeof(port) - 1;
	unsigned left = i->port;
	*digit = '\0';
	do {
		*--digit = (char)('0' + left % 10);
		left /= 10;
	} while (left > 0);
	parts[2] = digit;
	size_t at = 0;
	for (size_t n = 0; n < sizeof(parts) / sizeof(parts[0]); n++) {
		size_t len = strlen(parts[n]);
		if (len > sizeof(buf) - at)
			len = sizeof(buf) - at;
		memcpy(buf + at, parts[n], len);
		at += len;
	}
	json_strn(t, buf, at);
}

static void shape_id_generator(struct text *t, struct packed metadata)
{
	const char *named = metadata.count == 0 ? "simple" : packed_find(&metadata, "preserved.instance.id.generator");
	if (named != NULL)
		json_kv_str(t, "instanceIdGenerator", named);
}

void shape_instance(struct text *t, const struct service_info *info, const struct instance *i, bool shown_healthy)
{
	struct packed metadata = instance_metadata(i);
	json_open(t, '{');
	json_key(t, "instanceId");
	shape_instance_id(t, info, i);
	json_key(t, "ip");
	json_strn(t, instance_ip(i), i->ip_len);
	json_kv_i64(t, "port", i->port);
	json_kv_double(t, "weight", i->weight);
	json_kv_bool(t, "healthy", shown_healthy);
	json_kv_bool(t, "enabled", (i->flags & INSTANCE_ENABLED) != 0);
	json_kv_bool(t, "ephemeral", (i->flags & INSTANCE_EPHEMERAL) != 0);
	json_kv_str(t, "clusterName", info->clusters[i->cluster].name);
	json_key(t, "serviceName");
	shape_grouped(t, &info->key);
	json_key(t, "metadata");
	shape_metadata(t, metadata);
	json_kv_i64(t, "instanceHeartBeatInterval", i->beat_ms);
	json_kv_i64(t, "instanceHeartBeatTimeOut", i->unhealthy_ms);
	json_kv_i64(t, "ipDeleteTimeout", i->remove_ms);
	shape_id_generator(t, metadata);
	json_close(t, '}');
}

/* As of S1.4, for what reads the legacy lists: it looks at "valid". */
static void shape_old_instance(struct text *t, const struct service_info *info, const struct instance *i,
			       bool shown_healthy)
{
	json_open(t, '{');
	json_key(t, "ip");
	json_strn(t, instance_ip(i), i->ip_len);
	json_kv_i64(t, "port", i->port);
	json_kv_bool(t, "valid", shown_healthy);
	json_kv_bool(t, "healthy", shown_healthy);
	json_kv_bool(t, "marked", false);
	json_key(t, "instanceId");
	shape_instance_id(t, info, i);
	json_key(t, "metadata");
	shape_metadata(t, instance_metadata(i));
	json_kv_bool(t, "enabled", (i->flags & INSTANCE_ENABLED) != 0);
	json_kv_double(t, "weight", i->weight);
	json_kv_str(t, "clusterName", info->clusters[i->cluster].name);
	json_kv_str(t, "serviceName", info->key.name);
	json_kv_bool(t, "ephemeral", (i->flags & INSTANCE_EPHEMERAL) != 0);
	json_close(t, '}');
}

void shape_checker(struct text *t, const struct checker *c)
{
	json_open(t, '{');
	json_kv_str(t, "type", c->type != NULL ? c->type : "TCP");
	if (c->kind == CHECKER_HTTP) {
		json_kv_str(t, "path", c->path != NULL ? c->path : "");
		json_kv_str(t, "headers", c->headers != NULL ? c->headers : "");
		json_kv_i64(t, "expectedResponseCode", c->expected_code);
	} else if (c->kind == CHECKER_MYSQL) {
		json_kv_str(t, "user", c->user != NULL ? c->user : "");
		json_kv_str(t, "pwd", c->password != NULL ? c->password : "");
		json_kv_str(t, "cmd", c->command != NULL ? c->command : "");
	}
	json_close(t, '}');
}

/* ---- lists */

enum { CLUSTERS_MAX = 256 /* of one service that a filter can name; later ones are compared by text */ };

static bool cluster_named(const char *list, const char *name)
{
	size_t len = strlen(name);
	for (const char *at = list; *at != '\0';) {
		const char *end = strchr(at, ',');
		size_t n = end != NULL ? (size_t)(end - at) : strlen(at);
		if (n == len && memcmp(at, name, len) == 0)
			return true;
		at = end != NULL ? end + 1 : at + n;
	}
	return false;
}

struct filter {
	const struct service_view *view;
	const struct list_query *query;
	bool all;
	bool wanted[CLUSTERS_MAX]; /* by cluster index */
};

static void filter_init(struct filter *f, const struct service_view *v, const struct list_query *q)
{
	f->view = v;
	f->query = q;
	f->all = q->clusters[0] == '\0';
	if (f->all)
		return;
	for (uint32_t i = 0; i < v->info->cluster_count && i < CLUSTERS_MAX; i++)
		f->wanted[i] = cluster_named(q->clusters, v->info->clusters[i].name);
}

static bool filter_passes(const struct filter *f, const struct instance *i)
{
	if (!(i->flags & INSTANCE_ENABLED) || (f->query->healthy_only && !(i->flags & INSTANCE_HEALTHY)))
		return false;
	if (f->all)
		return true;
	return i->cluster < CLUSTERS_MAX ? f->wanted[i->cluster]
					 : cluster_named(f->query->clusters, f->view->info->clusters[i->cluster].name);
}

void shape_hosts(struct text *t, const struct service_view *v, const struct list_query *q, bool *protected_)
{
	struct filter f;
	uint32_t total = 0, healthy = 0;
	filter_init(&f, v, q);
	for (uint32_t n = 0; n < v->count; n++) {
		if (!filter_passes(&f, v->instances[n]))
			continue;
		total++;
		healthy += (v->instances[n]->flags & INSTANCE_HEALTHY) != 0;
	}
	*protected_ = view_protects(v->info, total, healthy);
	text_reserve(t, (size_t)total * 384);
	json_open(t, '[');
	for (uint32_t n = 0; n < v->count; n++) {
		const struct instance *i = v->instances[n];
		if (!filter_passes(&f, i))
			continue;
		bool healthy_shown = *protected_ || (i->flags & INSTANCE_HEALTHY);
		if (q->dom != NULL)
			shape_old_instance(t, v->info, i, healthy_shown);
		else
			shape_instance(t, v->info, i, healthy_shown);
	}
	json_close(t, ']');
}

void shape_service_info(struct text *t, const struct service_key *key, const struct service_view *v,
			const struct list_query *q)
{
	bool protected_ = false;
	json_open(t, '{');
	json_key(t, "name");
	if (q->bare_name)
		json_strn(t, key->name, key->name_len);
	else
		shape_grouped(t, key);
	json_kv_str(t, "groupName", key->group);
	json_kv_str(t, "clusters", q->clusters);
	json_kv_i64(t, "cacheMillis", q->cache_ms);
	json_key(t, "hosts");
	if (v != NULL)
		shape_hosts(t, v, q, &protected_);
	else
		json_raw(t, "[]", 2);
	json_kv_i64(t, "lastRefTime", v != NULL ? v->last_ref_ms : q->absent_ref_ms);
	json_kv_str(t, "checksum", "");
	json_kv_bool(t, "allIPs", false);
	json_kv_bool(t, "reachProtectionThreshold", protected_);
	json_kv_bool(t, "valid", true);
	json_close(t, '}');
}

void shape_legacy_list(struct text *t, const struct service_view *v, const struct list_query *q)
{
	bool protected_ = false;
	json_open(t, '{');
	json_key(t, "hosts");
	if (v != NULL)
		shape_hosts(t, v, q, &protected_);
	else
		json_raw(t, "[]", 2);
	json_kv_str(t, "dom", q->dom);
	json_kv_str(t, "name", q->dom);
	json_kv_i64(t, "cacheMillis", q->cache_ms);
	json_kv_i64(t, "lastRefTime", v != NULL ? v->last_ref_ms : q->absent_ref_ms);
	json_kv_str(t, "checksum", "");
	json_kv_bool(t, "useSpecifiedURL", false);
	json_kv_str(t, "clusters", q->clusters);
	json_kv_str(t, "env", "");
	json_key(t, "metadata");
	if (v != NULL)
		shape_metadata(t, v->info->metadata);
	else
		json_raw(t, "{}", 2);
	json_close(t, '}');
}

/* ---- services, instances, namespaces */

void clusters_shown(struct shown_clusters *ret, const struct service_view *v)
{
	const struct service_info *info = v->info;
	uint32_t left = info->cluster_count < 256 ? info->cluster_count : 256;
	memset(ret->used, 0, sizeof(ret->used));
	for (uint32_t n = 0; n < v->count; n++)
		if (v->instances[n]->cluster < 256)
			ret->used[v->instances[n]->cluster] = true;
	ret->count = info->cluster_count - left;
	for (uint32_t i = 0; i < left; i++)
		ret->count += cluster_shown(ret, info, i);
}

bool cluster_shown(const struct shown_clusters *c, const struct service_info *info, uint32_t cluster)
{
	return cluster >= 256 || c->used[cluster] || info->clusters[cluster].stored;
}

void shape_service_v1(struct text *t, const struct service_view *v)
{
	const struct service_info *info = v->info;
	struct shown_clusters shown;
	clusters_shown(&shown, v);
	json_open(t, '{');
	json_kv_str(t, "namespaceId", info->key.ns);
	json_kv_str(t, "groupName", info->key.group);
	json_kv_str(t, "name", info->key.name);
	json_kv_double(t, "protectThreshold", info->protect_threshold);
	json_key(t, "metadata");
	shape_metadata(t, info->metadata);
	json_key(t, "selector");
	json_raw(t, info->selector, strlen(info->selector));
	json_key(t, "clusters");
	json_open(t, '[');
	for (uint32_t i = 0; i < info->cluster_count; i++) {
		const struct cluster *c = &info->clusters[i];
		if (!cluster_shown(&shown, info, i))
			continue;
		json_open(t, '{');
		json_kv_str(t, "name", c->name);
		json_key(t, "healthChecker");
		shape_checker(t, &c->checker);
		json_key(t, "metadata");
		shape_metadata(t, c->metadata);
		json_close(t, '}');
	}
	json_close(t, ']');
	json_close(t, '}');
}

void shape_cluster_map(struct text *t, const struct service_view *v,
		       void (*shape)(struct text *t, const struct service_view *v, uint32_t cluster))
{
	const struct service_info *info = v->info;
	struct shown_clusters shown;
	clusters_shown(&shown, v);
	json_key(t, "clusterMap");
	json_open(t, '{');
	for (uint32_t i = 0; i < info->cluster_count; i++) {
		if (!cluster_shown(&shown, info, i))
			continue;
		json_key(t, info->clusters[i].name);
		shape(t, v, i);
	}
	json_close(t, '}');
}

static void shape_cluster_hosts(struct text *t, const struct service_view *v, uint32_t cluster)
{
	json_open(t, '[');
	for (uint32_t n = 0; n < v->count; n++)
		if (v->instances[n]->cluster == cluster)
			shape_instance(t, v->info, v->instances[n], (v->instances[n]->flags & INSTANCE_HEALTHY) != 0);
	json_close(t, ']');
}

static void shape_cluster_settings(struct text *t, const struct service_view *v, uint32_t cluster, bool with_hosts)
{
	const struct cluster *c = &v->info->clusters[cluster];
	json_open(t, '{');
	json_kv_str(t, "clusterName", c->name);
	json_key(t, "healthChecker");
	shape_checker(t, &c->checker);
	json_kv_i64(t, "healthyCheckPort", c->check_port);
	json_kv_bool(t, "useInstancePortForCheck", c->use_instance_port);
	json_key(t, "metadata");
	shape_metadata(t, c->metadata);
	json_key(t, "hosts");
	if (with_hosts)
		shape_cluster_hosts(t, v, cluster);
	else
		json_null(t);
	json_close(t, '}');
}

static void shape_cluster_bare(struct text *t, const struct service_view *v, uint32_t cluster)
{
	shape_cluster_settings(t, v, cluster, false);
}

static void shape_cluster_full(struct text *t, const struct service_view *v, uint32_t cluster)
{
	shape_cluster_settings(t, v, cluster, true);
}

void shape_service_detail(struct text *t, const struct service_view *v, enum service_detail which)
{
	const struct service_info *info = v->info;
	json_open(t, '{');
	json_kv_str(t, which == DETAIL_V2 ? "namespace" : "namespaceId", info->key.ns);
	json_kv_str(t, "serviceName", info->key.name);
	json_kv_str(t, "groupName", info->key.group);
	shape_cluster_map(t, v, which == DETAIL_V3_HOSTS ? shape_cluster_full : shape_cluster_bare);
	json_key(t, "metadata");
	shape_metadata(t, info->metadata);
	json_kv_double(t, "protectThreshold", info->protect_threshold);
	json_key(t, "selector");
	json_raw(t, info->selector, strlen(info->selector));
	json_kv_bool(t, "ephemeral", info->ephemeral);
	json_close(t, '}');
}

void shape_instance_detail(struct text *t, const struct service_info *info, const struct instance *i, bool v1)
{
	json_open(t, '{');
	json_key(t, v1 ? "service" : "serviceName");
	shape_grouped(t, &info->key);
	json_key(t, "ip");
	json_strn(t, instance_ip(i), i->ip_len);
	json_kv_i64(t, "port", i->port);
	json_kv_str(t, "clusterName", info->clusters[i->cluster].name);
	json_kv_double(t, "weight", i->weight);
	json_kv_bool(t, "healthy", (i->flags & INSTANCE_HEALTHY) != 0);
	json_key(t, "instanceId");
	shape_instance_id(t, info, i);
	json_key(t, "metadata");
	shape_metadata(t, instance_metadata(i));
	json_close(t, '}');
}

void shape_namespace(struct text *t, const struct namespace_row *row, const char *reserved_id)
{
	json_open(t, '{');
	json_kv_str(t, "namespace", row->type == 0 ? reserved_id : row->id);
	json_kv_str(t, "namespaceShowName", row->name);
	json_key(t, "namespaceDesc");
	if (row->description == NULL || row->description[0] == '\0')
		json_null(t);
	else
		json_str(t, row->description);
	json_kv_i64(t, "quota", 200);
	json_kv_i64(t, "configCount", 0);
	json_kv_i64(t, "type", row->type);
	json_close(t, '}');
}

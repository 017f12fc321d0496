/* shape_catalog.c - what consoles are shown of services (nacos-naming 2.7); see shapes.h. */
#include "api/shapes.h"

#include <string.h>

static void shape_catalog_cluster(struct text *t, const struct service_info *info, const struct cluster *c)
{
	json_open(t, '{');
	json_key(t, "serviceName");
	shape_grouped(t, &info->key);
	json_kv_str(t, "name", c->name);
	json_key(t, "healthChecker");
	shape_checker(t, &c->checker);
	json_kv_i64(t, "defaultPort", 80);
	json_kv_i64(t, "defaultCheckPort", c->check_port);
	json_kv_bool(t, "useIpPort4Check", c->use_instance_port);
	json_kv_bool(t, "useIPPort4Check", c->use_instance_port); /* the one that the console of 2.x reads */
	json_key(t, "metadata");
	shape_metadata(t, c->metadata);
	json_close(t, '}');
}

void shape_catalog_service(struct text *t, const struct service_view *v)
{
	const struct service_info *info = v->info;
	struct shown_clusters shown;
	clusters_shown(&shown, v);
	json_open(t, '{');
	json_key(t, "service");
	json_open(t, '{');
	json_kv_str(t, "name", info->key.name);
	json_kv_str(t, "groupName", info->key.group);
	json_kv_double(t, "protectThreshold", info->protect_threshold);
	json_key(t, "selector");
	json_raw(t, info->selector, strlen(info->selector));
	json_key(t, "metadata");
	shape_metadata(t, info->metadata);
	json_close(t, '}');
	json_key(t, "clusters");
	json_open(t, '[');
	for (uint32_t i = 0; i < info->cluster_count; i++)
		if (cluster_shown(&shown, info, i))
			shape_catalog_cluster(t, info, &info->clusters[i]);
	json_close(t, ']');
	json_close(t, '}');
}

void shape_catalog_entry(struct text *t, const struct service_view *v)
{
	struct shown_clusters shown;
	clusters_shown(&shown, v);
	json_open(t, '{');
	json_kv_str(t, "name", v->info->key.name);
	json_kv_str(t, "groupName", v->info->key.group);
	json_kv_i64(t, "clusterCount", shown.count);
	json_kv_i64(t, "ipCount", v->count);
	json_kv_i64(t, "healthyInstanceCount", v->healthy);
	json_kv_str(t, "triggerFlag", view_protects(v->info, v->count, v->healthy) ? "true" : "false");
	json_close(t, '}');
}

static void shape_catalog_host(struct text *t, const struct instance *i)
{
	json_open(t, '{');
	json_kv_bool(t, "valid", (i->flags & INSTANCE_HEALTHY) != 0);
	json_key(t, "metadata");
	shape_metadata(t, instance_metadata(i));
	json_kv_i64(t, "port", i->port);
	json_key(t, "ip");
	json_strn(t, instance_ip(i), i->ip_len);
	json_kv_double(t, "weight", i->weight);
	json_kv_bool(t, "enabled", (i->flags & INSTANCE_ENABLED) != 0);
	json_close(t, '}');
}

static void shape_catalog_hosts(struct text *t, const struct service_view *v, uint32_t cluster)
{
	json_open(t, '{');
	json_key(t, "hosts");
	json_open(t, '[');
	for (uint32_t n = 0; n < v->count; n++)
		if (v->instances[n]->cluster == cluster)
			shape_catalog_host(t, v->instances[n]);
	json_close(t, ']');
	json_close(t, '}');
}

void shape_catalog_detail(struct text *t, const struct service_view *v)
{
	const struct service_info *info = v->info;
	json_open(t, '{');
	json_kv_str(t, "serviceName", info->key.name);
	json_kv_str(t, "groupName", info->key.group);
	shape_cluster_map(t, v, shape_catalog_hosts);
	json_key(t, "metadata");
	shape_metadata(t, info->metadata);
	json_close(t, '}');
}

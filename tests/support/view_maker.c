/* view_maker.c - views from rows. */
#include "tests/support/view_maker.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static void *room(size_t size)
{
	void *p = calloc(1, size);
	if (p == NULL)
		abort();
	return p;
}

static char *copy(const char *s)
{
	char *p = room(strlen(s) + 1);
	return strcpy(p, s);
}

static struct instance *instance_make(const struct view_row *row)
{
	size_t ip_len = strlen(row->ip), packed = packed_size(row->metadata, row->metadata_count);
	size_t text = ip_len + 4 + packed; /* NULs of ip, id, app, reason */
	struct instance *i = room(sizeof(*i) + text);
	i->weight = row->weight;
	i->port = row->port;
	if (inet_pton(AF_INET, row->ip, i->addr) == 1)
		i->family = 4;
	else if (inet_pton(AF_INET6, row->ip, i->addr) == 1)
		i->family = 6;
	i->flags = (uint8_t)(INSTANCE_EPHEMERAL | (row->healthy ? INSTANCE_HEALTHY : 0) |
			     (row->enabled ? INSTANCE_ENABLED : 0));
	i->ip_len = (uint16_t)ip_len;
	i->metadata_count = (uint16_t)row->metadata_count;
	i->metadata_len = (uint32_t)packed;
	i->size = (uint32_t)(sizeof(*i) + text);
	memcpy(i->text, row->ip, ip_len);
	packed_build(i->text + ip_len + 4, row->metadata, row->metadata_count);
	return i;
}

static struct service_info *info_make(uint64_t id, const char *name)
{
	struct service_info *info = room(sizeof(*info));
	struct cluster *cluster = room(sizeof(*cluster));
	cluster->name = "DEFAULT";
	cluster->checker = (struct checker){ CHECKER_TCP, "TCP", "", "", "", "", "", 200 };
	cluster->check_port = 80;
	cluster->use_instance_port = true;
	cluster->metadata = info->metadata = (struct packed){ "", 0, 0 };
	info->key = (struct service_key){ "public", "DEFAULT_GROUP", copy(name), 6, 13, (uint16_t)strlen(name) };
	info->id = info->created = id;
	info->ephemeral = true;
	info->selector = "{\"type\":\"none\"}";
	info->cluster_count = 1;
	info->clusters = cluster;
	return info;
}

struct service_view *view_make(uint64_t id, const char *name, const struct view_row *rows, size_t count)
{
	struct service_view *v = room(sizeof(*v));
	const struct instance **instances = room((count + 1) * sizeof(*instances));
	for (size_t i = 0; i < count; i++) {
		instances[i] = instance_make(&rows[i]);
		v->healthy += rows[i].healthy;
	}
	v->info = info_make(id, name);
	v->number = id;
	v->count = (uint32_t)count;
	v->instances = instances;
	return v;
}

void made_view_free(struct service_view *v)
{
	for (uint32_t i = 0; i < v->count; i++)
		free((void *)(uintptr_t)v->instances[i]);
	free((void *)(uintptr_t)v->instances);
	free((void *)(uintptr_t)v->info->key.name);
	free((void *)(uintptr_t)v->info->clusters);
	free((void *)(uintptr_t)v->info);
	free(v);
}

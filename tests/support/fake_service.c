/* fake_service.c - see fake_service.h. Uses the heap of libc, so that injected faults hit only what is tested. */
#include "tests/support/fake_service.h"
#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t pairs_count(struct pair *pairs, size_t max)
{
	size_t n = 0;
	for (; n < max && pairs[n].key != NULL; n++) {
		pairs[n].key_len = (uint16_t)strlen(pairs[n].key);
		pairs[n].value_len = (uint16_t)strlen(pairs[n].value);
	}
	return n;
}

static struct packed pack(const struct pair *from, size_t max)
{
	struct pair pairs[8];
	memcpy(pairs, from, max * sizeof(pairs[0]));
	size_t n = pairs_count(pairs, max), size = packed_size(pairs, n);
	char *at = calloc(1, size + 1);
	packed_build(at, pairs, n);
	return (struct packed){ at, (uint32_t)size, (uint32_t)n };
}

static uint16_t cluster_index(struct fake_service *f, const char *name)
{
	for (uint32_t i = 0; i < f->cluster_count; i++)
		if (strcmp(f->clusters[i], name) == 0)
			return (uint16_t)i;
	assert(f->cluster_count < FAKE_CLUSTERS_MAX);
	f->clusters[f->cluster_count] = strdup(name);
	f->info_changed = true;
	return (uint16_t)f->cluster_count++;
}

struct fake_service *fake_service_new(const char *ns, const char *group, const char *name)
{
	static uint64_t ids;
	struct fake_service *f = calloc(1, sizeof(*f));
	f->ns = ns;
	f->group = group;
	f->name = name;
	f->id = f->created = ++ids;
	f->cap = 16;
	f->instances = calloc(f->cap, sizeof(void *));
	f->graveyard = calloc(2 * FAKE_INSTANCES_MAX, sizeof(void *));
	return f;
}

static void info_free(struct service_info *info)
{
	if (info == NULL)
		return;
	for (uint32_t i = 0; i < info->cluster_count; i++) {
		free((char *)info->clusters[i].metadata.at);
		free((char *)info->clusters[i].name);
	}
	free((void *)info->clusters);
	free((char *)info->metadata.at);
	free(info);
}

static void view_free(struct service_view *v)
{
	if (v != NULL)
		free((void *)v->instances);
	free(v);
}

static void bury_all(struct fake_service *f)
{
	for (uint32_t i = 0; i < f->buried; i++)
		free(f->graveyard[i]);
	f->buried = 0;
}

void fake_service_free(struct fake_service *f)
{
	bury_all(f);
	for (uint32_t i = 0; i < f->count; i++)
		free(f->instances[i]);
	for (uint32_t i = 0; i < f->cluster_count; i++)
		free(f->clusters[i]);
	view_free(f->view);
	info_free(f->info);
	free(f->instances);
	free(f->graveyard);
	free(f);
}

static struct instance *instance_make(struct fake_service *f, const struct fake_instance *from)
{
	struct packed metadata = pack(from->metadata, 8);
	size_t ip = strlen(from->ip);
	struct instance *i = calloc(1, sizeof(*i) + ip + 4 + metadata.len);
	memcpy(i->text, from->ip, ip);
	memcpy(i->text + ip + 4, metadata.at, metadata.len); /* empty id, app and reason in between */
	free((char *)metadata.at);
	i->ip_len = (uint16_t)ip;
	i->metadata_len = metadata.len;
	i->metadata_count = (uint16_t)metadata.count;
	i->port = from->port;
	i->weight = from->weight < 0 ? 0 : from->weight > 0 ? from->weight : 1.0;
	i->family = inet_pton(AF_INET, from->ip, i->addr) == 1 ? 4
		    : inet_pton(AF_INET6, from->ip, i->addr) == 1 ? 6 : 0;
	i->flags = (uint8_t)((from->sick ? 0 : INSTANCE_HEALTHY) | (from->disabled ? 0 : INSTANCE_ENABLED));
	i->cluster = cluster_index(f, from->cluster != NULL ? from->cluster : "DEFAULT");
	return i;
}

uint32_t fake_add(struct fake_service *f, const struct fake_instance *i)
{
	if (f->count == f->cap) {
		f->cap *= 2;
		f->instances = realloc(f->instances, f->cap * sizeof(void *));
	}
	f->instances[f->count] = instance_make(f, i);
	return f->count++;
}

static void bury(struct fake_service *f, uint32_t at)
{
	assert(f->buried < 2 * FAKE_INSTANCES_MAX);
	f->graveyard[f->buried++] = f->instances[at];
}

void fake_replace(struct fake_service *f, uint32_t at, const struct fake_instance *i)
{
	bury(f, at);
	f->instances[at] = instance_make(f, i);
}

void fake_remove(struct fake_service *f, uint32_t at)
{
	bury(f, at);
	f->instances[at] = f->instances[--f->count];
}

void fake_clear(struct fake_service *f)
{
	while (f->count > 0)
		fake_remove(f, f->count - 1);
}

static struct service_info *info_make(struct fake_service *f)
{
	struct service_info *info = calloc(1, sizeof(*info));
	struct cluster *clusters = calloc(f->cluster_count + 1, sizeof(*clusters));
	for (uint32_t i = 0; i < f->cluster_count; i++) {
		clusters[i].name = strdup(f->clusters[i]);
		clusters[i].stored = f->cluster_stored[i];
		clusters[i].metadata = pack(f->cluster_metadata, i == 0 ? 8 : 0);
	}
	info->key = (struct service_key){ f->ns, f->group, f->name, (uint16_t)strlen(f->ns),
					  (uint16_t)strlen(f->group), (uint16_t)strlen(f->name) };
	info->id = f->id;
	info->created = f->created;
	info->ephemeral = true;
	info->stored = f->stored;
	info->protect_threshold = f->protect_threshold;
	info->selector = "{\"type\":\"none\"}";
	info->metadata = pack(f->metadata, 8);
	info->cluster_count = f->cluster_count;
	info->clusters = clusters;
	return info;
}

struct service_view *fake_view_make(struct fake_service *f)
{
	struct service_view *v = calloc(1, sizeof(*v));
	const struct instance **list = calloc(f->count + 1, sizeof(*list));
	memcpy(list, f->instances, f->count * sizeof(*list));
	v->info = f->info;
	v->count = f->count;
	v->instances = list;
	return v;
}

void fake_publish(struct fake_service *f, const struct registry_watcher *w)
{
	struct service_info *old_info = NULL;
	struct service_view *old = f->view;
	if (f->info == NULL || f->info_changed) {
		old_info = f->info;
		f->info = info_make(f);
		f->info_changed = false;
	}
	f->view = fake_view_make(f);
	w->on_view(w->arg, old, f->view);
	w->on_turn(w->arg, 0);
	view_free(old);
	info_free(old_info);
	bury_all(f);
}

void fake_unpublish(struct fake_service *f, const struct registry_watcher *w)
{
	w->on_view(w->arg, f->view, NULL);
	w->on_turn(w->arg, 0);
	view_free(f->view);
	f->view = NULL;
}

/* info.c - a service's settings and clusters as one immutable block. It points into its service for the key;
 * the service outlives it. */
#include "base/mem.h"
#include "registry/core.h"

#include <stddef.h>
#include <string.h>

struct info_block {
	struct rcu_head reap;
	struct service_info info;
	struct cluster clusters[];
};

/* Nearly every service has just this one: it is shared. */
static const struct cluster plain_cluster = {
	.name = "DEFAULT",
	.checker = { CHECKER_TCP, "TCP", "", "", "", "", "", 200 },
	.check_port = 80,
	.use_instance_port = true,
	.metadata = { "", 0, 0 },
};

void checker_default(struct checker *c, enum checker_kind kind)
{
	static const char *const types[] = { "TCP", "HTTP", "MYSQL", "NONE" };

	*c = plain_cluster.checker;
	c->kind = kind;
	c->type = types[kind];
}

void cluster_default(struct cluster *c, const char *name)
{
	*c = plain_cluster;
	c->name = name;
}

void info_draft_of(struct info_draft *d, const struct service_info *info)
{
	*d = (struct info_draft){ .ephemeral = info->ephemeral,
				  .stored = info->stored,
				  .protect_threshold = info->protect_threshold,
				  .selector = info->selector,
				  .metadata = info->metadata,
				  .clusters = info->clusters,
				  .cluster_count = info->cluster_count,
				  .replace = -1,
				  .id = info->id,
				  .created = info->created };
}

static size_t text_size(const char *s)
{
	return s == NULL || *s == '\0' ? 0 : strlen(s) + 1;
}

static size_t cluster_size(const struct cluster *c)
{
	return text_size(c->name) + text_size(c->checker.type) + text_size(c->checker.path) +
	       text_size(c->checker.headers) + text_size(c->checker.user) + text_size(c->checker.password) +
	       text_size(c->checker.command) + c->metadata.len;
}

static const char *put_text(char **at, const char *s)
{
	size_t size = text_size(s);
	char *to = *at;

	if (size == 0)
		return "";
	memcpy(to, s, size);
	*at += size;
	return to;
}

static struct packed put_packed(char **at, struct packed from)
{
	char *to = *at;

	if (from.len == 0)
		return (struct packed){ "", 0, 0 };
	memcpy(to, from.at, from.len);
	*at += from.len;
	return (struct packed){ to, from.len, from.count };
}

static void put_cluster(struct cluster *to, const struct cluster *from, char **at)
{
	*to = *from;
	to->name = put_text(at, from->name);
	to->checker.type = put_text(at, from->checker.type);
	to->checker.path = put_text(at, from->checker.path);
	to->checker.headers = put_text(at, from->checker.headers);
	to->checker.user = put_text(at, from->checker.user);
	to->checker.password = put_text(at, from->checker.password);
	to->checker.command = put_text(at, from->checker.command);
	to->metadata = put_packed(at, from->metadata);
}

/* The cluster at @i of what @d describes. */
static const struct cluster *draft_cluster(const struct info_draft *d, uint32_t i)
{
	if (d->extra != NULL && (d->replace == (int64_t)i || (d->replace < 0 && i == d->cluster_count)))
		return d->extra;
	return &d->clusters[i];
}

static bool is_plain(const struct info_draft *d, uint32_t count)
{
	const struct cluster *c = draft_cluster(d, 0);

	return count == 1 && !c->stored && strcmp(c->name, "DEFAULT") == 0 &&
	       c->checker.kind == CHECKER_TCP && c->metadata.len == 0;
}

static void put_clusters(struct info_block *b, const struct info_draft *d, uint32_t count, char **at)
{
	b->info.cluster_count = count;
	if (is_plain(d, count)) {
		b->info.clusters = &plain_cluster;
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		put_cluster(&b->clusters[i], draft_cluster(d, i), at);
	b->info.clusters = b->clusters;
}

static size_t draft_size(const struct info_draft *d, uint32_t count)
{
	size_t size = sizeof(struct info_block) + text_size(d->selector);

	size += d->pairs != NULL ? packed_size(d->pairs, d->pair_count) : d->metadata.len;
	if (is_plain(d, count))
		return size;
	for (uint32_t i = 0; i < count; i++)
		size += sizeof(struct cluster) + cluster_size(draft_cluster(d, i));
	return size;
}

static struct packed put_metadata(const struct info_draft *d, char **at)
{
	struct packed built = { *at, (uint32_t)packed_size(d->pairs, d->pair_count), (uint32_t)d->pair_count };

	if (d->pairs == NULL)
		return put_packed(at, d->metadata);
	packed_build(*at, d->pairs, d->pair_count);
	*at += built.len;
	return built;
}

struct service_info *info_new(const struct service *s, const struct info_draft *d)
{
	uint32_t count = d->cluster_count + (d->extra != NULL && d->replace < 0);
	struct info_block *b = mem_alloc(draft_size(d, count));

	if (b == NULL)
		return NULL;
	char *at = (char *)(b->clusters + (is_plain(d, count) ? 0 : count));

	b->info = (struct service_info){ .key = service_key_of(s),
					 .id = d->id,
					 .created = d->created,
					 .ephemeral = d->ephemeral,
					 .stored = d->stored,
					 .protect_threshold = d->protect_threshold };
	put_clusters(b, d, count, &at);
	b->info.selector = text_size(d->selector) == 0 ? "{\"type\":\"none\"}" : put_text(&at, d->selector);
	b->info.metadata = put_metadata(d, &at);
	return &b->info;
}

static struct info_block *block_of(struct service_info *info)
{
	return (struct info_block *)(void *)((char *)info - offsetof(struct info_block, info));
}

void info_free(struct service_info *info)
{
	if (info != NULL)
		mem_free(block_of(info));
}

static void info_reap(void *arg, struct rcu_head *head)
{
	(void)arg;
	mem_free(head); /* the block's first member */
}

void info_retire(struct service *s, struct service_info *info)
{
	service_retire(s, &block_of(info)->reap, info_reap);
}

int64_t info_cluster(const struct service_info *info, const char *name, size_t len)
{
	for (uint32_t i = 0; i < info->cluster_count; i++)
		if (strncmp(info->clusters[i].name, name, len) == 0 && info->clusters[i].name[len] == '\0')
			return i;
	return -1;
}

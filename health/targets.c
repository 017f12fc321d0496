/* targets.c - see targets.h. */
#include "health/targets.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mem.h"
#include "registry/registry.h"
#include <assert.h>
#include <string.h>

/* ---- specs */

static const char *put(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *to = memcpy(*at, text, size);
	*at += size;
	return to;
}

static const char *or_empty(const char *text)
{
	return text == NULL ? "" : text;
}

struct check_spec *spec_new(const struct cluster *c)
{
	const struct checker *k = &c->checker;
	const char *path = or_empty(k->path), *headers = or_empty(k->headers), *user = or_empty(k->user),
		   *password = or_empty(k->password), *command = or_empty(k->command);
	struct check_spec *s = mem_alloc(sizeof(*s) + strlen(path) + strlen(headers) + strlen(user) +
					 strlen(password) + strlen(command) + 5);
	if (s == NULL)
		return NULL;
	char *at = (char *)(s + 1);
	*s = (struct check_spec){ .kind = k->kind,
				  .check_port = c->check_port,
				  .use_instance_port = c->use_instance_port,
				  .expected_code = k->expected_code };
	s->path = put(&at, path);
	s->headers = put(&at, headers);
	s->user = put(&at, user);
	s->password = put(&at, password);
	s->command = put(&at, command);
	return s;
}

bool spec_equal(const struct check_spec *a, const struct check_spec *b)
{
	return a->kind == b->kind && a->use_instance_port == b->use_instance_port &&
	       (a->use_instance_port || a->check_port == b->check_port) &&
	       a->expected_code == b->expected_code && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->headers, b->headers) == 0 && strcmp(a->user, b->user) == 0 &&
	       strcmp(a->password, b->password) == 0 && strcmp(a->command, b->command) == 0;
}

/* ---- news, on the control thread */

static struct target_news *news_new(enum target_news_kind kind, uint64_t service_id, uint16_t cluster,
				    const char *ip, size_t more)
{
	size_t ip_len = strlen(ip);
	struct target_news *n = mem_alloc(sizeof(*n) + ip_len + 1 + more);
	if (n == NULL)
		return NULL;
	*n = (struct target_news){ .kind = kind, .service_id = service_id, .cluster = cluster,
				   .ip_len = (uint16_t)ip_len };
	n->ip = memcpy(n + 1, ip, ip_len + 1);
	return n;
}

struct target_news *news_state(uint64_t service_id, uint16_t cluster, const char *ip, uint16_t port, bool healthy)
{
	struct target_news *n = news_new(NEWS_STATE, service_id, cluster, ip, 0);
	if (n != NULL) {
		n->port = port;
		n->healthy = healthy;
	}
	return n;
}

struct target_news *news_about(enum target_news_kind kind, const struct instance *i)
{
	struct target_news *n = news_state(service_info(i->service)->id, i->cluster, instance_ip(i), i->port,
					   (i->flags & INSTANCE_HEALTHY) != 0);
	if (n != NULL)
		n->kind = kind;
	return n;
}

static void news_tell_instance(struct target_news *n, const struct instance *i)
{
	n->port = i->port;
	n->family = i->family;
	n->healthy = (i->flags & INSTANCE_HEALTHY) != 0;
	memcpy(n->addr, i->addr, sizeof(n->addr));
}

struct target_news *news_add(const struct instance *i, bool follows)
{
	const struct service_info *info = service_info(i->service);
	const struct cluster *cluster = &info->clusters[i->cluster];
	if (follows) {
		struct target_news *brief = news_new(NEWS_ADD, info->id, i->cluster, instance_ip(i), 0);
		if (brief != NULL)
			news_tell_instance(brief, i);
		return brief;
	}
	struct target_news *n = news_new(NEWS_ADD, info->id, i->cluster, instance_ip(i),
					 (size_t)info->key.ns_len + info->key.group_len + info->key.name_len +
					     strlen(cluster->name) + 4);
	if (n == NULL)
		return NULL;
	n->spec = spec_new(cluster);
	if (n->spec == NULL) {
		mem_free(n);
		return NULL;
	}
	char *at = (char *)(uintptr_t)n->ip + n->ip_len + 1;
	news_tell_instance(n, i);
	n->key = info->key;
	n->key.ns = put(&at, info->key.ns);
	n->key.group = put(&at, info->key.group);
	n->key.name = put(&at, info->key.name);
	n->cluster_name = put(&at, cluster->name);
	return n;
}

struct target_news *news_checker(const struct service_info *info, uint32_t cluster)
{
	struct target_news *n = news_new(NEWS_CHECKER, info->id, (uint16_t)cluster, "", 0);
	if (n == NULL)
		return NULL;
	n->spec = spec_new(&info->clusters[cluster]);
	if (n->spec == NULL) {
		mem_free(n);
		return NULL;
	}
	return n;
}

void news_free(struct target_news *n)
{
	mem_free(n->spec);
	mem_free(n);
}

/* ---- the set, on the health thread */

struct group_key {
	uint64_t service_id, cluster;
};

static bool task_is(const void *value, const void *key)
{
	const struct check_task *t = value;
	const struct target_news *n = key;
	return t->port == n->port && t->group->cluster == n->cluster && t->group->service_id == n->service_id &&
	       t->ip_len == n->ip_len && memcmp(t->ip, n->ip, n->ip_len) == 0;
}

static bool group_is(const void *value, const void *key)
{
	const struct check_group *g = value;
	const struct group_key *k = key;
	return g->service_id == k->service_id && g->cluster == k->cluster;
}

static uint64_t group_hash(uint64_t service_id, uint16_t cluster)
{
	struct group_key k = { service_id, cluster };
	return hash_bytes(&k, sizeof(k));
}

static uint64_t task_hash(uint64_t service_id, uint16_t cluster, const char *ip, size_t ip_len, uint16_t port)
{
	uint64_t h = hash_more(group_hash(service_id, cluster), ip, ip_len);
	return hash_more(h, &port, sizeof(port));
}

int targets_init(struct targets *t)
{
	*t = (struct targets){ 0 };
	map_init(&t->tasks, task_is);
	map_init(&t->groups, group_is);
	t->slab = slab_new();
	return t->slab == NULL ? E_NOMEM : E_OK;
}

void targets_done(struct targets *t)
{
	struct check_task *task;
	for (size_t i = 0; (task = map_next(&t->tasks, &i)) != NULL;)
		targets_remove(t, task);
	map_done(&t->tasks);
	map_done(&t->groups);
	if (t->slab != NULL)
		slab_free(t->slab);
}

unsigned target_kind(const struct check_task *t)
{
	return t->family == 0 ? TARGET_HOST : t->group->spec->kind;
}

struct check_group *targets_group(struct targets *t, uint64_t service_id, uint16_t cluster)
{
	struct group_key k = { service_id, cluster };
	return map_find(&t->groups, group_hash(service_id, cluster), &k);
}

static struct check_group *group_new(struct targets *t, struct target_news *n)
{
	size_t cluster_len = strlen(n->cluster_name);
	struct check_group *g = mem_zalloc(1, sizeof(*g) + n->key.ns_len + n->key.group_len + n->key.name_len +
						  cluster_len + 4);
	if (g == NULL)
		return NULL;
	char *at = (char *)(g + 1);
	g->service_id = n->service_id;
	g->cluster = n->cluster;
	g->key = n->key;
	g->key.ns = put(&at, n->key.ns);
	g->key.group = put(&at, n->key.group);
	g->key.name = put(&at, n->key.name);
	g->cluster_name = put(&at, n->cluster_name);
	if (map_add(&t->groups, group_hash(g->service_id, g->cluster), g) < 0) {
		mem_free(g);
		return NULL;
	}
	g->spec = n->spec;
	n->spec = NULL;
	return g;
}

static void group_forget_request(struct check_group *g)
{
	mem_free(g->http_head);
	mem_free(g->http_tail);
	g->http_head = g->http_tail = NULL;
}

static void group_free(struct targets *t, struct check_group *g)
{
	struct group_key k = { g->service_id, g->cluster };
	map_remove(&t->groups, group_hash(g->service_id, g->cluster), &k);
	group_forget_request(g);
	mem_free(g->spec);
	mem_free(g);
}

static size_t task_size(size_t ip_len)
{
	return sizeof(struct check_task) + ip_len + 1;
}

static struct check_task *task_new(struct targets *t, struct check_group *g, const struct target_news *n)
{
	struct check_task *task = slab_get(t->slab, task_size(n->ip_len));
	if (task == NULL)
		return NULL;
	memset(task, 0, sizeof(*task));
	task->group = g;
	task->state.healthy = n->healthy;
	task->port = n->port;
	task->family = n->family;
	memcpy(task->addr, n->addr, sizeof(task->addr));
	task->ip_len = n->ip_len;
	memcpy(task->ip, n->ip, n->ip_len + 1u);
	uint64_t hash = task_hash(n->service_id, n->cluster, n->ip, n->ip_len, n->port);
	if (map_add(&t->tasks, hash, task) < 0) {
		slab_put(t->slab, task, task_size(n->ip_len));
		return NULL;
	}
	task->next = g->tasks;
	if (g->tasks != NULL)
		g->tasks->prev = task;
	g->tasks = task;
	g->count++;
	t->counts[target_kind(task)]++;
	return task;
}

struct check_task *targets_add(struct targets *t, struct target_news *n, bool *ret_fresh)
{
	struct check_task *task = targets_find(t, n);
	*ret_fresh = task == NULL;
	if (task != NULL)
		return task;
	struct check_group *g = targets_group(t, n->service_id, n->cluster);
	if (g == NULL && n->cluster_name != NULL) /* NULL: there was no memory for what it follows */
		g = group_new(t, n);
	if (g == NULL)
		return NULL;
	task = task_new(t, g, n);
	if (task == NULL && g->count == 0)
		group_free(t, g);
	return task;
}

struct check_task *targets_find(struct targets *t, const struct target_news *n)
{
	return map_find(&t->tasks, task_hash(n->service_id, n->cluster, n->ip, n->ip_len, n->port), n);
}

void targets_remove(struct targets *t, struct check_task *task)
{
	struct check_group *g = task->group;
	struct target_news k = { .service_id = g->service_id, .cluster = g->cluster, .port = task->port,
				 .ip = task->ip, .ip_len = task->ip_len };
	assert(task->probe == NULL && task->conn == NULL && !task->queued);
	map_remove(&t->tasks, task_hash(k.service_id, k.cluster, k.ip, k.ip_len, k.port), &k);
	t->counts[target_kind(task)]--;
	if (task->prev != NULL)
		task->prev->next = task->next;
	else
		g->tasks = task->next;
	if (task->next != NULL)
		task->next->prev = task->prev;
	slab_put(t->slab, task, task_size(task->ip_len));
	if (--g->count == 0)
		group_free(t, g);
}

void targets_respec(struct targets *t, struct check_group *g, struct check_spec *spec)
{
	for (struct check_task *task = g->tasks; task != NULL; task = task->next)
		t->counts[target_kind(task)]--;
	mem_free(g->spec);
	g->spec = spec;
	group_forget_request(g);
	for (struct check_task *task = g->tasks; task != NULL; task = task->next)
		t->counts[target_kind(task)]++;
}

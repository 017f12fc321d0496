/* fake_desk.c - see fake_desk.h. */
#include "tests/health/fake_desk.h"
#include "base/clock.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

enum { SERVICES_MAX = 16, INSTANCES_MAX = 4096, SWITCHES_MAX = 16 };

struct service {
	struct service_info info;
	struct cluster cluster;
	char *strings[6];
	struct instance *instances[INSTANCES_MAX];
	struct service_view view;
};

struct registry {
	struct switches switches[SWITCHES_MAX]; /* one after the other; none is freed before the end */
	unsigned switches_count;
	_Atomic(const struct switches *) published;
	struct service *services[SERVICES_MAX];
	unsigned count;
};

struct desk {
	struct registry registry;
	struct registry_watcher watcher;
	pthread_mutex_t lock;
	pthread_cond_t came;
	struct command *first, *last;
	int refuse;
};

void command_init(struct command *cmd, enum command_kind kind)
{
	memset(cmd, 0, sizeof(*cmd));
	cmd->kind = kind;
	cmd->instance.weight = 1.0;
	cmd->instance.enabled = cmd->instance.healthy = cmd->instance.ephemeral = true;
}

struct registry *desk_registry(struct desk *d)
{
	return &d->registry;
}

const struct switches *registry_switches(struct registry *r)
{
	return rcu_read(&r->published);
}

const struct service_info *service_info(const struct service *s)
{
	return &s->info;
}

void registry_each_instance(struct registry *r, void (*each)(void *arg, struct instance *i), void *arg)
{
	for (unsigned s = 0; s < r->count; s++)
		for (unsigned i = 0; i < INSTANCES_MAX; i++)
			if (r->services[s]->instances[i] != NULL)
				each(arg, r->services[s]->instances[i]);
}

const struct service_view *registry_view(struct registry *r, const struct service_key *key)
{
	for (unsigned s = 0; s < r->count; s++)
		if (strcmp(r->services[s]->info.key.name, key->name) == 0)
			return &r->services[s]->view;
	return NULL;
}

const struct instance *view_find(const struct service_view *v, const char *ip, size_t ip_len, uint16_t port,
				 uint32_t *at)
{
	(void)ip_len;
	for (; *at < INSTANCES_MAX; ++*at) {
		const struct instance *i = v->instances[*at];
		if (i == NULL || i->port != port || strcmp(instance_ip(i), ip) != 0)
			continue;
		++*at;
		return i;
	}
	return NULL;
}

void desk_submit_list(struct desk *d, struct command *first, struct command *last)
{
	pthread_mutex_lock(&d->lock);
	last->message.next = NULL;
	if (d->first == NULL)
		d->first = first;
	else
		d->last->message.next = &first->message;
	d->last = last;
	pthread_cond_signal(&d->came);
	pthread_mutex_unlock(&d->lock);
}

void desk_submit(struct desk *d, struct command *cmd)
{
	desk_submit_list(d, cmd, cmd);
}

struct desk *fake_desk_new(void)
{
	struct desk *d = mem_zalloc(1, sizeof(*d));
	d->registry.switches[0] = (struct switches){
		.health_check = true,
		.check_times = 3,
		.http = { 5000, 500, 0.85 },
		.tcp = { 5000, 1000, 0.75 },
		.mysql = { 3000, 2000, 0.65 },
	};
	d->registry.switches_count = 1;
	fake_publish(d, &d->registry.switches[0]);
	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->came, &attr);
	return d;
}

void fake_desk_free(struct desk *d)
{
	fake_apply(d);
	for (unsigned s = 0; s < d->registry.count; s++) {
		struct service *service = d->registry.services[s];
		for (unsigned i = 0; i < INSTANCES_MAX; i++)
			mem_free(service->instances[i]);
		for (unsigned i = 0; i < 6; i++)
			mem_free(service->strings[i]);
		mem_free(service);
	}
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->came);
	mem_free(d);
}

void fake_watch(struct desk *d, struct registry_watcher watcher)
{
	d->watcher = watcher;
}

struct switches *fake_switches(struct desk *d)
{
	assert(d->registry.switches_count < SWITCHES_MAX);
	struct switches *s = &d->registry.switches[d->registry.switches_count++];
	*s = *rcu_read(&d->registry.published);
	return s;
}

void fake_publish(struct desk *d, struct switches *s)
{
	rcu_publish(&d->registry.published, s);
}

static void tell_turn(struct desk *d)
{
	if (d->watcher.on_turn != NULL)
		d->watcher.on_turn(d->watcher.arg, 0);
}

static const char *keep(struct service *s, unsigned at, const char *text)
{
	mem_free(s->strings[at]);
	return s->strings[at] = mem_strdup(text == NULL ? "" : text);
}

struct service *fake_service(struct desk *d, const char *name, bool ephemeral)
{
	struct service *s = mem_zalloc(1, sizeof(*s));
	s->cluster = (struct cluster){
		.name = "DEFAULT",
		.checker = { CHECKER_TCP, "TCP", "", "", "", "", "", 200 },
		.check_port = 80,
		.use_instance_port = true,
	};
	s->info = (struct service_info){
		.key = { "public", "DEFAULT_GROUP", keep(s, 0, name), 6, 13, (uint16_t)strlen(name) },
		.id = 100 + d->registry.count,
		.ephemeral = ephemeral,
		.selector = "{\"type\":\"none\"}",
		.cluster_count = 1,
		.clusters = &s->cluster,
	};
	s->view.info = &s->info;
	s->view.instances = (const struct instance *const *)s->instances;
	assert(d->registry.count < SERVICES_MAX);
	d->registry.services[d->registry.count++] = s;
	if (d->watcher.on_info != NULL)
		d->watcher.on_info(d->watcher.arg, NULL, &s->info);
	tell_turn(d);
	return s;
}

void fake_checker(struct desk *d, struct service *s, const struct checker *checker, uint16_t check_port,
		  bool use_instance_port)
{
	struct service old = { .info = s->info, .cluster = s->cluster };
	old.info.clusters = &old.cluster;
	char *strings[6];
	memcpy(strings, s->strings, sizeof(strings));
	memset(&s->strings[1], 0, 5 * sizeof(char *));
	s->cluster.checker = *checker;
	s->cluster.checker.type = "x";
	s->cluster.checker.path = keep(s, 1, checker->path);
	s->cluster.checker.headers = keep(s, 2, checker->headers);
	s->cluster.checker.user = keep(s, 3, checker->user);
	s->cluster.checker.password = keep(s, 4, checker->password);
	s->cluster.checker.command = keep(s, 5, checker->command);
	s->cluster.check_port = check_port;
	s->cluster.use_instance_port = use_instance_port;
	if (d->watcher.on_info != NULL)
		d->watcher.on_info(d->watcher.arg, &old.info, &s->info);
	tell_turn(d);
	for (unsigned i = 1; i < 6; i++)
		mem_free(strings[i]);
}

static unsigned slot_of(struct service *s, const char *ip, uint16_t port)
{
	unsigned at = INSTANCES_MAX;
	for (unsigned i = 0; i < INSTANCES_MAX; i++) {
		struct instance *have = s->instances[i];
		if (have == NULL && at == INSTANCES_MAX)
			at = i;
		if (have != NULL && have->port == port && strcmp(instance_ip(have), ip) == 0)
			return i;
	}
	assert(at < INSTANCES_MAX);
	return at;
}

static struct instance *record_new(struct service *s, const char *ip, uint16_t port, unsigned flags,
				   const char *reason)
{
	size_t ip_len = strlen(ip), reason_len = strlen(reason), size;
	size = sizeof(struct instance) + ip_len + reason_len + 4;
	struct instance *i = mem_zalloc(1, size);
	i->service = s;
	i->weight = 1;
	i->port = port;
	i->flags = (uint8_t)flags;
	i->beat_ms = 5000;
	i->unhealthy_ms = 15000;
	i->remove_ms = 30000;
	i->size = (uint32_t)size;
	i->ip_len = (uint16_t)ip_len;
	i->reason_len = (uint16_t)reason_len;
	memcpy(i->text, ip, ip_len);
	memcpy((char *)(uintptr_t)instance_reason(i), reason, reason_len);
	i->family = inet_pton(AF_INET, ip, i->addr) == 1 ? 4 : inet_pton(AF_INET6, ip, i->addr) == 1 ? 6 : 0;
	atomic_store(&i->last_beat_ms, clock_ms());
	return i;
}

static void replace(struct desk *d, struct service *s, unsigned at, struct instance *fresh)
{
	struct instance *old = s->instances[at];
	s->instances[at] = fresh;
	if (d->watcher.on_instance != NULL)
		d->watcher.on_instance(d->watcher.arg, old, fresh);
	tell_turn(d);
	if (old != NULL)
		memset(&old->wheel, 0x5a, sizeof(old->wheel)); /* it is reaped: nobody may link to it now */
	mem_free(old);
}

struct instance *fake_add_state(struct desk *d, struct service *s, const char *ip, uint16_t port, bool healthy)
{
	unsigned flags = INSTANCE_ENABLED | (healthy ? INSTANCE_HEALTHY : 0) |
			 (s->info.ephemeral ? INSTANCE_EPHEMERAL : 0);
	struct instance *i = record_new(s, ip, port, flags, "");
	replace(d, s, slot_of(s, ip, port), i);
	return i;
}

struct instance *fake_add(struct desk *d, struct service *s, const char *ip, uint16_t port)
{
	return fake_add_state(d, s, ip, port, true);
}

void fake_remove(struct desk *d, struct service *s, const char *ip, uint16_t port)
{
	unsigned at = slot_of(s, ip, port);
	if (s->instances[at] != NULL)
		replace(d, s, at, NULL);
}

struct instance *fake_find(struct desk *d, struct service *s, const char *ip, uint16_t port)
{
	(void)d;
	return s->instances[slot_of(s, ip, port)];
}

unsigned fake_count(struct desk *d, struct service *s, bool healthy_only)
{
	(void)d;
	unsigned n = 0;
	for (unsigned i = 0; i < INSTANCES_MAX; i++)
		if (s->instances[i] != NULL &&
		    (!healthy_only || (s->instances[i]->flags & INSTANCE_HEALTHY) != 0))
			n++;
	return n;
}

void fake_beat(struct instance *i)
{
	atomic_store(&i->last_beat_ms, clock_ms());
}

static void run(struct desk *d, struct command *cmd)
{
	struct service *s = NULL;
	for (unsigned i = 0; i < d->registry.count; i++)
		if (strcmp(d->registry.services[i]->info.key.name, cmd->key.name) == 0)
			s = d->registry.services[i];
	cmd->code = d->refuse;
	if (d->refuse != E_OK || s == NULL)
		return;
	unsigned at = slot_of(s, cmd->instance.ip, cmd->instance.port);
	struct instance *old = s->instances[at];
	assert(strcmp(cmd->instance.cluster, "DEFAULT") == 0);
	if (old == NULL)
		return;
	cmd->number = 1;
	if (cmd->kind == CMD_EXPIRE && cmd->remove) {
		replace(d, s, at, NULL);
		return;
	}
	bool healthy = cmd->kind == CMD_VERDICT && cmd->instance.healthy;
	unsigned flags = old->flags & ~(unsigned)INSTANCE_HEALTHY;
	struct instance *fresh = record_new(s, cmd->instance.ip, cmd->instance.port,
					    flags | (healthy ? INSTANCE_HEALTHY : 0),
					    cmd->reason == NULL ? "" : cmd->reason);
	atomic_store(&fresh->last_beat_ms, atomic_load(&old->last_beat_ms));
	fresh->unhealthy_ms = old->unhealthy_ms;
	fresh->remove_ms = old->remove_ms;
	replace(d, s, at, fresh);
}

unsigned fake_apply(struct desk *d)
{
	pthread_mutex_lock(&d->lock);
	struct command *cmd = d->first;
	d->first = d->last = NULL;
	pthread_mutex_unlock(&d->lock);
	unsigned n = 0;
	while (cmd != NULL) {
		struct command *next = (struct command *)cmd->message.next;
		run(d, cmd);
		n++;
		if (cmd->reply_to != NULL)
			inbox_post(cmd->reply_to, &cmd->message);
		else
			cmd->on_done(cmd);
		cmd = next;
	}
	return n;
}

unsigned fake_await(struct desk *d, int ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&d->lock);
	while (d->first == NULL && pthread_cond_timedwait(&d->came, &d->lock, &until) == 0)
		;
	pthread_mutex_unlock(&d->lock);
	return fake_apply(d);
}

void fake_refuse(struct desk *d, int code)
{
	d->refuse = code;
}

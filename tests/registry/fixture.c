/* fixture.c - see fixture.h. */
#include "tests/registry/fixture.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void on_instance(void *arg, struct instance *old, struct instance *fresh)
{
	struct fixture *f = arg;

	(void)old;
	(void)fresh;
	f->instances++;
}

static void on_info(void *arg, const struct service_info *old, const struct service_info *fresh)
{
	struct fixture *f = arg;

	(void)old;
	(void)fresh;
	f->infos++;
}

static void on_view(void *arg, const struct service_view *old, const struct service_view *fresh)
{
	struct fixture *f = arg;

	if (old != NULL && fresh != NULL && (fresh->number <= old->number || fresh->last_ref_ms <= old->last_ref_ms))
		abort(); /* strictly growing, always */
	f->views++;
	f->gone_views += fresh == NULL;
}

static void on_turn(void *arg, uint64_t number)
{
	struct fixture *f = arg;

	f->turns++;
	f->last_number = number;
}

static void on_ready(void *arg)
{
	((struct fixture *)arg)->ready = true;
}

static int open_memory(struct store **ret, uv_loop_t *loop, const struct store_conf *conf,
		       const struct store_feed *feed, void *arg, struct error *err)
{
	struct fixture *f = arg;

	if (f->sqlite_dir != NULL)
		return store_open(ret, loop, conf, feed, err);
	return memory_store_open(ret, loop, f->disk, feed, err);
}

void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->now_ms = 1000000;
	clock_fake(f->now_ms, 1700000000000 + f->now_ms);
	f->disk = memory_disk_new();
	f->limits = (struct registry_conf){ .namespaces_max = 100,
					    .services_max = 100000,
					    .instances_max = 1000000,
					    .instances_per_service_max = 100000,
					    .metadata_max = 1024,
					    .clean_empty_ms = 60000,
					    .expire_instances = true };
	assert_int_equal(uv_loop_init(&f->loop), 0);
	rcu_thread_start();
}

void fixture_open(struct fixture *f)
{
	struct desk_conf conf = { .registry = f->limits, .warm_path = f->warm_path, .on_ready = on_ready, .arg = f };
	struct registry_watcher watcher = { .on_instance = on_instance,
					    .on_info = on_info,
					    .on_view = on_view,
					    .on_turn = on_turn,
					    .arg = f };

	conf.store.url = "sqlite:";
	conf.store.data_dir = f->sqlite_dir;
	f->ready = f->closed = false;
	assert_int_equal(desk_open_with(&f->desk, &f->loop, &conf, open_memory, f, &f->error), E_OK);
	f->registry = desk_registry(f->desk);
	assert_int_equal(desk_watch(f->desk, &watcher), E_OK);
	while (!f->ready)
		uv_run(&f->loop, UV_RUN_ONCE);
	uv_timer_stop(&f->desk->sweep_timer); /* tests sweep when they say so: their clock is not the timer's */
}

static void on_closed(void *arg)
{
	((struct fixture *)arg)->closed = true;
}

void fixture_close(struct fixture *f)
{
	desk_close(f->desk, on_closed, f);
	while (!f->closed)
		uv_run(&f->loop, UV_RUN_ONCE);
	f->desk = NULL;
}

void fixture_done(struct fixture *f)
{
	if (f->desk != NULL)
		fixture_close(f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	rcu_thread_stop();
	memory_disk_free(f->disk);
	clock_fake_off();
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fixture_init(f);
	fixture_open(f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	fixture_done(*state);
	free(*state);
	return 0;
}

void fixture_advance(struct fixture *f, int64_t ms)
{
	f->now_ms += ms;
	clock_fake(f->now_ms, 1700000000000 + f->now_ms);
}

/* ---- commands */

struct service_key key_of(const char *service)
{
	return (struct service_key){ "public", "DEFAULT_GROUP", service, 6, 13, (uint16_t)strlen(service) };
}

struct command *make(enum command_kind kind, const char *service)
{
	struct command *cmd = malloc(sizeof(*cmd));

	command_init(cmd, kind);
	if (service != NULL)
		cmd->key = key_of(service);
	return cmd;
}

struct command *make_instance(enum command_kind kind, const char *service, const char *ip, uint16_t port)
{
	struct command *cmd = make(kind, service);

	cmd->instance.ip = ip;
	cmd->instance.port = port;
	return cmd;
}

void pair_set(struct pair *pair, const char *key, const char *value)
{
	*pair = (struct pair){ key, value, (uint16_t)strlen(key), (uint16_t)strlen(value) };
}

static void on_done(struct command *cmd)
{
	*(bool *)cmd->owner = true;
}

void submit(struct fixture *f, struct command *cmd, bool *done)
{
	*done = false;
	cmd->owner = done;
	cmd->on_done = on_done;
	desk_submit(f->desk, cmd);
}

void run_some(struct fixture *f, int turns)
{
	for (int i = 0; i < turns; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
}

void run_published(struct fixture *f)
{
	while (f->registry->dirty != NULL)
		uv_run(&f->loop, UV_RUN_ONCE);
	run_some(f, 1);
}

int ask_keep(struct fixture *f, struct command *cmd)
{
	bool done;

	submit(f, cmd, &done);
	while (!done)
		uv_run(&f->loop, UV_RUN_ONCE);
	if (cmd->code < 0)
		f->error = cmd->error;
	return cmd->code;
}

int ask(struct fixture *f, struct command *cmd)
{
	int rc = ask_keep(f, cmd);

	free(cmd);
	return rc;
}

int reg(struct fixture *f, const char *service, const char *ip, uint16_t port)
{
	return ask(f, make_instance(CMD_INSTANCE_REGISTER, service, ip, port));
}

int reg_persistent(struct fixture *f, const char *service, const char *ip, uint16_t port)
{
	struct command *cmd = make_instance(CMD_INSTANCE_REGISTER, service, ip, port);

	cmd->instance.ephemeral = false;
	return ask(f, cmd);
}

int dereg(struct fixture *f, const char *service, const char *ip, uint16_t port, bool ephemeral)
{
	struct command *cmd = make_instance(CMD_INSTANCE_DEREGISTER, service, ip, port);

	cmd->instance.ephemeral = ephemeral;
	return ask(f, cmd);
}

const struct service_view *view_of(struct fixture *f, const char *service)
{
	struct service_key key = key_of(service);

	return registry_view(f->registry, &key);
}

const struct instance *seen(struct fixture *f, const char *service, const char *ip, uint16_t port)
{
	const struct service_view *v = view_of(f, service);
	uint32_t at = 0;

	return v == NULL ? NULL : view_find(v, ip, strlen(ip), port, &at);
}

uint32_t count_of(struct fixture *f, const char *service)
{
	const struct service_view *v = view_of(f, service);

	return v == NULL ? 0 : v->count;
}

const char *metadata_of(const struct instance *i, const char *key)
{
	struct packed metadata = instance_metadata(i);
	const char *value = packed_find(&metadata, key);

	return value == NULL ? "" : value;
}

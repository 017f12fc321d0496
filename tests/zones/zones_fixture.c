/* zones_fixture.c - see zones_fixture.h. */
#include "tests/zones/zones_fixture.h"
#include <assert.h>
#include <stdlib.h>

struct zones_fixture *fixture_new(void (*change)(struct zone_set_conf *conf, struct zone_conf *zones))
{
	static const char *const keys[] = { "name", "cluster", "version" };
	struct zones_fixture *f = calloc(1, sizeof(*f));
	struct error err;
	f->zone_confs[0] = (struct zone_conf){ .name = "test", .layout = LAYOUT_FULL };
	f->conf = (struct zone_set_conf){
		.zones = f->zone_confs, .zone_count = 1, .ttl = 5, .ttl_host = 60, .ttl_negative = 5,
		.ttl_apex = 3600, .ttl_version = 28800, .cap = 16, .subset_rotate_ms = 30000,
		.raw_alias = true, .loopback_addresses = true, .metadata_keys = keys, .metadata_key_count = 3,
	};
	if (change != NULL)
		change(&f->conf, f->zone_confs);
	rcu_thread_start();
	uv_loop_init(&f->loop);
	int rc = rcu_reaper_start(&f->reaper, &f->loop, NULL);
	assert(rc == E_OK);
	rc = zone_set_new(&f->zones, &f->conf, f->reaper, &err);
	assert(rc == E_OK);
	(void)rc;
	f->watcher = zone_set_watcher(f->zones);
	zone_set_ready(f->zones);
	asker_init(&f->ask, f->zones);
	return f;
}

static void on_closed(void *arg)
{
	(void)arg;
}

void fixture_free(struct zones_fixture *f)
{
	for (unsigned i = 0; i < f->service_count; i++) {
		if (f->services[i]->view != NULL)
			fake_unpublish(f->services[i], &f->watcher);
		fake_service_free(f->services[i]);
	}
	rcu_reaper_close(f->reaper, on_closed, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	zone_set_free(f->zones);
	int rc = uv_loop_close(&f->loop);
	assert(rc == 0);
	(void)rc;
	rcu_thread_stop();
	free(f);
}

struct fake_service *fixture_service(struct zones_fixture *f, const char *ns, const char *group, const char *name)
{
	assert(f->service_count < FIXTURE_SERVICES_MAX);
	return f->services[f->service_count++] = fake_service_new(ns, group, name);
}

void fixture_turn(struct zones_fixture *f)
{
	rcu_reaper_turn(f->reaper);
	uv_run(&f->loop, UV_RUN_NOWAIT);
}

void fixture_publish(struct zones_fixture *f, struct fake_service *s)
{
	fake_publish(s, &f->watcher);
	fixture_turn(f);
}

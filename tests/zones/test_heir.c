/* test_heir.c - a set of zones that takes the place of another: what it answers, and what it knows. */
#include "base/clock.h"
#include "base/mem.h"
#include "tests/zones/zones_fixture.h"
#include "zones/zone_heir.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SERVICES = 100, START_MS = 30000 };

static const struct zone_conf other_zones[] = {
	{ .name = "new.test2", .layout = LAYOUT_BOUND },
	{ .name = "test", .layout = LAYOUT_FULL },
	{ .name = "ns.test2", .layout = LAYOUT_BOUND_NS, .ns = "prod" },
};

static unsigned host_calls; /* that say that a name is wanted, or is not */

static void on_host_name(void *arg, const char *name, bool wanted)
{
	(void)arg;
	(void)name;
	(void)wanted;
	host_calls++;
}

static void settings(struct zone_set_conf *conf, struct zone_conf *zones)
{
	(void)zones;
	conf->protect = PROTECT_OFF;
	conf->all_unhealthy = UNHEALTHY_LAST;
	conf->last_max_ms = 60000;
	conf->slow_start_ms = START_MS;
	conf->on_host_name = on_host_name;
}

struct fixture {
	struct zones_fixture *f;
	struct zone_set *heir;
	struct fake_service *services[SERVICES];
};

static struct zone_set *heir_new(struct zones_fixture *f)
{
	struct zone_set_conf conf = f->conf;
	struct zone_set *ret;
	struct error err;
	conf.zones = other_zones;
	conf.zone_count = 3;
	assert_int_equal(zone_set_new(&ret, &conf, f->reaper, &err), E_OK);
	return ret;
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	x->f = fixture_new(settings);
	for (unsigned i = 0; i < SERVICES; i++) {
		char *name = malloc(16);
		snprintf(name, 16, "s%u", i);
		x->services[i] = fixture_service(x->f, i % 2 == 0 ? "public" : "prod", "DEFAULT_GROUP", name);
		fake_add(x->services[i], &(struct fake_instance){ .ip = "10.0.0.1", .port = 80 });
		fixture_publish(x->f, x->services[i]);
	}
	x->heir = heir_new(x->f);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	const char *names[SERVICES];
	struct zone_set *heir = x->heir;
	for (unsigned i = 0; i < SERVICES; i++)
		names[i] = x->services[i]->name;
	fixture_free(x->f); /* the reaper ends first */
	zone_set_free(heir);
	for (unsigned i = 0; i < SERVICES; i++)
		free((void *)(uintptr_t)names[i]);
	free(x);
	return 0;
}

/* Both hear of a change, as they do while services are taken over. */
static void on_view(void *arg, const struct service_view *old, const struct service_view *fresh)
{
	struct fixture *x = arg;
	x->f->watcher.on_view(x->f->watcher.arg, old, fresh);
	zone_heir_on_view(x->heir, x->f->zones, old, fresh);
}

static void on_turn(void *arg, uint64_t number)
{
	struct fixture *x = arg;
	x->f->watcher.on_turn(x->f->watcher.arg, number);
}

static struct registry_watcher both(struct fixture *x)
{
	return (struct registry_watcher){ .on_view = on_view, .on_turn = on_turn, .arg = x };
}

static void take_over(struct fixture *x)
{
	while (!zone_heir_step(x->heir, x->f->zones, 0))
		;
	assert_true(zone_heir_is_whole(x->heir));
	zone_heir_end(x->heir, x->f->zones);
	x->f->ask.zones = x->heir;
}

static unsigned rcode(struct fixture *x, const char *name, unsigned type)
{
	return ask(&x->f->ask, name, type)->answer.rcode;
}

static bool has(struct fixture *x, const char *name, const char *address)
{
	return asked_has(ask(&x->f->ask, name, RR_A), 1, RR_A, address);
}

static void an_heir_answers_in_its_zones_what_the_other_does_in_its_own(void **state)
{
	struct fixture *x = *state;
	zone_heir_begin(x->heir, x->f->zones);
	take_over(x);
	for (unsigned i = 0; i < SERVICES; i++) {
		char name[64];
		snprintf(name, sizeof(name), i % 2 == 0 ? "s%u.svc.test" : "s%u.default_group.prod.ns.test", i);
		assert_true(has(x, name, "10.0.0.1"));
		snprintf(name, sizeof(name), i % 2 == 0 ? "s%u.new.test2" : "s%u.default_group.ns.test2", i);
		assert_true(has(x, name, "10.0.0.1"));
	}
	assert_int_equal(rcode(x, "s100.svc.test", RR_A), RCODE_NXDOMAIN);
	assert_int_equal(rcode(x, "s0.old.test2", RR_A), RCODE_REFUSED);
}

static void changes_while_it_takes_over_are_in_it_and_what_has_gone_is_not(void **state)
{
	struct fixture *x = *state;
	struct registry_watcher w = both(x);
	zone_heir_begin(x->heir, x->f->zones);
	assert_false(zone_heir_step(x->heir, x->f->zones, 0)); /* the youngest are there */
	for (unsigned i = 0; i < SERVICES; i += 4) {
		fake_add(x->services[i], &(struct fake_instance){ .ip = "10.0.0.2", .port = 80 });
		fake_publish(x->services[i], &w);
	}
	for (unsigned i = 2; i < SERVICES; i += 4) /* the next one to be taken over among them */
		fake_unpublish(x->services[i], &w);
	struct fake_service *late = fixture_service(x->f, "public", "DEFAULT_GROUP", "late");
	fake_add(late, &(struct fake_instance){ .ip = "10.0.0.3", .port = 80 });
	fake_publish(late, &w);
	take_over(x);
	for (unsigned i = 0; i < SERVICES; i += 2) {
		char name[64];
		snprintf(name, sizeof(name), "s%u.new.test2", i);
		if (i % 4 == 0)
			assert_true(has(x, name, "10.0.0.2"));
		else
			assert_int_equal(rcode(x, name, RR_A), RCODE_NXDOMAIN);
	}
	assert_true(has(x, "late.svc.test", "10.0.0.3"));
	fake_add(x->services[0], &(struct fake_instance){ .ip = "10.0.0.4", .port = 80 });
	w = zone_set_watcher(x->heir);
	fake_publish(x->services[0], &w);
	assert_true(has(x, "s0.new.test2", "10.0.0.4"));
}

static void what_was_well_last_who_starts_slowly_and_what_a_host_name_leads_to_go_with_it(void **state)
{
	struct fixture *x = *state;
	struct host_address address = { 4, { 10, 9, 9, 9 } };
	struct zones_fixture *f = x->f;
	fake_replace(x->services[0], 0, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80, .sick = true });
	fixture_publish(f, x->services[0]);
	assert_true(has(x, "s0.svc.test", "10.0.0.1")); /* held */
	fake_add(x->services[2], &(struct fake_instance){ .ip = "10.0.0.2", .port = 81 });
	fixture_publish(f, x->services[2]);
	fake_add(x->services[4], &(struct fake_instance){ .ip = "db.example", .port = 80 });
	fixture_publish(f, x->services[4]);
	zone_set_host_found(f->zones, "db.example", &(struct host_found){ &address, 1, false, NULL });
	assert_int_equal(host_calls, 1);
	zone_heir_begin(x->heir, f->zones);
	while (!zone_heir_step(x->heir, f->zones, 0))
		;
	assert_int_equal(host_calls, 1); /* nobody hears of it before it is there */
	take_over(x);
	assert_true(has(x, "s0.svc.test", "10.0.0.1"));
	assert_true(has(x, "s4.svc.test", "10.9.9.9"));
	struct asked *a = ask(&f->ask, "s2.svc.test", RR_SRV);
	unsigned weights[2] = { 0, 0 };
	for (unsigned i = 0; i < a->count; i++)
		if (a->records[i].section == 1 && a->records[i].port >= 80 && a->records[i].port <= 81)
			weights[a->records[i].port - 80] = a->records[i].weight;
	assert_true(weights[1] > 0 && weights[1] * 5 < weights[0]);
}

static void an_heir_that_is_not_needed_leaves_the_other_as_it_was(void **state)
{
	struct fixture *x = *state;
	zone_heir_begin(x->heir, x->f->zones);
	zone_heir_step(x->heir, x->f->zones, 0);
	zone_heir_abandon(x->f->zones);
	fake_unpublish(x->services[0], &x->f->watcher);
	assert_int_equal(rcode(x, "s0.svc.test", RR_A), RCODE_NXDOMAIN);
	assert_true(has(x, "s2.svc.test", "10.0.0.1"));
	assert_int_equal(rcode(x, "s2.new.test2", RR_A), RCODE_REFUSED);
}

static void without_memory_it_says_that_it_is_not_whole(void **state)
{
	struct fixture *x = *state;
	zone_heir_begin(x->heir, x->f->zones);
	mem_fail_at(0);
	for (bool done = false; !done;)
		done = zone_heir_step(x->heir, x->f->zones, 0);
	bool failed = mem_fail_off();
	assert_int_equal(zone_heir_is_whole(x->heir), !failed);
	assert_true(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_heir_answers_in_its_zones_what_the_other_does_in_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_while_it_takes_over_are_in_it_and_what_has_gone_is_not, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_well_last_who_starts_slowly_and_what_a_host_name_leads_to_go_with_it, setup, teardown),
		cmocka_unit_test_setup_teardown(an_heir_that_is_not_needed_leaves_the_other_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(without_memory_it_says_that_it_is_not_whole, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

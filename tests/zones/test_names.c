/* test_names.c - which names exist: a model as a set of names beside random registrations (dns.md D.2); who owns an
 * alias; serials; refused allocations; no allocation on the way of a query. */
#include "base/clock.h"
#include "base/mem.h"
#include "tests/zones/names_model.h"
#include "tests/zones/zones_checks.h"
#include "zones/label.h"
#include "zones/zone.h"
#include "zones/zone_out.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SERVICES = 40, STEPS = 400, SEED = 77 };

static void no_alias(struct zone_set_conf *conf, struct zone_conf *zones)
{
	static const char *const keys[] = { "protocol" };
	(void)zones;
	conf->raw_alias = false; /* aliases have a test of their own */
	conf->selector_keys = keys;
	conf->selector_key_count = 1;
}

static void five_zones(struct zone_set_conf *conf, struct zone_conf *zones)
{
	static const char *groups[] = { "DEFAULT_GROUP", "PAY_GROUP" }, *namespaces[] = { "prod", "Dev_1" }, *metadata[] = { "tier=web" };
	no_alias(conf, zones);
	zones[1] = (struct zone_conf){ .name = "prod", .layout = LAYOUT_BOUND, .ns = "prod", .group = "g0" };
	zones[2] = (struct zone_conf){ .name = "svc.cluster.internal", .layout = LAYOUT_BOUND_GROUP,
				       .export_metadata = { metadata, 1 } };
	zones[3] = (struct zone_conf){ .name = "dev", .layout = LAYOUT_BOUND_NS, .ns = "Dev_1" };
	zones[4] = (struct zone_conf){ .name = "lower.test", .layout = LAYOUT_FULL, .export_namespaces = { namespaces, 2 },
				       .export_groups = { groups, 2 } };
	conf->zone_count = 5;
}

static void change_service(struct fake_service *s, struct rng *r)
{
	static const char *const clusters[] = { "DEFAULT", "HZ_A", "hz-b", "default" };
	static const char *const protocols[] = { "grpc", "http", NULL };
	static const char *const hosts[] = { "10.0.0.", "2001:db8::", "host-" };
	char ip[40];
	if (rng_below(r, 4) == 0) {
		s->metadata[0] = (struct pair){ "tier", rng_below(r, 2) == 0 ? "web" : "db", 0, 0 };
		s->info_changed = true;
	}
	if (s->count > 0 && rng_below(r, 3) == 0) {
		fake_remove(s, rng_below(r, s->count));
		return;
	}
	unsigned n = rng_below(r, 12), form = rng_below(r, 8);
	snprintf(ip, sizeof(ip), "%s%u", form == 0 ? hosts[2] : form < 3 ? hosts[1] : hosts[0], n);
	const char *protocol = protocols[rng_below(r, 3)];
	struct fake_instance i = { .ip = ip, .port = (uint16_t)(rng_below(r, 4) * 80),
				   .cluster = clusters[rng_below(r, 4)], .sick = rng_below(r, 3) == 0 };
	if (protocol != NULL)
		i.metadata[0] = (struct pair){ "protocol", protocol, 0, 0 };
	if (strcmp(ip, "10.0.0.0") != 0)
		fake_add(s, &i);
}

static void check_names_against_a_model(void (*zones)(struct zone_set_conf *conf, struct zone_conf *zones), unsigned steps)
{
	static const char *const namespaces[] = { "public", "prod", "Dev_1" };
	static const char *const groups[] = { "DEFAULT_GROUP", "g0", "default", "PAY_GROUP" };
	static const char *const names[] = { "alpha", "Beta", "c", "i", "svc", "_tcp", "a.b", "ns", "x_y", "default" };
	struct zones_fixture *f = fixture_new(zones);
	struct fake_service *all[SERVICES];
	bool published[SERVICES] = { false };
	struct names_model *m = calloc(1, sizeof(*m));
	struct rng r;
	rng_seed(&r, SEED);
	f->ask.skip_ldns = true;
	for (unsigned i = 0; i < SERVICES; i++)
		all[i] = fixture_service(f, namespaces[i % 3], groups[i / 3 % 4], names[i % 10]);
	for (unsigned step = 0; step < steps; step++) {
		unsigned i = rng_below(&r, SERVICES);
		if (published[i] && rng_below(&r, 5) == 0) {
			fake_unpublish(all[i], &f->watcher);
			all[i]->id += 1000; /* ids are never used again */
			all[i]->info_changed = true;
			published[i] = false;
			fixture_turn(f);
		} else {
			for (unsigned k = rng_below(&r, 4); k > 0; k--)
				change_service(all[i], &r);
			published[i] = true;
			fixture_publish(f, all[i]);
		}
		if (step % 10 == 0) {
			model_build(m, &f->conf, all, published, SERVICES);
			model_check(m, &f->ask, &r);
		}
	}
	model_clear(m);
	free(m);
	for (unsigned i = 0; i < SERVICES; i++)
		if (published[i])
			fake_unpublish(all[i], &f->watcher);
	struct zone_set_stats stats;
	f->watcher.on_turn(f->watcher.arg, 0);
	zone_set_stats(f->zones, &stats);
	assert_int_equal(stats.nodes, 0);
	assert_int_equal(stats.hosts, 0);
	assert_int_equal(stats.blobs, 0);
	assert_int_equal(stats.bytes, 0);
	assert_int_equal(stats.dropped_addresses, 0);
	fixture_free(f);
}

static void names_exist_exactly_as_the_model_says(void **state)
{
	(void)state;
	check_names_against_a_model(no_alias, STEPS);
}

static void every_layout_and_filter_has_its_names_and_no_others(void **state)
{
	(void)state;
	check_names_against_a_model(five_zones, STEPS / 2);
}

static uint64_t conflicts(struct zones_fixture *f)
{
	struct zone_set_stats stats;
	f->watcher.on_turn(f->watcher.arg, 0);
	zone_set_stats(f->zones, &stats);
	return stats.alias_conflicts;
}

static void the_oldest_owns_an_alias_and_a_canonical_label_beats_it(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	(void)state;
	struct fake_service *young = fixture_service(f, "public", "DEFAULT_GROUP", "ORDER_service");
	young->created = 1000;
	fake_add(young, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80 });
	fixture_publish(f, young);
	assert_string_equal(address_of(f, "order_service.svc.test"), "10.0.0.1");
	struct fake_service *old = one_address(f, "Order_Service", "10.0.0.2"); /* created earlier, seen later */
	assert_string_equal(address_of(f, "order_service.svc.test"), "10.0.0.2");
	assert_string_equal(address_of(f, "_order_service._tcp.svc.test"), "");
	assert_int_equal(ask(&f->ask, "_order_service._tcp.svc.test", RR_SRV)->answer.ancount, 1);
	assert_int_equal(conflicts(f), 1);
	fake_unpublish(old, &f->watcher);
	assert_string_equal(address_of(f, "order_service.svc.test"), "10.0.0.1");
	assert_int_equal(conflicts(f), 0);
	/* OrderService folds to what another one is called */
	one_address(f, "OrderService", "10.0.0.3");
	assert_string_equal(address_of(f, "orderservice.svc.test"), "10.0.0.3");
	struct fake_service *plain = one_address(f, "orderservice", "10.0.0.4");
	assert_string_equal(address_of(f, "orderservice.svc.test"), "10.0.0.4");
	assert_string_equal(address_of(f, "e-1--qorder-qservice.svc.test"), "10.0.0.3");
	assert_int_equal(conflicts(f), 1);
	fake_clear(plain);
	fake_add(plain, &(struct fake_instance){ .ip = "10.0.0.5", .port = 80 });
	fixture_publish(f, plain);
	assert_string_equal(address_of(f, "orderservice.svc.test"), "10.0.0.5");
	fake_unpublish(plain, &f->watcher);
	assert_string_equal(address_of(f, "orderservice.svc.test"), "10.0.0.3");
	one_address(f, "providers:com.acme.OrderApi:1.0.0", "10.0.0.6");
	assert_string_equal(address_of(f, "providers:com\\.acme\\.orderapi:1\\.0\\.0.svc.test"), "10.0.0.6");
	one_address(f, "_tcp", "10.0.0.7"); /* no alias, but its code */
	assert_string_equal(address_of(f, "e-1--utcp.svc.test"), "10.0.0.7");
	assert_string_equal(address_of(f, "_tcp.svc.test"), "");
	fixture_free(f);
}

static void said(void *arg, enum label_kind kind, const char *name)
{
	(void)arg;
	assert_int_equal(kind, LABEL_GROUP);
	assert_string_equal(name, "Pay_group");
}

static void said_conflicts(struct zone_set_conf *conf, struct zone_conf *zones)
{
	(void)zones;
	conf->on_conflict = said;
}

/* Groups have no age of their own, so it is that of their services, in whatever order a start finds them. */
static void a_group_owns_its_alias_by_its_oldest_service(void **state)
{
	static const struct { const char *group, *name, *ip; uint64_t created; const char *owner; } steps[] = {
		{ "PAY_GROUP", "web", "10.0.0.1", 1000, "10.0.0.1" },
		{ "Pay_group", "web", "10.0.0.2", 500, "10.0.0.2" },
		{ "PAY_GROUP", "old", "10.0.0.3", 100, "10.0.0.1" },
		{ "Pay_group", "young", "10.0.0.4", 2000, "10.0.0.1" },
	};
	struct zones_fixture *f = fixture_new(said_conflicts);
	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct fake_service *s = fixture_service(f, "public", steps[i].group, steps[i].name);
		s->created = steps[i].created;
		fake_add(s, &(struct fake_instance){ .ip = steps[i].ip, .port = 80 });
		fixture_publish(f, s);
		assert_string_equal(address_of(f, "web.pay_group.public.ns.test"), steps[i].owner);
		assert_int_equal(conflicts(f), i > 0);
	}
	assert_string_equal(address_of(f, "old.pay_group.public.ns.test"), "10.0.0.3");
	assert_string_equal(address_of(f, "young.pay_group.public.ns.test"), "");
	fixture_free(f);
}

static void hashed_and_overlong_names_resolve(void **state)
{
	static char ns[65], group[129], service[200];
	struct zones_fixture *f = fixture_new(NULL);
	struct label l[3], brief[3];
	char name[400];
	(void)state;
	memset(ns, 'n', 64);
	memset(group, 'g', 128);
	memset(service, 's', 199);
	struct fake_service *s = fixture_service(f, ns, group, service);
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80 });
	fixture_publish(f, s);
	label_encode(&l[0], LABEL_SERVICE, service, 199);
	label_encode(&l[1], LABEL_GROUP, group, 128);
	label_encode(&l[2], LABEL_NAMESPACE, ns, 64);
	label_encode_short(&brief[1], LABEL_GROUP, group, 128);
	snprintf(name, sizeof(name), "%s.%s.%s.ns.test", l[0].text, brief[1].text, l[2].text);
	assert_string_equal(address_of(f, name), "10.0.0.1");
	struct asked *x = ask(&f->ask, name, RR_TXT);
	assert_int_equal(x->answer.ancount, 1);
	assert_memory_equal(x->records[0].rdata + 11, "name=sss", 8);
	snprintf(name, sizeof(name), "%s.%s.ns.test", l[1].text, l[2].text);
	assert_int_equal(ask(&f->ask, name, RR_TXT)->answer.ancount, 1);
	assert_int_equal(ask(&f->ask, name, RR_A)->answer.rcode, RCODE_NOERROR);
	fixture_free(f);
}

struct serials {
	uint32_t last;
	unsigned calls;
};

static void on_serial(void *arg, const char *zone, uint32_t serial)
{
	struct serials *s = arg;
	assert_string_equal(zone, "test");
	s->last = serial;
	s->calls++;
}

static void a_serial_grows_with_changes_at_most_once_a_second(void **state)
{
	struct serials seen = { 0 };
	struct zones_fixture *f = fixture_new(NULL);
	struct zone_set *zs;
	(void)state;
	clock_fake(1000, 1700000000000);
	f->conf.on_serial = on_serial;
	f->conf.arg = &seen;
	assert_int_equal(zone_set_new(&zs, &f->conf, f->reaper, NULL), E_OK);
	zone_set_ready(zs);
	zone_set_serial_restore(zs, "test.", 1699999999);
	assert_int_equal(zone_set_serial(zs, 0), 1700000064); /* ahead of the clock */
	zone_set_serial_restore(zs, "test.", 1700000105);
	f->ask.zones = zs;
	zone_set_tick(zs, 1700000000000);
	assert_int_equal(seen.last, 1700000107); /* restored + 1, and its publication */
	struct registry_watcher w = zone_set_watcher(zs);
	struct fake_service *s = fake_service_new("public", "DEFAULT_GROUP", "s");
	for (unsigned i = 0; i < 10; i++) {
		fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = (uint16_t)(80 + i) });
		fake_publish(s, &w);
	}
	assert_int_equal(seen.calls, 1); /* within the second */
	clock_fake(2000, 1700000001000);
	zone_set_tick(zs, 1700000001000);
	assert_int_equal(seen.calls, 2);
	assert_int_equal(seen.last, 1700000108);
	assert_int_equal(ask(&f->ask, "test", RR_SOA)->records[0].serial, 1700000108);
	zone_set_tick(zs, 1700000100000);
	assert_int_equal(seen.calls, 2); /* nothing changed */
	fake_publish(s, &w);
	zone_set_tick(zs, 1700000200000);
	assert_int_equal(seen.calls, 2); /* the same view once more */
	fake_remove(s, 0);
	fake_publish(s, &w);
	zone_set_tick(zs, 1700000200000);
	assert_int_equal(seen.last, 1700000200);
	clock_fake_off();
	fake_unpublish(s, &w);
	fake_service_free(s);
	f->ask.zones = f->zones;
	for (int i = 0; i < 3; i++)
		fixture_turn(f);
	fixture_free(f);
	zone_set_free(zs);
	assert_true(serial_after(1, UINT32_MAX) && serial_after(5, 4) && !serial_after(4, 4));
	assert_int_equal(serial_next(UINT32_MAX, 0), 0);
}

static void a_refused_allocation_keeps_the_old_answer_until_the_next_tick(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	(void)state;
	for (unsigned round = 0; round < 2; round++) { /* a first view; a change with clusters */
		bool reached = true;
		for (unsigned nth = 0; reached; nth++) {
			struct fake_service *s = fake_service_new("ns", "group", "Fails_Often");
			struct fake_instance one = { .ip = "10.0.0.1", .port = 80 }, two = one, six = one;
			two.ip = "10.0.0.2";
			two.cluster = "B_2";
			six.ip = "2001:db8::1";
			fake_add(s, &one);
			if (round == 1) {
				fake_publish(s, &f->watcher);
				assert_string_equal(address_of(f, "fails_often.group.ns.ns.test"), "10.0.0.1");
			}
			fake_add(s, &two);
			fake_add(s, &six);
			mem_fail_at(nth);
			fake_publish(s, &f->watcher);
			reached = mem_fail_off();
			struct asked *x = ask(&f->ask, "fails_often.group.ns.ns.test", RR_A);
			if (!reached)
				assert_int_equal(x->answer.ancount, 2);
			else if (round == 1 && x->answer.ancount != 2)
				assert_int_equal(x->answer.ancount, 1); /* never empty */
			zone_set_tick(f->zones, clock_wall_ms());
			assert_int_equal(ask(&f->ask, "fails_often.group.ns.ns.test", RR_A)->answer.ancount, 2);
			assert_int_equal(ask(&f->ask, "b_2.c.fails_often.group.ns.ns.test", RR_A)->answer.ancount, 1);
			fake_unpublish(s, &f->watcher);
			assert_int_equal(ask(&f->ask, "ns.ns.test", RR_A)->answer.rcode, RCODE_NXDOMAIN);
			fake_service_free(s);
			fixture_turn(f);
			assert_true(nth < 200);
		}
	}
	fixture_free(f);
}

static void a_service_that_goes_while_it_waits_for_memory_is_forgotten(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	(void)state;
	struct fake_service *s = fake_service_new("ns", "group", "lost");
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80 });
	mem_fail_at(0);
	fake_publish(s, &f->watcher);
	assert_true(mem_fail_off());
	fake_unpublish(s, &f->watcher);
	fake_service_free(s);
	zone_set_tick(f->zones, clock_wall_ms());
	assert_int_equal(ask(&f->ask, "lost.group.ns.ns.test", RR_A)->answer.rcode, RCODE_NXDOMAIN);
	fixture_free(f);
}

static void queries_ask_for_no_memory(void **state)
{
	static const char *const names[] = { "s.svc.test", "_s._tcp.svc.test", "default.c.s.svc.test", "test", "x.test",
					     "10-0-0-1.i.test", "_http._tcp.s.svc.test", "s.default.public.ns.test",
					     "10-0-0-1.i.s.svc.test", "many.svc.test" };
	static const uint16_t types[] = { RR_A, RR_AAAA, RR_SRV, RR_TXT, RR_ANY, RR_SOA, RR_NS };
	struct zones_fixture *f = fixture_new(NULL);
	(void)state;
	one_address(f, "s", "10.0.0.1");
	struct fake_service *many = fixture_service(f, "public", "DEFAULT_GROUP", "many");
	for (unsigned i = 0; i < 1000; i++) {
		char ip[20];
		snprintf(ip, sizeof(ip), "10.1.%u.%u", i / 250, i % 250 + 1);
		fake_add(many, &(struct fake_instance){ .ip = ip, .port = 80 });
	}
	fixture_publish(f, many);
	f->ask.skip_ldns = true;
	ask(&f->ask, "many.svc.test", RR_A); /* its subset cache is made with the first query */
	uint64_t before = mem_thread_count();
	for (unsigned i = 0; i < 10000; i++) {
		f->ask.client = i;
		ask(&f->ask, names[i % 10], types[i % 7]);
	}
	assert_int_equal(mem_thread_count(), before);
	fixture_free(f);
}

static void zones_that_cannot_be_are_refused(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	static const char *const bad[] = { "", ".", "a..b", "a b",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", /* 79 octets */
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	struct zone_set *zs = NULL;
	struct error err;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f->zone_confs[0].name = bad[i];
		assert_int_equal(zone_set_new(&zs, &f->conf, f->reaper, &err), E_RANGE);
	}
	f->zone_confs[0].name = "Test.";
	f->zone_confs[1] = (struct zone_conf){ .name = "test" };
	f->conf.zone_count = 2;
	assert_int_equal(zone_set_new(&zs, &f->conf, f->reaper, &err), E_EXISTS);
	assert_null(zs);
	f->conf.zone_count = 1;
	expect_refusals_survived(f);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_exist_exactly_as_the_model_says),
		cmocka_unit_test(every_layout_and_filter_has_its_names_and_no_others),
		cmocka_unit_test(the_oldest_owns_an_alias_and_a_canonical_label_beats_it),
		cmocka_unit_test(a_group_owns_its_alias_by_its_oldest_service),
		cmocka_unit_test(hashed_and_overlong_names_resolve),
		cmocka_unit_test(a_serial_grows_with_changes_at_most_once_a_second),
		cmocka_unit_test(a_refused_allocation_keeps_the_old_answer_until_the_next_tick),
		cmocka_unit_test(a_service_that_goes_while_it_waits_for_memory_is_forgotten),
		cmocka_unit_test(queries_ask_for_no_memory),
		cmocka_unit_test(zones_that_cannot_be_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

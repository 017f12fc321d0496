/* test_selectors.c - instances asked for by a value of their metadata: <value>.<key>.m.<service> (dns.md 1.3, 1.6). */
#include "base/mem.h"
#include "tests/zones/zones_checks.h"
#include "zones/selector.h"
#include "zones/zone.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const keys[] = { "version", "zone=topology/zone" };

static void with_keys(struct zone_set_conf *conf, struct zone_conf *zones)
{
	(void)zones;
	conf->selector_keys = keys;
	conf->selector_key_count = 2;
}

static void add(struct fake_service *s, const char *ip, const char *version, const char *zone)
{
	struct fake_instance i = { .ip = ip, .port = 80 };
	if (version != NULL)
		i.metadata[0] = (struct pair){ "version", version, 0, 0 };
	if (zone != NULL)
		i.metadata[version != NULL] = (struct pair){ "topology/zone", zone, 0, 0 };
	fake_add(s, &i);
}

static struct fake_service *shop(struct zones_fixture *f)
{
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "shop");
	add(s, "10.0.0.1", "v1", "a");
	add(s, "10.0.0.2", "v2", "a");
	add(s, "10.0.0.3", "v2", NULL);
	add(s, "2001:db8::4", "v2", "b");
	add(s, "10.0.0.5", NULL, NULL);
	fixture_publish(f, s);
	return s;
}

static void a_value_has_the_instances_that_say_it(void **state)
{
	struct zones_fixture *f = fixture_new(with_keys);
	(void)state;
	shop(f);
	expect_data(f, "v1.version.m.shop.svc.test", RR_A, "10.0.0.1");
	expect_data(f, "v2.version.m.shop.svc.test", RR_A, "10.0.0.2 10.0.0.3");
	expect_data(f, "V2.Version.M.shop.default.public.ns.test", RR_A, "10.0.0.2 10.0.0.3");
	expect_data(f, "v2.version.m.shop.svc.test", RR_AAAA, "2001:db8::4");
	expect_data(f, "v1.version.m.shop.svc.test", RR_AAAA, "");
	expect_data(f, "v2.version.m.shop.svc.test", RR_SRV, "10-0-0-2.i.test. 10-0-0-3.i.test. 2001-db8-0-0-0-0-0-4.i.test.");
	expect_data(f, "a.zone.m.shop.svc.test", RR_A, "10.0.0.1 10.0.0.2");
	expect_data(f, "shop.svc.test", RR_A, "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.5");
	/* what stands above exists, and nothing else does */
	expect_data(f, "m.shop.svc.test", RR_A, "");
	expect_data(f, "version.m.shop.svc.test", RR_TXT, "");
	expect_data(f, "zone.m.shop.svc.test", RR_SRV, "");
	static const char *const absent[] = { "v3.version.m.shop.svc.test", "v1.zone.m.shop.svc.test", "topology.m.shop.svc.test",
					      "tier.m.shop.svc.test", "x.tier.m.shop.svc.test", "x.v2.version.m.shop.svc.test",
					      "_default._tcp.v2.version.m.shop.svc.test", "_tcp.v2.version.m.shop.svc.test",
					      "default.c.v2.version.m.shop.svc.test", "v2.version.m.svc.test",
					      "v2.version.m.default.c.shop.svc.test", "v.version.m.shop.svc.test" };
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		expect_absent(f, absent[i]);
	fixture_free(f);
}

static void keys_that_nobody_set_select_nothing(void **state)
{
	struct zones_fixture *plain = fixture_new(NULL);
	struct zone_set_stats stats;
	(void)state;
	shop(plain);
	expect_absent(plain, "m.shop.svc.test");
	expect_absent(plain, "version.m.shop.svc.test");
	expect_absent(plain, "v2.version.m.shop.svc.test");
	zone_set_stats(plain->zones, &stats);
	uint64_t bytes = stats.bytes;
	fixture_free(plain);
	/* and a service without their metadata costs what it did */
	struct zones_fixture *f = fixture_new(with_keys);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "plain");
	add(s, "10.0.0.1", NULL, NULL);
	fixture_publish(f, s);
	expect_absent(f, "m.plain.svc.test");
	zone_set_stats(f->zones, &stats);
	uint64_t with = stats.bytes;
	fixture_free(f);
	struct zones_fixture *without = fixture_new(NULL);
	s = fixture_service(without, "public", "DEFAULT_GROUP", "plain");
	add(s, "10.0.0.1", NULL, NULL);
	fixture_publish(without, s);
	zone_set_stats(without->zones, &stats);
	assert_int_equal(with, stats.bytes);
	assert_true(bytes > with);
	fixture_free(without);
}

static void a_service_called_m_is_a_service(void **state)
{
	struct zones_fixture *f = fixture_new(with_keys);
	(void)state;
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "m");
	add(s, "10.0.0.1", "m", NULL);
	fixture_publish(f, s);
	expect_data(f, "m.svc.test", RR_A, "10.0.0.1");
	expect_data(f, "m.m.svc.test", RR_A, "");
	expect_data(f, "m.version.m.m.svc.test", RR_A, "10.0.0.1");
	fixture_free(f);
}

/* dns.md 1.4 with the kind "value", and 1.5 for the raw bytes. */
static void values_are_coded_as_other_names_are(void **state)
{
	static char far[101];
	struct zones_fixture *f = fixture_new(with_keys);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "shop");
	struct label label;
	char name[200];
	(void)state;
	memset(far, 'F', 100);
	add(s, "10.0.0.1", "2.1.0_RC", NULL);
	add(s, "10.0.0.2", far, NULL);
	add(s, "10.0.0.3", "default", NULL);
	add(s, "10.0.0.4", "", NULL);
	fixture_publish(f, s);
	expect_data(f, "e-1-2-o1-o0-u-qr-qc.version.m.shop.svc.test", RR_A, "10.0.0.1");
	expect_data(f, "2\\.1\\.0_rc.version.m.shop.svc.test", RR_A, "10.0.0.1");
	expect_data(f, "default.version.m.shop.svc.test", RR_A, "10.0.0.3");
	expect_absent(f, "2.1.0_rc.version.m.shop.svc.test");
	assert_int_equal(label_encode(&label, LABEL_VALUE, far, 100), LABEL_HASHED);
	snprintf(name, sizeof(name), "%s.version.m.shop.svc.test", label.text);
	expect_data(f, name, RR_A, "10.0.0.2");
	struct asked *x = ask(&f->ask, name, RR_TXT);
	assert_int_equal(x->answer.ancount, 1);
	assert_memory_equal(x->records[0].rdata + 11, "name=FFF", 8);
	fixture_free(f);
}

static void an_alias_of_values_is_the_older_ones(void **state)
{
	struct zones_fixture *f = fixture_new(with_keys);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "shop");
	(void)state;
	add(s, "10.0.0.1", "V_2", NULL);
	add(s, "10.0.0.2", "v_2", NULL);
	add(s, "10.0.0.3", "RC", NULL);
	s->instances[0]->registered_ms = 2000;
	s->instances[1]->registered_ms = 1000;
	fixture_publish(f, s);
	expect_data(f, "v_2.version.m.shop.svc.test", RR_A, "10.0.0.2");
	expect_data(f, "rc.version.m.shop.svc.test", RR_A, "10.0.0.3");
	add(s, "10.0.0.4", "V_2", NULL);
	s->instances[3]->registered_ms = 500;
	fixture_publish(f, s);
	expect_data(f, "v_2.version.m.shop.svc.test", RR_A, "10.0.0.1 10.0.0.4");
	expect_data(f, "e-1-v-u2.version.m.shop.svc.test", RR_A, "10.0.0.2");
	add(s, "10.0.0.5", "rc", NULL); /* what a label says itself is nobody's alias */
	fixture_publish(f, s);
	expect_data(f, "rc.version.m.shop.svc.test", RR_A, "10.0.0.5");
	fixture_free(f);
}

/* Who is answered is decided among the instances of the value alone (dns.md 2.1). */
static void the_rules_hold_within_a_value(void **state)
{
	struct zones_fixture *f = fixture_new(with_keys);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "shop");
	(void)state;
	for (int i = 0; i < 4; i++) {
		static const char *const ips[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4" };
		fake_add(s, &(struct fake_instance){ .ip = ips[i], .port = (uint16_t)(i == 3 ? 0 : 80), .sick = i < 2,
						     .weight = i == 2 ? 40 : 0,
						     .metadata = { { "version", i < 2 ? "sick" : "well", 0, 0 } } });
	}
	fixture_publish(f, s);
	expect_data(f, "sick.version.m.shop.svc.test", RR_A, "");
	expect_data(f, "sick.version.m.shop.svc.test", RR_SRV, "");
	expect_data(f, "well.version.m.shop.svc.test", RR_A, "10.0.0.3 10.0.0.4");
	expect_data(f, "well.version.m.shop.svc.test", RR_SRV, "10-0-0-3.i.test."); /* port 0 is none */
	assert_int_equal(ask(&f->ask, "well.version.m.shop.svc.test", RR_SRV)->records[0].weight,
			 ask(&f->ask, "shop.svc.test", RR_SRV)->records[0].weight); /* one scale in a service */
	s->stored = s->info_changed = true; /* now nobody well means everybody */
	fixture_publish(f, s);
	expect_data(f, "sick.version.m.shop.svc.test", RR_A, "10.0.0.1 10.0.0.2");
	expect_data(f, "shop.svc.test", RR_A, "10.0.0.3 10.0.0.4");
	fixture_free(f);
}

static void values_come_and_go_with_their_instances(void **state)
{
	struct zones_fixture *f = fixture_new(with_keys);
	(void)state;
	struct fake_service *s = shop(f);
	struct blob *kept = NULL;
	fake_remove(s, 0); /* 10.0.0.5 takes its place */
	fixture_publish(f, s);
	expect_absent(f, "v1.version.m.shop.svc.test");
	expect_data(f, "version.m.shop.svc.test", RR_A, "");
	add(s, "10.0.0.6", "v3", NULL);
	fixture_publish(f, s);
	expect_data(f, "v3.version.m.shop.svc.test", RR_A, "10.0.0.6");
	expect_data(f, "v2.version.m.shop.svc.test", RR_A, "10.0.0.2 10.0.0.3");
	/* a value in which nothing changed keeps what was compiled */
	const struct blob *before = f->zones->youngest->blob;
	kept = blob_part_find(before, 1, (const uint8_t *)"\002v2")->blob;
	add(s, "10.0.0.7", "v3", NULL);
	fixture_publish(f, s);
	assert_ptr_equal(blob_part_find(f->zones->youngest->blob, 1, (const uint8_t *)"\002v2")->blob, kept);
	expect_data(f, "v3.version.m.shop.svc.test", RR_A, "10.0.0.6 10.0.0.7");
	fake_replace(s, 1, &(struct fake_instance){ .ip = "10.0.0.8", .port = 80, .metadata = { { "version", "v2", 0, 0 } } });
	fixture_publish(f, s);
	expect_data(f, "v2.version.m.shop.svc.test", RR_A, "10.0.0.8 10.0.0.3");
	while (s->count > 0) {
		fake_remove(s, 0);
		fixture_publish(f, s);
	}
	expect_absent(f, "m.shop.svc.test");
	expect_data(f, "shop.svc.test", RR_A, "");
	fixture_free(f);
}

static void five_layouts(struct zone_set_conf *conf, struct zone_conf *zones)
{
	with_keys(conf, zones);
	static char *aliases[] = { "www.static.example=public/DEFAULT_GROUP/shop" };
	zones[1] = (struct zone_conf){ .name = "bound.example", .layout = LAYOUT_BOUND };
	zones[2] = (struct zone_conf){ .name = "group.example", .layout = LAYOUT_BOUND_GROUP };
	zones[3] = (struct zone_conf){ .name = "ns.example", .layout = LAYOUT_BOUND_NS };
	zones[4] = (struct zone_conf){ .name = "static.example", .layout = LAYOUT_STATIC, .expand = true,
				       .aliases = { (void *)aliases, 1 } };
	conf->zone_count = 5;
}

static void every_layout_has_them(void **state)
{
	static const char *const names[] = { "shop.svc.test", "shop.default.public.ns.test", "shop.bound.example",
					     "shop.public.group.example", "shop.default.ns.example", "www.static.example" };
	struct zones_fixture *f = fixture_new(five_layouts);
	char name[200];
	(void)state;
	shop(f);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(name, sizeof(name), "v2.version.m.%s", names[i]);
		expect_data(f, name, RR_A, "10.0.0.2 10.0.0.3");
		snprintf(name, sizeof(name), "version.m.%s", names[i]);
		expect_data(f, name, RR_A, "");
		snprintf(name, sizeof(name), "v9.version.m.%s", names[i]);
		expect_absent(f, name);
	}
	fixture_free(f);
}

static void a_refused_allocation_leaves_what_was(void **state)
{
	struct zones_fixture *f = fixture_new(with_keys);
	(void)state;
	struct fake_service *s = shop(f);
	struct zone_set_stats stats;
	for (unsigned nth = 0;; nth++) {
		char ip[16], version[8];
		snprintf(ip, sizeof(ip), "10.0.1.%u", nth);
		snprintf(version, sizeof(version), "n%u", nth);
		add(s, ip, version, "a");
		mem_fail_at(nth);
		fake_publish(s, &f->watcher);
		bool failed = mem_fail_off();
		zone_set_tick(f->zones, 1000); /* tried again */
		fixture_turn(f);
		char name[64];
		snprintf(name, sizeof(name), "%s.version.m.shop.svc.test", version);
		expect_data(f, name, RR_A, ip);
		if (!failed)
			break;
	}
	fake_unpublish(s, &f->watcher);
	f->watcher.on_turn(f->watcher.arg, 0);
	zone_set_stats(f->zones, &stats);
	assert_int_equal(stats.bytes, 0);
	fixture_free(f);
}

static void keys_that_are_no_labels_are_refused(void **state)
{
	static const char *const bad[] = { "topology/zone", "", "Version", "=version", "zone=", "-x=y", "e-1-x", "a_b", "default.x" };
	struct selector_key key;
	struct error err;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (selector_key_parse(&key, bad[i], &err) != E_INVALID)
			fail_msg("\"%s\" was taken", bad[i]);
	assert_int_equal(selector_key_parse(&key, "zone=Topology Zone=x", &err), E_OK);
	assert_string_equal(key.key, "Topology Zone=x");
	struct arena mem;
	const struct selector_keys *all;
	static const char *const twice[] = { "a=b", "b", "a=c" };
	arena_init(&mem, NULL, 0, 0);
	assert_int_equal(selector_keys_make(&all, &mem, twice, 3, &err), E_EXISTS);
	assert_int_equal(selector_keys_make(&all, &mem, twice, 2, &err), E_OK);
	assert_int_equal(selector_key_find(all, (const uint8_t *)"\001b"), 2);
	arena_done(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_has_the_instances_that_say_it),
		cmocka_unit_test(keys_that_nobody_set_select_nothing),
		cmocka_unit_test(a_service_called_m_is_a_service),
		cmocka_unit_test(values_are_coded_as_other_names_are),
		cmocka_unit_test(an_alias_of_values_is_the_older_ones),
		cmocka_unit_test(the_rules_hold_within_a_value),
		cmocka_unit_test(values_come_and_go_with_their_instances),
		cmocka_unit_test(every_layout_has_them),
		cmocka_unit_test(a_refused_allocation_leaves_what_was),
		cmocka_unit_test(keys_that_are_no_labels_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

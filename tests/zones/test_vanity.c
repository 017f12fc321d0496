/* test_vanity.c - names of an operator's choice: they answer what the service answers, at an apex too, exist whatever the
 * registry holds, and have their addresses in the zone they stand in. */
#include "tests/zones/zones_checks.h"
#include "zones/vanity.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void three_zones(struct zone_set_conf *conf, struct zone_conf *zones)
{
	static const char *apex[] = { "shop.example=prod/pay/shop" };
	static const char *many[] = { "www.lower.test=prod/pay/shop:http", "a.b.test=prod/pay/shop/hz", "later.test=public/DEFAULT_GROUP/later",
				      "Coded.test=public/DEFAULT_GROUP/e-1-a-kb", "none.test=prod/pay/shop:nosuch" };
	static const char *bound[] = { "x.prod.example=public/DEFAULT_GROUP/web" };
	zones[0].aliases = (struct word_list){ many, 5 };
	zones[0].expand = true;
	zones[1] = (struct zone_conf){ .name = "shop.example", .layout = LAYOUT_STATIC, .aliases = { apex, 1 } };
	zones[2] = (struct zone_conf){ .name = "prod.example", .layout = LAYOUT_BOUND, .ns = "prod", .aliases = { bound, 1 } };
	conf->zone_count = 3;
}

static struct fake_service *shop(struct zones_fixture *f)
{
	struct fake_service *s = fixture_service(f, "prod", "pay", "shop");
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80, .cluster = "hz",
					     .metadata = { { "port.http", "8080", 0, 0 }, { "version", "v2", 0, 0 } } });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.2", .port = 80, .cluster = "sh" });
	fixture_publish(f, s);
	return s;
}

static void expect(struct zones_fixture *f, const char *name, unsigned type, unsigned rcode, unsigned records)
{
	struct asked *x = ask(&f->ask, name, type);
	if (!x->readable || x->answer.rcode != rcode || x->answer.ancount != records)
		fail_msg("%s type %u: RCODE %u, %u records", name, type, x->answer.rcode, x->answer.ancount);
}

static void an_apex_answers_what_the_service_answers_beside_its_own_records(void **state)
{
	struct zones_fixture *f = fixture_new(three_zones);
	(void)state;
	expect(f, "shop.example", RR_A, RCODE_NOERROR, 0); /* not there yet */
	struct fake_service *s = shop(f);
	expect(f, "shop.example", RR_A, RCODE_NOERROR, 2);
	expect(f, "shop.example", RR_AAAA, RCODE_NOERROR, 0);
	expect(f, "shop.example", RR_SOA, RCODE_NOERROR, 1);
	expect(f, "shop.example", RR_NS, RCODE_NOERROR, 1);
	struct asked *x = ask(&f->ask, "shop.example", RR_SRV);
	assert_int_equal(x->answer.ancount, 3);
	assert_true(asked_has(x, 1, RR_SRV, "10-0-0-1.i.shop.example."));
	expect(f, "10-0-0-1.i.shop.example", RR_A, RCODE_NOERROR, 1); /* targets are here */
	expect(f, "10-0-0-9.i.shop.example", RR_A, RCODE_NXDOMAIN, 0);
	expect(f, "c.shop.example", RR_A, RCODE_NXDOMAIN, 0); /* not expanded */
	fake_unpublish(s, &f->watcher);
	expect(f, "shop.example", RR_A, RCODE_NOERROR, 0);
	expect(f, "10-0-0-1.i.shop.example", RR_A, RCODE_NXDOMAIN, 0);
	fixture_free(f);
}

static void a_name_exists_by_the_settings_and_so_does_what_is_above_it(void **state)
{
	struct zones_fixture *f = fixture_new(three_zones);
	(void)state;
	static const char *const there[] = { "www.lower.test", "lower.test", "a.b.test", "b.test", "later.test", "coded.test", "LATER.test" };
	static const char *const absent[] = { "x.lower.test", "x.b.test", "x.later.test", "ww.lower.test", "www.test", "c.later.test" };
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		expect(f, there[i], RR_A, RCODE_NOERROR, 0);
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		expect(f, absent[i], RR_A, RCODE_NXDOMAIN, 0);
	shop(f);
	struct fake_service *later = fixture_service(f, "public", "DEFAULT_GROUP", "later");
	fake_add(later, &(struct fake_instance){ .ip = "10.0.0.5", .port = 80 });
	fixture_publish(f, later);
	struct fake_service *coded = fixture_service(f, "public", "DEFAULT_GROUP", "a:b");
	fake_add(coded, &(struct fake_instance){ .ip = "10.0.0.6", .port = 80 });
	fixture_publish(f, coded);
	expect(f, "later.test", RR_A, RCODE_NOERROR, 1);
	expect(f, "coded.test", RR_A, RCODE_NOERROR, 1);
	for (size_t i = 0; i < 5; i++)
		expect(f, absent[i], RR_A, RCODE_NXDOMAIN, 0);
	expect(f, "c.later.test", RR_A, RCODE_NOERROR, 0); /* expanded */
	fixture_free(f);
}

static void a_cluster_and_a_port_narrow_it_and_expand_shows_what_is_below(void **state)
{
	struct zones_fixture *f = fixture_new(three_zones);
	(void)state;
	shop(f);
	expect(f, "a.b.test", RR_A, RCODE_NOERROR, 1);
	expect(f, "www.lower.test", RR_A, RCODE_NOERROR, 2);
	struct asked *x = ask(&f->ask, "www.lower.test", RR_SRV);
	assert_int_equal(x->answer.ancount, 1);
	assert_int_equal(x->records[0].port, 8080);
	expect(f, "none.test", RR_SRV, RCODE_NOERROR, 0);
	expect(f, "none.test", RR_A, RCODE_NOERROR, 2);
	expect(f, "hz.c.www.lower.test", RR_A, RCODE_NOERROR, 1);
	expect(f, "_http._tcp.www.lower.test", RR_SRV, RCODE_NOERROR, 1);
	expect(f, "_http._tcp.hz.c.www.lower.test", RR_SRV, RCODE_NOERROR, 1);
	expect(f, "_http._tcp.sh.c.www.lower.test", RR_SRV, RCODE_NXDOMAIN, 0);
	expect(f, "10-0-0-2.i.www.lower.test", RR_A, RCODE_NOERROR, 1);
	expect(f, "10-0-0-2.i.a.b.test", RR_A, RCODE_NXDOMAIN, 0); /* of another cluster */
	expect(f, "shop.pay.prod.ns.test", RR_A, RCODE_NOERROR, 2);  /* the registry's names stay */
	fixture_free(f);
}

static void a_bound_zone_has_the_addresses_of_its_vanity_names_and_no_other_name_of_theirs(void **state)
{
	struct zones_fixture *f = fixture_new(three_zones);
	(void)state;
	struct fake_service *web = fixture_service(f, "public", "DEFAULT_GROUP", "web");
	struct fake_service *other = fixture_service(f, "public", "DEFAULT_GROUP", "other");
	fake_add(web, &(struct fake_instance){ .ip = "10.0.0.7", .port = 80 });
	fake_add(other, &(struct fake_instance){ .ip = "10.0.0.8", .port = 80 });
	fixture_publish(f, web);
	fixture_publish(f, other);
	expect(f, "x.prod.example", RR_A, RCODE_NOERROR, 1);
	expect(f, "10-0-0-7.i.prod.example", RR_A, RCODE_NOERROR, 1);
	expect(f, "10-0-0-8.i.prod.example", RR_A, RCODE_NXDOMAIN, 0);
	expect(f, "web.prod.example", RR_A, RCODE_NXDOMAIN, 0);
	fixture_free(f);
}

static void what_is_no_alias_is_refused(void **state)
{
	static const char *const bad[] = { "shop.example", "shop.example=", "shop.example=a/b", "shop.example=a/b/", "shop.example=a//c",
					   "shop.example=a/b/c/d/e", "other.test=a/b/c", "myshop.example=a/b/c", "shop.example=a/b/c:",
					   "shop.example=a/b/c:HTTP", "shop.example=a/b/c:averylongportname", "a..shop.example=a/b/c",
					   "shop.example=a/b/e-1-x" };
	struct arena mem;
	struct vanity v;
	struct error err;
	(void)state;
	arena_init(&mem, NULL, 0, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (vanity_parse(&v, &mem, "shop.example", bad[i], &err) != E_INVALID)
			fail_msg("%s is accepted", bad[i]);
	assert_int_equal(vanity_parse(&v, &mem, "shop.example", "A.b.Shop.example.=public/g/s/c:http", &err), E_OK);
	assert_int_equal(v.labels, 2);
	assert_memory_equal(v.key, "\1b\1a", 4);
	static const char *twice[] = { "a.shop.example=a/b/c", "A.shop.example.=a/b/d" };
	struct vanity_list list = { NULL, 0, false };
	assert_int_equal(vanities_make(&list, &mem, "shop.example", &(struct word_list){ twice, 2 }, &err), E_EXISTS);
	arena_done(&mem);
}

static struct {
	char said[400];
} hidden;

static void on_hidden(void *arg, const char *zone, const struct service_key *key, const char *by)
{
	size_t len = strlen(hidden.said);
	(void)arg;
	snprintf(hidden.said + len, sizeof(hidden.said) - len, "%s/%s/%s in %s: %s\n", key->ns, key->group, key->name, zone, by);
}

static void bound_zones(struct zone_set_conf *conf, struct zone_conf *zones)
{
	static const char *aliases[] = { "web.bound.example=prod/pay/shop", "own.bound.example=public/DEFAULT_GROUP/own",
					 "web.public.group.example=prod/pay/shop" };
	zones[1] = (struct zone_conf){ .name = "bound.example", .layout = LAYOUT_BOUND, .aliases = { aliases, 2 } };
	zones[2] = (struct zone_conf){ .name = "group.example", .layout = LAYOUT_BOUND_GROUP, .aliases = { aliases + 2, 1 } };
	zones[3] = (struct zone_conf){ .name = "ns.example", .layout = LAYOUT_BOUND_NS, .mname = "dns.ns.example" };
	conf->zone_count = 4;
	conf->on_hidden = on_hidden;
	memset(&hidden, 0, sizeof(hidden));
}

static uint64_t hidden_count(struct zones_fixture *f)
{
	struct zone_set_stats stats;
	zone_set_stats(f->zones, &stats);
	return stats.hidden;
}

/* i, dns-version and the name server are a zone's own (dns.md 1.9); an alias is the operator's word. */
static void a_service_whose_name_is_taken_is_told_of(void **state)
{
	static const char *const taken[] = { "i", "dns-version", "ns1" };
	struct zones_fixture *f = fixture_new(bound_zones);
	(void)state;
	struct fake_service *all[3];
	for (int i = 0; i < 3; i++) {
		char name[64], said[100];
		all[i] = one_address(f, taken[i], "10.0.0.1");
		snprintf(said, sizeof(said), "public/DEFAULT_GROUP/%s in bound.example: a name of the zone itself\n", taken[i]);
		assert_string_equal(hidden.said, said);
		hidden.said[0] = '\0';
		snprintf(name, sizeof(name), "%s.bound.example", taken[i]);
		expect_data(f, name, RR_A, i == 2 ? "127.0.0.1" : "");
		snprintf(name, sizeof(name), "default.c.%s.bound.example", taken[i]);
		expect_absent(f, name);
		snprintf(name, sizeof(name), "_%s._tcp.bound.example", taken[i]); /* nobody else has this */
		expect_data(f, name, RR_SRV, "10-0-0-1.i.bound.example.");
		snprintf(name, sizeof(name), "%s.svc.test", taken[i]); /* in a full zone nothing is in the way */
		expect_data(f, name, RR_A, "10.0.0.1");
		snprintf(name, sizeof(name), "%s.public.group.example", taken[i]);
		expect_data(f, name, RR_A, "10.0.0.1");
	}
	assert_int_equal(hidden_count(f), 3);
	fake_add(all[0], &(struct fake_instance){ .ip = "10.0.0.2", .port = 80 });
	fixture_publish(f, all[0]);
	assert_string_equal(hidden.said, ""); /* once */
	fake_unpublish(all[0], &f->watcher);
	assert_int_equal(hidden_count(f), 2);
	/* groups and namespaces likewise */
	struct fake_service *s = fixture_service(f, "public", "dns", "x");
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.3", .port = 80 });
	fixture_publish(f, s);
	assert_string_equal(hidden.said, "public/dns/x in ns.example: a name of the zone itself\n");
	expect_absent(f, "x.dns.ns.example");
	hidden.said[0] = '\0';
	s = fixture_service(f, "i", "DEFAULT_GROUP", "x");
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.4", .port = 80 });
	fixture_publish(f, s);
	assert_string_equal(hidden.said, "i/DEFAULT_GROUP/x in group.example: a name of the zone itself\n");
	fixture_free(f);
}

static void an_alias_goes_before_a_service_of_its_name(void **state)
{
	struct zones_fixture *f = fixture_new(bound_zones);
	(void)state;
	shop(f);
	one_address(f, "web", "10.0.0.9");
	assert_string_equal(hidden.said, "public/DEFAULT_GROUP/web in bound.example: an alias of another service\n"
					 "public/DEFAULT_GROUP/web in group.example: an alias of another service\n");
	expect_data(f, "web.bound.example", RR_A, "10.0.0.1 10.0.0.2");
	expect_data(f, "web.public.group.example", RR_A, "10.0.0.1 10.0.0.2");
	expect_data(f, "web.default.ns.example", RR_A, "10.0.0.9");
	hidden.said[0] = '\0';
	one_address(f, "own", "10.0.0.8"); /* it is its own alias */
	assert_string_equal(hidden.said, "");
	assert_int_equal(hidden_count(f), 2);
	fixture_free(f);
}

static void aliases_of_names_that_are_the_zones_own_are_refused(void **state)
{
	static const struct { const char *alias; bool full; const char *mname; int rc; } rows[] = {
		{ "x.svc.a.example=p/g/s", true, NULL, E_EXISTS },   { "ns.a.example=p/g/s", true, NULL, E_EXISTS },
		{ "x.svc.a.example=p/g/s", false, NULL, E_OK },	     { "i.a.example=p/g/s", true, NULL, E_EXISTS },
		{ "10-0-0-1.i.a.example=p/g/s", false, NULL, E_EXISTS }, { "dns-version.a.example=p/g/s", false, NULL, E_EXISTS },
		{ "ns1.a.example=p/g/s", false, NULL, E_EXISTS },    { "ns1.a.example=p/g/s", false, "dns.a.example", E_OK },
		{ "dns.a.example=p/g/s", false, "dns.a.example", E_EXISTS }, { "dns.a.example=p/g/s", false, "dns.b.example", E_OK },
		{ "x.dns.a.example=p/g/s", false, "x.dns.a.example", E_OK }, { "a.example=p/g/s", true, NULL, E_OK },
		{ "svcs.a.example=p/g/s", true, NULL, E_OK },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vanity_list list = { NULL, 0, false };
		struct arena mem;
		struct error err;
		const char *words[] = { rows[i].alias };
		arena_init(&mem, NULL, 0, 0);
		assert_int_equal(vanities_make(&list, &mem, "a.example", &(struct word_list){ words, 1 }, &err), E_OK);
		if (vanities_check(&list, rows[i].full, "a.example", rows[i].mname, &err) != rows[i].rc)
			fail_msg("%s", rows[i].alias);
		arena_done(&mem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_apex_answers_what_the_service_answers_beside_its_own_records),
		cmocka_unit_test(a_name_exists_by_the_settings_and_so_does_what_is_above_it),
		cmocka_unit_test(a_cluster_and_a_port_narrow_it_and_expand_shows_what_is_below),
		cmocka_unit_test(a_bound_zone_has_the_addresses_of_its_vanity_names_and_no_other_name_of_theirs),
		cmocka_unit_test(what_is_no_alias_is_refused),
		cmocka_unit_test(a_service_whose_name_is_taken_is_told_of),
		cmocka_unit_test(an_alias_goes_before_a_service_of_its_name),
		cmocka_unit_test(aliases_of_names_that_are_the_zones_own_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

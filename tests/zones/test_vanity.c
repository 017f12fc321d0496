/* test_vanity.c - names of an operator's choice: they answer what the service answers, at an apex too, exist whatever the
 * registry holds, and have their addresses in the zone they stand in. */
#include "tests/zones/zones_fixture.h"
#include "zones/vanity.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_apex_answers_what_the_service_answers_beside_its_own_records),
		cmocka_unit_test(a_name_exists_by_the_settings_and_so_does_what_is_above_it),
		cmocka_unit_test(a_cluster_and_a_port_narrow_it_and_expand_shows_what_is_below),
		cmocka_unit_test(a_bound_zone_has_the_addresses_of_its_vanity_names_and_no_other_name_of_theirs),
		cmocka_unit_test(what_is_no_alias_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

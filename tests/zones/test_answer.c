/* test_answer.c - what each kind of name answers, and the verdicts (dns.md 1.6, 2.4, 2.5, 2.7, 2.11). */
#include "tests/zones/zones_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

static void second_zones(struct zone_set_conf *conf, struct zone_conf *zones)
{
	zones[1] = (struct zone_conf){ .name = "pay.test", .layout = LAYOUT_BOUND, .ns = "prod", .group = "pay" };
	zones[2] = (struct zone_conf){ .name = "deep.down.test", .layout = LAYOUT_FULL };
	conf->zone_count = 3;
}

static int setup(void **state)
{
	struct zones_fixture *f = fixture_new(second_zones);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "order-service");
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80 });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.2", .port = 80 });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.3", .port = 81, .sick = true });
	fake_add(s, &(struct fake_instance){ .ip = "2001:db8::7", .port = 80 });
	fixture_publish(f, s);
	s = fixture_service(f, "prod", "pay", "ledger");
	fake_add(s, &(struct fake_instance){ .ip = "10.1.0.1", .port = 90, .cluster = "HZ_A" });
	fake_add(s, &(struct fake_instance){ .ip = "10.1.0.2", .port = 90, .cluster = "hz-b",
					     .metadata = { { "protocol", "grpc", 0, 0 },
							   { "port.admin", "9000", 0, 0 },
							   { "version", "v2", 0, 0 } } });
	fixture_publish(f, s);
	s = fixture_service(f, "public", "DEFAULT_GROUP", "empty");
	fixture_publish(f, s);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

static struct asked *asked(void **state, const char *name, unsigned type)
{
	struct zones_fixture *f = *state;
	return ask(&f->ask, name, type);
}

#define expect_nodata(x)                                            \
	do {                                                        \
		const struct asked *_x = (x);                       \
		assert_true(_x->readable);                          \
		assert_int_equal(_x->answer.rcode, RCODE_NOERROR);  \
		assert_true(_x->answer.aa);                         \
		assert_false(_x->answer.tc);                        \
		assert_int_equal(_x->answer.ancount, 0);            \
		assert_int_equal(_x->answer.nscount, 1);            \
		assert_int_equal(_x->records[0].type, RR_SOA);      \
		assert_int_equal(_x->records[0].ttl, 5);            \
	} while (0)
#define expect_absent(x)                                             \
	do {                                                         \
		const struct asked *_x = (x);                        \
		assert_true(_x->readable);                           \
		assert_int_equal(_x->answer.rcode, RCODE_NXDOMAIN);  \
		assert_true(_x->answer.aa);                          \
		assert_int_equal(_x->answer.ancount, 0);             \
		assert_int_equal(_x->answer.nscount, 1);             \
		assert_int_equal(_x->records[0].type, RR_SOA);       \
		assert_int_equal(_x->records[0].minimum, 5);         \
	} while (0)
#define expect_answers(x, n)                                        \
	do {                                                        \
		const struct asked *_x = (x);                       \
		assert_true(_x->readable);                          \
		assert_int_equal(_x->answer.rcode, RCODE_NOERROR);  \
		assert_true(_x->answer.aa);                         \
		assert_false(_x->answer.tc);                        \
		assert_int_equal(_x->answer.ancount, n);            \
		assert_int_equal(_x->answer.nscount, 0);            \
	} while (0)

static void a_service_answers_its_healthy_addresses_by_family(void **state)
{
	static const char *const names[] = { "order-service.svc.test", "ORDER-service.SVC.Test",
					     "order-service.default.public.ns.test",
					     "order-service.svc.deep.down.test" };
	for (size_t i = 0; i < 4; i++) {
		struct asked *x = asked(state, names[i], RR_A);
		expect_answers(x, 2);
		assert_true(asked_has(x, 1, RR_A, "10.0.0.1") && asked_has(x, 1, RR_A, "10.0.0.2"));
		assert_int_equal(x->records[0].ttl, 5);
		x = asked(state, names[i], RR_AAAA);
		expect_answers(x, 1);
		assert_string_equal(x->records[0].address, "2001:db8::7");
	}
	expect_nodata(asked(state, "order-service.svc.test", RR_HTTPS));
	expect_nodata(asked(state, "order-service.svc.test", RR_TXT));
	expect_answers(asked(state, "order-service.svc.test", RR_ANY), 2);
	expect_nodata(asked(state, "empty.svc.test", RR_A));
	expect_nodata(asked(state, "empty.svc.test", RR_ANY));
	expect_absent(asked(state, "absent.svc.test", RR_A));
	expect_absent(asked(state, "x.order-service.svc.test", RR_A));
}

static void srv_records_point_to_host_names_that_have_addresses(void **state)
{
	static const char *const names[] = { "order-service.svc.test", "_order-service._tcp.svc.test",
					     "_default._tcp.order-service.svc.test",
					     "_default._tcp.default.c.order-service.svc.test",
					     "default.c.order-service.svc.test" };
	for (size_t i = 0; i < 5; i++) {
		struct asked *x = asked(state, names[i], RR_SRV);
		expect_answers(x, 3);
		assert_true(asked_has(x, 1, RR_SRV, "10-0-0-1.i.test."));
		assert_true(asked_has(x, 1, RR_SRV, "2001-db8-0-0-0-0-0-7.i.test."));
		assert_int_equal(x->answer.arcount, 3);
		assert_int_equal(x->records[0].priority, 10);
		assert_int_equal(x->records[0].weight, 32768);
		assert_int_equal(x->records[0].port, 80);
		for (unsigned k = 0; k < 3; k++) {
			assert_string_equal(x->records[3 + k].owner, x->records[k].target);
			assert_int_equal(x->records[3 + k].ttl, 60);
		}
	}
	struct asked *x = asked(state, "10-0-0-1.i.test", RR_A);
	expect_answers(x, 1);
	assert_string_equal(x->records[0].address, "10.0.0.1");
	assert_int_equal(x->records[0].ttl, 60);
	expect_answers(asked(state, "10-0-0-3.i.test", RR_A), 1); /* sick, but it exists */
	expect_nodata(asked(state, "10-0-0-1.i.test", RR_AAAA));
	expect_answers(asked(state, "2001-db8-0-0-0-0-0-7.i.test", RR_AAAA), 1);
	expect_absent(asked(state, "10-0-0-9.i.test", RR_A));
	expect_absent(asked(state, "10-0-0-01.i.test", RR_A));
	expect_absent(asked(state, "x.10-0-0-1.i.test", RR_A));
}

static void empty_non_terminals_are_nodata(void **state)
{
	static const char *const names[] = {
		"svc.test", "ns.test", "public.ns.test", "default.public.ns.test", "i.test", "_tcp.svc.test",
		"_udp.svc.test", "_tcp.order-service.svc.test", "c.order-service.svc.test",
		"i.order-service.svc.test", "_tcp.default.c.order-service.svc.test", "i.pay.test",
		"_tcp.pay.test", "down.test", "prod.ns.test", "pay.prod.ns.test", "_order-service._tcp.svc.test",
		"_empty._tcp.svc.test", "dns-version.test",
	};
	static const char *const absent[] = {
		"x.test", "x.ns.test", "x.public.ns.test", "c.empty.svc.test", "i.empty.svc.test",
		"_tcp.empty.svc.test", "_udp.order-service.svc.test", "_grpclb._tcp.order-service.svc.test",
		"_x._tcp.svc.test", "_order-service._udp.svc.test", "x.c.order-service.svc.test",
		"m.order-service.svc.test", "x.dns-version.test", "x.ns1.test", "svc.pay.test", "ns.pay.test",
		"order-service.pay.test", "x.down.test", "_order-service.svc.test", "x._default._tcp.order-service.svc.test",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect_nodata(asked(state, names[i], RR_MAILB - 1));
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		expect_absent(asked(state, absent[i], RR_A));
}

static void clusters_and_named_ports_answer_for_their_part(void **state)
{
	struct asked *x = asked(state, "hz-b.c.ledger.pay.prod.ns.test", RR_A);
	expect_answers(x, 1);
	assert_string_equal(x->records[0].address, "10.1.0.2");
	expect_answers(asked(state, "e-1--qh-qz-u-qa.c.ledger.pay.test", RR_A), 1);
	expect_answers(asked(state, "HZ_A.c.ledger.pay.test", RR_A), 1); /* raw alias */
	x = asked(state, "_grpc._tcp.ledger.pay.test", RR_SRV);
	expect_answers(x, 1);
	assert_string_equal(x->records[0].target, "10-1-0-2.i.pay.test.");
	x = asked(state, "_admin._tcp.ledger.pay.test", RR_SRV);
	expect_answers(x, 1);
	assert_int_equal(x->records[0].port, 9000);
	expect_answers(asked(state, "_admin._tcp.hz-b.c.ledger.pay.test", RR_SRV), 1);
	expect_absent(asked(state, "_admin._tcp.hz_a.c.ledger.pay.test", RR_SRV));
	expect_answers(asked(state, "ledger.pay.test", RR_SRV), 3); /* all ports */
	expect_answers(asked(state, "_ledger._tcp.pay.test", RR_SRV), 2);
	x = asked(state, "10-1-0-2.i.ledger.pay.test", RR_SRV);
	expect_answers(x, 2);
	assert_int_equal(x->answer.arcount, 1);
	x = asked(state, "10-1-0-2.i.ledger.pay.test", RR_TXT);
	expect_answers(x, 1);
	assert_memory_equal(x->records[0].rdata, "\011txtvers=1\014cluster=hz-b\012version=v2", 34);
	expect_absent(asked(state, "10-0-0-1.i.pay.test", RR_A)); /* not of this zone */
	expect_answers(asked(state, "10-1-0-1.i.test", RR_A), 1);
}

static void the_apex_has_soa_and_ns_with_addresses(void **state)
{
	struct asked *x = asked(state, "test", RR_SOA);
	expect_answers(x, 1);
	assert_string_equal(x->records[0].target, "ns1.test.");
	assert_int_equal(x->records[0].ttl, 3600);
	x = asked(state, "TEST", RR_NS);
	expect_answers(x, 1);
	assert_string_equal(x->records[0].target, "ns1.test.");
	assert_int_equal(x->answer.arcount, 1);
	assert_string_equal(x->records[1].owner, "ns1.test.");
	x = asked(state, "ns1.test", RR_A);
	expect_answers(x, 1);
	assert_string_equal(x->records[0].address, "127.0.0.1");
	expect_nodata(asked(state, "ns1.test", RR_AAAA));
	expect_nodata(asked(state, "test", RR_A));
	expect_answers(asked(state, "test", RR_ANY), 1);
	x = asked(state, "dns-version.test", RR_TXT);
	expect_answers(x, 1);
	assert_memory_equal(x->records[0].rdata, "\0051.0.0", 6);
}

static void the_longest_zone_answers_but_ds_comes_from_above(void **state)
{
	struct asked *x = asked(state, "pay.test", RR_SOA);
	expect_answers(x, 1);
	assert_string_equal(x->records[0].owner, "pay.test.");
	x = asked(state, "pay.test", RR_DS);
	expect_nodata(x);
	assert_string_equal(x->records[0].owner, "test.");
	x = asked(state, "test", RR_DS);
	expect_nodata(x);
	assert_string_equal(x->records[0].owner, "test.");
	x = asked(state, "absent.pay.test", RR_A);
	expect_absent(x);
	assert_string_equal(x->records[0].owner, "pay.test.");
	x = asked(state, "example.org", RR_A);
	assert_int_equal(x->zone, -1);
	assert_int_equal(x->answer.rcode, RCODE_REFUSED);
	assert_false(x->answer.aa);
	assert_int_equal(x->answer.ede, EDE_NOT_AUTHORITATIVE);
	assert_string_equal(zone_set_zone_name(((struct zones_fixture *)*state)->zones, 1), "pay.test");
}

static void class_any_clears_aa(void **state)
{
	struct zones_fixture *f = *state;
	f->ask.qclass = 255;
	struct asked *x = asked(state, "order-service.svc.test", RR_A);
	assert_false(x->answer.aa);
	assert_int_equal(x->answer.ancount, 2);
	assert_int_equal(x->records[0].rr_class, 1);
	f->ask.qclass = 1;
}

static void before_the_registry_is_loaded_every_name_is_servfail(void **state)
{
	struct zones_fixture *f = *state;
	struct zone_set *fresh;
	assert_int_equal(zone_set_new(&fresh, &f->conf, f->reaper, NULL), E_OK);
	f->ask.zones = fresh;
	struct asked *x = asked(state, "order-service.svc.test", RR_A);
	f->ask.zones = f->zones;
	assert_int_equal(x->answer.rcode, RCODE_SERVFAIL);
	assert_int_equal(x->answer.ede, EDE_NOT_READY);
	assert_false(x->answer.aa);
	zone_set_free(fresh);
}

static void what_is_gone_is_gone(void **state)
{
	struct zones_fixture *f = *state;
	struct fake_service *s = fixture_service(f, "new", "g.1", "Thing");
	expect_absent(asked(state, "new.ns.test", RR_A));
	fake_add(s, &(struct fake_instance){ .ip = "10.7.0.1", .port = 1 });
	fixture_publish(f, s);
	expect_answers(asked(state, "e-1--qthing.e-1-g-o1.new.ns.test", RR_A), 1);
	expect_answers(asked(state, "thing.g\\.1.new.ns.test", RR_A), 1);
	expect_answers(asked(state, "10-7-0-1.i.test", RR_A), 1);
	fake_unpublish(s, &f->watcher);
	expect_absent(asked(state, "e-1--qthing.e-1-g-o1.new.ns.test", RR_A));
	expect_absent(asked(state, "new.ns.test", RR_A));
	expect_absent(asked(state, "10-7-0-1.i.test", RR_A));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_answers_its_healthy_addresses_by_family),
		cmocka_unit_test(srv_records_point_to_host_names_that_have_addresses),
		cmocka_unit_test(empty_non_terminals_are_nodata),
		cmocka_unit_test(clusters_and_named_ports_answer_for_their_part),
		cmocka_unit_test(the_apex_has_soa_and_ns_with_addresses),
		cmocka_unit_test(the_longest_zone_answers_but_ds_comes_from_above),
		cmocka_unit_test(class_any_clears_aa),
		cmocka_unit_test(before_the_registry_is_loaded_every_name_is_servfail),
		cmocka_unit_test(what_is_gone_is_gone),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

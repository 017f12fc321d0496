/* test_examples.c - the worked examples of dns.md 1.10 in a zone mesh.example, row by row; row 20 (DNS-SD) is not built. */
#include "tests/zones/zones_checks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

static void mesh(struct zone_set_conf *conf, struct zone_conf *zones)
{
	static const struct cidr prefixes[] = { { AF_INET, 8, { 10 } }, { AF_INET6, 32, { 0x20, 0x01, 0x0d, 0xb8 } } };
	static const char *const keys[] = { "version" };
	static const char *aliases[] = { "shop.example=prod/pay/shop" };
	zones[0] = (struct zone_conf){ .name = "mesh.example", .layout = LAYOUT_FULL };
	zones[1] = (struct zone_conf){ .name = "shop.example", .layout = LAYOUT_STATIC, .aliases = { aliases, 1 } };
	zones[2] = (struct zone_conf){ .name = "svc.cluster.internal", .layout = LAYOUT_BOUND_GROUP };
	conf->zone_count = 3;
	conf->reverse = prefixes;
	conf->reverse_count = 2;
	conf->selector_keys = keys;
	conf->selector_key_count = 1;
}

/* Rows 1 to 16: names of services and clusters. */
static void names_of_services_are_the_worked_examples(void **state)
{
	static const struct { const char *ns, *group, *name, *fqdn; } rows[] = {
		{ "public", "DEFAULT_GROUP", "order-service", "order-service.svc.mesh.example" },
		{ "public", "DEFAULT_GROUP", "order-service", "order-service.default.public.ns.mesh.example" },
		{ "prod", "DEFAULT_GROUP", "order-service", "order-service.default.prod.ns.mesh.example" },
		{ "8f3c2d10-5b7e-4c7e-9a43-0c1d2e3f4a5b", "pay", "ledger", "ledger.pay.8f3c2d10-5b7e-4c7e-9a43-0c1d2e3f4a5b.ns.mesh.example" },
		{ "public", "DEFAULT_GROUP", "OrderService", "e-1--qorder-qservice.svc.mesh.example" },
		{ "public", "DEFAULT_GROUP", "OrderService", "orderservice.svc.mesh.example" },
		{ "public", "DEFAULT_GROUP", "ORDER_SERVICE", "e-1--worder-w-u-wservice.svc.mesh.example" },
		{ "public", "DEFAULT_GROUP", "order_service", "e-1-order-uservice.svc.mesh.example" },
		{ "public", "DEFAULT_GROUP", "ORDER_SERVICE", "order_service.svc.mesh.example" },
		{ "public", "DEFAULT_GROUP", "com.acme.api.UserFacade", "e-1-com-oacme-oapi-o-quser-qfacade.svc.mesh.example" },
		{ "public", "DEFAULT_GROUP", "providers:com.acme.OrderApi:1.0.0:blue",
		  "e-1-providers-kcom-oacme-o-qorder-qapi-k1-o0-o0-kblue.svc.mesh.example" },
		{ "public", "default", "cache", "cache.e-1-default.public.ns.mesh.example" },
		{ "public", "PAY_GROUP", "ledger", "ledger.e-1--wpay-w-u-wgroup.public.ns.mesh.example" },
		{ "public", "PAY_GROUP", "ledger", "ledger.pay_group.public.ns.mesh.example" },
		{ "public", "DEFAULT_GROUP", "e-1-order", "e-1-e-h1-horder.svc.mesh.example" },
		{ "public", "DEFAULT_GROUP", "ab--cd", "e-1-ab-h-hcd.svc.mesh.example" },
		{ "public", "DEFAULT_GROUP", "xn--bcher-kva", "e-1-xn-h-hbcher-hkva.svc.mesh.example" },
		{ "public", "DEFAULT_GROUP", "caf\xc3\xa9", "e-1-caf-xc3-xa9.svc.mesh.example" },
		{ "public", "DEFAULT_GROUP", "b\xc3\xbc" "cher-Shop", "e-1-b-xc3-xbccher-h-qshop.svc.mesh.example" },
		{ "public", "DEFAULT_GROUP", "com.acme.warehouse.replenishment.forecast.api.ForecastAggregationFacadeService:2.4.1",
		  "h-1-com-acme-warehouse-reple-gigd5j75kdn3a2bafgigdj6n2r989f8i.svc.mesh.example" },
		{ "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn", "DEFAULT_GROUP", "x",
		  "x.default.h-1-nnnnnnnnnnnnnnnnnnnnnnnn-gruod7oea8o6c550srqdkasheggs6vju.ns.mesh.example" },
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]), HASHED = ROWS - 2 };
	struct zones_fixture *f = fixture_new(mesh);
	static char ip[ROWS][16];
	(void)state;
	for (unsigned i = 0; i < ROWS; i++) {
		unsigned first = 0;
		while (strcmp(rows[first].name, rows[i].name) != 0 || strcmp(rows[first].ns, rows[i].ns) != 0)
			first++;
		snprintf(ip[i], sizeof(ip[i]), "10.0.0.%u", first + 1);
		if (first < i)
			continue;
		struct fake_service *s = fixture_service(f, rows[i].ns, rows[i].group, rows[i].name);
		s->created = i + 1;
		fake_add(s, &(struct fake_instance){ .ip = ip[i], .port = 80, .cluster = "DEFAULT" });
		if (i == 0) { /* row 16 */
			fake_add(s, &(struct fake_instance){ .ip = "10.1.0.1", .port = 80, .cluster = "hz-a" });
			fake_add(s, &(struct fake_instance){ .ip = "10.1.0.2", .port = 80, .cluster = "HZ_A" });
		}
		fixture_publish(f, s);
	}
	for (unsigned i = 0; i < ROWS; i++)
		if (!asked_has(ask(&f->ask, rows[i].fqdn, RR_A), 1, RR_A, ip[i]))
			fail_msg("%s is not %s", rows[i].fqdn, ip[i]);
	struct asked *x = ask(&f->ask, rows[HASHED].fqdn, RR_TXT); /* row 14: the original is told */
	assert_int_equal(x->answer.ancount, 1);
	assert_memory_equal(x->records[0].rdata + 11, "name=com.acme.warehouse.", 24);
	expect_data(f, "hz-a.c.order-service.svc.mesh.example", RR_A, "10.1.0.1");
	expect_data(f, "default.c.order-service.svc.mesh.example", RR_A, "10.0.0.1");
	expect_data(f, "e-1--qh-qz-u-qa.c.order-service.svc.mesh.example", RR_A, "10.1.0.2");
	expect_data(f, "hz_a.c.order-service.svc.mesh.example", RR_A, "10.1.0.2"); /* its alias */
	fixture_free(f);
}

/* Wire octets as the rows say. */
static void lengths_are_the_worked_examples(void **state)
{
	static const struct { const char *fqdn; size_t octets; } rows[] = {
		{ "order-service.svc.mesh.example", 32 },
		{ "order-service.default.public.ns.mesh.example", 46 },
		{ "ledger.pay.8f3c2d10-5b7e-4c7e-9a43-0c1d2e3f4a5b.ns.mesh.example", 65 },
	};
	struct zones_fixture *f = fixture_new(mesh);
	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(ask(&f->ask, rows[i].fqdn, RR_A)->query.qname_len, rows[i].octets);
	fixture_free(f);
}

/* Rows 17 to 19. */
static void ports_and_hosts_are_the_worked_examples(void **state)
{
	struct zones_fixture *f = fixture_new(mesh);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "order-service");
	(void)state;
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.7", .port = 8080, .cluster = "hz-a", .metadata = { { "protocol", "http", 0, 0 } } });
	fake_add(s, &(struct fake_instance){ .ip = "2001:db8::7", .port = 8080, .metadata = { { "protocol", "http", 0, 0 } } });
	fixture_publish(f, s);
	static const char v4[] = "10-0-0-7.i.mesh.example.", both[] = "10-0-0-7.i.mesh.example. 2001-db8-0-0-0-0-0-7.i.mesh.example.";
	expect_data(f, "_order-service._tcp.svc.mesh.example", RR_SRV, both);
	expect_data(f, "_http._tcp.order-service.svc.mesh.example", RR_SRV, both);
	expect_data(f, "_http._tcp.hz-a.c.order-service.svc.mesh.example", RR_SRV, v4);
	struct asked *x = ask(&f->ask, "_http._tcp.order-service.svc.mesh.example", RR_SRV);
	assert_int_equal(x->records[0].port, 8080);
	assert_true(asked_has(x, 3, RR_A, "10.0.0.7") && asked_has(x, 3, RR_AAAA, "2001:db8::7"));
	expect_data(f, "10-0-0-7.i.mesh.example", RR_A, "10.0.0.7");
	expect_data(f, "10-0-0-7.i.mesh.example", RR_AAAA, "");
	expect_data(f, "2001-db8-0-0-0-0-0-7.i.mesh.example", RR_AAAA, "2001:db8::7");
	expect_data(f, "10-0-0-7.i.order-service.svc.mesh.example", RR_A, "10.0.0.7"); /* for TLS wildcards */
	expect_data(f, "2001-db8-0-0-0-0-0-7.i.order-service.svc.mesh.example", RR_AAAA, "2001:db8::7");
	expect_data(f, "10-0-0-7.i.order-service.svc.mesh.example", RR_SRV, v4);
	expect_data(f, "7.0.0.10.in-addr.arpa", RR_PTR, v4);
	expect_data(f, "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", RR_PTR,
		    "2001-db8-0-0-0-0-0-7.i.mesh.example.");
	fixture_free(f);
}

/* Rows 21 to 23. */
static void aliases_values_and_layouts_are_the_worked_examples(void **state)
{
	struct zones_fixture *f = fixture_new(mesh);
	struct fake_service *s = fixture_service(f, "prod", "pay", "shop");
	(void)state;
	s->metadata[0] = (struct pair){ "dns.https", "1", 0, 0 };
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.7", .port = 443 });
	fake_add(s, &(struct fake_instance){ .ip = "2001:db8::7", .port = 443 });
	fixture_publish(f, s);
	expect_data(f, "shop.example", RR_A, "10.0.0.7");
	expect_data(f, "shop.example", RR_AAAA, "2001:db8::7");
	expect_data(f, "shop.example", RR_CNAME, "");
	assert_int_equal(ask(&f->ask, "shop.example", RR_HTTPS)->answer.ancount, 1);
	assert_int_equal(ask(&f->ask, "shop.example", RR_SOA)->answer.ancount, 1);
	s = fixture_service(f, "public", "DEFAULT_GROUP", "order-service");
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.8", .port = 80, .metadata = { { "version", "v1", 0, 0 } } });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.9", .port = 80, .metadata = { { "version", "v2", 0, 0 } } });
	fixture_publish(f, s);
	expect_data(f, "v2.version.m.order-service.svc.mesh.example", RR_A, "10.0.0.9");
	s = fixture_service(f, "prod", "DEFAULT_GROUP", "order-service");
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.10", .port = 80 });
	fixture_publish(f, s);
	expect_data(f, "order-service.prod.svc.cluster.internal", RR_A, "10.0.0.10");
	expect_data(f, "order-service.default.prod.ns.mesh.example", RR_A, "10.0.0.10");
	expect_data(f, "_order-service._tcp.prod.svc.cluster.internal", RR_SRV, "10-0-0-10.i.svc.cluster.internal.");
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_services_are_the_worked_examples),
		cmocka_unit_test(lengths_are_the_worked_examples),
		cmocka_unit_test(ports_and_hosts_are_the_worked_examples),
		cmocka_unit_test(aliases_values_and_layouts_are_the_worked_examples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

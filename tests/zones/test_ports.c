/* test_ports.c - names of ports: port.<name>, dns.port-name, protocol, dns.proto and dns.priority of an instance's metadata, and
 * _<port>._tcp in front of a service or a cluster (dns.md 1.6, 2.3). Only names that an instance has exist. */
#include "tests/zones/zones_checks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct fake_service *service_of(struct zones_fixture *f, const struct fake_instance *instances, unsigned n)
{
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "web");
	for (unsigned i = 0; i < n; i++)
		fake_add(s, &instances[i]);
	fixture_publish(f, s);
	return s;
}

/* The SRV records of a name, "TARGET:PORT/WEIGHT/PRIORITY" each, sorted; "-": NXDOMAIN. */
static void expect_srv(struct zones_fixture *f, const char *name, const char *wanted)
{
	struct asked *x = ask(&f->ask, name, RR_SRV);
	char rows[16][80], all[1000] = "";
	unsigned n = 0;
	if (x->answer.rcode == RCODE_NXDOMAIN)
		strcpy(all, "-");
	for (unsigned i = 0; i < x->count && n < 16; i++) {
		const struct asked_record *r = &x->records[i];
		if (r->section != 1)
			continue;
		size_t host = strcspn(r->target, ".");
		snprintf(rows[n++], sizeof(rows[0]), "%.*s:%u/%u/%u", (int)host, r->target, r->port, r->weight, r->priority);
	}
	qsort(rows, n, sizeof(rows[0]), (int (*)(const void *, const void *))strcmp);
	for (unsigned i = 0; i < n; i++)
		strcat(strcat(all, i == 0 ? "" : " "), rows[i]);
	if (!x->readable || strcmp(all, wanted) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", name, all, wanted);
}

static void a_port_has_every_name_that_it_was_given(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	(void)state;
	service_of(f, (struct fake_instance[]){
		{ .ip = "10.0.0.1", .port = 80, .metadata = { { "protocol", "HTTP", 0, 0 }, { "port.admin", "9000", 0, 0 },
							      { "port.metrics", "9000", 0, 0 }, { "port.web", "80", 0, 0 } } },
		{ .ip = "10.0.0.2", .port = 81, .metadata = { { "dns.port-name", "web", 0, 0 }, { "protocol", "http", 0, 0 } } },
		{ .ip = "10.0.0.3", .port = 82 } }, 3);
	expect_srv(f, "_http._tcp.web.svc.test", "10-0-0-1:80/32768/10"); /* dns.port-name goes before protocol */
	expect_srv(f, "_web._tcp.web.svc.test", "10-0-0-1:80/32768/10 10-0-0-2:81/32768/10");
	expect_srv(f, "_admin._tcp.web.svc.test", "10-0-0-1:9000/32768/10");
	expect_srv(f, "_Metrics._TCP.web.default.public.ns.test", "10-0-0-1:9000/32768/10");
	expect_srv(f, "_default._tcp.web.svc.test", "10-0-0-1:80/32768/10 10-0-0-2:81/32768/10 10-0-0-3:82/32768/10");
	expect_srv(f, "_web._tcp.svc.test", "10-0-0-1:80/32768/10 10-0-0-2:81/32768/10 10-0-0-3:82/32768/10"); /* the service's name */
	/* every port, and a port of two names once, with one weight */
	expect_srv(f, "web.svc.test", "10-0-0-1:80/32768/10 10-0-0-1:9000/32768/10 10-0-0-2:81/32768/10 10-0-0-3:82/32768/10");
	fixture_free(f);
}

/* gRPC takes whatever answers at _grpclb._tcp for a load balancer. */
static void a_name_that_no_instance_has_does_not_exist(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	(void)state;
	struct fake_service *s = service_of(f, (struct fake_instance[]){
		{ .ip = "10.0.0.1", .port = 80, .sick = true, .metadata = { { "port.http", "8080", 0, 0 } } } }, 1);
	static const char *const absent[] = { "_grpclb._tcp.web.svc.test", "_grpc_config.web.svc.test", "_http._udp.web.svc.test",
					      "_udp.web.svc.test", "http._tcp.web.svc.test", "__http._tcp.web.svc.test", "_._tcp.web.svc.test",
					      "_x._http._tcp.web.svc.test", "_http._tcp._tcp.web.svc.test", "_http.web.svc.test",
					      "_htt._tcp.web.svc.test", "_httpp._tcp.web.svc.test", "_http._sctp.web.svc.test",
					      "_nosuch._tcp.svc.test", "_http._tcp.none.svc.test" };
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		expect_absent(f, absent[i]);
	/* of one that is not healthy it exists, without data; it is a name of SRV alone */
	expect_srv(f, "_http._tcp.web.svc.test", "");
	expect_data(f, "_tcp.web.svc.test", RR_SRV, "");
	fake_replace(s, 0, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80, .metadata = { { "port.http", "8080", 0, 0 } } });
	fixture_publish(f, s);
	expect_srv(f, "_http._tcp.web.svc.test", "10-0-0-1:8080/32768/10");
	expect_data(f, "_http._tcp.web.svc.test", RR_A, "");
	expect_data(f, "_http._tcp.web.svc.test", RR_TXT, "");
	fake_remove(s, 0);
	fixture_publish(f, s);
	expect_absent(f, "_http._tcp.web.svc.test");
	expect_absent(f, "_default._tcp.web.svc.test");
	expect_absent(f, "_tcp.web.svc.test");
	expect_srv(f, "_web._tcp.svc.test", "");
	fixture_free(f);
}

/* RFC 6335: 1 to 15 letters, digits and hyphens, a letter among them, no hyphen at an end or beside another. */
static void what_is_no_port_name_names_nothing(void **state)
{
	static const char *const bad[] = { "", "-", "-a", "a-", "a--b", "80", "8-0", "a_b", "a.b", "h\xc3\xa9", "a b", "sixteen-letters-",
					   "sixteen-letterss" };
	static const char *const good[] = { "a", "1a", "a1", "a-b-c", "x-11-y", "fifteen-letters", "HTTP2" };
	(void)state;
	for (unsigned way = 0; way < 3; way++)
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]) + sizeof(good) / sizeof(good[0]); i++) {
			struct zones_fixture *f = fixture_new(NULL);
			bool is_good = i >= sizeof(bad) / sizeof(bad[0]);
			const char *name = is_good ? good[i - sizeof(bad) / sizeof(bad[0])] : bad[i];
			char key[40], owner[120];
			snprintf(key, sizeof(key), "port.%s", name);
			struct pair pair = way == 0 ? (struct pair){ key, "81", 0, 0 }
					   : way == 1 ? (struct pair){ "dns.port-name", name, 0, 0 }
						      : (struct pair){ "protocol", name, 0, 0 };
			service_of(f, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80, .metadata = { pair } }, 1);
			snprintf(owner, sizeof(owner), "_%s._tcp.web.svc.test", name);
			if (is_good)
				expect_srv(f, owner, way == 0 ? "10-0-0-1:81/32768/10" : "10-0-0-1:80/32768/10");
			else if (strpbrk(name, ". ") == NULL)
				expect_srv(f, owner, "-");
			expect_srv(f, "web.svc.test",
				   is_good && way == 0 ? "10-0-0-1:80/32768/10 10-0-0-1:81/32768/10" : "10-0-0-1:80/32768/10");
			fixture_free(f);
		}
}

static void a_number_that_is_no_port_names_nothing(void **state)
{
	static const char *const bad[] = { "0", "65536", "99999999999999999999", "-1", "+80", " 80", "80 ", "0x50", "", "http" };
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct zones_fixture *f = fixture_new(NULL);
		service_of(f, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80, .metadata = { { "port.http", bad[i], 0, 0 } } }, 1);
		expect_absent(f, "_http._tcp.web.svc.test");
		expect_srv(f, "web.svc.test", "10-0-0-1:80/32768/10");
		fixture_free(f);
	}
}

/* A primary port 0 is none; others that the instance has are there all the same. */
static void port_0_is_no_port(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	(void)state;
	struct fake_service *s = service_of(f, (struct fake_instance[]){
		{ .ip = "10.0.0.1", .port = 0, .metadata = { { "protocol", "http", 0, 0 } } } }, 1);
	expect_data(f, "web.svc.test", RR_A, "10.0.0.1");
	expect_srv(f, "web.svc.test", "");
	expect_srv(f, "_web._tcp.svc.test", "");
	expect_data(f, "_tcp.web.svc.test", RR_SRV, "");
	expect_absent(f, "_http._tcp.web.svc.test");
	expect_absent(f, "_default._tcp.web.svc.test");
	fake_replace(s, 0, &(struct fake_instance){ .ip = "10.0.0.1", .port = 0,
						    .metadata = { { "protocol", "http", 0, 0 }, { "port.admin", "9000", 0, 0 } } });
	fixture_publish(f, s);
	expect_srv(f, "web.svc.test", "10-0-0-1:9000/32768/10");
	expect_srv(f, "_admin._tcp.web.svc.test", "10-0-0-1:9000/32768/10");
	expect_absent(f, "_http._tcp.web.svc.test");
	fixture_free(f);
}

static void a_cluster_has_the_names_of_its_own_ports(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	(void)state;
	service_of(f, (struct fake_instance[]){
		{ .ip = "10.0.0.1", .port = 80, .cluster = "hz", .metadata = { { "protocol", "http", 0, 0 } } },
		{ .ip = "10.0.0.2", .port = 90, .cluster = "SH_1", .metadata = { { "protocol", "grpc", 0, 0 }, { "port.http", "91", 0, 0 } } } }, 2);
	expect_srv(f, "_http._tcp.web.svc.test", "10-0-0-1:80/32768/10 10-0-0-2:91/32768/10");
	expect_srv(f, "_http._tcp.hz.c.web.svc.test", "10-0-0-1:80/32768/10");
	expect_srv(f, "_http._tcp.e-1--qs-qh-u1.c.web.svc.test", "10-0-0-2:91/32768/10");
	expect_srv(f, "_grpc._tcp.sh_1.c.web.svc.test", "10-0-0-2:90/32768/10");
	expect_srv(f, "_default._tcp.hz.c.web.svc.test", "10-0-0-1:80/32768/10");
	expect_data(f, "_tcp.hz.c.web.svc.test", RR_SRV, "");
	expect_absent(f, "_grpc._tcp.hz.c.web.svc.test");
	expect_absent(f, "_udp.hz.c.web.svc.test");
	expect_absent(f, "_http._tcp.default.c.web.svc.test");
	expect_absent(f, "hz.c._http._tcp.web.svc.test");
	fixture_free(f);
}

static void dns_proto_moves_the_names_of_an_instance_to_udp(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	(void)state;
	struct fake_service *s = service_of(f, (struct fake_instance[]){
		{ .ip = "10.0.0.1", .port = 53, .metadata = { { "dns.proto", "udp", 0, 0 }, { "protocol", "dns", 0, 0 }, { "port.x", "54", 0, 0 } } },
		{ .ip = "10.0.0.2", .port = 53, .metadata = { { "dns.proto", "UDP?", 0, 0 }, { "protocol", "dns", 0, 0 } } } }, 2);
	expect_srv(f, "_dns._udp.web.svc.test", "10-0-0-1:53/32768/10");
	expect_srv(f, "_x._udp.web.svc.test", "10-0-0-1:54/32768/10");
	expect_srv(f, "_default._udp.web.svc.test", "10-0-0-1:53/32768/10");
	expect_srv(f, "_web._udp.svc.test", "10-0-0-1:53/32768/10");
	expect_srv(f, "_dns._tcp.web.svc.test", "10-0-0-2:53/32768/10");
	expect_srv(f, "_web._tcp.svc.test", "10-0-0-2:53/32768/10");
	expect_absent(f, "_x._tcp.web.svc.test");
	expect_data(f, "_udp.web.svc.test", RR_SRV, "");
	fake_remove(s, 0);
	fixture_publish(f, s);
	expect_absent(f, "_udp.web.svc.test");
	expect_absent(f, "_web._udp.svc.test");
	expect_data(f, "_udp.svc.test", RR_SRV, ""); /* of a scope it is always there */
	fixture_free(f);
}

static void dns_priority_ranks_an_instance(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	(void)state;
	service_of(f, (struct fake_instance[]){
		{ .ip = "10.0.0.1", .port = 80, .metadata = { { "dns.priority", "0", 0, 0 }, { "port.http", "81", 0, 0 } } },
		{ .ip = "10.0.0.2", .port = 80, .metadata = { { "dns.priority", "65535", 0, 0 } } },
		{ .ip = "10.0.0.3", .port = 80, .metadata = { { "dns.priority", "65536", 0, 0 } } },
		{ .ip = "10.0.0.4", .port = 80, .metadata = { { "dns.priority", "-1", 0, 0 } } } }, 4);
	expect_srv(f, "_default._tcp.web.svc.test",
		   "10-0-0-1:80/32768/0 10-0-0-2:80/32768/65535 10-0-0-3:80/32768/10 10-0-0-4:80/32768/10");
	expect_srv(f, "_http._tcp.web.svc.test", "10-0-0-1:81/32768/0");
	/* the lower ones come first, whatever is drawn */
	for (unsigned i = 0; i < 50; i++) {
		struct asked *x = ask(&f->ask, "web.svc.test", RR_SRV);
		assert_int_equal(x->answer.ancount, 5);
		for (unsigned k = 1; k < 5; k++)
			assert_true(x->records[k - 1].priority <= x->records[k].priority);
	}
	fixture_free(f);
}

/* Two instances of one address and port are one record with both weights; the service may name the port of all. */
static void the_service_names_the_ports_that_have_no_name(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	(void)state;
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "web");
	s->metadata[0] = (struct pair){ "dns.port-name", "amqp", 0, 0 };
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80 });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80, .cluster = "hz" });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.2", .port = 80, .metadata = { { "protocol", "http", 0, 0 } } });
	fixture_publish(f, s);
	expect_srv(f, "_amqp._tcp.web.svc.test", "10-0-0-1:80/65535/10");
	expect_srv(f, "_http._tcp.web.svc.test", "10-0-0-2:80/32768/10");
	expect_srv(f, "_amqp._tcp.hz.c.web.svc.test", "10-0-0-1:80/32768/10");
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_has_every_name_that_it_was_given),
		cmocka_unit_test(a_name_that_no_instance_has_does_not_exist),
		cmocka_unit_test(what_is_no_port_name_names_nothing),
		cmocka_unit_test(a_number_that_is_no_port_names_nothing),
		cmocka_unit_test(port_0_is_no_port),
		cmocka_unit_test(a_cluster_has_the_names_of_its_own_ports),
		cmocka_unit_test(dns_proto_moves_the_names_of_an_instance_to_udp),
		cmocka_unit_test(dns_priority_ranks_an_instance),
		cmocka_unit_test(the_service_names_the_ports_that_have_no_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_hosts.c - instances whose ip is a host name (dns.md 2.8). What a resolver would find is told by the test. */
#include "tests/zones/zones_checks.h"
#include <arpa/inet.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

static char wanted[8][64]; /* names that are looked for */

static void on_host_name(void *arg, const char *name, bool want)
{
	(void)arg;
	for (int i = 0; i < 8; i++)
		if (strcmp(wanted[i], want ? "" : name) == 0) {
			snprintf(wanted[i], sizeof(wanted[i]), "%s", want ? name : "");
			return;
		}
	fail_msg("%s is %s", name, want ? "one too many" : "not looked for");
}

static bool is_wanted(const char *name)
{
	for (int i = 0; i < 8; i++)
		if (strcmp(wanted[i], name) == 0)
			return true;
	return false;
}

static void flatten(struct zone_set_conf *conf, struct zone_conf *zones)
{
	(void)zones;
	conf->on_host_name = on_host_name;
	memset(wanted, 0, sizeof(wanted));
}

static void srv_only(struct zone_set_conf *conf, struct zone_conf *zones)
{
	flatten(conf, zones);
	conf->hostname_mode = HOSTNAME_SRV_ONLY;
}

static void cname(struct zone_set_conf *conf, struct zone_conf *zones)
{
	flatten(conf, zones);
	conf->hostname_mode = HOSTNAME_CNAME;
}

/* @text: addresses with blanks between. */
static void found(struct zones_fixture *f, const char *name, const char *text, bool stale)
{
	struct host_address at[8];
	size_t n = 0;
	char copy[200], *rest = NULL;
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strtok_r(copy, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest), n++)
		at[n].family = inet_pton(AF_INET, w, at[n].addr) == 1 ? 4 : inet_pton(AF_INET6, w, at[n].addr) == 1 ? 6 : 0;
	zone_set_host_found(f->zones, name, &(struct host_found){ at, n, stale, NULL });
	fixture_turn(f);
}

static struct fake_service *service_at(struct zones_fixture *f, const char *name, const char *ip)
{
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", name);
	fake_add(s, &(struct fake_instance){ .ip = ip, .port = 443, .weight = 2 });
	fixture_publish(f, s);
	return s;
}

static struct asked_record *first(struct asked *a, unsigned type)
{
	for (unsigned i = 0; i < a->count; i++)
		if (a->records[i].section == 1 && a->records[i].type == type)
			return &a->records[i];
	return NULL;
}

static void addresses_that_were_found_are_answered_and_srv_has_the_name(void **state)
{
	struct zones_fixture *f = fixture_new(flatten);
	(void)state;
	service_at(f, "far", "DB.Example.net.");
	assert_true(is_wanted("db.example.net"));
	struct asked *a = ask(&f->ask, "far.svc.test", RR_A); /* nothing is known yet */
	assert_int_equal(a->answer.rcode, RCODE_NOERROR);
	assert_int_equal(a->answer.ancount, 0);
	assert_int_equal(ask(&f->ask, "far.svc.test", RR_SRV)->answer.ancount, 0);
	found(f, "db.example.net", "192.0.2.1 192.0.2.2 2001:db8::1", false);
	a = ask(&f->ask, "far.svc.test", RR_A);
	assert_int_equal(a->answer.ancount, 2);
	assert_true(asked_has(a, 1, RR_A, "192.0.2.1") && asked_has(a, 1, RR_A, "192.0.2.2"));
	assert_int_equal(ask(&f->ask, "far.svc.test", RR_AAAA)->answer.ancount, 1);
	for (int port = 0; port < 2; port++) {
		a = ask(&f->ask, port == 0 ? "far.svc.test" : "_far._tcp.svc.test", RR_SRV);
		assert_int_equal(a->answer.ancount, 1);
		assert_string_equal(first(a, RR_SRV)->target, "db.example.net.");
		assert_int_equal(first(a, RR_SRV)->port, 443);
		assert_int_equal(a->answer.arcount, 0);
		assert_true(a->readable);
	}
	found(f, "db.example.net", "192.0.2.3", false);
	assert_true(asked_has(ask(&f->ask, "far.svc.test", RR_A), 1, RR_A, "192.0.2.3"));
	found(f, "db.example.net", "", false); /* it is gone: no ghost */
	assert_int_equal(ask(&f->ask, "far.svc.test", RR_A)->answer.ancount, 0);
	fixture_free(f);
}

static void the_last_addresses_are_answered_while_nobody_knows(void **state)
{
	struct zones_fixture *f = fixture_new(flatten);
	(void)state;
	service_at(f, "far", "db.example.net");
	found(f, "db.example.net", "192.0.2.1", false);
	assert_int_equal(ask(&f->ask, "far.svc.test", RR_A)->answer.ede, EDE_NONE);
	found(f, "db.example.net", "192.0.2.1", true);
	struct asked *a = ask(&f->ask, "far.svc.test", RR_A);
	assert_int_equal(a->answer.ancount, 1);
	assert_int_equal(a->answer.ede, EDE_STALE);
	assert_int_equal(ask(&f->ask, "far.svc.test", RR_TXT)->answer.ede, EDE_NONE);
	fixture_free(f);
}

/* 2 of a name with two addresses beside 2 of an address: half of the answers begin with the latter. Seeded. */
static void the_weight_is_divided_among_the_addresses(void **state)
{
	enum { ASKED = 20000 };
	struct zones_fixture *f = fixture_new(flatten);
	struct fake_service *s = service_at(f, "far", "db.example.net");
	unsigned counts[4] = { 0 };
	(void)state;
	fake_add(s, &(struct fake_instance){ .ip = "192.0.2.3", .port = 443, .weight = 2 });
	fixture_publish(f, s);
	found(f, "db.example.net", "192.0.2.1 192.0.2.2", false);
	rng_seed(&f->ask.rng, 7);
	f->ask.skip_ldns = true;
	for (int i = 0; i < ASKED; i++) {
		const char *address = first(ask(&f->ask, "far.svc.test", RR_A), RR_A)->address;
		counts[address[strlen(address) - 1] - '0']++;
	}
	double chi = 0;
	const double share[4] = { 0, 0.25, 0.25, 0.5 };
	for (int i = 1; i < 4; i++)
		chi += pow(counts[i] - ASKED * share[i], 2) / (ASKED * share[i]);
	assert_true(chi < 27.6); /* two degrees of freedom: one in a million */
	struct asked *a = ask(&f->ask, "far.svc.test", RR_SRV); /* SRV: each has the whole */
	assert_int_equal(a->answer.ancount, 2);
	assert_int_equal(a->records[0].weight, a->records[1].weight);
	assert_int_equal(a->answer.arcount, 1);
	fixture_free(f);
}

static void a_name_is_looked_for_as_long_as_a_service_has_it(void **state)
{
	struct zones_fixture *f = fixture_new(flatten);
	struct fake_service *one = service_at(f, "one", "db.example.net"), *two = service_at(f, "two", "db.example.net");
	(void)state;
	fake_clear(one);
	fixture_publish(f, one);
	assert_true(is_wanted("db.example.net"));
	found(f, "db.example.net", "192.0.2.1", false);
	assert_int_equal(ask(&f->ask, "one.svc.test", RR_A)->answer.ancount, 0);
	assert_int_equal(ask(&f->ask, "two.svc.test", RR_A)->answer.ancount, 1);
	fake_replace(two, 0, &(struct fake_instance){ .ip = "other.example.net", .port = 1 });
	fixture_publish(f, two);
	assert_false(is_wanted("db.example.net"));
	assert_true(is_wanted("other.example.net"));
	fake_unpublish(two, &f->watcher);
	assert_false(is_wanted("other.example.net"));
	fixture_free(f);
}

static void names_of_our_own_zones_and_what_is_no_name_are_not_looked_for(void **state)
{
	static const char *const ips[] = { "one.svc.test", "TEST", "10.0.0.300", "a..b", "-", "x/y", "_" };
	struct zones_fixture *f = fixture_new(flatten);
	static const char *const names[] = { "s0", "s1", "s2", "s3", "s4", "s5", "s6" };
	(void)state;
	for (size_t i = 0; i < 7; i++) {
		service_at(f, names[i], ips[i]);
		if (i == 4 || i == 6) /* a label all the same */
			continue;
		for (int k = 0; k < 8; k++)
			assert_true(wanted[k][0] == '\0' || wanted[k][0] == '-');
	}
	/* an alias that leads into a zone of ours is not taken either */
	service_at(f, "outside", "www.example.net");
	struct host_address at = { 4, { 192, 0, 2, 1 } };
	zone_set_host_found(f->zones, "www.example.net", &(struct host_found){ &at, 1, false, "outside.svc.test." });
	assert_int_equal(ask(&f->ask, "outside.svc.test", RR_A)->answer.ancount, 0);
	zone_set_host_found(f->zones, "www.example.net", &(struct host_found){ &at, 1, false, "cdn.example.org." });
	assert_int_equal(ask(&f->ask, "outside.svc.test", RR_A)->answer.ancount, 1);
	fixture_free(f);
}

static void srv_only_has_the_name_and_no_address(void **state)
{
	struct zones_fixture *f = fixture_new(srv_only);
	(void)state;
	service_at(f, "far", "db.example.net");
	assert_false(is_wanted("db.example.net"));
	assert_int_equal(ask(&f->ask, "far.svc.test", RR_A)->answer.ancount, 0);
	assert_string_equal(first(ask(&f->ask, "far.svc.test", RR_SRV), RR_SRV)->target, "db.example.net.");
	fixture_free(f);
}

static void a_single_name_is_an_alias_of_every_type_if_that_is_wanted(void **state)
{
	static const unsigned types[] = { RR_A, RR_AAAA, RR_SRV, RR_TXT, RR_HTTPS, RR_ANY, RR_CNAME };
	struct zones_fixture *f = fixture_new(cname);
	struct fake_service *s = service_at(f, "far", "db.example.net");
	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct asked *a = ask(&f->ask, "far.svc.test", types[i]);
		assert_int_equal(a->answer.ancount, 1);
		assert_non_null(first(a, RR_CNAME));
	}
	assert_non_null(first(ask(&f->ask, "_far._tcp.svc.test", RR_SRV), RR_SRV));
	fake_add(s, &(struct fake_instance){ .ip = "192.0.2.9", .port = 443 });
	fixture_publish(f, s);
	struct asked *a = ask(&f->ask, "far.svc.test", RR_A); /* two cannot be one alias */
	assert_null(first(a, RR_CNAME));
	assert_int_equal(a->answer.ancount, 1);
	found(f, "db.example.net", "192.0.2.1", false);
	assert_int_equal(ask(&f->ask, "far.svc.test", RR_A)->answer.ancount, 2);
	fixture_free(f);
}

static void cname_of_two_zones(struct zone_set_conf *conf, struct zone_conf *zones)
{
	cname(conf, zones);
	zones[1] = (struct zone_conf){ .name = "prod.example", .layout = LAYOUT_BOUND, .ns = "prod" };
	conf->zone_count = 2;
}

/* The answer section: "owner>target" of aliases, "owner=address" of what they lead to; then "NX", "TC". */
static void expect_chain(struct zones_fixture *f, const char *name, unsigned type, const char *chain)
{
	struct asked *x = ask(&f->ask, name, type);
	char all[3000] = "";
	for (unsigned i = 0; i < x->count; i++) {
		const struct asked_record *r = &x->records[i];
		if (r->section != 1)
			continue;
		strcat(strcat(all, all[0] == '\0' ? "" : " "), r->owner);
		strcat(strcat(all, r->type == RR_CNAME ? ">" : "="), r->target[0] != '\0' ? r->target : r->address);
	}
	strcat(all, x->answer.rcode == RCODE_NXDOMAIN ? " NX" : x->answer.tc ? " TC" : "");
	if (!x->readable || !x->answer.aa || strcmp(all, chain) != 0)
		fail_msg("%s, type %u: \"%s\", not \"%s\"", name, type, all, chain);
}

/* RFC 1034, 4.3.2, step 3a: an alias of a name of ours is followed in the same answer. HAProxy takes a CNAME at the end of
 * one for an error. */
static void an_alias_of_a_name_of_ours_is_followed(void **state)
{
	struct zones_fixture *f = fixture_new(cname_of_two_zones);
	(void)state;
	service_at(f, "first", "second.svc.test");
	service_at(f, "second", "web.prod.example");
	struct fake_service *web = fixture_service(f, "prod", "DEFAULT_GROUP", "web");
	fake_add(web, &(struct fake_instance){ .ip = "10.0.0.7", .port = 80 });
	fixture_publish(f, web);
	expect_chain(f, "second.svc.test", RR_A, "second.svc.test.>web.prod.example. web.prod.example.=10.0.0.7");
	expect_chain(f, "first.svc.test", RR_A,
		     "first.svc.test.>second.svc.test. second.svc.test.>web.prod.example. web.prod.example.=10.0.0.7");
	expect_chain(f, "default.c.second.svc.test", RR_SRV,
		     "default.c.second.svc.test.>web.prod.example. web.prod.example.=10-0-0-7.i.prod.example.");
	expect_chain(f, "second.svc.test", RR_AAAA, "second.svc.test.>web.prod.example.");
	assert_int_equal(f->ask.asked.answer.nscount, 1); /* no data, says the zone of the last name */
	assert_string_equal(f->ask.asked.records[1].owner, "prod.example.");
	expect_chain(f, "second.svc.test", RR_CNAME, "second.svc.test.>web.prod.example.");
	expect_chain(f, "second.svc.test", RR_ANY, "second.svc.test.>web.prod.example.");
	expect_chain(f, "second.svc.test", RR_RRSIG, "");
	fake_unpublish(web, &f->watcher);
	expect_chain(f, "second.svc.test", RR_A, "second.svc.test.>web.prod.example. NX"); /* RFC 6604 */
	service_at(f, "far", "db.example.net"); /* elsewhere: the client goes on by itself */
	expect_chain(f, "far.svc.test", RR_A, "far.svc.test.>db.example.net.");
	fixture_free(f);
}

static void rings_and_long_chains_of_aliases_end(void **state)
{
	struct zones_fixture *f = fixture_new(cname);
	static char names[12][16];
	(void)state;
	service_at(f, "self", "self.svc.test");
	service_at(f, "here", "there.svc.test");
	service_at(f, "there", "HERE.svc.test");
	expect_chain(f, "self.svc.test", RR_A, "self.svc.test.>self.svc.test.");
	expect_chain(f, "here.svc.test", RR_A, "here.svc.test.>there.svc.test. there.svc.test.>here.svc.test.");
	for (int i = 0; i < 12; i++) {
		char to[32];
		snprintf(names[i], sizeof(names[i]), "n%d", i);
		snprintf(to, sizeof(to), "n%d.svc.test", i + 1);
		service_at(f, names[i], to);
	}
	struct asked *x = ask(&f->ask, "n0.svc.test", RR_A);
	assert_int_equal(x->answer.ancount, 9); /* the question's own, and 8 more */
	assert_int_equal(x->answer.rcode, RCODE_NOERROR);
	expect_chain(f, "n9.svc.test", RR_A, "n9.svc.test.>n10.svc.test. n10.svc.test.>n11.svc.test. n11.svc.test.>n12.svc.test. NX");
	f->ask.limit = 100; /* the whole chain, or nothing */
	expect_chain(f, "n0.svc.test", RR_A, " TC");
	fixture_free(f);
}

static void many_long_names_are_cut_never_or_whole(void **state)
{
	struct zones_fixture *f = fixture_new(srv_only);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "long");
	(void)state;
	for (int i = 0; i < 60; i++) {
		char ip[200];
		snprintf(ip, sizeof(ip), "%060d.%050d.example%d.net", 1, 2, i);
		fake_add(s, &(struct fake_instance){ .ip = ip, .port = 80 });
		fixture_publish(f, s);
		struct asked *a = ask(&f->ask, "long.svc.test", RR_SRV);
		assert_true(a->answer.tc ? a->answer.ancount == 0 : a->answer.ancount == i + 1);
		assert_true(a->readable);
	}
	f->ask.stream = true;
	f->ask.limit = 65535;
	assert_int_equal(ask(&f->ask, "long.svc.test", RR_SRV)->answer.ancount, 60);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_that_were_found_are_answered_and_srv_has_the_name),
		cmocka_unit_test(the_last_addresses_are_answered_while_nobody_knows),
		cmocka_unit_test(the_weight_is_divided_among_the_addresses),
		cmocka_unit_test(a_name_is_looked_for_as_long_as_a_service_has_it),
		cmocka_unit_test(names_of_our_own_zones_and_what_is_no_name_are_not_looked_for),
		cmocka_unit_test(srv_only_has_the_name_and_no_address),
		cmocka_unit_test(a_single_name_is_an_alias_of_every_type_if_that_is_wanted),
		cmocka_unit_test(an_alias_of_a_name_of_ours_is_followed),
		cmocka_unit_test(rings_and_long_chains_of_aliases_end),
		cmocka_unit_test(many_long_names_are_cut_never_or_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_reverse.c - reverse zones: an address points to its name as long as a zone shows it, and every name above it exists
 * exactly as long as an address is below. The tree beneath against a plain list. */
#include "base/mem.h"
#include "tests/zones/zones_checks.h"
#include "zones/address_tree.h"
#include "zones/reverse.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SEED = 20, STEPS = 1500, ADDRESSES = 60, SERVICES = 6 };

static const struct cidr prefixes[] = {
	{ AF_INET, 8, { 10 } },
	{ AF_INET, 16, { 192, 168 } },
	{ AF_INET6, 32, { 0x20, 0x01, 0x0d, 0xb8 } },
	{ AF_INET6, 36, { 0x20, 0x01, 0x0d, 0xb9, 0x70 } },
};

static void with_reverse(struct zone_set_conf *conf, struct zone_conf *zones)
{
	zones[1] = (struct zone_conf){ .name = "prod.example", .layout = LAYOUT_BOUND, .ns = "prod" };
	zones[2] = (struct zone_conf){ .name = "second.example" };
	conf->zone_count = 3;
	conf->reverse = prefixes;
	conf->reverse_count = 4;
}

/* Random addresses that often begin alike. */
static void draw_address(char to[INET6_ADDRSTRLEN], struct rng *r)
{
	static const unsigned octets[] = { 0, 1, 7, 10, 100, 168, 255 };
	unsigned a = octets[rng_below(r, 7)], b = octets[rng_below(r, 7)], c = octets[rng_below(r, 7)];
	switch (rng_below(r, 4)) {
	case 0:
		snprintf(to, INET6_ADDRSTRLEN, "192.168.%u.%u", a, b);
		break;
	case 1:
		snprintf(to, INET6_ADDRSTRLEN, "10.%u.%u.%u", a, b, c);
		break;
	case 2:
		snprintf(to, INET6_ADDRSTRLEN, "2001:db8:%x:%x::%x", a, b, c + 1);
		break;
	default:
		snprintf(to, INET6_ADDRSTRLEN, "2001:db9:70%02x::%x", a, b + 1);
		break;
	}
}

/* ---- the tree */

static bool naive_has(uint8_t (*list)[16], const unsigned *counts, const uint8_t *addr, unsigned bits)
{
	for (unsigned i = 0; i < ADDRESSES; i++) {
		unsigned whole = bits / 8, rest = bits % 8;
		if (counts[i] > 0 && memcmp(list[i], addr, whole) == 0 &&
		    (rest == 0 || (list[i][whole] ^ addr[whole]) >> (8 - rest) == 0))
			return true;
	}
	return false;
}

static void the_tree_knows_every_prefix_of_what_is_in_it(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	struct address_tree t;
	uint8_t list[ADDRESSES][16];
	unsigned counts[ADDRESSES] = { 0 };
	struct rng r;
	(void)state;
	rng_seed(&r, SEED);
	for (unsigned i = 0; i < ADDRESSES; i++) {
		uint64_t random[2] = { rng_next(&r), rng_next(&r) };
		memcpy(list[i], random, 16);
		if (i > 0) /* alike up to some bit, and another one there */
			memcpy(list[i], list[rng_below(&r, i)], rng_below(&r, 17));
	}
	address_tree_init(&t, f->reaper);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = rng_below(&r, ADDRESSES);
		if (rng_below(&r, 2) == 0) {
			assert_int_equal(address_tree_reserve(&t, 1), E_OK);
			address_tree_add(&t, list[i]);
			counts[i]++;
		} else if (counts[i] > 0) {
			address_tree_drop(&t, list[i]);
			counts[i]--;
		}
		for (unsigned k = 0; k < ADDRESSES; k++) {
			unsigned bits = rng_below(&r, 129);
			if (address_tree_has(&t, list[k], bits) != naive_has(list, counts, list[k], bits))
				fail_msg("step %u: address %u, %u bits (seed %d)", step, k, bits, SEED);
		}
		fixture_turn(f);
	}
	address_tree_done(&t);
	fixture_free(f);
}

/* ---- names */

struct shown_address {
	char text[INET6_ADDRSTRLEN];
};

/* Every name from the address up to the zone, by whether anything is below it. */
static void check_above(struct zones_fixture *f, const struct shown_address *all, unsigned count, const char *name)
{
	const char *at = name;
	for (; strcmp(at, "in-addr.arpa") != 0 && strcmp(at, "ip6.arpa") != 0; at = strchr(at, '.') + 1) {
		bool below = strcmp(at, "10.in-addr.arpa") == 0 || strcmp(at, "168.192.in-addr.arpa") == 0 ||
			     strcmp(at, "8.b.d.0.1.0.0.2.ip6.arpa") == 0 || strcmp(at, "7.9.b.d.0.1.0.0.2.ip6.arpa") == 0;
		size_t len = strlen(at);
		for (unsigned i = 0; i < count; i++) {
			uint8_t addr[16];
			char other[REVERSE_NAME_MAX];
			bool v4 = inet_pton(AF_INET, all[i].text, addr) == 1;
			if (!v4)
				inet_pton(AF_INET6, all[i].text, addr);
			reverse_name(other, v4 ? 4 : 6, addr);
			size_t n = strlen(other);
			below |= n >= len && strcmp(other + n - len, at) == 0 && (n == len || other[n - len - 1] == '.');
		}
		struct asked *x = ask(&f->ask, at, RR_TXT);
		if (x->zone < 0)
			return; /* above our zones */
		if (!x->readable || x->answer.rcode != (below ? RCODE_NOERROR : RCODE_NXDOMAIN) || x->answer.nscount != 1)
			fail_msg("%s: RCODE %u (seed %d)", at, x->answer.rcode, SEED);
	}
}

static void check_address(struct zones_fixture *f, const struct shown_address *all, unsigned count, const char *text)
{
	uint8_t addr[16];
	char name[REVERSE_NAME_MAX], label[64], target[200];
	bool v4 = inet_pton(AF_INET, text, addr) == 1, here = false;
	if (!v4)
		inet_pton(AF_INET6, text, addr);
	reverse_name(name, v4 ? 4 : 6, addr);
	for (unsigned i = 0; i < count; i++)
		here |= strcmp(all[i].text, text) == 0;
	struct asked *x = ask(&f->ask, name, RR_PTR);
	if (x->answer.rcode != (here ? RCODE_NOERROR : RCODE_NXDOMAIN) || x->answer.ancount != here)
		fail_msg("%s: RCODE %u, %u records (seed %d)", name, x->answer.rcode, x->answer.ancount, SEED);
	if (here) {
		dashed_address(label, v4 ? 4 : 6, addr);
		snprintf(target, sizeof(target), "%s.i.test.", label); /* the first zone has everything */
		assert_string_equal(x->records[0].target, target);
		assert_int_equal(x->records[0].ttl, 60);
		assert_int_equal(ask(&f->ask, target, v4 ? RR_A : RR_AAAA)->answer.ancount, 1); /* it confirms */
	}
	check_above(f, all, count, name);
}

static void addresses_point_to_their_names_and_what_is_above_them_exists(void **state)
{
	struct zones_fixture *f = fixture_new(with_reverse);
	struct fake_service *all[SERVICES];
	static char held[SERVICES][40][INET6_ADDRSTRLEN];
	static struct shown_address shown[SERVICES * 40];
	struct rng r;
	(void)state;
	rng_seed(&r, SEED);
	for (unsigned i = 0; i < SERVICES; i++) {
		static char names[SERVICES][8];
		snprintf(names[i], sizeof(names[i]), "s%u", i);
		all[i] = fixture_service(f, i % 2 == 0 ? "public" : "prod", "DEFAULT_GROUP", names[i]);
	}
	for (unsigned step = 0; step < 150; step++) {
		struct fake_service *s = all[rng_below(&r, SERVICES)];
		unsigned place = 0, count = 0;
		while (all[place] != s)
			place++;
		if (s->count > 0 && (s->count == 40 || rng_below(&r, 3) == 0)) {
			unsigned gone = rng_below(&r, s->count);
			fake_remove(s, gone);
			memcpy(held[place][gone], held[place][s->count], INET6_ADDRSTRLEN);
		} else {
			draw_address(held[place][s->count], &r);
			fake_add(s, &(struct fake_instance){ .ip = held[place][s->count], .port = (uint16_t)(1000 + step),
							     .sick = rng_below(&r, 2) == 0 });
		}
		fixture_publish(f, s);
		for (unsigned i = 0; i < SERVICES; i++)
			for (unsigned k = 0; k < all[i]->count; k++)
				memcpy(shown[count++].text, held[i][k], INET6_ADDRSTRLEN);
		for (unsigned i = 0; i < count; i++)
			check_address(f, shown, count, shown[i].text);
		for (unsigned i = 0; i < 5; i++) {
			char other[INET6_ADDRSTRLEN];
			draw_address(other, &r);
			check_address(f, shown, count, other);
		}
	}
	fixture_free(f);
}

static void only_the_one_spelling_of_an_address_is_a_name(void **state)
{
	struct zones_fixture *f = fixture_new(with_reverse);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "web");
	(void)state;
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.7", .port = 80 });
	fake_add(s, &(struct fake_instance){ .ip = "2001:db8::a", .port = 80 });
	fixture_publish(f, s);
	expect_rcode(f, "7.0.0.10.in-addr.arpa", RR_PTR, RCODE_NOERROR);
	assert_int_equal(ask(&f->ask, "7.0.0.10.in-addr.arpa", RR_ANY)->answer.ancount, 1);
	assert_int_equal(ask(&f->ask, "7.0.0.10.in-addr.arpa", RR_A)->answer.ancount, 0);
	static const char *const absent[] = { "07.0.0.10.in-addr.arpa", "x.7.0.0.10.in-addr.arpa", "007.0.10.in-addr.arpa",
					      "7.00.0.10.in-addr.arpa", "256.0.0.10.in-addr.arpa", "7.0.1.10.in-addr.arpa",
					      "-7.0.0.10.in-addr.arpa", "a.0.0.10.in-addr.arpa", "i.10.in-addr.arpa",
					      "dns-version.10.in-addr.arpa", "ns1.10.in-addr.arpa" };
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		expect_rcode(f, absent[i], RR_PTR, RCODE_NXDOMAIN);
	expect_rcode(f, "A.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6.arpa", RR_PTR, RCODE_NOERROR);
	expect_rcode(f, "0a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", RR_PTR, RCODE_NXDOMAIN);
	expect_rcode(f, "g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", RR_PTR, RCODE_NXDOMAIN);
	expect_rcode(f, "0.8.b.d.0.1.0.0.2.ip6.arpa", RR_PTR, RCODE_NOERROR);
	expect_rcode(f, "1.8.b.d.0.1.0.0.2.ip6.arpa", RR_PTR, RCODE_NXDOMAIN);
	fixture_free(f);
}

static void the_apex_names_the_server_of_the_first_zone(void **state)
{
	struct zones_fixture *f = fixture_new(with_reverse);
	(void)state;
	struct asked *x = ask(&f->ask, "10.in-addr.arpa", RR_SOA);
	assert_true(x->readable);
	assert_int_equal(x->answer.ancount, 1);
	assert_string_equal(x->records[0].target, "ns1.test.");
	x = ask(&f->ask, "10.in-addr.arpa", RR_NS);
	assert_int_equal(x->answer.ancount, 1);
	assert_string_equal(x->records[0].target, "ns1.test.");
	x = ask(&f->ask, "10.in-addr.arpa", RR_A);
	assert_int_equal(x->answer.rcode, RCODE_NOERROR);
	assert_int_equal(x->answer.nscount, 1);
	assert_int_equal(ask(&f->ask, "11.in-addr.arpa", RR_SOA)->zone, -1);
	fixture_free(f);
}

static void two_bound(struct zone_set_conf *conf, struct zone_conf *zones)
{
	zones[0] = (struct zone_conf){ .name = "one.example", .layout = LAYOUT_BOUND, .ns = "one" };
	zones[1] = (struct zone_conf){ .name = "b.two.example", .layout = LAYOUT_BOUND, .ns = "two" };
	conf->zone_count = 2;
	conf->reverse = prefixes;
	conf->reverse_count = 1;
}

static void the_first_zone_that_shows_it_is_pointed_to(void **state)
{
	struct zones_fixture *f = fixture_new(two_bound);
	(void)state;
	struct fake_service *two = fixture_service(f, "two", "DEFAULT_GROUP", "web");
	struct fake_service *three = fixture_service(f, "three", "DEFAULT_GROUP", "web");
	fake_add(two, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80 });
	fake_add(three, &(struct fake_instance){ .ip = "10.0.0.2", .port = 80 });
	fixture_publish(f, two);
	fixture_publish(f, three);
	struct asked *x = ask(&f->ask, "1.0.0.10.in-addr.arpa", RR_PTR);
	assert_int_equal(x->answer.ancount, 1);
	assert_string_equal(x->records[0].target, "10-0-0-1.i.b.two.example.");
	expect_rcode(f, "2.0.0.10.in-addr.arpa", RR_PTR, RCODE_NXDOMAIN); /* no zone shows it */
	fake_unpublish(two, &f->watcher);
	expect_rcode(f, "0.10.in-addr.arpa", RR_PTR, RCODE_NXDOMAIN);
	fixture_free(f);
}

static void ranges_that_are_no_zones_are_refused(void **state)
{
	static const struct cidr odd[] = { { AF_INET, 12, { 10 } }, { AF_INET, 32, { 10 } }, { AF_INET6, 33, { 0x20 } },
					   { AF_INET6, 128, { 0x20 } } };
	struct zones_fixture *f = fixture_new(two_bound);
	struct zone_set *zs = NULL;
	struct error err;
	char name[REVERSE_NAME_MAX];
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(reverse_zone_name(name, &odd[i], &err), E_RANGE);
		f->conf.reverse = &odd[i];
		assert_int_equal(zone_set_new(&zs, &f->conf, f->reaper, &err), E_RANGE);
	}
	f->conf.reverse = prefixes;
	expect_refusals_survived(f);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tree_knows_every_prefix_of_what_is_in_it),
		cmocka_unit_test(addresses_point_to_their_names_and_what_is_above_them_exists),
		cmocka_unit_test(only_the_one_spelling_of_an_address_is_a_name),
		cmocka_unit_test(the_apex_names_the_server_of_the_first_zone),
		cmocka_unit_test(the_first_zone_that_shows_it_is_pointed_to),
		cmocka_unit_test(ranges_that_are_no_zones_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_rate.c - the table of loads under a clock of the test's own, and who is told what once he is over his limit. */
#include "dnsd/rate_table.h"
#include "dnsd/respond.h"
#include "tests/support/dns_wire.h"
#include "tests/support/stub_zones.h"
#include <arpa/inet.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { RATE = 50, BURST = 125 };
static const int64_t START_MS = 1700000000000;
static const uint8_t secret[RATE_SECRET_LEN] = "sixteen octets..";

struct fixture {
	struct rate_table *table;
	struct rate_costs costs;
	int64_t now_ms;
};

static int setup(void **state)
{
	static struct fixture f;
	f.table = rate_table_new(secret);
	f.now_ms = START_MS;
	rate_costs_of(&f.costs, RATE);
	*state = &f;
	return f.table == NULL;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	rate_table_free(f->table);
	return 0;
}

static struct client client4(uint32_t address)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(address) } };
	struct client c;
	client_init(&c, (const struct sockaddr *)(void *)&in);
	return c;
}

/* 2001:db8::, @high in the octets 4..7, @low in the last four. */
static struct client client6(uint32_t high, uint32_t low)
{
	struct sockaddr_in6 in = { .sin6_family = AF_INET6 };
	struct client c;
	high = htonl(high);
	low = htonl(low);
	memcpy(in.sin6_addr.s6_addr, "\x20\x01\x0d\xb8", 4);
	memcpy(in.sin6_addr.s6_addr + 4, &high, 4);
	memcpy(in.sin6_addr.s6_addr + 12, &low, 4);
	client_init(&c, (const struct sockaddr *)(void *)&in);
	return c;
}

static struct client client_text(const char *address)
{
	struct sockaddr_in6 in = { .sin6_family = AF_INET6 };
	struct in_addr v4;
	struct client c;
	if (inet_pton(AF_INET, address, &v4) == 1)
		return client4(ntohl(v4.s_addr));
	assert_int_equal(inet_pton(AF_INET6, address, &in.sin6_addr), 1);
	client_init(&c, (const struct sockaddr *)(void *)&in);
	return c;
}

static bool take(struct fixture *f, const struct client *from)
{
	struct rate_key key;
	rate_table_find(f->table, &key, from);
	return rate_table_take(f->table, &key, &f->costs, f->now_ms);
}

/* How many of @tries come through. */
static unsigned took(struct fixture *f, const struct client *from, unsigned tries)
{
	unsigned n = 0;
	for (unsigned i = 0; i < tries; i++)
		n += take(f, from);
	return n;
}

static void an_address_has_a_burst_then_its_rate_then_its_burst_again(void **state)
{
	struct fixture *f = *state;
	const struct client c = client4(0xc6336401);
	assert_int_equal(took(f, &c, 1000), BURST);
	unsigned n = 0;
	for (int ms = 0; ms < 10000; ms++, f->now_ms++)
		n += take(f, &c);
	assert_in_range(n, 10 * RATE - 10, 10 * RATE + 10);
	f->now_ms += 60000;
	assert_int_equal(took(f, &c, 1000), BURST);
}

static void a_load_decays_as_its_formula_says(void **state)
{
	struct fixture *f = *state;
	static const int waits_ms[] = { 16, 48, 160, 496, 1008, 1600, 2496, 4000, 6400, 12000, 25600, 65520, 70000, 3600000 };
	for (uint32_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
		const struct client c = client4(0x08080000 + (i << 16));
		f->now_ms = START_MS + 16 - START_MS % 16;
		assert_int_equal(took(f, &c, 1000), BURST);
		f->now_ms += waits_ms[i];
		double free = BURST * (1 - exp(-waits_ms[i] / 1000.0 / RATE_BURST_SEC));
		unsigned n = took(f, &c, 1000);
		assert_true(fabs(n - free) <= 1.01);
	}
}

static void what_one_address_is_denied_costs_its_neighbours_nothing(void **state)
{
	struct fixture *f = *state;
	const struct client flooder = client4(0xc6336401), neighbour = client4(0xc6336402);
	const struct client flooder6 = client6(1, 1), neighbour6 = client6(1, 2);
	assert_int_equal(took(f, &flooder, 1000000), BURST);
	assert_int_equal(took(f, &neighbour, 1000), BURST);
	assert_int_equal(took(f, &flooder6, 1000000), BURST);
	assert_int_equal(took(f, &neighbour6, 1000), BURST);
}

/* A prefix that @per_prefix addresses may use up, each with its burst; one more of it gets nothing, one of the next
 * prefix all. */
static void prefix_check(struct fixture *f, struct client (*nth)(uint32_t prefix, uint32_t host), uint32_t prefix, uint32_t worth)
{
	for (uint32_t i = 0; i < worth; i++) {
		struct client c = nth(prefix, i);
		assert_int_equal(took(f, &c, 1000), BURST);
	}
	struct client over = nth(prefix, worth), beside = nth(prefix + 1, 0);
	assert_in_range(took(f, &over, 1000), 0, 10); /* what rounding left */
	assert_int_equal(took(f, &beside, 1000), BURST);
}

static struct client in_24(uint32_t prefix, uint32_t host) /* every /24 in a /18 of its own */
{
	return client4(0xc6000000 + (prefix << 14) + host);
}
static struct client in_20(uint32_t prefix, uint32_t host) /* sixteen addresses of each /24 */
{
	return client4(0xc7000000 + (prefix << 14) + ((host & 15) << 8) + (host >> 4));
}
static struct client in_18(uint32_t prefix, uint32_t host) /* twelve of each /24 */
{
	return client4(0xc8000000 + (prefix << 14) + ((host & 63) << 8) + (host >> 6));
}
static struct client in_64(uint32_t prefix, uint32_t host)
{
	return client6(prefix << 16, host);
}
static struct client in_56(uint32_t prefix, uint32_t host)
{
	return client6(0x40000000 + (prefix << 16) + host, 7);
}
static struct client in_48(uint32_t prefix, uint32_t host)
{
	return client6(0x80000000 + (prefix << 16) + (host << 8), 7);
}

static void each_prefix_has_its_share(void **state)
{
	struct fixture *f = *state;
	prefix_check(f, in_24, 0, 32);
	prefix_check(f, in_20, 0, 256);
	prefix_check(f, in_18, 0, 768);
	prefix_check(f, in_64, 0, 2);
	prefix_check(f, in_56, 0, 3);
	prefix_check(f, in_48, 0, 4);
}

/* 2001:db8::/32 has 64 addresses' worth, however its networks are laid out. */
static void the_widest_ipv6_prefix_has_its_share(void **state)
{
	struct fixture *f = *state;
	for (uint32_t i = 0; i < 64; i++) {
		struct client c = client6(i << 16, 1);
		assert_int_equal(took(f, &c, 1000), BURST);
	}
	struct client over = client6(64 << 16, 1);
	assert_in_range(took(f, &over, 1000), 0, 1);
}

static void a_clock_that_was_set_back_forgives_everybody(void **state)
{
	struct fixture *f = *state;
	const struct client c = client4(0xc6336401);
	assert_int_equal(took(f, &c, 1000), BURST);
	f->now_ms -= 1000; /* another worker, a little late */
	assert_int_equal(took(f, &c, 1000), 0);
	f->now_ms -= 3600000;
	assert_int_equal(took(f, &c, 1000), BURST);
	f->now_ms += 60000;
	assert_int_equal(took(f, &c, 1000), BURST);
}

/* More addresses than there are places, all at one moment: none is refused for another's sake, and the one that asks on
 * and on stays known. */
static void a_full_table_forgets_the_least_and_limits_nobody_falsely(void **state)
{
	struct fixture *f = *state;
	const struct client busy = client4(0xc6336401);
	unsigned refused = 0, answered = took(f, &busy, 1000);
	for (uint32_t i = 0; i < 1000000; i++) {
		const struct client c = client4(0x20000000 + i * 521); /* 260 networks of every kind */
		refused += !take(f, &c);
		if (i % 1000 == 0)
			answered += take(f, &busy);
	}
	assert_int_equal(refused, 0);
	assert_int_equal(answered, BURST);
}

/* ---- several workers */

struct race {
	struct fixture *f;
	struct client client;
	unsigned took;
};

static void race_run(void *arg)
{
	struct race *r = arg;
	r->took = took(r->f, &r->client, 200000);
}

static void workers_share_one_limit(void **state)
{
	struct race races[3];
	uv_thread_t threads[3];
	unsigned sum = 0;
	for (int i = 0; i < 3; i++) {
		races[i] = (struct race){ *state, client4(0xc6336401), 0 };
		assert_int_equal(uv_thread_create(&threads[i], race_run, &races[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		uv_thread_join(&threads[i]);
		sum += races[i].took;
	}
	assert_in_range(sum, BURST, 2 * BURST);
}

/* ---- what is answered */

struct limits {
	struct rate_limiter limiter;
	struct cookie_slot cookies;
	struct dns_counters counters;
	struct responder responder;
	struct exchange exchange;
	struct wire in;
	uint8_t out[DNS_MESSAGE_MAX];
	size_t out_len;
	int64_t now_ms;
};

static int limits_setup(void **state)
{
	static const uint8_t keys[1][COOKIE_SECRET_LEN] = { "sixteen octets.." };
	static struct limits l;
	memset(&l, 0, sizeof(l));
	l.limiter.table = rate_table_new(secret);
	atomic_init(&l.cookies.now, cookie_secrets_new(keys, 1));
	dns_counters_declare(&l.counters);
	dns_counters_zones(&l.counters, NULL);
	responder_init(&l.responder, NULL, &l.counters,
		       &(struct responder_conf){ .udp_size = 1232, .cookies = &l.cookies, .rates = &l.limiter });
	l.now_ms = START_MS;
	*state = &l;
	return 0;
}

static int limits_teardown(void **state)
{
	struct limits *l = *state;
	rate_table_free(l->limiter.table);
	rate_policy_free(atomic_load(&l->limiter.now));
	cookie_secrets_free(atomic_load(&l->cookies.now));
	return 0;
}

static void limits_set(struct limits *l, const struct rate_conf *conf)
{
	rate_policy_free(atomic_load(&l->limiter.now));
	atomic_store(&l->limiter.now, rate_policy_new(conf));
}

enum said { NOTHING, WHOLE, TRUNCATED, BADCOOKIE, ERROR };

/* The message of @in from @from: what is said. */
static enum said ask_over(struct limits *l, const char *from, enum transport over)
{
	struct exchange *x = &l->exchange;
	x->client = client_text(from);
	x->question.query.now_ms = l->now_ms;
	l->out_len = respond_message(&l->responder, x, l->in.at, l->in.len, over, l->out, 4096);
	if (l->out_len == 0)
		return NOTHING;
	assert_true(wire_ldns_reads(l->out, l->out_len));
	unsigned rcode = l->out[3] & 15, answers = wire_get16(l->out + 6);
	if (x->question.edns.present)
		assert_true(wire_has_opt_last(l->out, l->out_len));
	if (rcode == (RCODE_BADCOOKIE & 15) && x->fate == QUESTION_LIMITED && x->question.edns.cookie)
		return assert_int_equal(answers, 0), BADCOOKIE;
	if ((l->out[2] & 2) != 0)
		return assert_int_equal(answers, 0), TRUNCATED;
	return rcode == RCODE_NOERROR && answers > 0 ? WHOLE : ERROR;
}

static enum said ask(struct limits *l, const char *from)
{
	return ask_over(l, from, TRANSPORT_UDP);
}

static void exhaust(struct limits *l, const char *from)
{
	for (int i = 0; i < BURST; i++)
		assert_int_equal(ask(l, from), WHOLE);
}

static void who_is_over_the_limit_is_told_to_come_by_tcp(void **state)
{
	struct limits *l = *state;
	limits_set(l, &(struct rate_conf){ .per_second = RATE, .slip = 1 });
	wire_query(&l->in, "a.test", RR_A);
	exhaust(l, "198.51.100.1");
	for (int i = 0; i < 10; i++) {
		assert_int_equal(ask(l, "198.51.100.1"), TRUNCATED);
		assert_int_equal(l->out_len, l->in.len); /* it amplifies nothing */
		assert_memory_equal(l->out + 12, l->in.at + 12, l->in.len - 12);
	}
	assert_int_equal(ask_over(l, "198.51.100.1", TRANSPORT_TCP), WHOLE);
	assert_int_equal(ask_over(l, "198.51.100.1", TRANSPORT_TLS), WHOLE);
	assert_int_equal(ask(l, "198.51.100.2"), WHOLE);
	assert_int_equal(l->responder.tally.limited[LIMIT_TRUNCATED], 10);
	l->now_ms += 1000;
	assert_int_equal(ask(l, "198.51.100.1"), WHOLE);
}

static void every_name_and_answer_counts(void **state)
{
	struct limits *l = *state;
	limits_set(l, &(struct rate_conf){ .per_second = RATE, .slip = 1 });
	for (int i = 0; i < BURST; i++) {
		wire_query(&l->in, i % 3 == 0 ? "a.test" : i % 3 == 1 ? "nx.test" : "a.example", RR_A);
		assert_int_not_equal(ask(l, "198.51.100.1"), TRUNCATED);
	}
	for (int i = 0; i < 3; i++) {
		wire_query(&l->in, i == 0 ? "a.test" : i == 1 ? "nx.test" : "a.example", RR_A);
		assert_int_equal(ask(l, "198.51.100.1"), TRUNCATED);
	}
}

static void the_slip_says_how_many_are_told(void **state)
{
	struct limits *l = *state;
	wire_query(&l->in, "a.test", RR_A);
	static const unsigned slips[] = { 0, 1, 2, 5 };
	for (unsigned i = 0; i < 4; i++) {
		char from[32];
		snprintf(from, sizeof(from), "198.51.100.%u", i + 1);
		limits_set(l, &(struct rate_conf){ .per_second = RATE, .slip = slips[i] });
		exhaust(l, from);
		unsigned told = 0, dropped = l->responder.tally.limited[LIMIT_DROPPED];
		for (int k = 0; k < 100; k++)
			told += ask(l, from) == TRUNCATED;
		assert_int_equal(told, slips[i] == 0 ? 0 : 100 / slips[i]);
		assert_int_equal(l->responder.tally.limited[LIMIT_DROPPED] - dropped, 100 - told);
	}
}

static size_t option(uint8_t *to, const uint8_t *cookie, size_t len)
{
	const uint8_t head[4] = { 0, OPTION_COOKIE, 0, (uint8_t)len };
	memcpy(to, head, 4);
	memcpy(to + 4, cookie, len);
	return 4 + len;
}

static void who_knows_cookies_is_given_one_and_is_free_with_it(void **state)
{
	struct limits *l = *state;
	uint8_t options[64];
	limits_set(l, &(struct rate_conf){ .per_second = RATE, .slip = 1 });
	wire_query(&l->in, "a.test", RR_A);
	exhaust(l, "198.51.100.1");
	size_t n = option(options, (const uint8_t *)"8 octets", 8);
	wire_query_edns(&l->in, "a.test", RR_A, 1232, options, (unsigned)n);
	assert_int_equal(ask(l, "198.51.100.1"), BADCOOKIE);
	assert_false((l->out[2] & 2) != 0);
	const uint8_t *given = l->out + l->out_len - COOKIE_LEN; /* the only option of the OPT, the last record */
	n = option(options, given, COOKIE_LEN);
	wire_query_edns(&l->in, "a.test", RR_A, 1232, options, (unsigned)n);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(ask(l, "198.51.100.1"), WHOLE);
	assert_int_equal(ask(l, "198.51.100.2"), WHOLE); /* another's: not good, but within its limit */
	options[4 + COOKIE_LEN - 1] ^= 1;
	wire_query_edns(&l->in, "a.test", RR_A, 1232, options, (unsigned)n);
	assert_int_equal(ask(l, "198.51.100.1"), BADCOOKIE);
	assert_int_equal(ask_over(l, "198.51.100.1", TRANSPORT_TCP), WHOLE);
	wire_header(&l->in, 0, 0, 0, 0, 1); /* a cookie alone (RFC 7873, 5.4) */
	n = option(options, (const uint8_t *)"8 octets", 8);
	wire_opt(&l->in, 1232, 0, options, (unsigned)n);
	assert_int_equal(ask(l, "198.51.100.1"), BADCOOKIE);
	assert_int_equal(l->responder.tally.limited[LIMIT_BADCOOKIE], 3);
}

static void private_networks_and_those_of_the_list_are_not_limited(void **state)
{
	struct limits *l = *state;
	static const char *const near[] = { "127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.7.7", "169.254.1.1", "::1", "fe80::1", "fd00::1" };
	static const char *const listed[] = { "203.0.113.200", "2001:db8:1::5" };
	struct cidr allow[2];
	struct error err;
	assert_int_equal(cidr_parse(&allow[0], "203.0.113.192/26", &err), 0);
	assert_int_equal(cidr_parse(&allow[1], "2001:db8:1::/48", &err), 0);
	struct rate_conf conf = { .per_second = RATE, .slip = 1, .allow = { allow, 2 } };
	limits_set(l, &conf);
	wire_query(&l->in, "a.test", RR_A);
	for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++)
		for (int k = 0; k < 3 * BURST; k++)
			assert_int_equal(ask(l, near[i]), WHOLE);
	for (size_t i = 0; i < 2; i++)
		for (int k = 0; k < 3 * BURST; k++)
			assert_int_equal(ask(l, listed[i]), WHOLE);
	static const char *const far[] = { "203.0.113.191", "2001:db8:2::5", "172.32.0.1", "100.64.0.1" };
	for (size_t i = 0; i < 4; i++) {
		exhaust(l, far[i]);
		assert_int_equal(ask(l, far[i]), TRUNCATED);
	}
	conf.near = true;
	limits_set(l, &conf);
	exhaust(l, near[0]);
	assert_int_equal(ask(l, near[0]), TRUNCATED);
	conf.per_second = 0;
	limits_set(l, &conf);
	for (int k = 0; k < 3 * BURST; k++)
		assert_int_equal(ask(l, far[0]), WHOLE);
}

static void what_is_wrong_is_not_told_of_the_limit(void **state)
{
	struct limits *l = *state;
	limits_set(l, &(struct rate_conf){ .per_second = RATE, .slip = 1 });
	wire_query(&l->in, "a.test", RR_A);
	exhaust(l, "198.51.100.1");
	wire_query(&l->in, "a.test", RR_MAILB);
	assert_int_equal(ask(l, "198.51.100.1"), NOTHING);
	assert_int_equal(ask(l, "198.51.100.2"), ERROR);
	assert_int_equal(ask_over(l, "198.51.100.1", TRANSPORT_TCP), ERROR);
}

static void errors_have_a_limit_of_their_own_for_everybody(void **state)
{
	struct limits *l = *state;
	limits_set(l, &(struct rate_conf){ .errors = 10 });
	static const struct {
		const char *name;
		unsigned type;
	} errors[] = { { "a.example", RR_A }, { "a.test", RR_MAILB }, { "a.test", RR_AXFR } };
	for (unsigned i = 0; i < 30; i++) {
		wire_query(&l->in, errors[i % 3].name, errors[i % 3].type);
		assert_int_equal(ask(l, "127.0.0.1"), i < 10 ? ERROR : NOTHING);
	}
	assert_int_equal(l->responder.tally.limited[LIMIT_ERROR], 20);
	wire_query(&l->in, "a.example", RR_A);
	assert_int_equal(ask_over(l, "127.0.0.1", TRANSPORT_TCP), ERROR);
	wire_query(&l->in, "nx.test", RR_A); /* no error: the name is not there */
	assert_int_equal(ask(l, "127.0.0.1"), ERROR);
	wire_query(&l->in, "a.test", RR_A);
	assert_int_equal(ask(l, "127.0.0.1"), WHOLE);
	l->now_ms += 1000;
	wire_query(&l->in, "a.example", RR_A);
	assert_int_equal(ask(l, "127.0.0.1"), ERROR);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define ANSWERS(name) cmocka_unit_test_setup_teardown(name, limits_setup, limits_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_address_has_a_burst_then_its_rate_then_its_burst_again),
		TEST(a_load_decays_as_its_formula_says),
		TEST(what_one_address_is_denied_costs_its_neighbours_nothing),
		TEST(each_prefix_has_its_share),
		TEST(the_widest_ipv6_prefix_has_its_share),
		TEST(a_clock_that_was_set_back_forgives_everybody),
		TEST(a_full_table_forgets_the_least_and_limits_nobody_falsely),
		TEST(workers_share_one_limit),
		ANSWERS(who_is_over_the_limit_is_told_to_come_by_tcp),
		ANSWERS(every_name_and_answer_counts),
		ANSWERS(the_slip_says_how_many_are_told),
		ANSWERS(who_knows_cookies_is_given_one_and_is_free_with_it),
		ANSWERS(private_networks_and_those_of_the_list_are_not_limited),
		ANSWERS(what_is_wrong_is_not_told_of_the_limit),
		ANSWERS(errors_have_a_limit_of_their_own_for_everybody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_cookie.c - SipHash by its paper's vectors, cookies by those of RFC 9018 (appendix A), their times and secrets, and
 * what an answer says. */
#include "dnsd/cookie.h"
#include "dnsd/respond.h"
#include "base/random.h"
#include "dnsd/siphash.h"
#include "tests/support/dns_wire.h"
#include "tests/support/stub_zones.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t hex(uint8_t *to, const char *text)
{
	size_t len = strlen(text) / 2;
	for (size_t i = 0; i < len; i++) {
		unsigned v;
		assert_int_equal(sscanf(text + 2 * i, "%2x", &v), 1);
		to[i] = (uint8_t)v;
	}
	return len;
}

static struct client client_at(const char *address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct client c;
	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
		client_init(&c, (struct sockaddr *)&v4);
	} else {
		assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
		client_init(&c, (struct sockaddr *)&v6);
	}
	return c;
}

static struct cookie_secrets secrets_of(const char *first, const char *second)
{
	struct cookie_secrets s = { .count = 1 };
	hex(s.key[0], first);
	if (second != NULL) {
		s.count = 2;
		hex(s.key[1], second);
	}
	return s;
}

/* The paper's test: key 00..0f, message 00..0e; and the first rows of its authors' table. */
static void the_hash_is_siphash_2_4(void **state)
{
	static const uint64_t rows[] = { 0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d };
	uint8_t key[16], message[16];
	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = message[i] = i;
	assert_true(siphash24(key, message, 15) == 0xa129ca6149be45e5);
	for (size_t len = 0; len < 4; len++)
		assert_true(siphash24(key, message, len) == rows[len]);
	assert_true(siphash24(key, message, 8) == 0x93f5f5799a932462);
}

enum { VECTORS = 4 };
static const struct vector {
	const char *secret, *address;
	uint32_t now;
	const char *cookie;
} vectors[VECTORS] = {
	{ "e5e973e5a6b2a43f48e7dc849e37bfcf", "198.51.100.100", 0x5cf79f11, "2464c4abcf10c957010000005cf79f111f8130c3eee29480" },
	{ "e5e973e5a6b2a43f48e7dc849e37bfcf", "203.0.113.203", 0x5cf78f71, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5" },
	{ "dd3bdf9344b678b185a6f5cb60fca715", "2001:db8:220:1:59de:d0f4:8769:82b8", 0x5cf7c579,
	  "22681ab97d52c298010000005cf7c57926556bd0934c72f8" },
	{ "445536bcd2513298075a5d379663c962", "2001:db8:220:1:59de:d0f4:8769:82b8", 0x5cf7c609,
	  "22681ab97d52c298010000005cf7c609a6bb79d16625507a" },
};

static void the_vectors_of_rfc_9018_are_made_and_accepted(void **state)
{
	(void)state;
	for (int i = 0; i < VECTORS; i++) {
		const struct vector *v = &vectors[i];
		struct cookie_secrets s = secrets_of(v->secret, NULL);
		struct client c = client_at(v->address);
		uint8_t right[COOKIE_MAX], cookie[COOKIE_MAX];
		hex(right, v->cookie);
		memcpy(cookie, right, sizeof(cookie));
		assert_int_equal(cookie_check(cookie, COOKIE_LEN, &c, v->now, &s), COOKIE_GOOD); /* reserved octets as received */
		assert_memory_equal(cookie, right, COOKIE_LEN);
		if (i == 1)
			continue; /* we never set reserved octets */
		memset(cookie + COOKIE_CLIENT_LEN, 0xee, sizeof(cookie) - COOKIE_CLIENT_LEN);
		assert_int_equal(cookie_check(cookie, COOKIE_CLIENT_LEN, &c, v->now, &s), COOKIE_CLIENT);
		assert_memory_equal(cookie, right, COOKIE_LEN);
	}
}

/* The third vector's client shows its cookie of the old secret: it is good, and gets one of the new secret. */
static void a_cookie_of_the_secret_before_is_good_and_is_renewed(void **state)
{
	(void)state;
	struct cookie_secrets s = secrets_of(vectors[3].secret, vectors[2].secret);
	struct client c = client_at(vectors[2].address);
	uint8_t cookie[COOKIE_MAX], right[COOKIE_MAX];
	hex(cookie, vectors[2].cookie);
	hex(right, vectors[3].cookie);
	assert_int_equal(cookie_check(cookie, COOKIE_LEN, &c, vectors[3].now, &s), COOKIE_GOOD);
	assert_memory_equal(cookie, right, COOKIE_LEN);
	s = secrets_of(vectors[3].secret, NULL);
	hex(cookie, vectors[2].cookie);
	assert_int_equal(cookie_check(cookie, COOKIE_LEN, &c, vectors[3].now, &s), COOKIE_WRONG);
	assert_memory_equal(cookie, right, COOKIE_LEN);
}

static void a_cookie_lives_an_hour_and_is_renewed_after_half_of_it(void **state)
{
	static const struct {
		int32_t later;
		enum cookie_state is;
		bool same;
	} rows[] = { { 0, COOKIE_GOOD, true },	    { 1800, COOKIE_GOOD, true },  { 1801, COOKIE_GOOD, false },
		     { 3600, COOKIE_GOOD, false },  { 3601, COOKIE_WRONG, false }, { -300, COOKIE_GOOD, true },
		     { -301, COOKIE_WRONG, false }, { 0x7fffffff, COOKIE_WRONG, false } };
	static const uint32_t starts[] = { 0x5cf79f11, 100, 0xffffff00 }; /* over the end of 32 bits, too */
	struct cookie_secrets s = secrets_of(vectors[0].secret, NULL);
	struct client c = client_at("192.0.2.1");
	(void)state;
	for (size_t k = 0; k < sizeof(starts) / sizeof(starts[0]); k++)
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			uint8_t cookie[COOKIE_MAX] = "8 octets", first[COOKIE_MAX];
			cookie_check(cookie, COOKIE_CLIENT_LEN, &c, starts[k], &s);
			memcpy(first, cookie, sizeof(first));
			assert_int_equal(cookie_check(cookie, COOKIE_LEN, &c, starts[k] + (uint32_t)rows[i].later, &s), rows[i].is);
			assert_int_equal(memcmp(first, cookie, COOKIE_LEN) == 0, rows[i].same);
		}
}

/* Times pass, secrets change, clients show cookies of others, older ones and ones with a wrong octet: each is judged as if
 * nothing were remembered. */
static void what_is_remembered_of_cookies_changes_no_verdict(void **state)
{
	enum { CLIENTS = 12, STEPS = 40000 };
	static const char *const addresses[] = { "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2" };
	static struct cookie_memo memo;
	struct cookie_secrets s = secrets_of(vectors[0].secret, vectors[2].secret);
	uint8_t shown[CLIENTS][COOKIE_MAX] = { { 0 } };
	unsigned verdicts[COOKIE_STATES] = { 0 };
	uint32_t now = 0x5cf79f11;
	struct rng rng;
	(void)state;
	rng_seed(&rng, 9018);
	for (unsigned i = 0; i < CLIENTS; i++)
		shown[i][0] = (uint8_t)(i % 3); /* they meet at the same places */
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned n = rng_below(&rng, CLIENTS), from = rng_below(&rng, 16) == 0 ? n + 1 : n;
		struct client c = client_at(addresses[from % 4]);
		size_t len = rng_below(&rng, 50) == 0 ? COOKIE_CLIENT_LEN : COOKIE_LEN;
		uint8_t right[COOKIE_MAX], recalled[COOKIE_MAX];
		if (rng_below(&rng, 40) == 0)
			shown[n][rng_below(&rng, COOKIE_LEN)] ^= (uint8_t)(1u << rng_below(&rng, 8));
		if (rng_below(&rng, 300) == 0)
			now += rng_below(&rng, 2500);
		if (rng_below(&rng, 500) == 0)
			s = secrets_of(vectors[rng_below(&rng, 4)].secret, vectors[rng_below(&rng, 4)].secret);
		memcpy(right, shown[n], sizeof(right));
		memcpy(recalled, shown[n], sizeof(recalled));
		enum cookie_state expected = cookie_check(right, len, &c, now, &s);
		assert_int_equal(cookie_recall(&memo, recalled, len, &c, now, &s), expected);
		assert_memory_equal(recalled, right, COOKIE_LEN);
		verdicts[expected]++;
		if (rng_below(&rng, 4) != 0)
			memcpy(shown[n], right, sizeof(right));
	}
	assert_true(verdicts[COOKIE_GOOD] > STEPS / 4 && verdicts[COOKIE_WRONG] > STEPS / 40 && verdicts[COOKIE_CLIENT] > 0);
}

static void a_cookie_is_good_for_its_own_address_and_octets_alone(void **state)
{
	struct cookie_secrets s = secrets_of(vectors[0].secret, NULL);
	struct client c = client_at("192.0.2.1"), other = client_at("192.0.2.2"), six = client_at("c000:201::");
	uint8_t good[COOKIE_MAX] = "8 octets", cookie[COOKIE_MAX];
	(void)state;
	cookie_check(good, COOKIE_CLIENT_LEN, &c, 1000, &s);
	memcpy(cookie, good, sizeof(cookie));
	assert_int_equal(cookie_check(cookie, COOKIE_LEN, &other, 1000, &s), COOKIE_WRONG);
	memcpy(cookie, good, sizeof(cookie));
	assert_int_equal(cookie_check(cookie, COOKIE_LEN, &six, 1000, &s), COOKIE_WRONG);
	for (unsigned bit = 0; bit < 8 * COOKIE_LEN; bit++) {
		memcpy(cookie, good, sizeof(cookie));
		cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(cookie_check(cookie, COOKIE_LEN, &c, 1000, &s), COOKIE_WRONG);
	}
	for (size_t len = 16; len <= COOKIE_MAX; len++) {
		memcpy(cookie, good, sizeof(cookie));
		assert_int_equal(cookie_check(cookie, len, &c, 1000, &s), len == COOKIE_LEN ? COOKIE_GOOD : COOKIE_WRONG);
	}
}

/* ---- in answers */

static struct wire in;
static struct dns_counters counters;
static struct responder responder;
static struct exchange exchange;
static struct cookie_slot slot;
static uint8_t out[DNS_MESSAGE_MAX];
static size_t out_len;

static int ask(bool stream)
{
	exchange.client = client_at("192.0.2.1");
	exchange.question.query.now_ms = 1700000000000;
	out_len = respond_message(&responder, &exchange, in.at, in.len, stream ? TRANSPORT_TCP : TRANSPORT_UDP, out, stream ? sizeof out : 4096);
	assert_true(out_len > 12);
	assert_true(wire_has_opt_last(out, out_len));
	assert_true(wire_ldns_reads(out, out_len));
	for (size_t at = 12; at + 11 <= out_len; at++) /* the OPT reaches the end */
		if (out[at] == 0 && wire_get16(out + at + 1) == RR_OPT && at + 11 + wire_get16(out + at + 9) == out_len)
			return (out[3] & 15) | out[at + 5] << 4;
	fail_msg("no OPT");
	return -1;
}

/* The answer's cookie, when it is the last or the only option. */
static const uint8_t *cookie_out(void)
{
	for (size_t at = 12; at + 4 + COOKIE_LEN <= out_len; at++)
		if (wire_get16(out + at) == OPTION_COOKIE && wire_get16(out + at + 2) == COOKIE_LEN)
			return out + at + 4;
	return NULL;
}

static size_t option(uint8_t *to, const uint8_t *cookie, size_t len)
{
	to[0] = 0;
	to[1] = OPTION_COOKIE;
	to[2] = 0;
	to[3] = (uint8_t)len;
	memcpy(to + 4, cookie, len);
	return 4 + len;
}

static void ask_for(const char *name, unsigned type, const uint8_t *cookie, size_t len)
{
	uint8_t options[64];
	size_t n = option(options, cookie, len);
	wire_query_edns(&in, name, type, 1232, options, (unsigned)n);
}

static void an_answer_carries_a_cookie_that_is_good_next_time(void **state)
{
	uint8_t cookie[COOKIE_MAX] = "8 octets";
	(void)state;
	static const struct {
		const char *name;
		unsigned type;
		int rcode;
	} rows[] = { { "a.test", RR_A, RCODE_NOERROR },	    { "nx.test", RR_A, RCODE_NXDOMAIN },
		     { "a.example", RR_A, RCODE_REFUSED }, { "a.test", RR_MAILB, RCODE_FORMERR } };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (int stream = 0; stream < 2; stream++) {
			ask_for(rows[i].name, rows[i].type, cookie, COOKIE_CLIENT_LEN);
			assert_int_equal(ask(stream), rows[i].rcode);
			assert_int_equal(exchange.cookie, COOKIE_CLIENT);
			assert_non_null(cookie_out());
			assert_memory_equal(cookie_out(), cookie, COOKIE_CLIENT_LEN);
			uint8_t given[COOKIE_MAX];
			memcpy(given, cookie_out(), COOKIE_LEN);
			ask_for(rows[i].name, rows[i].type, given, COOKIE_LEN);
			assert_int_equal(ask(stream), rows[i].rcode);
			assert_int_equal(exchange.cookie, COOKIE_GOOD);
			assert_memory_equal(cookie_out(), given, COOKIE_LEN);
		}
}

static void a_wrong_cookie_is_answered_all_the_same(void **state)
{
	uint8_t cookie[COOKIE_MAX] = "8 octets and wrong ones behind them";
	(void)state;
	for (size_t len = 16; len <= COOKIE_MAX; len++) {
		ask_for("a.test", RR_A, cookie, len);
		assert_int_equal(ask(false), RCODE_NOERROR);
		assert_int_equal(exchange.cookie, COOKIE_WRONG);
		assert_non_null(cookie_out());
		assert_memory_equal(cookie_out(), cookie, COOKIE_CLIENT_LEN);
	}
}

static void the_first_of_two_cookies_counts(void **state)
{
	uint8_t options[64], first[COOKIE_MAX] = "the 1st!", second[COOKIE_MAX] = "the 2nd!";
	(void)state;
	size_t n = option(options, first, 8);
	n += option(options + n, second, 8);
	wire_query_edns(&in, "a.test", RR_A, 1232, options, (unsigned)n);
	assert_int_equal(ask(false), RCODE_NOERROR);
	assert_memory_equal(cookie_out(), first, 8);
}

/* RFC 7873, 5.4. */
static void a_cookie_without_a_question_is_judged_alone(void **state)
{
	uint8_t options[64], cookie[COOKIE_MAX] = "8 octets and wrong ones";
	(void)state;
	wire_header(&in, 0, 0, 0, 0, 1);
	wire_opt(&in, 1232, 0, options, (unsigned)option(options, cookie, 8));
	assert_int_equal(ask(false), RCODE_NOERROR);
	assert_int_equal(out_len, 12 + 11 + 28);
	uint8_t given[COOKIE_MAX];
	memcpy(given, cookie_out(), COOKIE_LEN);
	wire_header(&in, 0, 0, 0, 0, 1);
	wire_opt(&in, 1232, 0, options, (unsigned)option(options, given, COOKIE_LEN));
	assert_int_equal(ask(false), RCODE_NOERROR);
	wire_header(&in, 0, 0, 0, 0, 1);
	wire_opt(&in, 1232, 0, options, (unsigned)option(options, cookie, COOKIE_LEN));
	assert_int_equal(ask(false), RCODE_BADCOOKIE);
	assert_memory_equal(cookie_out(), given, COOKIE_LEN);
	assert_int_equal(ask(true), RCODE_NOERROR); /* the handshake has shown the address */
}

/* The room for the cookie is kept free: what fits without it by an octet is truncated with it. */
static void the_cookie_counts_in_the_size_of_an_answer(void **state)
{
	uint8_t options[64], cookie[COOKIE_MAX] = "8 octets";
	size_t n = option(options, cookie, 8), whole = 12 + 12 + 3 * (12 + 251) + 11 + 4 + COOKIE_LEN;
	(void)state;
	wire_query_edns(&in, "a.test", RR_TXT, (unsigned)whole, options, (unsigned)n);
	ask(false);
	assert_int_equal(out_len, whole);
	wire_query_edns(&in, "a.test", RR_TXT, (unsigned)whole - 1, options, (unsigned)n);
	ask(false);
	assert_int_equal(out[2] & 2, 2);
	assert_non_null(cookie_out());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_is_siphash_2_4),
		cmocka_unit_test(the_vectors_of_rfc_9018_are_made_and_accepted),
		cmocka_unit_test(a_cookie_of_the_secret_before_is_good_and_is_renewed),
		cmocka_unit_test(a_cookie_lives_an_hour_and_is_renewed_after_half_of_it),
		cmocka_unit_test(what_is_remembered_of_cookies_changes_no_verdict),
		cmocka_unit_test(a_cookie_is_good_for_its_own_address_and_octets_alone),
		cmocka_unit_test(an_answer_carries_a_cookie_that_is_good_next_time),
		cmocka_unit_test(a_wrong_cookie_is_answered_all_the_same),
		cmocka_unit_test(the_first_of_two_cookies_counts),
		cmocka_unit_test(a_cookie_without_a_question_is_judged_alone),
		cmocka_unit_test(the_cookie_counts_in_the_size_of_an_answer),
	};
	struct cookie_secrets secrets = secrets_of(vectors[0].secret, NULL);
	atomic_init(&slot.now, &secrets);
	dns_counters_declare(&counters);
	dns_counters_zones(&counters, NULL);
	responder_init(&responder, NULL, &counters,
		       &(struct responder_conf){ .udp_size = 1232, .keepalive_ms = 10000, .cookies = &slot });
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_selection.c - which instances are answered (dns.md 2.1), and with what probability (2.2, 2.3). Random numbers
 * are seeded; the seed is printed. */
#include "tests/zones/zones_fixture.h"
#include "zones/alias.h"
#include "zones/subset.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SEED = 20261121, PICKS = 1000000 };

/* Upper tail of chi-square by Wilson and Hilferty: p below 1e-6 is z above 4.7534. */
static bool fits(const uint64_t *counts, const double *expected, unsigned n)
{
	double chi = 0;
	unsigned degrees = 0;
	for (unsigned i = 0; i < n; i++) {
		if (expected[i] <= 0) {
			if (counts[i] != 0)
				return false;
			continue;
		}
		chi += ((double)counts[i] - expected[i]) * ((double)counts[i] - expected[i]) / expected[i];
		degrees++;
	}
	if (degrees < 2)
		return true;
	double k = degrees - 1, z = (cbrt(chi / k) - (1 - 2 / (9 * k))) / sqrt(2 / (9 * k));
	return z < 4.7534;
}

static double weight_at(unsigned i)
{
	static const double weights[] = { 1, 2, 3, 0.5, 0 };
	return weights[i % 5];
}

/* The first record of @picks answers by weight; @bias alters what is expected of the first one. */
static bool first_records_fit(struct zones_fixture *f, const char *name, unsigned n, unsigned picks, double bias)
{
	uint64_t counts[64] = { 0 };
	double expected[64], sum = 0;
	for (unsigned i = 0; i < n; i++)
		sum += weight_at(i) * (i == 0 ? bias : 1);
	for (unsigned i = 0; i < n; i++)
		expected[i] = picks * weight_at(i) * (i == 0 ? bias : 1) / sum;
	struct dns_query q;
	uint8_t message[512];
	size_t len;
	query_make(&q, message, &len, name, RR_A, 1);
	zone_set_prefetch(f->zones, &q);
	zone_set_prepare(f->zones, &q);
	for (unsigned i = 0; i < picks; i++) {
		struct dns_answer a;
		a.w = writer_of(message, sizeof(message));
		a.w.at += len;
		zone_set_answer(f->zones, &q, &a, &f->ask.rng);
		counts[message[len + 15] - 1]++; /* last octet of the first record's address */
	}
	return fits(counts, expected, n);
}

static void modes(struct zone_set_conf *conf, struct zone_conf *zones)
{
	(void)zones;
	conf->cap = 64;
}

static struct fake_service *weighted(struct zones_fixture *f, unsigned n, const char *mode)
{
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", mode);
	for (unsigned i = 0; i < n; i++) {
		char ip[20];
		snprintf(ip, sizeof(ip), "10.0.0.%u", i + 1);
		fake_add(s, &(struct fake_instance){ .ip = ip, .port = 80,
						     .weight = weight_at(i) > 0 ? weight_at(i) : -1 });
	}
	s->metadata[0] = (struct pair){ "dns.mode", mode, 0, 0 };
	fixture_publish(f, s);
	return s;
}

static void the_alias_table_picks_by_weight_for_every_size(void **state)
{
	struct rng r;
	(void)state;
	print_message("seed %d\n", SEED);
	rng_seed(&r, SEED);
	for (uint32_t n = 1; n <= 64; n++) {
		float w[64];
		struct alias table[64];
		uint32_t work[128];
		double share[64], expected[64], biased[64], sum = 0;
		uint64_t counts[64] = { 0 };
		for (uint32_t i = 0; i < n; i++) {
			w[i] = (float)(i % 4 == 3 ? 0.5 : i % 4 + 1);
			sum += (double)w[i];
		}
		alias_build(table, w, n, work, share);
		for (unsigned i = 0; i < PICKS; i++) {
			uint64_t random = rng_next(&r);
			uint32_t column = alias_column(random, n);
			counts[alias_choose(table[column], column, random)]++;
		}
		for (uint32_t i = 0; i < n; i++) {
			expected[i] = PICKS * (double)w[i] / sum;
			biased[i] = expected[i] * (n == 1 ? 1 : i == 0 ? 1.25 : 1);
		}
		if (!fits(counts, expected, n))
			fail_msg("n = %u does not fit its weights", n);
		if (n > 1 && fits(counts, biased, n))
			fail_msg("n = %u: a bias of a quarter is not seen", n);
	}
}

static void the_first_record_follows_the_weights(void **state)
{
	static const char *const names[] = { "all", "one", "shuffle" };
	(void)state;
	for (size_t m = 0; m < 3; m++)
		for (unsigned n = 3; n <= 23; n += 10) {
			struct zones_fixture *f = fixture_new(modes);
			char name[40];
			weighted(f, n, names[m]);
			snprintf(name, sizeof(name), "%s.svc.test", names[m]);
			if (!first_records_fit(f, name, n, 100000, 1.0))
				fail_msg("mode %s with %u does not fit its weights", names[m], n);
			assert_false(first_records_fit(f, name, n, 100000, 1.2));
			fixture_free(f);
		}
}

/* The bar of the first record: weights 1:2:3:0.5:0, a seed that nobody has chosen; MUSTER_SEED replays. A right server
 * fails one run in a million. A bias of a twentieth puts chi-square at 313, eight standard deviations above the bound;
 * two hundredths would be 54, 1.6 deviations, and go unseen in one run of a hundred. */
static void a_million_answers_begin_by_weight_and_never_with_weight_zero(void **state)
{
	struct zones_fixture *f = fixture_new(modes);
	const char *given = getenv("MUSTER_SEED");
	struct rng rng;
	(void)state;
	rng_seed_system(&rng);
	uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : rng_next(&rng);
	print_message("MUSTER_SEED=%llu\n", (unsigned long long)seed);
	rng_seed(&f->ask.rng, seed);
	weighted(f, 5, "shuffle");
	if (!first_records_fit(f, "shuffle.svc.test", 5, PICKS, 1.0))
		fail_msg("seed %llu: p is below 1e-6", (unsigned long long)seed);
	if (first_records_fit(f, "shuffle.svc.test", 5, PICKS, 1.05))
		fail_msg("seed %llu: a bias of a twentieth is not seen", (unsigned long long)seed);
	fixture_free(f);
}

static void some_of_many_are_shuffled_by_weight(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	uint64_t counts[200] = { 0 };
	double expected[200];
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "many");
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		char ip[20];
		snprintf(ip, sizeof(ip), "10.0.0.%u", i + 1);
		fake_add(s, &(struct fake_instance){ .ip = ip, .port = 80, .weight = i < 100 ? 3 : 1 });
		expected[i] = 20000 * (i < 100 ? 3.0 : 1.0) / 400;
	}
	s->metadata[0] = (struct pair){ "dns.mode", "shuffle", 0, 0 };
	fixture_publish(f, s);
	f->ask.skip_ldns = true;
	for (unsigned i = 0; i < 20000; i++) {
		struct asked *x = ask(&f->ask, "many.svc.test", RR_A);
		assert_int_equal(x->answer.ancount, 16);
		counts[x->records[0].rdata[3] - 1]++;
		for (unsigned a = 0; a < 16; a++)
			for (unsigned b = a + 1; b < 16; b++)
				assert_int_not_equal(x->records[a].rdata[3], x->records[b].rdata[3]);
	}
	assert_true(fits(counts, expected, 200));
	fixture_free(f);
}

/* Over many windows and buckets: first place by weight; and who leaves takes only his own share along. */
static void a_subset_is_stable_and_weighted(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	struct fake_service *s = weighted(f, 60, "subset");
	uint64_t counts[60] = { 0 };
	double expected[60], sum = 0;
	static uint8_t before[4000][16];
	(void)state;
	f->ask.skip_ldns = true;
	for (unsigned i = 0; i < 60; i++)
		sum += weight_at(i);
	for (unsigned i = 0; i < 60; i++)
		expected[i] = 4000 * weight_at(i) / sum;
	for (unsigned i = 0; i < 4000; i++) {
		f->ask.client = i;
		f->ask.now_ms = (int64_t)(i / 64) * 30000;
		struct asked *x = ask(&f->ask, "subset.svc.test", RR_A);
		assert_int_equal(x->answer.ancount, 16);
		for (unsigned k = 0; k < 16; k++)
			before[i][k] = x->records[k].rdata[3];
		counts[before[i][0] - 1]++;
		x = ask(&f->ask, "subset.svc.test", RR_A); /* from the cache */
		for (unsigned k = 0; k < 16; k++)
			assert_int_equal(before[i][k], x->records[k].rdata[3]);
	}
	assert_true(fits(counts, expected, 60));
	fake_remove(s, 0); /* 10.0.0.1 */
	fixture_publish(f, s);
	for (unsigned i = 0; i < 4000; i++) {
		f->ask.client = i;
		f->ask.now_ms = (int64_t)(i / 64) * 30000;
		struct asked *x = ask(&f->ask, "subset.svc.test", RR_A);
		for (unsigned k = 0, at = 0; at < 16; at++)
			if (before[i][at] != 1)
				assert_int_equal(before[i][at], x->records[k++].rdata[3]);
	}
	fixture_free(f);
}

static void the_logarithm_is_monotonic_and_near(void **state)
{
	float last = -INFINITY;
	(void)state;
	for (uint64_t h = 0; h <= UINT32_MAX; h += 9973) {
		float v = subset_log2((uint32_t)h);
		double exact = log2(((double)h + 0.5) / 4294967296.0);
		assert_true(v < 0);
		assert_true(fabs((double)v - exact) < 1e-4 * (fabs(exact) < 0.1 ? 0.1 : 1));
		assert_true(v >= last - 1e-4f);
		last = v;
	}
	assert_true(subset_log2(UINT32_MAX) < 0 && subset_log2(0) < -32);
}

/* A second implementation of the rule, written as the table reads. */
enum verdict { NOBODY, HEALTHY, EVERYBODY, FAILURE };

static enum verdict expected_verdict(bool stored, double threshold, enum protect_mode protect,
				     enum all_unhealthy policy, unsigned healthy, unsigned total)
{
	bool tested = protect == PROTECT_ALWAYS || (protect == PROTECT_NACOS && stored);
	if (total == 0)
		return NOBODY;
	if (tested && (float)healthy / (float)total <= (float)(threshold < 0 ? 0 : threshold))
		return EVERYBODY;
	if (healthy > 0)
		return HEALTHY;
	return policy == UNHEALTHY_OPEN ? EVERYBODY : policy == UNHEALTHY_SERVFAIL ? FAILURE : NOBODY;
}

static void protect_always(struct zone_set_conf *conf, struct zone_conf *zones)
{
	(void)zones;
	conf->protect = PROTECT_ALWAYS;
}

static void protect_off(struct zone_set_conf *conf, struct zone_conf *zones)
{
	(void)zones;
	conf->protect = PROTECT_OFF;
}

static void check_case(struct zones_fixture *f, double threshold, bool stored, enum all_unhealthy policy,
		       unsigned healthy, unsigned total)
{
	static const char *const policies[] = { "empty", "open", "servfail" };
	char name[40], host[60];
	snprintf(name, sizeof(name), "case");
	struct fake_service *s = fake_service_new("public", "DEFAULT_GROUP", name);
	s->stored = stored;
	s->protect_threshold = threshold;
	s->metadata[0] = (struct pair){ "dns.all_unhealthy", policies[policy], 0, 0 };
	for (unsigned i = 0; i < total; i++) {
		char ip[20];
		snprintf(ip, sizeof(ip), "10.0.0.%u", i + 1);
		fake_add(s, &(struct fake_instance){ .ip = ip, .port = i == 0 ? 0 : 80, .sick = i >= healthy });
	}
	/* these two never count for answers; the weightless one counts for the rule, so it is left out here */
	fake_add(s, &(struct fake_instance){ .ip = "10.9.0.1", .port = 80, .disabled = true });
	fixture_publish(f, s);
	enum verdict v = expected_verdict(stored, threshold, f->conf.protect, policy, healthy, total);
	unsigned n = v == EVERYBODY ? total : v == HEALTHY ? healthy : 0;
	snprintf(host, sizeof(host), "%s.svc.test", name);
	struct asked *x = ask(&f->ask, host, RR_A);
	assert_int_equal(x->answer.rcode, v == FAILURE ? RCODE_SERVFAIL : RCODE_NOERROR);
	assert_int_equal(x->answer.aa, v != FAILURE);
	assert_int_equal(x->answer.ede, v == FAILURE ? EDE_NO_REACHABLE_AUTHORITY : EDE_NONE);
	assert_int_equal(x->answer.ancount, n);
	x = ask(&f->ask, host, RR_SRV);
	assert_int_equal(x->answer.ancount, n == 0 ? 0 : n - 1); /* one has port 0 */
	fake_unpublish(s, &f->watcher);
	fake_service_free(s);
	fixture_turn(f);
}

static void eligibility_follows_the_table(void **state)
{
	static const double thresholds[] = { 0, 1, -1, 0.5, 0.8 };
	static const unsigned shapes[][2] = { { 0, 0 }, { 0, 4 }, { 2, 4 }, { 4, 4 }, { 4, 5 }, { 3, 4 }, { 1, 1 } };
	(void)state;
	for (int p = PROTECT_NACOS; p <= PROTECT_OFF; p++) {
		struct zones_fixture *f = fixture_new(p == PROTECT_NACOS ? NULL
						      : p == PROTECT_OFF ? protect_off : protect_always);
		for (size_t t = 0; t < 5; t++)
			for (int stored = 0; stored < 2; stored++)
				for (int policy = 0; policy < 3; policy++)
					for (size_t k = 0; k < 7; k++)
						check_case(f, thresholds[t], stored != 0,
							   (enum all_unhealthy)policy, shapes[k][0],
							   shapes[k][1]);
		fixture_free(f);
	}
}

static void no_loopback(struct zone_set_conf *conf, struct zone_conf *zones)
{
	(void)zones;
	conf->loopback_addresses = false;
}

static void minimal(struct zone_set_conf *conf, struct zone_conf *zones)
{
	(void)zones;
	conf->minimal_responses = true;
}

static void targets_come_with_their_addresses_unless_responses_are_minimal(void **state)
{
	(void)state;
	for (int quiet = 0; quiet < 2; quiet++) {
		struct zones_fixture *f = fixture_new(quiet ? minimal : NULL);
		struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "web");
		fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80 });
		fake_add(s, &(struct fake_instance){ .ip = "10.0.0.2", .port = 80 });
		fixture_publish(f, s);
		const struct dns_answer *a = &ask(&f->ask, "web.svc.test", RR_SRV)->answer;
		assert_int_equal(a->ancount, 2);
		assert_int_equal(a->arcount, quiet ? 0 : 2);
		fixture_free(f);
	}
}

static unsigned answered(struct zones_fixture *f, const char *name, unsigned type)
{
	return ask(&f->ask, name, type)->answer.ancount;
}

static void unusable_addresses_are_left_out_and_counted(void **state)
{
	(void)state;
	for (int loopback = 0; loopback < 2; loopback++) {
		struct zones_fixture *f = fixture_new(loopback ? NULL : no_loopback);
		struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "odd");
		static const char *const ips[] = { "127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1",
						   "host.example", "10.0.0.1" };
		for (size_t i = 0; i < 8; i++)
			fake_add(s, &(struct fake_instance){ .ip = ips[i], .port = 80 });
		fixture_publish(f, s);
		struct zone_set_stats stats;
		zone_set_stats(f->zones, &stats);
		assert_int_equal(stats.dropped_addresses, loopback ? 5 : 7);
		assert_int_equal(answered(f, "odd.svc.test", RR_A), loopback ? 2 : 1);
		assert_int_equal(answered(f, "odd.svc.test", RR_AAAA), loopback);
		assert_int_equal(answered(f, "odd.svc.test", RR_SRV), loopback ? 3 : 1);
		fixture_free(f);
	}
}

static void weights_of_one_address_add_up(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "shared");
	(void)state;
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80, .weight = 2 });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 81, .weight = 1 });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.2", .port = 80, .weight = 1 });
	fixture_publish(f, s);
	unsigned first = 0;
	f->ask.skip_ldns = true;
	for (unsigned i = 0; i < 4000; i++) {
		struct asked *x = ask(&f->ask, "shared.svc.test", RR_A);
		assert_int_equal(x->answer.ancount, 2);
		first += x->records[0].rdata[3] == 1;
	}
	assert_in_range(first, 2800, 3200); /* three quarters */
	struct asked *x = ask(&f->ask, "shared.svc.test", RR_SRV);
	assert_int_equal(x->answer.ancount, 3);
	assert_int_equal(x->answer.arcount, 2); /* each host once */
	fixture_free(f);
}

static uint16_t srv_weight_of(struct asked *x, const char *target)
{
	for (unsigned i = 0; i < x->count; i++)
		if (x->records[i].type == RR_SRV && strcmp(x->records[i].target, target) == 0)
			return x->records[i].weight;
	return 0;
}

static void srv_weights_are_scaled_by_a_power_of_two(void **state)
{
	static const struct {
		double a, b;
		uint16_t wa, wb;
	} rows[] = { { 1, 1, 32768, 32768 }, { 1, 2.5, 16384, 40960 }, { 10000, 1, 40000, 4 },
		     { 10000, 0.01, 40000, 1 }, { 99999, 1, 40000, 4 } };
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct zones_fixture *f = fixture_new(NULL);
		struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "w");
		fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80, .weight = rows[i].a });
		fake_add(s, &(struct fake_instance){ .ip = "10.0.0.2", .port = 80, .weight = rows[i].b, .cluster = "b",
						     .metadata = { { "dns.priority", "20", 0, 0 } } });
		fixture_publish(f, s);
		struct asked *x = ask(&f->ask, "w.svc.test", RR_SRV);
		assert_int_equal(srv_weight_of(x, "10-0-0-1.i.test."), rows[i].wa);
		assert_int_equal(srv_weight_of(x, "10-0-0-2.i.test."), rows[i].wb);
		assert_int_equal(x->records[0].priority, 10); /* the lower first */
		assert_int_equal(x->records[1].priority, 20);
		x = ask(&f->ask, "b.c.w.svc.test", RR_SRV); /* on the scale of the service */
		assert_int_equal(srv_weight_of(x, "10-0-0-2.i.test."), rows[i].wb);
		fixture_free(f);
	}
}

/* The last octet of the one address that client @client gets. */
static uint8_t hash_answer(struct zones_fixture *f, const char *name, uint64_t client)
{
	f->ask.client = client;
	struct asked *a = ask(&f->ask, name, RR_A);
	assert_int_equal(a->answer.ancount, 1);
	return a->message[a->len - 1];
}

/* Mode hash: the same client the same instance, whatever the time; who has lost his moves, and nobody else; newcomers
 * take their share from all. */
static void a_client_keeps_its_instance_as_long_as_that_is_there(void **state)
{
	enum { CLIENTS = 4096, MEMBERS = 24 };
	static uint8_t before[CLIENTS];
	struct zones_fixture *f = fixture_new(NULL);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "sticky");
	(void)state;
	for (unsigned i = 0; i < MEMBERS; i++) {
		char ip[20];
		snprintf(ip, sizeof(ip), "10.0.0.%u", i + 1);
		fake_add(s, &(struct fake_instance){ .ip = ip, .port = 80, .weight = i == 0 ? 5 : 1 });
	}
	s->metadata[0] = (struct pair){ "dns.mode", "hash", 0, 0 };
	fixture_publish(f, s);
	unsigned share[MEMBERS + 2] = { 0 }, moved = 0, taken = 0;
	for (unsigned c = 0; c < CLIENTS; c++)
		share[before[c] = hash_answer(f, "sticky.svc.test", c)]++;
	assert_in_range(share[1], CLIENTS / 12, CLIENTS / 3); /* 5 of 28 */
	f->ask.now_ms += 3600000;
	for (unsigned c = 0; c < CLIENTS; c++)
		assert_int_equal(hash_answer(f, "sticky.svc.test", c), before[c]);
	fake_remove(s, 6); /* 10.0.0.7 */
	fixture_publish(f, s);
	for (unsigned c = 0; c < CLIENTS; c++) {
		uint8_t now = hash_answer(f, "sticky.svc.test", c);
		assert_int_not_equal(now, 7);
		moved += now != before[c];
		before[c] = now;
	}
	assert_int_equal(moved, share[7]);
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.25", .port = 80, .weight = 1 });
	fixture_publish(f, s);
	for (unsigned c = 0; c < CLIENTS; c++) {
		uint8_t now = hash_answer(f, "sticky.svc.test", c);
		assert_true(now == before[c] || now == 25);
		taken += now == 25;
	}
	assert_in_range(taken, 1, CLIENTS / 8);
	fixture_free(f);
}

static void policies(struct zone_set_conf *conf, struct zone_conf *zones)
{
	(void)zones;
	conf->protect = PROTECT_OFF;
	conf->last_max_ms = 60000;
}

static struct fake_service *two_sick(struct zones_fixture *f, const char *name, const char *policy)
{
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", name);
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80, .sick = true });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.2", .port = 80, .sick = true, .cluster = "b" });
	s->metadata[0] = (struct pair){ "dns.all_unhealthy", policy, 0, 0 };
	fixture_publish(f, s);
	return s;
}

static void under_nxdomain_neither_the_service_nor_a_name_below_it_exists(void **state)
{
	static const char *const names[] = { "gone.svc.test", "_tcp.gone.svc.test", "c.gone.svc.test", "b.c.gone.svc.test",
					     "_tcp.b.c.gone.svc.test", "10-0-0-1.i.gone.svc.test", "_gone._tcp.svc.test" };
	struct zones_fixture *f = fixture_new(policies);
	struct fake_service *s = two_sick(f, "gone", "nxdomain");
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(ask(&f->ask, names[i], RR_A)->answer.rcode, RCODE_NXDOMAIN);
	assert_int_equal(ask(&f->ask, "10-0-0-1.i.test", RR_A)->answer.rcode, RCODE_NOERROR);
	fake_replace(s, 1, &(struct fake_instance){ .ip = "10.0.0.2", .port = 80, .cluster = "b" });
	fixture_publish(f, s);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(ask(&f->ask, names[i], RR_A)->answer.rcode, RCODE_NOERROR);
	/* a cluster alone can be gone while the service is there */
	assert_int_equal(ask(&f->ask, "default.c.gone.svc.test", RR_A)->answer.rcode, RCODE_NXDOMAIN);
	fixture_free(f);
}

/* Weight 0 keeps the healthy one of a cluster out of the answers, and the other cluster is protected: names below exist. */
static void a_service_with_a_cluster_that_answers_is_no_data_under_nxdomain(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "half");
	(void)state;
	s->stored = true;
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 80, .weight = -1 });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.2", .port = 80, .sick = true, .cluster = "b" });
	s->metadata[0] = (struct pair){ "dns.all_unhealthy", "nxdomain", 0, 0 };
	fixture_publish(f, s);
	struct asked *a = ask(&f->ask, "half.svc.test", RR_A);
	assert_int_equal(a->answer.rcode, RCODE_NOERROR);
	assert_int_equal(a->answer.ancount, 0);
	assert_int_equal(ask(&f->ask, "b.c.half.svc.test", RR_A)->answer.ancount, 1);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_alias_table_picks_by_weight_for_every_size),
		cmocka_unit_test(the_first_record_follows_the_weights),
		cmocka_unit_test(a_million_answers_begin_by_weight_and_never_with_weight_zero),
		cmocka_unit_test(some_of_many_are_shuffled_by_weight),
		cmocka_unit_test(a_subset_is_stable_and_weighted),
		cmocka_unit_test(the_logarithm_is_monotonic_and_near),
		cmocka_unit_test(eligibility_follows_the_table),
		cmocka_unit_test(targets_come_with_their_addresses_unless_responses_are_minimal),
		cmocka_unit_test(unusable_addresses_are_left_out_and_counted),
		cmocka_unit_test(a_client_keeps_its_instance_as_long_as_that_is_there),
		cmocka_unit_test(under_nxdomain_neither_the_service_nor_a_name_below_it_exists),
		cmocka_unit_test(a_service_with_a_cluster_that_answers_is_no_data_under_nxdomain),
		cmocka_unit_test(weights_of_one_address_add_up),
		cmocka_unit_test(srv_weights_are_scaled_by_a_power_of_two),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

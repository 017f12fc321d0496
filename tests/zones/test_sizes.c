/* test_sizes.c - any number of instances in any size of answer: TC iff needed, never a part of a set, streams and
 * datagrams alike (dns.md D.5, 3.1). */
#include "tests/zones/zones_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

enum { STREAM = 65535 - 11 };

static const size_t limits[] = { 512, 512 - 11, 1232 - 11, 4096 - 11, STREAM };
enum { LIMITS = sizeof(limits) / sizeof(limits[0]) };

static void grow(struct fake_service *s, unsigned to, bool v6)
{
	char ip[40];
	while (s->count < to) {
		unsigned i = s->count;
		if (v6)
			snprintf(ip, sizeof(ip), "2001:db8::%x:%x", 1 + i / 250, i % 250);
		else
			snprintf(ip, sizeof(ip), "10.%u.%u.7", 1 + i / 250, i % 250);
		fake_add(s, &(struct fake_instance){ .ip = ip, .port = 8080 });
	}
}

/* Octets of one SRV record with its target in zone "test". */
static size_t srv_size(const struct asked_record *r)
{
	return 12 + r->rdlength;
}

static void check_srv(const struct asked *x, unsigned n, size_t limit, bool stream, size_t *whole)
{
	assert_true(x->readable);
	if (n == 0) {
		assert_int_equal(x->answer.nscount, 1);
		return;
	}
	if (x->answer.tc) { /* empty, and only if the set was too large */
		assert_int_equal(x->count, 0);
		assert_false(stream);
		assert_int_equal(x->len, 12 + x->query.qname_len + 4);
		assert_true(*whole == 0 || *whole > limit);
		return;
	}
	assert_true(x->answer.ancount == n || stream);
	size_t size = 12 + x->query.qname_len + 4u;
	for (unsigned i = 0; i < x->answer.ancount; i++)
		size += srv_size(&x->records[i]);
	assert_true(size <= limit);
	if (x->answer.ancount == n)
		*whole = size;
	else
		assert_true(size + 80 > limit); /* as many as fit, nearly */
	for (unsigned i = 0; i < x->answer.arcount; i++) { /* the targets' own, in their order */
		const struct asked_record *r = &x->records[x->answer.ancount + i];
		assert_string_equal(r->owner, x->records[i].target);
	}
}

static void sweep(bool v6)
{
	struct zones_fixture *f = fixture_new(NULL);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "sweep");
	fixture_publish(f, s);
	for (unsigned n = 0; n <= 3000; n += n < 130 ? 1 : 287) {
		size_t whole = 0;
		grow(s, n, v6);
		fixture_publish(f, s);
		for (unsigned k = LIMITS; k-- > 0;) { /* the stream first: it knows the whole size */
			unsigned type = v6 ? RR_AAAA : RR_A;
			f->ask.limit = limits[k];
			f->ask.stream = limits[k] == STREAM;
			f->ask.skip_ldns = n > 300 && n % 3 != 0;
			struct asked *x = ask(&f->ask, "sweep.svc.test", type);
			assert_true(x->readable);
			assert_false(x->answer.tc);
			assert_int_equal(x->answer.ancount, n < 16 ? n : 16);
			x = ask(&f->ask, "sweep.svc.test", RR_SRV);
			check_srv(x, n, limits[k], f->ask.stream, &whole);
			if (!x->answer.tc && whole != 0)
				assert_true(whole <= limits[k]);
			x = ask(&f->ask, "sweep.svc.test", RR_ANY);
			assert_true(x->readable);
		}
	}
	fixture_free(f);
}

static void every_number_of_ipv4_instances_fits_or_says_tc(void **state)
{
	(void)state;
	sweep(false);
}

static void every_number_of_ipv6_instances_fits_or_says_tc(void **state)
{
	(void)state;
	sweep(true);
}

/* Mode all has no cap: the whole set or TC. Over a stream the same set. */
static void mode_all_is_whole_or_tc(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "whole");
	(void)state;
	s->metadata[0] = (struct pair){ "dns.mode", "all", 0, 0 };
	for (unsigned n = 1; n <= 400; n += 3) {
		grow(s, n, false);
		fixture_publish(f, s);
		for (unsigned k = 0; k < LIMITS; k++) {
			f->ask.limit = limits[k];
			struct asked *x = ask(&f->ask, "whole.svc.test", RR_A);
			assert_true(x->readable);
			bool fits = 12 + x->query.qname_len + 4 + n * 16 <= limits[k];
			assert_int_equal(x->answer.tc, !fits);
			assert_int_equal(x->answer.ancount, fits ? n : 0);
			assert_true(x->answer.aa);
		}
	}
	fixture_free(f);
}

/* Whatever the room, octet by octet: no answer is a part of anything, and none reaches past its end. */
static void every_room_is_respected(void **state)
{
	static const char *const names[] = { "a.svc.test", "_a._tcp.svc.test", "test", "x.svc.test", "dns-version.test",
					     "10-9-0-1.i.a.svc.test", "ns1.test", "c.a.svc.test" };
	static const uint16_t types[] = { RR_A, RR_AAAA, RR_SRV, RR_TXT, RR_SOA, RR_NS, RR_ANY };
	struct zones_fixture *f = fixture_new(NULL);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "a");
	(void)state;
	fake_add(s, &(struct fake_instance){ .ip = "10.9.0.1", .port = 80, .metadata = { { "version", "v1", 0, 0 } } });
	fake_add(s, &(struct fake_instance){ .ip = "10.9.0.1", .port = 81, .metadata = { { "version", "v2", 0, 0 } } });
	fake_add(s, &(struct fake_instance){ .ip = "2001:db8::1", .port = 81 });
	fixture_publish(f, s);
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
		for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
			f->ask.limit = 1221;
			unsigned whole = ask(&f->ask, names[n], types[t])->answer.ancount;
			unsigned authority = f->ask.asked.answer.nscount;
			for (size_t limit = 64; limit < 400; limit++) {
				f->ask.limit = limit;
				memset(f->ask.asked.message + limit, 0x5a, 64);
				struct asked *x = ask(&f->ask, names[n], types[t]);
				if (types[t] == RR_A && whole > 1)
					continue; /* a subset is right there */
				assert_true(x->readable);
				assert_int_equal(x->answer.ancount, x->answer.tc ? 0 : whole);
				assert_int_equal(x->answer.nscount, x->answer.tc ? 0 : authority);
				for (unsigned i = 0; i < 64; i++)
					assert_int_equal(x->message[limit + i], 0x5a);
			}
		}
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_of_ipv4_instances_fits_or_says_tc),
		cmocka_unit_test(every_number_of_ipv6_instances_fits_or_says_tc),
		cmocka_unit_test(mode_all_is_whole_or_tc),
		cmocka_unit_test(every_room_is_respected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

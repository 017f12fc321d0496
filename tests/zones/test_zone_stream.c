/* test_zone_stream.c - a zone as a whole: an image of one moment, taken in slices while things change, and the stream of its
 * records, each of which is what DNS answers to a question for it. */
#include "base/mem.h"
#include "tests/zones/zones_checks.h"
#include "zones/zone_stream_in.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SEEN_MAX = 512 };

struct seen {
	char name[SEEN_MAX][256];
	unsigned type[SEEN_MAX], count, pauses;
};

static const struct zone_viewer everybody = { .all = true };

static void two_zones(struct zone_set_conf *conf, struct zone_conf *zones)
{
	static const char *full[] = { "www.test=public/DEFAULT_GROUP/shop", "a.b.test=public/DEFAULT_GROUP/shop/hz:http" };
	static const char *bound[] = { "web.bound=public/DEFAULT_GROUP/shop" }; /* where a service is called web, too */
	zones[0].aliases = (struct word_list){ full, 2 };
	zones[1] = (struct zone_conf){ .name = "bound", .layout = LAYOUT_BOUND, .aliases = { bound, 1 }, .expand = true };
	conf->zone_count = 2;
}

static struct fake_service *service(struct zones_fixture *f, const char *name, const char *ip, const char *cluster)
{
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", name);
	fake_add(s, &(struct fake_instance){ .ip = ip, .port = 80, .cluster = cluster,
					     .metadata = { { "port.http", "8080", 0, 0 }, { "version", "v1", 0, 0 } } });
	fixture_publish(f, s);
	return s;
}

static struct image *image_of(struct zones_fixture *f)
{
	struct image *im = image_begin(f->zones);
	assert_non_null(im);
	while (!image_step(f->zones, 1))
		;
	assert_false(im->failed);
	return im;
}

static void image_drop(struct zones_fixture *f, struct image *im)
{
	while (!image_end_step(f->zones, im, 1))
		;
	fixture_turn(f);
}

static void name_of(char ret[256], const uint8_t *wire)
{
	char *to = ret;
	for (; *wire != 0; wire += *wire + 1u)
		to += sprintf(to, "%.*s.", wire[0], (const char *)wire + 1);
	*(to > ret ? to - 1 : to) = '\0';
}

/* All records of one zone. */
static struct seen *stream_read(const struct image *im, size_t zone, const struct zone_viewer *viewer)
{
	struct seen *all = calloc(1, sizeof(*all));
	struct zone_stream *s = zone_stream_new(im, zone, viewer);
	const struct zone_record *r;
	assert_non_null(s);
	for (;;) {
		r = zone_stream_peek(s);
		if (r == NULL && !zone_stream_paused(s))
			break;
		all->pauses += r == NULL;
		if (r == NULL)
			continue;
		assert_true(all->count < SEEN_MAX);
		name_of(all->name[all->count], r->owner);
		all->type[all->count++] = r->type;
		zone_stream_pop(s);
	}
	assert_int_equal(zone_stream_cut(s), 0);
	assert_ptr_equal(zone_stream_done(s), im);
	return all;
}

static unsigned times(const struct seen *all, const char *name, unsigned type)
{
	unsigned n = 0;
	for (unsigned i = 0; i < all->count; i++)
		n += all->type[i] == type && strcmp(all->name[i], name) == 0;
	return n;
}

/* Is that many of this set in the stream, as in the answer? */
static void expect_as_answered(struct zones_fixture *f, const struct seen *all)
{
	f->ask.limit = 4000;
	for (unsigned i = 0; i < all->count; i++) {
		struct asked *x = ask(&f->ask, all->name[i], all->type[i]);
		unsigned n = times(all, all->name[i], all->type[i]);
		if (all->type[i] == RR_SOA)
			n--; /* first and last */
		if (x->answer.rcode != RCODE_NOERROR || x->answer.ancount != n)
			fail_msg("%s, type %u: RCODE %u, %u of %u records", all->name[i], all->type[i], x->answer.rcode, x->answer.ancount, n);
	}
	assert_int_equal(all->type[0], RR_SOA);
	assert_int_equal(all->type[all->count - 1], RR_SOA);
}

static void what_a_zone_gives_is_what_it_answers(void **state)
{
	struct zones_fixture *f = fixture_new(two_zones);
	static const struct { size_t zone; const char *name; unsigned type, count; } wanted[] = {
		{ 0, "shop.svc.test", RR_A, 2 }, { 0, "shop.default.public.ns.test", RR_A, 2 }, { 0, "www.test", RR_A, 2 },
		{ 0, "hz.c.www.test", RR_A, 0 } /* not expanded */, { 0, "a.b.test", RR_A, 1 }, { 0, "a.b.test", RR_SRV, 1 },
		{ 0, "_http._tcp.shop.svc.test", RR_SRV, 2 }, { 0, "_shop._tcp.svc.test", RR_SRV, 2 }, { 0, "10-0-0-1.i.test", RR_A, 1 },
		{ 0, "dns-version.test", RR_TXT, 1 }, { 0, "hz.c.shop.svc.test", RR_A, 1 }, { 0, "test", RR_NS, 1 },
		{ 1, "shop.bound", RR_A, 2 }, { 1, "10-0-0-3.i.bound", RR_A, 1 }, { 1, "10-0-0-3.i.shop.bound", RR_A, 0 },
	};
	(void)state;
	struct fake_service *shop = service(f, "shop", "10.0.0.1", "hz");
	fake_add(shop, &(struct fake_instance){ .ip = "10.0.0.2", .port = 81, .cluster = "sh", .metadata = { { "port.http", "8081", 0, 0 } } });
	fixture_publish(f, shop);
	service(f, "web", "10.0.0.3", NULL);
	struct image *im = image_of(f);
	struct seen *all[] = { stream_read(im, 0, &everybody), stream_read(im, 1, &everybody) };
	size_t first = im->zones[0].zone->len == 6 ? 0 : 1; /* where "test" is */
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		unsigned n = times(all[wanted[i].zone ^ first], wanted[i].name, wanted[i].type);
		if (n != wanted[i].count)
			fail_msg("%s, type %u: %u", wanted[i].name, wanted[i].type, n);
	}
	for (int i = 0; i < 2; i++) {
		expect_as_answered(f, all[i]);
		free(all[i]);
	}
	image_drop(f, im);
	fixture_free(f);
}

static void below_a_vanity_name_a_service_keeps_the_names_that_the_other_has_not(void **state)
{
	struct zones_fixture *f = fixture_new(two_zones);
	(void)state;
	service(f, "shop", "10.0.0.1", "hz");
	service(f, "web", "10.0.0.3", "sh");
	struct image *im = image_of(f);
	size_t bound = im->zones[0].zone->len == 6 ? 1 : 0;
	struct seen *all = stream_read(im, bound, &everybody);
	assert_int_equal(times(all, "web.bound", RR_A), 1);		/* the shop's alone */
	assert_int_equal(times(all, "hz.c.web.bound", RR_A), 1);	/* the shop's */
	assert_int_equal(times(all, "sh.c.web.bound", RR_A), 1);	/* of web: the shop has no such cluster */
	assert_int_equal(times(all, "10-0-0-3.i.web.bound", RR_A), 1);
	assert_int_equal(times(all, "10-0-0-1.i.web.bound", RR_A), 1);
	assert_int_equal(times(all, "_http._tcp.web.bound", RR_SRV), 1);
	assert_int_equal(times(all, "_web._tcp.bound", RR_SRV), 1);
	expect_as_answered(f, all);
	expect_data(f, "sh.c.web.bound", RR_A, "10.0.0.3");
	expect_data(f, "hz.c.web.bound", RR_A, "10.0.0.1");
	free(all);
	image_drop(f, im);
	fixture_free(f);
}

static void an_image_is_of_the_moment_it_was_begun(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	struct fake_service *s[4];
	static const char *const names[] = { "s0", "s1", "s2", "s3" };
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		char ip[20];
		snprintf(ip, sizeof(ip), "10.0.0.%u", i);
		s[i] = service(f, names[i], ip, NULL);
	}
	struct image *im = image_begin(f->zones);
	assert_null(image_begin(f->zones)); /* one at a time */
	assert_false(image_step(f->zones, 1)); /* the youngest */
	fake_clear(s[0]);
	fake_add(s[0], &(struct fake_instance){ .ip = "10.0.9.9", .port = 80 });
	fixture_publish(f, s[0]);
	fake_unpublish(s[2], &f->watcher); /* which is next */
	fixture_turn(f);
	fake_unpublish(s[3], &f->watcher); /* which was visited */
	fixture_turn(f);
	service(f, "late", "10.0.0.7", NULL);
	while (!image_step(f->zones, 1))
		;
	struct seen *all = stream_read(im, 0, &everybody);
	assert_int_equal(times(all, "s0.svc.test", RR_A), 1);
	assert_int_equal(times(all, "10-0-0-0.i.test", RR_A), 1);
	assert_int_equal(times(all, "10-0-9-9.i.test", RR_A), 0);
	for (unsigned i = 1; i < 4; i++) {
		char name[20];
		snprintf(name, sizeof(name), "s%u.svc.test", i);
		assert_int_equal(times(all, name, RR_A), 1);
	}
	assert_int_equal(times(all, "late.svc.test", RR_A), 0);
	assert_int_equal(times(all, "10-0-0-7.i.test", RR_A), 0);
	free(all);
	image_drop(f, im);
	im = image_of(f);
	all = stream_read(im, 0, &everybody);
	assert_int_equal(times(all, "s2.svc.test", RR_A) + times(all, "s3.svc.test", RR_A), 0);
	assert_int_equal(times(all, "late.svc.test", RR_A), 1);
	assert_int_equal(times(all, "10-0-9-9.i.test", RR_A), 1);
	expect_as_answered(f, all);
	free(all);
	image_drop(f, im);
	fixture_free(f);
}

static void no_two_contents_have_one_serial(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	uint32_t serials[3];
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct image *im = image_of(f);
		serials[i] = im->zones[0].serial;
		image_drop(f, im);
		if (i == 1)
			service(f, "shop", "10.0.0.1", NULL);
	}
	assert_int_equal(serials[0], serials[1]);
	assert_true(serial_after(serials[2], serials[1]));
	fixture_free(f);
}

static void addresses_turned_round(struct zone_set_conf *conf, struct zone_conf *zones)
{
	static struct cidr prefix;
	struct error err;
	(void)zones;
	assert_int_equal(cidr_parse(&prefix, "192.168.0.0/16", &err), E_OK);
	conf->reverse = &prefix;
	conf->reverse_count = 1;
}

static void a_stream_stops_between_records_that_lie_far_apart(void **state)
{
	struct zones_fixture *f = fixture_new(addresses_turned_round);
	(void)state;
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "many");
	for (unsigned i = 0; i < 10000; i++) {
		char ip[20];
		snprintf(ip, sizeof(ip), "10.0.%u.%u", i / 250, i % 250);
		fake_add(s, &(struct fake_instance){ .ip = ip, .port = 80 });
	}
	fake_add(s, &(struct fake_instance){ .ip = "192.168.0.1", .port = 80 });
	fixture_publish(f, s);
	struct image *im = image_of(f);
	size_t reverse = im->zones[0].zone->layout == LAYOUT_REVERSE ? 0 : 1;
	struct seen *all = stream_read(im, reverse, &everybody);
	assert_int_equal(all->pauses, 2); /* 4096 at a time */
	assert_int_equal(times(all, "1.0.168.192.in-addr.arpa", RR_PTR), 1);
	free(all);
	image_drop(f, im);
	fixture_free(f);
}

static void without_memory_there_is_no_image_and_nothing_is_lost(void **state)
{
	struct zones_fixture *f = fixture_new(two_zones);
	(void)state;
	service(f, "shop", "10.0.0.1", "hz");
	for (unsigned nth = 0;; nth++) {
		mem_fail_at(nth);
		struct image *im = image_begin(f->zones);
		while (im != NULL && !image_step(f->zones, 1))
			;
		struct zone_stream *s = im == NULL || im->failed ? NULL : zone_stream_new(im, 0, &everybody);
		bool refused = mem_fail_off();
		assert_int_equal(refused, s == NULL);
		if (s != NULL)
			zone_stream_done(s);
		if (im != NULL)
			image_drop(f, im);
		assert_null(f->zones->taking);
		if (!refused)
			break;
	}
	expect_data(f, "shop.svc.test", RR_A, "10.0.0.1");
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_zone_gives_is_what_it_answers),
		cmocka_unit_test(below_a_vanity_name_a_service_keeps_the_names_that_the_other_has_not),
		cmocka_unit_test(an_image_is_of_the_moment_it_was_begun),
		cmocka_unit_test(no_two_contents_have_one_serial),
		cmocka_unit_test(a_stream_stops_between_records_that_lie_far_apart),
		cmocka_unit_test(without_memory_there_is_no_image_and_nothing_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

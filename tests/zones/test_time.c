/* test_time.c - answers that change with time alone: instances that start slowly, and the last well ones of a service
 * where nobody is. The clock is the test's. */
#include "base/clock.h"
#include "tests/zones/zones_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

enum { START_MS = 30000, HELD_MS = 60000, WHOLE = 32768 };

static int64_t begin_ms; /* ahead of the real clock, which the end of a turn reads */

static void settings(struct zone_set_conf *conf, struct zone_conf *zones)
{
	(void)zones;
	conf->protect = PROTECT_OFF;
	conf->slow_start_ms = START_MS;
	conf->last_max_ms = HELD_MS;
	begin_ms = clock_wall_ms() + 1000000;
}

static void tick(struct zones_fixture *f, int64_t after_ms)
{
	zone_set_tick(f->zones, begin_ms + after_ms);
	fixture_turn(f);
}

static void publish(struct zones_fixture *f, struct fake_service *s, int64_t after_ms)
{
	tick(f, after_ms);
	fixture_publish(f, s);
}

/* The SRV weight of the instance at @port; 0: it is not answered. */
static unsigned weight(struct zones_fixture *f, const char *name, unsigned port)
{
	struct asked *a = ask(&f->ask, name, RR_SRV);
	for (unsigned i = 0; i < a->count; i++)
		if (a->records[i].section == 1 && a->records[i].port == port)
			return a->records[i].weight;
	return 0;
}

static struct fake_service *two(struct zones_fixture *f, const char *name)
{
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", name);
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 1 });
	publish(f, s, 0);
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.2", .port = 2 });
	publish(f, s, 0);
	return s;
}

static void a_newcomer_comes_to_its_weight_in_ten_steps(void **state)
{
	struct zones_fixture *f = fixture_new(settings);
	unsigned last = 0, steps = 0;
	(void)state;
	two(f, "slow");
	for (int64_t at = 0; at <= START_MS; at += 100) {
		tick(f, at);
		unsigned w = weight(f, "slow.svc.test", 2), expected = (unsigned)(at * 10 / START_MS + 1);
		expected = expected > 10 ? 10 : expected;
		assert_int_equal(w, (unsigned)(WHOLE * expected / 10.0 + 0.5));
		assert_int_equal(weight(f, "slow.svc.test", 1), WHOLE);
		assert_int_equal(weight(f, "_tcp.slow.svc.test", 2), 0);
		assert_int_equal(weight(f, "default.c.slow.svc.test", 2), w);
		steps += w != last;
		last = w;
	}
	assert_int_equal(steps, 10);
	fixture_free(f);
}

static void clusters_follow_the_steps_too(void **state)
{
	struct zones_fixture *f = fixture_new(settings);
	struct fake_service *s = two(f, "slow");
	(void)state;
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.3", .port = 3, .cluster = "b" });
	publish(f, s, 0);
	assert_int_equal(weight(f, "b.c.slow.svc.test", 3), 3277);
	tick(f, START_MS / 2);
	assert_int_equal(weight(f, "b.c.slow.svc.test", 3), 19661);
	assert_int_equal(weight(f, "default.c.slow.svc.test", 2), 19661);
	tick(f, START_MS);
	assert_int_equal(weight(f, "b.c.slow.svc.test", 3), WHOLE);
	assert_int_equal(weight(f, "default.c.slow.svc.test", 2), WHOLE);
	fixture_free(f);
}

static void who_is_healthy_again_starts_slowly_and_who_only_changes_does_not(void **state)
{
	struct zones_fixture *f = fixture_new(settings);
	struct fake_service *s = two(f, "slow");
	(void)state;
	tick(f, START_MS);
	fake_replace(s, 1, &(struct fake_instance){ .ip = "10.0.0.2", .port = 2, .weight = 2 });
	publish(f, s, START_MS);
	assert_int_equal(weight(f, "slow.svc.test", 2), WHOLE); /* the scale has halved: 2 */
	fake_replace(s, 1, &(struct fake_instance){ .ip = "10.0.0.2", .port = 2, .sick = true });
	publish(f, s, START_MS);
	fake_replace(s, 1, &(struct fake_instance){ .ip = "10.0.0.2", .port = 2 });
	publish(f, s, START_MS + 1000);
	assert_int_equal(weight(f, "slow.svc.test", 2), 3277);
	fake_replace(s, 0, &(struct fake_instance){ .ip = "10.0.0.1", .port = 1, .weight = 0.5 });
	publish(f, s, START_MS + 16000); /* another change in between keeps the way it has made */
	assert_int_equal(weight(f, "slow.svc.test", 2), 19661);
	tick(f, 2 * START_MS + 1000);
	assert_int_equal(weight(f, "slow.svc.test", 2), WHOLE);
	fixture_free(f);
}

static void those_that_are_there_first_share_evenly_at_once(void **state)
{
	struct zones_fixture *f = fixture_new(settings);
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", "first");
	(void)state;
	publish(f, s, 0);
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 1 });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.2", .port = 2 });
	publish(f, s, 0);
	assert_int_equal(weight(f, "first.svc.test", 1), WHOLE);
	assert_int_equal(weight(f, "first.svc.test", 2), WHOLE);
	fixture_free(f);
}

static unsigned answers(struct zones_fixture *f, const char *name, int *ede)
{
	struct asked *a = ask(&f->ask, name, RR_A);
	assert_int_equal(a->answer.rcode, RCODE_NOERROR);
	*ede = a->answer.ede;
	return a->answer.ancount;
}

static struct fake_service *all_sick(struct zones_fixture *f, const char *name)
{
	struct fake_service *s = fixture_service(f, "public", "DEFAULT_GROUP", name);
	s->metadata[0] = (struct pair){ "dns.all_unhealthy", "last", 0, 0 };
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.1", .port = 1 });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.2", .port = 2, .cluster = "b" });
	fake_add(s, &(struct fake_instance){ .ip = "10.0.0.3", .port = 3, .sick = true });
	publish(f, s, 0);
	fake_replace(s, 0, &(struct fake_instance){ .ip = "10.0.0.1", .port = 1, .sick = true });
	fake_replace(s, 1, &(struct fake_instance){ .ip = "10.0.0.2", .port = 2, .cluster = "b", .sick = true });
	publish(f, s, 1000);
	return s;
}

static void the_last_well_ones_are_answered_for_a_while(void **state)
{
	struct zones_fixture *f = fixture_new(settings);
	int ede;
	(void)state;
	all_sick(f, "last");
	for (int64_t at = 1000; at < HELD_MS + 1000; at += 500) {
		tick(f, at);
		assert_int_equal(answers(f, "last.svc.test", &ede), 2);
		assert_int_equal(ede, EDE_STALE);
		assert_int_equal(answers(f, "b.c.last.svc.test", &ede), 1);
	}
	tick(f, HELD_MS + 1000);
	assert_int_equal(answers(f, "last.svc.test", &ede), 0);
	assert_int_equal(answers(f, "b.c.last.svc.test", &ede), 0);
	assert_int_equal(ede, EDE_NONE);
	fixture_free(f);
}

static void of_the_last_well_ones_who_leaves_is_gone_and_who_is_well_ends_it(void **state)
{
	struct zones_fixture *f = fixture_new(settings);
	struct fake_service *s = all_sick(f, "last");
	int ede;
	(void)state;
	fake_remove(s, 0); /* the third takes its place */
	publish(f, s, 2000);
	assert_int_equal(answers(f, "last.svc.test", &ede), 1);
	assert_int_equal(weight(f, "last.svc.test", 2), WHOLE);
	fake_replace(s, 0, &(struct fake_instance){ .ip = "10.0.0.3", .port = 3 });
	publish(f, s, 3000);
	assert_int_equal(answers(f, "last.svc.test", &ede), 1);
	assert_int_equal(ede, EDE_NONE);
	assert_int_equal(weight(f, "last.svc.test", 3), WHOLE);
	/* its cluster b has nobody well still, and its time runs on from its beginning */
	tick(f, HELD_MS + 999);
	assert_int_equal(answers(f, "b.c.last.svc.test", &ede), 1);
	tick(f, HELD_MS + 1000);
	assert_int_equal(answers(f, "b.c.last.svc.test", &ede), 0);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_newcomer_comes_to_its_weight_in_ten_steps),
		cmocka_unit_test(clusters_follow_the_steps_too),
		cmocka_unit_test(who_is_healthy_again_starts_slowly_and_who_only_changes_does_not),
		cmocka_unit_test(those_that_are_there_first_share_evenly_at_once),
		cmocka_unit_test(the_last_well_ones_are_answered_for_a_while),
		cmocka_unit_test(of_the_last_well_ones_who_leaves_is_gone_and_who_is_well_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_beats.c - heartbeat deadlines and the floor, against a fake desk at scripted times: no test waits. */
#include "base/clock.h"
#include "base/mem.h"
#include "health/beats.h"
#include "tests/health/fake_desk.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

enum { START_MS = 1000000, STEP_MS = 500 };

struct fixture {
	uv_loop_t loop;
	struct desk *desk;
	struct beats *beats;
	int64_t now_ms;
};

static void open_beats(struct fixture *f, const struct beats_conf *conf)
{
	uv_loop_init(&f->loop);
	f->now_ms = START_MS;
	clock_fake(f->now_ms, 0);
	f->desk = fake_desk_new();
	assert_int_equal(beats_start(&f->beats, &f->loop, f->desk, conf, NULL), E_OK);
	fake_watch(f->desk, beats_watcher(f->beats));
}

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));
	rcu_thread_start();
	open_beats(f, &(struct beats_conf){ .floor_percent = 20, .floor_hold_ms = 60000 });
	*state = f;
	return 0;
}

static int setup_keeping(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));
	rcu_thread_start();
	open_beats(f, &(struct beats_conf){ 20, 60000, true });
	*state = f;
	return 0;
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	bool closed = false;
	beats_close(f->beats, on_closed, &closed);
	fake_apply(f->desk);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	int rc = uv_loop_close(&f->loop);
	fake_desk_free(f->desk); /* its watcher may still be called */
	beats_free(f->beats);
	clock_fake_off();
	rcu_thread_stop();
	mem_free(f);
	return closed && rc == 0 ? 0 : -1;
}

/* One tick at the present time, its commands applied, and what follows from them. */
static void settle(struct fixture *f)
{
	do
		beats_tick(f->beats);
	while (fake_apply(f->desk) > 0);
}

/* Time goes on by @ms, in steps as the timer would take them. */
static void pass(struct fixture *f, int64_t ms)
{
	while (ms > 0) {
		int64_t step = ms < STEP_MS ? ms : STEP_MS;
		f->now_ms += step;
		ms -= step;
		clock_fake(f->now_ms, 0);
		settle(f);
	}
}

/* The process is stopped for @ms: nothing runs meanwhile. */
static void stop_for(struct fixture *f, int64_t ms)
{
	f->now_ms += ms;
	clock_fake(f->now_ms, 0);
	settle(f);
}

static void switch_checks(struct fixture *f, bool on)
{
	struct switches *s = fake_switches(f->desk);
	s->health_check = on;
	fake_publish(f->desk, s);
}

static bool is_healthy(struct fixture *f, struct service *s)
{
	struct instance *i = fake_find(f->desk, s, "10.0.0.1", 80);
	return i != NULL && (i->flags & INSTANCE_HEALTHY) != 0;
}

static void a_silent_instance_turns_unhealthy_then_leaves(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fake_add(f->desk, s, "10.0.0.1", 80);
	settle(f);
	pass(f, 15000);
	assert_true(is_healthy(f, s)); /* strictly greater */
	pass(f, 20);
	assert_false(is_healthy(f, s));
	assert_int_equal(fake_count(f->desk, s, false), 1);
	pass(f, 14980);
	assert_int_equal(fake_count(f->desk, s, false), 1);
	pass(f, 20);
	assert_int_equal(fake_count(f->desk, s, false), 0);
}

static void a_beat_stored_by_another_thread_puts_the_deadline_off(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	struct instance *i = fake_add(f->desk, s, "10.0.0.1", 80);
	for (int n = 0; n < 20; n++) {
		pass(f, 5000);
		fake_beat(i);
	}
	pass(f, 15000);
	assert_true(is_healthy(f, s));
	pass(f, 20);
	assert_false(is_healthy(f, s));
}

static void a_removal_time_below_the_unhealthy_time_is_obeyed(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	struct instance *i = fake_add(f->desk, s, "10.0.0.1", 80);
	fake_watch(f->desk, (struct registry_watcher){ 0 });
	struct registry_watcher w = beats_watcher(f->beats);
	fake_watch(f->desk, w);
	w.on_instance(w.arg, i, NULL);
	i->remove_ms = 6000;
	w.on_instance(w.arg, NULL, i);
	pass(f, 6000);
	assert_int_equal(fake_count(f->desk, s, false), 1);
	pass(f, 20);
	assert_int_equal(fake_count(f->desk, s, false), 0);
}

static void registering_again_takes_the_place_on_the_wheel(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fake_add(f->desk, s, "10.0.0.1", 80);
	pass(f, 10000);
	fake_add(f->desk, s, "10.0.0.1", 80);
	pass(f, 15000);
	assert_true(is_healthy(f, s));
	fake_remove(f->desk, s, "10.0.0.1", 80);
	pass(f, 60000);
	assert_int_equal(fake_count(f->desk, s, false), 0);
}

static void a_refused_expiry_is_tried_again(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fake_add(f->desk, s, "10.0.0.1", 80);
	fake_refuse(f->desk, E_UNAVAILABLE);
	pass(f, 16000);
	assert_true(is_healthy(f, s));
	fake_refuse(f->desk, E_OK);
	pass(f, 5000);
	assert_false(is_healthy(f, s));
}

static void with_the_check_switch_off_nothing_expires(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fake_add(f->desk, s, "10.0.0.1", 80);
	switch_checks(f, false);
	pass(f, 120000);
	assert_true(is_healthy(f, s));
	switch_checks(f, true);
	pass(f, 1000);
	assert_int_equal(fake_count(f->desk, s, false), 0);
}

static void with_removal_off_an_instance_stays_unhealthy(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fake_add(f->desk, s, "10.0.0.1", 80);
	pass(f, 200000);
	assert_false(is_healthy(f, s));
	assert_int_equal(fake_count(f->desk, s, false), 1);
}

static void fill(struct fixture *f, struct service *s, unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		char ip[32];
		snprintf(ip, sizeof(ip), "10.0.%u.%u", k / 200, k % 200 + 1);
		fake_add(f->desk, s, ip, 80);
	}
}

static void a_mass_expiry_is_spread_over_bounded_turns(void **state)
{
	struct fixture *f = *state;
	struct service *a = fake_service(f->desk, "a", true), *b = fake_service(f->desk, "b", true);
	fill(f, a, 3000);
	fill(f, b, 3000);
	pass(f, 15000);
	f->now_ms += 20;
	clock_fake(f->now_ms, 0);
	beats_tick(f->beats);
	unsigned first = fake_apply(f->desk);
	assert_in_range(first, 1, 2000);
	settle(f);
	assert_int_equal(fake_count(f->desk, a, true) + fake_count(f->desk, b, true), 0);
}

static void without_a_pause_of_ours_nothing_is_held(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fill(f, s, 10);
	pass(f, 15020);
	assert_int_equal(fake_count(f->desk, s, true), 0);
	pass(f, 15000);
	assert_int_equal(fake_count(f->desk, s, false), 0);
}

static void after_a_pause_a_mass_expiry_is_held_and_beats_rescue(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fill(f, s, 10);
	settle(f);
	pass(f, 4000);
	stop_for(f, 40000);
	pass(f, 5000);
	assert_int_equal(fake_count(f->desk, s, true), 10); /* all still answered */
	struct instance *saved = fake_find(f->desk, s, "10.0.0.1", 80);
	fake_beat(saved);
	pass(f, 5000);
	for (int n = 0; n < 9; n++) {
		fake_beat(saved);
		pass(f, 5000);
	}
	assert_int_equal(fake_count(f->desk, s, true), 10);
	fake_beat(saved);
	pass(f, 7000); /* 62 s and more after the pause: the rest has had its time */
	assert_int_equal(fake_count(f->desk, s, false), 1);
	assert_int_equal(fake_count(f->desk, s, true), 1);
}

static void a_rescued_instance_that_dies_again_leaves_in_its_own_time(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fill(f, s, 10);
	settle(f);
	stop_for(f, 40000);
	pass(f, 3000);
	fake_beat(fake_find(f->desk, s, "10.0.0.1", 80));
	pass(f, 15000);
	assert_int_equal(fake_count(f->desk, s, true), 10);
	pass(f, 1000);
	assert_int_equal(fake_count(f->desk, s, true), 9);
}

static void a_pause_of_ours_is_doubted_until_nobody_is_held(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fill(f, s, 10);
	settle(f);
	assert_false(beats_doubt(f->beats));
	f->now_ms += 40000;
	clock_fake(f->now_ms, 0);
	assert_true(beats_doubt(f->beats)); /* though no tick has seen it yet */
	beats_tick(f->beats);
	assert_true(beats_doubt(f->beats)); /* settling */
	pass(f, 3000);
	assert_true(beats_doubt(f->beats)); /* all ten are held */
	for (int n = 0; n < 13; n++) {
		for (unsigned i = 0; i < 10; i++) {
			char ip[32];
			snprintf(ip, sizeof(ip), "10.0.0.%u", i + 1);
			fake_beat(fake_find(f->desk, s, ip, 80));
		}
		pass(f, 5000);
	}
	assert_false(beats_doubt(f->beats));
}

static void a_service_of_one_is_held_too(void **state)
{
	struct fixture *f = *state;
	struct service *one = fake_service(f->desk, "one", true), *many = fake_service(f->desk, "many", true);
	fake_add(f->desk, one, "10.0.0.1", 80);
	pass(f, 13000);
	fill(f, many, 50);
	stop_for(f, 3000);
	pass(f, 5000);
	assert_true(is_healthy(f, one));
}

/* With a time-out of 3 s: it has beaten since the pause, so its silence is its own. */
static void who_has_beaten_since_the_pause_is_not_held_with_the_rest(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	struct registry_watcher w = beats_watcher(f->beats);
	fill(f, s, 10);
	struct instance *quick = fake_find(f->desk, s, "10.0.0.1", 80);
	w.on_instance(w.arg, quick, NULL);
	quick->unhealthy_ms = 3000;
	w.on_instance(w.arg, NULL, quick);
	settle(f);
	pass(f, 1000);
	stop_for(f, 40000);
	pass(f, 1000);
	fake_beat(quick);
	pass(f, 3000);
	assert_int_equal(fake_count(f->desk, s, true), 10);
	pass(f, 1000);
	assert_int_equal(fake_count(f->desk, s, true), 9);
}

static void after_a_pause_a_few_expiries_are_carried_out(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fill(f, s, 10);
	pass(f, 13000);
	for (unsigned k = 3; k <= 10; k++) {
		char ip[32];
		snprintf(ip, sizeof(ip), "10.0.0.%u", k);
		fake_beat(fake_find(f->desk, s, ip, 80));
	}
	stop_for(f, 3000); /* two of ten are late: the floor is not passed by 20 % */
	pass(f, 500);
	for (unsigned k = 3; k <= 10; k++) {
		char ip[32];
		snprintf(ip, sizeof(ip), "10.0.0.%u", k);
		fake_beat(fake_find(f->desk, s, ip, 80));
	}
	pass(f, 1000);
	assert_int_equal(fake_count(f->desk, s, true), 8);
}

static void beats_that_waited_in_our_sockets_are_read_before_the_count(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fill(f, s, 10);
	settle(f);
	stop_for(f, 40000);
	for (unsigned k = 1; k <= 9; k++) { /* all but one */
		char ip[32];
		snprintf(ip, sizeof(ip), "10.0.0.%u", k);
		fake_beat(fake_find(f->desk, s, ip, 80));
	}
	pass(f, 1500);
	assert_int_equal(fake_count(f->desk, s, true), 9);
	assert_int_equal(fake_count(f->desk, s, false), 9);
}

static void the_dead_are_let_go_once_the_living_have_beaten(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fill(f, s, 10);
	settle(f);
	stop_for(f, 40000);
	pass(f, 3000);
	assert_int_equal(fake_count(f->desk, s, true), 10); /* nobody has beaten yet: all are held */
	for (unsigned step = 0; step < 4; step++) {
		for (unsigned k = 1; k <= 9; k++) { /* all but one */
			char ip[32];
			snprintf(ip, sizeof(ip), "10.0.0.%u", k);
			fake_beat(fake_find(f->desk, s, ip, 80));
		}
		pass(f, 5000);
	}
	assert_int_equal(fake_count(f->desk, s, true), 9);
	assert_int_equal(fake_count(f->desk, s, false), 9);
}

/* Twenty instances that beat at their own moments of the second: no two are late at once. */
static void late_ones_that_trickle_in_after_a_pause_are_held_over_the_share(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	settle(f);
	for (unsigned k = 0; k < 20; k++) {
		char ip[32];
		snprintf(ip, sizeof(ip), "10.0.0.%u", k + 1);
		fake_add(f->desk, s, ip, 80);
		pass(f, 250);
	}
	stop_for(f, 4000); /* silent for 4.25 to 9 s, nobody near the end */
	pass(f, 12000);	   /* nobody beats again */
	assert_in_range(fake_count(f->desk, s, true), 16, 20);
	pass(f, 60000);
	assert_int_equal(fake_count(f->desk, s, false), 0);
}

static void one_service_is_held_while_the_rest_goes_on(void **state)
{
	struct fixture *f = *state;
	struct service *small = fake_service(f->desk, "small", true), *big = fake_service(f->desk, "big", true);
	fill(f, small, 2);
	fill(f, big, 100);
	pass(f, 13000);
	struct instance *last = NULL;
	for (unsigned k = 0; k < 100; k++) {
		char ip[32];
		snprintf(ip, sizeof(ip), "10.0.0.%u", k + 1);
		last = fake_find(f->desk, big, ip, 80);
		if (k > 0)
			fake_beat(last);
	}
	stop_for(f, 3000);
	for (unsigned k = 1; k < 100; k++) {
		char ip[32];
		snprintf(ip, sizeof(ip), "10.0.0.%u", k + 1);
		fake_beat(fake_find(f->desk, big, ip, 80));
	}
	pass(f, 2000);
	assert_int_equal(fake_count(f->desk, small, true), 2);
	assert_int_equal(fake_count(f->desk, big, true), 99);
}

/* The timer itself, on the real clock: it sleeps while the wheel is empty, so the loop ends. */
static void an_empty_wheel_keeps_no_timer(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fake_add(f->desk, s, "10.0.0.1", 80);
	assert_int_equal(uv_loop_alive(&f->loop), 1);
	fake_remove(f->desk, s, "10.0.0.1", 80);
	beats_tick(f->beats);
	assert_int_equal(uv_loop_alive(&f->loop), 0);
}

static void the_timer_of_the_loop_turns_the_wheel(void **state)
{
	struct fixture *f = *state;
	struct service *s = fake_service(f->desk, "cart", true);
	fake_add(f->desk, s, "10.0.0.1", 80);
	settle(f);
	for (int64_t ms = 0; ms <= 15000; ms += 1000) { /* the timer has not run meanwhile, but its arming has */
		clock_fake(START_MS + ms, 0);
		beats_tick(f->beats);
	}
	clock_fake(START_MS + 15400, 0);
	while (fake_apply(f->desk) == 0)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_false(is_healthy(f, s));
}

/* Random registrations, beats, removals and time against a plain array of last beats. */
static void random_lives_match_a_naive_model(void **state)
{
	struct fixture *f = *state;
	enum { N = 40 };
	struct service *s = fake_service(f->desk, "cart", true);
	int64_t last[N] = { 0 };
	bool present[N] = { false };
	uint64_t seed = 20240717;
	settle(f);
	for (int step = 0; step < 4000; step++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		unsigned k = (unsigned)(seed >> 33) % N, what = (unsigned)(seed >> 45) % 8;
		char ip[32];
		snprintf(ip, sizeof(ip), "10.0.0.%u", k + 1);
		if (what == 0 || (what < 4 && present[k])) {
			struct instance *i = fake_find(f->desk, s, ip, 80);
			if (i == NULL || (i->flags & INSTANCE_HEALTHY) == 0)
				fake_add(f->desk, s, ip, 80);
			else
				fake_beat(i);
			present[k] = true;
			last[k] = f->now_ms;
		} else if (what == 4) {
			fake_remove(f->desk, s, ip, 80);
			present[k] = false;
		} else {
			pass(f, (int64_t)(seed >> 50) % 1900 + 1);
		}
		for (unsigned j = 0; j < N; j++) {
			int64_t silent = f->now_ms - last[j];
			snprintf(ip, sizeof(ip), "10.0.0.%u", j + 1);
			struct instance *i = fake_find(f->desk, s, ip, 80);
			if (!present[j] || silent > 30000 + 1000)
				assert_null(i);
			else if (silent <= 30000)
				assert_non_null(i);
			if (i != NULL && silent <= 15000)
				assert_true((i->flags & INSTANCE_HEALTHY) != 0);
			if (i != NULL && silent > 15000 + 1000)
				assert_false((i->flags & INSTANCE_HEALTHY) != 0);
		}
	}
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(a_silent_instance_turns_unhealthy_then_leaves),
		WITH(a_beat_stored_by_another_thread_puts_the_deadline_off),
		WITH(a_removal_time_below_the_unhealthy_time_is_obeyed),
		WITH(registering_again_takes_the_place_on_the_wheel),
		WITH(a_refused_expiry_is_tried_again),
		WITH(with_the_check_switch_off_nothing_expires),
		cmocka_unit_test_setup_teardown(with_removal_off_an_instance_stays_unhealthy,
						setup_keeping, teardown),
		WITH(a_mass_expiry_is_spread_over_bounded_turns),
		WITH(without_a_pause_of_ours_nothing_is_held),
		WITH(after_a_pause_a_mass_expiry_is_held_and_beats_rescue),
		WITH(a_rescued_instance_that_dies_again_leaves_in_its_own_time),
		WITH(a_pause_of_ours_is_doubted_until_nobody_is_held),
		WITH(a_service_of_one_is_held_too),
		WITH(who_has_beaten_since_the_pause_is_not_held_with_the_rest),
		WITH(after_a_pause_a_few_expiries_are_carried_out),
		WITH(beats_that_waited_in_our_sockets_are_read_before_the_count),
		WITH(the_dead_are_let_go_once_the_living_have_beaten),
		WITH(late_ones_that_trickle_in_after_a_pause_are_held_over_the_share),
		WITH(one_service_is_held_while_the_rest_goes_on),
		WITH(an_empty_wheel_keeps_no_timer),
		WITH(the_timer_of_the_loop_turns_the_wheel),
		WITH(random_lives_match_a_naive_model),
	};
	return cmocka_run_group_tests_name("beats", tests, NULL, NULL);
}

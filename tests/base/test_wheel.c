/* test_wheel.c - the timer wheel against a naive array of due times. */
#include "base/mem.h"
#include "base/wheel.h"
#include "tests/base/unit.h"

enum { NODES = 300, STEPS = 30000 };

struct timer {
	struct wheel_node node; /* first: a node is its timer */
	int64_t due_ms;
	bool on, late; /* late: due already when it was added */
};

struct fixture {
	struct wheel *wheel;
	struct timer timers[NODES];
	struct rng rng;
	int64_t now_ms, last_tick;
	unsigned called;
	bool replaying; /* callbacks add and remove others */
};

static int64_t any_delay(struct rng *rng)
{
	static const uint32_t spans[] = { 1, 30, 1300, 200000, 30000000, 2100000000, 4000000000 };
	return (int64_t)rng_below(rng, spans[rng_below(rng, 7)]) - 5;
}

static void add(struct fixture *f, struct timer *t, int64_t due_ms)
{
	t->due_ms = due_ms;
	t->on = true;
	t->late = due_ms <= f->now_ms;
	wheel_add(f->wheel, &t->node, due_ms);
}

static void on_due(void *arg, struct wheel_node *node)
{
	struct fixture *f = arg;
	struct timer *t = (struct timer *)node;
	if (!t->on || node->due_ms != t->due_ms || t->due_ms > f->now_ms || node->next != NULL)
		fail_msg("called for a node that is not due");
	int64_t tick = t->late ? f->last_tick : (t->due_ms + 1000000) / 10; /* never below 0 */
	if (!f->replaying && tick < f->last_tick)
		fail_msg("a later tick was called before an earlier one");
	f->last_tick = tick;
	t->on = false;
	f->called++;
	if (!f->replaying)
		return;
	struct timer *other = &f->timers[rng_below(&f->rng, NODES)];
	if (other->on) {
		wheel_remove(f->wheel, &other->node);
		other->on = false;
	} else {
		add(f, other, f->now_ms + 1 + any_delay(&f->rng) % 100000);
	}
}

static int64_t least_due(const struct fixture *f)
{
	int64_t least = INT64_MAX;
	for (unsigned i = 0; i < NODES; i++)
		if (f->timers[i].on && f->timers[i].due_ms < least)
			least = f->timers[i].due_ms;
	return least;
}

static unsigned count_due(const struct fixture *f)
{
	unsigned n = 0;
	for (unsigned i = 0; i < NODES; i++)
		n += f->timers[i].on && f->timers[i].due_ms <= f->now_ms;
	return n;
}

static void change_one(struct fixture *f)
{
	struct timer *t = &f->timers[rng_below(&f->rng, NODES)];
	if (!t->on) {
		add(f, t, f->now_ms + any_delay(&f->rng));
		return;
	}
	struct timer *fresh = &f->timers[rng_below(&f->rng, NODES)];
	if (fresh != t && !fresh->on && rng_below(&f->rng, 2) == 0) {
		wheel_replace(f->wheel, &t->node, &fresh->node);
		fresh->due_ms = t->due_ms;
		fresh->on = true;
		fresh->late = t->late;
	} else {
		wheel_remove(f->wheel, &t->node);
	}
	t->on = false;
	assert_null(t->node.next);
}

static void turn(struct fixture *f)
{
	unsigned max = rng_below(&f->rng, 4) == 0 ? rng_below(&f->rng, 5) : UINT32_MAX;
	unsigned due = count_due(f);
	f->called = 0;
	f->last_tick = INT64_MIN;
	unsigned called = wheel_turn(f->wheel, f->now_ms, max, on_due, f);
	assert_int_equal(called, f->called);
	assert_true(called <= max);
	if (!f->replaying)
		assert_int_equal(called, due < max ? due : max);
	else if (called < max)
		assert_int_equal(count_due(f), 0);
}

static void random_steps(bool replaying, int64_t start_ms)
{
	static struct fixture f;
	f = (struct fixture){ .now_ms = start_ms, .replaying = replaying };
	unit_seed(&f.rng);
	f.wheel = wheel_new(f.now_ms);
	assert_non_null(f.wheel);
	assert_int_equal(wheel_next_ms(f.wheel), INT64_MAX);
	for (unsigned step = 0; step < STEPS; step++) {
		if (rng_below(&f.rng, 3) > 0) {
			change_one(&f);
		} else {
			if (rng_below(&f.rng, 3) > 0)
				f.now_ms += rng_below(&f.rng, 300);
			else if (rng_below(&f.rng, 100) == 0)
				f.now_ms += any_delay(&f.rng) + 5;
			else if (rng_below(&f.rng, 2) == 0 && wheel_next_ms(f.wheel) < INT64_MAX &&
				 wheel_next_ms(f.wheel) > f.now_ms)
				f.now_ms = wheel_next_ms(f.wheel);
			turn(&f);
		}
		int64_t next = wheel_next_ms(f.wheel), least = least_due(&f);
		if (least == INT64_MAX)
			assert_int_equal(next, INT64_MAX);
		else
			assert_true(next <= least || next <= f.now_ms);
	}
	f.now_ms += (int64_t)5000000000;
	f.replaying = false;
	unsigned due = count_due(&f);
	f.last_tick = INT64_MIN;
	assert_int_equal(wheel_turn(f.wheel, f.now_ms, UINT32_MAX, on_due, &f), due);
	assert_int_equal(wheel_next_ms(f.wheel), INT64_MAX);
	wheel_free(f.wheel);
}

static void every_node_is_called_when_due_and_never_before(void **state)
{
	(void)state;
	random_steps(false, 1000003);
}

static void callbacks_may_add_and_remove(void **state)
{
	(void)state;
	random_steps(true, 1000003);
}

static void any_clock_will_do(void **state)
{
	(void)state;
	random_steps(false, -77777);
	random_steps(false, (int64_t)1795000000000);
}

/* Following the wheel's own bound, the owner wakes few times and misses nothing. */
static void the_bound_leads_to_the_due_time_in_few_steps(void **state)
{
	static const int64_t delays[] = { 1, 9, 10, 15, 1279, 1280, 1281, 15000, 163840, 20971520, 2000000000 };
	(void)state;
	for (unsigned i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		static struct fixture f;
		f = (struct fixture){ .now_ms = 12345 };
		f.wheel = wheel_new(f.now_ms);
		add(&f, &f.timers[0], f.now_ms + delays[i]);
		unsigned wakes = 0;
		while (f.timers[0].on) {
			int64_t next = wheel_next_ms(f.wheel);
			assert_true(next > f.now_ms);
			assert_true(next <= f.timers[0].due_ms);
			f.now_ms = next;
			f.last_tick = INT64_MIN;
			wheel_turn(f.wheel, f.now_ms, UINT32_MAX, on_due, &f);
			wakes++;
		}
		assert_int_equal(f.now_ms, 12345 + delays[i]);
		assert_true(wakes <= 5);
		wheel_free(f.wheel);
	}
}

static void a_long_sleep_is_skipped_quickly(void **state)
{
	static struct fixture f;
	(void)state;
	f = (struct fixture){ .now_ms = 0 };
	f.wheel = wheel_new(0);
	for (unsigned i = 0; i < NODES; i++)
		add(&f, &f.timers[i], (int64_t)i * 365 * 86400 * 10); /* up to 3 years */
	f.now_ms = (int64_t)4 * 365 * 86400 * 1000;
	f.last_tick = INT64_MIN;
	assert_int_equal(wheel_turn(f.wheel, f.now_ms, UINT32_MAX, on_due, &f), NODES);
	wheel_free(f.wheel);
}

static void removing_a_node_that_is_on_no_wheel_is_fine(void **state)
{
	struct wheel_node n = { NULL, NULL, 0 }, fresh;
	(void)state;
	struct wheel *w = wheel_new(0);
	wheel_remove(w, &n);
	wheel_replace(w, &n, &fresh);
	assert_null(fresh.next);
	wheel_free(w);
	mem_fail_at(0);
	w = wheel_new(0);
	mem_fail_off();
	assert_null(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_node_is_called_when_due_and_never_before),
		cmocka_unit_test(callbacks_may_add_and_remove),
		cmocka_unit_test(any_clock_will_do),
		cmocka_unit_test(the_bound_leads_to_the_due_time_in_few_steps),
		cmocka_unit_test(a_long_sleep_is_skipped_quickly),
		cmocka_unit_test(removing_a_node_that_is_on_no_wheel_is_fine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

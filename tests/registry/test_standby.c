/* test_standby.c - several clients under one address: the newest has it, and it falls back to the one before. */
#include "base/mem.h"
#include "registry/core.h"
#include "tests/registry/fixture.h"
#include <string.h>

enum { FIRST = 101, SECOND = 102, THIRD = 103 };

static struct command *of(enum command_kind kind, uint64_t publisher, double weight)
{
	struct command *cmd = make_instance(kind, "cart", "10.0.0.1", 80);

	cmd->instance.publisher = publisher;
	cmd->instance.weight = weight;
	return cmd;
}

static void register_of(struct fixture *f, uint64_t publisher, double weight)
{
	assert_int_equal(ask(f, of(CMD_INSTANCE_REGISTER, publisher, weight)), E_OK);
}

static void leave_of(struct fixture *f, uint64_t publisher)
{
	assert_int_equal(ask(f, of(CMD_INSTANCE_DEREGISTER, publisher, 1)), E_OK);
}

/* 0: it is not listed. */
static int weight_seen(struct fixture *f)
{
	const struct instance *i = seen(f, "cart", "10.0.0.1", 80);

	return i == NULL ? 0 : (int)i->weight;
}

static void when_the_newest_leaves_the_one_before_has_the_address_again(void **state)
{
	struct fixture *f = *state;

	register_of(f, FIRST, 1);
	register_of(f, SECOND, 2);
	register_of(f, THIRD, 3);
	assert_int_equal(weight_seen(f), 3);
	assert_int_equal(count_of(f, "cart"), 1);
	leave_of(f, THIRD);
	assert_int_equal(weight_seen(f), 2);
	leave_of(f, SECOND);
	assert_int_equal(weight_seen(f), 1);
	leave_of(f, FIRST);
	assert_int_equal(weight_seen(f), 0);
	assert_int_equal(f->registry->standby_count, 0);
}

static void who_has_left_meanwhile_does_not_come_back(void **state)
{
	struct fixture *f = *state;

	register_of(f, FIRST, 1);
	register_of(f, SECOND, 2);
	register_of(f, THIRD, 3);
	leave_of(f, SECOND);
	assert_int_equal(weight_seen(f), 3);
	leave_of(f, THIRD);
	assert_int_equal(weight_seen(f), 1);
	register_of(f, SECOND, 2);
	leave_of(f, FIRST);
	leave_of(f, SECOND);
	assert_int_equal(weight_seen(f), 0);
}

static void an_older_client_that_registers_again_is_the_newest(void **state)
{
	struct fixture *f = *state;

	register_of(f, FIRST, 1);
	register_of(f, SECOND, 2);
	register_of(f, FIRST, 4);
	assert_int_equal(weight_seen(f), 4);
	assert_int_equal(f->registry->standby_count, 1);
	leave_of(f, FIRST);
	assert_int_equal(weight_seen(f), 2);
	leave_of(f, SECOND);
	assert_int_equal(weight_seen(f), 0);
}

static void a_fallback_to_the_same_data_is_not_seen(void **state)
{
	struct fixture *f = *state;

	register_of(f, FIRST, 2);
	register_of(f, SECOND, 2);
	unsigned views = f->views;

	leave_of(f, SECOND);
	assert_int_equal(weight_seen(f), 2);
	assert_int_equal(f->views, views);
	leave_of(f, FIRST);
	assert_int_equal(weight_seen(f), 0);
}

/* Its successor deregistered: an acknowledged end is one, even while the grace of a broken connection lasts. */
static void no_address_falls_back_to_a_connection_that_was_closed(void **state)
{
	struct fixture *f = *state;

	register_of(f, FIRST, 1);
	register_of(f, SECOND, 2);
	assert_int_equal(registry_publisher_away(f->registry, FIRST), E_OK);
	leave_of(f, SECOND);
	assert_int_equal(weight_seen(f), 0);
	register_of(f, FIRST, 1); /* closed before its successor came */
	register_of(f, THIRD, 1);
	assert_int_equal(f->registry->standby_count, 0);
	leave_of(f, THIRD);
	assert_int_equal(weight_seen(f), 0);
	registry_publisher_forget(f->registry, FIRST);
	assert_int_equal(f->registry->away.count, 0);
}

static void an_operators_edit_stays_over_whoever_has_the_address(void **state)
{
	struct fixture *f = *state;
	struct command *edit = of(CMD_INSTANCE_PATCH, 0, 7);

	register_of(f, FIRST, 1);
	edit->instance.has = HAS_WEIGHT;
	assert_int_equal(ask(f, edit), E_OK);
	register_of(f, SECOND, 2);
	leave_of(f, SECOND);
	const struct instance *i = seen(f, "cart", "10.0.0.1", 80);

	assert_non_null(i);
	assert_true(i->weight > 6.5 && i->publisher == FIRST && (i->flags & INSTANCE_OVERRIDDEN) != 0);
	leave_of(f, FIRST);
	assert_int_equal(weight_seen(f), 0);
}

static void an_http_client_that_beats_has_its_address_again(void **state)
{
	struct fixture *f = *state;
	struct command *beat;

	register_of(f, PUBLISHER_BEATS, 1);
	register_of(f, FIRST, 2);
	fixture_advance(f, 10000);
	beat = of(CMD_INSTANCE_BEAT, 0, 1);
	assert_int_equal(ask(f, beat), E_OK);
	fixture_advance(f, 10000);
	leave_of(f, FIRST);
	assert_int_equal(weight_seen(f), 1);
	assert_int_equal(seen(f, "cart", "10.0.0.1", 80)->publisher, PUBLISHER_BEATS);
}

static void an_http_client_that_has_stopped_beating_has_not(void **state)
{
	struct fixture *f = *state;

	register_of(f, PUBLISHER_BEATS, 1);
	fixture_advance(f, 10000);
	register_of(f, FIRST, 2);
	fixture_advance(f, 10000);
	leave_of(f, FIRST);
	assert_int_equal(weight_seen(f), 0);
}

static void the_number_of_clients_that_are_remembered_is_bounded(void **state)
{
	struct fixture *f = *state;

	for (uint64_t n = 0; n < 20; n++)
		register_of(f, FIRST + n, 1 + (double)n);
	assert_int_equal(f->registry->standby_count, 8);
	for (uint64_t n = 20; n-- > 11;)
		leave_of(f, FIRST + n);
	assert_int_equal(weight_seen(f), 0);
	f->registry->conf.instances_max = 1;
	register_of(f, FIRST, 1);
	register_of(f, SECOND, 1);
	register_of(f, THIRD, 1);
	assert_int_equal(f->registry->standby_count, 1);
}

/* All or nothing. */
static void a_take_over_survives_every_failed_allocation(void **state)
{
	struct fixture *f = *state;

	register_of(f, FIRST, 1);
	for (unsigned nth = 0;; nth++) {
		struct command *cmd = of(CMD_INSTANCE_REGISTER, SECOND, 2);
		struct error err;

		mem_fail_at(nth);
		int rc = registry_apply(f->registry, cmd, f->now_ms, 1000 + nth, &err);
		bool failed = mem_fail_off();

		mem_free(cmd);
		if (!failed) {
			assert_int_equal(rc, E_OK);
			assert_int_equal(f->registry->standby_count, 1);
			return;
		}
		assert_int_equal(rc, E_NOMEM);
		assert_int_equal(f->registry->standby_count, 0);
		assert_int_equal(weight_seen(f), 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(when_the_newest_leaves_the_one_before_has_the_address_again),
		TEST(who_has_left_meanwhile_does_not_come_back),
		TEST(an_older_client_that_registers_again_is_the_newest),
		TEST(a_fallback_to_the_same_data_is_not_seen),
		TEST(no_address_falls_back_to_a_connection_that_was_closed),
		TEST(an_operators_edit_stays_over_whoever_has_the_address),
		TEST(an_http_client_that_beats_has_its_address_again),
		TEST(an_http_client_that_has_stopped_beating_has_not),
		TEST(the_number_of_clients_that_are_remembered_is_bounded),
		TEST(a_take_over_survives_every_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

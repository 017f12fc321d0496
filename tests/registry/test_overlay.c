/* test_overlay.c - operators' edits: PUT, PATCH, metadata of many, and their end. */
#include "tests/registry/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int edit(struct fixture *f, enum command_kind kind, const char *ip, unsigned has, double weight, bool enabled,
		struct pair *pair)
{
	struct command *cmd = make_instance(kind, "cart", ip, 80);

	cmd->instance.has = has;
	cmd->instance.weight = weight;
	cmd->instance.enabled = enabled;
	cmd->instance.metadata = pair;
	cmd->instance.metadata_count = pair != NULL;
	return ask(f, cmd);
}

static int reg_with(struct fixture *f, const char *ip, const char *key, const char *value)
{
	struct command *cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", ip, 80);
	struct pair pair;

	pair_set(&pair, key, value);
	cmd->instance.metadata = &pair;
	cmd->instance.metadata_count = 1;
	return ask(f, cmd);
}

static bool enabled(const struct instance *i)
{
	return (i->flags & INSTANCE_ENABLED) != 0;
}

static void an_edit_wins_over_the_publisher_and_survives_its_registrations(void **state)
{
	struct fixture *f = *state;
	struct pair pair;

	pair_set(&pair, "v", "edited");
	assert_int_equal(reg_with(f, "10.0.0.1", "v", "1"), E_OK);
	assert_int_equal(edit(f, CMD_INSTANCE_UPDATE, "10.0.0.1", 0, 3, false, &pair), E_OK);
	const struct instance *i = seen(f, "cart", "10.0.0.1", 80);

	assert_true(i->weight == 3 && !enabled(i) && (i->flags & INSTANCE_OVERRIDDEN) != 0);
	assert_string_equal(metadata_of(i, "v"), "edited");
	assert_int_equal(reg_with(f, "10.0.0.1", "w", "2"), E_OK);
	i = seen(f, "cart", "10.0.0.1", 80);
	assert_true(i->weight == 3 && !enabled(i));
	assert_string_equal(metadata_of(i, "v"), "edited");
	assert_string_equal(metadata_of(i, "w"), "2");
	assert_int_equal(dereg(f, "cart", "10.0.0.1", 80, true), E_OK);
	fixture_advance(f, 50000);
	assert_int_equal(reg_with(f, "10.0.0.1", "w", "3"), E_OK);
	assert_true(seen(f, "cart", "10.0.0.1", 80)->weight == 3);
	uint64_t number = view_of(f, "cart")->number;

	assert_int_equal(reg_with(f, "10.0.0.1", "w", "3"), E_OK); /* nothing new under the overlay */
	assert_int_equal(view_of(f, "cart")->number, number);
}

static void an_edit_is_dropped_a_minute_after_its_instance_has_gone(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, "cart", "10.0.0.2", 80), E_OK);
	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	assert_int_equal(edit(f, CMD_INSTANCE_UPDATE, "10.0.0.1", 0, 3, true, NULL), E_OK);
	fixture_advance(f, 100000);
	f->desk->now_ms = f->now_ms;
	desk_sweep(f->desk); /* it is registered: kept */
	run_some(f, 5);
	assert_int_equal(f->registry->overlays.count, 1);
	assert_int_equal(dereg(f, "cart", "10.0.0.1", 80, true), E_OK);
	fixture_advance(f, 59999);
	f->desk->now_ms = f->now_ms;
	desk_sweep(f->desk);
	run_some(f, 5);
	assert_int_equal(f->registry->overlays.count, 1);
	fixture_advance(f, 1);
	f->desk->now_ms = f->now_ms;
	memory_store_fail_next(f->desk->store, E_IO);
	desk_sweep(f->desk); /* the disk refuses: it is kept and tried again */
	run_some(f, 5);
	assert_int_equal(f->registry->overlays.count, 1);
	desk_sweep(f->desk);
	run_some(f, 5);
	assert_int_equal(f->registry->overlays.count, 0);
	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	assert_true(seen(f, "cart", "10.0.0.1", 80)->weight == 1);
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(f->registry->overlays.count, 0);
}

static void put_needs_the_service_and_may_come_before_the_instance(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(edit(f, CMD_INSTANCE_UPDATE, "10.0.0.1", 0, 3, true, NULL), E_NOTFOUND);
	assert_int_equal(f->error.what, FAIL_SERVICE_MISSING);
	assert_int_equal(reg(f, "cart", "10.0.0.2", 80), E_OK);
	assert_int_equal(edit(f, CMD_INSTANCE_UPDATE, "10.0.0.1", 0, 3, true, NULL), E_OK);
	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	assert_true(seen(f, "cart", "10.0.0.1", 80)->weight == 3);
}

static void patch_changes_only_what_it_names(void **state)
{
	struct fixture *f = *state;
	struct pair a, b;

	pair_set(&a, "a", "1");
	pair_set(&b, "b", "2");
	assert_int_equal(edit(f, CMD_INSTANCE_PATCH, "10.0.0.1", HAS_WEIGHT, 4, true, NULL), E_NOTFOUND);
	assert_int_equal(f->error.what, FAIL_INSTANCE_MISSING);
	assert_int_equal(reg_with(f, "10.0.0.1", "v", "1"), E_OK);
	assert_int_equal(edit(f, CMD_INSTANCE_PATCH, "10.0.0.1", HAS_WEIGHT, 4, false, NULL), E_OK);
	const struct instance *i = seen(f, "cart", "10.0.0.1", 80);

	assert_true(i->weight == 4 && enabled(i));
	assert_int_equal(edit(f, CMD_INSTANCE_PATCH, "10.0.0.1", HAS_METADATA, 9, true, &a), E_OK);
	assert_int_equal(edit(f, CMD_INSTANCE_PATCH, "10.0.0.1", HAS_METADATA | HAS_ENABLED, 9, false, &b), E_OK);
	i = seen(f, "cart", "10.0.0.1", 80);
	assert_true(i->weight == 4 && !enabled(i));
	assert_string_equal(metadata_of(i, "v"), "1");
	assert_string_equal(metadata_of(i, "a"), "1");
	assert_string_equal(metadata_of(i, "b"), "2");
}

static int batch(struct fixture *f, bool remove, struct pair *pair, struct instance_target *targets, size_t n)
{
	struct command *cmd = make(CMD_METADATA_BATCH, "cart");

	cmd->instance.metadata = pair;
	cmd->instance.metadata_count = 1;
	cmd->targets = targets;
	cmd->target_count = n;
	cmd->remove_keys = remove;
	return ask(f, cmd);
}

static void metadata_of_many_is_set_and_taken_away(void **state)
{
	struct fixture *f = *state;
	struct instance_target targets[] = { { "10.0.0.1", "", 80 },
					     { "10.0.0.1", "DEFAULT", 80 }, /* twice */
					     { "10.0.0.9", "", 80 } };	     /* nobody */
	struct pair pair;

	pair_set(&pair, "drain", "yes");
	assert_int_equal(reg_with(f, "10.0.0.1", "v", "1"), E_OK);
	assert_int_equal(reg_with(f, "10.0.0.2", "drain", "own"), E_OK);
	assert_int_equal(batch(f, false, &pair, targets, 3), E_OK);
	assert_string_equal(metadata_of(seen(f, "cart", "10.0.0.1", 80), "drain"), "yes");
	assert_string_equal(metadata_of(seen(f, "cart", "10.0.0.2", 80), "drain"), "own");
	unsigned views = f->views;

	assert_int_equal(batch(f, false, &pair, NULL, 0), E_OK); /* all of them */
	assert_int_equal(f->views, views + 1);
	assert_string_equal(metadata_of(seen(f, "cart", "10.0.0.2", 80), "drain"), "yes");
	assert_int_equal(batch(f, true, &pair, NULL, 0), E_OK);
	assert_string_equal(metadata_of(seen(f, "cart", "10.0.0.1", 80), "drain"), "");
	assert_string_equal(metadata_of(seen(f, "cart", "10.0.0.2", 80), "drain"), "own");
	assert_int_equal(f->registry->overlays.count, 0); /* nothing was left of them */
	assert_int_equal(seen(f, "cart", "10.0.0.1", 80)->flags & INSTANCE_OVERRIDDEN, 0);
	assert_int_equal(batch(f, true, &pair, NULL, 0), E_OK); /* nothing to remove from */
}

static void health_follows_the_instance_under_an_overlay(void **state)
{
	struct fixture *f = *state;
	struct command *cmd;

	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	assert_int_equal(edit(f, CMD_INSTANCE_UPDATE, "10.0.0.1", 0, 3, true, NULL), E_OK);
	fixture_advance(f, 16000);
	cmd = make_instance(CMD_EXPIRE, "cart", "10.0.0.1", 80);
	assert_int_equal(ask(f, cmd), E_OK);
	const struct instance *i = seen(f, "cart", "10.0.0.1", 80);

	assert_int_equal(i->flags & INSTANCE_HEALTHY, 0);
	assert_true(i->weight == 3);
	assert_int_equal(edit(f, CMD_INSTANCE_PATCH, "10.0.0.1", HAS_WEIGHT, 5, true, NULL), E_OK);
	i = seen(f, "cart", "10.0.0.1", 80);
	assert_true(i->weight == 5 && (i->flags & INSTANCE_HEALTHY) == 0);
	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK); /* the same data, but alive again */
	i = seen(f, "cart", "10.0.0.1", 80);
	assert_true(i->weight == 5 && (i->flags & INSTANCE_HEALTHY) != 0);
}

static void weights_outside_the_range_are_refused(void **state)
{
	struct fixture *f = *state;
	static const double bad[] = { -1, 10000.1, (double)NAN, (double)INFINITY, -(double)INFINITY };

	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(edit(f, CMD_INSTANCE_REGISTER, "10.0.0.2", 0, bad[i], true, NULL), E_RANGE);
		assert_int_equal(f->error.what, FAIL_WEIGHT);
		assert_int_equal(edit(f, CMD_INSTANCE_UPDATE, "10.0.0.1", 0, bad[i], true, NULL), E_RANGE);
		assert_int_equal(edit(f, CMD_INSTANCE_PATCH, "10.0.0.1", HAS_WEIGHT, bad[i], true, NULL), E_RANGE);
	}
	assert_int_equal(edit(f, CMD_INSTANCE_REGISTER, "10.0.0.2", 0, 0, true, NULL), E_OK);
	assert_int_equal(edit(f, CMD_INSTANCE_REGISTER, "10.0.0.3", 0, 10000, true, NULL), E_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(an_edit_wins_over_the_publisher_and_survives_its_registrations),
		TEST(an_edit_is_dropped_a_minute_after_its_instance_has_gone),
		TEST(put_needs_the_service_and_may_come_before_the_instance),
		TEST(patch_changes_only_what_it_names),
		TEST(metadata_of_many_is_set_and_taken_away),
		TEST(health_follows_the_instance_under_an_overlay),
		TEST(weights_outside_the_range_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

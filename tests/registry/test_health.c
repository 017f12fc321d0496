/* test_health.c - beats, expiry, verdicts and PUT /health. */
#include "tests/registry/fixture.h"

#include <stdlib.h>
#include <string.h>

static struct command *beat(const char *service, const char *ip, uint16_t port, bool full)
{
	struct command *cmd = make_instance(CMD_INSTANCE_BEAT, service, ip, port);

	cmd->full_beat = full;
	return cmd;
}

static int expire(struct fixture *f, const char *service, const char *ip, uint16_t port, bool remove)
{
	struct command *cmd = make_instance(CMD_EXPIRE, service, ip, port);

	cmd->instance.cluster = "DEFAULT";
	cmd->remove = remove;
	return ask(f, cmd);
}

static bool healthy(struct fixture *f, const char *service, const char *ip, uint16_t port)
{
	const struct instance *i = seen(f, service, ip, port);

	return i != NULL && (i->flags & INSTANCE_HEALTHY) != 0;
}

static void a_light_beat_of_nobody_is_unknown_and_registers_nothing(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = beat("cart", "10.0.0.1", 80, false);

	assert_int_equal(ask_keep(f, cmd), E_OK);
	assert_true(cmd->unknown);
	assert_null(view_of(f, "cart"));
	free(cmd);
}

static void a_full_beat_registers_and_tells_the_interval(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = beat("cart", "10.0.0.1", 80, true);
	struct pair pair;

	pair_set(&pair, "preserved.heart.beat.interval", "3000");
	cmd->instance.metadata = &pair;
	cmd->instance.metadata_count = 1;
	cmd->instance.ephemeral = false; /* whatever it says */
	assert_int_equal(ask_keep(f, cmd), E_OK);
	assert_false(cmd->unknown);
	assert_int_equal(cmd->beat_ms, 3000);
	assert_true(healthy(f, "cart", "10.0.0.1", 80));
	free(cmd);
	cmd = make(CMD_SWITCH_SET, NULL);
	cmd->set.entry = "clientBeatInterval";
	cmd->set.value = "7000";
	assert_int_equal(ask(f, cmd), E_OK);
	cmd = beat("cart", "10.0.0.1", 80, false);
	assert_int_equal(ask_keep(f, cmd), E_OK);
	assert_int_equal(cmd->beat_ms, 3000);
	free(cmd);
	assert_int_equal(reg(f, "cart", "10.0.0.2", 80), E_OK);
	cmd = beat("cart", "10.0.0.2", 80, false);
	cmd->instance.cluster = "elsewhere"; /* not compared */
	assert_int_equal(ask_keep(f, cmd), E_OK);
	assert_int_equal(cmd->beat_ms, 7000);
	assert_false(cmd->unknown);
	free(cmd);
}

static void silence_makes_unhealthy_then_removes_and_a_beat_restores(void **state)
{
	struct fixture *f = *state;
	struct command *cmd;

	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	fixture_advance(f, 15000);
	assert_int_equal(expire(f, "cart", "10.0.0.1", 80, false), E_OK);
	assert_true(healthy(f, "cart", "10.0.0.1", 80)); /* not yet: greater than */
	fixture_advance(f, 1);
	assert_int_equal(expire(f, "cart", "10.0.0.1", 80, false), E_OK);
	assert_false(healthy(f, "cart", "10.0.0.1", 80));
	assert_int_equal(view_of(f, "cart")->healthy, 0);
	cmd = beat("cart", "10.0.0.1", 80, false);
	assert_int_equal(ask_keep(f, cmd), E_OK);
	assert_true(cmd->number > 0); /* a change */
	free(cmd);
	assert_true(healthy(f, "cart", "10.0.0.1", 80));
	fixture_advance(f, 30000);
	assert_int_equal(expire(f, "cart", "10.0.0.1", 80, true), E_OK);
	assert_int_equal(count_of(f, "cart"), 1);
	fixture_advance(f, 1);
	assert_int_equal(expire(f, "cart", "10.0.0.1", 80, true), E_OK);
	assert_int_equal(count_of(f, "cart"), 0);
}

static void a_beat_that_overtakes_the_expiry_saves_the_instance(void **state)
{
	struct fixture *f = *state;
	struct service_key key = key_of("cart");

	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	fixture_advance(f, 40000);
	uint64_t number = view_of(f, "cart")->number;

	assert_int_equal(registry_beat(f->registry, &key, "10.0.0.1", 8, 80, f->now_ms), 5000);
	assert_int_equal(expire(f, "cart", "10.0.0.1", 80, true), E_OK);
	assert_true(healthy(f, "cart", "10.0.0.1", 80));
	assert_int_equal(view_of(f, "cart")->number, number);
	assert_int_equal(registry_beat(f->registry, &key, "10.0.0.1", 8, 81, f->now_ms), 0);
	fixture_advance(f, 16000);
	assert_int_equal(expire(f, "cart", "10.0.0.1", 80, false), E_OK);
	/* an unhealthy one is control's matter */
	assert_int_equal(registry_beat(f->registry, &key, "10.0.0.1", 8, 80, f->now_ms), 0);
}

static void nothing_expires_while_checks_are_off_or_removal_is(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = make(CMD_SWITCH_SET, NULL);

	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	cmd->set.entry = "check";
	cmd->set.value = "false";
	assert_int_equal(ask(f, cmd), E_OK);
	fixture_advance(f, 100000);
	assert_int_equal(expire(f, "cart", "10.0.0.1", 80, false), E_OK);
	assert_int_equal(expire(f, "cart", "10.0.0.1", 80, true), E_OK);
	assert_true(healthy(f, "cart", "10.0.0.1", 80));
	cmd = make(CMD_SWITCH_SET, NULL);
	cmd->set.entry = "healthCheckEnabled"; /* the same one */
	cmd->set.value = "true";
	assert_int_equal(ask(f, cmd), E_OK);
	f->registry->conf.expire_instances = false;
	assert_int_equal(expire(f, "cart", "10.0.0.1", 80, true), E_OK);
	assert_int_equal(count_of(f, "cart"), 1);
}

static int verdict(struct fixture *f, const char *ip, bool ok, const char *reason)
{
	struct command *cmd = make_instance(CMD_VERDICT, "db", ip, 3306);
	int rc;

	cmd->instance.cluster = "DEFAULT";
	cmd->instance.healthy = ok;
	cmd->reason = reason;
	rc = ask_keep(f, cmd);
	assert_int_equal(rc, E_OK);
	rc = cmd->number > 0;
	free(cmd);
	return rc;
}

static int set_checker(struct fixture *f, const char *service, enum checker_kind kind)
{
	struct command *cmd = make(CMD_CLUSTER_UPDATE, service);

	cluster_default(&cmd->cluster, "DEFAULT");
	checker_default(&cmd->cluster.checker, kind);
	return ask(f, cmd);
}

static void verdicts_flip_persistent_instances_and_say_why(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg_persistent(f, "db", "10.0.0.1", 3306), E_OK);
	assert_false(verdict(f, "10.0.0.1", true, "")); /* no flip, no number */
	assert_true(verdict(f, "10.0.0.1", false, "connect refused"));
	assert_false(healthy(f, "db", "10.0.0.1", 3306));
	assert_string_equal(instance_reason(seen(f, "db", "10.0.0.1", 3306)), "connect refused");
	assert_false(verdict(f, "10.0.0.1", false, "timeout"));
	assert_false(verdict(f, "10.0.0.9", false, "timeout")); /* gone meanwhile */
	assert_true(verdict(f, "10.0.0.1", true, ""));
	assert_true(healthy(f, "db", "10.0.0.1", 3306));
	assert_int_equal(set_checker(f, "db", CHECKER_NONE), E_OK);
	assert_false(verdict(f, "10.0.0.1", false, "late")); /* nobody checks here now */
}

static void put_health_needs_a_stored_cluster_that_nobody_checks(void **state)
{
	struct fixture *f = *state;
	struct command *cmd;

	assert_int_equal(reg_persistent(f, "db", "10.0.0.1", 3306), E_OK);
	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	cmd = make_instance(CMD_HEALTH_SET, "db", "10.0.0.1", 3306);
	cmd->instance.healthy = false;
	assert_int_equal(ask(f, cmd), E_CONFLICT);
	assert_int_equal(f->error.what, FAIL_CHECK_RUNNING);
	assert_non_null(strstr(f->error.text,
			       "health check is still working, service: DEFAULT_GROUP@@db, cluster: DEFAULT"));
	assert_int_equal(set_checker(f, "db", CHECKER_NONE), E_OK);
	cmd = make_instance(CMD_HEALTH_SET, "db", "10.0.0.1", 3306);
	cmd->instance.healthy = false;
	assert_int_equal(ask(f, cmd), E_OK);
	assert_false(healthy(f, "db", "10.0.0.1", 3306));
	cmd = make_instance(CMD_HEALTH_SET, "db", "10.0.0.7", 3306);
	assert_int_equal(ask(f, cmd), E_OK); /* unknown: fine, and nothing happens */
	cmd = make_instance(CMD_HEALTH_SET, "cart", "10.0.0.1", 80);
	cmd->instance.healthy = false;
	assert_int_equal(ask(f, cmd), E_OK);
	assert_true(healthy(f, "cart", "10.0.0.1", 80)); /* ephemeral ones are not reached */
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(count_of(f, "db"), 1);
	assert_false(healthy(f, "db", "10.0.0.1", 3306)); /* durable */
}

static void bad_beat_times_are_refused(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.1", 80);
	struct pair pairs[2];

	pair_set(&pairs[0], "preserved.heart.beat.interval", "20000");
	pair_set(&pairs[1], "preserved.ip.delete.timeout", "40000");
	cmd->instance.metadata = pairs;
	cmd->instance.metadata_count = 2;
	assert_int_equal(ask(f, cmd), E_RANGE);
	assert_int_equal(f->error.what, FAIL_INSTANCE);
	assert_null(view_of(f, "cart"));
	cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.1", 80);
	pair_set(&pairs[0], "preserved.heart.beat.interval", "20s"); /* not all digits: ignored */
	cmd->instance.metadata = pairs;
	cmd->instance.metadata_count = 2;
	assert_int_equal(ask(f, cmd), E_OK);
	const struct instance *i = seen(f, "cart", "10.0.0.1", 80);

	assert_int_equal(i->beat_ms, 5000);
	assert_int_equal(i->unhealthy_ms, 15000);
	assert_int_equal(i->remove_ms, 40000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(a_light_beat_of_nobody_is_unknown_and_registers_nothing),
		TEST(a_full_beat_registers_and_tells_the_interval),
		TEST(silence_makes_unhealthy_then_removes_and_a_beat_restores),
		TEST(a_beat_that_overtakes_the_expiry_saves_the_instance),
		TEST(nothing_expires_while_checks_are_off_or_removal_is),
		TEST(verdicts_flip_persistent_instances_and_say_why),
		TEST(put_health_needs_a_stored_cluster_that_nobody_checks),
		TEST(bad_beat_times_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

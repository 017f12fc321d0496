/* test_desk.c - commands through the desk with the memory store. */
#include "base/clock.h"
#include "registry/rows.h"
#include "tests/registry/fixture.h"

#include <stdlib.h>
#include <string.h>

static void a_registration_is_in_the_view_when_it_is_answered(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.1", 8080);
	struct pair pair;

	pair_set(&pair, "v", "1");
	cmd->instance.metadata = &pair;
	cmd->instance.metadata_count = 1;
	cmd->instance.weight = 2.5;
	assert_int_equal(ask_keep(f, cmd), E_OK);
	const struct instance *i = seen(f, "cart", "10.0.0.1", 8080);

	assert_non_null(i);
	assert_true(i->weight == 2.5);
	assert_int_equal(i->family, 4);
	assert_int_equal(i->flags, INSTANCE_HEALTHY | INSTANCE_ENABLED | INSTANCE_EPHEMERAL);
	assert_string_equal(metadata_of(i, "v"), "1");
	assert_string_equal(instance_ip(i), "10.0.0.1");
	assert_int_equal(cmd->number, view_of(f, "cart")->number);
	assert_int_equal(f->views, 1);
	assert_int_equal(f->turns, 1);
	free(cmd);
}

struct order {
	bool done, turned;
	unsigned answered;
	bool after_both;
};

static void order_on_turn(void *arg, uint64_t number)
{
	struct order *o = arg;

	(void)number;
	o->turned = !o->done; /* what answers rely on comes before them */
}

static void order_on_answered(void *arg)
{
	struct order *o = arg;

	o->answered++;
	o->after_both = o->done && o->turned;
}

static void news_of_a_change_come_behind_its_answer(void **state)
{
	struct fixture *f = *state;
	struct order order = { false, false, 0, false };
	struct registry_watcher watcher = { .on_turn = order_on_turn, .on_answered = order_on_answered, .arg = &order };

	assert_int_equal(desk_watch(f->desk, &watcher), E_OK);
	struct command *cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.1", 8080);
	submit(f, cmd, &order.done);
	while (order.answered == 0)
		uv_run(&f->loop, UV_RUN_ONCE);
	free(cmd);
	assert_int_equal(order.answered, 1);
	assert_true(order.after_both);
	desk_unwatch(f->desk, &order);
}

static void the_same_registration_again_changes_nothing_but_the_beat(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, "cart", "10.0.0.1", 8080), E_OK);
	const struct service_view *before = view_of(f, "cart");

	fixture_advance(f, 7000);
	struct command *again = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.1", 8080);

	assert_int_equal(ask_keep(f, again), E_OK);
	assert_int_equal(again->number, 0);
	assert_ptr_equal(view_of(f, "cart"), before);
	assert_int_equal(seen(f, "cart", "10.0.0.1", 8080)->last_beat_ms, f->now_ms);
	free(again);
}

static void another_cluster_replaces_the_entry_of_an_address(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.1", 8080);

	assert_int_equal(reg(f, "cart", "10.0.0.1", 8080), E_OK);
	cmd->instance.cluster = "east";
	assert_int_equal(ask(f, cmd), E_OK);
	const struct service_view *v = view_of(f, "cart");

	assert_int_equal(v->count, 1);
	assert_string_equal(v->info->clusters[v->instances[0]->cluster].name, "east");
	assert_int_equal(v->info->cluster_count, 2);
}

static void the_other_kind_is_refused_until_the_service_was_cleaned(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, "cart", "10.0.0.1", 8080), E_OK);
	assert_int_equal(reg_persistent(f, "cart", "10.0.0.2", 8080), E_CONFLICT);
	assert_int_equal(f->error.what, FAIL_INSTANCE);
	assert_non_null(strstr(f->error.text, "cart"));
	assert_non_null(strstr(f->error.text, "ephemeral service"));
	assert_int_equal(dereg(f, "cart", "10.0.0.1", 8080, true), E_OK);
	assert_int_equal(reg_persistent(f, "cart", "10.0.0.2", 8080), E_CONFLICT);
	fixture_advance(f, 60001);
	f->desk->now_ms = f->now_ms;
	desk_sweep(f->desk);
	run_some(f, 1);
	assert_null(view_of(f, "cart"));
	assert_int_equal(f->gone_views, 1);
	assert_int_equal(reg_persistent(f, "cart", "10.0.0.2", 8080), E_OK);
	assert_int_equal(count_of(f, "cart"), 1);
}

static void deregistering_the_unknown_succeeds(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(dereg(f, "nothing", "10.0.0.1", 1, true), E_OK);
	assert_int_equal(reg(f, "cart", "10.0.0.1", 8080), E_OK);
	assert_int_equal(dereg(f, "cart", "10.0.0.9", 8080, true), E_OK);
	assert_int_equal(dereg(f, "cart", "10.0.0.1", 8080, false), E_OK); /* another client */
	assert_int_equal(count_of(f, "cart"), 1);
	assert_int_equal(dereg(f, "cart", "10.0.0.1", 8080, true), E_OK);
	assert_int_equal(count_of(f, "cart"), 0);
	assert_non_null(view_of(f, "cart")); /* the name stays until it is swept */
}

static void on_guard(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

/* Nothing but the desk's own timer may be needed: the fixture has stopped the sweep, and nobody else speaks. */
static void a_publication_that_was_held_back_comes_without_another_event(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.2", 8080);
	struct service_key key = key_of("cart");
	bool done, late = false;
	uv_timer_t guard;

	assert_int_equal(reg(f, "cart", "10.0.0.1", 8080), E_OK);
	struct service *s = registry_find(f->registry, &key, service_key_hash(&key));

	s->build_end_ns = clock_ns();
	s->build_ns = 3 * 1000 * 1000; /* so costly that the next one waits 30 ms */
	uv_timer_init(&f->loop, &guard);
	guard.data = &late;
	uv_update_time(&f->loop);
	uv_timer_start(&guard, on_guard, 10000, 0);
	submit(f, cmd, &done);
	run_some(f, 2);
	assert_false(done);
	assert_int_equal(count_of(f, "cart"), 1);
	/* The loop was late: the timer is due when the next iteration begins, before anything is polled. */
	s->build_end_ns -= 30 * 1000 * 1000;
	uv_timer_start(&f->desk->pace_timer, on_pace_timer, 0, 0);
	while (!done && !late)
		uv_run(&f->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&guard, NULL);
	run_some(f, 1);
	assert_false(late);
	assert_int_equal(count_of(f, "cart"), 2);
	free(cmd);
}

/* ---- durable */

static void a_persistent_registration_waits_for_the_disk(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = make_instance(CMD_INSTANCE_REGISTER, "db", "10.0.0.1", 3306);
	bool done;

	cmd->instance.ephemeral = false;
	memory_store_hold(f->desk->store);
	submit(f, cmd, &done);
	run_some(f, 5);
	assert_false(done);
	assert_null(view_of(f, "db"));
	assert_int_equal(f->registry->stat_services, 0);
	memory_store_release(f->desk->store);
	run_some(f, 5);
	run_published(f);
	assert_true(done);
	assert_int_equal(cmd->code, E_OK);
	assert_int_equal(cmd->number, view_of(f, "db")->number);
	assert_int_equal(count_of(f, "db"), 1);
	free(cmd);
}

static void a_refused_write_leaves_no_trace(void **state)
{
	struct fixture *f = *state;

	memory_store_fail_next(f->desk->store, E_FULL);
	assert_int_equal(reg_persistent(f, "db", "10.0.0.1", 3306), E_FULL);
	assert_int_equal(f->error.what, FAIL_STORE);
	assert_null(view_of(f, "db"));
	assert_int_equal(f->registry->stat_services, 0);
	assert_int_equal(f->registry->services.count, 0);
	assert_int_equal(f->registry->namespaces.count, 0);
	assert_int_equal(f->views, 0);
	assert_int_equal(reg_persistent(f, "db", "10.0.0.1", 3306), E_OK);
	memory_store_fail_next(f->desk->store, E_FULL);
	assert_int_equal(dereg(f, "db", "10.0.0.1", 3306, false), E_FULL);
	assert_int_equal(count_of(f, "db"), 1);
}

static void a_command_waits_behind_a_pending_write_to_its_service(void **state)
{
	struct fixture *f = *state;
	struct command *first = make_instance(CMD_INSTANCE_REGISTER, "db", "10.0.0.1", 3306);
	struct command *second = make_instance(CMD_INSTANCE_REGISTER, "db", "10.0.0.2", 3306);
	struct command *third = make_instance(CMD_INSTANCE_DEREGISTER, "db", "10.0.0.1", 3306);
	struct command *other = make_instance(CMD_INSTANCE_REGISTER, "web", "10.0.0.1", 80);
	bool done[4];

	first->instance.ephemeral = second->instance.ephemeral = third->instance.ephemeral = false;
	memory_store_hold(f->desk->store);
	submit(f, first, &done[0]);
	submit(f, second, &done[1]);
	submit(f, third, &done[2]);
	submit(f, other, &done[3]);
	run_some(f, 3);
	assert_true(done[3]); /* of another service: not held up */
	assert_false(done[0] || done[1] || done[2]);
	memory_store_release(f->desk->store);
	run_some(f, 10);
	run_published(f);
	assert_true(done[0] && done[1] && done[2]);
	assert_true(first->code == E_OK && second->code == E_OK && third->code == E_OK);
	assert_true(first->number < third->number);
	assert_int_equal(count_of(f, "db"), 1);
	assert_non_null(seen(f, "db", "10.0.0.2", 3306));
	assert_int_equal(f->desk->durable.locks.count, 0);
	free(first);
	free(second);
	free(third);
	free(other);
}

static void registrations_of_one_service_share_a_commit_turn(void **state)
{
	struct fixture *f = *state;
	struct command *cmds[20];
	char ips[20][24];
	bool done[20];

	assert_int_equal(reg_persistent(f, "db", "10.0.1.1", 3306), E_OK);
	memory_store_hold(f->desk->store);
	for (int i = 0; i < 20; i++) {
		snprintf(ips[i], sizeof(ips[i]), "10.0.0.%d", i + 1);
		cmds[i] = make_instance(CMD_INSTANCE_REGISTER, "db", ips[i], 3306);
		cmds[i]->instance.ephemeral = false;
		submit(f, cmds[i], &done[i]);
	}
	run_some(f, 3);
	struct store_stats stats;

	store_stats(f->desk->store, &stats);
	assert_int_equal(stats.waiting, 20);
	unsigned views = f->views;

	memory_store_release(f->desk->store);
	while (!done[19])
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(count_of(f, "db"), 21);
	assert_true(f->views - views <= 2); /* one picture for all */
	for (int i = 0; i < 20; i++) {
		assert_true(done[i]);
		free(cmds[i]);
	}
}

static const struct instance *loaded(struct fixture *f, const char *port, const struct store_entry *e)
{
	struct error error;

	assert_int_equal(row_load(f->registry, e, false, f->now_ms, &error), E_OK);
	struct service *s = registry_find(f->registry, &(struct service_key){ "public", "DEFAULT_GROUP", "cart", 6, 13, 4 },
					  service_key_hash(&(struct service_key){ "public", "DEFAULT_GROUP", "cart", 6, 13, 4 }));
	assert_non_null(s);
	desk_turn(f->desk);
	run_published(f);
	return seen(f, "cart", "10.0.0.1", (uint16_t)atoi(port));
}

/* The store's thread reads rows of instances ahead; what it cannot read is left to row_load, which says why. */
static void a_row_read_ahead_becomes_what_it_becomes_without(void **state)
{
	struct fixture *f = *state;
	static const char value[] = "{\"kind\":0,\"weight\":2.5,\"enabled\":true,\"healthy\":false,"
				    "\"metadata\":{\"a\":\"b\"},\"registered_ms\":7,\"created\":3}";
	struct store_entry e = { "/muster/1/i/00/public/DEFAULT_GROUP/cart/east/10.0.0.1/80", value, sizeof(value) - 1, 9, NULL };
	struct arena mem;
	struct error error;

	arena_init(&mem, NULL, 0, 0);
	const struct instance *plain = loaded(f, "80", &e);
	e.key = "/muster/1/i/00/public/DEFAULT_GROUP/cart/east/10.0.0.1/81";
	e.prepared = row_prepare(&e, &mem);
	assert_non_null(e.prepared);
	e.value_len = 0; /* it is not read again */
	const struct instance *ahead = loaded(f, "81", &e);
	assert_true(plain->weight == 2.5 && ahead->weight == 2.5);
	assert_int_equal(plain->flags, ahead->flags);
	assert_int_equal(plain->cluster, ahead->cluster);
	assert_int_equal(ahead->registered_ms, 7);
	assert_int_equal(plain->registered_ms, 7);

	e.value = "{\"kind\":0,";
	e.value_len = strlen(e.value);
	e.prepared = row_prepare(&e, &mem);
	assert_null(e.prepared);
	assert_int_equal(row_load(f->registry, &e, false, f->now_ms, &error), E_INVALID);
	e.key = "/muster/1/switch/check";
	assert_null(row_prepare(&e, &mem));
	arena_done(&mem);
}

static void persistent_instances_and_settings_survive_a_restart(void **state)
{
	struct fixture *f = *state;
	struct command *cmd;
	struct pair pair;

	pair_set(&pair, "zone", "a \"quoted\" one");
	assert_int_equal(reg_persistent(f, "db/x", "fe80::1%eth0", 3306), E_OK);
	cmd = make_instance(CMD_INSTANCE_PATCH, "db/x", "fe80::1%eth0", 3306);
	cmd->instance.has = HAS_METADATA | HAS_WEIGHT;
	cmd->instance.weight = 7;
	cmd->instance.metadata = &pair;
	cmd->instance.metadata_count = 1;
	assert_int_equal(ask(f, cmd), E_OK);
	cmd = make(CMD_SERVICE_CREATE, "made");
	cmd->service.protect_threshold = 0.5;
	cmd->service.metadata = &pair;
	cmd->service.metadata_count = 1;
	assert_int_equal(ask(f, cmd), E_OK);
	cmd = make(CMD_CLUSTER_UPDATE, "made");
	cluster_default(&cmd->cluster, "east");
	checker_default(&cmd->cluster.checker, CHECKER_HTTP);
	cmd->cluster.checker.path = "/h";
	cmd->cluster.check_port = 99;
	assert_int_equal(ask(f, cmd), E_OK);
	cmd = make(CMD_NAMESPACE_CREATE, NULL);
	cmd->ns.id = "dev";
	cmd->ns.name = "Development";
	assert_int_equal(ask(f, cmd), E_OK);
	cmd = make(CMD_SWITCH_SET, NULL);
	cmd->set.entry = "checkTimes";
	cmd->set.value = "5";
	assert_int_equal(ask(f, cmd), E_OK);
	uint64_t number = view_of(f, "db/x")->number;
	int64_t last_ref_ms = view_of(f, "db/x")->last_ref_ms;

	fixture_close(f);
	fixture_open(f);
	const struct instance *i = seen(f, "db/x", "fe80::1%eth0", 3306);

	assert_non_null(i);
	assert_int_equal(i->family, 6);
	assert_true(i->weight == 7);
	assert_string_equal(metadata_of(i, "zone"), "a \"quoted\" one");
	assert_true((i->flags & INSTANCE_OVERRIDDEN) != 0);
	assert_true(view_of(f, "db/x")->number > number);
	assert_true(view_of(f, "db/x")->last_ref_ms > last_ref_ms);
	const struct service_info *info = view_of(f, "made")->info;

	assert_true(info->stored && !info->ephemeral && info->protect_threshold == 0.5);
	assert_int_equal(info->cluster_count, 2);
	assert_string_equal(info->clusters[1].checker.path, "/h");
	assert_int_equal(info->clusters[1].check_port, 99);
	assert_int_equal(registry_switches(f->registry)->check_times, 5);
	struct namespace_row rows[4];
	size_t n;

	assert_int_equal(registry_namespaces(f->registry, 0, 4, rows, &n), 2);
	assert_string_equal(rows[1].name, "Development");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(a_registration_is_in_the_view_when_it_is_answered),
		TEST(news_of_a_change_come_behind_its_answer),
		TEST(the_same_registration_again_changes_nothing_but_the_beat),
		TEST(another_cluster_replaces_the_entry_of_an_address),
		TEST(the_other_kind_is_refused_until_the_service_was_cleaned),
		TEST(deregistering_the_unknown_succeeds),
		TEST(a_publication_that_was_held_back_comes_without_another_event),
		TEST(a_persistent_registration_waits_for_the_disk),
		TEST(a_refused_write_leaves_no_trace),
		TEST(a_command_waits_behind_a_pending_write_to_its_service),
		TEST(registrations_of_one_service_share_a_commit_turn),
		TEST(a_row_read_ahead_becomes_what_it_becomes_without),
		TEST(persistent_instances_and_settings_survive_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

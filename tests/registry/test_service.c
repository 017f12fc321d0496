/* test_service.c - services, clusters, namespaces, limits, names of groups, memory running out. */
#include "base/mem.h"
#include "tests/registry/fixture.h"

#include <stdlib.h>
#include <string.h>

static int create(struct fixture *f, const char *service, bool ephemeral)
{
	struct command *cmd = make(CMD_SERVICE_CREATE, service);

	cmd->service.ephemeral = ephemeral;
	return ask(f, cmd);
}

static void services_are_created_once_changed_and_deleted_when_empty(void **state)
{
	struct fixture *f = *state;
	struct command *cmd;

	assert_int_equal(create(f, "made", false), E_OK);
	assert_int_equal(create(f, "made", false), E_EXISTS);
	assert_int_equal(f->error.what, FAIL_SERVICE_EXISTS);
	cmd = make(CMD_SERVICE_UPDATE, "made");
	cmd->service.protect_threshold = 0.8;
	assert_int_equal(ask(f, cmd), E_OK);
	assert_true(view_of(f, "made")->info->protect_threshold == 0.8);
	cmd = make(CMD_SERVICE_UPDATE, "other");
	assert_int_equal(ask(f, cmd), E_NOTFOUND);
	assert_int_equal(f->error.what, FAIL_SERVICE_MISSING);
	assert_int_equal(reg(f, "made", "10.0.0.1", 80), E_CONFLICT); /* it is persistent */
	assert_int_equal(reg_persistent(f, "made", "10.0.0.1", 80), E_OK);
	assert_int_equal(ask(f, make(CMD_SERVICE_DELETE, "made")), E_CONFLICT);
	assert_int_equal(f->error.what, FAIL_SERVICE_NOT_EMPTY);
	assert_int_equal(dereg(f, "made", "10.0.0.1", 80, false), E_OK);
	fixture_advance(f, 1000000);
	f->desk->now_ms = f->now_ms;
	desk_sweep(f->desk);
	run_some(f, 3);
	assert_non_null(view_of(f, "made")); /* settings that an operator made stay */
	assert_int_equal(ask(f, make(CMD_SERVICE_DELETE, "made")), E_OK);
	assert_null(view_of(f, "made"));
	assert_int_equal(ask(f, make(CMD_SERVICE_DELETE, "made")), E_NOTFOUND);
	fixture_close(f);
	fixture_open(f);
	assert_null(view_of(f, "made"));
	assert_int_equal(create(f, "made", true), E_OK);
	assert_int_equal(reg(f, "made", "10.0.0.1", 80), E_OK);
}

static void a_removed_and_made_again_service_keeps_growing_numbers(void **state)
{
	struct fixture *f = *state;
	int64_t last = 0;

	for (int i = 0; i < 5; i++) {
		assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
		assert_true(view_of(f, "cart")->last_ref_ms > last);
		assert_int_equal(dereg(f, "cart", "10.0.0.1", 80, true), E_OK);
		last = view_of(f, "cart")->last_ref_ms;
		assert_int_equal(ask(f, make(CMD_SERVICE_DELETE, "cart")), E_OK);
		assert_null(view_of(f, "cart"));
	}
	assert_int_equal(f->registry->stat_services, 0);
	assert_int_equal(f->registry->namespaces.count, 0);
}

static void clusters_get_checkers_of_any_type(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = make(CMD_CLUSTER_UPDATE, "cart");

	cluster_default(&cmd->cluster, "east");
	assert_int_equal(ask(f, cmd), E_NOTFOUND);
	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	cmd = make(CMD_CLUSTER_UPDATE, "cart");
	cluster_default(&cmd->cluster, "DEFAULT");
	cmd->cluster.checker.kind = CHECKER_NONE;
	cmd->cluster.checker.type = "REDIS";
	assert_int_equal(ask(f, cmd), E_OK);
	const struct service_info *info = view_of(f, "cart")->info;

	assert_int_equal(info->cluster_count, 1);
	assert_true(info->clusters[0].stored);
	assert_string_equal(info->clusters[0].checker.type, "REDIS");
	assert_false(info->stored); /* settings of a cluster are not the service's */
	cmd = make(CMD_CLUSTER_UPDATE, "cart");
	cluster_default(&cmd->cluster, "a.b");
	assert_int_equal(ask(f, cmd), E_INVALID);
}

static struct command *ns(enum command_kind kind, const char *id, const char *name)
{
	struct command *cmd = make(kind, NULL);

	cmd->ns.id = id;
	cmd->ns.name = name;
	return cmd;
}

static void namespaces_are_listed_when_somebody_made_them(void **state)
{
	struct fixture *f = *state;
	struct namespace_row rows[8];
	struct command *cmd;
	size_t n;

	assert_int_equal(ask(f, ns(CMD_NAMESPACE_CREATE, "public", "x")), E_EXISTS);
	assert_int_equal(ask(f, ns(CMD_NAMESPACE_UPDATE, "dev", "x")), E_NOTFOUND);
	assert_int_equal(f->error.what, FAIL_NAMESPACE_MISSING);
	assert_int_equal(ask(f, ns(CMD_NAMESPACE_CREATE, "a b", "x")), E_INVALID);
	assert_int_equal(ask(f, ns(CMD_NAMESPACE_CREATE, "b", "x#y")), E_INVALID);
	cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.1", 80);
	cmd->key.ns = "dev";
	cmd->key.ns_len = 3;
	assert_int_equal(ask(f, cmd), E_OK); /* known implicitly now */
	assert_int_equal(registry_namespaces(f->registry, 0, 8, rows, &n), 1);
	assert_int_equal(ask(f, ns(CMD_NAMESPACE_CREATE, "dev", "Development")), E_OK);
	assert_int_equal(ask(f, ns(CMD_NAMESPACE_CREATE, "abc", "First")), E_OK);
	assert_int_equal(ask(f, ns(CMD_NAMESPACE_CREATE, "dev", "again")), E_EXISTS);
	assert_int_equal(ask(f, ns(CMD_NAMESPACE_UPDATE, "dev", "Renamed")), E_OK);
	assert_int_equal(registry_namespaces(f->registry, 0, 8, rows, &n), 3);
	assert_string_equal(rows[0].id, "public");
	assert_string_equal(rows[1].id, "abc");
	assert_string_equal(rows[2].name, "Renamed");
	assert_int_equal(rows[2].services, 1);
	assert_int_equal(registry_namespaces(f->registry, 2, 8, rows, &n), 3);
	assert_int_equal(n, 1);
	assert_string_equal(rows[0].id, "dev");
	assert_int_equal(ask(f, ns(CMD_NAMESPACE_DELETE, "dev", NULL)), E_OK);
	assert_int_equal(ask(f, ns(CMD_NAMESPACE_DELETE, "abc", NULL)), E_OK);
	assert_int_equal(ask(f, ns(CMD_NAMESPACE_DELETE, "abc", NULL)), E_NOTFOUND);
	assert_int_equal(registry_namespaces(f->registry, 0, 8, rows, &n), 1);
	memory_store_fail_next(f->desk->store, E_FULL);
	assert_int_equal(ask(f, ns(CMD_NAMESPACE_CREATE, "late", "x")), E_FULL);
	assert_int_equal(f->registry->namespaces.count, 1); /* the implicit dev */
}

static void names_of_a_group_come_sorted_and_in_pages(void **state)
{
	struct fixture *f = *state;
	const char *names[512];
	char name[16];
	size_t n;

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "s%03d", i * 7 % 200);
		assert_int_equal(reg(f, name, "10.0.0.1", 80), E_OK);
		if (i % 50 == 0)
			registry_group_names(f->registry, "public", "DEFAULT_GROUP", 0, 512, names, &n);
	}
	assert_int_equal(registry_group_names(f->registry, "public", "DEFAULT_GROUP", 0, 512, names, &n), 200);
	assert_int_equal(n, 200);
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(names[i - 1], names[i]) < 0);
	for (int i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "s%03d", i);
		dereg(f, name, "10.0.0.1", 80, true);
		assert_int_equal(ask(f, make(CMD_SERVICE_DELETE, name)), E_OK);
	}
	assert_int_equal(reg(f, "s000", "10.0.0.1", 80), E_OK);
	assert_int_equal(registry_group_names(f->registry, "public", "DEFAULT_GROUP", 1, 10, names, &n), 51);
	assert_int_equal(n, 10);
	assert_string_equal(names[0], "s150");
	assert_int_equal(registry_group_names(f->registry, "public", "nobody", 0, 10, names, &n), 0);
	assert_int_equal(registry_group_names(f->registry, "nobody", "nobody", 0, 10, names, &n), 0);
}

static void limits_are_named_when_they_are_reached(void **state)
{
	struct fixture *f = *state;
	struct command *cmd;
	struct pair pair;
	char big[2000];

	f->registry->conf.instances_per_service_max = 2;
	assert_int_equal(reg(f, "cart", "10.0.0.1", 80), E_OK);
	assert_int_equal(reg(f, "cart", "10.0.0.2", 80), E_OK);
	assert_int_equal(reg(f, "cart", "10.0.0.3", 80), E_LIMIT);
	assert_int_equal(f->error.what, FAIL_LIMIT);
	assert_non_null(strstr(f->error.text, "limits.instances_per_service"));
	f->registry->conf.services_max = 1;
	assert_int_equal(reg(f, "web", "10.0.0.3", 80), E_LIMIT);
	assert_non_null(strstr(f->error.text, "limits.services"));
	f->registry->conf.services_max = 10;
	f->registry->conf.instances_max = 2;
	assert_int_equal(reg(f, "web", "10.0.0.3", 80), E_LIMIT);
	assert_non_null(strstr(f->error.text, "limits.instances"));
	assert_int_equal(f->registry->stat_services, 1);
	f->registry->conf.instances_max = 20;
	f->registry->conf.namespaces_max = 1;
	cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.1", 80);
	cmd->key.ns = "dev";
	cmd->key.ns_len = 3;
	assert_int_equal(ask(f, cmd), E_LIMIT);
	assert_non_null(strstr(f->error.text, "limits.namespaces"));
	memset(big, 'x', sizeof(big));
	big[1025] = '\0';
	cmd = make_instance(CMD_INSTANCE_REGISTER, "web", "10.0.0.1", 80);
	pair_set(&pair, "", big);
	cmd->instance.metadata = &pair;
	cmd->instance.metadata_count = 1;
	assert_int_equal(ask(f, cmd), E_RANGE);
	assert_int_equal(f->error.what, FAIL_PARAM);
	assert_non_null(strstr(f->error.text, "1025"));
	assert_non_null(strstr(f->error.text, "1024"));
	assert_null(view_of(f, "web"));
}

static void the_protect_rule_counts_only_stored_services(void **state)
{
	struct service_info info = { .protect_threshold = 0.5 };

	(void)state;
	assert_false(view_protects(&info, 4, 0));
	info.stored = true;
	assert_true(view_protects(&info, 4, 2));
	assert_false(view_protects(&info, 4, 3));
	assert_false(view_protects(&info, 0, 0));
	info.protect_threshold = -3;
	assert_true(view_protects(&info, 4, 0)); /* as the original: 0 <= 0 */
	assert_false(view_protects(&info, 4, 1));
}

/* All or nothing: whichever allocation fails, the registry is as it was. */
static void changes_survive_every_failed_allocation(void **state)
{
	struct fixture *f = *state;
	static const enum command_kind kinds[] = { CMD_INSTANCE_REGISTER, CMD_INSTANCE_UPDATE, CMD_INSTANCE_PATCH,
						   CMD_METADATA_BATCH,	  CMD_SERVICE_CREATE,  CMD_NAMESPACE_CREATE,
						   CMD_CLUSTER_UPDATE,	  CMD_SWITCH_SET };
	struct pair pair;

	pair_set(&pair, "k", "v");
	assert_int_equal(reg(f, "base", "10.0.0.1", 80), E_OK);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		bool made = false;

		for (unsigned nth = 0; !made; nth++) {
			bool fresh = kinds[k] == CMD_INSTANCE_REGISTER || kinds[k] == CMD_SERVICE_CREATE;
			struct command *cmd = make(kinds[k], fresh ? "new" : "base");
			uint64_t services = f->registry->stat_services, instances = f->registry->stat_instances;
			size_t overlays = f->registry->overlays.count, names = f->registry->namespaces.count;
			const struct service_info *info = service_info(
			    registry_find(f->registry, &(struct service_key){ "public", "DEFAULT_GROUP", "base", 6, 13, 4 },
					  service_key_hash(&(struct service_key){ "public", "DEFAULT_GROUP", "base", 6, 13, 4 })));

			if (kinds[k] <= CMD_METADATA_BATCH) {
				cmd->instance.ip = "10.0.0.1";
				cmd->instance.port = 80;
				cmd->instance.has = HAS_METADATA;
				cmd->instance.metadata = &pair;
				cmd->instance.metadata_count = 1;
				cmd->instance.cluster = fresh ? "east" : NULL;
				pair_set(&pair, "k", kinds[k] == CMD_INSTANCE_PATCH ? "w" : "v");
				if (kinds[k] == CMD_METADATA_BATCH)
					pair_set(&pair, "z", "z");
			} else if (kinds[k] == CMD_NAMESPACE_CREATE) {
				cmd->ns.id = "dev";
			} else if (kinds[k] == CMD_CLUSTER_UPDATE) {
				cluster_default(&cmd->cluster, "west");
			} else if (kinds[k] == CMD_SWITCH_SET) {
				cmd->set.entry = "check";
				cmd->set.value = "true";
			}
			mem_fail_at(nth);
			int rc = registry_apply(f->registry, cmd, f->now_ms, (uint64_t)store_number(f->desk->store),
						&f->error);

			made = !mem_fail_off();
			if (!made && rc == E_NOMEM) {
				assert_int_equal(f->registry->stat_services, services);
				assert_int_equal(f->registry->stat_instances, instances);
				assert_int_equal(f->registry->overlays.count, overlays);
				assert_int_equal(f->registry->namespaces.count, names);
				assert_ptr_equal(info, service_info(registry_find(f->registry, &(struct service_key){ "public", "DEFAULT_GROUP", "base", 6, 13, 4 },
					  service_key_hash(&(struct service_key){ "public", "DEFAULT_GROUP", "base", 6, 13, 4 }))));
			} else {
				assert_int_equal(rc, E_OK);
				made = true;
			}
			free(cmd);
		}
		if (kinds[k] == CMD_INSTANCE_REGISTER) { /* make room for the next */
			run_some(f, 2);
			assert_int_equal(dereg(f, "new", "10.0.0.1", 80, true), E_OK);
			assert_int_equal(ask(f, make(CMD_SERVICE_DELETE, "new")), E_OK);
		}
	}
}

/* The view cannot be built: the answer waits, and comes when memory is there again. */
static void an_answer_waits_for_a_view_that_memory_is_short_for(void **state)
{
	struct fixture *f = *state;
	struct command *cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", "10.0.0.1", 80);
	bool done = false;
	int rc;

	cmd->owner = &done;
	rc = registry_apply(f->registry, cmd, f->now_ms, (uint64_t)store_number(f->desk->store), &f->error);
	assert_int_equal(rc, E_OK);
	free(cmd);
	/* A view over SLAB_MAX comes from the heap, so that it can be refused. */
	for (int i = 0; i < 300; i++) {
		char ip[24];

		snprintf(ip, sizeof(ip), "10.0.%d.%d", 1 + i / 250, i % 250);
		cmd = make_instance(CMD_INSTANCE_REGISTER, "cart", ip, 80);
		assert_int_equal(registry_apply(f->registry, cmd, f->now_ms, (uint64_t)store_number(f->desk->store), &f->error), E_OK);
		free(cmd);
	}
	mem_fail_at(0);
	desk_turn(f->desk);
	assert_true(mem_fail_off());
	assert_null(view_of(f, "cart"));
	desk_turn(f->desk);
	assert_int_equal(count_of(f, "cart"), 301);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(services_are_created_once_changed_and_deleted_when_empty),
		TEST(a_removed_and_made_again_service_keeps_growing_numbers),
		TEST(clusters_get_checkers_of_any_type),
		TEST(namespaces_are_listed_when_somebody_made_them),
		TEST(names_of_a_group_come_sorted_and_in_pages),
		TEST(limits_are_named_when_they_are_reached),
		TEST(the_protect_rule_counts_only_stored_services),
		TEST(changes_survive_every_failed_allocation),
		TEST(an_answer_waits_for_a_view_that_memory_is_short_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

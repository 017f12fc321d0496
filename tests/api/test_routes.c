/* The table of routes, row by row, and how paths find their rows. */
#include "tests/base/unit.h"

#include "api/handlers.h"
#include "api/doors.h"
#include "api/routes.h"
#include "tests/api/nacos_routes.h"

/* Every path of Nacos that the references name, 1.x to 3.x, naming, config, access, core and console. */
static const char *const nacos_paths[] = {
	"/actuator/health",
	"/actuator/prometheus",
	"/prometheus",
	"/prometheus/namespaceId/public",
	"/prometheus/namespaceId/public/service/a",
	"/serverlist",
	"/v1/as/nodes",
	"/v1/auth/login",
	"/v1/auth/permissions",
	"/v1/auth/roles",
	"/v1/auth/roles/search",
	"/v1/auth/users",
	"/v1/auth/users/admin",
	"/v1/auth/users/login",
	"/v1/auth/users/password",
	"/v1/auth/users/search",
	"/v1/console/health/liveness",
	"/v1/console/health/readiness",
	"/v1/console/namespaces",
	"/v1/console/server/state",
	"/v1/core/cluster/health",
	"/v1/core/cluster/nodes",
	"/v1/core/cluster/report",
	"/v1/core/cluster/self",
	"/v1/core/cluster/server/leave",
	"/v1/core/cluster/simple/nodes",
	"/v1/core/cluster/switch/lookup",
	"/v1/core/ops/idInfo",
	"/v1/core/ops/raft",
	"/v1/cs/capacity",
	"/v1/cs/communication/configWatchers",
	"/v1/cs/communication/dataChange",
	"/v1/cs/communication/watcherConfigs",
	"/v1/cs/configs",
	"/v1/cs/configs/catalog",
	"/v1/cs/configs/listener",
	"/v1/cs/health",
	"/v1/cs/history",
	"/v1/cs/history/configs",
	"/v1/cs/history/previous",
	"/v1/cs/listener",
	"/v1/cs/metrics/cluster",
	"/v1/cs/metrics/current",
	"/v1/cs/ops/data/removal",
	"/v1/cs/ops/derby",
	"/v1/cs/ops/localCache",
	"/v1/cs/ops/log",
	"/v1/ns/api/allDomNames",
	"/v1/ns/api/clientBeat",
	"/v1/ns/api/srvIPXT",
	"/v1/ns/catalog/instances",
	"/v1/ns/catalog/service",
	"/v1/ns/catalog/services",
	"/v1/ns/cluster",
	"/v1/ns/distro/datum",
	"/v1/ns/health",
	"/v1/ns/health/checkers",
	"/v1/ns/health/instance",
	"/v1/ns/health/server",
	"/v1/ns/instance",
	"/v1/ns/instance/beat",
	"/v1/ns/instance/list",
	"/v1/ns/instance/metadata/batch",
	"/v1/ns/instance/statuses",
	"/v1/ns/operator/cluster/state",
	"/v1/ns/operator/cluster/states",
	"/v1/ns/operator/distro/client",
	"/v1/ns/operator/distro/server",
	"/v1/ns/operator/distro/status",
	"/v1/ns/operator/log",
	"/v1/ns/operator/metrics",
	"/v1/ns/operator/push/state",
	"/v1/ns/operator/server/status",
	"/v1/ns/operator/servers",
	"/v1/ns/operator/switches",
	"/v1/ns/ops/metrics",
	"/v1/ns/ops/switches",
	"/v1/ns/raft/leader",
	"/v1/ns/service",
	"/v1/ns/service/checksum",
	"/v1/ns/service/list",
	"/v1/ns/service/names",
	"/v1/ns/service/selector/types",
	"/v1/ns/service/status",
	"/v1/ns/service/subscribers",
	"/v2/console/health/liveness",
	"/v2/console/health/readiness",
	"/v2/console/namespace",
	"/v2/console/namespace/list",
	"/v2/core/cluster/lookup",
	"/v2/core/cluster/node/list",
	"/v2/core/cluster/node/self",
	"/v2/core/cluster/node/self/health",
	"/v2/core/cluster/nodes",
	"/v2/core/loader/cluster",
	"/v2/core/loader/current",
	"/v2/core/loader/reloadClient",
	"/v2/core/loader/reloadCurrent",
	"/v2/core/loader/smartReloadCluster",
	"/v2/core/ops/ids",
	"/v2/cs/config",
	"/v2/cs/config/searchDetail",
	"/v2/cs/history",
	"/v2/cs/history/configs",
	"/v2/cs/history/detail",
	"/v2/cs/history/list",
	"/v2/cs/history/previous",
	"/v2/ns/catalog/instances",
	"/v2/ns/client",
	"/v2/ns/client/list",
	"/v2/ns/client/publish/list",
	"/v2/ns/client/service/publisher/list",
	"/v2/ns/client/service/subscriber/list",
	"/v2/ns/client/subscribe/list",
	"/v2/ns/health",
	"/v2/ns/health/instance",
	"/v2/ns/instance",
	"/v2/ns/instance/beat",
	"/v2/ns/instance/list",
	"/v2/ns/instance/metadata/batch",
	"/v2/ns/instance/statuses/g@@s",
	"/v2/ns/operator/metrics",
	"/v2/ns/operator/switches",
	"/v2/ns/ops/switches",
	"/v2/ns/service",
	"/v2/ns/service/list",
	"/v3/admin/ai/mcp",
	"/v3/admin/core/cluster/lookup",
	"/v3/admin/core/cluster/node/list",
	"/v3/admin/core/cluster/node/self",
	"/v3/admin/core/loader/cluster",
	"/v3/admin/core/loader/current",
	"/v3/admin/core/loader/reloadClient",
	"/v3/admin/core/loader/reloadCurrent",
	"/v3/admin/core/loader/smartReloadCluster",
	"/v3/admin/core/namespace",
	"/v3/admin/core/namespace/check",
	"/v3/admin/core/namespace/list",
	"/v3/admin/core/ops/ids",
	"/v3/admin/core/ops/log",
	"/v3/admin/core/ops/raft",
	"/v3/admin/core/ops/readiness",
	"/v3/admin/core/state",
	"/v3/admin/core/state/liveness",
	"/v3/admin/core/state/readiness",
	"/v3/admin/cs/capacity",
	"/v3/admin/cs/config",
	"/v3/admin/cs/config/batch",
	"/v3/admin/cs/config/beta",
	"/v3/admin/cs/config/clone",
	"/v3/admin/cs/config/export",
	"/v3/admin/cs/config/import",
	"/v3/admin/cs/config/list",
	"/v3/admin/cs/config/listener",
	"/v3/admin/cs/history",
	"/v3/admin/cs/history/configs",
	"/v3/admin/cs/history/list",
	"/v3/admin/cs/history/previous",
	"/v3/admin/cs/listener",
	"/v3/admin/cs/metrics/cluster",
	"/v3/admin/cs/metrics/ip",
	"/v3/admin/cs/ops/derby",
	"/v3/admin/cs/ops/derby/import",
	"/v3/admin/cs/ops/localCache",
	"/v3/admin/cs/ops/log",
	"/v3/admin/ns/client",
	"/v3/admin/ns/client/distro",
	"/v3/admin/ns/client/list",
	"/v3/admin/ns/client/publish/list",
	"/v3/admin/ns/client/service/publisher/list",
	"/v3/admin/ns/client/service/subscriber/list",
	"/v3/admin/ns/client/subscribe/list",
	"/v3/admin/ns/cluster",
	"/v3/admin/ns/health/checkers",
	"/v3/admin/ns/health/instance",
	"/v3/admin/ns/instance",
	"/v3/admin/ns/instance/list",
	"/v3/admin/ns/instance/metadata/batch",
	"/v3/admin/ns/instance/partial",
	"/v3/admin/ns/ops/log",
	"/v3/admin/ns/ops/metrics",
	"/v3/admin/ns/ops/switches",
	"/v3/admin/ns/service",
	"/v3/admin/ns/service/list",
	"/v3/admin/ns/service/selector/types",
	"/v3/admin/ns/service/subscribers",
	"/v3/auth/permission",
	"/v3/auth/permission/list",
	"/v3/auth/role",
	"/v3/auth/role/list",
	"/v3/auth/role/search",
	"/v3/auth/user",
	"/v3/auth/user/admin",
	"/v3/auth/user/list",
	"/v3/auth/user/login",
	"/v3/auth/user/search",
	"/v3/client/ai/prompt",
	"/v3/client/ai/skills",
	"/v3/client/ns/instance",
	"/v3/client/ns/instance/list",
	"/v3/console/ai/mcp",
	"/v3/console/core/cluster/nodes",
	"/v3/console/core/namespace",
	"/v3/console/cs/config",
	"/v3/console/cs/history",
	"/v3/console/health/liveness",
	"/v3/console/ns/instance",
	"/v3/console/ns/service",
	"/v3/console/server/state",
};

static struct route_map *map;

static int setup(void **state)
{
	(void)state;
	return route_map_new(&map);
}

static int teardown(void **state)
{
	(void)state;
	route_map_free(map);
	return 0;
}

static const struct route *find(unsigned method, const char *path, unsigned *allowed)
{
	return route_match(map, method, path, strlen(path), allowed);
}

static void every_row_runs_something_and_is_found_by_its_own_path(void **state)
{
	(void)state;
	for (size_t i = 0; i < route_count(); i++) {
		const struct route *row = route_at(i);
		unsigned allowed;
		assert_non_null(row->run);
		assert_int_equal(row->path[0], '/');
		assert_true(row->methods != 0 && (row->methods & ~(unsigned)M_ANY) == 0);
		assert_true(strlen(row->path) <= ROUTE_PATH_MAX);
		assert_int_equal(row->class == CLASS_NOT_BUILT, row->run == route_not_built);
		for (unsigned m = M_GET; m <= M_PATCH; m <<= 1)
			assert_int_equal(find(m, row->path, &allowed) == row, (row->methods & m) != 0);
		assert_true((allowed & row->methods) == row->methods);
	}
	assert_null(route_at(route_count()));
}

static void every_path_of_nacos_is_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(nacos_paths) / sizeof(nacos_paths[0]); i++) {
		unsigned allowed;
		char with_context[300];
		find(M_GET, nacos_paths[i], &allowed);
		if (allowed == 0)
			fail_msg("unknown: %s", nacos_paths[i]);
		snprintf(with_context, sizeof(with_context), "/nacos%s", nacos_paths[i]);
		find(M_GET, with_context, &allowed);
		assert_true(allowed != 0);
	}
}

static unsigned method_of_name(const char *name)
{
	for (unsigned m = M_GET; m <= M_PATCH; m <<= 1)
		if (strcmp(name, route_method_name(m)) == 0)
			return m;
	fail_msg("no such method: %s", name);
	return 0;
}

/* Each is answered, be it with 501 and the reason. */
static void every_route_of_the_controllers_of_nacos_has_a_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(nacos_routes) / sizeof(nacos_routes[0]); i++) {
		unsigned allowed;
		if (find(method_of_name(nacos_routes[i].method), nacos_routes[i].path, &allowed) == NULL)
			fail_msg("no row: %s %s", nacos_routes[i].method, nacos_routes[i].path);
	}
}

static void manners_follow_the_path(void **state)
{
	(void)state;
	for (size_t i = 0; i < route_count(); i++) {
		const struct route *row = route_at(i);
		enum face face = strncmp(row->path, "/v1/", 4) == 0   ? FACE_V1
				 : strncmp(row->path, "/v2/", 4) == 0 ? FACE_V2
				 : strncmp(row->path, "/v3/", 4) == 0 ? FACE_V3
								      : FACE_NATIVE;
		assert_int_equal(row->face, face);
	}
}

static void context_path_and_last_slash_are_optional(void **state)
{
	(void)state;
	unsigned allowed;
	const struct route *row = find(M_GET, "/v1/ns/instance/list", &allowed);
	assert_non_null(row);
	assert_ptr_equal(find(M_GET, "/nacos/v1/ns/instance/list", &allowed), row);
	assert_ptr_equal(find(M_GET, "/nacos/v1/ns/instance/list/", &allowed), row);
	assert_null(find(M_GET, "/nacos/nacos/v1/ns/instance/list", &allowed));
	assert_int_equal(allowed, 0);
}

static void a_wrong_method_says_which_are_right(void **state)
{
	(void)state;
	unsigned allowed;
	assert_null(find(M_DELETE, "/v1/ns/instance/list", &allowed));
	assert_int_equal(allowed, M_GET);
	assert_null(find(0, "/v1/ns/instance", &allowed));
	assert_int_equal(allowed, M_GET | M_POST | M_PUT | M_DELETE | M_PATCH);
}

static void a_star_takes_what_follows_and_nothing_before(void **state)
{
	(void)state;
	unsigned allowed;
	assert_non_null(find(M_GET, "/v2/ns/instance/statuses/g@@s", &allowed));
	assert_non_null(find(M_POST, "/v1/ns/raft/a/b/c", &allowed));
	assert_null(find(M_GET, "/v2/ns/instance/statuses", &allowed));
	assert_null(find(M_GET, "/a/b/c/d/e/f/g/h/i/j", &allowed));
	char deep[400];
	memset(deep, '/', sizeof(deep));
	assert_null(route_match(map, M_GET, deep, sizeof(deep), &allowed));
	assert_null(route_match(map, M_GET, deep, 255, &allowed));
	assert_null(route_match(map, M_GET, "", 0, &allowed));
}

static void near_misses_come_best_first(void **state)
{
	(void)state;
	const struct route *near[5];
	size_t n = route_near("/nacos/v1/ns/instnce/list", 25, near, 5);
	assert_true(n > 0);
	assert_string_equal(near[0]->path, "/v1/ns/instance/list");
	n = route_near("/helth", 6, near, 5);
	assert_true(n > 0);
	assert_string_equal(near[0]->path, "/health");
	assert_int_equal(route_near("/zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", 50, near, 5), 0);
	for (size_t i = 0; i < 200; i++) {
		char path[200];
		memset(path, 'a' + (char)(i % 26), sizeof(path));
		assert_true(route_near(path, i, near, 3) <= 3);
	}
}

static bool passes(unsigned method, const char *path, enum door_kind kind)
{
	unsigned allowed;
	const struct route *row = find(method, path, &allowed);
	assert_non_null(row);
	return route_is_for(row, kind);
}

static void operators_and_clients_have_doors_of_their_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < route_count(); i++) /* no row is shut in everywhere */
		assert_true(route_is_for(route_at(i), DOOR_PUBLIC) || route_is_for(route_at(i), DOOR_OPERATOR));
	assert_false(passes(M_GET, "/metrics", DOOR_PUBLIC));
	assert_false(passes(M_PUT, "/v1/ns/operator/switches", DOOR_PUBLIC));
	assert_false(passes(M_PUT, "/muster/v1/log", DOOR_PUBLIC));
	assert_true(passes(M_PUT, "/muster/v1/log", DOOR_OPERATOR));
	assert_false(passes(M_POST, "/v1/ns/instance", DOOR_OPERATOR));
	assert_true(passes(M_POST, "/v1/ns/instance", DOOR_PUBLIC));
	/* SDKs take a server for down that does not answer these. */
	assert_true(passes(M_GET, "/v1/ns/operator/metrics", DOOR_PUBLIC));
	assert_true(passes(M_GET, "/v3/admin/core/state/liveness", DOOR_PUBLIC));
	assert_true(passes(M_GET, "/v1/console/health/readiness", DOOR_PUBLIC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_runs_something_and_is_found_by_its_own_path),
		cmocka_unit_test(every_path_of_nacos_is_known),
		cmocka_unit_test(manners_follow_the_path),
		cmocka_unit_test(context_path_and_last_slash_are_optional),
		cmocka_unit_test(a_wrong_method_says_which_are_right),
		cmocka_unit_test(a_star_takes_what_follows_and_nothing_before),
		cmocka_unit_test(every_route_of_the_controllers_of_nacos_has_a_row),
		cmocka_unit_test(near_misses_come_best_first),
		cmocka_unit_test(operators_and_clients_have_doors_of_their_own),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

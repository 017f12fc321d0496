/* test_probe_mysql.c - MYSQL probes against a real MariaDB server that the test starts, and against servers that
 * only pretend to be one. Without mariadbd the tests that need it are skipped; with CI=true that is a failure. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "health/prober.h"
#include "tests/health/fake_desk.h"
#include "tests/health/listener.h"
#include "tests/support/mariadb.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { PATIENCE_MS = 20000 };
static const char read_only[] = "show global variables where variable_name='read_only'";

struct fixture {
	struct mariadb *server; /* of the group */
	struct desk *desk;
	struct prober *prober;
	struct service *service;
};

static int start_server(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));
	const char *why, *ci = getenv("CI");
	f->server = mariadb_start(&why);
	*state = f;
	if (f->server == NULL) {
		fprintf(stderr, "# skipped: %s\n", why);
		return ci != NULL && strcmp(ci, "true") == 0 ? -1 : 0;
	}
	return mariadb_sql(f->server, "create user probe@'127.0.0.1' identified by 'secret'") ? 0 : -1;
}

static int stop_server(void **state)
{
	struct fixture *f = *state;
	mariadb_free(f->server);
	mem_free(f);
	return 0;
}

static int setup(void **state)
{
	struct fixture *f = *state;
	rcu_thread_start();
	f->desk = fake_desk_new();
	struct switches *s = fake_switches(f->desk);
	s->mysql = (struct check_params){ 100, 50, 0.5 };
	fake_publish(f->desk, s);
	assert_int_equal(prober_start(&f->prober, f->desk, &(struct prober_conf){ 20000, 64 }, NULL), E_OK);
	fake_watch(f->desk, prober_watcher(f->prober));
	f->service = fake_service(f->desk, "db", false);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	prober_stop(f->prober);
	fake_desk_free(f->desk);
	prober_free(f->prober);
	rcu_thread_stop();
	return 0;
}

static void check_with(struct fixture *f, const char *password, const char *command)
{
	fake_checker(f->desk, f->service,
		     &(struct checker){ .kind = CHECKER_MYSQL, .user = "probe", .password = password, .command = command },
		     80, true);
}

static const char *await(struct fixture *f, uint16_t port, bool healthy)
{
	int64_t until = clock_ms() + PATIENCE_MS;
	for (;;) {
		struct instance *i = fake_find(f->desk, f->service, "127.0.0.1", port);
		if (((i->flags & INSTANCE_HEALTHY) != 0) == healthy)
			return instance_reason(i);
		if (clock_ms() > until || fake_await(f->desk, PATIENCE_MS) == 0)
			return "no verdict came";
	}
}

static uint64_t probes(const char *result)
{
	char labels[64];
	snprintf(labels, sizeof(labels), "kind=\"mysql\",result=\"%s\"", result);
	return metrics_value(metrics_counter("probes_total", "Probes that ended.", labels));
}

static uint16_t need_server(struct fixture *f)
{
	if (f->server == NULL)
		skip();
	return mariadb_port(f->server);
}

static void a_server_that_answers_becomes_healthy_and_stays(void **state)
{
	struct fixture *f = *state;
	uint16_t port = need_server(f);
	check_with(f, "secret", "select 1");
	fake_add_state(f->desk, f->service, "127.0.0.1", port, false);
	assert_string_equal(await(f, port, true), "");
	uint64_t ok = probes("ok"), bad = probes("failure") + probes("failure_at_once");
	int64_t until = clock_ms() + PATIENCE_MS;
	while (probes("ok") < ok + 20 && clock_ms() < until)
		usleep(1000); /* over the kept connection */
	assert_true(probes("ok") >= ok + 20);
	assert_int_equal(probes("failure") + probes("failure_at_once"), bad);
}

static void a_command_without_rows_is_a_success(void **state)
{
	struct fixture *f = *state;
	uint16_t port = need_server(f);
	check_with(f, "secret", "set @probe = 1");
	fake_add_state(f->desk, f->service, "127.0.0.1", port, false);
	assert_string_equal(await(f, port, true), "");
}

static void a_large_answer_is_drained(void **state)
{
	struct fixture *f = *state;
	uint16_t port = need_server(f);
	check_with(f, "secret", "select repeat('x', 1000) from information_schema.collations limit 300");
	fake_add_state(f->desk, f->service, "127.0.0.1", port, false);
	assert_string_equal(await(f, port, true), "");
}

static void a_replica_is_found_by_its_read_only_variable(void **state)
{
	struct fixture *f = *state;
	uint16_t port = need_server(f);
	check_with(f, "secret", read_only);
	fake_add_state(f->desk, f->service, "127.0.0.1", port, false);
	assert_string_equal(await(f, port, true), "");
	uint64_t before = probes("failure");
	assert_true(mariadb_sql(f->server, "set global read_only = 1"));
	const char *reason = await(f, port, false);
	assert_true(mariadb_sql(f->server, "set global read_only = 0"));
	assert_string_equal(reason, "read-only");
	assert_true(probes("failure") >= before + 3); /* an ordinary failure */
	assert_string_equal(await(f, port, true), "");
}

static void only_the_exact_command_text_has_the_read_only_rule(void **state)
{
	struct fixture *f = *state;
	uint16_t port = need_server(f);
	check_with(f, "secret", "show global variables where variable_name = 'read_only'");
	assert_true(mariadb_sql(f->server, "set global read_only = 1"));
	fake_add_state(f->desk, f->service, "127.0.0.1", port, false);
	const char *reason = await(f, port, true);
	assert_true(mariadb_sql(f->server, "set global read_only = 0"));
	assert_string_equal(reason, "");
}

static void a_wrong_password_flips_at_once(void **state)
{
	struct fixture *f = *state;
	uint16_t port = need_server(f);
	check_with(f, "wrong", "select 1");
	uint64_t before = probes("failure");
	fake_add(f->desk, f->service, "127.0.0.1", port);
	assert_string_equal(await(f, port, false), "login refused");
	assert_int_equal(probes("failure"), before);
}

static void a_broken_command_flips_at_once_and_names_the_error(void **state)
{
	struct fixture *f = *state;
	uint16_t port = need_server(f);
	check_with(f, "secret", "select * from mysql.no_such_table_here");
	fake_add(f->desk, f->service, "127.0.0.1", port);
	const char *reason = await(f, port, false);
	if (strcmp(reason, "SQL error 1142") != 0) /* denied before it is looked up */
		assert_string_equal(reason, "SQL error 1146");
	check_with(f, "secret", "selekt 1");
	fake_add(f->desk, f->service, "127.0.0.1", port);
	assert_string_equal(await(f, port, false), "SQL error 1064");
}

static void a_command_that_takes_too_long_is_a_time_out(void **state)
{
	struct fixture *f = *state;
	uint16_t port = need_server(f);
	check_with(f, "secret", "select sleep(60)");
	fake_add(f->desk, f->service, "127.0.0.1", port);
	assert_string_equal(await(f, port, false), "timeout");
}

static void a_server_that_stops_flips_and_comes_back(void **state)
{
	struct fixture *f = *state;
	uint16_t port = need_server(f);
	check_with(f, "secret", "select 1");
	fake_add_state(f->desk, f->service, "127.0.0.1", port, false);
	assert_string_equal(await(f, port, true), "");
	mariadb_halt(f->server);
	const char *reason = await(f, port, false); /* one that was connecting at that moment sees it hang up */
	assert_true(mariadb_resume(f->server));
	if (strcmp(reason, "connect error") != 0 && strcmp(reason, "connection lost") != 0)
		assert_string_equal(reason, "connect refused");
	assert_string_equal(await(f, port, true), "");
}

static void a_lost_connection_is_made_anew_without_a_failure(void **state)
{
	struct fixture *f = *state;
	uint16_t port = need_server(f);
	check_with(f, "secret", "select 1");
	fake_add_state(f->desk, f->service, "127.0.0.1", port, false);
	assert_string_equal(await(f, port, true), "");
	uint64_t ok = probes("ok"), bad = probes("failure") + probes("failure_at_once");
	assert_true(mariadb_sql(f->server, "kill user probe@'127.0.0.1'"));
	int64_t until = clock_ms() + PATIENCE_MS;
	while (probes("ok") < ok + 5 && clock_ms() < until)
		usleep(1000);
	assert_true(probes("ok") >= ok + 5);
	assert_int_equal(probes("failure") + probes("failure_at_once"), bad);
}

static void a_refused_connection_flips_at_once(void **state)
{
	struct fixture *f = *state;
	uint16_t port;
	int fd = port_that_refuses(&port);
	check_with(f, "secret", "select 1");
	fake_add(f->desk, f->service, "127.0.0.1", port);
	assert_string_equal(await(f, port, false), "connect refused");
	close(fd);
}

static void a_server_that_never_greets_is_a_time_out(void **state)
{
	struct fixture *f = *state;
	struct listener *l = listener_new(false);
	check_with(f, "secret", "select 1");
	fake_add(f->desk, f->service, "127.0.0.1", listener_port(l));
	assert_string_equal(await(f, listener_port(l), false), "timeout");
	listener_free(l);
}

static void a_host_that_is_silent_is_a_time_out(void **state)
{
	struct fixture *f = *state;
	struct silent s;
	silent_open(&s);
	check_with(f, "secret", "select 1");
	fake_add(f->desk, f->service, "127.0.0.1", s.port);
	assert_string_equal(await(f, s.port, false), "timeout");
	silent_close(&s);
}

static void stopping_in_the_middle_of_a_login_and_a_command_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct listener *l = listener_new(false);
	check_with(f, "secret", "select sleep(60)");
	fake_add(f->desk, f->service, "127.0.0.1", listener_port(l));
	if (f->server != NULL)
		fake_add(f->desk, f->service, "127.0.0.1", mariadb_port(f->server));
	uint64_t before = probes("failure");
	int64_t until = clock_ms() + PATIENCE_MS;
	while (probes("failure") == before && clock_ms() < until)
		usleep(1000);
	prober_stop(f->prober);
	prober_free(f->prober);
	listener_free(l);
	fake_watch(f->desk, (struct registry_watcher){ 0 });
	assert_int_equal(prober_start(&f->prober, f->desk, &(struct prober_conf){ 1000, 4 }, NULL), E_OK);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(a_server_that_answers_becomes_healthy_and_stays),
		WITH(a_command_without_rows_is_a_success),
		WITH(a_large_answer_is_drained),
		WITH(a_replica_is_found_by_its_read_only_variable),
		WITH(only_the_exact_command_text_has_the_read_only_rule),
		WITH(a_wrong_password_flips_at_once),
		WITH(a_broken_command_flips_at_once_and_names_the_error),
		WITH(a_command_that_takes_too_long_is_a_time_out),
		WITH(a_server_that_stops_flips_and_comes_back),
		WITH(a_lost_connection_is_made_anew_without_a_failure),
		WITH(a_refused_connection_flips_at_once),
		WITH(a_server_that_never_greets_is_a_time_out),
		WITH(a_host_that_is_silent_is_a_time_out),
		WITH(stopping_in_the_middle_of_a_login_and_a_command_leaves_nothing),
	};
	return cmocka_run_group_tests_name("probe_mysql", tests, start_server, stop_server);
}

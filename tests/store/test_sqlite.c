/* What only the SQLite backend has: opening, group commit, a disk that refuses, views, the check. */
#include "tests/store/fixture.h"
#include "base/clock.h"
#include "tests/support/crash_vfs.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

static void file_sql(const struct fixture *f, const char *sql)
{
	free(fixture_sql(f, sql));
}

static void open_refused(struct fixture *f, int code)
{
	struct store *store = f->store;
	assert_int_equal(fixture_open(f), code);
	assert_ptr_equal(f->store, store);
	assert_non_null(strstr(f->err.text, "muster.db"));
}

/* ---- opening */

static void a_newer_schema_is_refused_with_both_versions(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	fixture_close(f);
	file_sql(f, "PRAGMA user_version=7");
	open_refused(f, E_CONFLICT);
	assert_non_null(strstr(f->err.text, "schema version 7"));
	assert_non_null(strstr(f->err.text, "up to 1"));
}

static void another_programs_database_is_refused_and_left_alone(void **state)
{
	struct fixture *f = *state;
	file_sql(f, "PRAGMA application_id=252006674; CREATE TABLE track(x)");
	open_refused(f, E_CONFLICT);
	assert_non_null(strstr(f->err.text, "252006674"));
	char *tables = fixture_sql(f, "SELECT name FROM sqlite_schema");
	assert_string_equal(tables, "track\n");
	free(tables);
}

static void what_is_no_database_is_refused(void **state)
{
	struct fixture *f = *state;
	char *path = fixture_path(f, "muster.db"), text[4096];
	memset(text, 'x', sizeof(text));
	int fd = open(path, O_CREAT | O_WRONLY, 0644);
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	close(fd);
	open_refused(f, E_CONFLICT);
	assert_non_null(strstr(f->err.text, "not a database"));
	free(path);
}

static void a_missing_directory_is_named(void **state)
{
	struct fixture *f = *state;
	char *path = fixture_path(f, "not-there");
	f->conf.data_dir = path;
	open_refused(f, E_IO);
	assert_non_null(strstr(f->err.text, "not-there"));
	f->conf.data_dir = f->dir;
	free(path);
	f->conf.url = "redis://x";
	assert_int_equal(fixture_open(f), E_INVALID);
}

static void the_meta_rows_stay_with_the_store(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	char *rows = fixture_sql(f, "SELECT count(*) FROM kv WHERE key LIKE '/muster/1/meta/%'");
	assert_string_equal(rows, "2\n");
	assert_int_equal(f->row_count, 0);
	free(rows);
}

/* ---- group commit */

static void waiting_batches_share_a_transaction(void **state)
{
	struct fixture *f = *state;
	struct store_stats stats;
	assert_int_equal(fixture_open(f), E_OK);
	struct store_cond never = { STORE_COND_EXISTS, "/never", 0 };
	for (int i = 0; i < 1000; i++) {
		char key[32];
		snprintf(key, sizeof(key), "/k%04d", i);
		struct store_op op = { key, "v", 1 };
		fixture_commit(f, &(struct store_batch){ &never, i % 10 == 0, &op, 1 }, i);
	}
	store_stats(f->store, &stats);
	assert_int_equal(stats.waiting, 1000);
	fixture_answers(f, 1000);
	store_stats(f->store, &stats);
	assert_int_equal(stats.commits, 900);
	assert_int_equal(stats.refused, 100);
	assert_int_equal(stats.waiting, 0);
	assert_true(stats.transactions < 20);
	assert_true(stats.last_commit_sec > 0);
	fixture_reopen(f);
	assert_int_equal(f->row_count, 900);
}

/* ---- a disk that refuses */

static int setup_crash(void **state)
{
	fixture_setup_sqlite(state);
	struct fixture *f = *state;
	f->conf.vfs = "crash";
	return 0;
}

static void a_full_disk_refuses_with_the_reason_and_recovers(void **state)
{
	struct fixture *f = *state;
	struct crash_vfs *v = crash_vfs_new("crash");
	assert_int_equal(fixture_open(f), E_OK);
	assert_int_equal(fixture_put_now(f, "/before", "1")->code, E_OK);
	crash_vfs_space(v, 0);
	struct store_op ops[] = { { "/a", "1", 1 }, { "/b", "1", 1 }, { "/before", NULL, 0 } };
	const struct answer *a = fixture_commit_now(f, &(struct store_batch){ .ops = ops, .op_count = 3 });
	assert_int_equal(a->code, E_FULL);
	assert_non_null(strstr(a->text, "muster.db"));
	assert_non_null(strstr(a->text, "full"));
	assert_int_equal(f->state, STORE_FULL);
	assert_non_null(strstr(f->reason, "muster.db"));
	assert_int_equal(fixture_put_now(f, "/c", "1")->code, E_FULL);
	crash_vfs_space(v, -1);
	assert_int_equal(fixture_put_now(f, "/after", "1")->code, E_OK);
	assert_int_equal(f->state, STORE_LIVE);
	assert_int_equal(f->states, 3); /* live, full, live: each once */
	fixture_reopen(f);
	assert_int_equal(f->row_count, 2);
	assert_non_null(fixture_row(f, "/before"));
	assert_non_null(fixture_row(f, "/after"));
	fixture_close(f);
	crash_vfs_free(v);
}

static void one_large_value_does_not_refuse_its_neighbours(void **state)
{
	struct fixture *f = *state;
	struct crash_vfs *v = crash_vfs_new("crash");
	assert_int_equal(fixture_open(f), E_OK);
	crash_vfs_space(v, 300000);
	char *big = malloc(1000000);
	memset(big, 'x', 1000000);
	struct store_op op = { "/big", big, 1000000 };
	for (int i = 0; i < 10; i++) {
		char key[32];
		snprintf(key, sizeof(key), "/k%d", i);
		if (i == 5)
			fixture_commit(f, &(struct store_batch){ .ops = &op, .op_count = 1 }, i);
		else
			fixture_put(f, key, "v", i);
	}
	fixture_answers(f, 10);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(f->answers[i].tag, i);
		assert_int_equal(f->answers[i].code, i == 5 ? E_FULL : E_OK);
	}
	crash_vfs_space(v, -1);
	fixture_reopen(f);
	assert_int_equal(f->row_count, 9);
	fixture_close(f);
	crash_vfs_free(v);
	free(big);
}

static void a_read_only_disk_says_so(void **state)
{
	struct fixture *f = *state;
	struct crash_vfs *v = crash_vfs_new("crash");
	assert_int_equal(fixture_open(f), E_OK);
	crash_vfs_read_only(v, true);
	const struct answer *a = fixture_put_now(f, "/a", "1");
	puts(a->text);
	assert_int_equal(a->code, E_FULL);
	assert_non_null(strstr(a->text, "Read-only file system"));
	crash_vfs_read_only(v, false);
	assert_int_equal(fixture_put_now(f, "/a", "1")->code, E_OK);
	fixture_close(f);
	crash_vfs_free(v);
}

/* One number a millisecond for 100 s, two blocks' worth, none of it on disk; then a kill. */
static void numbers_go_on_while_the_disk_refuses(void **state)
{
	struct fixture *f = *state;
	struct crash_vfs *v = crash_vfs_new("crash");
	clock_fake(1000000, 1700000000000);
	assert_int_equal(fixture_open(f), E_OK);
	crash_vfs_space(v, 0);
	int64_t last = f->load_number;
	for (int i = 1; i <= 100000; i++) {
		int64_t number = store_number(f->store);
		if (number <= last)
			fail_msg("%lld after %lld", (long long)number, (long long)last);
		last = number;
		if (i % 500 == 0) {
			clock_fake(1000000 + i, 1700000000000 + i);
			uv_run(&f->loop, UV_RUN_NOWAIT);
		}
	}
	while (f->state != STORE_FULL) /* the reservation's refusal, if it is still on its way */
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_non_null(strstr(f->reason, "reserve numbers"));
	crash_vfs_cut(v, 3);
	fixture_close(f);
	crash_vfs_space(v, -1);
	crash_vfs_power(v);
	assert_int_equal(fixture_open(f), E_OK);
	assert_true(f->load_number > last);
	fixture_close(f);
	clock_fake_off();
	crash_vfs_free(v);
}

static void a_start_on_a_full_disk_serves_what_it_has(void **state)
{
	struct fixture *f = *state;
	struct crash_vfs *v = crash_vfs_new("crash");
	clock_fake(1000000, 1700000000000);
	assert_int_equal(fixture_open(f), E_OK);
	assert_int_equal(fixture_put_now(f, "/a", "1")->code, E_OK);
	fixture_close(f);
	int64_t last = f->load_number;
	for (int round = 1; round <= 2; round++) {
		crash_vfs_space(v, 0);
		clock_fake(1000000, 1700000000000 + round * 100);
		assert_int_equal(fixture_open(f), E_OK);
		assert_int_equal(f->row_count, 1);
		assert_int_equal(f->state, STORE_FULL);
		assert_non_null(strstr(f->reason, "full"));
		assert_true(f->load_number > last);
		for (int i = 0; i < 90; i++)
			last = store_number(f->store);
		crash_vfs_cut(v, 3);
		fixture_close(f);
		crash_vfs_power(v);
	}
	crash_vfs_space(v, -1);
	assert_int_equal(fixture_open(f), E_OK);
	assert_int_equal(f->state, STORE_LIVE);
	fixture_close(f);
	clock_fake_off();
	crash_vfs_free(v);
}

/* ---- views */

static void put_all(struct fixture *f, const char *const rows[][2], size_t count)
{
	for (size_t i = 0; i < count; i++)
		fixture_put(f, rows[i][0], rows[i][1], 0);
	fixture_answers(f, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(f->answers[i].code, E_OK);
}

static void view_is(const struct fixture *f, const char *sql, const char *expected)
{
	char *rows = fixture_sql(f, sql);
	assert_string_equal(rows, expected);
	free(rows);
}

static void views_read_well_while_the_server_runs(void **state)
{
	static const char *const rows[][2] = {
		{ "/muster/1/ns/blue", "{\"v\":1,\"name\":\"Blue\",\"description\":\"d\"}" },
		{ "/muster/1/svc/public/DEFAULT_GROUP/alone", "{\"v\":1,\"protect_threshold\":0.5}" },
		{ "/muster/1/i/3f/public/DEFAULT_GROUP/a%2Fb/DEFAULT/127.0.0.1/80",
		  "{\"v\":1,\"kind\":0,\"weight\":1.0,\"enabled\":true,\"healthy\":true,"
		  "\"metadata\":{\"k\":\"x\"},\"registered_ms\":1700000000000}" },
		{ "/muster/1/i/3f/public/DEFAULT_GROUP/a%2Fb/DEFAULT/::1/81",
		  "{\"v\":1,\"kind\":0,\"weight\":2.5,\"enabled\":true,\"healthy\":false}" },
		{ "/muster/1/im/3f/public/DEFAULT_GROUP/a%2Fb/DEFAULT/::1/81",
		  "{\"v\":1,\"weight\":0.5,\"enabled\":false}" },
		{ "/muster/1/cfg/public/G/app.yaml",
		  "{\"v\":1,\"content\":\"a: 1\",\"md5\":\"m\",\"type\":\"yaml\",\"version\":3}" },
		{ "/muster/1/cfgh/public/G/app.yaml/0000000003",
		  "{\"v\":1,\"content\":\"a: 1\",\"md5\":\"m\"}" },
		{ "/muster/1/user/nacos", "{\"v\":1,\"hash\":\"secret\"}" },
		{ "/muster/1/role/nacos/ADMIN", "{\"v\":1}" },
		{ "/muster/1/role/nacos2/OTHER", "{\"v\":1}" },
	};
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	put_all(f, rows, sizeof(rows) / sizeof(rows[0]));
	view_is(f, "SELECT namespace, name, description FROM namespace", "blue|Blue|d\n");
	view_is(f,
		"SELECT namespace, service_group, service, cluster, ip, port, weight, enabled, healthy,"
		" kind, metadata, registered, overridden FROM instance ORDER BY port",
		"public|DEFAULT_GROUP|a%2Fb|DEFAULT|127.0.0.1|80|1.0|1|1|persistent|{\"k\":\"x\"}|"
		"2023-11-14 22:13:20|0\n"
		"public|DEFAULT_GROUP|a%2Fb|DEFAULT|::1|81|0.5|0|0|persistent|||1\n");
	view_is(f, "SELECT service, instances, protect_threshold FROM service ORDER BY service",
		"a%2Fb|2|\nalone|0|0.5\n");
	view_is(f, "SELECT namespace, config_group, data_id, md5, type, version, content FROM config",
		"public|G|app.yaml|m|yaml|3|a: 1\n");
	view_is(f, "SELECT data_id, version, content FROM config_history", "app.yaml|3|a: 1\n");
	view_is(f, "SELECT * FROM user", "nacos|ADMIN\n");
}

/* ---- damage */

static void patch(const struct fixture *f, long offset, const void *bytes, size_t len)
{
	char *path = fixture_path(f, "muster.db");
	int fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, bytes, len, offset), (ssize_t)len);
	close(fd);
	free(path);
}

static void a_finding_of_the_check_is_an_alarm_not_a_stop(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	assert_int_equal(fixture_put_now(f, "/a", "1")->code, E_OK);
	fixture_close(f);
	/* A row that the table's own rules forbid, put there while they were lifted. */
	file_sql(f, "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET"
		    " sql=replace(sql,'mod_revision INTEGER NOT NULL','mod_revision INTEGER')");
	file_sql(f, "INSERT INTO kv VALUES('/b','1',NULL)");
	file_sql(f, "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET"
		    " sql=replace(sql,'mod_revision INTEGER','mod_revision INTEGER NOT NULL')");
	assert_int_equal(fixture_open(f), E_OK);
	while (f->reason[0] == '\0')
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->state, STORE_LIVE);
	assert_non_null(strstr(f->reason, "integrity check"));
	assert_int_equal(fixture_put_now(f, "/a", "2")->code, E_OK);
}

/* Where a leaf page of the table that holds @text begins. */
static long leaf_with(const struct fixture *f, const char *text)
{
	char *path = fixture_path(f, "muster.db"), page[4096];
	int fd = open(path, O_RDONLY);
	long found = 0;
	for (long at = 4096; found == 0 && pread(fd, page, sizeof(page), at) == sizeof(page); at += 4096)
		if (page[0] == 0x0a && memmem(page, sizeof(page), text, strlen(text)) != NULL)
			found = at;
	close(fd);
	free(path);
	assert_true(found > 0);
	return found;
}

static void rows_that_cannot_be_read_refuse_the_load(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(fixture_open(f), E_OK);
	for (int i = 0; i < 4000; i++) {
		char key[64];
		snprintf(key, sizeof(key), "/muster/1/i/%02x/some/longer/key/%d", i % 256, i);
		fixture_put(f, key, "{\"v\":1,\"some\":\"value that fills pages\"}", i);
	}
	fixture_answers(f, 4000);
	fixture_close(f);
	patch(f, leaf_with(f, "/muster/1/i/80/"), (char[4096]){ 0 }, 4096);
	assert_int_equal(fixture_open(f), E_OK);
	assert_int_equal(f->state, STORE_REFUSED);
	assert_false(f->ended);
	assert_non_null(strstr(f->reason, "damaged"));
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, fixture_setup_sqlite, fixture_teardown)
#define CRASH(test) cmocka_unit_test_setup_teardown(test, setup_crash, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(a_newer_schema_is_refused_with_both_versions),
		PLAIN(another_programs_database_is_refused_and_left_alone),
		PLAIN(what_is_no_database_is_refused),
		PLAIN(a_missing_directory_is_named),
		PLAIN(the_meta_rows_stay_with_the_store),
		PLAIN(waiting_batches_share_a_transaction),
		CRASH(a_full_disk_refuses_with_the_reason_and_recovers),
		CRASH(one_large_value_does_not_refuse_its_neighbours),
		CRASH(a_read_only_disk_says_so),
		CRASH(numbers_go_on_while_the_disk_refuses),
		CRASH(a_start_on_a_full_disk_serves_what_it_has),
		PLAIN(views_read_well_while_the_server_runs),
		PLAIN(a_finding_of_the_check_is_an_alarm_not_a_stop),
		PLAIN(rows_that_cannot_be_read_refuse_the_load),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* sqlite_upgrade.c - see sqlite_schema.h. On the thread that opens the store. A new database is made in
 * version 1 and goes the same steps as an old one, so that both are the same. */
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "store/snapshot.h"
#include "store/sqlite_schema.h"

#include <stdio.h>

static int version_check(const struct sqlite_file *f, int64_t app, int64_t version, struct error *err)
{
	if (app != SQLITE_APPLICATION_ID)
		return error_set(err, E_CONFLICT,
				 "%s is a database of another program (application_id %lld, not %d)",
				 f->path, (long long)app, SQLITE_APPLICATION_ID);
	if (version > sqlite_schema_version)
		return error_set(err, E_CONFLICT,
				 "%s has schema version %lld, this musterd knows versions up to %d: "
				 "start the newer musterd that wrote it, or restore an older backup",
				 f->path, (long long)version, sqlite_schema_version);
	if (version < 1)
		return error_set(err, E_CONFLICT, "%s has schema version %lld, which never existed",
				 f->path, (long long)version);
	return E_OK;
}

int sqlite_schema_check(struct sqlite_file *f, struct sqlite_schema *ret, struct error *err)
{
	int64_t app = 0, version = 0, tables = 0;
	int rc = sqlite_query_int(f, "PRAGMA application_id", &app, err);
	if (rc == E_OK)
		rc = sqlite_query_int(f, "PRAGMA user_version", &version, err);
	if (rc == E_OK)
		rc = sqlite_query_int(f, "SELECT count(*) FROM sqlite_schema", &tables, err);
	if (rc < 0)
		return rc;
	ret->empty = app == 0 && version == 0 && tables == 0;
	ret->version = (int)version;
	return ret->empty ? E_OK : version_check(f, app, version, err);
}

/* ---- steps */

static void rollback(struct sqlite_file *f)
{
	if (!sqlite3_get_autocommit(f->db))
		sqlite3_exec(f->db, "ROLLBACK", NULL, NULL, NULL);
}

/* From @version to ours, inside the caller's transaction. */
static int steps_run(struct sqlite_file *f, int version, struct error *err)
{
	char doing[60], pragma[60];
	int rc = E_OK;
	for (const struct sqlite_migration *m = sqlite_migrations; rc == E_OK && m->sql != NULL; m++) {
		if (m->from < version)
			continue;
		snprintf(doing, sizeof(doing), "migrate from schema version %d to %d", m->from, m->from + 1);
		rc = sqlite_exec(f, m->sql, doing, err);
	}
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", sqlite_schema_version);
	return rc == E_OK ? sqlite_exec(f, pragma, "migrate", err) : rc;
}

static int first_rows(struct sqlite_file *f, struct error *err)
{
	char uuid[37], rows[600];
	random_uuid(uuid);
	int64_t now = clock_wall_ms();
	snprintf(rows, sizeof(rows),
		 "PRAGMA application_id=%d;"
		 "INSERT INTO kv VALUES('" META_SCHEMA "','{\"v\":1,\"layout\":1,\"cluster_uuid\":\"%s\","
		 "\"t0_ms\":%lld,\"rev0\":1,\"number_base\":0}',1);"
		 "INSERT INTO kv VALUES('" META_NUMBERS "','{\"v\":1,\"end\":1,"
		 "\"reserved_ms\":%lld}',1)",
		 SQLITE_APPLICATION_ID, uuid, (long long)now, (long long)now);
	return sqlite_exec(f, rows, "create", err);
}

int sqlite_schema_create(struct sqlite_file *f, struct error *err)
{
	int rc = sqlite_exec(f, "BEGIN IMMEDIATE", "create", err);
	if (rc == E_OK)
		rc = sqlite_exec(f, sqlite_schema_sql, "create", err);
	if (rc == E_OK)
		rc = first_rows(f, err);
	if (rc == E_OK)
		rc = steps_run(f, 1, err);
	if (rc == E_OK)
		rc = sqlite_exec(f, "COMMIT", "create", err);
	if (rc < 0)
		rollback(f);
	return rc;
}

int sqlite_schema_migrate(struct sqlite_file *f, int version, struct error *err)
{
	char kept[4096];
	int len = snprintf(kept, sizeof(kept), "%s.v%d.bak", f->path, version);
	if (len < 0 || (size_t)len >= sizeof(kept))
		return error_set(err, E_RANGE, "%s: the path is too long for a copy beside it", f->path);
	struct snapshot_conf copy = { .to = kept, .replace = true, .like = f->path };
	int rc = snapshot_write(f, &copy, err);
	if (rc < 0)
		return error_wrap(err, rc, "copy before the migration from schema version %d to %d", version,
				  sqlite_schema_version);
	rc = sqlite_exec(f, "BEGIN IMMEDIATE", "migrate", err);
	if (rc == E_OK)
		rc = steps_run(f, version, err);
	if (rc == E_OK)
		rc = sqlite_exec(f, "COMMIT", "migrate", err);
	if (rc < 0) {
		rollback(f);
		return rc;
	}
	log_info("store", "%s is migrated from schema version %d to %d; as it was before: %s", f->path, version,
		 sqlite_schema_version, kept);
	return E_OK;
}

#include "store/sqlite.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/sqlite_schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int sqlite_run(sqlite3_stmt *s)
{
	errno = 0;
	int rc = sqlite3_step(s);
	sqlite3_reset(s);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* ---- errors */

static bool no_space(int errnum)
{
	return errnum == ENOSPC || errnum == EDQUOT || errnum == EROFS;
}

static int error_class(int rc, int errnum)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
	case SQLITE_READONLY:
		return E_FULL;
	case SQLITE_NOMEM:
		return E_NOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return E_TIMEOUT;
	case SQLITE_NOTADB:
		return E_CONFLICT;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return E_DENIED;
	default:
		if (no_space(errnum))
			return E_FULL;
		return errnum == EACCES || errnum == EPERM ? E_DENIED : E_IO;
	}
}

static const char *error_words(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return "the disk is full";
	case SQLITE_READONLY:
		return "the file or its directory is read-only";
	case SQLITE_NOTADB:
		return "the file is not a database";
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return "another program holds its write lock";
	case SQLITE_CORRUPT:
		return "the file is damaged";
	case SQLITE_CANTOPEN:
		return "the file cannot be opened";
	case SQLITE_IOERR:
		return "the disk reports an error";
	default:
		return sqlite3_errstr(rc);
	}
}

/* The cause behind an I/O error. sqlite3_system_errno() does not learn of one in COMMIT (3.40). */
static int system_errno(sqlite3 *db)
{
	sqlite3_vfs *vfs = NULL;
	if (db == NULL)
		return 0;
	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_VFS_POINTER, &vfs) == SQLITE_OK &&
	    vfs != NULL && vfs->xGetLastError != NULL) {
		int errnum = vfs->xGetLastError(vfs, 0, NULL);
		if (errnum != 0)
			return errnum;
	}
	return sqlite3_system_errno(db);
}

int sqlite_file_error(const struct sqlite_file *f, int rc, const char *doing, struct error *err)
{
	int errnum = system_errno(f->db);
	bool system = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN ||
		      (rc & 0xff) == SQLITE_FULL;
	int code = error_class(rc, system ? errnum : 0);
	if (system && errnum != 0)
		return error_set(err, code, "%s: %s: %s (%s)", f->path, doing, error_words(rc),
				 strerror(errnum));
	return error_set(err, code, "%s: %s: %s", f->path, doing, error_words(rc));
}

int sqlite_exec(struct sqlite_file *f, const char *sql, const char *doing, struct error *err)
{
	int rc = sqlite3_exec(f->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? E_OK : sqlite_file_error(f, rc, doing, err);
}

int sqlite_query_int(struct sqlite_file *f, const char *sql, int64_t *ret, struct error *err)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(f->db, sql, -1, &s, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	int64_t found = rc == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
	sqlite3_finalize(s);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return sqlite_file_error(f, rc, "read", err);
	*ret = found;
	return E_OK;
}

/* ---- meta rows */

int sqlite_origin_read(struct sqlite_file *f, struct store_origin *ret, struct error *err)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(
		f->db,
		"SELECT json_extract(value,'$.t0_ms'), json_extract(value,'$.number_base'),"
		" json_extract(value,'$.rev0'), json_extract(value,'$.cluster_uuid')"
		" FROM kv WHERE key='" META_SCHEMA "'",
		-1, &s, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW && sqlite3_column_type(s, 0) == SQLITE_INTEGER) {
		struct store_origin o = { sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1),
					  sqlite3_column_int64(s, 2), "" };
		const unsigned char *uuid = sqlite3_column_text(s, 3);
		snprintf(o.cluster_uuid, sizeof(o.cluster_uuid), "%s",
			 uuid == NULL ? "" : (const char *)uuid);
		sqlite3_finalize(s);
		*ret = o;
		return E_OK;
	}
	sqlite3_finalize(s);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return error_set(err, E_CONFLICT, "%s: the row %s is missing or damaged", f->path,
				 META_SCHEMA);
	return sqlite_file_error(f, rc, "read", err);
}

int sqlite_mark_read(struct sqlite_file *f, struct numbers_mark *ret, struct error *err)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(
		f->db,
		"SELECT json_extract(value,'$.end'), json_extract(value,'$.reserved_ms')"
		" FROM kv WHERE key='" META_NUMBERS "'",
		-1, &s, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW && sqlite3_column_type(s, 0) == SQLITE_INTEGER) {
		*ret = (struct numbers_mark){ sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1) };
		sqlite3_finalize(s);
		return E_OK;
	}
	sqlite3_finalize(s);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return error_set(err, E_CONFLICT, "%s: the row %s is missing or damaged", f->path,
				 META_NUMBERS);
	return sqlite_file_error(f, rc, "read", err);
}

int sqlite_mark_write(struct sqlite_file *f, const struct numbers_mark *mark)
{
	char value[100];
	int len = snprintf(value, sizeof(value), "{\"v\":1,\"end\":%lld,\"reserved_ms\":%lld}",
			   (long long)mark->end, (long long)mark->reserved_ms);
	sqlite3_bind_text(f->mark, 1, value, len, SQLITE_STATIC);
	int rc = sqlite_run(f->mark);
	sqlite3_clear_bindings(f->mark);
	return rc;
}

/* The first block. A disk that refuses does not stop the start: numbers then run in memory, and the
 * next start leaps over as many as time allowed. */
static int block_first(struct sqlite_file *f, struct sqlite_start *start, struct error *err)
{
	struct numbers_mark mark;
	int rc = sqlite_mark_read(f, &mark, err);
	if (rc < 0)
		return rc;
	int64_t now = clock_wall_ms(), first = numbers_first(&mark, now);
	start->numbers = (struct numbers){ first, first, 0, false };
	mark = numbers_reserve(&start->numbers, now);
	int sql = sqlite_mark_write(f, &mark);
	if (sql == SQLITE_OK) {
		start->numbers.end = mark.end;
		return E_OK;
	}
	start->refused = sqlite_file_error(f, sql, "reserve numbers", &start->why);
	return E_OK;
}

/* ---- opening */

static int prepare_all(struct sqlite_file *f, struct error *err)
{
	const struct {
		sqlite3_stmt **to;
		const char *sql;
	} rows[] = {
		{ &f->begin, "BEGIN IMMEDIATE" },
		{ &f->commit, "COMMIT" },
		{ &f->rollback, "ROLLBACK" },
		{ &f->savepoint, "SAVEPOINT batch" },
		{ &f->release, "RELEASE batch" },
		{ &f->undo, "ROLLBACK TO batch" },
		{ &f->put, "INSERT INTO kv(key,value,mod_revision) VALUES(?1,?2,?3) ON CONFLICT(key)"
			   " DO UPDATE SET value=excluded.value, mod_revision=excluded.mod_revision" },
		{ &f->del, "DELETE FROM kv WHERE key=?1" },
		{ &f->revision, "SELECT mod_revision FROM kv WHERE key=?1" },
		{ &f->mark, "UPDATE kv SET value=?1 WHERE key='" META_NUMBERS "'" },
		/* SQLite leaves a page alone that an update would not change. */
		{ &f->touch, "UPDATE kv SET mod_revision=mod_revision+1 WHERE key='" META_NUMBERS "'" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = sqlite3_prepare_v3(f->db, rows[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
					    rows[i].to, NULL);
		if (rc != SQLITE_OK)
			return sqlite_file_error(f, rc, "open", err);
	}
	return E_OK;
}

static int settings_apply(struct sqlite_file *f, const struct store_conf *conf, struct error *err)
{
	char sql[200];
	snprintf(sql, sizeof(sql),
		 "PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint=%d; PRAGMA cache_size=-8000;"
		 "PRAGMA secure_delete=OFF; PRAGMA temp_store=MEMORY",
		 conf->unsafe_no_sync ? "OFF" : "FULL", SQLITE_WAL_PAGES);
	return sqlite_exec(f, sql, "open", err);
}

static int file_prepare(struct sqlite_file *f, const struct store_conf *conf,
			struct sqlite_start *start, struct error *err)
{
	struct sqlite_schema found;
	sqlite3_extended_result_codes(f->db, 1);
	sqlite3_busy_timeout(f->db, 5000); /* a backup or someone's SQL shell */
	int rc = sqlite_schema_check(f, &found, err);
	if (rc == E_OK)
		rc = sqlite_exec(f, "PRAGMA journal_mode=WAL", "open", err);
	if (rc == E_OK)
		rc = settings_apply(f, conf, err);
	if (rc == E_OK && found.empty)
		rc = sqlite_schema_create(f, err);
	else if (rc == E_OK && found.version < sqlite_schema_version)
		rc = sqlite_schema_migrate(f, found.version, err);
	if (rc == E_OK)
		rc = prepare_all(f, err);
	if (rc == E_OK)
		rc = sqlite_origin_read(f, &start->origin, err);
	if (rc == E_OK)
		rc = block_first(f, start, err);
	return rc;
}

int sqlite_file_open(struct sqlite_file *f, const struct store_conf *conf,
		     struct sqlite_start *ret, struct error *err)
{
	*f = (struct sqlite_file){ 0 };
	struct sqlite_start start = { 0 };
	size_t room = strlen(conf->data_dir) + sizeof("/muster.db");
	f->path = mem_alloc(room);
	if (f->path == NULL)
		return error_set(err, E_NOMEM, "open muster.db");
	snprintf(f->path, room, "%s/muster.db", conf->data_dir);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	int rc = sqlite3_open_v2(f->path, &f->db, flags, conf->vfs);
	rc = rc == SQLITE_OK ? file_prepare(f, conf, &start, err)
			     : sqlite_file_error(f, rc, "open", err);
	if (rc < 0) {
		sqlite_file_close(f);
		return rc;
	}
	*ret = start;
	return E_OK;
}

void sqlite_file_close(struct sqlite_file *f)
{
	sqlite3_stmt *all[] = { f->begin, f->commit, f->rollback, f->savepoint, f->release,
				f->undo,  f->put,    f->del,	  f->revision,	f->mark,  f->touch };
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sqlite3_finalize(all[i]);
	sqlite3_close(f->db);
	mem_free(f->path);
	*f = (struct sqlite_file){ 0 };
}

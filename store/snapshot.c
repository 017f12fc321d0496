/* snapshot.c - see snapshot.h. */
#include "store/snapshot.h"
#include "base/mem.h"
#include "store/sqlite_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_PAGES = 2000, PATH_MAX_BYTES = 4096 };

/* ---- opening */

static int open_as(struct sqlite_file *f, const char *path, int flags, struct error *err)
{
	*f = (struct sqlite_file){ 0 };
	f->path = mem_strdup(path);
	if (f->path == NULL)
		return error_set(err, E_NOMEM, "open %s", path);
	int rc = sqlite3_open_v2(path, &f->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		rc = sqlite_file_error(f, rc, "open", err);
		sqlite_file_close(f);
		return rc;
	}
	sqlite3_extended_result_codes(f->db, 1);
	sqlite3_busy_timeout(f->db, 5000);
	return E_OK;
}

/* A log needs a file for its index beside it, which a read-only directory or a full disk refuses. Without a log (nobody
 * writes there) the file alone is whole. */
static int open_immutable(struct sqlite_file *f, const char *path, struct error *err)
{
	char uri[PATH_MAX_BYTES * 3 + 32] = "file:";
	size_t at = strlen(uri);
	struct stat st;
	char log[PATH_MAX_BYTES];
	if (strlen(path) + sizeof("-wal") > sizeof(log))
		return error_set(err, E_RANGE, "%.100s...: the path is too long", path);
	snprintf(log, sizeof(log), "%s-wal", path);
	if (stat(log, &st) == 0 && st.st_size > 0)
		return error_set(err, E_FULL,
				 "%s has a log that was not moved into it, and nothing can be written beside it: copy both files",
				 path);
	for (const char *c = path; *c != '\0'; c++)
		at += (size_t)snprintf(uri + at, sizeof(uri) - at,
				       strchr("%?#", *c) != NULL ? "%%%02X" : "%c", (unsigned char)*c);
	snprintf(uri + at, sizeof(uri) - at, "?immutable=1");
	int rc = open_as(f, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err);
	if (rc == E_OK) {
		mem_free(f->path);
		f->path = mem_strdup(path);
		rc = f->path == NULL ? error_set(err, E_NOMEM, "open %s", path) : E_OK;
		if (rc < 0)
			sqlite_file_close(f);
	}
	return rc;
}

static bool read_only_place(const char *path)
{
	char directory[PATH_MAX_BYTES];
	snprintf(directory, sizeof(directory), "%s", path);
	return access(dirname(directory), W_OK) < 0 && (errno == EROFS || errno == EACCES);
}

int snapshot_open(struct sqlite_file *f, const char *path, struct error *err)
{
	struct sqlite_schema found = { 0 };
	struct stat st;
	if (stat(path, &st) < 0)
		return errno == ENOENT ? error_set(err, E_NOTFOUND, "%s is not there", path)
				       : error_set_errno(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, E_CONFLICT, "%s is no file", path);
	int rc = open_as(f, path, SQLITE_OPEN_READONLY, err);
	if (rc < 0)
		return rc;
	rc = sqlite_schema_check(f, &found, err);
	if (rc < 0 && rc != E_CONFLICT && (rc == E_FULL || read_only_place(path))) {
		sqlite_file_close(f);
		rc = open_immutable(f, path, err);
		if (rc < 0)
			return rc;
		rc = sqlite_schema_check(f, &found, err);
	}
	if (rc == E_OK && found.empty)
		rc = error_set(err, E_CONFLICT, "%s is an empty file, no database", path);
	if (rc < 0)
		sqlite_file_close(f);
	return rc;
}

/* ---- copying */

static int path_of_copy(char to[PATH_MAX_BYTES], const char *path, struct error *err)
{
	int len = snprintf(to, PATH_MAX_BYTES, "%s.new", path);
	if (len < 0 || len >= PATH_MAX_BYTES)
		return error_set(err, E_RANGE, "%.100s...: the path is too long", path);
	return E_OK;
}

/* Nobody else may read it, not for a moment either. */
static int copy_create(const char *path, const char *like, struct error *err)
{
	struct stat st;
	unlink(path);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set_errno(err, errno, "make %s", path);
	int rc = E_OK;
	if (like != NULL && stat(like, &st) == 0) {
		mode_t mode = S_ISDIR(st.st_mode) ? 0640 : st.st_mode & 0777;
		/* Root works for the server's user; another one keeps what it makes. */
		if (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) < 0)
			rc = error_set_errno(err, errno, "give %s to the owner of %s", path, like);
		else if (fchmod(fd, mode) < 0)
			rc = error_set_errno(err, errno, "make %s", path);
	}
	close(fd);
	if (rc < 0)
		unlink(path);
	return rc;
}

static int pages_copy(struct sqlite_file *from, struct sqlite_file *to, const atomic_bool *stop,
		      struct error *err)
{
	sqlite3_backup *b = sqlite3_backup_init(to->db, "main", from->db, "main");
	if (b == NULL)
		return sqlite_file_error(to, sqlite3_errcode(to->db), "copy", err);
	int rc;
	bool stopped = false;
	do {
		rc = sqlite3_backup_step(b, STEP_PAGES);
		stopped = stop != NULL && atomic_load(stop);
	} while (rc == SQLITE_OK && !stopped);
	sqlite3_backup_finish(b);
	if (stopped)
		return error_set(err, E_CLOSED, "copy %s: stopped, since the server stops", from->path);
	if (rc == SQLITE_DONE)
		return E_OK;
	/* Which of the two it was shows in where the cause lies. */
	bool source = (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
	return sqlite_file_error(source ? from : to, rc, "copy", err);
}

/* The read transaction keeps the moment while pages are copied. */
static int moment_copy(struct sqlite_file *from, struct sqlite_file *to, const atomic_bool *stop,
		       struct error *err)
{
	int64_t tables;
	bool open = sqlite3_get_autocommit(from->db) == 0;
	int rc = open ? E_OK : sqlite_exec(from, "BEGIN", "copy", err);
	if (rc == E_OK)
		rc = sqlite_query_int(from, "SELECT count(*) FROM sqlite_schema", &tables, err);
	if (rc == E_OK)
		rc = pages_copy(from, to, stop, err);
	if (!open)
		sqlite3_exec(from->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int snapshot_copy(struct sqlite_file *from, struct sqlite_file *ret, const struct snapshot_conf *conf,
		  struct error *err)
{
	char path[PATH_MAX_BYTES];
	int rc = path_of_copy(path, conf->to, err);
	if (rc == E_OK && !conf->replace && access(conf->to, F_OK) == 0)
		rc = error_set(err, E_EXISTS, "%s is there already", conf->to);
	if (rc == E_OK)
		rc = copy_create(path, conf->like, err);
	if (rc < 0)
		return rc;
	rc = open_as(ret, path, SQLITE_OPEN_READWRITE, err);
	if (rc < 0) {
		unlink(path);
		return rc;
	}
	/* Nobody reads it before it is synced as a whole. */
	rc = sqlite_exec(ret, "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF", "copy", err);
	if (rc == E_OK)
		rc = moment_copy(from, ret, conf->stop, err);
	/* The source's log mode came along; one file is wanted. */
	if (rc == E_OK)
		rc = sqlite_exec(ret, "PRAGMA journal_mode=DELETE", "copy", err);
	if (rc < 0)
		snapshot_drop(ret);
	return rc;
}

void snapshot_drop(struct sqlite_file *copy)
{
	static const char *const tails[] = { "", "-wal", "-shm", "-journal" };
	char path[PATH_MAX_BYTES + 16];
	if (copy->path == NULL)
		return;
	sqlite3_close(copy->db);
	copy->db = NULL;
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", copy->path, tails[i]);
		unlink(path);
	}
	sqlite_file_close(copy);
}

/* ---- finishing */

static int integrity_check(struct sqlite_file *f, struct error *err)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(f->db, "PRAGMA integrity_check(1)", -1, &s, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	const char *said = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
	int code = E_OK;
	if (rc != SQLITE_ROW)
		code = sqlite_file_error(f, rc, "integrity check", err);
	else if (said == NULL || strcmp(said, "ok") != 0)
		code = error_set(err, E_IO, "%s: integrity check: %.200s", f->path, said == NULL ? "?" : said);
	sqlite3_finalize(s);
	return code;
}

static int file_sync(const char *path, int flags, struct error *err)
{
	int fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, errno, "open %s", path);
	int rc = fsync(fd) < 0 ? error_set_errno(err, errno, "sync %s", path) : E_OK;
	close(fd);
	return rc;
}

int directory_sync(const char *path, struct error *err)
{
	char directory[PATH_MAX_BYTES];
	snprintf(directory, sizeof(directory), "%s", path);
	return file_sync(dirname(directory), O_RDONLY | O_DIRECTORY, err);
}

static int name_give(const char *from, const struct snapshot_conf *conf, struct error *err)
{
	unsigned flags = conf->replace ? 0 : RENAME_NOREPLACE;
	if (renameat2(AT_FDCWD, from, AT_FDCWD, conf->to, flags) == 0)
		return E_OK;
	if (errno == EINVAL && flags != 0) { /* a file system without it */
		if (link(from, conf->to) == 0)
			return unlink(from) == 0 ? E_OK : error_set_errno(err, errno, "remove %s", from);
	}
	return errno == EEXIST ? error_set(err, E_EXISTS, "%s is there already", conf->to)
			       : error_set_errno(err, errno, "name %s", conf->to);
}

int snapshot_seal(struct sqlite_file *copy, const struct snapshot_conf *conf, struct error *err)
{
	char path[PATH_MAX_BYTES];
	int rc = path_of_copy(path, conf->to, err);
	if (rc == E_OK)
		rc = integrity_check(copy, err);
	if (rc == E_OK && sqlite3_close(copy->db) != SQLITE_OK)
		rc = error_set(err, E_IO, "close %s", path);
	if (rc == E_OK) {
		copy->db = NULL;
		rc = file_sync(path, O_RDONLY, err);
	}
	if (rc < 0)
		snapshot_drop(copy);
	else
		sqlite_file_close(copy);
	return rc;
}

int snapshot_name(const struct snapshot_conf *conf, struct error *err)
{
	char path[PATH_MAX_BYTES];
	int rc = path_of_copy(path, conf->to, err);
	if (rc < 0)
		return rc;
	rc = name_give(path, conf, err);
	if (rc < 0)
		unlink(path);
	return rc;
}

void snapshot_forget(const struct snapshot_conf *conf)
{
	char path[PATH_MAX_BYTES];
	if (path_of_copy(path, conf->to, NULL) == E_OK)
		unlink(path);
}

int snapshot_write(struct sqlite_file *from, const struct snapshot_conf *conf, struct error *err)
{
	struct sqlite_file copy;
	int rc = snapshot_copy(from, &copy, conf, err);
	if (rc == E_OK)
		rc = snapshot_seal(&copy, conf, err);
	if (rc == E_OK)
		rc = snapshot_name(conf, err);
	return rc == E_OK ? directory_sync(conf->to, err) : rc;
}

int snapshot_count(struct sqlite_file *f, int *ret_schema, int64_t *ret_rows, struct error *err)
{
	int64_t version = 0;
	int rc = sqlite_query_int(f, "PRAGMA user_version", &version, err);
	if (rc == E_OK)
		rc = sqlite_query_int(f,
				      "SELECT count(*) FROM kv WHERE key < '/muster/1/meta/' OR key >= '/muster/1/meta0'",
				      ret_rows, err);
	*ret_schema = (int)version;
	return rc;
}

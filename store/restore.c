/* restore.c - a backup takes the place of a store; see backup.h.
 *
 * Happy path: the lock > the backup opened and checked > the former store read (numbers, serials) and its log moved
 * into it > the backup copied to muster.db.new, its numbers and serials raised, checked, synced > the former store
 * linked to its dated name > muster.db.new renamed over muster.db, directory synced. At no moment is there no
 * muster.db, so a power cut leaves the old store or the new one. A former store that cannot be read keeps its
 * log: both get the dated name before the rename. */
#include "base/clock.h"
#include "base/mem.h"
#include "store/backup.h"
#include "store/lock.h"
#include "store/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	/* Above what the former store's blocks say. */
	NUMBERS_LEAP = 20 * NUMBERS_BLOCK,
	SERIAL_LEAP = 100, /* seconds */
	/* Where it is lost, above the clock: a store runs ahead of it by a block with each kill, or by making more
	 * than 1,000 changes a second all its life. A day is 1,728 kills. */
	LOST_SEC = 24 * 3600,
	LOST_LEAP = LOST_SEC * 1000,
	ZONES_MAX = 256,
	PATH_CAP = 4096,
};

struct zone_row {
	char key[300];
	uint32_t serial;
};

/* What subscribers and secondaries of a store may have seen: nothing is above it. */
struct seen {
	bool any;
	char uuid[37]; /* of the store */
	int64_t number, ref_ms; /* change number and lastRefTime */
	struct zone_row *zones; /* heap */
	size_t zone_count;
};

struct restore {
	char path[PATH_CAP], former[PATH_CAP], wal[PATH_CAP + 8];
	const char *data_dir, *from;
	struct lock *lock;
	struct store_restored *ret;
	int64_t now_ms;
	struct seen seen; /* by the former store's clients */
	bool lost;	  /* the backup's own store is not the one that is replaced */
};

/* ---- what was seen */

static int serials_read(struct sqlite_file *f, struct seen *seen, struct error *err)
{
	sqlite3_stmt *s = NULL;
	seen->zones = mem_zalloc(ZONES_MAX, sizeof(*seen->zones));
	if (seen->zones == NULL)
		return error_set(err, E_NOMEM, "%s: no memory for its zones", f->path);
	int rc = sqlite3_prepare_v2(f->db,
				    "SELECT key, value FROM kv WHERE key >= '/muster/1/zone/'"
				    " AND key < '/muster/1/zone0' AND key LIKE '/muster/1/zone/%/serial'",
				    -1, &s, NULL);
	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(s);
		if (rc != SQLITE_ROW || seen->zone_count == ZONES_MAX)
			break;
		struct zone_row *row = &seen->zones[seen->zone_count++];
		snprintf(row->key, sizeof(row->key), "%s", (const char *)sqlite3_column_text(s, 0));
		row->serial = (uint32_t)sqlite3_column_int64(s, 1);
	}
	sqlite3_finalize(s);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? E_OK : sqlite_file_error(f, rc, "read", err);
}

static int seen_read(struct sqlite_file *f, struct seen *seen, int64_t now_ms, struct error *err)
{
	struct store_origin o;
	struct numbers_mark mark;
	int rc = sqlite_origin_read(f, &o, err);
	if (rc == E_OK)
		rc = sqlite_mark_read(f, &mark, err);
	if (rc == E_OK)
		rc = serials_read(f, seen, err);
	if (rc < 0)
		return rc;
	seen->number = o.number_base + numbers_first(&mark, now_ms);
	seen->ref_ms = o.t0_ms + seen->number - o.rev0;
	snprintf(seen->uuid, sizeof(seen->uuid), "%s", o.cluster_uuid);
	seen->any = true;
	return E_OK;
}

/* Reads the former store, then moves its log into it. It may be of a newer version (a downgrade) or damaged: what
 * cannot be read is left to the clock. Read-only first, since SQLite throws away a log that it cannot read. */
static int former_read(struct restore *r, struct error *err)
{
	struct sqlite_file f = { .path = r->path };
	struct stat st;
	if (stat(r->path, &st) < 0)
		return E_OK;
	int rc = sqlite3_open_v2(r->path, &f.db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	rc = rc == SQLITE_OK ? seen_read(&f, &r->seen, r->now_ms, err) : sqlite_file_error(&f, rc, "open", err);
	sqlite3_close(f.db);
	if (rc == E_NOMEM)
		return rc;
	r->ret->former_unread = rc < 0;
	if (rc < 0)
		return E_OK;
	int64_t tables; /* the log is looked at once something is read */
	if (sqlite3_open_v2(r->path, &f.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
	    sqlite_query_int(&f, "SELECT count(*) FROM sqlite_schema", &tables, NULL) == E_OK)
		sqlite3_wal_checkpoint_v2(f.db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_close(f.db); /* what is in the log all the same is kept with it */
	return E_OK;
}

/* ---- raising the copy above it */

static int number_raise(struct sqlite_file *f, struct restore *r, struct error *err)
{
	struct store_origin o;
	struct numbers_mark mark;
	int rc = sqlite_origin_read(f, &o, err);
	if (rc == E_OK)
		rc = sqlite_mark_read(f, &mark, err);
	if (rc < 0)
		return rc;
	r->lost = !r->seen.any || strcmp(r->seen.uuid, o.cluster_uuid) != 0;
	r->ret->taken_ms = mark.reserved_ms;
	r->ret->behind_ms = mark.reserved_ms - r->now_ms;
	int64_t first = numbers_first(&mark, r->now_ms);
	int64_t ref_base = o.t0_ms + o.number_base - o.rev0; /* lastRefTime of number 0 */
	const int64_t others[] = {
		r->now_ms - ref_base, /* the number whose lastRefTime is now */
		r->seen.any ? r->seen.number - o.number_base : first,
		r->seen.any ? r->seen.ref_ms - ref_base : first,
	};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (others[i] > first)
			first = others[i];
	mark = (struct numbers_mark){ first + (r->lost ? LOST_LEAP : NUMBERS_LEAP), r->now_ms };
	r->ret->next_number = o.number_base + mark.end;
	char sql[256];
	snprintf(sql, sizeof(sql),
		 "UPDATE kv SET value='{\"v\":1,\"end\":%lld,\"reserved_ms\":%lld}' WHERE key='" META_NUMBERS "'",
		 (long long)mark.end, (long long)mark.reserved_ms);
	return sqlite_exec(f, sql, "raise the numbers", err);
}

/* RFC 1982 */
static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static int serial_write(struct sqlite_file *f, const struct zone_row *row, struct error *err)
{
	sqlite3_stmt *s = NULL;
	char value[16];
	snprintf(value, sizeof(value), "%u", row->serial);
	int rc = sqlite3_prepare_v2(f->db,
				    "INSERT INTO kv(key,value,mod_revision) VALUES(?1,?2,1) ON CONFLICT(key)"
				    " DO UPDATE SET value=excluded.value",
				    -1, &s, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_bind_text(s, 1, row->key, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, 2, value, -1, SQLITE_STATIC);
		rc = sqlite_run(s);
	}
	sqlite3_finalize(s);
	return rc == SQLITE_OK ? E_OK : sqlite_file_error(f, rc, "raise the serials", err);
}

/* Serials follow the clock (one a second at most), so the last one is the clock's or a stored one. */
static int serials_raise(struct sqlite_file *f, struct restore *r, struct error *err)
{
	struct seen mine = { 0 };
	uint32_t now_sec = (uint32_t)(r->now_ms / 1000);
	int rc = serials_read(f, &mine, err);
	for (size_t i = 0; rc == E_OK && i < r->seen.zone_count && mine.zones != NULL; i++) {
		size_t at = 0;
		while (at < mine.zone_count && strcmp(mine.zones[at].key, r->seen.zones[i].key) != 0)
			at++;
		if (at == mine.zone_count && at < ZONES_MAX)
			mine.zones[mine.zone_count++] = r->seen.zones[i];
		else if (at < mine.zone_count && after(r->seen.zones[i].serial, mine.zones[at].serial))
			mine.zones[at].serial = r->seen.zones[i].serial;
	}
	for (size_t i = 0; rc == E_OK && i < mine.zone_count; i++) {
		struct zone_row *row = &mine.zones[i];
		if (after(now_sec, row->serial))
			row->serial = now_sec;
		row->serial += r->lost ? LOST_SEC : SERIAL_LEAP;
		rc = serial_write(f, row, err);
	}
	mem_free(mine.zones);
	return rc;
}

static int copy_raise(struct sqlite_file *copy, struct restore *r, struct error *err)
{
	int rc = sqlite_exec(copy, "BEGIN IMMEDIATE", "restore", err);
	if (rc == E_OK)
		rc = number_raise(copy, r, err);
	if (rc == E_OK)
		rc = serials_raise(copy, r, err);
	if (rc == E_OK)
		rc = sqlite_exec(copy, "COMMIT", "restore", err);
	return rc == E_OK ? snapshot_count(copy, &r->ret->schema, &r->ret->rows, err) : rc;
}

/* ---- changing places */

static int keep_file(const char *path, const char *as, struct error *err)
{
	if (link(path, as) == 0 || errno == ENOENT)
		return E_OK;
	return error_set_errno(err, errno, "keep %s as %s", path, as);
}

static const char *const log_tails[] = { "-wal", "-journal" };
enum { LOG_TAILS = sizeof(log_tails) / sizeof(log_tails[0]) };

/* The former store under its dated name, besides its own; of a log that is left (nobody could read the store)
 * only the dated name stays, since the new store must not find it. */
static int former_keep(struct restore *r, struct error *err)
{
	char old[PATH_CAP + 16], kept[PATH_CAP + 16];
	int rc = keep_file(r->path, r->former, err);
	for (size_t i = 0; rc == E_OK && i < LOG_TAILS; i++) {
		snprintf(old, sizeof(old), "%s%s", r->path, log_tails[i]);
		snprintf(kept, sizeof(kept), "%s%s", r->former, log_tails[i]);
		rc = keep_file(old, kept, err);
	}
	if (rc == E_OK)
		rc = directory_sync(r->path, err);
	for (size_t i = 0; rc == E_OK && i < LOG_TAILS; i++) {
		snprintf(old, sizeof(old), "%s%s", r->path, log_tails[i]);
		if (unlink(old) < 0 && errno != ENOENT)
			rc = error_set_errno(err, errno, "move %s away", old);
	}
	snprintf(old, sizeof(old), "%s-shm", r->path);
	unlink(old); /* made anew from the file */
	return rc;
}

/* Nothing came of it: only the former names stay. */
static void former_unkeep(struct restore *r)
{
	char old[PATH_CAP + 16], kept[PATH_CAP + 16];
	for (size_t i = 0; i < LOG_TAILS; i++) {
		snprintf(old, sizeof(old), "%s%s", r->path, log_tails[i]);
		snprintf(kept, sizeof(kept), "%s%s", r->former, log_tails[i]);
		if (link(kept, old) == 0 || errno == EEXIST)
			unlink(kept);
	}
	if (access(r->path, F_OK) == 0)
		unlink(r->former);
}

static int names_make(struct restore *r, struct error *err)
{
	char date[32];
	time_t seconds = (time_t)(r->now_ms / 1000);
	struct tm tm;
	int len = snprintf(r->path, sizeof(r->path), "%s/muster.db", r->data_dir);
	if (len < 0 || (size_t)len + 64 > sizeof(r->path))
		return error_set(err, E_RANGE, "%.100s...: the path is too long", r->data_dir);
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
	for (unsigned nth = 0; nth < 100; nth++) {
		char more[16] = "";
		if (nth > 0)
			snprintf(more, sizeof(more), "-%u", nth);
		snprintf(r->former, sizeof(r->former), "%.*s.before-restore-%s%s", len, r->path, date, more);
		if (access(r->former, F_OK) < 0)
			return E_OK;
	}
	return error_set(err, E_EXISTS, "%s is there already", r->former);
}

static int same_file_check(const struct restore *r, struct error *err)
{
	struct stat a, b;
	if (stat(r->path, &a) == 0 && stat(r->from, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return error_set(err, E_CONFLICT, "%s is the store itself, no backup of it", r->from);
	return E_OK;
}

static int exchange(struct restore *r, struct sqlite_file *copy, struct error *err)
{
	struct stat st;
	struct snapshot_conf conf = { .to = r->path, .replace = true };
	int rc = snapshot_seal(copy, &conf, err);
	if (rc < 0)
		return rc;
	bool there = stat(r->path, &st) == 0;
	rc = there ? former_keep(r, err) : E_OK;
	if (rc == E_OK)
		rc = snapshot_name(&conf, err);
	else
		snapshot_forget(&conf);
	if (rc < 0) {
		if (there)
			former_unkeep(r);
		return rc;
	}
	if (there)
		snprintf(r->ret->former, sizeof(r->ret->former), "%s", r->former);
	return directory_sync(r->path, err);
}

static int restore_locked(struct restore *r, struct error *err)
{
	struct sqlite_file backup, copy;
	struct stat st;
	int rc = same_file_check(r, err);
	if (rc == E_OK)
		rc = snapshot_open(&backup, r->from, err);
	if (rc < 0)
		return rc;
	struct snapshot_conf conf = { .to = r->path, .replace = true };
	conf.like = stat(r->path, &st) == 0 ? r->path : r->data_dir;
	rc = snapshot_copy(&backup, &copy, &conf, err);
	sqlite_file_close(&backup);
	if (rc < 0)
		return rc;
	rc = former_read(r, err);
	if (rc == E_OK)
		rc = copy_raise(&copy, r, err);
	if (rc < 0) {
		snapshot_drop(&copy);
		return rc;
	}
	return exchange(r, &copy, err);
}

int store_restore(struct store_restored *ret, const char *data_dir, const char *from, struct error *err)
{
	struct store_restored made = { 0 };
	struct restore *r = mem_zalloc(1, sizeof(*r));
	char lock_path[PATH_CAP];
	if (r == NULL)
		return error_set(err, E_NOMEM, "restore %s", from);
	r->data_dir = data_dir;
	r->from = from;
	r->ret = &made;
	r->now_ms = clock_wall_ms();
	int rc = names_make(r, err);
	if (rc == E_OK) {
		snprintf(lock_path, sizeof(lock_path), "%.4000s/lock", data_dir);
		rc = lock_take(&r->lock, lock_path, err);
	}
	struct stat st; /* root works for the server's user */
	if (rc == E_OK && geteuid() == 0 && stat(data_dir, &st) == 0 && chown(lock_path, st.st_uid, st.st_gid) < 0)
		rc = error_set_errno(err, errno, "give %s to the owner of %s", lock_path, data_dir);
	if (rc == E_OK)
		rc = restore_locked(r, err);
	lock_release(r->lock);
	mem_free(r->seen.zones);
	mem_free(r);
	if (rc == E_OK)
		*ret = made;
	return rc;
}

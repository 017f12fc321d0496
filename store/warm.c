/* The warm copy. Control gathers changes in a map (a later put of a key replaces the earlier); a flush
 * turns the map into a list and leaves it in the hand-over slot, where the thread finds it. At most one
 * list lies in the slot and one is being written; while the slot is full the map keeps gathering. A list
 * that could not be written (disk full) stays with the thread and is tried again at each flush; until that
 * has gone well the map keeps what is new, once for each key, so that a long outage takes bounded memory and a
 * delete is never lost while the process lives.
 *
 * WAL with synchronous=OFF: a kill leaves whole transactions, a power cut may tear the file. Every row
 * carries a checksum, and a file is read through once before anything of it is used. */
#include "store/warm.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include <xxhash.h>

enum { WARM_APPLICATION_ID = 0x4d575231 }; /* "MWR1": another layout is another id, and thrown away */

struct warm_row {
	struct warm_row *next;
	char *key;   /* in the same block */
	char *value; /* NULL: delete */
	size_t value_len;
};

struct warm {
	/* control's */
	struct map gathered;
	bool ending; /* what is gathered is handed over also after a failure */

	/* under the mutex */
	uv_mutex_t mutex;
	uv_cond_t cond, taken; /* there is something in the slot; it is empty */
	struct warm_row *slot;
	bool stop, again; /* again: try once more what could not be written */

	/* the thread's; before it starts and after it has ended control's */
	char *path;
	sqlite3 *db;
	sqlite3_stmt *put, *del;
	struct warm_row *unwritten;
	uv_thread_t thread;

	_Atomic uint64_t written, failed, pending;
	atomic_bool failing; /* the last attempt to write has failed */
};

/* ---- rows */

static bool row_equal(const void *value, const void *key)
{
	return strcmp(((const struct warm_row *)value)->key, key) == 0;
}

static struct warm_row *row_new(const char *key, const char *value, size_t value_len)
{
	size_t key_room = strlen(key) + 1;
	struct warm_row *row = mem_alloc(sizeof(*row) + key_room + (value == NULL ? 0 : value_len));
	if (row == NULL)
		return NULL;
	row->next = NULL;
	row->key = (char *)(row + 1);
	memcpy(row->key, key, key_room);
	row->value = value == NULL ? NULL : row->key + key_room;
	row->value_len = value == NULL ? 0 : value_len;
	if (row->value_len > 0)
		memcpy(row->value, value, value_len);
	return row;
}

static uint64_t rows_free(struct warm_row *row)
{
	uint64_t count = 0;
	while (row != NULL) {
		struct warm_row *next = row->next;
		mem_free(row);
		row = next;
		count++;
	}
	return count;
}

static struct warm_row *rows_merge(struct warm_row *a, struct warm_row *b)
{
	struct warm_row *first = NULL, **end = &first;
	while (a != NULL && b != NULL) {
		struct warm_row **least = strcmp(a->key, b->key) <= 0 ? &a : &b;
		*end = *least;
		end = &(*least)->next;
		*least = *end;
	}
	*end = a != NULL ? a : b;
	return first;
}

/* By key: a page of the file is then met once, however small the cache is beside the file. No two keys are the same. */
static struct warm_row *rows_sort(struct warm_row *row)
{
	struct warm_row *runs[32] = { NULL }; /* runs[i]: sorted, 2^i rows */
	while (row != NULL) {
		struct warm_row *run = row;
		unsigned i = 0;
		row = row->next;
		run->next = NULL;
		for (; i < 31 && runs[i] != NULL; i++) {
			run = rows_merge(runs[i], run);
			runs[i] = NULL;
		}
		runs[i] = rows_merge(run, runs[i]);
	}
	for (unsigned i = 0; i < 32; i++)
		row = rows_merge(row, runs[i]);
	return row;
}

/* Of key and value, so that a value under another's key is noticed as well. */
static int64_t row_sum(const void *key, size_t key_len, const void *value, size_t value_len)
{
	return (int64_t)(XXH64(value, value_len, XXH64(key, key_len, 0)) >> 1);
}

/* ---- the thread */

static int row_write(struct warm *w, const struct warm_row *row)
{
	sqlite3_stmt *s = row->value == NULL ? w->del : w->put;
	size_t key_len = strlen(row->key);
	sqlite3_bind_text64(s, 1, row->key, key_len, SQLITE_STATIC, SQLITE_UTF8);
	if (row->value != NULL) {
		sqlite3_bind_text64(s, 2, row->value, row->value_len, SQLITE_STATIC, SQLITE_UTF8);
		sqlite3_bind_int64(s, 3, row_sum(row->key, key_len, row->value, row->value_len));
	}
	int rc = sqlite3_step(s);
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int rows_write(struct warm *w, const struct warm_row *first, uint64_t *ret_count)
{
	uint64_t count = 0;
	int rc = sqlite3_exec(w->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	for (const struct warm_row *row = first; rc == SQLITE_OK && row != NULL; row = row->next) {
		rc = row_write(w, row);
		count++;
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(w->db, "COMMIT", NULL, NULL, NULL);
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(w->db))
		sqlite3_exec(w->db, "ROLLBACK", NULL, NULL, NULL);
	*ret_count = count;
	return rc;
}

/* Writes what is unwritten and then @rows; what fails is kept, oldest first. */
static void rows_take(struct warm *w, struct warm_row *rows)
{
	struct warm_row **tail = &w->unwritten;
	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = rows_sort(rows);
	if (w->unwritten == NULL)
		return;
	uint64_t count;
	int rc = rows_write(w, w->unwritten, &count);
	atomic_store(&w->failing, rc != SQLITE_OK);
	if (rc != SQLITE_OK) {
		atomic_fetch_add_explicit(&w->failed, count, memory_order_relaxed);
		return;
	}
	count = rows_free(w->unwritten);
	w->unwritten = NULL;
	atomic_fetch_add_explicit(&w->written, count, memory_order_relaxed);
	atomic_fetch_sub_explicit(&w->pending, count, memory_order_relaxed);
}

static void warm_main(void *arg)
{
	struct warm *w = arg;
	thread_begin("warm", THREAD_BACKGROUND);
	for (bool stop = false; !stop;) {
		uv_mutex_lock(&w->mutex);
		while (w->slot == NULL && !w->stop && !w->again)
			uv_cond_wait(&w->cond, &w->mutex);
		struct warm_row *rows = w->slot;
		w->slot = NULL;
		w->again = false;
		uv_cond_signal(&w->taken);
		stop = w->stop && rows == NULL;
		uv_mutex_unlock(&w->mutex);
		if (!stop)
			rows_take(w, rows);
	}
}

/* ---- the file */

static void file_close(struct warm *w)
{
	sqlite3_finalize(w->put);
	sqlite3_finalize(w->del);
	sqlite3_close(w->db);
	w->put = w->del = NULL;
	w->db = NULL;
}

/* Each row's checksum against its bytes; with @on_entry the rows go there, too. false: torn. */
static bool rows_read(struct warm *w,
		      void (*on_entry)(void *arg, const char *key, const char *value, size_t value_len),
		      void *arg)
{
	sqlite3_stmt *s = NULL;
	bool sound = true;
	int rc = sqlite3_prepare_v2(w->db, "SELECT key, value, sum FROM warm", -1, &s, NULL);
	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(s);
		if (rc != SQLITE_ROW)
			break;
		const char *key = (const char *)sqlite3_column_text(s, 0);
		const char *value = (const char *)sqlite3_column_text(s, 1);
		size_t key_len = (size_t)sqlite3_column_bytes(s, 0);
		size_t value_len = (size_t)sqlite3_column_bytes(s, 1);
		sound = key != NULL && value != NULL &&
			row_sum(key, key_len, value, value_len) == sqlite3_column_int64(s, 2);
		if (!sound)
			break;
		if (on_entry != NULL)
			on_entry(arg, key, value, value_len);
	}
	sqlite3_finalize(s);
	return sound && rc == SQLITE_DONE;
}

static int64_t query_int(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t value = -1;
	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		value = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return value;
}

/* The file exists, is ours and every row of it can be read. */
static bool file_sound(struct warm *w)
{
	return query_int(w->db, "PRAGMA application_id") == WARM_APPLICATION_ID &&
	       rows_read(w, NULL, NULL);
}

static int file_open(struct warm *w)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	int rc = sqlite3_open_v2(w->path, &w->db, flags, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(w->db,
				  "PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL;"
				  "PRAGMA wal_autocheckpoint=4000; PRAGMA cache_size=-2000;"
				  "PRAGMA secure_delete=OFF",
				  NULL, NULL, NULL);
	return rc;
}

static void file_remove(struct warm *w)
{
	static const char *const tails[] = { "", "-wal", "-shm", "-journal" };
	file_close(w);
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		char path[4096];
		int len = snprintf(path, sizeof(path), "%s%s", w->path, tails[i]);
		if (len > 0 && (size_t)len < sizeof(path))
			unlink(path);
	}
}

static int file_make(struct warm *w)
{
	char sql[300];
	snprintf(sql, sizeof(sql),
		 "BEGIN; PRAGMA application_id=%d; CREATE TABLE warm(key TEXT NOT NULL PRIMARY KEY,"
		 " value TEXT NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID; COMMIT",
		 WARM_APPLICATION_ID);
	int rc = file_open(w);
	return rc == SQLITE_OK ? sqlite3_exec(w->db, sql, NULL, NULL, NULL) : rc;
}

static int file_ready(struct warm *w, bool *ret_fresh, struct error *err)
{
	int rc = file_open(w);
	*ret_fresh = rc != SQLITE_OK || !file_sound(w);
	if (*ret_fresh) {
		file_remove(w);
		rc = file_make(w);
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v3(w->db,
					"INSERT INTO warm VALUES(?1,?2,?3) ON CONFLICT(key) DO UPDATE"
					" SET value=excluded.value, sum=excluded.sum",
					-1, SQLITE_PREPARE_PERSISTENT, &w->put, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v3(w->db, "DELETE FROM warm WHERE key=?1", -1,
					SQLITE_PREPARE_PERSISTENT, &w->del, NULL);
	if (rc == SQLITE_OK)
		return E_OK;
	int errnum = w->db == NULL ? 0 : sqlite3_system_errno(w->db);
	if (errnum == 0)
		return error_set(err, (rc & 0xff) == SQLITE_FULL ? E_FULL : E_IO,
				 "%s: the warm copy cannot be made: %s", w->path, sqlite3_errstr(rc));
	return error_set_errno(err, errnum, "%s: the warm copy cannot be made", w->path);
}

/* ---- life */

static int thread_start(struct warm *w)
{
	if (uv_mutex_init(&w->mutex) != 0)
		return E_NOMEM;
	if (uv_cond_init(&w->cond) != 0)
		goto out_mutex;
	if (uv_cond_init(&w->taken) != 0)
		goto out_cond;
	if (uv_thread_create(&w->thread, warm_main, w) == 0)
		return E_OK;
	uv_cond_destroy(&w->taken);
out_cond:
	uv_cond_destroy(&w->cond);
out_mutex:
	uv_mutex_destroy(&w->mutex);
	return E_NOMEM;
}

int warm_open(struct warm **ret, const char *path,
	      void (*on_entry)(void *arg, const char *key, const char *value, size_t value_len), void *arg,
	      bool *ret_fresh, struct error *err)
{
	struct warm *w = mem_zalloc(1, sizeof(*w));
	if (w == NULL || (w->path = mem_strdup(path)) == NULL) {
		mem_free(w);
		return error_set(err, E_NOMEM, "open %s", path);
	}
	map_init(&w->gathered, row_equal);
	bool fresh;
	int rc = file_ready(w, &fresh, err);
	if (rc < 0)
		goto out;
	rc = thread_start(w);
	if (rc < 0) {
		error_set(err, rc, "open %s: no thread", path);
		goto out;
	}
	/* The thread sleeps until the first flush, so the connection is still ours to read. */
	if (!fresh)
		rows_read(w, on_entry, arg);
	*ret = w;
	*ret_fresh = fresh;
	return E_OK;
out:
	file_close(w);
	mem_free(w->path);
	mem_free(w);
	return rc;
}

int warm_put(struct warm *w, const char *key, const char *value, size_t value_len)
{
	struct warm_row *row = row_new(key, value, value_len);
	if (row == NULL)
		return E_NOMEM;
	uint64_t hash = hash_bytes(key, strlen(key));
	struct warm_row *old = map_remove(&w->gathered, hash, key);
	if (old == NULL)
		atomic_fetch_add_explicit(&w->pending, 1, memory_order_relaxed);
	mem_free(old);
	if (map_add(&w->gathered, hash, row) == E_OK)
		return E_OK;
	mem_free(row);
	atomic_fetch_sub_explicit(&w->pending, 1, memory_order_relaxed);
	return E_NOMEM;
}

static struct warm_row *gathered_take(struct warm *w)
{
	struct warm_row *first = NULL, *row;
	for (size_t i = 0; (row = map_next(&w->gathered, &i)) != NULL;) {
		row->next = first;
		first = row;
	}
	map_done(&w->gathered);
	map_init(&w->gathered, row_equal);
	return first;
}

bool warm_flush(struct warm *w)
{
	bool failing = atomic_load(&w->failing), any = w->gathered.count > 0;
	if (!any && !failing)
		return true;
	uv_mutex_lock(&w->mutex);
	bool taken = any && w->slot == NULL && (!failing || w->ending);
	if (taken)
		w->slot = gathered_take(w);
	w->again = failing;
	uv_cond_signal(&w->cond);
	uv_mutex_unlock(&w->mutex);
	return taken || !any;
}

void warm_wait(struct warm *w)
{
	w->ending = true;
	uv_mutex_lock(&w->mutex);
	while (w->slot != NULL)
		uv_cond_wait(&w->taken, &w->mutex);
	uv_mutex_unlock(&w->mutex);
}

size_t warm_gathered(const struct warm *w)
{
	return w->gathered.count;
}

void warm_close(struct warm *w)
{
	uv_mutex_lock(&w->mutex);
	w->stop = true;
	uv_cond_signal(&w->cond);
	uv_mutex_unlock(&w->mutex);
	uv_thread_join(&w->thread);
	sqlite3_exec(w->db, "PRAGMA synchronous=FULL", NULL, NULL, NULL);
	rows_take(w, gathered_take(w));
	sqlite3_exec(w->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
	rows_free(w->unwritten);
	file_close(w);
	uv_mutex_destroy(&w->mutex);
	uv_cond_destroy(&w->cond);
	uv_cond_destroy(&w->taken);
	map_done(&w->gathered);
	mem_free(w->path);
	mem_free(w);
}

void warm_stats(const struct warm *w, struct warm_stats *ret)
{
	*ret = (struct warm_stats){
		.written = atomic_load_explicit(&w->written, memory_order_relaxed),
		.failed = atomic_load_explicit(&w->failed, memory_order_relaxed),
		.pending = atomic_load_explicit(&w->pending, memory_order_relaxed),
	};
}

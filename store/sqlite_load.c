/* Reading everything: on the store thread before its first commit, rows go to control in chunks, prepared by the feed. At
 * most SQLITE_CHUNKS_MAX chunks exist, so a load never outruns control by more than a few
 * milliseconds of its work. Control gives a chunk back through the queue's list of free ones. */
#include "base/mem.h"
#include "base/thread.h"
#include "store/sqlite.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* ---- chunks */

/* A free chunk, a new one, or NULL: the load is to stop, or no memory. */
static struct sqlite_chunk *chunk_get(struct sqlite_queue *q, bool *ret_stopped)
{
	struct sqlite_chunk *chunk = NULL;
	uv_mutex_lock(&q->mutex);
	while (!q->stop_load && q->free_chunks == NULL && q->chunks == SQLITE_CHUNKS_MAX)
		uv_cond_wait(&q->cond, &q->mutex);
	*ret_stopped = q->stop_load;
	if (!q->stop_load) {
		chunk = q->free_chunks;
		if (chunk != NULL)
			q->free_chunks = (struct sqlite_chunk *)chunk->m.link.next;
		else if ((chunk = mem_alloc(sizeof(*chunk))) != NULL) {
			q->chunks++;
			chunk->cap = 0;
			chunk->bytes = NULL;
			chunk->first = mem_alloc(SQLITE_CHUNK_PREPARED); /* without it the arena takes blocks */
			arena_init(&chunk->prepared, chunk->first, chunk->first != NULL ? SQLITE_CHUNK_PREPARED : 0, 0);
		}
	}
	uv_mutex_unlock(&q->mutex);
	if (chunk == NULL)
		return NULL;
	chunk->m.kind = SQLITE_CHUNK;
	chunk->count = chunk->used = 0;
	arena_reset(&chunk->prepared);
	return chunk;
}

/* Room for @len more bytes. An oversized row may grow an empty chunk; otherwise false: send it first. */
static bool chunk_room(struct sqlite_chunk *chunk, size_t len, bool *ret_nomem)
{
	*ret_nomem = false;
	if (chunk->count == SQLITE_CHUNK_ROWS)
		return false;
	if (chunk->used + len <= chunk->cap)
		return true;
	if (chunk->count > 0)
		return false;
	size_t cap = len > SQLITE_CHUNK_BYTES ? len : SQLITE_CHUNK_BYTES;
	mem_free(chunk->bytes);
	chunk->bytes = mem_alloc(cap);
	chunk->cap = chunk->bytes == NULL ? 0 : cap;
	*ret_nomem = chunk->bytes == NULL;
	return chunk->bytes != NULL;
}

static size_t chunk_put(struct sqlite_chunk *chunk, const void *from, size_t len)
{
	size_t at = chunk->used;
	if (len > 0)
		memcpy(chunk->bytes + at, from, len);
	chunk->bytes[at + len] = '\0';
	chunk->used += len + 1;
	return at;
}

struct store_entry sqlite_chunk_entry(const struct sqlite_chunk *chunk, size_t i)
{
	return (struct store_entry){ .key = chunk->bytes + chunk->rows[i].key,
				     .value = chunk->bytes + chunk->rows[i].value,
				     .value_len = chunk->rows[i].value_len,
				     .mod_revision = chunk->rows[i].mod_revision,
				     .prepared = chunk->rows[i].prepared };
}

void sqlite_chunk_free(struct sqlite_chunk *chunk)
{
	arena_done(&chunk->prepared);
	mem_free(chunk->first);
	mem_free(chunk->bytes);
	mem_free(chunk);
}

/* ---- the walk */

struct load {
	struct sqlite_writer *w;
	struct sqlite_chunk *chunk;
	int64_t max_revision;
	bool stopped;
};

static void chunk_prepare(const struct load *l)
{
	struct sqlite_chunk *chunk = l->chunk;
	for (size_t i = 0; i < chunk->count && l->w->prepare != NULL; i++) {
		struct store_entry e = sqlite_chunk_entry(chunk, i);
		chunk->rows[i].prepared = l->w->prepare(&e, &chunk->prepared);
	}
}

static void chunk_send(struct load *l)
{
	if (l->chunk != NULL) {
		chunk_prepare(l);
		inbox_post(l->w->control, &l->chunk->m.link);
	}
	l->chunk = NULL;
}

static int row_send(struct load *l, sqlite3_stmt *s)
{
	const void *key = sqlite3_column_text(s, 0), *value = sqlite3_column_text(s, 1);
	size_t key_len = (size_t)sqlite3_column_bytes(s, 0);
	size_t value_len = (size_t)sqlite3_column_bytes(s, 1);
	if (key == NULL || value == NULL)
		return E_NOMEM;
	for (;;) {
		bool nomem;
		if (l->chunk == NULL && (l->chunk = chunk_get(l->w->queue, &l->stopped)) == NULL)
			return l->stopped ? E_CLOSED : E_NOMEM;
		if (chunk_room(l->chunk, key_len + value_len + 2, &nomem))
			break;
		if (nomem)
			return E_NOMEM;
		chunk_send(l);
	}
	int64_t revision = sqlite3_column_int64(s, 2);
	size_t i = l->chunk->count++;
	l->chunk->rows[i].key = chunk_put(l->chunk, key, key_len);
	l->chunk->rows[i].value = chunk_put(l->chunk, value, value_len);
	l->chunk->rows[i].value_len = value_len;
	l->chunk->rows[i].mod_revision = revision;
	l->chunk->rows[i].prepared = NULL;
	if (revision > l->max_revision)
		l->max_revision = revision;
	return E_OK;
}

static int rows_send(struct load *l, struct error *err)
{
	/* The backend's own rows stay here. */
	static const char sql[] = "SELECT key, value, mod_revision FROM kv"
				  " WHERE key < '/muster/1/meta/' OR key >= '/muster/1/meta0' ORDER BY key";
	sqlite3_stmt *s = NULL;
	struct sqlite_file *f = &l->w->file;
	int rc = E_OK, sql_rc = sqlite3_prepare_v2(f->db, sql, -1, &s, NULL);
	if (sql_rc == SQLITE_OK)
		while (rc == E_OK && (sql_rc = sqlite3_step(s)) == SQLITE_ROW)
			rc = row_send(l, s);
	sqlite3_finalize(s);
	if (rc == E_NOMEM)
		return error_set(err, E_NOMEM, "%s: no memory to load it", f->path);
	if (rc == E_OK && sql_rc != SQLITE_DONE)
		return sqlite_file_error(f, sql_rc, "load", err);
	return rc;
}

void sqlite_load(struct sqlite_writer *w)
{
	struct load l = { .w = w };
	/* Made first: without memory for it control would wait for ever, so it has a fallback. */
	struct sqlite_loaded *loaded = NULL;
	while ((loaded = mem_zalloc(1, sizeof(*loaded))) == NULL)
		uv_sleep(10);
	loaded->m.kind = SQLITE_LOADED;
	loaded->code = rows_send(&l, &loaded->error);
	loaded->max_revision = l.max_revision;
	chunk_send(&l);
	sqlite3_db_release_memory(w->file.db);
	inbox_post(w->control, &loaded->m.link);
}

/* ---- the integrity check */

static int check_progress(void *arg)
{
	struct sqlite_check *c = arg;
	return atomic_load_explicit(&c->stop, memory_order_relaxed);
}

/* Whether something was found; then c->finding says what. An interrupted check has found nothing. */
static bool check_run(struct sqlite_check *c)
{
	sqlite3_stmt *s = NULL;
	sqlite3_progress_handler(c->db, 10000, check_progress, c);
	sqlite3_exec(c->db, "PRAGMA cache_size=-500", NULL, NULL, NULL);
	int rc = sqlite3_prepare_v2(c->db, "PRAGMA quick_check(1)", -1, &s, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	bool stopped = atomic_load_explicit(&c->stop, memory_order_relaxed), found = false;
	if (rc == SQLITE_ROW && !stopped) {
		const char *text = (const char *)sqlite3_column_text(s, 0);
		found = text != NULL && strcmp(text, "ok") != 0;
		if (found)
			snprintf(c->finding, sizeof(c->finding), "%s: integrity check: %s", c->path, text);
	} else if ((rc & 0xff) == SQLITE_CORRUPT) {
		found = true;
		snprintf(c->finding, sizeof(c->finding), "%s: integrity check: the file is damaged",
			 c->path);
	}
	sqlite3_finalize(s);
	return found;
}

static void check_main(void *arg)
{
	struct sqlite_check *c = arg;
	thread_begin("store-check", THREAD_BACKGROUND);
	setpriority(PRIO_PROCESS, 0, 19); /* on Linux: of this thread; it may starve */
	c->sound = !check_run(c);
	inbox_post(c->control, &c->m.link);
}

void sqlite_check_start(struct sqlite_check *c, const char *vfs)
{
	c->m.kind = SQLITE_CHECKED;
	int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
	if (sqlite3_open_v2(c->path, &c->db, flags, vfs) == SQLITE_OK &&
	    uv_thread_create(&c->thread, check_main, c) == 0) {
		c->running = true;
		return;
	}
	sqlite3_close(c->db);
	c->db = NULL;
}

void sqlite_check_stop(struct sqlite_check *c)
{
	atomic_store_explicit(&c->stop, true, memory_order_relaxed);
	sqlite3_interrupt(c->db);
}

void sqlite_check_join(struct sqlite_check *c)
{
	uv_thread_join(&c->thread);
	sqlite3_close(c->db);
	c->db = NULL;
	c->running = false;
}

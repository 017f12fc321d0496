/* sqlite.h - the parts of the SQLite backend, for its own files only.
 *
 *   sqlite.c         the store as control sees it: commits handed over, replies, numbers, closing
 *   sqlite_file.c    the connection: opening, the number block, errors
 *   sqlite_upgrade.c  the schema: whose file it is, its version, making and migrating it
 *   sqlite_writer.c  the store thread: group commit
 *   sqlite_load.c    on the store thread: rows to control in chunks; the integrity check behind it
 *
 * Control and the store thread share struct sqlite_queue (under its mutex) and the counters; replies
 * go back through control's inbox. Everything else has one owner. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "base/inbox.h"
#include "store/backend.h"
#include "store/batch.h"
#include "store/numbers.h"

#include <sqlite3.h>
#include <stdatomic.h>

enum {
	SQLITE_APPLICATION_ID = 0x4d555354, /* "MUST" */
	SQLITE_WAL_PAGES = 8000, /* a checkpoint when the log has so many: 32 MB */
};

#define META_SCHEMA "/muster/1/meta/schema"
#define META_NUMBERS "/muster/1/meta/numbers"

/* ---- the connection: of the thread that opens the store, then of the store thread */
struct sqlite_file {
	sqlite3 *db;
	char *path;
	sqlite3_stmt *begin, *commit, *rollback, *savepoint, *release, *undo;
	sqlite3_stmt *put, *del, *revision, *mark, *touch;
};

/* What the meta rows said at the start, and what was made of it. */
struct sqlite_start {
	struct store_origin origin;
	struct numbers numbers;
	int refused; /* E_OK, or why the block could not be reserved: the start goes on without */
	struct error why;
};

int sqlite_file_open(struct sqlite_file *f, const struct store_conf *conf,
		     struct sqlite_start *ret, struct error *err);
void sqlite_file_close(struct sqlite_file *f); /* also half opened ones */
/* A sentence with the file and the cause for SQLite's @rc; returns the errcode. */
int sqlite_file_error(const struct sqlite_file *f, int rc, const char *doing, struct error *err);
/* Runs a prepared statement that gives no rows; an SQLite code, SQLITE_OK when done. */
int sqlite_run(sqlite3_stmt *s);
int sqlite_exec(struct sqlite_file *f, const char *sql, const char *doing, struct error *err);
/* The one integer that @sql gives; 0 for no row. */
int sqlite_query_int(struct sqlite_file *f, const char *sql, int64_t *ret, struct error *err);
int sqlite_origin_read(struct sqlite_file *f, struct store_origin *ret, struct error *err);
int sqlite_mark_read(struct sqlite_file *f, struct numbers_mark *ret, struct error *err);
int sqlite_mark_write(struct sqlite_file *f, const struct numbers_mark *mark); /* an SQLite code */

/* ---- messages between control and the store thread; link is first */
enum sqlite_kind {
	SQLITE_COMMIT,
	SQLITE_RESERVE, /* a number block */
	SQLITE_FLUSH,	/* comes back when all before it is answered */
	SQLITE_CLOSE,	/* writes the last mark; the thread ends */
	SQLITE_CHUNK,	/* rows, to control */
	SQLITE_LOADED,
	SQLITE_CHECKED,
};

struct sqlite_message {
	struct inbox_message link;
	enum sqlite_kind kind;
};

/* A batch (or a number mark) on its way to the disk and back. One block, made and freed by control. */
struct sqlite_commit {
	struct sqlite_message m;
	struct store_batch batch;
	store_commit_cb *on_reply;
	void *arg;
	int64_t mod_revision;
	struct numbers_mark mark; /* SQLITE_RESERVE, SQLITE_CLOSE */
	uint64_t handed_ns;
	int code;
	struct error error; /* when code < 0 */
	/* the batch's bytes follow */
};

enum { SQLITE_CHUNK_ROWS = 512, SQLITE_CHUNK_BYTES = 256 * 1024, SQLITE_CHUNKS_MAX = 4 };

struct sqlite_chunk {
	struct sqlite_message m;
	size_t count, used, cap;
	char *bytes; /* a row with a value over SQLITE_CHUNK_BYTES makes a block of its own size */
	struct {
		size_t key, value, value_len; /* offsets into bytes */
		int64_t mod_revision;
	} rows[SQLITE_CHUNK_ROWS];
};

struct sqlite_loaded {
	struct sqlite_message m;
	int code;
	int64_t max_revision;
	struct error error;
};

/* ---- control to store thread */
struct sqlite_queue {
	uv_mutex_t mutex;
	uv_cond_t cond;
	struct inbox_message *first, **last;
	struct sqlite_chunk *free_chunks; /* linked by m.link.next */
	unsigned chunks;		  /* made and not freed */
	bool stop_load;
};

struct sqlite_counters {
	_Atomic uint64_t commits, transactions, refused, waiting, last_commit_ns;
	unsigned seconds; /* histogram: from handing over to the answer */
};

/* The store thread's whole world. */
struct sqlite_writer {
	struct sqlite_file file;
	struct sqlite_queue *queue;
	struct inbox *control;
	struct sqlite_counters *counters;
};

void sqlite_writer_main(void *writer); /* the thread */
void sqlite_load(struct sqlite_writer *w); /* on the store thread, first thing */

/* The integrity check: a thread of its own at the lowest priority, with a read-only connection that
 * control opens and closes, so that control may interrupt it at any time in between. */
struct sqlite_check {
	struct sqlite_message m; /* comes to control when the check has ended */
	bool sound;
	char finding[200];
	sqlite3 *db;
	const char *path;
	struct inbox *control;
	atomic_bool stop;
	uv_thread_t thread;
	bool running;
};
void sqlite_check_start(struct sqlite_check *c, const char *vfs); /* not possible: not running */
void sqlite_check_stop(struct sqlite_check *c); /* its message still comes */
void sqlite_check_join(struct sqlite_check *c); /* after its message */

#endif

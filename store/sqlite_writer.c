/* The store thread. Happy path: take all that waits, put it into one transaction, COMMIT (which
 * syncs), post the replies in order. Ways it can fail:
 *  - a batch's condition does not hold: nothing of it was written, the others go on;
 *  - a statement of a batch fails: a batch of several writes is undone by its savepoint (a single
 *    statement undoes itself), the others go on;
 *  - SQLite gives up the whole transaction, or COMMIT fails for lack of space: every batch is
 *    tried again alone, since one large value must not refuse its neighbours;
 *  - COMMIT fails otherwise (I/O error, write lock held by someone): all are refused with the cause. */
#include "base/clock.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "store/sqlite.h"

#include <string.h>

/* ---- one batch inside a transaction */

static const char *doing(const struct sqlite_commit *c)
{
	return c->m.kind == SQLITE_COMMIT ? "write" : "reserve numbers";
}

static int conds_check(struct sqlite_file *f, struct sqlite_commit *c)
{
	for (size_t i = 0; i < c->batch.cond_count; i++) {
		const struct store_cond *cond = &c->batch.conds[i];
		sqlite3_bind_text(f->revision, 1, cond->key, -1, SQLITE_STATIC);
		int rc = sqlite3_step(f->revision);
		int64_t found = rc == SQLITE_ROW ? sqlite3_column_int64(f->revision, 0) : -1;
		sqlite3_reset(f->revision);
		if (rc != SQLITE_ROW && rc != SQLITE_DONE)
			return sqlite_file_error(f, rc, "read", &c->error);
		rc = cond_check(cond, found, &c->error);
		if (rc < 0)
			return rc;
	}
	return E_OK;
}

static int op_run(struct sqlite_file *f, const struct store_op *op, int64_t mod_revision)
{
	if (op->value == NULL) {
		sqlite3_bind_text(f->del, 1, op->key, -1, SQLITE_STATIC);
		return sqlite_run(f->del);
	}
	sqlite3_bind_text(f->put, 1, op->key, -1, SQLITE_STATIC);
	sqlite3_bind_text64(f->put, 2, op->value, op->value_len, SQLITE_STATIC, SQLITE_UTF8);
	sqlite3_bind_int64(f->put, 3, mod_revision);
	return sqlite_run(f->put);
}

static int ops_run(struct sqlite_file *f, struct sqlite_commit *c)
{
	for (size_t i = 0; i < c->batch.op_count; i++) {
		int rc = op_run(f, &c->batch.ops[i], c->mod_revision);
		if (rc != SQLITE_OK)
			return rc;
	}
	return SQLITE_OK;
}

/* Undoes what @c alone has written. false: the transaction is gone. */
static bool batch_undo(struct sqlite_file *f, bool saved)
{
	if (sqlite3_get_autocommit(f->db))
		return false;
	if (!saved)
		return true; /* one statement: undone by itself */
	return sqlite_run(f->undo) == SQLITE_OK && sqlite_run(f->release) == SQLITE_OK;
}

/* Sets c->code. false: the whole transaction is gone, with everything in it. */
static bool batch_apply(struct sqlite_file *f, struct sqlite_commit *c, bool shared)
{
	if (c->m.kind != SQLITE_COMMIT) {
		int rc = sqlite_mark_write(f, &c->mark);
		c->code = rc == SQLITE_OK ? E_OK : sqlite_file_error(f, rc, doing(c), &c->error);
		return rc == SQLITE_OK || batch_undo(f, false);
	}
	c->code = conds_check(f, c);
	if (c->code < 0)
		return !sqlite3_get_autocommit(f->db);
	bool saved = shared && c->batch.op_count > 1;
	int rc = saved ? sqlite_run(f->savepoint) : SQLITE_OK;
	if (rc == SQLITE_OK) {
		rc = ops_run(f, c);
		if (rc == SQLITE_OK && saved)
			rc = sqlite_run(f->release);
	}
	if (rc == SQLITE_OK)
		return true;
	c->code = sqlite_file_error(f, rc, "write", &c->error);
	/* Alone in its transaction: the owner rolls all of it back. */
	return shared ? batch_undo(f, saved) : !sqlite3_get_autocommit(f->db);
}

/* ---- transactions */

static void rollback(struct sqlite_file *f)
{
	if (!sqlite3_get_autocommit(f->db))
		sqlite_run(f->rollback);
}

/* After a COMMIT that failed in its sync the log may hold the whole refused transaction, and a crash
 * would bring it back. Any small transaction writes over its first frame, which breaks the chain. */
static void commit_failed(struct sqlite_file *f, int rc)
{
	rollback(f);
	if ((rc & 0xff) == SQLITE_IOERR)
		sqlite_run(f->touch);
}

static void run_alone(struct sqlite_writer *w, struct sqlite_commit *c)
{
	struct sqlite_file *f = &w->file;
	int rc = sqlite_run(f->begin);
	if (rc != SQLITE_OK) {
		c->code = sqlite_file_error(f, rc, doing(c), &c->error);
		return;
	}
	if (!batch_apply(f, c, false) || c->code < 0) {
		rollback(f);
		return;
	}
	rc = sqlite_run(f->commit);
	if (rc != SQLITE_OK) {
		c->code = sqlite_file_error(f, rc, doing(c), &c->error);
		commit_failed(f, rc);
		return;
	}
	atomic_fetch_add_explicit(&w->counters->transactions, 1, memory_order_relaxed);
}

static struct sqlite_commit *next_of(struct sqlite_commit *c)
{
	return (struct sqlite_commit *)c->m.link.next;
}

static void run_each(struct sqlite_writer *w, struct sqlite_commit *first)
{
	for (struct sqlite_commit *c = first; c != NULL; c = next_of(c))
		run_alone(w, c);
}

static void refuse_all(struct sqlite_file *f, struct sqlite_commit *first, int rc)
{
	struct error error;
	int code = sqlite_file_error(f, rc, "write", &error);
	for (struct sqlite_commit *c = first; c != NULL; c = next_of(c)) {
		if (c->code < 0)
			continue; /* a condition: that answer is right already */
		c->code = code;
		c->error = error;
	}
}

static void run_group(struct sqlite_writer *w, struct sqlite_commit *first)
{
	struct sqlite_file *f = &w->file;
	int rc = sqlite_run(f->begin);
	if (rc != SQLITE_OK) {
		refuse_all(f, first, rc);
		return;
	}
	for (struct sqlite_commit *c = first; c != NULL; c = next_of(c)) {
		if (!batch_apply(f, c, true)) {
			rollback(f);
			run_each(w, first);
			return;
		}
	}
	rc = sqlite_run(f->commit);
	if (rc == SQLITE_OK) {
		atomic_fetch_add_explicit(&w->counters->transactions, 1, memory_order_relaxed);
		return;
	}
	struct error error;
	if (sqlite_file_error(f, rc, "write", &error) == E_FULL) {
		commit_failed(f, rc);
		run_each(w, first);
		return;
	}
	refuse_all(f, first, rc);
	commit_failed(f, rc);
}

static void group_count(struct sqlite_counters *counters, struct sqlite_commit *first)
{
	uint64_t commits = 0, refused = 0;
	for (struct sqlite_commit *c = first; c != NULL; c = next_of(c)) {
		if (c->m.kind != SQLITE_COMMIT)
			continue;
		commits += c->code == E_OK;
		refused += c->code < 0;
	}
	atomic_fetch_add_explicit(&counters->commits, commits, memory_order_relaxed);
	atomic_fetch_add_explicit(&counters->refused, refused, memory_order_relaxed);
	uint64_t took_ns = clock_ns() - first->handed_ns;
	atomic_store_explicit(&counters->last_commit_ns, took_ns, memory_order_relaxed);
	metrics_observe(counters->seconds, (double)took_ns * 1e-9);
}

/* ---- the thread */

/* All that waits, as one list; waits itself while there is nothing. */
static struct sqlite_commit *queue_take(struct sqlite_queue *q)
{
	uv_mutex_lock(&q->mutex);
	while (q->first == NULL)
		uv_cond_wait(&q->cond, &q->mutex);
	struct inbox_message *first = q->first;
	q->first = NULL;
	q->last = &q->first;
	uv_mutex_unlock(&q->mutex);
	return (struct sqlite_commit *)first;
}

/* Cuts a list of commits before the first message that is none; a reservation may ride along. */
static struct sqlite_commit *group_cut(struct sqlite_commit **at, struct sqlite_commit **ret_last,
				       unsigned *ret_count)
{
	struct sqlite_commit *first = NULL, *last = NULL, *c = *at;
	unsigned count = 0;
	while (c != NULL && (c->m.kind == SQLITE_COMMIT || c->m.kind == SQLITE_RESERVE)) {
		if (first == NULL)
			first = c;
		last = c;
		count++;
		c = next_of(c);
	}
	if (last != NULL)
		last->m.link.next = NULL;
	*at = c;
	*ret_last = last;
	*ret_count = count;
	return first;
}

/* false: that was the last message. */
static bool single_run(struct sqlite_writer *w, struct sqlite_commit *c)
{
	bool close = c->m.kind == SQLITE_CLOSE;
	if (close) {
		run_alone(w, c);
		sqlite_file_close(&w->file);
	}
	inbox_post(w->control, &c->m.link);
	return !close;
}

static bool list_run(struct sqlite_writer *w, struct sqlite_commit *at)
{
	while (at != NULL) {
		struct sqlite_commit *last;
		unsigned count;
		struct sqlite_commit *first = group_cut(&at, &last, &count);
		if (first != NULL) {
			if (count == 1)
				run_alone(w, first);
			else
				run_group(w, first);
			group_count(w->counters, first);
			inbox_post_list(w->control, &first->m.link, &last->m.link);
			continue;
		}
		struct sqlite_commit *c = at;
		at = next_of(c);
		c->m.link.next = NULL;
		if (!single_run(w, c))
			return false;
	}
	return true;
}

void sqlite_writer_main(void *arg)
{
	struct sqlite_writer *w = arg;
	thread_begin("store", THREAD_PLAIN);
	sqlite_load(w);
	while (list_run(w, queue_take(w->queue))) {
	}
}

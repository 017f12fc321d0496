/* The SQLite store as control sees it. Happy path: open (on the caller's thread), start the store
 * thread, which loads and then commits; store_commit() gathers into a list that is handed over
 * once per loop turn (prepare handle: right before the loop waits), replies come through the inbox.
 *
 * Closing: FLUSH goes behind everything handed over; when it is back all replies are out and all
 * numbers drawn; an integrity check still running is interrupted and waited for; CLOSE carries the
 * last mark; when that is back the thread has ended; then the inbox and the prepare handle are
 * closed, and the last of them frees the store. */
#include "store/sqlite.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"

#include <assert.h>
#include <string.h>

struct sqlite_store {
	struct store store;
	struct store_feed feed;
	struct store_origin origin;
	struct numbers numbers;
	enum store_state state;
	struct error start_refusal; /* code < 0: no block at the start */
	bool load_begun, closing, flushed;
	const char *vfs; /* borrowed: a registered VFS outlives the store */
	int64_t mod_last; /* mod_revision given last */

	struct inbox_message *gathered, **gathered_last;
	uv_prepare_t prepare;
	struct inbox *inbox;
	struct sqlite_queue queue;
	struct sqlite_counters counters;
	struct sqlite_writer writer;
	uv_thread_t thread;
	struct sqlite_check check;
	char *path;

	struct sqlite_commit reserve, last; /* the number messages: one of each is under way at most */
	unsigned handles;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* ---- handing over */

static void hand_over(struct sqlite_store *s)
{
	if (s->gathered == NULL)
		return;
	uv_mutex_lock(&s->queue.mutex);
	*s->queue.last = s->gathered;
	s->queue.last = s->gathered_last;
	uv_cond_signal(&s->queue.cond);
	uv_mutex_unlock(&s->queue.mutex);
	s->gathered = NULL;
	s->gathered_last = &s->gathered;
}

static void on_prepare(uv_prepare_t *prepare)
{
	uv_prepare_stop(prepare);
	hand_over(prepare->data);
}

static void gather(struct sqlite_store *s, struct sqlite_commit *c)
{
	c->m.link.next = NULL;
	c->handed_ns = clock_ns();
	if (s->gathered == NULL)
		uv_prepare_start(&s->prepare, on_prepare);
	*s->gathered_last = &c->m.link;
	s->gathered_last = &c->m.link.next;
}

/* Conditions compare revisions for equality: each hand-over has one of its own, also when two
 * come between two numbers. */
static int64_t mod_revision_next(struct sqlite_store *s)
{
	s->mod_last = s->numbers.next > s->mod_last ? s->numbers.next : s->mod_last + 1;
	return s->mod_last;
}

static int sqlite_commit_batch(struct store *store, const struct store_batch *batch,
			       store_commit_cb *on_reply, void *arg, struct error *err)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	assert(!s->closing);
	struct sqlite_commit *c = mem_alloc(sizeof(*c) + batch_room(batch));
	if (c == NULL)
		return error_set(err, E_NOMEM, "no memory for a batch of %zu writes", batch->op_count);
	c->m.kind = SQLITE_COMMIT;
	batch_copy(&c->batch, c + 1, batch);
	c->on_reply = on_reply;
	c->arg = arg;
	c->mod_revision = mod_revision_next(s);
	c->code = E_OK;
	atomic_fetch_add_explicit(&s->counters.waiting, 1, memory_order_relaxed);
	gather(s, c);
	return E_OK;
}

/* ---- numbers */

static void reserve_ask(struct sqlite_store *s)
{
	s->numbers.asked = true;
	s->reserve.m.kind = SQLITE_RESERVE;
	s->reserve.code = E_OK;
	s->reserve.mark = numbers_reserve(&s->numbers, clock_wall_ms());
	gather(s, &s->reserve);
}

static int64_t sqlite_number(struct store *store)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	int64_t number = s->numbers.next++;
	if (!s->closing && s->numbers.end - s->numbers.next <= NUMBERS_BLOCK / 2 &&
	    numbers_due(&s->numbers, clock_ms()))
		reserve_ask(s);
	return number;
}

/* ---- what comes back */

static void state_set(struct sqlite_store *s, enum store_state state, const char *reason)
{
	if (s->state == state)
		return;
	s->state = state;
	if (s->feed.on_state != NULL)
		s->feed.on_state(s->feed.arg, state, reason);
}

/* A write went well or was refused; conflicts say nothing about the disk. */
static void state_learn(struct sqlite_store *s, int code, const struct error *error)
{
	if (s->state != STORE_LIVE && s->state != STORE_FULL)
		return;
	if (code == E_OK)
		state_set(s, STORE_LIVE, NULL);
	else if (code == E_FULL || code == E_IO || code == E_DENIED)
		state_set(s, STORE_FULL, error->text);
}

static void on_commit(struct sqlite_store *s, struct sqlite_commit *c)
{
	atomic_fetch_sub_explicit(&s->counters.waiting, 1, memory_order_relaxed);
	state_learn(s, c->code, &c->error);
	struct store_reply reply = { c->code, c->code < 0 ? &c->error : NULL, 0, c->mod_revision };
	if (c->code == E_OK)
		reply.number = sqlite_number(&s->store);
	c->on_reply(c->arg, &reply);
	mem_free(c);
}

static void on_reserved(struct sqlite_store *s, struct sqlite_commit *c)
{
	s->numbers.asked = false;
	if (c->code == E_OK)
		s->numbers.end = c->mark.end;
	else
		s->numbers.retry_ms = clock_ms() + NUMBERS_RETRY_MS;
	state_learn(s, c->code, &c->error);
}

static void chunk_give_back(struct sqlite_store *s, struct sqlite_chunk *chunk)
{
	uv_mutex_lock(&s->queue.mutex);
	chunk->m.link.next = s->queue.free_chunks != NULL ? &s->queue.free_chunks->m.link : NULL;
	s->queue.free_chunks = chunk;
	uv_cond_signal(&s->queue.cond);
	uv_mutex_unlock(&s->queue.mutex);
}

static void load_begin_once(struct sqlite_store *s)
{
	if (!s->load_begun && s->feed.load_begin != NULL)
		s->feed.load_begin(s->feed.arg);
	s->load_begun = true;
}

static void on_chunk(struct sqlite_store *s, struct sqlite_chunk *chunk)
{
	if (!s->closing)
		load_begin_once(s);
	for (size_t i = 0; i < chunk->count && !s->closing; i++) {
		struct store_entry e = { chunk->bytes + chunk->rows[i].key,
					 chunk->bytes + chunk->rows[i].value,
					 chunk->rows[i].value_len, chunk->rows[i].mod_revision };
		if (s->feed.load_entry != NULL)
			s->feed.load_entry(s->feed.arg, &e);
	}
	chunk_give_back(s, chunk);
}

static void free_chunks_drop(struct sqlite_store *s)
{
	uv_mutex_lock(&s->queue.mutex);
	struct sqlite_chunk *chunk = s->queue.free_chunks;
	s->queue.free_chunks = NULL;
	uv_mutex_unlock(&s->queue.mutex);
	while (chunk != NULL) {
		struct sqlite_chunk *next = (struct sqlite_chunk *)chunk->m.link.next;
		mem_free(chunk->bytes);
		mem_free(chunk);
		chunk = next;
	}
}

static void on_loaded(struct sqlite_store *s, struct sqlite_loaded *loaded)
{
	free_chunks_drop(s); /* all chunks have come back: messages keep their order */
	if (s->closing)
		return;
	if (loaded->code < 0) {
		state_set(s, STORE_REFUSED, loaded->error.text);
		return;
	}
	if (loaded->max_revision > s->mod_last)
		s->mod_last = loaded->max_revision;
	load_begin_once(s);
	if (s->feed.load_end != NULL)
		s->feed.load_end(s->feed.arg, sqlite_number(&s->store));
	if (s->closing)
		return; /* by the user, just now */
	bool refused = s->start_refusal.code < 0;
	state_set(s, refused ? STORE_FULL : STORE_LIVE, refused ? s->start_refusal.text : NULL);
	if (!s->closing)
		sqlite_check_start(&s->check, s->vfs);
}

/* ---- closing */

static void last_handle_closed(struct sqlite_store *s)
{
	if (--s->handles > 0)
		return;
	void (*on_closed)(void *arg) = s->on_closed;
	void *arg = s->closed_arg;
	uv_mutex_destroy(&s->queue.mutex);
	uv_cond_destroy(&s->queue.cond);
	mem_free(s->path);
	mem_free(s);
	on_closed(arg);
}

static void on_prepare_closed(uv_handle_t *handle)
{
	last_handle_closed(handle->data);
}

static void on_inbox_closed(void *arg)
{
	last_handle_closed(arg);
}

/* All that was handed over is answered, so all numbers are drawn. */
static void close_last(struct sqlite_store *s)
{
	s->last.mark = (struct numbers_mark){ s->numbers.next, clock_wall_ms() };
	s->last.m.kind = SQLITE_CLOSE;
	s->last.code = E_OK;
	gather(s, &s->last);
}

static void on_flushed(struct sqlite_store *s)
{
	s->flushed = true;
	if (s->check.running)
		sqlite_check_stop(&s->check); /* goes on in on_checked() */
	else
		close_last(s);
}

static void on_checked(struct sqlite_store *s)
{
	sqlite_check_join(&s->check);
	if (s->flushed)
		close_last(s);
	else if (!s->check.sound && !s->closing && s->feed.on_state != NULL)
		s->feed.on_state(s->feed.arg, s->state, s->check.finding);
}

static void on_thread_end(struct sqlite_store *s)
{
	uv_thread_join(&s->thread);
	s->handles = 2;
	uv_close((uv_handle_t *)&s->prepare, on_prepare_closed);
	inbox_close(s->inbox, on_inbox_closed, s);
}

static void sqlite_close(struct store *store, void (*on_closed)(void *arg), void *arg)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	assert(!s->closing && on_closed != NULL);
	s->closing = true;
	s->on_closed = on_closed;
	s->closed_arg = arg;
	uv_mutex_lock(&s->queue.mutex);
	s->queue.stop_load = true;
	uv_cond_signal(&s->queue.cond);
	uv_mutex_unlock(&s->queue.mutex);
	s->last.m.kind = SQLITE_FLUSH;
	gather(s, &s->last);
}

static void deliver_one(struct sqlite_store *s, struct inbox_message *message)
{
	struct sqlite_message *m = (struct sqlite_message *)message;
	switch (m->kind) {
	case SQLITE_COMMIT:
		on_commit(s, (struct sqlite_commit *)m);
		break;
	case SQLITE_RESERVE:
		on_reserved(s, (struct sqlite_commit *)m);
		break;
	case SQLITE_CHUNK:
		on_chunk(s, (struct sqlite_chunk *)m);
		break;
	case SQLITE_LOADED:
		on_loaded(s, (struct sqlite_loaded *)m);
		mem_free(m);
		break;
	case SQLITE_CHECKED:
		on_checked(s);
		break;
	case SQLITE_FLUSH:
		on_flushed(s);
		break;
	case SQLITE_CLOSE:
		on_thread_end(s);
		break;
	}
}

static void deliver(void *arg, struct inbox_message *first, unsigned count)
{
	(void)count;
	while (first != NULL) {
		struct inbox_message *next = first->next;
		deliver_one(arg, first);
		first = next;
	}
}

/* ---- the rest of the interface */

static void sqlite_origin(const struct store *store, struct store_origin *ret)
{
	*ret = ((const struct sqlite_store *)store)->origin;
}

static void sqlite_stats(const struct store *store, struct store_stats *ret)
{
	const struct sqlite_counters *c = &((const struct sqlite_store *)store)->counters;
	*ret = (struct store_stats){
		.commits = atomic_load_explicit(&c->commits, memory_order_relaxed),
		.transactions = atomic_load_explicit(&c->transactions, memory_order_relaxed),
		.refused = atomic_load_explicit(&c->refused, memory_order_relaxed),
		.waiting = atomic_load_explicit(&c->waiting, memory_order_relaxed),
		.last_commit_sec =
			(double)atomic_load_explicit(&c->last_commit_ns, memory_order_relaxed) / 1e9,
	};
}

static const struct store_backend sqlite_backend = { sqlite_close, sqlite_commit_batch,
						     sqlite_number, sqlite_origin, sqlite_stats };

/* ---- opening */

static struct sqlite_store *sqlite_store_new(const struct store_feed *feed)
{
	struct sqlite_store *s = mem_zalloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->store.backend = &sqlite_backend;
	s->feed = *feed;
	s->state = STORE_LOADING;
	s->gathered_last = &s->gathered;
	s->queue.last = &s->queue.first;
	return s;
}

static void start_take(struct sqlite_store *s, const struct sqlite_start *start)
{
	s->origin = start->origin;
	s->numbers = start->numbers;
	s->start_refusal = start->why;
	s->start_refusal.code = start->refused;
	if (start->refused < 0)
		s->numbers.retry_ms = clock_ms() + NUMBERS_RETRY_MS;
}

static int threads_prepare(struct sqlite_store *s, uv_loop_t *loop, const struct store_conf *conf)
{
	s->path = mem_strdup(s->writer.file.path);
	if (s->path == NULL)
		return E_NOMEM;
	s->check.path = s->path;
	if (uv_mutex_init(&s->queue.mutex) != 0)
		goto out_path;
	if (uv_cond_init(&s->queue.cond) != 0)
		goto out_mutex;
	if (inbox_open(&s->inbox, loop, deliver, s) < 0)
		goto out_cond;
	s->vfs = conf->vfs;
	s->check.control = s->writer.control = s->inbox;
	s->writer.queue = &s->queue;
	s->writer.counters = &s->counters;
	s->counters.seconds = metrics_histogram("store_commit_seconds",
						"From handing a group of batches to the store to its sync.", NULL);
	return E_OK;
out_cond:
	uv_cond_destroy(&s->queue.cond);
out_mutex:
	uv_mutex_destroy(&s->queue.mutex);
out_path:
	mem_free(s->path);
	return E_NOMEM;
}

static void on_failed_inbox_closed(void *arg)
{
	struct sqlite_store *s = arg;
	uv_mutex_destroy(&s->queue.mutex);
	uv_cond_destroy(&s->queue.cond);
	mem_free(s->path);
	mem_free(s);
}

int sqlite_store_open(struct store **ret, uv_loop_t *loop, const struct store_conf *conf,
		      const struct store_feed *feed, struct error *err)
{
	struct sqlite_start start;
	struct sqlite_store *s = sqlite_store_new(feed);
	if (s == NULL)
		return error_set(err, E_NOMEM, "open the store");
	int rc = sqlite_file_open(&s->writer.file, conf, &start, err);
	if (rc < 0)
		goto out_free;
	start_take(s, &start);
	rc = threads_prepare(s, loop, conf);
	if (rc < 0) {
		error_set(err, rc, "open the store");
		goto out_file;
	}
	if (uv_thread_create(&s->thread, sqlite_writer_main, &s->writer) != 0) {
		sqlite_file_close(&s->writer.file);
		inbox_close(s->inbox, on_failed_inbox_closed, s); /* frees s, from the loop */
		return error_set(err, E_NOMEM, "open the store: no thread");
	}
	uv_prepare_init(loop, &s->prepare);
	s->prepare.data = s;
	*ret = &s->store;
	return E_OK;
out_file:
	sqlite_file_close(&s->writer.file);
out_free:
	mem_free(s);
	return rc;
}

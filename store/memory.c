#include "store/memory.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "store/backend.h"
#include "store/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct memory_row {
	char *key, *value;
	size_t value_len;
	int64_t mod_revision;
};

struct memory_disk {
	struct map rows;
	struct store_origin origin;
	int64_t next; /* number */
};

struct memory_commit {
	struct memory_commit *next;
	struct store_batch batch;
	store_commit_cb *on_reply;
	void *arg;
	int64_t mod_revision;
};

struct memory_store {
	struct store store;
	struct store_feed feed;
	struct memory_disk *disk;
	bool own_disk, loaded, held, closing;
	int fail_next;
	enum store_state state;
	int64_t mod_last;
	uv_async_t turn; /* loads, commits or closes; in the poll phase, as the other backend's answers come */
	struct memory_commit *first, **last;
	struct store_stats stats; /* of the loop's thread; "any thread" matters to real backends */
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* ---- the disk */

static bool row_equal(const void *value, const void *key)
{
	return strcmp(((const struct memory_row *)value)->key, key) == 0;
}

struct memory_disk *memory_disk_new(void)
{
	struct memory_disk *disk = mem_zalloc(1, sizeof(*disk));
	if (disk == NULL)
		return NULL;
	map_init(&disk->rows, row_equal);
	disk->next = 1;
	disk->origin = (struct store_origin){ .t0_ms = clock_wall_ms(), .rev0 = 1 };
	random_uuid(disk->origin.cluster_uuid);
	return disk;
}

static void row_free(struct memory_row *row)
{
	if (row == NULL)
		return;
	mem_free(row->key);
	mem_free(row->value);
	mem_free(row);
}

void memory_disk_free(struct memory_disk *disk)
{
	if (disk == NULL)
		return;
	struct memory_row *row;
	for (size_t i = 0; (row = map_next(&disk->rows, &i)) != NULL;)
		row_free(row);
	map_done(&disk->rows);
	mem_free(disk);
}

static struct memory_row *row_find(const struct memory_disk *disk, const char *key)
{
	return map_find(&disk->rows, hash_bytes(key, strlen(key)), key);
}

static struct memory_row *row_new(const struct store_op *op, int64_t mod_revision)
{
	struct memory_row *row = mem_zalloc(1, sizeof(*row));
	if (row == NULL)
		return NULL;
	row->key = mem_strdup(op->key);
	row->value = mem_memdup0(op->value, op->value_len);
	row->value_len = op->value_len;
	row->mod_revision = mod_revision;
	if (row->key == NULL || row->value == NULL) {
		row_free(row);
		return NULL;
	}
	return row;
}

static void op_run(struct memory_disk *disk, const struct store_op *op, int64_t mod_revision)
{
	uint64_t hash = hash_bytes(op->key, strlen(op->key));
	row_free(map_remove(&disk->rows, hash, op->key));
	if (op->value == NULL)
		return;
	struct memory_row *row = row_new(op, mod_revision);
	if (row == NULL || map_add(&disk->rows, hash, row) < 0)
		abort(); /* a test without memory proves nothing further */
}

/* ---- commits */

static int64_t memory_number(struct store *store)
{
	return ((struct memory_store *)store)->disk->next++;
}

static int conds_check(struct memory_store *s, const struct store_batch *batch, struct error *err)
{
	for (size_t i = 0; i < batch->cond_count; i++) {
		const struct memory_row *row = row_find(s->disk, batch->conds[i].key);
		int rc = cond_check(&batch->conds[i], row == NULL ? -1 : row->mod_revision, err);
		if (rc < 0)
			return rc;
	}
	return E_OK;
}

static int batch_apply(struct memory_store *s, struct memory_commit *c, struct error *err)
{
	int rc = s->fail_next;
	s->fail_next = E_OK;
	if (rc < 0)
		return error_set(err, rc, "memory: scripted failure");
	rc = conds_check(s, &c->batch, err);
	for (size_t i = 0; rc == E_OK && i < c->batch.op_count; i++)
		op_run(s->disk, &c->batch.ops[i], c->mod_revision);
	return rc;
}

static void state_set(struct memory_store *s, enum store_state state, const char *reason)
{
	if (s->state == state)
		return;
	s->state = state;
	if (s->feed.on_state != NULL)
		s->feed.on_state(s->feed.arg, state, reason);
}

static void commit_run(struct memory_store *s, struct memory_commit *c)
{
	struct error error;
	int rc = batch_apply(s, c, &error);
	s->stats.waiting--;
	s->stats.transactions += rc == E_OK;
	s->stats.commits += rc == E_OK;
	s->stats.refused += rc < 0;
	if (rc == E_OK)
		state_set(s, STORE_LIVE, NULL);
	else if (rc == E_FULL || rc == E_IO)
		state_set(s, STORE_FULL, error.text);
	struct store_reply reply = { rc, rc < 0 ? &error : NULL, 0, c->mod_revision };
	if (rc == E_OK)
		reply.number = memory_number(&s->store);
	c->on_reply(c->arg, &reply);
	mem_free(c);
}

/* ---- the load */

static int row_order(const void *a, const void *b)
{
	const struct memory_row *const *left = a, *const *right = b;
	return strcmp((*left)->key, (*right)->key);
}

static void load(struct memory_store *s)
{
	size_t n = 0;
	struct memory_row *row, **rows = mem_zalloc(s->disk->rows.count + 1, sizeof(struct memory_row *));
	if (rows == NULL) {
		state_set(s, STORE_REFUSED, "memory: no memory to load");
		return;
	}
	for (size_t i = 0; (row = map_next(&s->disk->rows, &i)) != NULL;)
		rows[n++] = row;
	qsort(rows, n, sizeof(*rows), row_order);
	if (s->feed.load_begin != NULL)
		s->feed.load_begin(s->feed.arg);
	for (size_t i = 0; i < n; i++) {
		struct store_entry e = { rows[i]->key, rows[i]->value, rows[i]->value_len,
					 rows[i]->mod_revision };
		if (s->mod_last < e.mod_revision)
			s->mod_last = e.mod_revision;
		if (s->feed.load_entry != NULL)
			s->feed.load_entry(s->feed.arg, &e);
	}
	mem_free(rows);
	if (s->feed.load_end != NULL)
		s->feed.load_end(s->feed.arg, memory_number(&s->store));
	state_set(s, STORE_LIVE, NULL);
}

/* ---- the turn */

static void on_turn_closed(uv_handle_t *handle)
{
	struct memory_store *s = handle->data;
	void (*on_closed)(void *arg) = s->on_closed;
	void *arg = s->closed_arg;
	if (s->own_disk)
		memory_disk_free(s->disk);
	mem_free(s);
	on_closed(arg);
}

static void on_turn(uv_async_t *turn)
{
	struct memory_store *s = turn->data;
	if (!s->loaded && !s->closing) {
		s->loaded = true;
		load(s);
	}
	while (s->first != NULL && !s->held) {
		struct memory_commit *c = s->first;
		s->first = c->next;
		if (s->first == NULL)
			s->last = &s->first;
		commit_run(s, c);
	}
	if (s->closing)
		uv_close((uv_handle_t *)turn, on_turn_closed);
}

static void turn_soon(struct memory_store *s)
{
	uv_async_send(&s->turn);
}

static int memory_commit_batch(struct store *store, const struct store_batch *batch,
			       store_commit_cb *on_reply, void *arg, struct error *err)
{
	struct memory_store *s = (struct memory_store *)store;
	assert(!s->closing);
	struct memory_commit *c = mem_alloc(sizeof(*c) + batch_room(batch));
	if (c == NULL)
		return error_set(err, E_NOMEM, "no memory for a batch of %zu writes", batch->op_count);
	batch_copy(&c->batch, c + 1, batch);
	s->mod_last = s->disk->next > s->mod_last ? s->disk->next : s->mod_last + 1;
	c->mod_revision = s->mod_last;
	c->on_reply = on_reply;
	c->arg = arg;
	c->next = NULL;
	*s->last = c;
	s->last = &c->next;
	s->stats.waiting++;
	turn_soon(s);
	return E_OK;
}

static void memory_close(struct store *store, void (*on_closed)(void *arg), void *arg)
{
	struct memory_store *s = (struct memory_store *)store;
	assert(!s->closing && on_closed != NULL);
	s->closing = true;
	s->held = false;
	s->on_closed = on_closed;
	s->closed_arg = arg;
	turn_soon(s);
}

static void memory_origin(const struct store *store, struct store_origin *ret)
{
	*ret = ((const struct memory_store *)store)->disk->origin;
}

static void memory_stats(const struct store *store, struct store_stats *ret)
{
	*ret = ((const struct memory_store *)store)->stats;
}

static const struct store_backend memory_backend = { memory_close, memory_commit_batch,
						     memory_number, memory_origin, memory_stats };

int memory_store_open(struct store **ret, uv_loop_t *loop, struct memory_disk *disk,
		      const struct store_feed *feed, struct error *err)
{
	struct memory_store *s = mem_zalloc(1, sizeof(*s));
	if (s == NULL)
		return error_set(err, E_NOMEM, "open the memory store");
	s->disk = disk == NULL ? memory_disk_new() : disk;
	if (s->disk == NULL) {
		mem_free(s);
		return error_set(err, E_NOMEM, "open the memory store");
	}
	s->own_disk = disk == NULL;
	int rc = uv_async_init(loop, &s->turn, on_turn);
	if (rc < 0) {
		if (s->own_disk)
			memory_disk_free(s->disk);
		mem_free(s);
		return error_set(err, E_IO, "open the memory store: %s", uv_strerror(rc));
	}
	s->store.backend = &memory_backend;
	s->feed = *feed;
	s->state = STORE_LOADING;
	s->last = &s->first;
	s->turn.data = s;
	turn_soon(s);
	*ret = &s->store;
	return E_OK;
}

void memory_store_fail_next(struct store *store, int code)
{
	assert(store->backend == &memory_backend);
	((struct memory_store *)store)->fail_next = code;
}

void memory_store_hold(struct store *store)
{
	assert(store->backend == &memory_backend);
	((struct memory_store *)store)->held = true;
}

void memory_store_release(struct store *store)
{
	assert(store->backend == &memory_backend);
	struct memory_store *s = (struct memory_store *)store;
	s->held = false;
	turn_soon(s);
}

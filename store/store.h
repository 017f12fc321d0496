/* store.h - the registry's shared state: an ordered map of keys to values, with one number, the
 * revision, that grows with every commit. A store knows keys and bytes; it does not know what a
 * service is. Readers do not use it: they use the replica that its feed fills.
 *
 * All calls and callbacks run on the control thread's loop. Behind it the SQLite backend has a
 * thread of its own (group commit: all batches that wait go into one transaction, fsync'd before any
 * reply); the in-memory backend, for tests, has none and scripts delays and failures
 * (store/memory.h). Keys are text, segments separated by '/', other bytes written %XX by their maker
 * (key.h). Values are compact JSON. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct store;

enum { STORE_KEY_MAX = 2048 /* bytes */, STORE_VALUE_MAX = 16 * 1024 * 1024 /* bytes */ };

struct store_entry {
	const char *key; /* NUL-terminated */
	const char *value;
	size_t value_len;
	int64_t mod_revision;
	const void *prepared; /* what the feed's prepare made of it; NULL: nothing */
};

enum store_state {
	STORE_LOADING,
	STORE_LIVE,
	STORE_FULL,    /* writes are refused (no space, read-only); reads and numbers go on */
	STORE_REFUSED, /* unusable */
};

/* The feed: called in revision order, never re-entrantly, and never from inside a call of the user's. */
struct store_feed {
	/* The full picture follows, entry by entry in key order; until load_end the old one stays valid. */
	void (*load_begin)(void *arg);
	/* Work on an entry ahead of its load_entry, on whatever thread reads: the result lies in @mem and lives as long as
	 * the entry. Pure; knows nothing of @arg's. NULL, or returns NULL: load_entry does it all. */
	const void *(*prepare)(const struct store_entry *e, struct arena *mem);
	void (*load_entry)(void *arg, const struct store_entry *e); /* borrowed for the call */
	void (*load_end)(void *arg, int64_t revision); /* @revision: the first number of a fresh block */
	void (*on_state)(void *arg, enum store_state state, const char *reason);
	void *arg;
};

struct store_conf {
	const char *url;	 /* "sqlite:" (muster.db in data_dir) or "memory:" */
	const char *data_dir;
	bool unsafe_no_sync;	 /* tests only: synchronous=OFF, to show that the durability suite notices */
	const char *vfs;	 /* tests only: name of a registered SQLite VFS; NULL: default */
};

/* Opens, checks application_id and schema version (a newer one is refused with both versions named),
 * takes a block of numbers, and begins to load: the feed runs from the loop. Errors: E_IO, E_FULL,
 * E_CONFLICT (newer schema, not ours), E_NOMEM. On error *@ret is untouched. */
int store_open(struct store **ret, uv_loop_t *loop, const struct store_conf *conf,
	       const struct store_feed *feed, struct error *err);
/* Waiting commits are finished first; then @on_closed from the loop. */
void store_close(struct store *store, void (*on_closed)(void *arg), void *arg);

/* ---- durable writes */
enum store_cond_kind { STORE_COND_ABSENT, STORE_COND_EXISTS, STORE_COND_REVISION };
struct store_cond {
	enum store_cond_kind kind;
	const char *key;
	int64_t revision;
};
struct store_op {
	const char *key;
	const char *value; /* NULL: delete */
	size_t value_len;
};
/* One atomic batch: @conds all hold, or nothing is done (E_CONFLICT). */
struct store_batch {
	const struct store_cond *conds;
	size_t cond_count;
	const struct store_op *ops;
	size_t op_count;
};
struct store_reply {
	int code; /* E_OK: on disk. E_CONFLICT, E_FULL, E_IO, E_TIMEOUT: nothing was done */
	const struct error *error;
	int64_t number; /* E_OK: the change number, drawn now; publish and answer with it */
	int64_t mod_revision; /* E_OK: what STORE_COND_REVISION compares with from now on */
};
typedef void store_commit_cb(void *arg, const struct store_reply *reply);
/* @batch is copied. E_OK: @on_reply comes exactly once, later, from the loop, in order of the calls.
 * Otherwise (E_NOMEM, E_RANGE for a key or value over its limit) it never comes. */
int store_commit(struct store *store, const struct store_batch *batch, store_commit_cb *on_reply,
		 void *arg, struct error *err);

/* ---- numbers */
/* The number under which an ephemeral change is settled at once (SQLite, memory): the next of the
 * block. Blocks of 50,000 are reserved on disk ahead; a new one is asked for when half is left. If
 * the disk refuses, numbers go on in memory with an alarm (on_state STORE_FULL), and the next start
 * raises its base past what time alone could have reached (1,000 a second since the last reservation).
 * The control thread draws one a loop turn. Never fails, never waits, strictly increasing, also
 * across kills. */
int64_t store_number(struct store *store);

/* The origin of numbers: lastRefTime = t0_ms + (number_base + number - rev0). Valid after load_end. */
struct store_origin {
	int64_t t0_ms, number_base, rev0;
	char cluster_uuid[37];
};
void store_origin(const struct store *store, struct store_origin *ret);

/* Counters for metrics; any thread. */
struct store_stats {
	uint64_t commits, transactions, refused; /* commits: batches; transactions: group commits */
	double last_commit_sec;
	uint64_t waiting; /* batches handed over, not yet answered */
};
void store_stats(const struct store *store, struct store_stats *ret);

#endif

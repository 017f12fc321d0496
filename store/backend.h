/* backend.h - what stands behind struct store: SQLite (sqlite.c) or memory (memory.c). Only files of
 * this folder include it. */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include "store/store.h"

struct store_backend {
	void (*close)(struct store *store, void (*on_closed)(void *arg), void *arg);
	int (*commit)(struct store *store, const struct store_batch *batch, store_commit_cb *on_reply,
		      void *arg, struct error *err); /* limits are checked already */
	int64_t (*number)(struct store *store);
	void (*origin)(const struct store *store, struct store_origin *ret);
	void (*stats)(const struct store *store, struct store_stats *ret); /* any thread */
};

struct store {
	const struct store_backend *backend; /* first member of each backend's own struct */
};

int sqlite_store_open(struct store **ret, uv_loop_t *loop, const struct store_conf *conf,
		      const struct store_feed *feed, struct error *err);

#endif

#include "store/store.h"
#include "store/backend.h"
#include "store/memory.h"

#include <string.h>

int store_open(struct store **ret, uv_loop_t *loop, const struct store_conf *conf,
	       const struct store_feed *feed, struct error *err)
{
	if (strcmp(conf->url, "sqlite:") == 0 || strcmp(conf->url, "sqlite") == 0)
		return sqlite_store_open(ret, loop, conf, feed, err);
	if (strcmp(conf->url, "memory:") == 0 || strcmp(conf->url, "memory") == 0)
		return memory_store_open(ret, loop, NULL, feed, err);
	return error_set(err, E_INVALID, "store.url \"%.100s\" is neither sqlite: nor memory:",
			 conf->url);
}

void store_close(struct store *store, void (*on_closed)(void *arg), void *arg)
{
	store->backend->close(store, on_closed, arg);
}

static int key_check(const char *key, struct error *err)
{
	size_t len = strnlen(key, STORE_KEY_MAX + 1);
	if (len == 0)
		return error_set(err, E_RANGE, "a store key is empty");
	if (len > STORE_KEY_MAX)
		return error_set(err, E_RANGE, "store key %.60s... is longer than %d bytes", key,
				 STORE_KEY_MAX);
	return E_OK;
}

int store_commit(struct store *store, const struct store_batch *batch, store_commit_cb *on_reply,
		 void *arg, struct error *err)
{
	for (size_t i = 0; i < batch->cond_count; i++) {
		int rc = key_check(batch->conds[i].key, err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < batch->op_count; i++) {
		const struct store_op *op = &batch->ops[i];
		int rc = key_check(op->key, err);
		if (rc < 0)
			return rc;
		if (op->value != NULL && op->value_len > STORE_VALUE_MAX)
			return error_set(err, E_RANGE, "the value of %.100s has %zu bytes, the limit is %d",
					 op->key, op->value_len, STORE_VALUE_MAX);
	}
	return store->backend->commit(store, batch, on_reply, arg, err);
}

int64_t store_number(struct store *store)
{
	return store->backend->number(store);
}

void store_origin(const struct store *store, struct store_origin *ret)
{
	store->backend->origin(store, ret);
}

void store_stats(const struct store *store, struct store_stats *ret)
{
	store->backend->stats(store, ret);
}

/* rows.h - the registry's rows at rest (cluster.md 4.1, 4.2): keys, and values as JSON. The store and the warm
 * copy share them. Control thread. */
#ifndef REGISTRY_ROWS_H
#define REGISTRY_ROWS_H

#include "base/text.h"
#include "registry/core.h"
#include "store/store.h"

#define ROWS_ROOT "/muster/1/"
enum row_kind { ROW_PERSISTENT, ROW_BY_CONNECTION, ROW_BY_BEATS }; /* of an instance row */

struct row_place;
struct rows { /* the writes of one batch */
	struct text text;  /* keys and values, each with a NUL behind it */
	struct text value; /* the one being written */
	struct row_place *places;
	struct store_op *ops; /* after rows_seal */
	size_t count, cap;
	bool failed;
};

void rows_init(struct rows *rows);
void rows_done(struct rows *rows);
/* The writes of @p, in rows->ops[0..count). E_NOMEM. */
int rows_of_plan(struct rows *rows, struct registry *r, const struct plan *p);

/* @kind: "i", "im", "hv". */
enum { ROW_BUCKETS = 256 };
unsigned row_bucket(const struct service *s); /* below ROW_BUCKETS: the part of its instances' keys that stands first */
void row_key(struct text *to, const char *kind, const struct service *s, const char *cluster, const char *ip,
	     uint16_t port);
void row_instance(struct text *to, const struct instance *i, bool healthy);
void row_verdict(struct text *to, const struct instance *i);

/* ---- reading (load.c). The registry must be in loading mode: limits do not apply to what was acknowledged
 * already. @warm: a row of the warm copy. E_NOTFOUND: not a row of ours; E_INVALID: cannot be read, with the
 * reason; E_NOMEM. */
/* What row_load does first, for the store's feed: any thread, NULL: row_load will do it. */
const void *row_prepare(const struct store_entry *e, struct arena *mem);
int row_load(struct registry *r, const struct store_entry *e, bool warm, int64_t now_ms, struct error *err);

#endif

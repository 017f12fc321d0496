/* warm_copy.h - the registry's side of the warm copy (cluster.md 6.5): which records changed since they were
 * written, encoded in slices so that the loop is never held, and handed over about once a second. Ephemeral
 * instances as i/ rows, unhealthy verdicts of persistent ones as hv/ rows. Control thread. */
#ifndef REGISTRY_WARM_COPY_H
#define REGISTRY_WARM_COPY_H

#include "registry/rows.h"
#include "store/warm.h"

/* The changed records of one bucket of keys. A pass goes from bucket to bucket, so that what it hands over at one time
 * lies close together in the file: with a million instances changed, sixteen rows of a page are written at once and
 * not a page for each row. */
struct dirty_list {
	struct instance **at; /* NULL: has gone; a record knows its place + 1 as warm_slot */
	uint32_t count, cap, pass_end;
};

struct warm_copy {
	struct registry *registry;
	struct warm *warm; /* NULL: none */
	struct dirty_list dirty[ROW_BUCKETS];
	size_t count; /* in all lists */
	/* the pass under way: in the list @bucket [at..pass_end) is still to be written, and what follows it */
	uint32_t bucket, at;
	uint64_t lost; /* rows that memory was too short for */
	struct text key, value;
};

void warm_copy_init(struct warm_copy *wc, struct registry *r);
void warm_copy_done(struct warm_copy *wc);
struct registry_watcher warm_copy_watcher(struct warm_copy *wc);
/* Restores what @path holds: each record with its last beat now. Not being able to is an error to log; there is
 * no copy then. @ret_count: rows restored. */
int warm_copy_open(struct warm_copy *wc, const char *path, int64_t now_ms, int64_t number, size_t *ret_count,
		   struct error *err);
void warm_copy_begin(struct warm_copy *wc);	/* a pass over what is dirty now */
/* Works that long, or until as many rows wait as shall lie in memory; true: the pass is over and handed on. */
bool warm_copy_slice(struct warm_copy *wc, uint64_t ns);
void warm_copy_close(struct warm_copy *wc); /* writes everything, waits */

#endif

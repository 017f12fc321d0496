/* memory.h - the store without a disk, for tests: the same interface, all on the caller's loop, with
 * scripted failures and delays. Its contents live in a struct memory_disk, which may be given to one
 * store after another: closing and opening is then a restart. */
#ifndef STORE_MEMORY_H
#define STORE_MEMORY_H

#include "store/store.h"

struct memory_disk;
struct memory_disk *memory_disk_new(void); /* NULL: no memory */
void memory_disk_free(struct memory_disk *disk);

/* @disk: borrowed until closed; NULL: the store has one of its own. E_NOMEM. */
int memory_store_open(struct store **ret, uv_loop_t *loop, struct memory_disk *disk,
		      const struct store_feed *feed, struct error *err);

/* The next commit that is carried out fails with @code and leaves no trace. */
void memory_store_fail_next(struct store *store, int code);
/* Commits are taken but neither done nor answered until release. Closing releases. */
void memory_store_hold(struct store *store);
void memory_store_release(struct store *store);

#endif

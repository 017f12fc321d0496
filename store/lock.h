/* lock.h - the data directory's lock file: one musterd per directory. The kernel holds the lock
 * (flock), so the file of a dead process is no obstacle; its text, the pid, is for people. */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

#include "base/error.h"

struct lock;

/* Takes @path (made if it is not there) and writes our pid into it. E_CONFLICT: another process has
 * it, and the sentence names its pid; E_IO, E_FULL, E_DENIED, E_NOMEM. */
int lock_take(struct lock **ret, const char *path, struct error *err);
void lock_release(struct lock *lock); /* empties the file; NULL is fine */

#endif

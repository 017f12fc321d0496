/* warm.h - the warm copy: ephemeral instances and probe verdicts in warm.db, so that a start has them
 * back. A cache: own connection and thread, synchronous=OFF, one transaction per handed-over batch; a
 * torn or foreign file is thrown away. Never a source of writes. Calls are the control thread's. */
#ifndef STORE_WARM_H
#define STORE_WARM_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct warm;

/* Opens or makes @path and reads it: @on_entry for every entry before this returns (called here). An
 * unreadable file is removed and made anew (then *@ret_fresh is true). */
int warm_open(struct warm **ret, const char *path,
	      void (*on_entry)(void *arg, const char *key, const char *value, size_t value_len), void *arg,
	      bool *ret_fresh, struct error *err);
/* A put, or with @value NULL a delete. Copied; gathered until warm_flush. E_NOMEM. */
int warm_put(struct warm *w, const char *key, const char *value, size_t value_len);
/* Hands what was gathered to the thread as one transaction; returns at once. If the thread still works
 * on the last but one batch, or could not write the last one (it tries that again), this one keeps gathering, and
 * the answer is false. Call about once a second, or
 * when warm_gathered() has grown to what shall lie in memory. */
bool warm_flush(struct warm *w);
size_t warm_gathered(const struct warm *w); /* entries */
/* Waits until the thread has taken what was handed over: at an orderly stop. */
void warm_wait(struct warm *w);
/* Writes the rest, with fsync, and waits for it: at an orderly stop, off the hot path. */
void warm_close(struct warm *w);

struct warm_stats {
	uint64_t written, failed, pending; /* entries */
};
void warm_stats(const struct warm *w, struct warm_stats *ret);

#endif

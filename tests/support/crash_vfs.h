/* crash_vfs.h - a SQLite VFS whose power can be cut. What is written stays in memory until it is
 * synced; a cut lets each write that was not synced reach the file, reach it in part, or vanish, and
 * fails everything after it, until power comes back. It can also run out of space and fail syncs. Any thread
 * may use the files; the functions below are for the test's thread. */
#ifndef TESTS_SUPPORT_CRASH_VFS_H
#define TESTS_SUPPORT_CRASH_VFS_H

#include <stdbool.h>
#include <stdint.h>

struct crash_vfs;

struct crash_vfs *crash_vfs_new(const char *name); /* registered under @name, borrowed */
void crash_vfs_free(struct crash_vfs *v);	   /* all files must be closed */

/* The cut, now, or when @ops more writes and syncs have begun (0: the next is the last, torn). */
void crash_vfs_cut(struct crash_vfs *v, uint64_t seed);
void crash_vfs_cut_after(struct crash_vfs *v, unsigned ops, uint64_t seed);
void crash_vfs_on_cut(struct crash_vfs *v, void (*on_cut)(void)); /* runs right after a cut */
bool crash_vfs_is_cut(struct crash_vfs *v);
void crash_vfs_power(struct crash_vfs *v); /* back, after all files were closed; drops a pending cut */

void crash_vfs_space(struct crash_vfs *v, int64_t bytes); /* files may grow by so much; -1: any */
void crash_vfs_read_only(struct crash_vfs *v, bool on);	  /* writes fail as on a read-only mount */
void crash_vfs_fail_syncs(struct crash_vfs *v, unsigned count); /* the next ones, with EIO */
unsigned crash_vfs_syncs(struct crash_vfs *v);			/* so far */

#endif

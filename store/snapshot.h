/* snapshot.h - a database file whole, as one moment had it, in a new file: by SQLite's backup interface, inside
 * one read transaction, so that the source may be written meanwhile. Any thread, with a connection of its own. */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "store/sqlite.h"

struct snapshot_conf {
	const char *to;
	bool replace;		 /* an existing @to; without it that is E_EXISTS */
	const char *like;	 /* owner and mode are this file's or directory's; NULL: ours, 0600 */
	const atomic_bool *stop; /* looked at now and then; NULL: cannot be stopped */
};

/* Opens @path to read. E_NOTFOUND, E_CONFLICT (not ours, of a newer version), E_IO... On E_OK the caller ends
 * @f with sqlite_file_close(). */
int snapshot_open(struct sqlite_file *f, const char *path, struct error *err);
/* Makes @conf->to: under a temporary name, checked (integrity_check), synced, then named, then its directory
 * synced. The new file is a single one (no -wal). On failure nothing is left. E_CLOSED: stopped. */
int snapshot_write(struct sqlite_file *from, const struct snapshot_conf *conf, struct error *err);

/* The parts of it, for who changes the copy before it gets its name. "TO.new" is made over one left behind. */
int snapshot_copy(struct sqlite_file *from, struct sqlite_file *ret, const struct snapshot_conf *conf,
		  struct error *err);
/* Checks, closes and syncs what snapshot_copy() made; @copy is closed on every return, on failure removed, too. */
int snapshot_seal(struct sqlite_file *copy, const struct snapshot_conf *conf, struct error *err);
/* Gives the sealed copy its name; on failure it is removed. The caller syncs the directory. */
int snapshot_name(const struct snapshot_conf *conf, struct error *err);
void snapshot_forget(const struct snapshot_conf *conf); /* removes the sealed copy */
void snapshot_drop(struct sqlite_file *copy); /* closes and removes it */

/* Its version, and how many rows of the registry it has. */
int snapshot_count(struct sqlite_file *f, int *ret_schema, int64_t *ret_rows, struct error *err);
int directory_sync(const char *path, struct error *err); /* of the file @path */

#endif

/* backup.h - a data directory's store as one file, and back. Backups are taken beside a running server, from its
 * process or another one; a restore needs the directory for itself. Any thread; the calls block. */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "store/store.h"
#include <stdatomic.h>

struct store_backup {
	int schema;
	int64_t rows, bytes; /* rows: of the registry; bytes: of the file */
};

/* Writes the store of @data_dir as it is at one moment to @to: complete, checked and synced before it has its
 * name. @replace: over an existing file. @stop may end it early; NULL: nothing can. E_NOTFOUND: no store there;
 * E_EXISTS, E_FULL, E_DENIED, E_CONFLICT, E_IO, E_CLOSED (stopped). */
int store_backup(struct store_backup *ret, const char *data_dir, const char *to, bool replace,
		 const atomic_bool *stop, struct error *err);

struct store_restored {
	int schema;
	int64_t rows;
	int64_t taken_ms;     /* about when the backup was taken: its last number block */
	int64_t next_number;  /* above any that was handed out */
	char former[4096];    /* where the replaced database lies; "": there was none */
	bool former_unread;   /* it could not be read: numbers go by the clock alone */
	int64_t behind_ms;    /* > 0: this machine's clock is so far behind the backup */
};

/* Puts @from, a backup, in the place of @data_dir's store. The former one stays beside it as
 * "muster.db.before-restore-DATE". Numbers and zone serials go on above any that can have been handed out:
 * the backup's and the former store's blocks and the clock bound them. E_CONFLICT: a musterd runs there (its pid
 * is named), @from is not ours or of a newer version; then, and on every failure, the directory is as it was. */
int store_restore(struct store_restored *ret, const char *data_dir, const char *from, struct error *err);

#endif

/* backups.h - the directory of dated backups that operators ask for over HTTP. Any thread; the calls block. */
#ifndef MUSTERD_BACKUPS_H
#define MUSTERD_BACKUPS_H

#include "base/text.h"
#include "base/error.h"
#include <stdatomic.h>

struct backups {
	const char *data_dir;
	char *dir;     /* made at the first backup; NULL: none are written */
	unsigned keep; /* the newest ones; others of our names are removed */
};

/* Writes DIR/muster-DATE.db and tells of it in @ret: {"file", "rows", "bytes", "schema", "removed": [...]}. @arg is
 * a struct backups, *@stop ends it early. E_FULL, E_DENIED, E_IO, E_CLOSED... */
int backups_write(void *arg, const atomic_bool *stop, struct text *ret, struct error *err);

#endif

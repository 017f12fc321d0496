/* archive.h - what --backup and --restore do. Main thread; they say on stdout what was done (a backup that goes
 * to stdout: on stderr), on stderr why not. 0 or a negative errcode. */
#ifndef MUSTERD_ARCHIVE_H
#define MUSTERD_ARCHIVE_H

#include "musterd/settings.h"

int archive_backup(const struct settings *s);
int archive_restore(const struct settings *s);

#endif

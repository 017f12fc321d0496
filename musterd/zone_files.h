/* zone_files.h - the zone files of the settings: read at the start and checked with the settings, read again by a reload
 * on a thread of its own, so that control does not wait for a large one. A broken file leaves in force what was; where
 * zones come or go, all of the reload waits for the files and none may be broken. */
#ifndef MUSTERD_ZONE_FILES_H
#define MUSTERD_ZONE_FILES_H

#include "base/text.h"
#include "zones/zone_set.h"
#include <uv.h>

struct zone_files;

/* Every file is read and thrown away; @errors has a line for each error. E_OK, E_INVALID. */
int zone_files_check(const struct zone_conf *zones, size_t count, struct text *errors);

/* Control thread. Reads every file into @zs; of @zones what is needed is copied. E_INVALID: a file is wrong, the log
 * says where. E_NOMEM. In every case there is one to be closed if *@ret is not NULL. */
int zone_files_open(struct zone_files **ret, uv_loop_t *loop, struct zone_set *zs, const struct zone_conf *zones,
		    size_t count, struct error *err);
/* The same on the thread of its own: @on_read comes later, with E_OK or E_INVALID, unless it is closed before. */
int zone_files_begin(struct zone_files **ret, uv_loop_t *loop, struct zone_set *zs, const struct zone_conf *zones,
		     size_t count, void (*on_read)(void *arg, int rc), void *arg, struct error *err);
void zone_files_reload(struct zone_files *f); /* reads them again; the log says what came of it */
void zone_files_close(struct zone_files *f);  /* nothing is put in force from now on; freed when its thread is done */

#endif

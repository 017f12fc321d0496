/* zone_file.h - zone files of a zone set: read on any thread, put in force on the control thread. */
#ifndef ZONES_ZONE_FILE_H
#define ZONES_ZONE_FILE_H

#include "base/text.h"
#include "zones/zone_set.h"

struct static_zone;

/* Reads the file of a zone as it will be served. Any thread, no part of a zone set. E_OK: *@ret is the caller's. E_INVALID:
 * @errors has a line for each, "FILE:LINE: what". E_NOMEM, too. @conf->file must be set. */
int zone_file_load(struct static_zone **ret, const struct zone_conf *conf, struct text *errors);
void zone_file_free(struct static_zone *file); /* NULL is fine */
uint32_t zone_file_records(const struct static_zone *file);

/* Control thread: taken, and answered from at once. @zone: its place in the conf that the set was made of. */
void zone_set_file(struct zone_set *zs, int zone, struct static_zone *file);

#endif

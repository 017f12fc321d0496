/* zone_export.h - the zones, and one of them as the text of a zone file, for the HTTP API. Called on threads that may
 * wait, never on the control thread. */
#ifndef MUSTERD_ZONE_EXPORT_H
#define MUSTERD_ZONE_EXPORT_H

#include "base/error.h"
#include "base/text.h"

struct zone_set;
struct zone_out;

struct zone_export { /* borrowed for as long as the API runs */
	struct zone_set *zones;
	struct zone_out *out;
};

/* @export: a struct zone_export. JSON of all of them. */
void zone_export_list(void *export, struct text *ret);
/* All records of a zone, of one moment. E_NOTFOUND; E_LIMIT: it is longer than @most octets; E_NOMEM, E_UNAVAILABLE. */
int zone_export_text(void *export, const char *name, size_t most, struct text *ret, struct error *err);

#endif

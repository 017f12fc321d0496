/* zone_export.h - the zones, and one of them as the text of a zone file, for the HTTP API. Any thread; nothing waits. */
#ifndef MUSTERD_ZONE_EXPORT_H
#define MUSTERD_ZONE_EXPORT_H

#include "base/error.h"
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>

struct zone_slot;

struct zone_export { /* borrowed for as long as the API runs */
	const struct zone_slot *zones;
};

/* @export: a struct zone_export. JSON of all of them. */
void zone_export_list(void *export, struct text *ret);
/* All records of a zone, of one moment. E_NOTFOUND, E_NOMEM; otherwise @tell is called once, on the control thread: E_OK and
 * a text, to be ended; or E_NOMEM, E_UNAVAILABLE. */
int zone_export_text(void *export, const char *name, void (*tell)(void *done_arg, int code, void *text), void *done_arg,
		     struct error *err);
/* The next octets of a text, at most @cap; 0: not yet. false: these were the last. One thread at a time. */
bool zone_export_more(void *text, char *to, size_t cap, size_t *ret_len);
void zone_export_end(void *text);

#endif

/* settings_reload.h - which settings a reload (SIGHUP) can change, and what differs between two readings of them.
 * Control thread; it changes nothing itself. */
#ifndef MUSTERD_SETTINGS_RELOAD_H
#define MUSTERD_SETTINGS_RELOAD_H

#include "musterd/settings_table.h"

/* False: a change takes effect after a restart. */
bool setting_reloads(const struct setting *row);
/* Section (@part 0) or key (1) of the @nth setting that does; NULL: no more. */
const char *setting_reload_name(size_t nth, unsigned part);
/* The values of one row in @a and @b (struct settings, or zone_conf for a zone's row). */
bool setting_same(const struct setting *row, const void *a, const void *b);
/* Are the same zones meant, as they are made: but for what can be set in a set of zones that is there? */
bool settings_zones_same(const struct settings *a, const struct settings *b);

#endif

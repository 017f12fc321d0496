/* settings_hint.h - what a mistyped setting was probably meant to be. */
#ifndef MUSTERD_SETTINGS_HINT_H
#define MUSTERD_SETTINGS_HINT_H

#include "musterd/settings_table.h"

bool settings_hint_section_known(const char *section);
/* The row nearest to section.key, the section's own first; NULL: nothing is near. */
const struct setting *settings_hint_key(const struct setting *rows, size_t count, const char *section,
					const char *key);
const char *settings_hint_flag(const char *flag); /* of the flags that are no settings */

#endif

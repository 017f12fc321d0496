/* pattern.h - what lists of services are searched by: a text that must stand somewhere in the name. The original
 * takes a whole regular expression; here these mean something: . any character, * + ? how often the one before,
 * ^ the start, $ the end, \ the next one itself. Anything else of that language is refused, not misread. */
#ifndef API_PATTERN_H
#define API_PATTERN_H

#include "base/error.h"
#include <stdbool.h>

enum { PATTERN_MAX = 512 /* bytes */ };

/* E_INVALID, E_RANGE with @field in the text. */
int pattern_check(const char *pattern, const char *field, struct error *err);
/* @pattern NULL: everything. Its time is bounded: a pattern that would take too long matches nothing. */
bool pattern_found(const char *pattern, const char *text);

#endif

/* key.h - key text: segments joined by '/'; inside a segment every byte outside A-Z a-z 0-9 . _ : @ -
 * is %XX (upper-case hex); an empty segment is "%". */
#ifndef STORE_KEY_H
#define STORE_KEY_H

#include "base/error.h"
#include "base/text.h"

/* Every key begins with it: the layout's version. The SQL views look for it, too. */
#define KEY_ROOT "/muster/1/"

void key_segment(struct text *to, const char *segment, size_t len); /* escaped, no slash */
void key_add(struct text *to, const char *segment); /* a slash if @to is not empty, then the segment */
/* Decodes the first segment of *@at into @to (NUL-terminated) and moves *@at behind its slash (or to
 * the end). E_INVALID: bad escape; E_RANGE: over @cap; E_NOTFOUND: nothing left. */
int key_next(const char **at, char *to, size_t cap);

#endif

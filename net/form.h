/* form.h - key=value pairs of a query string or an application/x-www-form-urlencoded body. Lenient, as
 * clients of every kind send it: split on '&', then on the first '='; '+' is a space; a '%' that is
 * not followed by two hex digits stays; empty pairs are skipped; a pair without '=' has an empty
 * value. Pairs live in an arena and carry a NUL behind, though one may lie within: see the length. */
#ifndef NET_FORM_H
#define NET_FORM_H

#include "base/arena.h"
#include <stddef.h>

enum { FORM_PAIRS_MAX = 256 };

struct form_pair {
	const char *key, *value; /* decoded, NUL behind */
	size_t key_len, value_len;
};

/* Filled by one or more form_parse(): of equal keys the first one counts. */
struct form {
	struct form_pair *pairs; /* arena */
	unsigned count, cap;
};

void form_init(struct form *f);
/* Appends the pairs of @text. Errors: E_NOMEM; E_LIMIT over FORM_PAIRS_MAX (those before stay). */
int form_parse(struct form *f, struct arena *mem, const char *text, size_t len);
/* The first pair with this key (exact), or NULL. */
const struct form_pair *form_find(const struct form *f, const char *key);
/* Its value, or NULL when it is not there. */
const char *form_value(const struct form *f, const char *key);

/* Percent-decoding alone, into @to (at least @len + 1 bytes; may be @from): length without the NUL
 * put behind. @plus: '+' is a space (queries and forms; not paths). */
size_t url_decode(char *to, const char *from, size_t len, int plus);

#endif

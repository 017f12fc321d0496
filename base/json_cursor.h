/* json_cursor.h - reads JSON rows that we wrote ourselves, without a tree: a walk over members. For
 * input from outside cJSON is used. Depth is limited; a malformed row fails the cursor. Any thread. */
#ifndef BASE_JSON_CURSOR_H
#define BASE_JSON_CURSOR_H

#include "base/arena.h"
#include "base/cursor.h"

enum json_type { JSON_END, JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_BOOL, JSON_NULL };

struct json_value {
	enum json_type type; /* JSON_END: no more members, or failed */
	const char *key;     /* arena, NUL-terminated, unescaped; NULL in arrays */
	size_t key_len;
	const char *text;    /* JSON_STRING: arena, unescaped, NUL-terminated */
	size_t text_len;
	double number;
	int64_t integer; /* number without fraction within int64, else truncated */
	bool boolean;
	struct cursor inner; /* JSON_OBJECT, JSON_ARRAY: its members, for json_next */
	const uint8_t *raw;  /* the value as written */
	size_t raw_len;
};

/* The value at the start of @c (whole document). @ret is untouched on failure. false: malformed. */
bool json_begin(struct cursor *c, struct arena *mem, struct json_value *ret);
/* The same for a row that must be an object and is walked to its end in any case: it is read once, not twice. What is
 * malformed fails the walk where it stands, so nothing of the row may be used before inner->failed was looked at; and
 * a member without a key is malformed: that is for the caller to see. */
bool json_begin_object(struct cursor *c, struct json_value *ret);
/* The next member of an object or array; JSON_END at the end. Look at inner->failed once after. */
bool json_next(struct cursor *inner, struct arena *mem, struct json_value *ret);

#endif

/* flat_json.h - the plain JSON that SDKs send in every beat, read in place without a tree: an object of
 * texts without escapes, simple numbers and words, with at most one object of the same kind inside. It
 * accepts only what is certain; anything else is for cJSON. Nothing is written before flat_terminate(). */
#ifndef API_FLAT_JSON_H
#define API_FLAT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { FLAT_MEMBERS_MAX = 24 };
enum flat_type { FLAT_STRING, FLAT_NUMBER, FLAT_TRUE, FLAT_FALSE, FLAT_NULL, FLAT_OBJECT };

struct flat_member {
	const char *key, *at; /* texts without their quotes */
	uint32_t key_len, len;
	enum flat_type type;
	double number;
};

struct flat_json {
	struct flat_member members[FLAT_MEMBERS_MAX], inner[FLAT_MEMBERS_MAX];
	unsigned count, inner_count;
	const struct flat_member *inner_of; /* whose value @inner is; NULL: none */
};

/* @text needs a NUL behind. false: not that plain, or malformed. */
bool flat_parse(struct flat_json *ret, const char *text, size_t len);
bool flat_only(const struct flat_json *f, enum flat_type type);
bool flat_inner_only(const struct flat_json *f, enum flat_type type);
/* Puts a NUL in place of each closing quote. @text: the one that was parsed. */
void flat_terminate(const struct flat_json *f, char *text);

static inline bool flat_is(const struct flat_member *m, const char *name)
{
	return m->key_len == strlen(name) && memcmp(m->key, name, m->key_len) == 0;
}

#endif

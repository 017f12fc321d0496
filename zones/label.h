/* label.h - the round-trip label code of dns.md 1.4: one registry string <-> one DNS label. Any thread. */
#ifndef ZONES_LABEL_H
#define ZONES_LABEL_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum label_kind { LABEL_NAMESPACE, LABEL_GROUP, LABEL_SERVICE, LABEL_CLUSTER, LABEL_VALUE };
enum label_tier { LABEL_PLAIN = 1, LABEL_ESCAPED = 2, LABEL_HASHED = 3 };
enum { LABEL_MAX = 63 };

struct label {
	uint8_t len; /* 1..63 */
	char text[LABEL_MAX + 1];
};

/* The canonical label of @s. Never fails: what fits no other tier is hashed. Returns the tier. */
enum label_tier label_encode(struct label *ret, enum label_kind kind, const char *s, size_t len);
/* The slug-less hashed form h-1-H, used when a whole name would be too long. */
void label_encode_short(struct label *ret, enum label_kind kind, const char *s, size_t len);
/* A folded label back to the string (plain, escaped). E_INVALID: not canonical (NXDOMAIN); E_UNSUPPORTED:
 * hashed, look it up by index. @ret of @cap bytes gets a NUL. */
int label_decode(char *ret, size_t cap, enum label_kind kind, const char *label, size_t len);

#endif

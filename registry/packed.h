/* packed.h - a string map packed into one run of bytes: for each pair u16 key length, u16 value length
 * (native order), key, NUL, value, NUL. Immutable once built. */
#ifndef REGISTRY_PACKED_H
#define REGISTRY_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pair {
	const char *key, *value; /* NUL-terminated */
	uint16_t key_len, value_len;
};

struct packed {
	const char *at;
	uint32_t len; /* bytes */
	uint32_t count;
};

size_t packed_size(const struct pair *pairs, size_t n);
void packed_build(char *to, const struct pair *pairs, size_t n); /* packed_size() bytes at @to */
/* for (size_t at = 0; packed_next(&p, &at, &pair);) */
bool packed_next(const struct packed *p, size_t *at, struct pair *ret);
const char *packed_find(const struct packed *p, const char *key); /* value or NULL */

#endif

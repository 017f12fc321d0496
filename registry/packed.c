/* packed.c - string maps in one run of bytes. Any thread: a packed map never changes. */
#include "registry/packed.h"

#include <string.h>

enum { PACKED_HEAD = 2 * sizeof(uint16_t) };

size_t packed_size(const struct pair *pairs, size_t n)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += PACKED_HEAD + (size_t)pairs[i].key_len + pairs[i].value_len + 2;
	return size;
}

static char *put_text(char *to, const char *from, size_t len)
{
	if (len > 0)
		memcpy(to, from, len);
	to[len] = '\0';
	return to + len + 1;
}

void packed_build(char *to, const struct pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		memcpy(to, &pairs[i].key_len, sizeof(uint16_t));
		memcpy(to + sizeof(uint16_t), &pairs[i].value_len, sizeof(uint16_t));
		to = put_text(to + PACKED_HEAD, pairs[i].key, pairs[i].key_len);
		to = put_text(to, pairs[i].value, pairs[i].value_len);
	}
}

bool packed_next(const struct packed *p, size_t *at, struct pair *ret)
{
	const char *from = p->at + *at;

	if (*at >= p->len)
		return false;
	memcpy(&ret->key_len, from, sizeof(uint16_t));
	memcpy(&ret->value_len, from + sizeof(uint16_t), sizeof(uint16_t));
	ret->key = from + PACKED_HEAD;
	ret->value = ret->key + ret->key_len + 1;
	*at += PACKED_HEAD + (size_t)ret->key_len + ret->value_len + 2;
	return true;
}

const char *packed_find(const struct packed *p, const char *key)
{
	size_t len = strlen(key);
	struct pair pair;

	for (size_t at = 0; packed_next(p, &at, &pair);)
		if (pair.key_len == len && memcmp(pair.key, key, len) == 0)
			return pair.value;
	return NULL;
}

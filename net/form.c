/* form.c - see form.h. One copy of the text goes to the arena and is decoded in place: decoding never
 * lengthens, and '=' and '&' leave room for the NULs. */
#include "net/form.h"
#include "base/error.h"
#include <string.h>

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t url_decode(char *to, const char *from, size_t len, int plus)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		int high = -1, low = -1;
		if (from[i] == '%' && len - i > 2) {
			high = hex_value(from[i + 1]);
			low = hex_value(from[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			to[n++] = (char)(high << 4 | low);
			i += 2;
		} else {
			to[n++] = plus && from[i] == '+' ? ' ' : from[i];
		}
	}
	to[n] = 0;
	return n;
}

void form_init(struct form *f)
{
	*f = (struct form){ NULL, 0, 0 };
}

/* Room for one more pair. The old array stays in the arena: it is small. */
static int form_grow(struct form *f, struct arena *mem)
{
	if (f->count >= FORM_PAIRS_MAX)
		return E_LIMIT;
	if (f->count < f->cap)
		return E_OK;
	unsigned cap = f->cap ? f->cap * 2 : 16;
	struct form_pair *pairs = arena_alloc(mem, cap * sizeof(*pairs));
	if (pairs == NULL)
		return E_NOMEM;
	if (f->count > 0)
		memcpy(pairs, f->pairs, f->count * sizeof(*pairs));
	f->pairs = pairs;
	f->cap = cap;
	return E_OK;
}

/* One pair, [at, at + len), with a byte behind it that may be written. */
static int pair_add(struct form *f, struct arena *mem, char *at, size_t len)
{
	static const char empty[1] = "";
	int rc = len == 0 ? E_OK : form_grow(f, mem);
	if (len == 0 || rc < 0)
		return rc;
	char *equals = memchr(at, '=', len);
	struct form_pair *p = &f->pairs[f->count++];
	*p = (struct form_pair){ .key = at, .value = empty };
	if (equals != NULL) {
		p->value = equals + 1;
		p->value_len = url_decode(equals + 1, equals + 1,
					  len - (size_t)(equals + 1 - at), 1);
		len = (size_t)(equals - at);
	}
	p->key_len = url_decode(at, at, len, 1);
	return E_OK;
}

int form_parse(struct form *f, struct arena *mem, const char *text, size_t len)
{
	if (len == 0)
		return E_OK;
	char *at = arena_memdup0(mem, text, len);
	if (at == NULL)
		return E_NOMEM;
	for (char *end = at + len; at < end;) {
		char *stop = memchr(at, '&', (size_t)(end - at));
		if (stop == NULL)
			stop = end;
		int rc = pair_add(f, mem, at, (size_t)(stop - at));
		if (rc < 0)
			return rc;
		at = stop + 1;
	}
	return E_OK;
}

const struct form_pair *form_find(const struct form *f, const char *key)
{
	size_t len = strlen(key);
	for (unsigned i = 0; i < f->count; i++)
		if (f->pairs[i].key_len == len && memcmp(f->pairs[i].key, key, len) == 0)
			return &f->pairs[i];
	return NULL;
}

const char *form_value(const struct form *f, const char *key)
{
	const struct form_pair *p = form_find(f, key);
	return p == NULL ? NULL : p->value;
}

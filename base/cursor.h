/* cursor.h - a borrowed run of bytes being read. Once a read fails every later one fails too, so a
 * decoder reads a whole record and looks at @failed once. Any thread. */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *at, *end;
	bool failed;
};

static inline struct cursor cursor_of(const void *from, size_t len)
{
	return (struct cursor){ (const uint8_t *)from, (const uint8_t *)from + len, false };
}

static inline size_t cursor_left(const struct cursor *c)
{
	return c->failed ? 0 : (size_t)(c->end - c->at);
}

/* The next @n bytes, or NULL. @n may come straight off the wire: it is compared with what
 * is left before it takes part in any arithmetic. */
static inline const uint8_t *cursor_take(struct cursor *c, size_t n)
{
	if (c->failed || n > (size_t)(c->end - c->at)) {
		c->failed = true;
		return NULL;
	}
	c->at += n;
	return c->at - n;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 1);
	return p == NULL ? 0 : p[0];
}

static inline uint16_t cursor_u16(struct cursor *c) /* big-endian */
{
	const uint8_t *p = cursor_take(c, 2);
	if (p == NULL)
		return 0;
	return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 4);
	return p == NULL ? 0
			 : (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A length-prefixed part for a child, which cannot read past it. */
static inline struct cursor cursor_sub(struct cursor *c, size_t n)
{
	const uint8_t *p = cursor_take(c, n);
	return p == NULL ? (struct cursor){ NULL, NULL, true } : cursor_of(p, n);
}

#endif

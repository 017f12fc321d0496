/* buf.h - bytes that are read or written. Memory that runs out ends the run. */
#ifndef NACOSBLAST_BUF_H
#define NACOSBLAST_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	MESSAGE_MAX = 64 * 1024 * 1024, /* bytes of one answer; more is a protocol error */
};

/* What a parser says of the bytes it was given. */
enum { PARSE_MORE = 0, PARSE_BAD = -1, PARSE_WHOLE = 1 };

/* A growing run of bytes that is filled at @len and consumed at @head. All zero: empty. Its owner
 * ends it with buf_done(); what buf_head() returns is borrowed until the next bytes are put in. */
struct buf {
	uint8_t *at;
	size_t head, len, cap;
};

void buf_reserve(struct buf *b, size_t more); /* room for @more bytes at @len */
void buf_number(struct buf *b, uint64_t v);   /* in decimal digits */
void buf_done(struct buf *b);

static inline void buf_put(struct buf *b, const void *from, size_t n)
{
	if (n == 0)
		return;
	buf_reserve(b, n);
	memcpy(b->at + b->len, from, n);
	b->len += n;
}

static inline void buf_text(struct buf *b, const char *text)
{
	buf_put(b, text, strlen(text));
}

static inline void buf_byte(struct buf *b, uint8_t byte)
{
	buf_put(b, &byte, 1);
}

static inline size_t buf_left(const struct buf *b)
{
	return b->len - b->head;
}

static inline uint8_t *buf_head(const struct buf *b)
{
	return b->at + b->head;
}

static inline void buf_clear(struct buf *b)
{
	b->head = b->len = 0;
}

#endif

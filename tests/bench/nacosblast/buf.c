/* buf.c - see buf.h. */
#include "buf.h"
#include "die.h"

#include <stdlib.h>

void buf_reserve(struct buf *b, size_t more)
{
	if (b->head == b->len)
		b->head = b->len = 0;
	if (b->cap - b->len >= more)
		return;
	if (b->head > 0) {
		memmove(b->at, b->at + b->head, b->len - b->head);
		b->len -= b->head;
		b->head = 0;
		if (b->cap - b->len >= more)
			return;
	}
	size_t cap = b->cap ? b->cap : 256;
	while (cap - b->len < more)
		cap *= 2;
	b->at = realloc(b->at, cap);
	if (b->at == NULL)
		die("out of memory (a buffer of %zu bytes)", cap);
	b->cap = cap;
}

void buf_number(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	buf_put(b, digits + at, sizeof(digits) - at);
}

void buf_done(struct buf *b)
{
	free(b->at);
	*b = (struct buf){ 0 };
}

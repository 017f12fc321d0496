/* writer.h - bytes written into a buffer of fixed size. "Full" once is full for good (until a
 * rollback): nothing is ever written past @end, and the owner looks at @full once. Any thread. */
#ifndef BASE_WRITER_H
#define BASE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct writer {
	uint8_t *start, *at, *end;
	bool full;
};

static inline struct writer writer_of(void *to, size_t cap)
{
	return (struct writer){ (uint8_t *)to, (uint8_t *)to, (uint8_t *)to + cap, false };
}

static inline size_t writer_len(const struct writer *w)
{
	return (size_t)(w->at - w->start);
}

/* Room for @n bytes, to be filled by the caller, or NULL. */
static inline uint8_t *writer_claim(struct writer *w, size_t n)
{
	if (w->full || n > (size_t)(w->end - w->at)) {
		w->full = true;
		return NULL;
	}
	w->at += n;
	return w->at - n;
}

static inline void writer_put(struct writer *w, const void *from, size_t n)
{
	uint8_t *p = writer_claim(w, n);
	if (p != NULL && n > 0)
		memcpy(p, from, n);
}

static inline void writer_u8(struct writer *w, uint8_t v)
{
	uint8_t *p = writer_claim(w, 1);
	if (p != NULL)
		p[0] = v;
}

static inline void writer_u16(struct writer *w, uint16_t v)
{
	uint8_t *p = writer_claim(w, 2);
	if (p != NULL) {
		p[0] = (uint8_t)(v >> 8);
		p[1] = (uint8_t)v;
	}
}

static inline void writer_u32(struct writer *w, uint32_t v)
{
	uint8_t *p = writer_claim(w, 4);
	if (p != NULL) {
		p[0] = (uint8_t)(v >> 24);
		p[1] = (uint8_t)(v >> 16);
		p[2] = (uint8_t)(v >> 8);
		p[3] = (uint8_t)v;
	}
}

#endif

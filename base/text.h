/* text.h - a growing run of bytes with a NUL behind it, and JSON written into it. A text that could
 * not grow is @failed for good: the owner looks once, at the end. One thread. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *at;
	size_t len, cap;
	bool failed;
};

void text_init(struct text *t);			 /* empty, no heap yet; t->at is "" */
void text_done(struct text *t);			 /* frees */
void text_clear(struct text *t);		 /* empty, memory kept, failed reset */
char *text_take(struct text *t);		 /* the caller's to mem_free; t is as after init */
bool text_reserve(struct text *t, size_t more); /* false: failed */
void text_put(struct text *t, const void *from, size_t len);
void text_add(struct text *t, const char *s);
void text_char(struct text *t, char c);
void text_u64(struct text *t, uint64_t v);
void text_i64(struct text *t, int64_t v);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The length of the well-formed UTF-8 character of more than one byte at @s (RFC 3629), or 0. */
size_t text_utf8_run(const uint8_t *s, size_t len);

/* JSON out. A comma is put where one is needed: after an opening bracket or a key none is. */
void json_open(struct text *t, char bracket);  /* '{' or '[' */
void json_close(struct text *t, char bracket); /* '}' or ']' */
void json_key(struct text *t, const char *key);
void json_str(struct text *t, const char *s); /* escaped; invalid UTF-8 becomes U+FFFD */
void json_strn(struct text *t, const char *s, size_t len);
void json_i64(struct text *t, int64_t v);
void json_u64(struct text *t, uint64_t v);
void json_double(struct text *t, double v); /* shortest that reads back; 1 is written 1.0 */
void json_bool(struct text *t, bool v);
void json_null(struct text *t);
void json_raw(struct text *t, const char *value, size_t len); /* a value already encoded */
/* key and value in one */
void json_kv_str(struct text *t, const char *key, const char *s);
void json_kv_i64(struct text *t, const char *key, int64_t v);
void json_kv_double(struct text *t, const char *key, double v);
void json_kv_bool(struct text *t, const char *key, bool v);

#endif

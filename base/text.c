/* text.c - see text.h. An empty text has no heap (cap 0) and points to a constant "", which is never
 * written: every write goes through text_reserve() first. */
#include "base/text.h"
#include "base/mem.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_FIRST = 256 }; /* bytes of the first heap block */

static char *nothing(void)
{
	return (char *)(uintptr_t)"";
}

void text_init(struct text *t)
{
	*t = (struct text){ .at = nothing() };
}

void text_done(struct text *t)
{
	if (t->cap > 0)
		mem_free(t->at);
	text_init(t);
}

void text_clear(struct text *t)
{
	t->len = 0;
	t->failed = false;
	if (t->cap > 0)
		t->at[0] = '\0';
}

char *text_take(struct text *t)
{
	char *taken = NULL;
	if (!t->failed)
		taken = t->cap > 0 ? t->at : mem_strdup("");
	if (t->failed || t->cap == 0)
		text_done(t);
	text_init(t);
	return taken;
}

bool text_reserve(struct text *t, size_t more)
{
	if (t->failed)
		return false;
	if (more < t->cap - t->len) /* one byte is the NUL's; cap 0 and len 0: 0 < 0 is false */
		return true;
	size_t cap = t->cap < TEXT_FIRST ? TEXT_FIRST : t->cap;
	if (more >= SIZE_MAX / 2 - t->len) {
		t->failed = true;
		return false;
	}
	while (cap <= t->len + more)
		cap += cap / 2 + 16;
	char *at = mem_realloc(t->cap > 0 ? t->at : NULL, cap);
	if (at == NULL) {
		t->failed = true;
		return false;
	}
	t->at = at;
	t->at[t->len] = '\0';
	t->cap = cap;
	return true;
}

void text_put(struct text *t, const void *from, size_t len)
{
	if (!text_reserve(t, len) || len == 0)
		return;
	memcpy(t->at + t->len, from, len);
	t->len += len;
	t->at[t->len] = '\0';
}

void text_add(struct text *t, const char *s)
{
	text_put(t, s, strlen(s));
}

void text_char(struct text *t, char c)
{
	if (!text_reserve(t, 1))
		return;
	t->at[t->len++] = c;
	t->at[t->len] = '\0';
}

void text_u64(struct text *t, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	text_put(t, digits + at, sizeof(digits) - at);
}

void text_i64(struct text *t, int64_t v)
{
	if (v >= 0) {
		text_u64(t, (uint64_t)v);
		return;
	}
	text_char(t, '-');
	text_u64(t, 0 - (uint64_t)v);
}

void text_printf(struct text *t, const char *format, ...)
{
	if (!text_reserve(t, 64))
		return;
	va_list args;
	va_start(args, format);
	int n = vsnprintf(t->at + t->len, t->cap - t->len, format, args);
	va_end(args);
	if (n < 0) {
		t->failed = true;
		t->at[t->len] = '\0';
		return;
	}
	if ((size_t)n >= t->cap - t->len) {
		t->at[t->len] = '\0'; /* what did not fit is not there */
		if (!text_reserve(t, (size_t)n))
			return;
		va_start(args, format);
		vsnprintf(t->at + t->len, t->cap - t->len, format, args);
		va_end(args);
	}
	t->len += (size_t)n;
}

/* Before a value or a key: a comma, unless something that takes none stands there. A value ends in
 * a quote, bracket, digit or letter, so the last byte is enough to know. */
static void comma(struct text *t)
{
	if (t->len == 0)
		return;
	switch (t->at[t->len - 1]) {
	case '{':
	case '[':
	case ':':
	case ',':
	case '\n': /* a new document on a new line */
		return;
	default:
		text_char(t, ',');
	}
}

void json_open(struct text *t, char bracket)
{
	comma(t);
	text_char(t, bracket);
}

void json_close(struct text *t, char bracket)
{
	text_char(t, bracket);
}

void json_key(struct text *t, const char *key)
{
	json_str(t, key);
	text_char(t, ':');
}

void json_str(struct text *t, const char *s)
{
	json_strn(t, s, strlen(s));
}

/* Bytes that may be copied as they are: printable ASCII but quote and backslash. */
static size_t plain_run(const uint8_t *s, size_t len)
{
	static const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
	size_t n = 0;
	while (len - n >= 8) {
		uint64_t w;
		memcpy(&w, s + n, 8);
		uint64_t quote = w ^ ones * '"', back = w ^ ones * '\\';
		/* A byte's high bit: >= 0x80, < 0x20, or zero after the exclusive or. */
		if (((w | (w - ones * 0x20) | (quote - ones) | (back - ones)) & highs) != 0)
			break;
		n += 8;
	}
	while (n < len && s[n] >= 0x20 && s[n] < 0x80 && s[n] != '"' && s[n] != '\\')
		n++;
	return n;
}

size_t text_utf8_run(const uint8_t *s, size_t len)
{
	if (len >= 2 && s[0] >= 0xC2 && s[0] <= 0xDF)
		return (s[1] & 0xC0) == 0x80 ? 2 : 0;
	if (len >= 3 && (s[0] & 0xF0) == 0xE0) {
		uint8_t least = s[0] == 0xE0 ? 0xA0 : 0x80, most = s[0] == 0xED ? 0x9F : 0xBF;
		return s[1] >= least && s[1] <= most && (s[2] & 0xC0) == 0x80 ? 3 : 0;
	}
	if (len >= 4 && s[0] >= 0xF0 && s[0] <= 0xF4) {
		uint8_t least = s[0] == 0xF0 ? 0x90 : 0x80, most = s[0] == 0xF4 ? 0x8F : 0xBF;
		return s[1] >= least && s[1] <= most && (s[2] & 0xC0) == 0x80 &&
			       (s[3] & 0xC0) == 0x80
			   ? 4
			   : 0;
	}
	return 0;
}

/* One ASCII byte that needs a backslash. */
static void escape(struct text *t, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	char out[6] = { '\\', 'u', '0', '0', hex[c >> 4 & 15], hex[c & 15] };
	size_t len = 2;
	switch (c) {
	case '"':
	case '\\':
		out[1] = (char)c;
		break;
	case '\b':
		out[1] = 'b';
		break;
	case '\t':
		out[1] = 't';
		break;
	case '\n':
		out[1] = 'n';
		break;
	case '\f':
		out[1] = 'f';
		break;
	case '\r':
		out[1] = 'r';
		break;
	default:
		len = 6;
	}
	text_put(t, out, len);
}

void json_strn(struct text *t, const char *s, size_t len)
{
	const uint8_t *at = (const uint8_t *)s, *end = at + len;
	comma(t);
	text_char(t, '"');
	text_reserve(t, len + 1);
	while (at < end && !t->failed) {
		size_t n = plain_run(at, (size_t)(end - at));
		text_put(t, at, n);
		at += n;
		if (at == end)
			break;
		if (*at < 0x80) {
			escape(t, *at++);
			continue;
		}
		n = text_utf8_run(at, (size_t)(end - at));
		if (n > 0)
			text_put(t, at, n);
		else
			text_put(t, "\xEF\xBF\xBD", 3); /* U+FFFD for each byte that fits nowhere */
		at += n > 0 ? n : 1;
	}
	text_char(t, '"');
}

void json_i64(struct text *t, int64_t v)
{
	comma(t);
	text_i64(t, v);
}

void json_u64(struct text *t, uint64_t v)
{
	comma(t);
	text_u64(t, v);
}

/* Weights and rates have few decimals: m / 10^k with m below 10^15 is divided with one correct
 * rounding, so if it gives @v back, m's digits are the shortest text of @v. */
static bool short_decimal(struct text *t, double v)
{
	static const double scale[] = { 1, 1e1, 1e2, 1e3, 1e4 };
	double size = fabs(v);
	if (!(size < 1e10) || (size < 1e-4 && size > 0))
		return false;
	for (unsigned k = 0; k < 5; k++) {
		double m = nearbyint(size * scale[k]);
		if (m / scale[k] < size || m / scale[k] > size)
			continue;
		uint64_t whole = (uint64_t)m, unit = (uint64_t)scale[k];
		char fraction[8] = { '.', '0' };
		uint64_t rest = whole % unit;
		for (unsigned i = k; i > 0; i--, rest /= 10)
			fraction[i] = (char)('0' + rest % 10);
		if (signbit(v))
			text_char(t, '-');
		text_u64(t, whole / unit);
		text_put(t, fraction, k == 0 ? 2 : k + 1);
		return true;
	}
	return false;
}

void json_double(struct text *t, double v)
{
	comma(t);
	if (!isfinite(v)) { /* JSON has no word for it */
		text_add(t, "null");
		return;
	}
	if (short_decimal(t, v))
		return;
	char digits[40];
	for (int precision = 15; precision <= 17; precision++) {
		snprintf(digits, sizeof(digits), "%.*g", precision, v);
		double back = strtod(digits, NULL);
		if (!(back < v) && !(back > v))
			break;
	}
	bool fraction = false;
	for (char *c = digits; *c != '\0'; c++) {
		if (strchr("0123456789+-e", *c) == NULL)
			*c = '.'; /* whatever the locale's decimal point is */
		fraction |= *c == '.' || *c == 'e';
	}
	text_add(t, digits);
	if (!fraction)
		text_add(t, ".0");
}

void json_bool(struct text *t, bool v)
{
	comma(t);
	text_add(t, v ? "true" : "false");
}

void json_null(struct text *t)
{
	comma(t);
	text_add(t, "null");
}

void json_raw(struct text *t, const char *value, size_t len)
{
	comma(t);
	text_put(t, value, len);
}

void json_kv_str(struct text *t, const char *key, const char *s)
{
	json_key(t, key);
	json_str(t, s);
}

void json_kv_i64(struct text *t, const char *key, int64_t v)
{
	json_key(t, key);
	json_i64(t, v);
}

void json_kv_double(struct text *t, const char *key, double v)
{
	json_key(t, key);
	json_double(t, v);
}

void json_kv_bool(struct text *t, const char *key, bool v)
{
	json_key(t, key);
	json_bool(t, v);
}

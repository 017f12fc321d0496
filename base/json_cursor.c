/* json_cursor.c - see json_cursor.h. A container's text is checked once when it is met; its members are
 * then read from the checked text. Only json_begin_object() leaves the check to the walk. */
#include "base/json_cursor.h"
#include <stdlib.h>
#include <string.h>

enum { JSON_DEPTH_MAX = 32, JSON_NUMBER_MAX = 64 };

static void skip_space(struct cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
		c->at++;
}

/* The next byte, not taken; 0 at the end (a NUL byte is no JSON either). */
static uint8_t peek(const struct cursor *c)
{
	return !c->failed && c->at < c->end ? *c->at : 0;
}

static bool take_byte(struct cursor *c, uint8_t byte)
{
	if (peek(c) != byte || byte == 0)
		return false;
	c->at++;
	return true;
}

static bool take_word(struct cursor *c, const char *word)
{
	size_t len = strlen(word);
	if (cursor_left(c) < len || memcmp(c->at, word, len) != 0)
		return false;
	c->at += len;
	return true;
}

static int hex4(const uint8_t *p)
{
	int v = 0;
	for (int i = 0; i < 4; i++) {
		uint8_t c = p[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* Past bytes that stand for themselves, eight at a time; the last ones of the text are left to the caller. */
static void skip_plain(struct cursor *c)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	const uint64_t ones = 0x0101010101010101, highs = ones << 7;
	while (c->end - c->at >= 8) {
		uint64_t w;
		memcpy(&w, c->at, sizeof(w));
		uint64_t quote = w ^ ones * '"', back = w ^ ones * '\\';
		/* A high bit for each quote, backslash and control byte; a borrow can only reach bytes behind the first. */
		uint64_t found = (((quote - ones) & ~quote) | ((back - ones) & ~back) | ((w - ones * 0x20) & ~w)) & highs;
		if (found != 0) {
			c->at += __builtin_ctzll(found) / 8;
			return;
		}
		c->at += 8;
	}
#else
	(void)c;
#endif
}

/* Past a string whose opening quote is next. */
static bool skip_string(struct cursor *c)
{
	if (!take_byte(c, '"'))
		return false;
	for (skip_plain(c); c->at < c->end; skip_plain(c)) {
		uint8_t b = *c->at++;
		if (b == '"')
			return true;
		if (b < 0x20)
			return false;
		if (b != '\\')
			continue;
		if (c->at == c->end || strchr("\"\\/bfnrtu", *c->at) == NULL || *c->at == '\0')
			return false;
		if (*c->at++ == 'u') {
			if (cursor_left(c) < 4 || hex4(c->at) < 0)
				return false;
			c->at += 4;
		}
	}
	return false;
}

static bool skip_digits(struct cursor *c)
{
	const uint8_t *start = c->at;
	while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
		c->at++;
	return c->at > start;
}

static bool skip_number(struct cursor *c)
{
	const uint8_t *start = c->at;
	take_byte(c, '-');
	if (!take_byte(c, '0') && !skip_digits(c))
		return false;
	if (take_byte(c, '.') && !skip_digits(c))
		return false;
	if (peek(c) == 'e' || peek(c) == 'E') {
		c->at++;
		if (!take_byte(c, '+'))
			take_byte(c, '-');
		if (!skip_digits(c))
			return false;
	}
	return c->at - start < JSON_NUMBER_MAX;
}

static bool skip_value(struct cursor *c, unsigned depth);

/* Past an object or array whose opening bracket is next. */
static bool skip_container(struct cursor *c, unsigned depth)
{
	bool object = *c->at == '{';
	uint8_t close = object ? '}' : ']';
	if (depth >= JSON_DEPTH_MAX)
		return false;
	c->at++;
	skip_space(c);
	if (take_byte(c, close))
		return true;
	do {
		skip_space(c);
		if (object) {
			if (!skip_string(c))
				return false;
			skip_space(c);
			if (!take_byte(c, ':'))
				return false;
			skip_space(c);
		}
		if (!skip_value(c, depth + 1))
			return false;
		skip_space(c);
	} while (take_byte(c, ','));
	return take_byte(c, close);
}

static bool skip_value(struct cursor *c, unsigned depth)
{
	switch (peek(c)) {
	case '{':
	case '[':
		return skip_container(c, depth);
	case '"':
		return skip_string(c);
	case 't':
		return take_word(c, "true");
	case 'f':
		return take_word(c, "false");
	case 'n':
		return take_word(c, "null");
	default:
		return skip_number(c);
	}
}

static char *put_utf8(char *to, uint32_t u)
{
	if (u < 0x80) {
		*to++ = (char)u;
	} else if (u < 0x800) {
		*to++ = (char)(0xC0 | u >> 6);
		*to++ = (char)(0x80 | (u & 0x3F));
	} else if (u < 0x10000) {
		*to++ = (char)(0xE0 | u >> 12);
		*to++ = (char)(0x80 | (u >> 6 & 0x3F));
		*to++ = (char)(0x80 | (u & 0x3F));
	} else {
		*to++ = (char)(0xF0 | u >> 18);
		*to++ = (char)(0x80 | (u >> 12 & 0x3F));
		*to++ = (char)(0x80 | (u >> 6 & 0x3F));
		*to++ = (char)(0x80 | (u & 0x3F));
	}
	return to;
}

/* Behind "\u" of checked text; a half of a surrogate pair alone becomes U+FFFD. */
static uint32_t take_code(const uint8_t **at, const uint8_t *end)
{
	uint32_t u = (uint32_t)hex4(*at);
	*at += 4;
	if (u < 0xD800 || u > 0xDFFF)
		return u;
	if (u < 0xDC00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
		uint32_t low = (uint32_t)hex4(*at + 2);
		if (low >= 0xDC00 && low <= 0xDFFF) {
			*at += 6;
			return 0x10000 + ((u & 0x3FF) << 10 | (low & 0x3FF));
		}
	}
	return 0xFFFD;
}

/* The text between the quotes of checked @raw; escapes never get longer. NULL: the arena refused. */
static char *unescape(struct arena *mem, const uint8_t *raw, size_t len, size_t *ret_len)
{
	const uint8_t *at = raw + 1, *end = raw + len - 1;
	char *text = arena_alloc(mem, len - 1), *to = text;
	if (text == NULL)
		return NULL;
	while (at < end) {
		const uint8_t *back = memchr(at, '\\', (size_t)(end - at));
		size_t plain = (size_t)((back == NULL ? end : back) - at);
		memcpy(to, at, plain);
		to += plain;
		at += plain;
		if (at == end)
			break;
		static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
		uint8_t what = at[1];
		at += 2;
		const char *known = strchr(from, what);
		if (what == 'u')
			to = put_utf8(to, take_code(&at, end));
		else
			*to++ = known != NULL ? into[known - from] : (char)what;
	}
	*to = '\0';
	*ret_len = (size_t)(to - text);
	return text;
}

/* @raw is a checked number. */
static void decode_number(struct json_value *v)
{
	uint64_t n = 0;
	size_t i = v->raw[0] == '-';
	bool minus = i == 1;
	for (; i < v->raw_len && v->raw_len <= 18 && v->raw[i] >= '0' && v->raw[i] <= '9'; i++)
		n = n * 10 + (uint64_t)(v->raw[i] - '0');
	if (i == v->raw_len) { /* nearly every one of ours */
		v->integer = minus ? -(int64_t)n : (int64_t)n;
		v->number = minus && n == 0 ? -0.0 : (double)v->integer;
		return;
	}
	char text[JSON_NUMBER_MAX];
	memcpy(text, v->raw, v->raw_len);
	text[v->raw_len] = '\0';
	bool whole = strpbrk(text, ".eE") == NULL;
	v->number = strtod(text, NULL);
	if (whole)
		v->integer = strtoll(text, NULL, 10); /* stops at the limits of int64 */
	else if (v->number >= 9223372036854775807.0)
		v->integer = INT64_MAX;
	else if (v->number <= -9223372036854775808.0)
		v->integer = INT64_MIN;
	else
		v->integer = (int64_t)v->number;
}

static bool decode_value(struct cursor *c, struct arena *mem, struct json_value *v)
{
	v->raw = c->at;
	if (!skip_value(c, 0))
		return false;
	v->raw_len = (size_t)(c->at - v->raw);
	switch (v->raw[0]) {
	case '{':
	case '[':
		v->type = v->raw[0] == '{' ? JSON_OBJECT : JSON_ARRAY;
		v->inner = cursor_of(v->raw + 1, v->raw_len - 2);
		return true;
	case '"':
		v->type = JSON_STRING;
		v->text = unescape(mem, v->raw, v->raw_len, &v->text_len);
		return v->text != NULL;
	case 't':
	case 'f':
		v->type = JSON_BOOL;
		v->boolean = v->raw[0] == 't';
		return true;
	case 'n':
		v->type = JSON_NULL;
		return true;
	default:
		v->type = JSON_NUMBER;
		decode_number(v);
		return true;
	}
}

bool json_begin(struct cursor *c, struct arena *mem, struct json_value *ret)
{
	struct json_value v = { .type = JSON_END };
	if (!c->failed) {
		skip_space(c);
		c->failed = !decode_value(c, mem, &v);
		skip_space(c);
	}
	if (c->failed || c->at != c->end) {
		c->failed = true;
		return false;
	}
	*ret = v;
	return true;
}

bool json_begin_object(struct cursor *c, struct json_value *ret)
{
	const uint8_t *end = c->end, *last;

	skip_space(c);
	while (end > c->at && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\n' || end[-1] == '\r'))
		end--;
	if (c->failed || end - c->at < 2 || *c->at != '{' || end[-1] != '}') {
		c->failed = true;
		return false;
	}
	for (last = end - 2; last > c->at && (*last == ' ' || *last == '\t' || *last == '\n' || *last == '\r');)
		last--;
	if (*last == ',') { /* the walk takes it for the end */
		c->failed = true;
		return false;
	}
	*ret = (struct json_value){ .type = JSON_OBJECT, .raw = c->at, .raw_len = (size_t)(end - c->at) };
	ret->inner = cursor_of(c->at + 1, ret->raw_len - 2);
	c->at = c->end;
	return true;
}

/* What stands at a string: its text in the arena. */
static bool decode_string(struct cursor *c, struct arena *mem, const char **ret, size_t *ret_len)
{
	const uint8_t *raw = c->at;
	*ret = skip_string(c) ? unescape(mem, raw, (size_t)(c->at - raw), ret_len) : NULL;
	return *ret != NULL;
}

static bool decode_member(struct cursor *inner, struct arena *mem, struct json_value *v)
{
	const uint8_t *raw = inner->at;
	if (*raw != '"') {
		if (!decode_value(inner, mem, v))
			return false;
	} else {
		const char *text;
		size_t len;
		if (!decode_string(inner, mem, &text, &len))
			return false;
		size_t raw_len = (size_t)(inner->at - raw);
		skip_space(inner);
		if (take_byte(inner, ':')) { /* only a key has one behind it */
			v->key = text;
			v->key_len = len;
			skip_space(inner);
			if (!decode_value(inner, mem, v))
				return false;
		} else {
			v->type = JSON_STRING;
			v->text = text;
			v->text_len = len;
			v->raw = raw;
			v->raw_len = raw_len;
		}
	}
	skip_space(inner);
	return take_byte(inner, ',') || inner->at == inner->end;
}

bool json_next(struct cursor *inner, struct arena *mem, struct json_value *ret)
{
	*ret = (struct json_value){ .type = JSON_END };
	if (inner->failed)
		return false;
	skip_space(inner);
	if (inner->at == inner->end)
		return false;
	if (!decode_member(inner, mem, ret)) {
		inner->failed = true;
		*ret = (struct json_value){ .type = JSON_END };
	}
	return ret->type != JSON_END;
}

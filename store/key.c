#include "store/key.h"

#include <string.h>

static const char hex_digits[] = "0123456789ABCDEF";

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == ':' || c == '@' || c == '-';
}

void key_segment(struct text *to, const char *segment, size_t len)
{
	if (len == 0)
		text_char(to, '%');
	for (size_t i = 0; i < len;) {
		size_t run = i;
		while (run < len && is_plain(segment[run]))
			run++;
		text_put(to, segment + i, run - i);
		i = run;
		if (i < len) {
			unsigned char c = (unsigned char)segment[i++];
			char escape[3] = { '%', hex_digits[c >> 4], hex_digits[c & 15] };
			text_put(to, escape, sizeof(escape));
		}
	}
}

void key_add(struct text *to, const char *segment)
{
	if (to->len > 0)
		text_char(to, '/');
	key_segment(to, segment, strlen(segment));
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One byte at @at, plain or escaped; moves *@at. Negative: malformed. A byte has one spelling only,
 * so that a key has one too. */
static int byte_decode(const char **at, const char *end)
{
	const char *p = *at;
	if (is_plain(*p)) {
		*at = p + 1;
		return (unsigned char)*p;
	}
	if (*p != '%' || end - p < 3)
		return -1;
	int high = hex_value(p[1]), low = hex_value(p[2]);
	if (high < 0 || low < 0)
		return -1;
	int c = high << 4 | low;
	if (c == 0 || is_plain((char)c))
		return -1; /* a NUL would cut the segment short in the caller's hands */
	*at = p + 3;
	return c;
}

int key_next(const char **at, char *to, size_t cap)
{
	const char *p = *at;
	if (*p == '\0')
		return E_NOTFOUND;
	const char *end = strchrnul(p, '/');
	size_t len = 0;
	if (end == p)
		return E_INVALID; /* empty is written "%" */
	if (cap == 0)
		return E_RANGE;
	if (end - p == 1 && *p == '%')
		p = end;
	while (p < end) {
		int c = byte_decode(&p, end);
		if (c < 0)
			return E_INVALID;
		if (len + 1 >= cap)
			return E_RANGE;
		to[len++] = (char)c;
	}
	to[len] = '\0';
	*at = *end == '/' ? end + 1 : end;
	return E_OK;
}

/* http_scan.c - see http_scan.h. */
#include "net/http_scan.h"
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum { METHOD_LEN_MAX = 16 };

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* The first byte from @at on that is below @least or DEL; eight at a time. */
static const char *scan_plain(const char *at, const char *end, uint8_t least)
{
	while (end - at >= 8) {
		uint64_t v, del;
		memcpy(&v, at, 8);
		del = v ^ EACH_BYTE(0x7f);
		if ((((v - EACH_BYTE(least)) & ~v) | ((del - EACH_BYTE(1)) & ~del)) &
		    EACH_BYTE(0x80))
			break;
		at += 8;
	}
	while (at < end && (uint8_t)*at >= least && *at != 0x7f)
		at++;
	return at;
}

const char *http_scan_target(const char *at, const char *end, const char **ret_end)
{
	size_t left = (size_t)(end - at);
	const char *blank = memchr(at, ' ', left < METHOD_LEN_MAX ? left : METHOD_LEN_MAX);
	if (blank == NULL || end - blank < 2 || blank[1] != '/')
		return NULL;
	const char *stop = scan_plain(blank + 1, end, '!');
	if (stop == end || *stop != ' ')
		return NULL;
	*ret_end = stop;
	return blank + 1;
}

/* RFC 9110 5.6.2 */
static const bool is_token[256] = {
	['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true, ['\''] = true,
	['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true, ['^'] = true, ['_'] = true,
	['`'] = true, ['|'] = true, ['~'] = true, ['0' ... '9'] = true, ['A' ... 'Z'] = true,
	['a' ... 'z'] = true,
};

/* What the parser must see: it takes the message's end and the connection's from these. Longer names
 * that begin so too: it is confused by "Transfer-Encoding-X", and refuses. */
static bool frames(const char *name, size_t len)
{
	static const char *const names[] = { "connection", "content-length", "transfer-encoding",
					     "upgrade", "proxy-connection" };
	switch (*name | 0x20) {
	case 'c':
	case 't':
	case 'u':
	case 'p': break;
	default: return false;
	}
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) <= len && strncasecmp(name, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

enum http_line_kind http_scan_line(const char *at, const char *end, struct http_line *ret)
{
	const char *p = at;
	while (p < end && is_token[(uint8_t)*p])
		p++;
	size_t name_len = (size_t)(p - at);
	if (name_len == 0 || p == end || *p != ':')
		return LINE_OTHER;
	for (p++; p < end && (*p == ' ' || *p == '\t');)
		p++;
	const char *value = p, *stop = scan_plain(p, end, ' ');
	while (stop < end && *stop == '\t')
		stop = scan_plain(stop + 1, end, ' ');
	if (end - stop < 2 || stop[0] != '\r' || stop[1] != '\n')
		return LINE_OTHER;
	*ret = (struct http_line){ name_len, value, (size_t)(stop - value), stop + 2 };
	return frames(at, name_len) ? LINE_FRAMING : LINE_PLAIN;
}

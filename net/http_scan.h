/* http_scan.h - finds the parts of a request head that need no parser, so that the byte-wise parser
 * sees only what it decides on: method, version, and the headers that frame the message. Measured:
 * the parser took a fifth of the server's time, nearly all of it in long targets and header lines
 * that mean nothing to it. Whatever is not plainly right here is left to the parser, which then says
 * what is wrong. Any thread; no state. */
#ifndef NET_HTTP_SCAN_H
#define NET_HTTP_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* The target of the request line at @at: its first byte, a '/', and in *@ret_end the blank behind
 * it. NULL: not of that form, or not whole before @end. */
const char *http_scan_target(const char *at, const char *end, const char **ret_end);

enum http_line_kind {
	LINE_OTHER,  /* not whole, not well-formed, or the empty line: the parser's from here on */
	LINE_PLAIN,  /* the framing of the message does not depend on it */
	LINE_FRAMING /* it does: the parser must see it */
};

struct http_line {
	size_t name_len;
	const char *value;
	size_t value_len;
	const char *next; /* the line behind */
};

/* The header line at @at. @ret is set unless it is LINE_OTHER. */
enum http_line_kind http_scan_line(const char *at, const char *end, struct http_line *ret);

#endif

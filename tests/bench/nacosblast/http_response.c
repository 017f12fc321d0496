/* http_response.c - see http_response.h. */
#define _GNU_SOURCE
#include "http_response.h"
#include "text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	HEAD_MAX = 64 * 1024, /* bytes of an HTTP response head */
};

struct http_head {
	int status;
	bool close, chunked;
	long length; /* -1: not told */
};

static void http_head_line(struct http_head *h, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	if (colon == NULL)
		return;
	size_t name = (size_t)(colon - line);
	const char *value = skip_separators(colon, line + len);
	size_t value_len = (size_t)(line + len - value);
	if (name == 14 && strncasecmp(line, "content-length", 14) == 0) {
		h->length = 0;
		for (size_t i = 0; i < value_len && isdigit((unsigned char)value[i]); i++)
			if (h->length <= MESSAGE_MAX)
				h->length = h->length * 10 + (value[i] - '0');
	} else if (name == 17 && strncasecmp(line, "transfer-encoding", 17) == 0) {
		h->chunked =
		    value_len >= 7 && strncasecmp(value + value_len - 7, "chunked", 7) == 0;
	} else if (name == 10 && strncasecmp(line, "connection", 10) == 0) {
		h->close = value_len == 5 && strncasecmp(value, "close", 5) == 0;
	}
}

/* The head that begins at @text. @ret_len: its length with the empty line. */
static int http_head_parse(const char *text, size_t len, struct http_head *ret, size_t *ret_len)
{
	const char *end = memmem(text, len, "\r\n\r\n", 4);
	if (end == NULL)
		return len > HEAD_MAX ? PARSE_BAD : PARSE_MORE;
	if (len < 13 || memcmp(text, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)text[9]))
		return PARSE_BAD;
	*ret =
	    (struct http_head){ .status = atoi(text + 9), .length = -1, .close = text[7] == '0' };
	const char *line = memchr(text, '\n', len);
	while (line != NULL && line < end) {
		line++;
		const char *line_end = memchr(line, '\r', (size_t)(end + 2 - line));
		http_head_line(ret, line, (size_t)(line_end - line));
		line = line_end + 1;
	}
	*ret_len = (size_t)(end + 4 - text);
	return PARSE_WHOLE;
}

/* Joins the chunks from @text on into @body. @ret_len: bytes of the coded form. */
static int http_chunks_parse(const char *text, size_t len, struct buf *body, size_t *ret_len)
{
	size_t at = 0;
	buf_clear(body);
	for (;;) {
		const char *eol = memmem(text + at, len - at, "\r\n", 2);
		if (eol == NULL)
			return len - at > 64 ? PARSE_BAD : PARSE_MORE;
		if (!isxdigit((unsigned char)text[at]))
			return PARSE_BAD;
		unsigned long size = strtoul(text + at, NULL, 16);
		size_t head = (size_t)(eol + 2 - (text + at));
		if (size > MESSAGE_MAX)
			return PARSE_BAD;
		if (len - at < head + size + 2)
			return PARSE_MORE;
		buf_put(body, text + at + head, size);
		at += head + size + 2; /* a last chunk of size 0 has no trailers here */
		if (size == 0) {
			*ret_len = at;
			return PARSE_WHOLE;
		}
	}
}

int http_response_parse(const struct buf *in, struct buf *scratch, struct http_response *ret)
{
	const char *text = (const char *)buf_head(in);
	size_t len = buf_left(in), head_len, body_len;
	struct http_head head;
	int rc = http_head_parse(text, len, &head, &head_len);
	if (rc != PARSE_WHOLE)
		return rc;
	*ret = (struct http_response){ .status = head.status,
				       .close = head.close,
				       .body = text + head_len };
	if (head.chunked) {
		rc = http_chunks_parse(text + head_len, len - head_len, scratch, &body_len);
		if (rc != PARSE_WHOLE)
			return rc;
		ret->body = (const char *)buf_head(scratch);
		ret->body_len = buf_left(scratch);
		ret->total = head_len + body_len;
		return PARSE_WHOLE;
	}
	if (head.length < 0 && (head.status == 204 || head.status == 304))
		head.length = 0;
	if (head.length < 0 || head.length > MESSAGE_MAX)
		return PARSE_BAD;
	if (len - head_len < (size_t)head.length)
		return PARSE_MORE;
	ret->body_len = (size_t)head.length;
	ret->total = head_len + ret->body_len;
	return PARSE_WHOLE;
}

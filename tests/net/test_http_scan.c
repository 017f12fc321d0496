/* test_http_scan.c - the parts of a head that bypass the parser: only what is plainly right does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/http_scan.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum http_line_kind kind_of(const char *text, size_t len)
{
	struct http_line line;
	char *exact = malloc(len ? len : 1); /* ASan sees one byte too many */
	memcpy(exact, text, len);
	enum http_line_kind kind = http_scan_line(exact, exact + len, &line);
	free(exact);
	return kind;
}

static void lines_are_told_apart(void **state)
{
	static const struct {
		const char *line;
		enum http_line_kind kind;
	} cases[] = {
		{ "Host: a\r\n", LINE_PLAIN },
		{ "X:\r\n", LINE_PLAIN },
		{ "X: a\tb \x80\xff\r\n", LINE_PLAIN },
		{ "Content-Type: a\r\n", LINE_PLAIN },
		{ "Content-Length: 1\r\n", LINE_FRAMING },
		{ "CONTENT-LENGTH:1\r\n", LINE_FRAMING },
		{ "connection: close\r\n", LINE_FRAMING },
		{ "Transfer-Encoding: chunked\r\n", LINE_FRAMING },
		{ "Transfer-Encoding-X: chunked\r\n", LINE_FRAMING },
		{ "Upgrade: h2c\r\n", LINE_FRAMING },
		{ "Proxy-Connection: close\r\n", LINE_FRAMING },
		{ "\r\n", LINE_OTHER },
		{ "Host: a\n", LINE_OTHER },
		{ "Host : a\r\n", LINE_OTHER },
		{ " Host: a\r\n", LINE_OTHER },
		{ ": a\r\n", LINE_OTHER },
		{ "Host a\r\n", LINE_OTHER },
		{ "Host: a\rb\r\n", LINE_OTHER },
		{ "H\xc3: a\r\n", LINE_OTHER },
		{ "Host: \x7f\r\n", LINE_OTHER },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (kind_of(cases[i].line, strlen(cases[i].line)) != cases[i].kind)
			fail_msg("%s", cases[i].line);
	assert_int_equal(kind_of("Host: a\0b\r\n", 11), LINE_OTHER);
}

/* One byte of each value, at each place of a long value: within and behind the eight-byte steps. */
static void every_control_byte_is_found_at_every_place(void **state)
{
	char text[64];
	(void)state;
	for (size_t place = 0; place < 30; place++)
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(text, "X:", 2);
			memset(text + 2, 'v', 30);
			memcpy(text + 32, "\r\n", 2);
			text[2 + place] = (char)byte;
			bool plain = byte == '\t' || (byte >= ' ' && byte != 0x7f);
			assert_int_equal(kind_of(text, 34), plain ? LINE_PLAIN : LINE_OTHER);
			memcpy(text, "P /", 3);
			memset(text + 3, 'v', 30);
			text[33] = ' ';
			text[3 + place] = (char)byte;
			const char *end = NULL, *at = http_scan_target(text, text + 34, &end);
			bool in = byte > ' ' && byte != 0x7f;
			assert_true(in ? at == text + 2 && end == text + 33
				       : byte == ' ' ? end == text + 3 + place
						     : at == NULL);
		}
}

static void what_is_cut_is_left_to_the_parser(void **state)
{
	static const char line[] = "User-Agent: something long\r\n", request[] = "DELETE /a?b=c ";
	const char *end;
	(void)state;
	for (size_t len = 0; len < sizeof(line) - 1; len++)
		assert_int_equal(kind_of(line, len), LINE_OTHER);
	for (size_t len = 0; len < sizeof(request) - 1; len++) {
		char *exact = malloc(len ? len : 1);
		memcpy(exact, request, len);
		assert_null(http_scan_target(exact, exact + len, &end));
		free(exact);
	}
	assert_ptr_equal(http_scan_target(request, request + sizeof(request) - 1, &end),
			 request + 7);
	static const char options[] = "OPTIONS * HTTP/1.1";
	assert_null(http_scan_target(options, options + sizeof(options) - 1, &end));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_told_apart),
		cmocka_unit_test(every_control_byte_is_found_at_every_place),
		cmocka_unit_test(what_is_cut_is_left_to_the_parser),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

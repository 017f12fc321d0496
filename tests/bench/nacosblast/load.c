/* load.c - see load.h. */
#include "load.h"

void put_ip(struct buf *b, uint64_t host)
{
	uint64_t address = 0x7f010000u + host % 0xfe0000;
	buf_text(b, "127.");
	buf_number(b, address >> 16 & 255);
	buf_byte(b, '.');
	buf_number(b, address >> 8 & 255);
	buf_byte(b, '.');
	buf_number(b, address & 255);
}

uint64_t host_port(uint64_t host)
{
	return 8000 + host / 0xfe0000 % 50000;
}

void put_service(struct buf *b, char kind, uint64_t service)
{
	buf_text(b, "blast-");
	buf_byte(b, (uint8_t)kind);
	buf_byte(b, '-');
	buf_number(b, service);
}

void put_metadata(struct buf *b, const struct options *opt, uint64_t rev, bool encoded)
{
	const char *quote = encoded ? "%22" : "\"", *colon = encoded ? "%3A" : ":";
	buf_text(b, encoded ? "%7B" : "{");
	for (unsigned i = 0; i < opt->metadata; i++) {
		if (i > 0)
			buf_text(b, encoded ? "%2C" : ",");
		buf_text(b, quote);
		if (i == 0) {
			buf_text(b, "rev");
		} else {
			buf_text(b, "key");
			buf_number(b, i);
		}
		buf_text(b, quote);
		buf_text(b, colon);
		buf_text(b, quote);
		if (i == 0)
			buf_number(b, rev);
		else
			buf_text(b, "value-of-metadata");
		buf_text(b, quote);
	}
	buf_text(b, encoded ? "%7D" : "}");
}

void put_content(struct buf *b, uint64_t write, size_t size)
{
	size_t at = b->len - b->head;
	buf_text(b, "rev-");
	buf_number(b, write);
	size_t used = buf_left(b) - at;
	size_t fill = size > used ? size - used : 0;
	buf_reserve(b, fill);
	memset(b->at + b->len, 'x', fill);
	b->len += fill;
}

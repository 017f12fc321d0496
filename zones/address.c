/* address.c - dashed address labels. Exactly one spelling per address is accepted. */
#include "zones/address.h"
#include <stdbool.h>
#include <string.h>

static uint8_t *put_decimal(uint8_t *to, uint8_t v)
{
	if (v >= 100) {
		uint8_t hundreds = v >= 200 ? 2 : 1;
		*to++ = (uint8_t)('0' + hundreds);
		v = (uint8_t)(v - hundreds * 100);
		*to++ = (uint8_t)('0' + v / 10);
	} else if (v >= 10) {
		*to++ = (uint8_t)('0' + v / 10);
	}
	*to++ = (uint8_t)('0' + v % 10);
	return to;
}

size_t address_format4(uint8_t *to, const uint8_t addr[4])
{
	uint8_t *at = to;
	for (int i = 0; i < 4; i++) {
		if (i > 0)
			*at++ = '-';
		at = put_decimal(at, addr[i]);
	}
	return (size_t)(at - to);
}

size_t address_format6(uint8_t *to, const uint8_t addr[16])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t *at = to;
	for (int i = 0; i < 8; i++) {
		unsigned group = (unsigned)addr[2 * i] << 8 | addr[2 * i + 1];
		if (i > 0)
			*at++ = '-';
		for (int shift = group >= 0x1000 ? 12 : group >= 0x100 ? 8 : group >= 0x10 ? 4 : 0;
		     shift >= 0; shift -= 4)
			*at++ = (uint8_t)hex[group >> shift & 15];
	}
	return (size_t)(at - to);
}

static int digit_of(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One group of digits of @base at @at; *@ret its value. Returns the octets read, 0: none or not canonical. */
static size_t parse_group(unsigned *ret, const uint8_t *at, size_t len, unsigned base, size_t digits,
			  unsigned max)
{
	unsigned v = 0;
	size_t n = 0;
	for (int d; n < len && n < digits && (d = digit_of(at[n])) >= 0 && (unsigned)d < base; n++)
		v = v * base + (unsigned)d;
	if (n == 0 || v > max || (n > 1 && at[0] == '0'))
		return 0;
	*ret = v;
	return n;
}

static bool parse(uint8_t *ret, const uint8_t *label, size_t len, bool v6)
{
	int groups = v6 ? 8 : 4;
	size_t at = 0;
	for (int i = 0; i < groups; i++) {
		unsigned v;
		if (i > 0 && (at >= len || label[at++] != '-'))
			return false;
		size_t n = v6 ? parse_group(&v, label + at, len - at, 16, 4, 0xffff)
			      : parse_group(&v, label + at, len - at, 10, 3, 255);
		if (n == 0)
			return false;
		at += n;
		if (v6)
			*ret++ = (uint8_t)(v >> 8);
		*ret++ = (uint8_t)v;
	}
	return at == len;
}

int address_parse(uint8_t ret[16], const uint8_t *label, size_t len)
{
	int dashes = 0;
	if (len < 7 || len > ADDRESS_LABEL_MAX)
		return 0;
	for (size_t i = 0; i < len; i++)
		dashes += label[i] == '-';
	memset(ret, 0, 16);
	if (dashes == 3 && parse(ret, label, len, false))
		return 4;
	return dashes == 7 && parse(ret, label, len, true) ? 6 : 0;
}

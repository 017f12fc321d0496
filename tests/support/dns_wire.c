/* dns_wire.c - messages for tests. */
#include "tests/support/dns_wire.h"
#include <assert.h>
#include <ldns/ldns.h>
#include <string.h>

void wire_put(struct wire *w, const void *from, size_t len)
{
	assert(len <= sizeof w->at - w->len);
	if (len > 0)
		memcpy(w->at + w->len, from, len);
	w->len += len;
}

void wire_u8(struct wire *w, unsigned v)
{
	uint8_t b = (uint8_t)v;
	wire_put(w, &b, 1);
}

void wire_u16(struct wire *w, unsigned v)
{
	wire_u8(w, v >> 8 & 0xff);
	wire_u8(w, v & 0xff);
}

void wire_u32(struct wire *w, uint32_t v)
{
	wire_u16(w, v >> 16);
	wire_u16(w, v & 0xffff);
}

void wire_header(struct wire *w, unsigned flags, unsigned qd, unsigned an, unsigned ns, unsigned ar)
{
	w->len = 0;
	wire_u16(w, WIRE_ID);
	wire_u16(w, flags);
	wire_u16(w, qd);
	wire_u16(w, an);
	wire_u16(w, ns);
	wire_u16(w, ar);
}

void wire_name(struct wire *w, const char *name)
{
	while (*name != '\0') {
		size_t len = strcspn(name, ".");
		wire_u8(w, (unsigned)len);
		wire_put(w, name, len);
		name += len + (name[len] == '.');
	}
	wire_u8(w, 0);
}

void wire_question(struct wire *w, const char *name, unsigned type, unsigned rr_class)
{
	wire_name(w, name);
	wire_u16(w, type);
	wire_u16(w, rr_class);
}

void wire_rr(struct wire *w, const char *name, unsigned type, unsigned rr_class, uint32_t ttl, const void *rdata,
	     unsigned len)
{
	wire_question(w, name, type, rr_class);
	wire_u32(w, ttl);
	wire_u16(w, len);
	wire_put(w, rdata, len);
}

void wire_opt(struct wire *w, unsigned size, uint32_t ttl, const void *options, unsigned len)
{
	wire_rr(w, "", 41, size, ttl, options, len);
}

void wire_query(struct wire *w, const char *name, unsigned type)
{
	wire_header(w, 0, 1, 0, 0, 0);
	wire_question(w, name, type, 1);
}

void wire_query_edns(struct wire *w, const char *name, unsigned type, unsigned size, const void *options, unsigned len)
{
	wire_header(w, 0, 1, 0, 0, 1);
	wire_question(w, name, type, 1);
	wire_opt(w, size, 0, options, len);
}

unsigned wire_get16(const uint8_t *from)
{
	return (unsigned)from[0] << 8 | from[1];
}

/* Behind the name at @at, which may end in a pointer; 0: cut. */
static size_t name_end(const uint8_t *msg, size_t len, size_t at)
{
	while (at < len) {
		if (msg[at] == 0)
			return at + 1;
		if (msg[at] >= 0xc0)
			return at + 2;
		at += 1u + msg[at];
	}
	return 0;
}

bool wire_has_opt_last(const uint8_t *msg, size_t len)
{
	size_t at = 12;
	unsigned type = 0, records = wire_get16(msg + 6) + wire_get16(msg + 8) + wire_get16(msg + 10);
	for (unsigned i = 0; i < wire_get16(msg + 4); i++) {
		at = name_end(msg, len, at) + 4;
		if (at == 4 || at > len)
			return false;
	}
	for (unsigned i = 0; i < records; i++) {
		at = name_end(msg, len, at);
		if (at == 0 || at + 10 > len)
			return false;
		type = wire_get16(msg + at);
		at += 10 + wire_get16(msg + at + 8);
	}
	return at == len && type == 41;
}

bool wire_ldns_reads(const uint8_t *msg, size_t len)
{
	ldns_pkt *packet = NULL;
	bool ok = ldns_wire2pkt(&packet, msg, len) == LDNS_STATUS_OK;
	ldns_pkt_free(packet);
	return ok;
}

/* dns_wire.h - DNS messages for tests, octet by octet, right ones and wrong ones. */
#ifndef TESTS_SUPPORT_DNS_WIRE_H
#define TESTS_SUPPORT_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WIRE_ID = 0x1234 };
struct wire {
	size_t len;
	uint8_t at[66000];
};

void wire_header(struct wire *w, unsigned flags, unsigned qd, unsigned an, unsigned ns, unsigned ar); /* starts anew */
void wire_u8(struct wire *w, unsigned v);
void wire_u16(struct wire *w, unsigned v);
void wire_u32(struct wire *w, uint32_t v);
void wire_put(struct wire *w, const void *from, size_t len);
void wire_name(struct wire *w, const char *name); /* "a.b", "" the root */
void wire_question(struct wire *w, const char *name, unsigned type, unsigned rr_class);
void wire_rr(struct wire *w, const char *name, unsigned type, unsigned rr_class, uint32_t ttl, const void *rdata,
	     unsigned len);
void wire_opt(struct wire *w, unsigned size, uint32_t ttl, const void *options, unsigned len);
void wire_query(struct wire *w, const char *name, unsigned type); /* whole: class IN, no EDNS */
/* Whole: an OPT of @size with @options behind it. */
void wire_query_edns(struct wire *w, const char *name, unsigned type, unsigned size, const void *options, unsigned len);

/* Reading an answer. */
unsigned wire_get16(const uint8_t *from);
bool wire_has_opt_last(const uint8_t *msg, size_t len); /* the last record is an OPT, and the message ends behind it */
bool wire_ldns_reads(const uint8_t *msg, size_t len);	/* the second opinion */

#endif

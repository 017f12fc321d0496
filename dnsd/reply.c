/* reply.c - the frame of an answer. */
#include "dnsd/reply.h"

enum {
	OPT_LEN = 11,
	OPTION_HEAD = 4, /* code, length */
	KEEPALIVE_LEN = OPTION_HEAD + 2,
	EDE_LEN = OPTION_HEAD + 2, /* a code without text */
	SIZE_PLAIN = 512,	   /* without EDNS */
};

static inline void put16(uint8_t *to, unsigned v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

/* The largest message this client takes on this transport. */
static size_t size_limit(const struct question *q, const struct reply_limits *limits)
{
	if (q->query.stream)
		return DNS_MESSAGE_MAX;
	if (!q->edns.present || q->edns.udp_size <= SIZE_PLAIN)
		return SIZE_PLAIN; /* a size below 512 means 512 (RFC 6891, 6.2.3) */
	return q->edns.udp_size < limits->udp_size ? q->edns.udp_size : limits->udp_size;
}

static inline bool keepalive_due(const struct question *q)
{
	return q->edns.keepalive && q->query.stream; /* ignored on UDP (RFC 7828, 3.2.1) */
}

void reply_begin(struct dns_answer *ret, const struct question *q, uint8_t *to, size_t cap,
		 const struct reply_limits *limits)
{
	size_t limit = size_limit(q, limits);
	if (limit > cap)
		limit = cap;
	size_t opt = q->edns.present ? OPT_LEN + (keepalive_due(q) ? KEEPALIVE_LEN : 0) : 0;
	ret->w = writer_of(to, limit - opt);
	uint8_t *question = to + DNS_HEADER_LEN;
	ret->w.at = question + q->question_len;
	if (q->question_len > 0 && q->query.qname != question)
		memcpy(question, q->query.qname, q->question_len);
	ret->ancount = ret->nscount = ret->arcount = 0;
	ret->rcode = RCODE_NOERROR;
	ret->aa = ret->tc = false;
	ret->pick = PICK_NONE;
	ret->ede = EDE_NONE;
}

/* Room was kept by reply_begin; only the EDE has to look whether it still fits. */
static void opt_put(struct dns_answer *a, const struct question *q, uint16_t rcode, const struct reply_limits *limits)
{
	bool keepalive = keepalive_due(q);
	size_t kept = OPT_LEN + (keepalive ? KEEPALIVE_LEN : 0);
	uint8_t *p = a->w.at;
	bool ede = a->ede != EDE_NONE && a->w.end - p >= EDE_LEN;
	p[0] = 0;
	put16(p + 1, RR_OPT);
	put16(p + 3, limits->udp_size);
	p[5] = (uint8_t)(rcode >> 4);
	p[6] = 0; /* version */
	put16(p + 7, q->edns.dnssec_ok ? EDNS_DO : 0);
	put16(p + 9, (unsigned)(kept - OPT_LEN) + (ede ? EDE_LEN : 0));
	p += OPT_LEN;
	if (keepalive) {
		put16(p, OPTION_KEEPALIVE);
		put16(p + 2, 2);
		put16(p + 4, limits->keepalive_ds);
		p += KEEPALIVE_LEN;
	}
	if (ede) {
		put16(p, OPTION_EDE);
		put16(p + 2, 2);
		put16(p + 4, (unsigned)a->ede);
		p += EDE_LEN;
	}
	a->w.at = p;
}

size_t reply_end(struct dns_answer *a, const struct question *q, uint16_t rcode, const struct reply_limits *limits)
{
	if (q->edns.present)
		opt_put(a, q, rcode, limits);
	uint8_t *h = a->w.start;
	unsigned flags = HEADER_QR | (q->flags & (HEADER_OPCODE | HEADER_RD)) | (rcode & 0xfu);
	flags |= (a->aa ? HEADER_AA : 0) | (a->tc ? HEADER_TC : 0);
	put16(h, q->id);
	put16(h + 2, flags);
	put16(h + 4, q->question_len > 0);
	put16(h + 6, a->ancount);
	put16(h + 8, a->nscount);
	put16(h + 10, a->arcount + (q->edns.present ? 1u : 0u));
	return writer_len(&a->w);
}

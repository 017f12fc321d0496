/* reply.c - the frame of an answer. */
#include "dnsd/reply.h"

enum {
	OPT_LEN = 11,
	OPTION_HEAD = 4, /* code, length */
	KEEPALIVE_LEN = OPTION_HEAD + 2,
	EXPIRE_LEN = OPTION_HEAD + 4,
	ZONEVERSION_LEN = OPTION_HEAD + 6,
	ZONEVERSION_SERIAL = 0, /* its type: the serial of the SOA */
	COOKIE_ROOM = OPTION_HEAD + COOKIE_LEN,
	EDE_LEN = OPTION_HEAD + 2, /* a code without text */
	SIZE_PLAIN = 512,	   /* without EDNS */
	PADDING_BLOCK = 468,
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

static size_t nsid_room(const struct question *q, const struct identity *id)
{
	return q->edns.nsid && id != NULL && id->nsid_len > 0 ? OPTION_HEAD + (size_t)id->nsid_len : 0;
}

/* What is kept free behind the sections for the OPT. */
static size_t opt_room(const struct question *q, const struct reply_limits *limits)
{
	if (!q->edns.present)
		return 0;
	size_t nsid = q->edns.nsid ? nsid_room(q, identity_read(limits->identity)) : 0;
	size_t version = (q->edns.expire ? EXPIRE_LEN : 0u) + (q->edns.zone_version ? ZONEVERSION_LEN : 0u);
	return OPT_LEN + nsid + version + (q->edns.cookie ? COOKIE_ROOM : 0) + (keepalive_due(q) ? KEEPALIVE_LEN : 0);
}

void reply_begin(struct dns_answer *ret, const struct question *q, uint8_t *to, size_t cap,
		 const struct reply_limits *limits)
{
	size_t limit = size_limit(q, limits);
	if (limit > cap)
		limit = cap;
	size_t opt = opt_room(q, limits);
	ret->w = writer_of(to, limit - opt);
	ret->opt_room = (uint16_t)opt;
	uint8_t *question = to + DNS_HEADER_LEN;
	ret->w.at = question + q->question_len;
	if (q->question_len > 0 && q->query.qname != question)
		memcpy(question, q->query.qname, q->question_len);
	ret->ancount = ret->nscount = ret->arcount = 0;
	ret->rcode = RCODE_NOERROR;
	ret->aa = ret->tc = ret->ra = ret->ad = false;
	ret->pick = PICK_NONE;
	ret->ede = EDE_NONE;
	ret->ede_text = NULL;
	ret->version = NULL;
}

static const char *ede_text(const struct dns_answer *a)
{
	if (a->ede_text != NULL)
		return a->ede_text;
	switch (a->ede) {
	case EDE_STALE:
		return "the last that was known";
	case EDE_NOT_READY:
		return "the registry is being loaded";
	case EDE_PROHIBITED:
		return "not allowed by the settings";
	case EDE_NOT_AUTHORITATIVE:
		return "no zone of this server";
	case EDE_NOT_SUPPORTED:
		return "only class IN is served";
	case EDE_NO_REACHABLE_AUTHORITY:
		return "no instance of the service is healthy";
	case EDE_INVALID_QUERY_TYPE:
		return "no type that can be asked for";
	default:
		return "";
	}
}

/* One option at @p if it fits before @end; @prefix >= 0 stands first, as two octets. */
static uint8_t *option_put(uint8_t *p, const uint8_t *end, unsigned code, int prefix, const void *from, size_t len)
{
	size_t head = OPTION_HEAD + (prefix >= 0 ? 2u : 0u);
	if (head + len > (size_t)(end - p))
		return p;
	put16(p, code);
	put16(p + 2, (unsigned)(head - OPTION_HEAD + len));
	if (prefix >= 0)
		put16(p + 4, (unsigned)prefix);
	memcpy(p + head, from, len);
	return p + head + len;
}

/* With a sentence if there is room for it, else the code alone, else nothing. */
static uint8_t *ede_put(uint8_t *p, const uint8_t *end, const struct dns_answer *a)
{
	const char *text = ede_text(a);
	size_t len = strlen(text); /* a sentence of ours */
	if (EDE_LEN + len > (size_t)(end - p))
		len = 0;
	return option_put(p, end, OPTION_EDE, a->ede, text, len);
}

static inline void put32(uint8_t *to, uint32_t v)
{
	put16(to, v >> 16);
	put16(to + 2, v & 0xffff);
}

/* How long a secondary may keep the zone (RFC 7314), if its SOA is the answer; and which version it is (RFC 9660). */
static uint8_t *version_put(uint8_t *p, const uint8_t *end, const struct question *q, const struct dns_answer *a)
{
	uint8_t value[6];
	if (q->edns.expire && q->query.qtype == RR_SOA && a->ancount > 0) {
		put32(value, a->version->expire_sec);
		p = option_put(p, end, OPTION_EXPIRE, -1, value, 4);
	}
	if (q->edns.zone_version) {
		value[0] = a->version->labels;
		value[1] = ZONEVERSION_SERIAL;
		put32(value + 2, a->version->serial);
		p = option_put(p, end, OPTION_ZONEVERSION, -1, value, 6);
	}
	return p;
}

/* The last option: fills the message up to a multiple of PADDING_BLOCK (RFC 8467, 4.1; dns.md B.9). */
static uint8_t *padding_put(const struct dns_answer *a, uint8_t *p, const uint8_t *end)
{
	size_t len = (size_t)(p - a->w.start) + OPTION_HEAD;
	size_t pad = (PADDING_BLOCK - len % PADDING_BLOCK) % PADDING_BLOCK;
	if (OPTION_HEAD + pad > (size_t)(end - p))
		return p;
	put16(p, OPTION_PADDING);
	put16(p + 2, (unsigned)pad);
	memset(p + OPTION_HEAD, 0, pad);
	return p + OPTION_HEAD + pad;
}

/* Room for the answers to what was asked for was kept by reply_begin; the EDE has to look whether it still fits. */
static void opt_put(struct dns_answer *a, const struct question *q, uint16_t rcode, const struct reply_limits *limits)
{
	uint8_t *opt = a->w.at, *p = opt + OPT_LEN;
	const uint8_t *end = a->w.end + a->opt_room;
	opt[0] = 0;
	put16(opt + 1, RR_OPT);
	put16(opt + 3, limits->udp_size);
	opt[5] = (uint8_t)(rcode >> 4);
	opt[6] = 0; /* version */
	put16(opt + 7, q->edns.dnssec_ok ? EDNS_DO : 0);
	if (q->edns.cookie)
		p = option_put(p, end, OPTION_COOKIE, -1, q->cookie, COOKIE_LEN);
	if (keepalive_due(q))
		p = option_put(p, end, OPTION_KEEPALIVE, limits->keepalive_ds, "", 0);
	if (q->edns.nsid) {
		const struct identity *id = identity_read(limits->identity);
		if (nsid_room(q, id) > 0)
			p = option_put(p, end, OPTION_NSID, -1, id->nsid, id->nsid_len);
	}
	if (a->version != NULL)
		p = version_put(p, end, q, a);
	if (a->ede != EDE_NONE)
		p = ede_put(p, end, a);
	if (q->edns.padding)
		p = padding_put(a, p, end);
	put16(opt + 9, (unsigned)(p - opt - OPT_LEN));
	a->w.at = p;
}

size_t reply_end(struct dns_answer *a, const struct question *q, uint16_t rcode, const struct reply_limits *limits)
{
	if (q->edns.present)
		opt_put(a, q, rcode, limits);
	uint8_t *h = a->w.start;
	unsigned flags = HEADER_QR | (q->flags & (HEADER_OPCODE | HEADER_RD)) | (rcode & 0xfu);
	flags |= (a->aa ? HEADER_AA : 0) | (a->tc ? HEADER_TC : 0) | (a->ra ? HEADER_RA : 0) | (a->ad ? HEADER_AD : 0);
	put16(h, q->id);
	put16(h + 2, flags);
	put16(h + 4, q->question_len > 0);
	put16(h + 6, a->ancount);
	put16(h + 8, a->nscount);
	put16(h + 10, a->arcount + (q->edns.present ? 1u : 0u));
	return writer_len(&a->w);
}

/* question.c - the message reader. One pass: header, question, then every record behind it, each length checked
 * against the end before it is used. What is wrong is remembered, and judged in the order of dns.md 2.5 at the
 * end, so that an error answer still echoes the question and carries an OPT when the query had one. */
#include "dnsd/question.h"
#include "base/cursor.h"
#include <endian.h>

enum { RR_FIXED = 10 /* type, class, TTL, rdlength */, SOA_NUMBERS = 20 };

/* What the records behind the question said. */
struct extras {
	bool malformed;	    /* FORMERR by row 4 */
	bool tsig;
	bool option_bad;    /* FORMERR by row 6, or an option list that does not add up */
	uint8_t version;    /* of EDNS */
	uint8_t cookies;    /* options of that code */
	bool soa_authority; /* an IXFR's own version is there */
	uint32_t soa_serial;
};

/* Eight octets as a number, the first lowest. */
static inline uint64_t word_at(const uint8_t *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof w);
	return le64toh(w);
}

static inline void word_put(uint8_t *p, uint64_t w)
{
	w = htole64(w);
	memcpy(p, &w, sizeof w);
}

/* A-Z to a-z and nothing else (dns.md B.2). Length octets are below 0x40, so a wire name can be folded without
 * looking at its labels. */
static inline uint64_t word_fold(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101u, high = ones << 7;
	uint64_t seven = w & ~high;
	uint64_t from_a = seven + ones * (0x80 - 'A'), past_z = seven + ones * (0x7f - 'Z');
	uint64_t upper = (from_a ^ past_z) & high & ~w;
	return w | upper >> 2; /* 0x80 -> 0x20 */
}

/* The folded copy, with at least eight zeros behind it; reads nothing beyond @len, at least 1. */
static void name_fold(uint8_t *to, const uint8_t *name, size_t len)
{
	size_t i = 0;
	uint64_t tail = 0;
	for (; i + 8 <= len; i += 8)
		word_put(to + i, word_fold(word_at(name + i)));
	if (i > 0 && i < len) /* the last word overlaps what is done */
		tail = word_at(name + len - 8) >> 8 * (8 - (len - i));
	for (size_t j = 0; i == 0 && j < len; j++)
		tail |= (uint64_t)name[j] << 8 * j;
	word_put(to + i, word_fold(tail));
	word_put(to + i + 8, 0);
}

/* The question's name: labels only, no pointers, at most 255 octets. Returns its wire length; 0: bad. */
static size_t qname_walk(struct dns_query *q, const uint8_t *name, size_t left)
{
	size_t at = 0, max = left < DNS_NAME_MAX ? left : DNS_NAME_MAX;
	unsigned labels = 0;
	for (;;) {
		if (at >= max)
			return 0;
		uint8_t len = name[at];
		if (len == 0)
			break;
		if (len > 63)
			return 0;
		q->label_at[labels++] = (uint8_t)at; /* at <= 254, two octets a label: below DNS_LABELS_MAX */
		at += 1u + len;
	}
	q->labels = (uint8_t)labels;
	q->label_at[labels] = (uint8_t)at; /* the root */
	return at + 1;
}

/* One question at @c into @q. false: cannot be read. */
static bool question_read(struct dns_query *q, struct cursor *c)
{
	size_t len = qname_walk(q, c->at, cursor_left(c));
	if (len == 0)
		return false;
	const uint8_t *name = cursor_take(c, len);
	uint16_t qtype = cursor_u16(c), qclass = cursor_u16(c);
	if (c->failed)
		return false;
	q->qname = name;
	q->qname_len = (uint16_t)len;
	q->qtype = qtype;
	q->qclass = qclass;
	name_fold(q->name, name, len);
	return true;
}

/* Skips the owner of a record; a pointer ends it and is not followed. */
static bool owner_skip(struct cursor *c)
{
	for (unsigned len = 0; len < DNS_NAME_MAX;) {
		uint8_t n = cursor_u8(c);
		if (c->failed)
			return false;
		if (n == 0)
			return true;
		if (n >= 0xc0) {
			cursor_u8(c);
			return !c->failed;
		}
		if (n > 63 || cursor_take(c, n) == NULL)
			return false;
		len += 1u + n;
	}
	return false;
}

/* RFC 7871, 6: the address has just the octets of the prefix, its unused bits are zero, the scope is zero. */
static bool ecs_valid(struct cursor o)
{
	uint16_t family = cursor_u16(&o);
	uint8_t source = cursor_u8(&o), scope = cursor_u8(&o);
	if (o.failed || scope != 0)
		return false;
	unsigned max = family == 1 ? 32 : family == 2 ? 128 : 0; /* family 0: only with an empty prefix */
	if (family > 2 || source > max || cursor_left(&o) != (source + 7u) / 8)
		return false;
	return source % 8 == 0 || (o.end[-1] & (0xff >> source % 8)) == 0;
}

/* Only the first one counts (RFC 7873, 5.2). */
static void cookie_read(struct question *q, struct extras *x, struct cursor o)
{
	size_t len = cursor_left(&o);
	x->cookies++;
	if (x->cookies > 1)
		return;
	if (len != COOKIE_CLIENT_LEN && (len < 16 || len > COOKIE_MAX)) {
		x->option_bad = true;
		return;
	}
	memcpy(q->cookie, o.at, len);
	q->edns.cookie_len = (uint8_t)len;
}

static void options_read(struct question *q, struct extras *x, struct cursor o)
{
	struct edns *e = &q->edns;
	while (cursor_left(&o) > 0) {
		uint16_t code = cursor_u16(&o), len = cursor_u16(&o);
		struct cursor value = cursor_sub(&o, len);
		if (o.failed) {
			x->option_bad = true;
			return;
		}
		if (code == OPTION_COOKIE) {
			cookie_read(q, x, value);
		} else if (code == OPTION_ECS) {
			x->option_bad |= !ecs_valid(value);
		} else if (code == OPTION_PADDING) {
			e->padding = true;
		} else if (code == OPTION_KEEPALIVE) {
			e->keepalive = true;
		} else if (code == OPTION_NSID) {
			e->nsid = true;
		} else if (code == OPTION_EXPIRE) {
			e->expire = true;
		} else if (code == OPTION_ZONEVERSION) {
			e->zone_version = true;
			x->option_bad |= len != 0; /* RFC 9660, 3.1 */
		}
	}
}

static void opt_read(struct question *q, struct extras *x, uint16_t size, uint32_t ttl, struct cursor rdata)
{
	q->edns.present = true;
	q->edns.udp_size = size;
	q->edns.dnssec_ok = (ttl & EDNS_DO) != 0;
	x->version = (uint8_t)(ttl >> 16);
	if (x->version == 0 && cursor_left(&rdata) > 0) /* options of another version may be laid out otherwise */
		options_read(q, x, rdata);
}

/* One record. @additional: an OPT or a TSIG may stand here; a TSIG only as the @last. */
static bool record_read(struct question *q, struct extras *x, struct cursor *c, bool additional, bool last)
{
	bool root = cursor_left(c) > 0 && c->at[0] == 0;
	if (!owner_skip(c) || cursor_left(c) < RR_FIXED)
		return false;
	uint16_t type = cursor_u16(c), rr_class = cursor_u16(c);
	uint32_t ttl = cursor_u32(c);
	struct cursor rdata = cursor_sub(c, cursor_u16(c));
	if (c->failed)
		return false;
	if (type == RR_OPT) {
		if (!additional || !root || q->edns.present)
			return false;
		opt_read(q, x, rr_class, ttl, rdata);
	} else if (type == RR_TSIG) {
		if (!additional || !last)
			return false;
		x->tsig = true;
	} else if (type == RR_SOA && !additional && cursor_left(&rdata) >= SOA_NUMBERS + 2) {
		cursor_take(&rdata, cursor_left(&rdata) - SOA_NUMBERS); /* two names */
		x->soa_serial = cursor_u32(&rdata);
		x->soa_authority = true;
	}
	return true;
}

/* Everything behind the question. An error does not undo what was read before it. */
static void records_read(struct question *q, struct extras *x, struct cursor *c, unsigned before, unsigned additional)
{
	for (unsigned i = 0; i < before + additional; i++) {
		if (!record_read(q, x, c, i >= before, i + 1 == before + additional)) {
			x->malformed = true;
			return;
		}
	}
	if (cursor_left(c) > 0)
		x->malformed = true; /* octets left over */
}

static enum question_fate reply_with(struct question *q, uint16_t rcode, int ede, enum question_fault fault)
{
	q->fault = (uint8_t)fault;
	q->rcode = rcode;
	q->ede = ede;
	return QUESTION_REPLY;
}

/* Rows 7 to 10: a well-formed QUERY with one question. */
static enum question_fate query_judge(struct question *q, const struct extras *x)
{
	const struct dns_query *d = &q->query;
	if (d->qclass == QCLASS_CH)
		return QUESTION_CHAOS;
	if (d->qclass != QCLASS_IN && d->qclass != QCLASS_ANY)
		return reply_with(q, RCODE_REFUSED, EDE_NOT_SUPPORTED, FAULT_CLASS);
	switch (d->qtype) {
	case RR_NXNAME:
		return reply_with(q, RCODE_FORMERR, EDE_INVALID_QUERY_TYPE, FAULT_TYPE);
	case 0:
	case RR_OPT:
	case RR_TKEY:
	case RR_TSIG:
	case RR_MAILB:
	case RR_MAILA:
		return reply_with(q, RCODE_FORMERR, EDE_OTHER, FAULT_TYPE);
	case RR_AXFR:
		return d->stream ? QUESTION_TRANSFER : reply_with(q, RCODE_FORMERR, EDE_OTHER, FAULT_TRANSFER);
	case RR_IXFR:
		if (!x->soa_authority)
			return reply_with(q, RCODE_FORMERR, EDE_OTHER, FAULT_TRANSFER);
		q->soa_serial = x->soa_serial;
		if (d->stream)
			return QUESTION_TRANSFER;
		q->query.qtype = RR_SOA; /* our version alone: the client comes back by TCP (RFC 1995, 2) */
		return QUESTION_ASK;
	default:
		return QUESTION_ASK;
	}
}

/* Rows 2 to 10, in their order, for a message that was read as far as it could be. */
static enum question_fate message_judge(struct question *q, const struct extras *x, unsigned opcode,
					const uint16_t count[4])
{
	if (opcode != OPCODE_QUERY && opcode != OPCODE_NOTIFY && opcode != OPCODE_UPDATE) {
		if (x->malformed) /* an unknown opcode may have another layout: echo nothing of it */
			q->question_len = 0;
		return reply_with(q, RCODE_NOTIMP, EDE_NONE, FAULT_OPCODE); /* DSO too: it is not built */
	}
	bool ixfr = q->question_len > 0 && q->query.qtype == RR_IXFR;
	bool sections = opcode == OPCODE_QUERY && (count[1] != 0 || count[2] > (ixfr ? 1 : 0));
	bool cookie_only = opcode == OPCODE_QUERY && count[0] == 0 && q->edns.cookie_len > 0;
	if (x->malformed || sections || (count[0] != 1 && !cookie_only))
		return reply_with(q, RCODE_FORMERR, EDE_OTHER, FAULT_MALFORMED);
	if (q->edns.present && x->version > 0)
		return reply_with(q, RCODE_BADVERS, EDE_NONE, FAULT_VERSION);
	if (x->option_bad)
		return reply_with(q, RCODE_FORMERR, EDE_OTHER, FAULT_OPTION);
	if (cookie_only)
		return reply_with(q, RCODE_NOERROR, EDE_NONE, FAULT_NONE);
	if (x->tsig) /* no key is known (RFC 8945, 5.2.1) */
		return reply_with(q, RCODE_NOTAUTH, EDE_NONE, FAULT_TSIG);
	if (opcode == OPCODE_UPDATE)
		return reply_with(q, RCODE_REFUSED, EDE_PROHIBITED, FAULT_UPDATE);
	if (opcode == OPCODE_NOTIFY)
		return reply_with(q, RCODE_NOTAUTH, EDE_NONE, FAULT_NOTIFY);
	return query_judge(q, x);
}

enum question_fate question_decode(struct question *ret, const uint8_t *msg, size_t len, bool stream)
{
	struct cursor c = cursor_of(msg, len);
	ret->query.stream = stream;
	ret->query.qtype = 0; /* there may be no question */
	ret->id = cursor_u16(&c);
	ret->flags = cursor_u16(&c);
	uint16_t count[4];
	for (int i = 0; i < 4; i++)
		count[i] = cursor_u16(&c);
	if (c.failed || (ret->flags & HEADER_QR) != 0)
		return QUESTION_DROP;
	unsigned opcode = (ret->flags & HEADER_OPCODE) >> 11;
	struct extras x = { 0 };
	ret->edns = (struct edns){ 0 };
	ret->question_len = 0;
	if (count[0] > 1) {
		x.malformed = true;
	} else if (count[0] == 1 && !question_read(&ret->query, &c)) {
		x.malformed = true;
	} else {
		ret->question_len = (uint16_t)(c.at - msg - DNS_HEADER_LEN);
		records_read(ret, &x, &c, (unsigned)count[1] + count[2], count[3]);
	}
	return message_judge(ret, &x, opcode, count);
}

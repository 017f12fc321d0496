/* zone_query.c - see zone_query.h. */
#include "tests/support/zone_query.h"
#include "tests/support/dns_wire.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static size_t name_to_wire(uint8_t *to, const char *name)
{
	size_t at = 0, label = at++;
	for (; *name != '\0'; name++) {
		if (*name == '.') {
			to[label] = (uint8_t)(at - label - 1);
			label = at++;
			continue;
		}
		if (*name == '\\')
			name++;
		to[at++] = (uint8_t)*name;
	}
	to[label] = (uint8_t)(at - label - 1);
	if (to[label] != 0)
		to[at++] = 0;
	return at;
}

bool query_make(struct dns_query *q, uint8_t *message, size_t *len, const char *name, unsigned type, unsigned qclass)
{
	memset(q, 0, sizeof(*q));
	memset(message, 0, DNS_HEADER_LEN);
	message[5] = 1;
	uint8_t wire[1200];
	size_t n = name_to_wire(wire, name);
	if (n > DNS_NAME_MAX)
		return false;
	memcpy(message + DNS_HEADER_LEN, wire, n);
	q->qname = message + DNS_HEADER_LEN;
	q->qname_len = (uint16_t)n;
	q->qtype = (uint16_t)type;
	q->qclass = (uint16_t)qclass;
	for (size_t at = 0; at < n; at++)
		q->name[at] = wire[at] >= 'A' && wire[at] <= 'Z' ? (uint8_t)(wire[at] + 32) : wire[at];
	size_t at = 0;
	for (; wire[at] != 0; at += 1u + wire[at])
		q->label_at[q->labels++] = (uint8_t)at;
	q->label_at[q->labels] = (uint8_t)at;
	uint8_t *to = message + DNS_HEADER_LEN + n;
	to[0] = (uint8_t)(type >> 8);
	to[1] = (uint8_t)type;
	to[2] = (uint8_t)(qclass >> 8);
	to[3] = (uint8_t)qclass;
	*len = DNS_HEADER_LEN + n + 4;
	return true;
}

void asker_init(struct asker *a, const struct zone_set *zones)
{
	memset(a, 0, sizeof(*a));
	a->zones = zones;
	a->limit = 1221;
	a->qclass = 1;
	rng_seed(&a->rng, 1);
}

/* A name at *@at, pointers followed; *@at moves behind it. false: not readable. */
static bool name_read(const uint8_t *m, size_t len, size_t *at, char *to)
{
	size_t p = *at, out = 0, limit = p;
	bool jumped = false;
	for (;;) {
		if (p >= len)
			return false;
		unsigned n = m[p];
		if (n >= 0xc0) {
			if (p + 2 > len)
				return false;
			size_t target = (n & 0x3fu) << 8 | m[p + 1];
			if (!jumped)
				*at = p + 2;
			jumped = true;
			if (target >= limit)
				return false; /* only backwards */
			limit = p = target;
			continue;
		}
		if (n > 63 || p + 1 + n > len || out + n + 2 > 1000)
			return false;
		p++;
		if (n == 0)
			break;
		for (unsigned i = 0; i < n; i++) {
			char c = (char)m[p + i];
			if (c == '.')
				to[out++] = '\\';
			to[out++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
		}
		to[out++] = '.';
		p += n;
	}
	to[out] = '\0';
	if (!jumped)
		*at = p;
	return true;
}

static uint32_t get32(const uint8_t *m)
{
	return wire_get16(m) << 16 | wire_get16(m + 2);
}

static bool rdata_read(const uint8_t *m, size_t len, size_t at, struct asked_record *r)
{
	size_t end = at + r->rdlength, p = at;
	char rname[1100];
	switch (r->type) {
	case RR_A:
		inet_ntop(AF_INET, m + at, r->address, sizeof(r->address));
		return r->rdlength == 4;
	case RR_AAAA:
		inet_ntop(AF_INET6, m + at, r->address, sizeof(r->address));
		return r->rdlength == 16;
	case RR_SRV:
		if (r->rdlength < 8)
			return false;
		r->priority = (uint16_t)wire_get16(m + at);
		r->weight = (uint16_t)wire_get16(m + at + 2);
		r->port = (uint16_t)wire_get16(m + at + 4);
		p += 6;
		for (size_t i = p; i < end && m[i] != 0; i += 1u + m[i])
			if (m[i] >= 0xc0)
				return false; /* RFC 3597: not compressed */
		return name_read(m, len, &p, r->target) && p == end;
	case RR_NS:
	case RR_PTR:
	case RR_CNAME:
		return name_read(m, len, &p, r->target) && p == end;
	case RR_SOA:
		if (!name_read(m, len, &p, r->target) || !name_read(m, len, &p, rname) || p + 20 != end)
			return false;
		r->serial = get32(m + p);
		r->minimum = get32(m + p + 16);
		return true;
	default:
		return true;
	}
}

static bool record_read(const uint8_t *m, size_t len, size_t *at, struct asked_record *r)
{
	if (!name_read(m, len, at, r->owner) || *at + 10 > len)
		return false;
	r->type = (uint16_t)wire_get16(m + *at);
	r->rr_class = (uint16_t)wire_get16(m + *at + 2);
	r->ttl = get32(m + *at + 4);
	r->rdlength = (uint16_t)wire_get16(m + *at + 8);
	*at += 10;
	if (*at + r->rdlength > len)
		return false;
	memcpy(r->rdata, m + *at, r->rdlength < sizeof(r->rdata) ? r->rdlength : sizeof(r->rdata));
	bool ok = rdata_read(m, len, *at, r);
	*at += r->rdlength;
	return ok;
}

static bool message_read(struct asker *a)
{
	struct asked *x = &a->asked;
	const unsigned counts[] = { x->answer.ancount, x->answer.nscount, x->answer.arcount };
	size_t at = DNS_HEADER_LEN + x->query.qname_len + 4u;
	x->count = 0;
	for (int section = 1; section <= 3; section++)
		for (unsigned i = 0; i < counts[section - 1]; i++) {
			struct asked_record *r = &a->records[x->count];
			if (x->count == ASK_RECORDS_MAX)
				return false;
			memset(r, 0, sizeof(*r));
			r->section = section;
			if (!record_read(x->message, x->len, &at, r))
				return false;
			x->count++;
		}
	return at == x->len;
}

static void header_write(uint8_t *m, const struct dns_answer *a)
{
	m[2] = (uint8_t)(0x80 | (a->aa ? 4 : 0) | (a->tc ? 2 : 0));
	m[3] = a->rcode;
	m[6] = (uint8_t)(a->ancount >> 8);
	m[7] = (uint8_t)a->ancount;
	m[8] = (uint8_t)(a->nscount >> 8);
	m[9] = (uint8_t)a->nscount;
	m[10] = (uint8_t)(a->arcount >> 8);
	m[11] = (uint8_t)a->arcount;
}

struct asked *ask(struct asker *a, const char *name, unsigned type)
{
	struct asked *x = &a->asked;
	size_t len;
	x->records = a->records;
	x->readable = false;
	x->zone = -2;
	if (!query_make(&x->query, x->message, &len, name, type, a->qclass))
		return x;
	x->query.client = a->client;
	x->query.now_ms = a->now_ms;
	x->query.stream = a->stream;
	memset(&x->answer, 0xaa, sizeof(x->answer));
	x->answer.w = writer_of(x->message, a->limit);
	x->answer.w.at += len;
	zone_set_prefetch(a->zones, &x->query);
	zone_set_prepare(a->zones, &x->query);
	x->zone = zone_set_answer(a->zones, &x->query, &x->answer, &a->rng);
	x->len = writer_len(&x->answer.w);
	header_write(x->message, &x->answer);
	x->readable = x->len <= a->limit && message_read(a) &&
		      (a->skip_ldns || wire_ldns_reads(x->message, x->len));
	return x;
}

bool asked_has(const struct asked *a, int section, unsigned type, const char *address)
{
	for (unsigned i = 0; i < a->count; i++) {
		const struct asked_record *r = &a->records[i];
		if (r->section == section && r->type == type &&
		    (strcmp(r->address, address) == 0 || strcmp(r->target, address) == 0))
			return true;
	}
	return false;
}

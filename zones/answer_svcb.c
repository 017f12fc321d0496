/* answer_svcb.c - HTTPS and SVCB of services that ask for it by metadata (RFC 9460; dns.md 2.3): dns.https, dns.svcb,
 * dns.alpn. All instances on one port are one record with the addresses as hints; otherwise each instance has one that
 * points at its own name. Names in it are never compressed. DNS workers. */
#include "zones/address.h"
#include "zones/answer.h"

enum {
	KEY_ALPN = 1, KEY_PORT = 3, KEY_IPV4HINT = 4, KEY_IPV6HINT = 6,
	HTTPS_PORT = 443,
	HINTS_MAX = 16, /* of one family */
	RECORDS_MAX = 64,
	RDATA_MAX = 2 + DNS_NAME_MAX + 4 + ALPN_MAX + 4 + 2 + 4 + 4 * HINTS_MAX + 4 + 16 * HINTS_MAX,
};

struct svcb {
	struct reply *r;
	struct blob *blob;
	const struct blob_group *group;
	uint8_t rdata[RDATA_MAX];
	size_t len;
};

static const struct blob_srv *entry_of(const struct svcb *s, uint32_t i)
{
	const uint32_t *members = blob_at(s->blob, blob_cold(s->blob)->at_members);
	return &blob_srv(s->blob)[s->group->whole ? i : members[s->group->first + i]];
}

static void put_begin(struct svcb *s, const void *target, size_t len)
{
	put16(s->rdata, 1); /* priority */
	memcpy(s->rdata + 2, target, len);
	s->len = 2 + len;
}

static void put_param(struct svcb *s, unsigned key, const void *value, size_t len)
{
	uint8_t *to = put16(put16(s->rdata + s->len, key), (unsigned)len);
	memcpy(to, value, len);
	s->len += 4 + len;
}

static void put_alpn_and_port(struct svcb *s, uint16_t port)
{
	const struct blob_extra *extra = blob_extra(s->blob);
	uint8_t wire[2];
	put16(wire, port);
	if (extra->alpn_len > 0)
		put_param(s, KEY_ALPN, extra->alpn, extra->alpn_len);
	if (s->r->q->qtype != RR_HTTPS || port != HTTPS_PORT)
		put_param(s, KEY_PORT, wire, 2);
}

/* The owner itself, or from a port's name the set behind it. */
static void put_own_target(struct svcb *s, bool at_port)
{
	const struct dns_query *q = s->r->q;
	if (at_port)
		put_begin(s, q->name + q->label_at[2], q->qname_len - q->label_at[2]);
	else
		put_begin(s, "", 1);
}

/* The addresses again, as records of the owner, as far as they fit. */
static void put_addresses(struct svcb *s, const uint8_t *addresses, uint32_t n, unsigned type, unsigned len)
{
	if (n * (size_t)(RR_FIXED + len) > reply_room(s->r) || s->r->zs->conf.minimal_responses)
		return;
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *to = writer_claim(&s->r->a->w, RR_FIXED + len);
		memcpy(put_rr(to, reply_owner(s->r), type, reply_ttl(s->r, s->blob), len), addresses + i * len, len);
	}
	s->r->a->arcount = (uint16_t)(s->r->a->arcount + n);
}

static void reply_one(struct svcb *s, uint16_t port, bool at_port)
{
	uint8_t v4[4 * HINTS_MAX], v6[16 * HINTS_MAX];
	uint32_t n4 = reply_choose(s->r, s->blob, 4, HINTS_MAX, v4), n6 = reply_choose(s->r, s->blob, 6, HINTS_MAX, v6);
	put_own_target(s, at_port);
	put_alpn_and_port(s, port);
	if (n4 > 0)
		put_param(s, KEY_IPV4HINT, v4, 4 * n4);
	if (n6 > 0)
		put_param(s, KEY_IPV6HINT, v6, 16 * n6);
	if (!reply_record(s->r, s->r->q->qtype, reply_ttl(s->r, s->blob), s->rdata, s->len) || at_port)
		return;
	put_addresses(s, v4, n4, RR_A, 4);
	put_addresses(s, v6, n6, RR_AAAA, 16);
}

static void put_host(struct svcb *s, const struct blob_srv *e)
{
	const struct blob *b = s->blob;
	const struct zone *z = s->r->zone;
	uint8_t target[1 + ADDRESS_LABEL_MAX + 2 + DNS_NAME_MAX];
	if (e->host >= b->n4 + b->n6) {
		size_t len;
		const uint8_t *name = blob_target(b, e->host, &len);
		put_begin(s, name, len);
		put_alpn_and_port(s, e->port);
		return;
	}
	bool four = e->host < b->n4;
	const uint8_t *addr = four ? b->v4[e->host].addr : blob_v6(b)[e->host - b->n4].addr;
	size_t len = four ? address_format4(target + 1, addr) : address_format6(target + 1, addr);
	target[0] = (uint8_t)len;
	memcpy(target + 1 + len, "\001i", 2);
	memcpy(target + 3 + len, z->name, z->len);
	put_begin(s, target, 3 + len + z->len);
	put_alpn_and_port(s, e->port);
	put_param(s, four ? KEY_IPV4HINT : KEY_IPV6HINT, addr, four ? 4 : 16);
}

/* Several ports: one record for each instance, at most RECORDS_MAX of them. */
static void reply_each(struct svcb *s)
{
	uint32_t all = s->group->count, n = all < RECORDS_MAX ? all : RECORDS_MAX, at = rng_below(s->r->rng, all);
	uint8_t *start = s->r->a->w.at;
	for (uint32_t i = 0; i < n; i++, at = at + 1 < all ? at + 1 : 0) {
		put_host(s, entry_of(s, at));
		if (reply_record(s->r, s->r->q->qtype, reply_ttl(s->r, s->blob), s->rdata, s->len))
			continue;
		s->r->a->w.at = start; /* never a part of it */
		return;
	}
}

void reply_svcb(struct reply *r, struct blob *b, const struct blob_group *g)
{
	struct svcb s = { .r = r, .blob = b, .group = g != NULL ? g : &blob_groups(b)[GROUP_DEFAULT_TCP] };
	if (s.group->count == 0) {
		reply_nodata(r);
		return;
	}
	uint16_t port = entry_of(&s, 0)->port;
	for (uint32_t i = 1; i < s.group->count && port != 0; i++)
		if (entry_of(&s, i)->port != port)
			port = 0;
	if (port != 0)
		reply_one(&s, port, g != NULL);
	else
		reply_each(&s);
}

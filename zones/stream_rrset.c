/* stream_rrset.c - one RRset of a stream: its owner, what it is made of, and its records one by one. */
#include "zones/address.h"
#include "zones/static_zone.h"
#include "zones/svcb.h"
#include "zones/zone_stream_in.h"

enum { ADDRESSES_MAX = 2048, RRSET_OCTETS = 64000, RR_WIRE = 12 };

/* ---- owners */

bool owner_set(struct zone_stream *s, const uint8_t *const *labels, unsigned n, const uint8_t *base, size_t len)
{
	struct rrset *rs = &s->rrset;
	size_t at = 0;
	for (unsigned i = 0; i < n; i++) {
		if (at + labels[i][0] + 1u + len > sizeof(rs->owner))
			return false;
		memcpy(rs->owner + at, labels[i], labels[i][0] + 1u);
		at += labels[i][0] + 1u;
	}
	memcpy(rs->owner + at, base, len);
	rs->owner_len = (uint16_t)(at + len);
	return true;
}

/* Types that the registry answers itself where it has the name (dns.md 1.8). */
static bool is_dynamic(unsigned type)
{
	return type == RR_A || type == RR_AAAA || type == RR_SRV || type == RR_SVCB || type == RR_HTTPS || type == RR_CNAME;
}

/* Does another zone of ours, served wherever this one is, lie at or above the owner? It has the name. */
static bool in_lower_zone(const struct zone_stream *s)
{
	const struct zone_set *zs = s->zone->set;
	const struct rrset *rs = &s->rrset;
	for (size_t i = 0; i < zs->zone_count; i++) {
		const struct zone *z = &zs->zones[i];
		if (z->len > s->zone->len && z->len <= rs->owner_len &&
		    memcmp(z->name, rs->owner + rs->owner_len - z->len, z->len) == 0 && zone_is_wherever(z, s->zone))
			return true;
	}
	return false;
}

static bool taken_by_vanity(const struct zone_stream *s)
{
	struct dns_query q;
	query_of_name(&q, s->zone, s->rrset.owner, s->rrset.owner_len);
	const struct vanity *nearest = vanity_above(&q);
	if (s->vanity != NULL)
		return nearest != s->vanity;
	return nearest != NULL && vanity_holds(&q, s->part->vanities);
}

bool owner_answers(struct zone_stream *s)
{
	const struct rrset *rs = &s->rrset;
	if (s->zone->below && in_lower_zone(s))
		return false;
	if (s->zone->vanities.count > 0 && taken_by_vanity(s))
		return false;
	if (s->file == NULL)
		return true;
	if (file_covers(s, rs->owner, rs->owner_len))
		return false;
	const struct static_node *n = file_node(s, rs->owner, rs->owner_len);
	if (n == NULL)
		return true;
	size_t nth = (size_t)(n - s->file->nodes);
	if (rs->owner_len == s->zone->len) /* the file's records stand first at the apex */
		return static_set_find(s->file, n, rs->type) == NULL;
	s->node_taken[nth / 8] = (uint8_t)(s->node_taken[nth / 8] | 1 << nth % 8);
	return is_dynamic(rs->type) || static_set_find(s->file, n, rs->type) == NULL;
}

/* ---- what it is made of */

bool rrset_open(struct zone_stream *s, int source, unsigned type, uint32_t ttl, uint32_t count)
{
	struct rrset *rs = &s->rrset;
	rs->source = source;
	rs->type = (uint16_t)type;
	rs->ttl = ttl;
	rs->count = count;
	rs->at = 0;
	return count > 0;
}

bool rrset_open_bytes(struct zone_stream *s, unsigned type, uint32_t ttl, const void *rdata, size_t len)
{
	memcpy(s->rdata, rdata, len);
	s->record.rdlength = (uint16_t)len;
	return rrset_open(s, FROM_BYTES, type, ttl, 1);
}

uint32_t rrset_ttl(const struct zone_stream *s, const struct blob *b)
{
	return b->ttl == TTL_OF_SETTINGS ? s->image->ttl : b->ttl;
}

/* What of @n entries with @octets of rdata each may stand in one RRset. */
static uint32_t fitting(struct zone_stream *s, uint32_t n, size_t octets)
{
	size_t most = RRSET_OCTETS / (RR_WIRE + octets);
	if (n > ADDRESSES_MAX || n > most) {
		s->cut++;
		n = most < ADDRESSES_MAX ? (uint32_t)most : ADDRESSES_MAX;
	}
	return n;
}

bool rrset_open_addresses(struct zone_stream *s, const struct blob *b, unsigned type)
{
	bool four = type == RR_A;
	s->rrset.blob = b;
	return rrset_open(s, four ? FROM_V4 : FROM_V6, type, rrset_ttl(s, b),
			  fitting(s, four ? b->n4 : b->n6, four ? 4 : 16));
}

bool rrset_open_srv(struct zone_stream *s, const struct blob *b, const uint32_t *members, uint32_t base, uint32_t n)
{
	s->rrset.blob = b;
	s->rrset.members = members;
	s->rrset.base = base;
	return rrset_open(s, FROM_SRV, RR_SRV, rrset_ttl(s, b),
			  fitting(s, n, 6u + (b->at_extra != 0 ? DNS_NAME_MAX : 1u + ADDRESS_LABEL_MAX + 2u + s->zone->len)));
}

bool rrset_open_group(struct zone_stream *s, const struct blob *b, const struct blob_group *g)
{
	const uint32_t *members = g->whole ? NULL : (const uint32_t *)blob_at(b, blob_cold(b)->at_members) + g->first;
	return rrset_open_srv(s, b, members, 0, g->whole ? b->nsrv : g->count);
}

bool rrset_open_svcb(struct zone_stream *s, const struct blob *b, const struct blob_group *g, unsigned type)
{
	struct svcb_set *set = &s->rrset.svcb;
	*set = svcb_set_of(b, g, s->zone, type);
	uint32_t n = set->entries > 0 && set->one ? 1 : set->entries;
	s->rrset.blob = b;
	return rrset_open(s, FROM_SVCB, type, rrset_ttl(s, b), fitting(s, n, n == 1 ? 0 : SVCB_EACH_MAX));
}

/* ---- records */

size_t address_label(uint8_t ret[64], int family, const uint8_t *addr)
{
	size_t len = family == 4 ? address_format4(ret + 1, addr) : address_format6(ret + 1, addr);
	ret[0] = (uint8_t)len;
	return len + 1;
}

static void srv_rdata(struct zone_stream *s)
{
	const struct rrset *rs = &s->rrset;
	const struct blob *b = rs->blob;
	const struct blob_srv *e = &blob_srv(b)[rs->members != NULL ? rs->members[rs->at] : rs->base + rs->at];
	uint16_t numbers[3] = { e->priority, e->weight, e->port };
	for (int i = 0; i < 3; i++) {
		s->rdata[2 * i] = (uint8_t)(numbers[i] >> 8);
		s->rdata[2 * i + 1] = (uint8_t)numbers[i];
	}
	s->record.rdlength = (uint16_t)(6 + blob_host_name(s->rdata + 6, b, e->host, s->zone->name, s->zone->len));
}

static void svcb_rdata(struct zone_stream *s)
{
	const struct rrset *rs = &s->rrset;
	uint8_t v4[4 * SVCB_HINTS_MAX], v6[16 * SVCB_HINTS_MAX];
	const struct blob *b = rs->blob;
	struct svcb_hints hints = { v4, v6, b->n4 < SVCB_HINTS_MAX ? b->n4 : SVCB_HINTS_MAX,
				    b->n6 < SVCB_HINTS_MAX ? b->n6 : SVCB_HINTS_MAX };
	if (!rs->svcb.one) {
		s->record.rdlength = (uint16_t)svcb_put_entry(s->rdata, &rs->svcb, rs->at);
		return;
	}
	for (uint32_t i = 0; i < hints.n4; i++)
		memcpy(v4 + 4 * i, b->v4[i].addr, 4);
	for (uint32_t i = 0; i < hints.n6; i++)
		memcpy(v6 + 16 * i, blob_v6(b)[i].addr, 16);
	const uint8_t *target = NULL; /* of a port's name: the set behind it */
	if (rs->owner[1] == '_') {
		target = rs->owner + 1 + rs->owner[0];
		target += 1 + target[0];
	}
	size_t len = target == NULL ? 0 : rs->owner_len - (size_t)(target - rs->owner);
	s->record.rdlength = (uint16_t)svcb_put_one(s->rdata, &rs->svcb, target, len, &hints);
}

void rrset_record(struct zone_stream *s)
{
	struct rrset *rs = &s->rrset;
	struct zone_record *r = &s->record;
	r->owner = rs->owner;
	r->owner_len = rs->owner_len;
	r->type = rs->type;
	r->ttl = rs->ttl;
	r->rdata = s->rdata;
	switch (rs->source) {
	case FROM_FILE:
		r->rdata = static_next(s->file, rs->set, &rs->offset, &r->rdlength);
		break;
	case FROM_BYTES:
		break;
	case FROM_V4:
		r->rdata = rs->blob->v4[rs->at].addr;
		r->rdlength = 4;
		break;
	case FROM_V6:
		r->rdata = blob_v6(rs->blob)[rs->at].addr;
		r->rdlength = 16;
		break;
	case FROM_SRV:
		srv_rdata(s);
		break;
	case FROM_TXT:
		memcpy(&r->rdlength, blob_at(rs->blob, rs->txt[rs->at]), 2);
		r->rdata = blob_at(rs->blob, rs->txt[rs->at] + 2);
		break;
	case FROM_NS:
		r->rdata = rs->type == RR_A ? s->image->ns->v4[rs->at] : s->image->ns->v6[rs->at];
		r->rdlength = rs->type == RR_A ? 4 : 16;
		break;
	case FROM_SVCB:
		svcb_rdata(s);
		break;
	}
}

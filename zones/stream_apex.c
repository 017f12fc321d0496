/* stream_apex.c - what a zone has of itself, whatever the registry holds: its SOA, its name server, its version. */
#include "zones/static_zone.h"
#include "zones/zone_stream_in.h"

static size_t zone_name_put(const struct zone_stream *s, uint8_t *to, const uint8_t *name, size_t len, bool inside)
{
	memcpy(to, name, len);
	if (inside)
		memcpy(to + len, s->zone->name, s->zone->len);
	return inside ? len + s->zone->len : len;
}

static uint8_t *put_u32(uint8_t *to, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(to, &v, 4);
	return to + 4;
}

/* The SOA of the file, with our serial. */
static bool file_soa_open(struct zone_stream *s)
{
	uint32_t at = 0;
	const uint8_t *rdata = static_next(s->file, s->file->soa, &at, &s->record.rdlength);
	memcpy(s->rdata, rdata, s->record.rdlength);
	put_u32(s->rdata + s->record.rdlength - 20, s->serial);
	return rrset_open(s, FROM_BYTES, RR_SOA, s->file->soa->ttl, 1);
}

bool soa_open(struct zone_stream *s)
{
	const struct zone *z = s->zone;
	owner_set(s, NULL, 0, z->name, z->len);
	if (s->file != NULL && s->file->soa != NULL)
		return file_soa_open(s);
	size_t len = zone_name_put(s, s->rdata, z->mname, z->mname_len, z->mname_inside);
	len += zone_name_put(s, s->rdata + len, z->rname, z->rname_len, z->rname_inside);
	uint8_t *at = put_u32(s->rdata + len, s->serial);
	at = put_u32(put_u32(put_u32(at, ZONE_REFRESH), ZONE_RETRY), ZONE_EXPIRE);
	at = put_u32(at, s->image->ttl_negative);
	s->record.rdlength = (uint16_t)(at - s->rdata);
	return rrset_open(s, FROM_BYTES, RR_SOA, s->image->ttl_apex, 1);
}

static bool ns_open(struct zone_stream *s)
{
	const struct zone *z = s->zone;
	s->record.rdlength = (uint16_t)zone_name_put(s, s->rdata, z->mname, z->mname_len, z->mname_inside);
	return owner_set(s, NULL, 0, z->name, z->len) && rrset_open(s, FROM_BYTES, RR_NS, s->image->ttl_apex, 1);
}

/* Addresses in the file for the generated name server replace the generated ones. */
static bool file_has_ns_host(const struct zone_stream *s)
{
	const struct zone *z = s->zone;
	const struct static_node *n = s->file == NULL ? NULL : static_find(s->file, z->mname, z->mname_len);
	return n != NULL && (static_set_find(s->file, n, RR_A) != NULL || static_set_find(s->file, n, RR_AAAA) != NULL);
}

/* @type: A or AAAA of the name server. */
static bool ns_host_open(struct zone_stream *s, unsigned type)
{
	const struct ns_addresses *ns = s->image->ns;
	const uint8_t *labels[] = { s->zone->mname };
	return s->zone->mname_child && !file_has_ns_host(s) && owner_set(s, labels, 1, s->zone->name, s->zone->len) &&
	       rrset_open(s, FROM_NS, type, s->image->ttl_apex, type == RR_A ? ns->n4 : ns->n6) && owner_answers(s);
}

static bool version_open(struct zone_stream *s)
{
	static const uint8_t label[] = "\013dns-version", text[] = "\0051.0.0";
	const uint8_t *labels[] = { label };
	return s->zone->export != NULL && owner_set(s, labels, 1, s->zone->name, s->zone->len) &&
	       rrset_open_bytes(s, RR_TXT, s->image->ttl_version, text, sizeof(text) - 1) && owner_answers(s);
}

bool apex_next(struct zone_stream *s)
{
	bool open = false;
	if (s->step == 0 && s->file != NULL && s->file->ns != NULL)
		s->step = 3; /* it says itself who serves it */
	while (s->step < 4 && !open) {
		switch (s->step++) {
		case 0:
			open = ns_open(s);
			break;
		case 1:
			open = ns_host_open(s, RR_A);
			break;
		case 2:
			open = ns_host_open(s, RR_AAAA);
			break;
		default:
			open = version_open(s);
		}
	}
	return open;
}

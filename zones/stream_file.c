/* stream_file.c - the records of a zone's file, where the registry has not got the better of them (dns.md 1.8, 4.3). */
#include "zones/static_zone.h"
#include "zones/zone_stream_in.h"

const struct static_node *file_node(const struct zone_stream *s, const uint8_t *owner, size_t len)
{
	return static_find(s->file, owner, len - s->zone->len);
}

bool file_covers(const struct zone_stream *s, const uint8_t *owner, size_t len)
{
	const uint8_t *end = owner + len - s->zone->len;
	for (const uint8_t *at = owner; at < end; at += at[0] + 1u) {
		const struct static_node *n = static_find(s->file, at, (size_t)(end - at));
		if (n != NULL && (n->flags & STATIC_CUT) != 0)
			return true;
	}
	return false;
}

/* Of a name that the registry has, only what the registry never has itself. */
static bool set_counts(const struct zone_stream *s, const struct static_node *n, unsigned type)
{
	size_t nth = (size_t)(n - s->file->nodes);
	if (type == RR_SOA || n->name_len + s->zone->len > (int)sizeof(s->rrset.owner))
		return false;
	if ((s->node_taken[nth / 8] >> nth % 8 & 1) == 0)
		return true;
	return type != RR_A && type != RR_AAAA && type != RR_SRV && type != RR_SVCB && type != RR_HTTPS && type != RR_CNAME;
}

bool file_next(struct zone_stream *s)
{
	const struct static_zone *f = s->file;
	for (; f != NULL && s->node < f->node_count; s->node++, s->nth_set = 0) {
		const struct static_node *n = &f->nodes[s->node];
		while (s->nth_set < n->sets) {
			const struct static_set *set = &f->sets[n->first + s->nth_set++];
			if (!set_counts(s, n, set->type))
				continue;
			memcpy(s->rrset.owner, f->bytes + n->name, n->name_len);
			memcpy(s->rrset.owner + n->name_len, s->zone->name, s->zone->len);
			s->rrset.owner_len = (uint16_t)(n->name_len + s->zone->len);
			s->rrset.set = set;
			s->rrset.offset = 0;
			if (rrset_open(s, FROM_FILE, set->type, set->ttl, set->count))
				return true;
		}
	}
	return false;
}

/* stream_reverse.c - the addresses of a reverse zone. Each points to its name in the first zone that shows it, so the image
 * is gone through once for each of those zones; which of them count, the viewer decides. */
#include "zones/zone_stream_in.h"
#include <stdio.h>

/* Labels of an address below the zone's name, the last octet or nibble first. */
static bool owner_of_address(struct zone_stream *s, int family, const uint8_t *addr)
{
	bool four = family == 4;
	struct rrset *rs = &s->rrset;
	unsigned step = four ? 8 : 4, first = s->zone->prefix.bits / step;
	uint8_t *to = rs->owner;
	for (unsigned n = four ? 4 : 32; n > first; n--) {
		char text[4];
		int len = four ? snprintf(text, sizeof(text), "%u", addr[n - 1])
			       : snprintf(text, sizeof(text), "%x", (n % 2 == 1 ? addr[n / 2] >> 4 : addr[n / 2 - 1]) & 15);
		*to++ = (uint8_t)len;
		memcpy(to, text, (size_t)len);
		to += len;
	}
	memcpy(to, s->zone->name, s->zone->len);
	rs->owner_len = (uint16_t)(to - rs->owner + s->zone->len);
	return owner_answers(s);
}

static bool pointer_open(struct zone_stream *s, const struct zone *forward, int family, const uint8_t *addr)
{
	uint8_t name[64 + 2 + ZONE_WIRE_MAX];
	size_t len = address_label(name, family, addr);
	memcpy(name + len, "\001i", 2);
	memcpy(name + len + 2, forward->name, forward->len);
	return rrset_open_bytes(s, RR_PTR, s->image->ttl_host, name, len + 2 + forward->len);
}

/* The addresses of the row's service, as far as they have not been pointed at. */
static bool pointers_next(struct zone_stream *s, const struct zone *forward)
{
	const struct image_site *site = (const struct image_site *)s->row;
	if (s->row->kind != IMAGE_SITE || !shown_has(site->shown, (uint16_t)(forward->export - forward->set->exports)))
		return false;
	while (stream_works(s) && address_next(site->blob, &s->host)) {
		int family = s->host.family;
		if (reverse_begins(&s->zone->prefix, family, s->host.addr) &&
		    stream_first(s, s->host.addr, family == 4 ? 4 : 16) && pointer_open(s, forward, family, s->host.addr) &&
		    owner_of_address(s, family, s->host.addr))
			return true;
	}
	return false;
}

static bool may_see(const struct zone_stream *s, const struct zone *z)
{
	const struct zone_viewer *v = &s->viewer;
	return v->all || (zone_is_at(z, v->at.len > 0 ? &v->at : NULL) &&
			  zone_allows_address(z, v->from_len > 0 ? v->from : NULL, v->from_len));
}

bool pointers_of_zones_next(struct zone_stream *s)
{
	const struct zone_set *zs = s->zone->set;
	for (; s->nth_forward < zs->forward_count; s->nth_forward++) {
		const struct zone *forward = zs->forward[s->nth_forward];
		while (s->row != NULL && may_see(s, forward)) {
			if (pointers_next(s, forward))
				return true;
			if (s->paused || !stream_works(s))
				return false;
			row_begin(s, image_next(&s->chunk, s->row));
		}
		s->chunk = s->image->first;
		row_begin(s, image_next(&s->chunk, NULL));
	}
	return false;
}

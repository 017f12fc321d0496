/* stream_vanity.c - the vanity names of a zone, with the services that they meant when the image was begun. */
#include "zones/zone_stream_in.h"

/* The labels of the key, which begins next to the apex, turned round again. */
static void vanity_name(struct zone_stream *s, const struct vanity *v)
{
	uint8_t *to = s->site.name + v->key_len;
	memcpy(to, s->zone->name, s->zone->len);
	for (size_t at = 0; at < v->key_len; at += 1u + v->key[at]) {
		to -= 1u + v->key[at];
		memcpy(to, v->key + at, 1u + v->key[at]);
	}
	s->site.name_len = (uint16_t)(v->key_len + s->zone->len);
	s->site.parent_at = 0;
}

static const struct blob *vanity_begin(struct zone_stream *s, size_t nth)
{
	const struct vanity *v = &s->zone->vanities.at[nth];
	const struct blob *b = vanity_set(s->part->vanities[nth], v);
	if (b == NULL || s->vanity == v)
		return b;
	s->vanity = v;
	vanity_name(s, v);
	service_begin(s, b);
	s->site.port = vanity_port(v, b);
	return b;
}

bool vanities_next(struct zone_stream *s)
{
	for (; s->nth_vanity < s->zone->vanities.count; s->nth_vanity++) {
		const struct blob *b = vanity_begin(s, s->nth_vanity);
		if (b != NULL && service_next(s, b))
			return true;
	}
	s->vanity = NULL;
	return false;
}

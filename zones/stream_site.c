/* stream_site.c - everything of one service of an image: the host names of its addresses and the names of its folders,
 * where they have not been given yet, and its own names at each place that the zone's layout has for it. */
#include "zones/zone_stream_in.h"

/* ---- hosts and folders, once each */

/* Nothing of these octets has been given before: of hosts and of folders. */
bool stream_first(struct zone_stream *s, const void *what, size_t len)
{
	uint64_t hash = hash_bytes(what, len) | 1;
	for (uint64_t at = hash >> 1;; at++) {
		uint64_t *slot = &s->seen[at & s->seen_mask];
		if (*slot == hash)
			return false;
		if (*slot == 0) {
			*slot = hash;
			return true;
		}
	}
}

/* <addr>.i.Z */
static bool hosts_next(struct zone_stream *s, const struct blob *b)
{
	uint8_t label[64];
	const uint8_t *labels[] = { label, (const uint8_t *)"\001i" };
	while (stream_works(s) && address_next(b, &s->host)) {
		bool four = s->host.family == 4;
		if (!stream_first(s, s->host.addr, four ? 4 : 16))
			continue;
		address_label(label, s->host.family, s->host.addr);
		if (rrset_open_bytes(s, four ? RR_A : RR_AAAA, s->image->ttl_host, s->host.addr, four ? 4 : 16) &&
		    owner_set(s, labels, 2, s->zone->name, s->zone->len) && owner_answers(s))
			return true;
	}
	return false;
}

struct place { /* a name under way */
	uint8_t name[255];
	uint16_t len;
};

static void place_zone(struct place *p, const struct zone_stream *s)
{
	memcpy(p->name, s->zone->name, s->zone->len);
	p->len = s->zone->len;
}

/* false: it would be longer than names may be. */
static bool place_put(struct place *p, const uint8_t *label)
{
	size_t len = label[0] + 1u;
	if (p->len + len > sizeof(p->name))
		return false;
	memmove(p->name + len, p->name, p->len);
	memcpy(p->name, label, len);
	p->len = (uint16_t)(p->len + len);
	return true;
}

static void place_folders(struct place *p, const struct image_folder *f)
{
	if (f == NULL)
		return;
	place_folders(p, f->parent);
	place_put(p, f->label);
}

/* Which of the folders of a service has a name of its own here; NULL: the @nth has none. */
static const struct image_folder *folder_named(const struct zone_stream *s, struct place *p,
					       const struct image_folder *group, uint32_t nth)
{
	place_zone(p, s);
	if (s->zone->layout == LAYOUT_FULL) {
		place_put(p, (const uint8_t *)"\002ns");
		place_folders(p, nth == 0 ? group->parent : group);
		return nth == 0 ? group->parent : nth == 1 ? group : NULL;
	}
	const struct image_folder *f = s->zone->layout == LAYOUT_BOUND_GROUP ? group->parent
				       : s->zone->layout == LAYOUT_BOUND_NS  ? group
									     : NULL;
	if (nth > 0 || f == NULL)
		return NULL;
	place_put(p, f->label);
	return f;
}

/* A hashed namespace or group says what it is called, with the first service in it that is shown. */
static bool folders_next(struct zone_stream *s, const struct image_folder *group)
{
	const struct image_folder *f;
	struct place p;
	while ((f = folder_named(s, &p, group, s->nth_folder++)) != NULL) {
		if (f->blob == NULL || !stream_first(s, &f, sizeof(f)))
			continue;
		s->rrset.blob = f->blob;
		s->rrset.txt[0] = blob_cold(f->blob)->txt;
		if (rrset_open(s, FROM_TXT, RR_TXT, s->image->ttl, s->rrset.txt[0] != 0) &&
		    owner_set(s, NULL, 0, p.name, p.len) && owner_answers(s))
			return true;
	}
	return false;
}

/* ---- the places of a service */

/* The @nth name below which the zone has the services of @group; false: there is none. */
static bool place_open(const struct zone_stream *s, struct place *p, const struct image_folder *group, unsigned nth)
{
	bool near = group->number == s->zone->scope;
	place_zone(p, s);
	switch (s->zone->layout) {
	case LAYOUT_FULL:
		if (nth == 0) {
			place_put(p, (const uint8_t *)"\002ns");
			place_folders(p, group);
			return true;
		}
		place_put(p, (const uint8_t *)"\003svc");
		return nth == 1 && near;
	case LAYOUT_BOUND:
		return nth == 0 && near;
	case LAYOUT_BOUND_GROUP:
		place_put(p, group->parent->label);
		return nth == 0 && memcmp(group->canonical, s->zone->group, s->zone->group[0] + 1u) == 0 &&
		       !zone_has_fixed(s->zone, group->parent->label);
	case LAYOUT_BOUND_NS:
		place_put(p, group->label);
		return nth == 0 && group->parent->number == s->zone->scope && !zone_has_fixed(s->zone, group->label);
	case LAYOUT_STATIC:
	case LAYOUT_REVERSE:
		break;
	}
	return false;
}

/* The next name of the service: at each place the canonical one, then its alias if it owns that. */
static bool name_open(struct zone_stream *s, const struct image_site *site)
{
	const uint8_t *alias = site->labels + 1 + site->labels[0];
	struct place p;
	for (;;) {
		if (!place_open(s, &p, site->group, s->nth_parent))
			return false;
		const uint8_t *label = s->alias ? alias : site->labels;
		s->nth_parent += s->alias || alias[0] == 0;
		s->alias = !s->alias && alias[0] != 0;
		if (!place_put(&p, label))
			continue;
		memcpy(s->site.name, p.name, p.len);
		s->site.name_len = p.len;
		s->site.parent_at = (uint16_t)(label[0] + 1u);
		s->site.hidden = s->zone->layout == LAYOUT_BOUND && zone_has_fixed(s->zone, label);
		service_begin(s, site->blob);
		return true;
	}
}

static bool names_next(struct zone_stream *s, const struct image_site *site)
{
	do
		if (service_next(s, site->blob))
			return true;
	while (name_open(s, site));
	return false;
}

/* ---- a row */

void row_begin(struct zone_stream *s, const struct image_row *row)
{
	s->row = row;
	s->row_part = ROW_HOSTS;
	s->host = (struct address_walk){ 0 };
	s->nth_folder = 0;
	s->nth_parent = 0;
	s->alias = false;
	s->site.stage = STAGE_OVER;
}

/* Are the addresses of the service here? (Its names may be hidden all the same: a vanity name means it.) */
static bool has_hosts(const struct zone_stream *s, const struct image_site *site)
{
	return s->zone->export != NULL && shown_has(site->shown, (uint16_t)(s->zone->export - s->zone->set->exports));
}

static bool has_names(const struct zone_stream *s, const struct image_site *site)
{
	return s->zone->hides == 0 || (site->blob->shown & s->zone->hides) != 0;
}

/* A folder is named only where a service in it is. */
static bool has_place(const struct zone_stream *s, const struct image_site *site)
{
	struct place p;
	return place_open(s, &p, site->group, 0);
}

bool row_next(struct zone_stream *s)
{
	const struct image_site *site = (const struct image_site *)s->row;
	if (s->row->kind != IMAGE_SITE)
		return false;
	if (s->row_part == ROW_HOSTS) {
		if (has_hosts(s, site) && hosts_next(s, site->blob))
			return true;
		if (s->paused)
			return false;
		s->row_part = has_names(s, site) && has_place(s, site) ? ROW_FOLDERS : ROW_END;
	}
	if (s->row_part == ROW_FOLDERS) {
		if (folders_next(s, site->group))
			return true;
		s->row_part = ROW_NAMES;
	}
	if (s->row_part == ROW_NAMES) {
		if (names_next(s, site))
			return true;
		s->row_part = ROW_END;
	}
	return false;
}

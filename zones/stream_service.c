/* stream_service.c - every name that a service has at one place (dns.md 1.6): its own, those of its ports, of its
 * addresses, of its clusters; and the one below its scope. The place is below a group, or a vanity name. */
#include "zones/svcb.h"
#include "zones/zone_stream_in.h"

static const uint8_t label_i[] = "\001i", label_c[] = "\001c", label_m[] = "\001m";

static bool is_absent(const struct blob *b)
{
	return (b->flags & BLOB_ABSENT) != 0;
}

static const uint8_t *proto_label(bool udp)
{
	return (const uint8_t *)(udp ? "\004_udp" : "\004_tcp");
}

static void underscored(uint8_t to[65], const uint8_t *name)
{
	to[0] = (uint8_t)(name[0] + 1);
	to[1] = '_';
	memcpy(to + 2, name + 1, name[0]);
}

/* ---- a set: of the service, or of a part of it */

/* The labels between a part's ports and the service: <cluster>.c or <value>.<key>.m; none: it is the service itself. */
struct selector {
	const uint8_t *labels[3];
	unsigned count;
	bool ports; /* it has some below it (dns.md 1.3) */
};

enum { ITEM_A, ITEM_AAAA, ITEM_SRV, ITEM_TXT, ITEM_HTTPS, ITEM_SVCB, ITEM_PORTS };

/* The set is an alias of one host name: that, and nothing else. At an apex none is: there it has the addresses. */
static bool set_is_alias(const struct zone_stream *s, const struct blob *b)
{
	return b->at_extra != 0 && blob_extra(b)->cname && s->rrset.owner_len != s->zone->len;
}

static bool alias_open(struct zone_stream *s, const struct blob *b)
{
	size_t len;
	const uint8_t *name = blob_target(b, b->n4 + b->n6, &len);
	return rrset_open_bytes(s, RR_CNAME, rrset_ttl(s, b), name, len);
}

static bool own_item_open(struct zone_stream *s, const struct blob *b, uint32_t item, const struct blob_group *port)
{
	if (set_is_alias(s, b))
		return item == ITEM_A && alias_open(s, b);
	switch (item) {
	case ITEM_A:
		return rrset_open_addresses(s, b, RR_A);
	case ITEM_AAAA:
		return rrset_open_addresses(s, b, RR_AAAA);
	case ITEM_SRV:
		return port != NULL ? rrset_open_group(s, b, port) : rrset_open_srv(s, b, NULL, 0, b->nsrv);
	case ITEM_TXT:
		s->rrset.blob = b;
		s->rrset.txt[0] = blob_cold(b)->txt;
		return rrset_open(s, FROM_TXT, RR_TXT, rrset_ttl(s, b), s->rrset.txt[0] != 0);
	case ITEM_HTTPS:
		return svcb_wanted(b, RR_HTTPS) && rrset_open_svcb(s, b, port, RR_HTTPS);
	default:
		return svcb_wanted(b, RR_SVCB) && rrset_open_svcb(s, b, port, RR_SVCB);
	}
}

static bool own_item(struct zone_stream *s, const struct blob *b, uint32_t item, const struct selector *part)
{
	if (!owner_set(s, part->labels, part->count, s->site.name, s->site.name_len))
		return false;
	bool open = own_item_open(s, b, item, part->count == 0 ? s->site.port : NULL);
	return (open || item == ITEM_A) && owner_answers(s) && open;
}

/* SRV, then SVCB, of each port. */
static bool port_item(struct zone_stream *s, const struct blob *b, uint32_t nth, const struct selector *part)
{
	const struct blob_group *g = &blob_groups(b)[nth / 2];
	uint8_t port[65];
	const uint8_t *labels[5] = { port, proto_label(g->udp) };
	if (!g->registered || (!g->whole && g->count == 0))
		return false;
	underscored(port, g->name);
	memcpy(labels + 2, part->labels, part->count * sizeof(labels[0]));
	if (nth % 2 == 0 ? !rrset_open_group(s, b, g) : !svcb_wanted(b, RR_SVCB) || !rrset_open_svcb(s, b, g, RR_SVCB))
		return false;
	return owner_set(s, labels, 2 + part->count, s->site.name, s->site.name_len) && owner_answers(s);
}

static bool set_next(struct zone_stream *s, const struct selector *part)
{
	struct set_walk *w = &s->site.set;
	const struct blob *b = w->blob;
	while (w->item < ITEM_PORTS + (part->ports ? 2 * blob_cold(b)->groups : 0)) {
		uint32_t item = w->item++;
		if (item < ITEM_PORTS ? own_item(s, b, item, part) : port_item(s, b, item - ITEM_PORTS, part))
			return true;
	}
	return false;
}

/* ---- addresses: <addr>.i.<service> */

enum { HOST_ADDRESS, HOST_SRV, HOST_TEXT, HOST_ITEMS };

static bool address_open(struct zone_stream *s, const struct blob *b, unsigned item)
{
	const struct site_walk *w = &s->site;
	bool four = w->address.family == 4;
	uint32_t first = 0, n = 0;
	switch (item) {
	case HOST_ADDRESS:
		return rrset_open_bytes(s, four ? RR_A : RR_AAAA, s->image->ttl_host, w->address.addr, four ? 4 : 16);
	case HOST_SRV:
		if (w->host == UINT32_MAX)
			return false;
		n = blob_srv_of_host(b, w->host, &first);
		return rrset_open_srv(s, b, NULL, first, n);
	default:
		s->rrset.blob = b;
		return rrset_open(s, FROM_TXT, RR_TXT, s->image->ttl_host, blob_txt_find(b, w->txt_key, s->rrset.txt, HOST_TXT));
	}
}

static bool addresses_next(struct zone_stream *s, const struct blob *b)
{
	struct site_walk *w = &s->site;
	uint8_t label[64];
	const uint8_t *labels[] = { label, label_i };
	for (;;) {
		if (!w->in_address) {
			if (!address_next(b, &w->address))
				return false;
			w->in_address = true;
			w->address_item = 0;
			blob_address_find(b, w->address.family, w->address.addr, &w->host, &w->txt_key);
		}
		while (w->address_item < HOST_ITEMS) {
			address_label(label, w->address.family, w->address.addr);
			if (address_open(s, b, w->address_item++) && owner_set(s, labels, 2, w->name, w->name_len) &&
			    owner_answers(s))
				return true;
		}
		w->in_address = false;
	}
}

/* ---- parts: clusters, and instances by values of their metadata; with the aliases that they own */

/* Of part @nth, the first of which is the service itself where its one cluster has no entry. */
static bool part_next(struct zone_stream *s, const struct blob *b, uint32_t nth)
{
	const struct blob_part *part = nth == 0 ? NULL : &blob_parts(b)[nth - 1];
	struct selector labels = { { (const uint8_t *)"\007default", label_c }, 2, true };
	struct blob *of = part == NULL ? (struct blob *)(uintptr_t)b : part->blob;
	if (of == NULL || is_absent(of))
		return false;
	if (part != NULL)
		labels.labels[0] = part->label;
	if (part != NULL && part->key != 0)
		labels = (struct selector){ { part->label, s->zone->set->selectors->at[part->key - 1].label, label_m }, 3, false };
	s->site.set.blob = of;
	return set_next(s, &labels);
}

static bool parts_next(struct zone_stream *s, const struct blob *b)
{
	struct site_walk *w = &s->site;
	if (w->part_at == 0 && (b->flags & BLOB_DEFAULT_CLUSTER) == 0)
		w->part_at = 1;
	for (; w->part_at <= blob_cold(b)->parts; w->part_at++, w->set = (struct set_walk){ NULL, 0 })
		if (part_next(s, b, w->part_at))
			return true;
	return false;
}

/* ---- _<service>._proto.<scope>: first tcp, then udp */

static bool scope_next(struct zone_stream *s, const struct blob *b)
{
	struct site_walk *w = &s->site;
	uint8_t label[65];
	if (s->vanity != NULL || w->name[0] >= 63 || w->name[1] == '_')
		return false;
	underscored(label, w->name);
	while (w->proto < 2) {
		bool udp = w->proto++ == 1;
		const uint8_t *labels[] = { label, proto_label(udp) };
		const struct blob_group *g = &blob_groups(b)[udp ? GROUP_DEFAULT_UDP : GROUP_DEFAULT_TCP];
		if ((udp && ((b->flags & BLOB_UDP) == 0 || !g->registered)) || !rrset_open_group(s, b, g))
			continue;
		if (owner_set(s, labels, 2, w->name + w->parent_at, (size_t)(w->name_len - w->parent_at)) && owner_answers(s))
			return true;
	}
	return false;
}

/* ---- all together */

static void stage_begin(struct zone_stream *s, const struct blob *b)
{
	struct site_walk *w = &s->site;
	w->set = (struct set_walk){ b, 0 };
	w->address = (struct address_walk){ 0 };
	w->in_address = false;
	w->part_at = 0;
	w->proto = 0;
}

void service_begin(struct zone_stream *s, const struct blob *b)
{
	s->site.stage = STAGE_SET;
	s->site.port = NULL;
	stage_begin(s, b);
}

static bool stage_next(struct zone_stream *s, const struct blob *b)
{
	bool below = s->vanity == NULL || s->zone->vanities.expand;
	const struct selector whole = { .ports = below };
	if (s->vanity == NULL && s->site.hidden && s->site.stage != STAGE_SCOPE)
		return false;
	switch (s->site.stage) {
	case STAGE_SET:
		return set_next(s, &whole);
	case STAGE_ADDRESSES:
		return below && addresses_next(s, b);
	case STAGE_PARTS:
		return below && parts_next(s, b);
	case STAGE_SCOPE:
		return scope_next(s, b);
	case STAGE_OVER:
		break;
	}
	return false;
}

bool service_next(struct zone_stream *s, const struct blob *b)
{
	for (; s->site.stage < STAGE_OVER; s->site.stage++, stage_begin(s, b))
		if (!is_absent(b) && stage_next(s, b))
			return true;
	return false;
}

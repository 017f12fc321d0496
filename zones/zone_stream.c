/* zone_stream.c - an image as records. Nothing is laid out beforehand: a position in the image is kept, and each RRset is
 * written from its blob when it is its turn. */
#include "zones/address.h"
#include "zones/static_zone.h"
#include "zones/zone_stream_in.h"
#include "base/mem.h"

enum { ADDRESSES_MAX = 2048, RRSET_OCTETS = 64000, RR_WIRE = 12, HOST_TXT = 32 };

enum phase { PHASE_SOA, PHASE_APEX, PHASE_FILE, PHASE_ROWS, PHASE_LAST, PHASE_END };
enum part { PART_SET, PART_ADDRESSES, PART_CLUSTERS, PART_SCOPE, PART_HOSTS, PART_FOLDERS, PART_PARENT };
enum source { FROM_FILE, FROM_BYTES, FROM_V4, FROM_V6, FROM_SRV, FROM_TXT, FROM_NS };

/* The RRset that is being read. */
struct rrset {
	enum source source;
	uint16_t type;
	uint32_t ttl, count, at;
	const struct blob *blob;
	const struct static_set *set; /* of the file... */
	uint32_t offset;	      /* ...the next of its records */
	const uint32_t *members; /* of the SRV entries; NULL: from @base on */
	uint32_t base;
	uint8_t owner[255];
	uint16_t owner_len;
	uint32_t txt[HOST_TXT];
};

/* A set of instances that is gone through: of a service, or of a cluster. */
struct set_walk {
	const struct blob *blob;
	uint32_t item;
};

struct zone_stream {
	struct zone_stream_link link; /* zone_out.c's */
	const struct image *image;
	const struct zone *zone;
	const struct static_zone *file; /* NULL: none */
	uint32_t serial;
	enum phase phase;
	unsigned step;	    /* of the apex */
	uint32_t node, nth_set; /* of the file, the next */
	const struct image_chunk *chunk;
	const struct image_row *row;
	/* of a service */
	unsigned nth_parent;
	bool alias;
	enum part part;
	struct set_walk set;
	struct address_walk address;
	bool in_address;
	uint32_t host, txt_key;
	unsigned address_item;
	uint32_t cluster;
	uint8_t parent[255];
	uint16_t parent_len;
	/* addresses that were given as hosts: hashes, 0 free */
	uint64_t *hosts;
	uint64_t host_mask;
	uint64_t cut;
	bool ready; /* @record is due */
	struct zone_record record;
	struct rrset rrset;
	uint8_t rdata[1400];
};

struct zone_stream *zone_stream_new(const struct image *im, size_t nth_zone)
{
	struct zone_stream *s = mem_zalloc(1, sizeof(*s));
	uint64_t slots = 64;
	while (slots < 2 * (im->address_count + im->folder_count))
		slots *= 2;
	if (s == NULL)
		return NULL;
	s->image = im;
	s->zone = im->zones[nth_zone].zone;
	s->serial = im->zones[nth_zone].serial;
	s->file = im->zones[nth_zone].file;
	s->hosts = mem_zalloc(slots, sizeof(*s->hosts));
	s->host_mask = slots - 1;
	if (s->hosts == NULL) {
		mem_free(s);
		return NULL;
	}
	return s;
}

struct zone_stream_link *zone_stream_link(struct zone_stream *s)
{
	return &s->link;
}

const struct image *zone_stream_done(struct zone_stream *s)
{
	const struct image *im = s->image;
	mem_free(s->hosts);
	mem_free(s);
	return im;
}

uint32_t zone_stream_serial(const struct zone_stream *s)
{
	return s->serial;
}

const char *zone_stream_zone(const struct zone_stream *s)
{
	return s->zone->text;
}

uint64_t zone_stream_cut(const struct zone_stream *s)
{
	return s->cut;
}

/* ---- owners and RRsets */

/* Labels in wire form, left of @base. false: the name is longer than names may be, and does not exist. */
static bool owner_set(struct zone_stream *s, const uint8_t *const *labels, unsigned n, const uint8_t *base, size_t len)
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

static bool rrset_open(struct zone_stream *s, enum source source, unsigned type, uint32_t ttl, uint32_t count)
{
	struct rrset *rs = &s->rrset;
	rs->source = source;
	rs->type = (uint16_t)type;
	rs->ttl = ttl;
	rs->count = count;
	rs->at = 0;
	return count > 0;
}

static uint32_t blob_ttl(const struct zone_stream *s, const struct blob *b)
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

static bool srv_open(struct zone_stream *s, const struct blob *b, const uint32_t *members, uint32_t base, uint32_t n)
{
	s->rrset.members = members;
	s->rrset.base = base;
	return rrset_open(s, FROM_SRV, RR_SRV, blob_ttl(s, b),
			  fitting(s, n, 6u + (b->at_extra != 0 ? DNS_NAME_MAX : 1u + ADDRESS_LABEL_MAX + 2u + s->zone->len)));
}

static bool group_open(struct zone_stream *s, const struct blob *b, const struct blob_group *g)
{
	const uint32_t *members = g->whole ? NULL : (const uint32_t *)blob_at(b, blob_cold(b)->at_members) + g->first;
	return srv_open(s, b, members, 0, g->whole ? b->nsrv : g->count);
}

/* ---- a set: of a service, or of a part of it */

enum { SELECTOR_OF_CLUSTER = 2, SELECTOR_OF_VALUE = 3 }; /* labels */

static const uint8_t *proto_label(bool udp)
{
	return (const uint8_t *)(udp ? "\004_udp" : "\004_tcp");
}

/* The set is an alias of one host name: that, and nothing else. */
static bool set_is_alias(const struct blob *b)
{
	return b->at_extra != 0 && blob_extra(b)->cname;
}

static bool alias_open(struct zone_stream *s, const struct blob *b)
{
	size_t len;
	const uint8_t *name = blob_target(b, b->n4 + b->n6, &len);
	memcpy(s->rdata, name, len);
	s->record.rdlength = (uint16_t)len;
	return rrset_open(s, FROM_BYTES, RR_CNAME, blob_ttl(s, b), 1);
}

static bool set_item(struct zone_stream *s, const struct blob *b, uint32_t item)
{
	if (item < 4 && set_is_alias(b))
		return item == 0 && alias_open(s, b);
	if (item == 0)
		return rrset_open(s, FROM_V4, RR_A, blob_ttl(s, b), fitting(s, b->n4, 4));
	if (item == 1)
		return rrset_open(s, FROM_V6, RR_AAAA, blob_ttl(s, b), fitting(s, b->n6, 16));
	if (item == 2)
		return srv_open(s, b, NULL, 0, b->nsrv);
	if (item == 3) {
		s->rrset.txt[0] = blob_cold(b)->txt;
		return rrset_open(s, FROM_TXT, RR_TXT, blob_ttl(s, b), s->rrset.txt[0] != 0);
	}
	return group_open(s, b, &blob_groups(b)[item - 4]);
}

/* @selector: the @selectors labels between the ports and the service. */
static bool set_next(struct zone_stream *s, const uint8_t *service, const uint8_t *const *selector, unsigned selectors)
{
	const struct blob *b = s->set.blob;
	uint8_t port[64];
	s->rrset.blob = b;
	while (s->set.item < 4 + blob_cold(b)->groups) {
		const uint8_t *labels[6];
		unsigned n = 0;
		uint32_t item = s->set.item++;
		if (item >= 4 && selectors == SELECTOR_OF_VALUE)
			continue; /* no ports stand there (dns.md 1.3) */
		if (item >= 4) {
			const struct blob_group *g = &blob_groups(b)[item - 4];
			if (!g->registered || (!g->whole && g->count == 0))
				continue;
			port[0] = (uint8_t)(g->name[0] + 1);
			port[1] = '_';
			memcpy(port + 2, g->name + 1, g->name[0]);
			labels[n++] = port;
			labels[n++] = proto_label(g->udp);
		}
		for (unsigned i = 0; i < selectors; i++)
			labels[n++] = selector[i];
		labels[n++] = service;
		if (set_item(s, b, item) && owner_set(s, labels, n, s->parent, s->parent_len))
			return true;
	}
	return false;
}

/* ---- addresses of a service: <addr>.i.<service> */

static size_t address_label(uint8_t ret[64], int family, const uint8_t *addr)
{
	size_t len = family == 4 ? address_format4(ret + 1, addr) : address_format6(ret + 1, addr);
	ret[0] = (uint8_t)len;
	return len + 1;
}

static bool address_open(struct zone_stream *s, const struct blob *b, unsigned item)
{
	const struct address_walk *w = &s->address;
	if (item == 0) {
		memcpy(s->rdata, w->addr, w->family == 4 ? 4 : 16);
		s->record.rdlength = w->family == 4 ? 4 : 16;
		return rrset_open(s, FROM_BYTES, w->family == 4 ? RR_A : RR_AAAA, s->image->ttl_host, 1);
	}
	if (item == 1) {
		uint32_t first = 0, n = s->host == UINT32_MAX ? 0 : blob_srv_of_host(b, s->host, &first);
		return srv_open(s, b, NULL, first, n);
	}
	return rrset_open(s, FROM_TXT, RR_TXT, s->image->ttl_host, blob_txt_find(b, s->txt_key, s->rrset.txt, HOST_TXT));
}

static bool addresses_next(struct zone_stream *s, const struct blob *b, const uint8_t *service)
{
	uint8_t label[64];
	s->rrset.blob = b;
	for (;;) {
		if (!s->in_address) {
			if (!address_next(b, &s->address))
				return false;
			s->in_address = true;
			s->address_item = 0;
			blob_address_find(b, s->address.family, s->address.addr, &s->host, &s->txt_key);
		}
		while (s->address_item < 3) {
			const uint8_t *labels[] = { label, (const uint8_t *)"\001i", service };
			address_label(label, s->address.family, s->address.addr);
			if (address_open(s, b, s->address_item++) && owner_set(s, labels, 3, s->parent, s->parent_len))
				return true;
		}
		s->in_address = false;
	}
}

/* ---- clusters, and instances by values of their metadata */

/* Part @nth, of which the first is the service itself where its one cluster has no entry. */
static bool part_next(struct zone_stream *s, const struct blob *b, uint32_t nth, const uint8_t *service)
{
	const struct blob_part *part = nth == 0 ? NULL : &blob_parts(b)[nth - 1];
	const uint8_t *labels[SELECTOR_OF_VALUE] = { part == NULL ? (const uint8_t *)"\007default" : part->label };
	s->set.blob = part == NULL ? b : part->blob;
	if (part != NULL && part->alias)
		return false;
	if (part == NULL || part->key == 0) {
		labels[1] = (const uint8_t *)"\001c";
		return set_next(s, service, labels, SELECTOR_OF_CLUSTER);
	}
	labels[1] = s->zone->set->selectors->at[part->key - 1].label;
	labels[2] = (const uint8_t *)"\001m";
	return set_next(s, service, labels, SELECTOR_OF_VALUE);
}

static bool parts_next(struct zone_stream *s, const struct blob *b, const uint8_t *service)
{
	if (s->cluster == 0 && (b->flags & BLOB_DEFAULT_CLUSTER) == 0)
		s->cluster = 1;
	for (; s->cluster <= blob_cold(b)->parts; s->cluster++, s->set = (struct set_walk){ NULL, 0 })
		if (part_next(s, b, s->cluster, service))
			return true;
	return false;
}

/* _<service>._proto.<scope>; step 0 tcp, 1 udp. */
static bool scope_next(struct zone_stream *s, const struct blob *b, const uint8_t *service)
{
	uint8_t label[65];
	if (service[0] >= 63 || service[1] == '_')
		return false;
	label[0] = (uint8_t)(service[0] + 1);
	label[1] = '_';
	memcpy(label + 2, service + 1, service[0]);
	s->rrset.blob = b;
	while (s->cluster < 2) {
		bool udp = s->cluster++ == 1;
		const uint8_t *labels[] = { label, proto_label(udp) };
		const struct blob_group *g = &blob_groups(b)[udp ? GROUP_DEFAULT_UDP : GROUP_DEFAULT_TCP];
		if ((udp && ((b->flags & BLOB_UDP) == 0 || !g->registered)) || !group_open(s, b, g))
			continue;
		if (owner_set(s, labels, 2, s->parent, s->parent_len))
			return true;
	}
	return false;
}

/* ---- hosts: <addr>.i.Z, once each */

/* Nothing of these octets has been given before: of hosts and of folders. */
static bool seen_first(struct zone_stream *s, const void *what, size_t len)
{
	uint64_t hash = hash_bytes(what, len) | 1;
	for (uint64_t at = hash >> 1;; at++) {
		uint64_t *slot = &s->hosts[at & s->host_mask];
		if (*slot == hash)
			return false;
		if (*slot == 0) {
			*slot = hash;
			return true;
		}
	}
}

static bool hosts_next(struct zone_stream *s, const struct blob *b)
{
	uint8_t label[64];
	const uint8_t *labels[] = { label, (const uint8_t *)"\001i" };
	while (address_next(b, &s->address)) {
		if (!seen_first(s, s->address.addr, s->address.family == 4 ? 4 : 16))
			continue;
		address_label(label, s->address.family, s->address.addr);
		if (address_open(s, b, 0) && owner_set(s, labels, 2, s->zone->name, s->zone->len))
			return true;
	}
	return false;
}

/* ---- services and folders */

static void parent_put(struct zone_stream *s, const uint8_t *label)
{
	size_t len = label[0] + 1u;
	if (s->parent_len + len > sizeof(s->parent))
		return;
	memmove(s->parent + len, s->parent, s->parent_len);
	memcpy(s->parent, label, len);
	s->parent_len = (uint16_t)(s->parent_len + len);
}

static void parent_zone(struct zone_stream *s)
{
	memcpy(s->parent, s->zone->name, s->zone->len);
	s->parent_len = s->zone->len;
}

static void parent_folders(struct zone_stream *s, const struct image_folder *f)
{
	if (f == NULL)
		return;
	parent_folders(s, f->parent);
	parent_put(s, f->label);
}

/* The @nth name below which the zone has the services of @group; false: there is none. */
static bool parent_open(struct zone_stream *s, const struct image_folder *group, unsigned nth)
{
	bool near = group->number == s->zone->scope;
	parent_zone(s);
	switch (s->zone->layout) {
	case LAYOUT_FULL:
		if (nth == 0) {
			parent_put(s, (const uint8_t *)"\002ns");
			parent_folders(s, group);
			return true;
		}
		parent_put(s, (const uint8_t *)"\003svc");
		return nth == 1 && near;
	case LAYOUT_BOUND:
		return nth == 0 && near;
	case LAYOUT_BOUND_GROUP:
		parent_put(s, group->parent->label);
		return nth == 0 && memcmp(group->canonical, s->zone->group, s->zone->group[0] + 1u) == 0;
	case LAYOUT_BOUND_NS:
		parent_put(s, group->label);
		return nth == 0 && group->parent->number == s->zone->scope;
	case LAYOUT_STATIC:
	case LAYOUT_REVERSE:
		break;
	}
	return false;
}

static void part_begin(struct zone_stream *s, enum part part, const struct blob *b)
{
	s->part = part;
	s->set = (struct set_walk){ b, 0 };
	s->address = (struct address_walk){ 0 };
	s->in_address = false;
	s->cluster = 0;
}

static bool folders_next(struct zone_stream *s, const struct image_folder *group);

static bool stage_next(struct zone_stream *s, const struct image_site *site, const uint8_t *label)
{
	switch (s->part) {
	case PART_SET:
		return set_next(s, label, NULL, 0);
	case PART_ADDRESSES:
		return addresses_next(s, site->blob, label);
	case PART_CLUSTERS:
		return parts_next(s, site->blob, label);
	case PART_SCOPE:
		return scope_next(s, site->blob, label);
	case PART_HOSTS:
		return s->nth_parent == 0 && !s->alias && hosts_next(s, site->blob);
	case PART_FOLDERS:
		return s->nth_parent == 0 && !s->alias && folders_next(s, site->group);
	case PART_PARENT:
		break;
	}
	return false;
}

/* Which of the folders of a service has a name of its own here, left of @s->parent; NULL: the @nth has none. */
static const struct image_folder *folder_named(struct zone_stream *s, const struct image_folder *group, uint32_t nth)
{
	parent_zone(s);
	if (s->zone->layout == LAYOUT_FULL) {
		parent_put(s, (const uint8_t *)"\002ns");
		parent_folders(s, nth == 0 ? group->parent : group);
		return nth == 0 ? group->parent : nth == 1 ? group : NULL;
	}
	const struct image_folder *f = s->zone->layout == LAYOUT_BOUND_GROUP ? group->parent
				       : s->zone->layout == LAYOUT_BOUND_NS  ? group
									     : NULL;
	if (nth > 0 || f == NULL)
		return NULL;
	parent_put(s, f->label);
	return f;
}

/* A hashed namespace or group says what it is called, with the first service in it that is shown. */
static bool folders_next(struct zone_stream *s, const struct image_folder *group)
{
	const struct image_folder *f;
	while ((f = folder_named(s, group, s->cluster++)) != NULL) {
		if (f->blob == NULL || !seen_first(s, &f, sizeof(f)))
			continue;
		s->rrset.blob = f->blob;
		s->rrset.txt[0] = blob_cold(f->blob)->txt;
		if (rrset_open(s, FROM_TXT, RR_TXT, s->image->ttl, s->rrset.txt[0] != 0) &&
		    owner_set(s, NULL, 0, s->parent, s->parent_len))
			return true;
	}
	return false;
}

/* The next RRset of a service; each of its names below each of its parents has all of them. */
static bool site_next(struct zone_stream *s, const struct image_site *site)
{
	const uint8_t *alias = site->labels + 1 + site->labels[0];
	while (s->part != PART_PARENT || parent_open(s, site->group, s->nth_parent)) {
		if (s->part == PART_PARENT)
			part_begin(s, PART_SET, site->blob);
		for (; s->part < PART_PARENT; part_begin(s, s->part + 1, site->blob))
			if (stage_next(s, site, s->alias ? alias : site->labels))
				return true;
		s->nth_parent += s->alias || alias[0] == 0;
		s->alias = !s->alias && alias[0] != 0;
	}
	return false;
}

static bool row_next(struct zone_stream *s)
{
	const struct image_site *site = (const struct image_site *)s->row;
	if (s->row->kind != IMAGE_SITE || (s->zone->hides != 0 && (site->blob->shown & s->zone->hides) == 0))
		return false;
	return site_next(s, site);
}

/* ---- the apex */

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
	return owner_set(s, NULL, 0, s->zone->name, s->zone->len) &&
	       rrset_open(s, FROM_BYTES, RR_SOA, s->file->soa->ttl, 1);
}

static bool soa_open(struct zone_stream *s)
{
	const struct zone *z = s->zone;
	if (s->file != NULL && s->file->soa != NULL)
		return file_soa_open(s);
	size_t len = zone_name_put(s, s->rdata, z->mname, z->mname_len, z->mname_inside);
	len += zone_name_put(s, s->rdata + len, z->rname, z->rname_len, z->rname_inside);
	uint8_t *at = put_u32(s->rdata + len, s->serial);
	at = put_u32(put_u32(put_u32(at, ZONE_REFRESH), ZONE_RETRY), ZONE_EXPIRE);
	at = put_u32(at, s->image->ttl_negative);
	s->record.rdlength = (uint16_t)(at - s->rdata);
	return owner_set(s, NULL, 0, z->name, z->len) && rrset_open(s, FROM_BYTES, RR_SOA, s->image->ttl_apex, 1);
}

static bool version_open(struct zone_stream *s)
{
	static const uint8_t label[] = "\013dns-version", text[] = "\0051.0.0";
	const uint8_t *labels[] = { label };
	memcpy(s->rdata, text, sizeof(text) - 1);
	s->record.rdlength = sizeof(text) - 1;
	return s->zone->export != NULL && owner_set(s, labels, 1, s->zone->name, s->zone->len) &&
	       rrset_open(s, FROM_BYTES, RR_TXT, s->image->ttl_version, 1);
}

static bool file_has_ns_host(const struct zone_stream *s);

/* @type: A or AAAA of the name server. */
static bool ns_host_open(struct zone_stream *s, unsigned type)
{
	const struct ns_addresses *ns = s->image->ns;
	const uint8_t *labels[] = { s->zone->mname };
	return s->zone->mname_child && !file_has_ns_host(s) && owner_set(s, labels, 1, s->zone->name, s->zone->len) &&
	       rrset_open(s, FROM_NS, type, s->image->ttl_apex, type == RR_A ? ns->n4 : ns->n6);
}

static bool apex_next(struct zone_stream *s)
{
	const struct zone *z = s->zone;
	if (s->step == 0 && s->file != NULL && s->file->ns != NULL)
		s->step = 3; /* it says itself who serves it */
	while (s->step < 4) {
		bool open = false;
		switch (s->step++) {
		case 0:
			s->record.rdlength = (uint16_t)zone_name_put(s, s->rdata, z->mname, z->mname_len, z->mname_inside);
			open = owner_set(s, NULL, 0, z->name, z->len) &&
			       rrset_open(s, FROM_BYTES, RR_NS, s->image->ttl_apex, 1);
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
		if (open)
			return true;
	}
	return false;
}

/* ---- the file */

/* Addresses in the file for the generated name server replace the generated ones. */
static bool file_has_ns_host(const struct zone_stream *s)
{
	const struct zone *z = s->zone;
	const struct static_node *n = s->file == NULL ? NULL : static_find(s->file, z->mname, z->mname_len);
	return n != NULL && (static_set_find(s->file, n, RR_A) != NULL || static_set_find(s->file, n, RR_AAAA) != NULL);
}

static bool file_next(struct zone_stream *s)
{
	const struct static_zone *f = s->file;
	for (; s->node < f->node_count; s->node++, s->nth_set = 0) {
		const struct static_node *n = &f->nodes[s->node];
		while (s->nth_set < n->sets) {
			const struct static_set *set = &f->sets[n->first + s->nth_set++];
			if (set->type == RR_SOA || n->name_len + s->zone->len > sizeof(s->rrset.owner))
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

/* ---- all together */

static void row_begin(struct zone_stream *s, const struct image_row *row)
{
	s->row = row;
	s->part = PART_PARENT;
	s->nth_parent = 0;
	s->alias = false;
}

static bool rows_next(struct zone_stream *s)
{
	while (s->row != NULL) {
		if (row_next(s))
			return true;
		row_begin(s, image_next(&s->chunk, s->row));
	}
	return false;
}

static bool rrset_next(struct zone_stream *s)
{
	if (s->phase == PHASE_SOA) {
		s->phase = PHASE_APEX;
		return soa_open(s);
	}
	if (s->phase == PHASE_APEX) {
		if (apex_next(s))
			return true;
		s->phase = PHASE_FILE;
	}
	if (s->phase == PHASE_FILE) {
		if (s->file != NULL && file_next(s))
			return true;
		s->phase = PHASE_ROWS;
		s->chunk = s->image->first;
		row_begin(s, image_next(&s->chunk, NULL));
	}
	if (s->phase == PHASE_ROWS) {
		if (rows_next(s))
			return true;
		s->phase = PHASE_LAST;
	}
	if (s->phase == PHASE_LAST) {
		s->phase = PHASE_END;
		return soa_open(s);
	}
	return false;
}

static void srv_rdata(struct zone_stream *s)
{
	const struct rrset *rs = &s->rrset;
	const struct blob *b = rs->blob;
	const struct blob_srv *e = &blob_srv(b)[rs->members != NULL ? rs->members[rs->at] : rs->base + rs->at];
	bool named = e->host >= b->n4 + b->n6;
	const uint8_t *addr = named ? NULL : e->host < b->n4 ? b->v4[e->host].addr : blob_v6(b)[e->host - b->n4].addr;
	uint16_t numbers[3] = { e->priority, e->weight, e->port };
	for (int i = 0; i < 3; i++) {
		s->rdata[2 * i] = (uint8_t)(numbers[i] >> 8);
		s->rdata[2 * i + 1] = (uint8_t)numbers[i];
	}
	if (named) { /* it points at a name of its own */
		size_t target_len;
		const uint8_t *target = blob_target(b, e->host, &target_len);
		memcpy(s->rdata + 6, target, target_len);
		s->record.rdlength = (uint16_t)(6 + target_len);
		return;
	}
	size_t len = 6 + address_label(s->rdata + 6, e->host < b->n4 ? 4 : 6, addr);
	memcpy(s->rdata + len, "\001i", 2);
	memcpy(s->rdata + len + 2, s->zone->name, s->zone->len);
	s->record.rdlength = (uint16_t)(len + 2 + s->zone->len);
}

static void rdata_make(struct zone_stream *s)
{
	const struct rrset *rs = &s->rrset;
	struct zone_record *r = &s->record;
	r->rdata = s->rdata;
	switch (rs->source) {
	case FROM_FILE:
		r->rdata = static_next(s->file, rs->set, &s->rrset.offset, &r->rdlength);
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
	}
}

const struct zone_record *zone_stream_peek(struct zone_stream *s)
{
	struct rrset *rs = &s->rrset;
	if (s->ready)
		return &s->record;
	if (rs->at >= rs->count && !rrset_next(s))
		return NULL;
	s->record.owner = rs->owner;
	s->record.owner_len = rs->owner_len;
	s->record.type = rs->type;
	s->record.ttl = rs->ttl;
	rdata_make(s);
	s->ready = true;
	return &s->record;
}

void zone_stream_pop(struct zone_stream *s)
{
	s->ready = false;
	s->rrset.at++;
}

/* static_answer.c - see static_answer.h. A chain of CNAMEs is followed by asking again, with the name as it stands in the
 * message: so the registry's own answers need not know that they end a chain. */
#include "zones/static_answer.h"

enum { CHAIN_MAX = 8, TARGETS_ONCE = 16 };

/* What the file has of a name. */
struct found {
	const struct static_node *node;	    /* of the name itself; NULL: not there */
	const struct static_node *encloser; /* the nearest above it (or itself) */
	unsigned depth;			    /* labels of @encloser */
	const struct static_node *cut;	    /* a delegation at or above it; depth is its */
	const struct static_node *dname;    /* above it; depth is its */
};

static unsigned depth_of(const struct reply *r)
{
	return (unsigned)(r->q->labels - r->zone->labels);
}

/* The last @labels of the name in the zone; *@len: octets, without the zone's own. */
static const uint8_t *suffix(const struct reply *r, unsigned labels, size_t *len)
{
	const struct dns_query *q = r->q;
	unsigned count = depth_of(r);
	*len = (size_t)(q->label_at[count] - q->label_at[count - labels]);
	return q->name + q->label_at[count - labels];
}

static void look_up(const struct reply *r, struct found *f)
{
	unsigned count = depth_of(r);
	*f = (struct found){ 0 };
	for (unsigned depth = 0; depth <= count; depth++) {
		size_t len;
		const uint8_t *name = suffix(r, depth, &len);
		const struct static_node *n = static_find(r->file, name, len);
		if (n == NULL)
			return;
		f->encloser = n;
		f->depth = depth;
		if (depth == count)
			f->node = n;
		/* the DS of a delegation is this side's */
		if ((n->flags & STATIC_CUT) != 0 && (depth < count || r->q->qtype != RR_DS)) {
			f->cut = n;
			return;
		}
		if ((n->flags & STATIC_DNAME) != 0 && depth < count) {
			f->dname = n;
			return;
		}
	}
}

/* ---- records */

static unsigned owner_at(const struct reply *r, unsigned depth)
{
	return 0xc000 | (r->name_at + r->q->label_at[depth_of(r) - depth]);
}

/* All records of @set; false: they do not fit, and TC is set. *@first: where the first one's data stand. */
static bool put_set(struct reply *r, unsigned owner, const struct static_set *set, uint16_t *count, uint8_t **first)
{
	uint32_t at = 0;
	uint16_t len;
	if ((size_t)set->count * RR_FIXED + set->octets > reply_room(r)) {
		reply_truncate(r);
		return false;
	}
	*first = r->a->w.at + RR_FIXED;
	for (unsigned i = 0; i < set->count; i++) {
		const uint8_t *rdata = static_next(r->file, set, &at, &len);
		uint8_t *to = writer_claim(&r->a->w, RR_FIXED + (size_t)len);
		memcpy(put_rr(to, owner, set->type, set->ttl, len), rdata, len);
	}
	*count = (uint16_t)(*count + set->count);
	return true;
}

bool put_static_soa(struct reply *r, unsigned owner, bool negative)
{
	const struct static_set *soa = r->file->soa;
	uint32_t at = 0, minimum;
	uint16_t len;
	const uint8_t *rdata = static_next(r->file, soa, &at, &len);
	uint8_t *to = writer_claim(&r->a->w, RR_FIXED + (size_t)len);
	if (to == NULL)
		return false;
	memcpy(&minimum, rdata + len - 4, 4);
	minimum = __builtin_bswap32(minimum);
	to = put_rr(to, owner, RR_SOA, negative && minimum < soa->ttl ? minimum : soa->ttl, len);
	memcpy(to, rdata, len);
	put32(to + len - 20, atomic_load_explicit(&((struct zone *)(uintptr_t)r->zone)->serial, memory_order_relaxed));
	return true;
}

uint32_t static_soa_expire(const struct static_zone *file)
{
	uint32_t at = 0, expire;
	uint16_t len;
	const uint8_t *rdata = static_next(file, file->soa, &at, &len);
	memcpy(&expire, rdata + len - 8, 4);
	return __builtin_bswap32(expire);
}

/* Where the name of a host stands in data of @type; -1: there is none. */
static int target_at(unsigned type)
{
	switch (type) {
	case RR_NS:
		return 0;
	case RR_MX:
	case RR_SVCB:
	case RR_HTTPS:
		return 2;
	case RR_SRV:
		return 6;
	default:
		return -1;
	}
}

static uint8_t folded(uint8_t c) /* length octets are below the letters */
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static size_t wire_len(const uint8_t *name)
{
	size_t len = 0;
	while (name[len] != 0)
		len += name[len] + 1u;
	return len + 1;
}

static bool same_name(const uint8_t *a, const uint8_t *b)
{
	size_t len = wire_len(a);
	if (wire_len(b) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (folded(a[i]) != folded(b[i]))
			return false;
	return true;
}

/* The node of a host that the file has. @name: wire form; it need not be folded. */
static const struct static_node *host_node(const struct reply *r, const uint8_t *name)
{
	const struct zone *z = r->zone;
	uint8_t small[DNS_NAME_MAX];
	size_t len = wire_len(name), at = 0;
	small[0] = 0; /* what gcc does not see: no name is of no octets */
	for (size_t i = 0; i < len; i++)
		small[i] = folded(name[i]);
	while (small[at] != 0 && len - at > z->len)
		at += small[at] + 1u;
	if (len - at != z->len || memcmp(small + at, z->name, z->len) != 0)
		return NULL;
	return static_find(r->file, small, at);
}

static const uint16_t address_types[] = { RR_A, RR_AAAA };

/* Addresses of the host at @owner, as additional records; each RRset whole or not at all. false: the file has none. */
static bool put_addresses(struct reply *r, unsigned owner, const struct static_node *n)
{
	uint8_t *first;
	bool any = false;
	for (int i = 0; i < 2; i++) {
		const struct static_set *set = static_set_find(r->file, n, address_types[i]);
		any = any || set != NULL;
		if (set != NULL && (size_t)set->count * RR_FIXED + set->octets <= reply_room(r))
			put_set(r, owner, set, &r->a->arcount, &first);
	}
	return any;
}

/* The question for another name, which stands in the message too. false: it is not ours, or not for this client. */
static bool query_for(struct dns_query *ret, const struct reply *r, const uint8_t *name, size_t len, unsigned type)
{
	size_t at = 0;
	*ret = *r->q;
	memset(ret->name, 0, sizeof(ret->name));
	ret->labels = 0;
	for (; name[at] != 0; at += name[at] + 1u)
		ret->label_at[ret->labels++] = (uint8_t)at;
	ret->label_at[ret->labels] = (uint8_t)at;
	for (size_t i = 0; i < len; i++)
		ret->name[i] = folded(name[i]);
	ret->qname = name;
	ret->qname_len = (uint16_t)len;
	ret->qtype = (uint16_t)type;
	zone_set_prefetch(r->zs, ret);
	if (ret->zone == NULL || !zone_allows(ret->zone, ret))
		return false;
	zone_set_prepare(r->zs, ret);
	return true;
}

/* Likewise, of a host that is not in the file: what would be answered to a question for it. */
static void put_answered(struct reply *r, const uint8_t *name, size_t place)
{
	struct dns_query q;
	for (int i = 0; i < 2 && query_for(&q, r, name, wire_len(name), address_types[i]); i++) {
		struct dns_answer part = *r->a;
		struct reply host = { .zs = r->zs, .zone = q.zone, .q = &q, .a = &part, .rng = r->rng,
				      .name_at = (unsigned)place, .steps = CHAIN_MAX };
		const uint8_t *first = part.w.at;
		part.ancount = part.nscount = part.arcount = 0;
		part.rcode = RCODE_NOERROR;
		reply_name(&host);
		if (part.rcode != RCODE_NOERROR || part.tc || part.ancount == 0 || part.nscount > 0 ||
		    first[2] != 0 || first[3] != address_types[i])
			continue; /* not there, elsewhere, or an alias */
		r->a->w = part.w;
		r->a->arcount = (uint16_t)(r->a->arcount + part.ancount);
	}
}

static bool seen(const uint8_t **list, unsigned *n, const uint8_t *name)
{
	for (unsigned i = 0; i < *n; i++)
		if (same_name(list[i], name))
			return true;
	if (*n < TARGETS_ONCE)
		list[(*n)++] = name;
	return false;
}

/* Of the hosts that the records of @set name, the first of which has its data at @first. */
static void put_additional(struct reply *r, const struct static_set *set, const uint8_t *first)
{
	const uint8_t *done[TARGETS_ONCE];
	unsigned done_count = 0;
	int offset = target_at(set->type);
	uint32_t at = 0;
	uint16_t len;
	if (offset < 0 || r->zs->conf.minimal_responses)
		return;
	for (unsigned i = 0; i < set->count; i++) {
		size_t place = (size_t)(first - r->a->w.start) + (unsigned)offset;
		const uint8_t *rdata = static_next(r->file, set, &at, &len);
		first += len + RR_FIXED;
		if (len <= offset || place >= POINTER_END || seen(done, &done_count, rdata + offset))
			continue;
		const struct static_node *n = host_node(r, rdata + offset);
		if (n == NULL || !put_addresses(r, 0xc000 | (unsigned)place, n))
			put_answered(r, rdata + offset, place);
	}
}

static void reply_set(struct reply *r, const struct static_set *set)
{
	uint8_t *first;
	if (put_set(r, reply_owner(r), set, &r->a->ancount, &first))
		put_additional(r, set, first);
}

/* ---- a delegation */

static bool lies_below(const struct reply *r, const struct static_node *n, const struct static_node *cut)
{
	const uint8_t *names = r->file->bytes;
	return n->name_len >= cut->name_len &&
	       memcmp(names + n->name + n->name_len - cut->name_len, names + cut->name, cut->name_len) == 0;
}

/* Addresses that the client cannot do without: of servers below the delegation (RFC 9471). */
static size_t glue_octets(const struct reply *r, const struct static_set *ns, const struct static_node *cut)
{
	uint32_t at = 0;
	uint16_t len;
	size_t sum = 0;
	for (unsigned i = 0; i < ns->count; i++) {
		const struct static_node *n = host_node(r, static_next(r->file, ns, &at, &len));
		for (unsigned k = 0; n != NULL && lies_below(r, n, cut) && k < n->sets; k++) {
			const struct static_set *set = &r->file->sets[n->first + k];
			if (set->type == RR_A || set->type == RR_AAAA)
				sum += (size_t)set->count * RR_FIXED + set->octets;
		}
	}
	return sum;
}

/* Addresses of the servers below the delegation, or of the others. */
static void put_glue(struct reply *r, const struct static_set *ns, const uint8_t *first, const struct static_node *cut,
		     bool below)
{
	uint32_t at = 0;
	uint16_t len;
	for (unsigned i = 0; i < ns->count; i++) {
		size_t place = (size_t)(first - r->a->w.start);
		const struct static_node *n = host_node(r, static_next(r->file, ns, &at, &len));
		first += len + RR_FIXED;
		if (n != NULL && place < POINTER_END && lies_below(r, n, cut) == below)
			put_addresses(r, 0xc000 | (unsigned)place, n);
	}
}

static void reply_referral(struct reply *r, const struct found *f)
{
	const struct static_set *ns = static_set_find(r->file, f->cut, RR_NS);
	uint8_t *first;
	r->a->aa = r->a->aa && r->steps > 0; /* the first owner's */
	if ((size_t)ns->count * RR_FIXED + ns->octets + glue_octets(r, ns, f->cut) > reply_room(r)) {
		reply_truncate(r);
		return;
	}
	put_set(r, owner_at(r, f->depth), ns, &r->a->nscount, &first);
	put_glue(r, ns, first, f->cut, true);
	if (!r->zs->conf.minimal_responses)
		put_glue(r, ns, first, f->cut, false);
}

/* ---- chains */

/* The chain has been at this name: it is a ring. */
static bool came_by(const struct reply *r, const struct dns_query *q)
{
	for (; r != NULL; r = r->before)
		if (r->q->qname_len == q->qname_len && memcmp(r->q->name, q->name, q->qname_len) == 0)
			return true;
	return false;
}

void reply_chase(struct reply *r, const uint8_t *target, size_t len, size_t place)
{
	struct dns_query next;
	struct dns_answer *a = r->a;
	uint16_t before = a->ancount;
	if (r->steps + 1 > CHAIN_MAX || place >= POINTER_END)
		return;
	if (!query_for(&next, r, target, len, r->q->qtype)) {
		a->outside = next.zone == NULL ? (uint16_t)place : 0;
		return; /* elsewhere, or not for this client: it goes on by itself */
	}
	struct reply chained = { .zs = r->zs, .zone = next.zone, .q = &next, .a = a, .rng = r->rng,
				 .name_at = (unsigned)place, .steps = r->steps + 1, .before = r };
	if (came_by(r, &next))
		return;
	a->ancount = 0;
	reply_name(&chained);
	if (!a->tc)
		a->ancount = (uint16_t)(a->ancount + before);
}

static void reply_cname(struct reply *r, const struct static_node *n)
{
	const struct static_set *set = static_set_find(r->file, n, RR_CNAME);
	uint32_t at = 0;
	uint16_t len;
	uint8_t *first;
	const uint8_t *target = static_next(r->file, set, &at, &len);
	if (put_set(r, reply_owner(r), set, &r->a->ancount, &first) && r->q->qtype != RR_CNAME &&
	    r->q->qtype != RR_ANY)
		reply_chase(r, target, len, (size_t)(first - r->a->w.start));
}

/* Everything below the DNAME's owner stands below its target as well (RFC 6672). */
static void reply_dname(struct reply *r, const struct found *f)
{
	const struct static_set *set = static_set_find(r->file, f->dname, RR_DNAME);
	unsigned count = depth_of(r);
	uint32_t at = 0;
	uint16_t len;
	uint8_t *first, name[DNS_NAME_MAX];
	const uint8_t *target = static_next(r->file, set, &at, &len);
	size_t left = r->q->label_at[count - f->depth];
	if (!put_set(r, owner_at(r, f->depth), set, &r->a->ancount, &first))
		return;
	if (left + len > sizeof(name)) {
		r->a->rcode = RCODE_YXDOMAIN;
		return;
	}
	memcpy(name, r->q->name, left);
	memcpy(name + left, target, len);
	uint8_t *to = writer_claim(&r->a->w, RR_FIXED + left + len);
	if (to == NULL) {
		reply_truncate(r);
		return;
	}
	to = put_rr(to, reply_owner(r), RR_CNAME, set->ttl, (unsigned)(left + len));
	memcpy(to, name, left + len);
	r->a->ancount++;
	if (r->q->qtype != RR_CNAME)
		reply_chase(r, name, left + len, (size_t)(to - r->a->w.start));
}

/* ---- one name */

static bool is_instances(const struct target *t)
{
	return t->kind == TARGET_SET || t->kind == TARGET_PORTS || t->kind == TARGET_ADDRESS || t->kind == TARGET_HOST ||
	       t->kind == TARGET_VERSION || t->kind == TARGET_POINTER;
}

/* Types that the registry answers itself where it has the name (dns.md 1.8). */
static bool is_dynamic(unsigned type)
{
	return type == RR_A || type == RR_AAAA || type == RR_SRV || type == RR_SVCB || type == RR_HTTPS || type == RR_ANY;
}

/* The sets of a node, for a name that stands for it alone. */
static void reply_node(struct reply *r, const struct static_node *n)
{
	unsigned type = r->q->qtype;
	const struct static_set *set = type == RR_ANY && n->sets > 0 ? &r->file->sets[n->first]
								       : static_set_find(r->file, n, type);
	if (set != NULL && set->type != RR_CNAME)
		reply_set(r, set);
	else if ((n->flags & STATIC_CNAME) != 0 && !is_beside_cname(type))
		reply_cname(r, n);
	else
		reply_nodata(r);
}

static void reply_apex(struct reply *r, const struct static_node *n, const struct target *t)
{
	unsigned type = r->q->qtype;
	const struct static_set *set = type == RR_SOA || type == RR_ANY ? NULL : static_set_find(r->file, n, type);
	if (set != NULL)
		reply_set(r, set);
	else
		reply_target(r, t);
}

static void reply_exact(struct reply *r, const struct static_node *n, const struct target *t)
{
	unsigned type = r->q->qtype;
	if (t->kind == TARGET_APEX)
		reply_apex(r, n, t);
	else if (is_instances(t) && (is_dynamic(type) || (n->flags & STATIC_CNAME) != 0 ||
				     static_set_find(r->file, n, type) == NULL))
		reply_target(r, t);
	else if (t->kind == TARGET_NS && static_set_find(r->file, n, RR_A) == NULL &&
		 static_set_find(r->file, n, RR_AAAA) == NULL && is_dynamic(type))
		reply_target(r, t);
	else if (n->sets == 0 && t->kind == TARGET_EMPTY)
		reply_target(r, t); /* a hashed scope has a TXT */
	else
		reply_node(r, n);
}

/* Does the registry have something between the wildcard's parent and the name? Then that encloses the name, not the
 * parent. */
static bool enclosed_otherwise(const struct reply *r, unsigned depth)
{
	unsigned count = depth_of(r);
	for (unsigned d = depth + 1; d < count; d++) {
		struct dns_query q = *r->q;
		struct target t;
		unsigned skip = count - d;
		size_t from = q.label_at[skip];
		q.labels = (uint8_t)(q.labels - skip);
		q.qname_len = (uint16_t)(q.qname_len - from);
		memmove(q.name, q.name + from, q.qname_len);
		memset(q.name + q.qname_len, 0, sizeof(q.name) - q.qname_len);
		for (unsigned i = 0; i <= q.labels; i++)
			q.label_at[i] = (uint8_t)(r->q->label_at[i + skip] - from);
		q.scratch[AT_STAGE] = STAGE_NONE;
		walk(r->zs, &q, &t);
		if (t.kind != TARGET_ABSENT && t.kind != TARGET_NONE)
			return true;
	}
	return false;
}

static const struct static_node *wildcard(const struct reply *r, const struct found *f)
{
	uint8_t name[DNS_NAME_MAX] = { 1, '*' };
	size_t len;
	if (f->encloser == NULL || (f->encloser->flags & STATIC_WILD) == 0 || enclosed_otherwise(r, f->depth))
		return NULL;
	const uint8_t *above = suffix(r, f->depth, &len);
	memcpy(name + 2, above, len);
	return static_find(r->file, name, len + 2);
}

void reply_merged(struct reply *r, const struct target *t)
{
	struct found f;
	const struct static_node *wild;
	const struct target absent = { .kind = TARGET_ABSENT };
	if (t->kind == TARGET_NS && r->file->ns != NULL)
		t = &absent; /* the file says itself who serves the zone */
	look_up(r, &f);
	if (f.cut != NULL)
		reply_referral(r, &f);
	else if (f.node != NULL)
		reply_exact(r, f.node, t);
	else if (t->kind != TARGET_ABSENT)
		reply_target(r, t);
	else if (f.dname != NULL)
		reply_dname(r, &f);
	else if ((wild = wildcard(r, &f)) != NULL)
		reply_node(r, wild);
	else
		reply_target(r, t);
}

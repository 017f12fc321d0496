/* static_zone.c - records sorted, checked against each other and against the registry, and laid out for look-ups. */
#include "zones/static_zone.h"
#include "base/hash.h"
#include "base/mem.h"
#include <stdlib.h>

/* ---- look-ups */

static uint64_t name_slot(const uint8_t *name, size_t len)
{
	return hash_bytes(name, len);
}

const struct static_node *static_find(const struct static_zone *st, const uint8_t *name, size_t len)
{
	for (uint64_t at = name_slot(name, len);; at++) {
		uint32_t n = st->table[at & st->mask];
		if (n == 0)
			return NULL;
		const struct static_node *node = &st->nodes[n - 1];
		if (node->name_len == len && memcmp(st->bytes + node->name, name, len) == 0)
			return node;
	}
}

const struct static_set *static_set_find(const struct static_zone *st, const struct static_node *n, unsigned type)
{
	for (unsigned i = 0; i < n->sets; i++)
		if (st->sets[n->first + i].type == type)
			return &st->sets[n->first + i];
	return NULL;
}

void static_ref(struct static_zone *st)
{
	atomic_fetch_add_explicit(&st->refs, 1, memory_order_relaxed);
}

static void static_free(struct static_zone *st)
{
	mem_free(st->nodes);
	mem_free(st->sets);
	mem_free(st->table);
	mem_free(st->bytes);
	mem_free(st);
}

void static_unref(struct static_zone *st)
{
	if (atomic_fetch_sub_explicit(&st->refs, 1, memory_order_acq_rel) == 1)
		static_free(st);
}

/* ---- layout */

struct build {
	struct static_reading *r;
	struct static_record *rec; /* sorted */
	size_t count;
	struct static_zone *st;
	const struct static_record **of_set; /* the first record of each set */
};

static int compare(const void *a, const void *b, void *bytes)
{
	const struct static_record *x = a, *y = b;
	const uint8_t *at = bytes;
	/* the apex first, then whatever order: they are looked up by hash */
	if (x->owner_len != y->owner_len)
		return x->owner_len < y->owner_len ? -1 : 1;
	int order = memcmp(at + x->owner, at + y->owner, x->owner_len);
	if (order == 0 && x->type != y->type)
		return x->type < y->type ? -1 : 1;
	if (order == 0)
		order = (int)x->rdlength - (int)y->rdlength;
	if (order == 0)
		order = memcmp(at + x->rdata, at + y->rdata, x->rdlength);
	if (order == 0)
		order = x->file != y->file ? (int)x->file - y->file : x->line < y->line ? -1 : x->line > y->line;
	return order;
}

static bool same_owner(const struct build *b, const struct static_record *x, const struct static_record *y)
{
	const uint8_t *at = b->r->bytes.at;
	return x->owner_len == y->owner_len && memcmp(at + x->owner, at + y->owner, x->owner_len) == 0;
}

static bool same_record(const struct build *b, const struct static_record *x, const struct static_record *y)
{
	const uint8_t *at = b->r->bytes.at;
	return same_owner(b, x, y) && x->type == y->type && x->rdlength == y->rdlength &&
	       memcmp(at + x->rdata, at + y->rdata, x->rdlength) == 0;
}

static void duplicates_drop(struct build *b)
{
	size_t kept = 0;
	for (size_t i = 0; i < b->count; i++)
		if (kept == 0 || !same_record(b, &b->rec[kept - 1], &b->rec[i]))
			b->rec[kept++] = b->rec[i];
	b->count = kept;
}

static void node_enter(struct static_zone *st, uint32_t number)
{
	const struct static_node *n = &st->nodes[number];
	uint64_t at = name_slot(st->bytes + n->name, n->name_len);
	while (st->table[at & st->mask] != 0)
		at++;
	st->table[at & st->mask] = number + 1;
}

/* The node of a name that is there; it is made if it is new, with those above it. */
static struct static_node *node_get(struct static_zone *st, uint32_t name, uint8_t len)
{
	struct static_node *n = (struct static_node *)static_find(st, st->bytes + name, len);
	if (n != NULL)
		return n;
	uint32_t number = st->node_count++;
	st->nodes[number] = (struct static_node){ .name = name, .name_len = len };
	node_enter(st, number);
	if (len > 0) {
		uint8_t label = (uint8_t)(st->bytes[name] + 1);
		struct static_node *above = node_get(st, name + label, (uint8_t)(len - label));
		if (label == 2 && st->bytes[name + 1] == '*')
			above->flags |= STATIC_WILD;
	}
	return &st->nodes[number];
}

static uint8_t flag_of(const struct static_record *rec)
{
	switch (rec->type) {
	case RR_NS:
		return rec->owner_len > 0 ? STATIC_CUT : 0;
	case RR_CNAME:
		return STATIC_CNAME;
	case RR_DNAME:
		return STATIC_DNAME;
	default:
		return 0;
	}
}

/* Names of owners and all rdata stand in one run: first the names (as they were read), then the sets. */
static int lay_out(struct build *b)
{
	struct static_zone *st = b->st;
	size_t labels = 1, octets = 0, slots = 16;
	const uint8_t *from = b->r->bytes.at;
	for (size_t i = 0; i < b->count; i++) {
		octets += 2u + b->rec[i].rdlength + (i == 0 || !same_owner(b, &b->rec[i - 1], &b->rec[i]) ? b->rec[i].owner_len : 0u);
		if (i == 0 || !same_owner(b, &b->rec[i - 1], &b->rec[i]))
			for (unsigned at = 0; at < b->rec[i].owner_len; at += from[b->rec[i].owner + at] + 1u)
				labels++;
	}
	while (slots < 2 * labels)
		slots *= 2;
	st->nodes = mem_zalloc(labels, sizeof(*st->nodes));
	st->sets = mem_zalloc(b->count + 1, sizeof(*st->sets));
	st->table = mem_zalloc(slots, sizeof(*st->table));
	st->bytes = mem_alloc(octets + 1);
	b->of_set = mem_zalloc(b->count + 1, sizeof(*b->of_set));
	if (st->nodes == NULL || st->sets == NULL || st->table == NULL || st->bytes == NULL || b->of_set == NULL)
		return E_NOMEM;
	st->mask = (uint32_t)(slots - 1);
	return E_OK;
}

static void fill(struct build *b)
{
	struct static_zone *st = b->st;
	const uint8_t *from = b->r->bytes.at;
	uint32_t used = 0;
	struct static_node *n = node_get(st, 0, 0);
	struct static_set *set = NULL;
	for (size_t i = 0; i < b->count; i++) {
		const struct static_record *rec = &b->rec[i], *before = i == 0 ? NULL : rec - 1;
		bool owner = before == NULL || !same_owner(b, before, rec);
		if (owner && rec->owner_len > 0) {
			memcpy(st->bytes + used, from + rec->owner, rec->owner_len);
			n = node_get(st, used, rec->owner_len);
			used += rec->owner_len;
		}
		if (owner)
			n->first = st->set_count;
		if (owner || before->type != rec->type) {
			b->of_set[st->set_count] = rec;
			set = &st->sets[st->set_count++];
			*set = (struct static_set){ .type = rec->type, .ttl = rec->ttl, .at = used };
			n->sets++;
			n->flags |= flag_of(rec);
			st->has_aliases |= (flag_of(rec) & (STATIC_CNAME | STATIC_DNAME)) != 0;
		}
		memcpy(st->bytes + used, &rec->rdlength, 2);
		memcpy(st->bytes + used + 2, from + rec->rdata, rec->rdlength);
		used += 2u + rec->rdlength;
		set->count++;
		set->octets += rec->rdlength;
	}
	st->records = (uint32_t)b->count;
	st->soa = static_set_find(st, &st->nodes[0], RR_SOA);
	st->ns = static_set_find(st, &st->nodes[0], RR_NS);
}

/* ---- checks */

static void complain(struct build *b, const struct static_record *rec, const char *what)
{
	char name[1100];
	static_name_text(name, b->r->owner, b->r->bytes.at + rec->owner, rec->owner_len);
	static_complain(b->r, rec->file, rec->line, "%s %s", name, what);
}

/* The label next to the zone's name. */
static const uint8_t *last_label(const uint8_t *name, size_t len)
{
	size_t at = 0;
	while (at + name[at] + 1u < len)
		at += name[at] + 1u;
	return name + at;
}

static bool is_label(const uint8_t *label, const char *text)
{
	return label[0] == strlen(text) && memcmp(label + 1, text, label[0]) == 0;
}

static void check_anchors(struct build *b, const struct static_record *rec)
{
	const struct static_owner *o = b->r->owner;
	const uint8_t *name = b->r->bytes.at + rec->owner;
	if (o->taken != NULL && o->taken(o->arg, name, rec->owner_len, rec->type)) {
		complain(b, rec, "has what is the registry's, because of an alias there or below");
		return;
	}
	if (rec->owner_len == 0)
		return;
	const uint8_t *last = last_label(name, rec->owner_len);
	if (o->anchors && (is_label(last, "svc") || is_label(last, "ns")))
		complain(b, rec, "lies below svc or ns, which are the registry's");
	else if (o->registry && is_label(last, "i"))
		complain(b, rec, "lies below i, where the registry has its addresses");
	else if (o->registry && is_label(last, "dns-version"))
		complain(b, rec, "is the registry's");
}

/* Sets of one owner against each other. @first, @n: in of_set. */
static void check_owner(struct build *b, size_t first, size_t n)
{
	const struct static_record *cname = NULL, *other = NULL;
	check_anchors(b, b->of_set[first]);
	for (size_t i = first; i < first + n; i++) {
		const struct static_record *rec = b->of_set[i];
		const struct static_set *set = &b->st->sets[i];
		if (i > first && b->r->owner->taken != NULL)
			check_anchors(b, rec);
		if (rec->type == RR_CNAME)
			cname = rec;
		else if (rec->type != RR_RRSIG && rec->type != RR_NSEC)
			other = rec;
		if (rec->type == RR_SOA && rec->owner_len > 0)
			complain(b, rec, "has an SOA, which only the zone itself has");
		if ((rec->type == RR_SOA || rec->type == RR_CNAME || rec->type == RR_DNAME) && set->count > 1)
			complain(b, rec + 1, rec->type == RR_SOA     ? "has a second SOA"
					     : rec->type == RR_CNAME ? "has a second CNAME"
								     : "has a second DNAME");
		for (unsigned k = 1; k < set->count; k++)
			if (rec[k].ttl != rec->ttl) {
				complain(b, &rec[k], "has records of one type with different TTLs");
				break;
			}
		if (set->octets + 12u * set->count > 64000)
			complain(b, rec, "has more data of one type than a message can hold");
	}
	if (cname != NULL && other != NULL)
		complain(b, cname, "has a CNAME and other data");
	if (cname != NULL && cname->owner_len == 0)
		complain(b, cname, "is the zone itself, and cannot be a CNAME");
}

/* Is there something above that takes the name away: a delegation, a DNAME? */
static uint8_t above(const struct static_zone *st, const uint8_t *name, size_t len)
{
	while (len > 0) {
		size_t label = name[0] + 1u;
		name += label;
		len -= label;
		const struct static_node *n = static_find(st, name, len);
		if (n != NULL && (n->flags & (STATIC_CUT | STATIC_DNAME)) != 0)
			return n->flags;
	}
	return 0;
}

/* A name server inside the zone needs addresses: of the apex's anyhow, of a delegation's if it lies below it. */
static void check_ns(struct build *b, const struct static_record *rec, unsigned count)
{
	const struct static_owner *o = b->r->owner;
	for (unsigned k = 0; k < count; k++, rec++) {
		const uint8_t *name = b->r->bytes.at + rec->rdata;
		uint8_t folded[DNS_NAME_MAX];
		size_t len = rec->rdlength, at = 0;
		for (size_t i = 0; i < len; i++)
			folded[i] = name[i] >= 'A' && name[i] <= 'Z' ? (uint8_t)(name[i] + 32) : name[i];
		while (folded[at] != 0 && len - at > o->zone_len)
			at += folded[at] + 1u;
		if (len - at != o->zone_len || memcmp(folded + at, o->zone, o->zone_len) != 0)
			continue;
		const struct static_node *n = static_find(b->st, folded, at);
		bool there = n != NULL && (static_set_find(b->st, n, RR_A) != NULL || static_set_find(b->st, n, RR_AAAA) != NULL);
		if (there || (!o->whole && rec->owner_len == 0)) /* it may be of the registry */
			continue;
		if (n != NULL && (n->flags & STATIC_CNAME) != 0)
			complain(b, rec, "has a name server that is a CNAME");
		else if (rec->owner_len == 0 || (at >= rec->owner_len &&
						 memcmp(folded + at - rec->owner_len, b->r->bytes.at + rec->owner,
							rec->owner_len) == 0))
			complain(b, rec, "has a name server in the zone without an address");
	}
}

static void check_all(struct build *b)
{
	const struct static_zone *st = b->st;
	if (b->r->owner->whole && st->soa == NULL)
		static_complain(b->r, 0, 0, "the zone has no SOA, and its layout is static");
	if (b->r->owner->whole && st->ns == NULL)
		static_complain(b->r, 0, 0, "the zone has no NS, and its layout is static");
	for (uint32_t i = 0; i < st->node_count; i++) {
		const struct static_node *n = &st->nodes[i];
		if (n->sets == 0)
			continue;
		check_owner(b, n->first, n->sets);
		const struct static_record *rec = b->of_set[n->first];
		if ((above(st, st->bytes + n->name, n->name_len) & STATIC_DNAME) != 0)
			complain(b, rec, "lies below a DNAME");
		for (unsigned k = 0; k < n->sets; k++)
			if (b->of_set[n->first + k]->type == RR_NS)
				check_ns(b, b->of_set[n->first + k], st->sets[n->first + k].count);
	}
}

int static_load(struct static_zone **ret, const struct static_owner *owner, struct text *errors)
{
	struct static_reading r = { .owner = owner, .errors = errors };
	struct build b = { .r = &r };
	static_read(&r);
	if (r.rc != E_NOMEM && (b.st = mem_zalloc(1, sizeof(*b.st))) != NULL) {
		b.rec = (struct static_record *)(void *)r.records.at;
		b.count = r.records.len / sizeof(*b.rec);
		atomic_init(&b.st->refs, 1);
		if (b.count > 0)
			qsort_r(b.rec, b.count, sizeof(*b.rec), compare, r.bytes.at);
		duplicates_drop(&b);
		if (lay_out(&b) < 0) {
			r.rc = E_NOMEM;
		} else {
			fill(&b);
			check_all(&b);
		}
	} else {
		r.rc = E_NOMEM;
	}
	int rc = r.rc;
	mem_free(b.of_set);
	static_reading_done(&r);
	if (rc < 0 && b.st != NULL)
		static_free(b.st);
	if (rc == E_NOMEM)
		text_add(errors, "no memory for the zone file\n");
	if (rc == E_OK)
		*ret = b.st;
	return rc;
}

/* answer.c - what a name and a type are answered with, and the verdicts (dns.md 2.5 rows 11 to 20, 2.7). DNS workers,
 * inside RCU sections: no heap, no lock. */
#include "zones/address.h"
#include "zones/static_answer.h"
#include "zones/svcb.h"

void reply_truncate(struct reply *r)
{
	r->a->tc = true;
	r->a->ancount = r->a->nscount = r->a->arcount = 0;
}

void reply_servfail(struct reply *r, int ede)
{
	r->a->rcode = RCODE_SERVFAIL;
	r->a->aa = false;
	r->a->ede = ede;
}

/* Offset of the zone's name in the question. */
static unsigned zone_offset(const struct reply *r)
{
	return r->name_at + r->q->label_at[r->q->labels - r->zone->labels];
}

static size_t host_name_len(uint8_t len, bool inside)
{
	return inside ? len + 2u : len;
}

static uint8_t *put_host_name(uint8_t *to, const uint8_t *name, uint8_t len, bool inside, unsigned zone)
{
	memcpy(to, name, len);
	return inside ? put16(to + len, 0xc000 | zone) : to + len;
}

/* False: no room. */
static bool put_soa(struct reply *r, bool negative)
{
	const struct zone *z = r->zone;
	const struct zone_set_conf *conf = &r->zs->conf;
	uint32_t minimum = ttl_read(&conf->ttl_negative);
	uint32_t ttl = negative && minimum < conf->ttl_apex ? minimum : conf->ttl_apex;
	unsigned at = zone_offset(r);
	if (r->file != NULL && r->file->soa != NULL)
		return put_static_soa(r, 0xc000 | at, negative);
	size_t names = host_name_len(z->mname_len, z->mname_inside) +
		       host_name_len(z->rname_len, z->rname_inside);
	uint8_t *to = writer_claim(&r->a->w, RR_FIXED + names + 20);
	if (to == NULL)
		return false;
	to = put_rr(to, 0xc000 | at, RR_SOA, ttl, (unsigned)(names + 20));
	to = put_host_name(to, z->mname, z->mname_len, z->mname_inside, at);
	to = put_host_name(to, z->rname, z->rname_len, z->rname_inside, at);
	to = put32(to, atomic_load_explicit(&((struct zone *)z)->serial, memory_order_relaxed));
	to = put32(put32(put32(to, ZONE_REFRESH), ZONE_RETRY), ZONE_EXPIRE);
	put32(to, minimum);
	return true;
}

void reply_nodata(struct reply *r)
{
	if (put_soa(r, true))
		r->a->nscount = 1;
	else
		reply_truncate(r);
}

static void reply_soa(struct reply *r)
{
	if (put_soa(r, false))
		r->a->ancount = 1;
	else
		reply_truncate(r);
}

/* One record with the question's name; false: no room, and TC is set. */
bool reply_record(struct reply *r, unsigned type, uint32_t ttl, const void *rdata, size_t len)
{
	uint8_t *to = writer_claim(&r->a->w, RR_FIXED + len);
	if (to == NULL) {
		reply_truncate(r);
		return false;
	}
	memcpy(put_rr(to, reply_owner(r), type, ttl, (unsigned)len), rdata, len);
	r->a->ancount++;
	return true;
}

/* The name server's addresses of one family at @owner. Returns how many were written; all or none. */
static unsigned put_ns_addresses(struct reply *r, const struct ns_addresses *ns, int family, unsigned owner)
{
	unsigned n = family == 4 ? ns->n4 : ns->n6, len = family == 4 ? 4 : 16;
	if (n * (RR_FIXED + len) > reply_room(r))
		return 0;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *to = writer_claim(&r->a->w, RR_FIXED + len);
		to = put_rr(to, owner, family == 4 ? RR_A : RR_AAAA, r->zs->conf.ttl_apex, len);
		memcpy(to, family == 4 ? ns->v4[i] : ns->v6[i], len);
	}
	return n;
}

static const struct ns_addresses *ns_of(const struct reply *r)
{
	return rcu_read(&((struct zone_set *)r->zs)->ns);
}

static void reply_ns(struct reply *r)
{
	const struct zone *z = r->zone;
	const struct ns_addresses *ns = ns_of(r);
	size_t len = host_name_len(z->mname_len, z->mname_inside);
	uint8_t *to = writer_claim(&r->a->w, RR_FIXED + len);
	if (to == NULL) {
		reply_truncate(r);
		return;
	}
	to = put_rr(to, reply_owner(r), RR_NS, r->zs->conf.ttl_apex, (unsigned)len);
	put_host_name(to, z->mname, z->mname_len, z->mname_inside, zone_offset(r));
	r->a->ancount = 1;
	if (!z->mname_child)
		return;
	unsigned owner = 0xc000 | (unsigned)(to - r->a->w.start);
	unsigned n = put_ns_addresses(r, ns, 4, owner) + put_ns_addresses(r, ns, 6, owner);
	r->a->arcount = (uint16_t)(r->a->arcount + n);
}

static void answer_ns_host(struct reply *r)
{
	const struct ns_addresses *ns = ns_of(r);
	unsigned type = r->q->qtype;
	if (type == RR_ANY)
		type = ns->n4 > 0 ? RR_A : RR_AAAA;
	unsigned n = type == RR_A ? ns->n4 : type == RR_AAAA ? ns->n6 : 0;
	if (n == 0)
		reply_nodata(r);
	else if (put_ns_addresses(r, ns, type == RR_A ? 4 : 6, reply_owner(r)) == 0)
		reply_truncate(r);
	else
		r->a->ancount = (uint16_t)n;
}

static void answer_host(struct reply *r, const struct target *t)
{
	unsigned type = t->family == 4 ? RR_A : RR_AAAA;
	if (r->q->qtype == type || r->q->qtype == RR_ANY)
		reply_record(r, type, ttl_read(&r->zs->conf.ttl_host), t->addr, t->family == 4 ? 4 : 16);
	else
		reply_nodata(r);
}

/* PTR to <addr>.i of a zone of names. */
static void answer_pointer(struct reply *r, const struct target *t)
{
	uint8_t name[1 + ADDRESS_LABEL_MAX + 2 + ZONE_WIRE_MAX];
	const struct zone *z = t->forward;
	if (r->q->qtype != RR_PTR && r->q->qtype != RR_ANY) {
		reply_nodata(r);
		return;
	}
	size_t len = t->family == 4 ? address_format4(name + 1, t->addr) : address_format6(name + 1, t->addr);
	name[0] = (uint8_t)len;
	memcpy(name + 1 + len, "\001i", 2);
	memcpy(name + 3 + len, z->name, z->len);
	reply_record(r, RR_PTR, ttl_read(&r->zs->conf.ttl_host), name, 3 + len + z->len);
}

static void answer_version(struct reply *r)
{
	static const char version[] = "\0051.0.0";
	if (r->q->qtype == RR_TXT || r->q->qtype == RR_ANY)
		reply_record(r, RR_TXT, r->zs->conf.ttl_version, version, sizeof(version) - 1);
	else
		reply_nodata(r);
}

/* TXT records kept at @at[0..n) of the blob; none: NODATA. */
static void reply_txt(struct reply *r, const struct blob *b, const uint32_t *at, uint32_t n, uint32_t ttl)
{
	uint8_t *start = r->a->w.at;
	for (uint32_t i = 0; i < n; i++) {
		uint16_t len;
		memcpy(&len, blob_at(b, at[i]), 2);
		if (!reply_record(r, RR_TXT, ttl, blob_at(b, at[i] + 2), len)) {
			r->a->w.at = start; /* never a part of it */
			return;
		}
	}
	if (n == 0)
		reply_nodata(r);
}

/* The name of a scope whose label is hashed may have a TXT, nothing else. */
static void answer_empty(struct reply *r, const struct blob *b)
{
	bool wanted = r->q->qtype == RR_TXT || r->q->qtype == RR_ANY;
	uint32_t txt = b == NULL || !wanted ? 0 : blob_cold(b)->txt;
	reply_txt(r, b, &txt, txt != 0, ttl_read(&r->zs->conf.ttl));
}

/* Is it of records that follow from instances? */
static bool wants_instances(const struct blob *b, unsigned type)
{
	return type == RR_A || type == RR_AAAA || type == RR_SRV || type == RR_ANY || svcb_wanted(b, type);
}

/* All there is is one instance with a host name: the owner is an alias of that. */
static void answer_alias(struct reply *r, const struct blob *b)
{
	unsigned type = r->q->qtype;
	size_t len;
	const uint8_t *name = blob_target(b, b->n4 + b->n6, &len);
	if (reply_record(r, RR_CNAME, reply_ttl(r, b), name, len) && type != RR_CNAME && type != RR_ANY)
		reply_chase(r, name, len, (size_t)(r->a->w.at - r->a->w.start) - len);
}

/* A set with something special about it, or one port of it (@g). true: that was the answer. */
static bool answer_special(struct reply *r, struct blob *b, const struct blob_group *g)
{
	const struct blob_extra *extra = blob_extra(b);
	if ((b->flags & BLOB_STALE) != 0 && wants_instances(b, r->q->qtype))
		r->a->ede = EDE_STALE;
	bool alias = extra->cname && r->q->labels != r->zone->labels; /* an apex is none: it has the addresses */
	if (!alias && svcb_wanted(b, r->q->qtype)) {
		reply_svcb(r, b, g, false);
		return true;
	}
	if (!alias || is_beside_cname(r->q->qtype))
		return false;
	answer_alias(r, b);
	return true;
}

/* The cold part of the blob is touched only for TXT. @g: the port that the name is for; NULL: any. */
static void answer_set(struct reply *r, struct blob *b, const struct blob_group *g)
{
	unsigned type = r->q->qtype;
	if ((b->flags & BLOB_SERVFAIL) != 0 && wants_instances(b, type)) {
		reply_servfail(r, EDE_NO_REACHABLE_AUTHORITY);
		return;
	}
	if (b->at_extra != 0 && answer_special(r, b, g))
		return;
	if (type == RR_ANY)
		type = b->n4 > 0 ? RR_A : b->n6 > 0 ? RR_AAAA : b->nsrv > 0 ? RR_SRV : RR_TXT;
	if (type == RR_A && b->n4 > 0) {
		reply_addresses(r, b, 4);
	} else if (type == RR_AAAA && b->n6 > 0) {
		reply_addresses(r, b, 6);
	} else if (type == RR_SRV && (g == NULL ? b->nsrv : g->count) > 0) {
		reply_srv(r, b, g);
	} else if (type == RR_TXT) {
		uint32_t txt = blob_cold(b)->txt;
		reply_txt(r, b, &txt, txt != 0, reply_ttl(r, b));
	} else {
		reply_nodata(r);
	}
}

static void answer_ports(struct reply *r, const struct target *t)
{
	unsigned type = r->q->qtype;
	bool svcb = type == RR_SVCB && !t->by_service && svcb_wanted(t->blob, type);
	if ((t->blob->flags & BLOB_SERVFAIL) != 0 && (type == RR_SRV || type == RR_ANY || svcb)) {
		reply_servfail(r, EDE_NO_REACHABLE_AUTHORITY);
	} else if ((type == RR_SRV || type == RR_ANY) && t->group->count > 0) {
		if ((t->blob->flags & BLOB_STALE) != 0)
			r->a->ede = EDE_STALE;
		reply_srv(r, t->blob, t->group);
	} else if (svcb) {
		reply_svcb(r, t->blob, t->group, true);
	} else {
		reply_nodata(r);
	}
}

/* The apex answers what a service answers if it is a vanity name of it. */
static void answer_apex(struct reply *r, const struct target *t)
{
	if (r->q->qtype == RR_SOA || r->q->qtype == RR_ANY)
		reply_soa(r);
	else if (r->q->qtype == RR_NS)
		reply_ns(r);
	else if (t->blob != NULL)
		answer_set(r, t->blob, t->group);
	else
		reply_nodata(r);
}

enum { HOST_TXT_MAX = 32 };

static void answer_address(struct reply *r, const struct target *t)
{
	uint32_t txt[HOST_TXT_MAX];
	if (r->q->qtype == RR_SRV && t->host != UINT32_MAX)
		reply_srv_of_host(r, t->blob, t->host);
	else if (r->q->qtype == RR_TXT)
		reply_txt(r, t->blob, txt, blob_txt_find(t->blob, t->txt_key, txt, HOST_TXT_MAX),
			  ttl_read(&r->zs->conf.ttl_host));
	else
		answer_host(r, t);
}

void reply_target(struct reply *r, const struct target *t)
{
	switch (t->kind) {
	case TARGET_APEX:
		answer_apex(r, t);
		return;
	case TARGET_SET:
		answer_set(r, t->blob, t->group);
		return;
	case TARGET_PORTS:
		answer_ports(r, t);
		return;
	case TARGET_ADDRESS:
		answer_address(r, t);
		return;
	case TARGET_HOST:
		answer_host(r, t);
		return;
	case TARGET_VERSION:
		answer_version(r);
		return;
	case TARGET_NS:
		answer_ns_host(r);
		return;
	case TARGET_POINTER:
		answer_pointer(r, t);
		return;
	case TARGET_EMPTY:
		answer_empty(r, t->blob);
		return;
	case TARGET_ABSENT:
	case TARGET_NONE:
		r->a->rcode = RCODE_NXDOMAIN;
		reply_nodata(r);
		if (r->a->tc)
			r->a->rcode = RCODE_NOERROR;
		return;
	}
}

void reply_name(struct reply *r)
{
	struct target t;
	r->file = rcu_read(&((struct zone *)(uintptr_t)r->zone)->file);
	walk(r->zs, r->q, &t);
	if (__builtin_expect(r->file != NULL, 0))
		reply_merged(r, &t);
	else
		reply_target(r, &t);
}

bool zone_set_has_aliases(const struct dns_query *q)
{
	struct zone *z = (struct zone *)(uintptr_t)q->zone;
	if (z == NULL)
		return false;
	const struct static_zone *file = rcu_read(&z->file);
	return (file != NULL && file->has_aliases) || z->set->conf.hostname_mode == HOSTNAME_CNAME;
}

int zone_set_version(const struct dns_query *q, struct zone_version *ret)
{
	struct zone *z = (struct zone *)(uintptr_t)q->zone;
	if (z == NULL)
		return E_RANGE;
	const struct static_zone *file = rcu_read(&z->file);
	ret->labels = z->labels;
	ret->serial = atomic_load_explicit(&z->serial, memory_order_relaxed);
	ret->expire_sec = file != NULL && file->soa != NULL ? static_soa_expire(file) : ZONE_EXPIRE;
	return E_OK;
}

int zone_set_answer(const struct zone_set *zs, struct dns_query *q, struct dns_answer *a, struct rng *rng)
{
	struct reply r = { .zs = zs, .zone = q->zone, .q = q, .a = a, .rng = rng, .name_at = DNS_HEADER_LEN };
	uint8_t *start = a->w.at;
	a->ede = EDE_NONE;
	a->rcode = RCODE_NOERROR;
	a->aa = a->tc = false;
	a->outside = 0;
	a->ancount = a->nscount = a->arcount = 0;
	if (q->zone == NULL) {
		a->rcode = RCODE_REFUSED;
		a->ede = EDE_NOT_AUTHORITATIVE;
		return -1;
	}
	if (!atomic_load_explicit(&((struct zone_set *)zs)->ready, memory_order_acquire)) {
		reply_servfail(&r, EDE_NOT_READY);
		return q->zone->row;
	}
	if (zone_access(q->zone) != NULL && !zone_allows(q->zone, q)) {
		a->rcode = RCODE_REFUSED;
		a->ede = EDE_PROHIBITED;
		return q->zone->row;
	}
	a->aa = q->qclass != 255; /* ANY */
	reply_name(&r);
	if (__builtin_expect(a->tc, 0)) {
		a->w.at = start; /* a chain may have begun */
		a->outside = 0;
	}
	return q->zone->row;
}

/* answer_set.c - records of instances: which, in what order, and how they are written (dns.md 2.2, 2.3, 2.11). DNS
 * workers. How many fit is known before the first is written. */
#include "zones/address.h"
#include "zones/answer.h"
#include "zones/subset.h"

enum {
	SHUFFLE_MAX = 64,	/* SRV entries that are shuffled by weight; more are rotated */
	SRV_FIXED = RR_FIXED + 6, /* up to the target */
	HOSTS_ONCE = 8192,	/* hosts of which additional records are kept track */
};

/* Addresses of one family in a blob. */
struct addresses {
	const uint8_t *first;
	size_t step, len;
	uint32_t n;
};

static struct addresses addresses_of(const struct blob *b, int family)
{
	if (family == 4)
		return (struct addresses){ (const uint8_t *)b->v4, sizeof(struct blob_v4), 4, b->n4 };
	return (struct addresses){ (const uint8_t *)blob_v6(b), sizeof(struct blob_v6), 16, b->n6 };
}

static uint32_t addresses_pick(const struct addresses *s, struct rng *rng)
{
	struct alias alias;
	uint64_t random = rng_next(rng);
	uint32_t column = alias_column(random, s->n);
	memcpy(&alias, s->first + column * s->step + s->len, sizeof(alias));
	return alias_choose(alias, column, random);
}

static float address_weight(const struct addresses *s, uint32_t i)
{
	float w;
	memcpy(&w, s->first + i * s->step + s->len + sizeof(struct alias), sizeof(w));
	return w;
}

/* The records from index @from to @to; room was made sure of. */
static uint8_t *put_run(uint8_t *at, const struct addresses *s, const uint8_t rr[RR_FIXED], uint32_t from, uint32_t to)
{
	const uint8_t *addr = s->first + from * s->step;
	if (s->len == 4) {
		for (; from < to; from++, addr += sizeof(struct blob_v4), at += RR_FIXED + 4) {
			memcpy(at, rr, RR_FIXED);
			memcpy(at + RR_FIXED, addr, 4);
		}
		return at;
	}
	for (; from < to; from++, addr += sizeof(struct blob_v6), at += RR_FIXED + 16) {
		memcpy(at, rr, RR_FIXED);
		memcpy(at + RR_FIXED, addr, 16);
	}
	return at;
}

/* Efraimidis-Spirakis: the larger log2(u) / w, the earlier. First @n of @count into @ret, count <= @max 256. */
struct ranked {
	float score;
	uint32_t index;
};

static void ranked_insert(struct ranked *list, uint32_t kept, struct ranked r)
{
	for (; kept > 0 && list[kept - 1].score < r.score; kept--)
		list[kept] = list[kept - 1];
	list[kept] = r;
}

static void shuffle_all(const struct addresses *s, struct rng *rng, uint32_t *ret)
{
	struct ranked list[SHUFFLE_MAX];
	for (uint32_t i = 0; i < s->n; i++) {
		float score = subset_log2((uint32_t)(rng_next(rng) >> 32)) / address_weight(s, i);
		ranked_insert(list, i, (struct ranked){ score, i });
	}
	for (uint32_t i = 0; i < s->n; i++)
		ret[i] = list[i].index;
}

static bool among(const uint32_t *list, uint32_t n, uint32_t v)
{
	for (uint32_t i = 0; i < n; i++)
		if (list[i] == v)
			return true;
	return false;
}

/* The same distribution out of many, by drawing until @n differ; a bound on draws keeps the cost that of the answer,
 * and neighbours fill up what a very uneven set leaves. */
static void shuffle_some(const struct addresses *s, struct rng *rng, uint32_t n, uint32_t *ret)
{
	uint32_t kept = 0;
	for (uint32_t draws = 8 * n + 16; draws > 0 && kept < n; draws--) {
		uint32_t i = addresses_pick(s, rng);
		if (!among(ret, kept, i))
			ret[kept++] = i;
	}
	for (uint32_t i = rng_below(rng, s->n); kept < n; i = i + 1 < s->n ? i + 1 : 0)
		if (!among(ret, kept, i))
			ret[kept++] = i;
}

/* How the addresses are taken: @n of them; @list NULL: all, rotated to @start. */
struct selection {
	uint32_t n, start;
	const uint32_t *list;
};

static uint64_t window_of(const struct reply *r)
{
	int64_t rotate = __atomic_load_n(&r->zs->conf.subset_rotate_ms, __ATOMIC_RELAXED);
	return rotate <= 0 || r->q->now_ms < 0 ? 0 : (uint64_t)(r->q->now_ms / rotate);
}

/* @fit: records that fit, > 0. Returns false when only all would do and they do not fit. @room: BLOB_CAP_MAX. */
static bool select_addresses(struct reply *r, struct blob *b, int family, const struct addresses *s, uint32_t fit,
			     uint32_t *room, struct selection *ret)
{
	uint32_t most = b->cap < fit ? b->cap : fit, n = s->n < most ? s->n : most;
	*ret = (struct selection){ .n = n, .list = room };
	switch ((enum select_mode)b->mode) {
	case SELECT_ONE:
		room[0] = addresses_pick(s, r->rng);
		ret->n = 1;
		r->a->pick = PICK_ONE;
		return true;
	case SELECT_SHUFFLE:
		r->a->pick = PICK_SHUFFLE;
		if (s->n <= SHUFFLE_MAX)
			shuffle_all(s, r->rng, room);
		else
			shuffle_some(s, r->rng, n, room);
		return true;
	case SELECT_SUBSET:
		r->a->pick = PICK_SUBSET;
		ret->n = subset_choose(b, family, r->q->client, window_of(r), n, room);
		return true;
	case SELECT_HASH:
		r->a->pick = PICK_SUBSET;
		ret->n = subset_choose(b, family, r->q->client, 0, 1, room);
		return true;
	case SELECT_AUTO:
		if (s->n > most) {
			r->a->pick = PICK_SUBSET;
			ret->n = subset_choose(b, family, r->q->client, window_of(r), n, room);
			return true;
		}
		break;
	case SELECT_ALL:
		break;
	}
	r->a->pick = s->n > 1 ? PICK_FIRST : PICK_NONE;
	*ret = (struct selection){ s->n, s->n == 1 ? 0 : addresses_pick(s, r->rng), NULL };
	return s->n <= fit;
}

void reply_addresses(struct reply *r, struct blob *b, int family)
{
	struct addresses s = addresses_of(b, family);
	uint32_t room[BLOB_CAP_MAX], size = (uint32_t)(RR_FIXED + s.len);
	uint32_t fit = (uint32_t)(reply_room(r) / (family == 4 ? RR_FIXED + 4u : RR_FIXED + 16u));
	struct selection chosen;
	uint8_t rr[RR_FIXED];
	if (fit == 0 || !select_addresses(r, b, family, &s, fit, room, &chosen)) {
		reply_truncate(r);
		return;
	}
	uint8_t *at = writer_claim(&r->a->w, chosen.n * (size_t)size);
	put_rr(rr, reply_owner(r), family == 4 ? RR_A : RR_AAAA, reply_ttl(r, b), (unsigned)s.len);
	if (chosen.list == NULL) {
		at = put_run(at, &s, rr, chosen.start, s.n);
		put_run(at, &s, rr, 0, chosen.start);
	} else {
		for (uint32_t i = 0; i < chosen.n; i++)
			at = put_run(at, &s, rr, chosen.list[i], chosen.list[i] + 1);
	}
	r->a->ancount = (uint16_t)chosen.n;
}

uint32_t reply_choose(struct reply *r, struct blob *b, int family, uint32_t max, uint8_t *to)
{
	struct addresses s = addresses_of(b, family);
	uint32_t room[BLOB_CAP_MAX];
	struct selection chosen;
	if (s.n == 0 || !select_addresses(r, b, family, &s, max, room, &chosen))
		return 0;
	for (uint32_t i = 0; i < chosen.n; i++) {
		uint32_t at = chosen.list != NULL ? chosen.list[i] : (chosen.start + i) % s.n;
		memcpy(to + i * s.len, s.first + at * s.step, s.len);
	}
	return chosen.n;
}

/* Some SRV entries of a blob in the order of the answer. */
struct srv_list {
	const struct blob *blob;
	const struct blob_srv *srv;
	const uint32_t *members; /* NULL: entries @base..@base + n */
	uint32_t base, n;
	uint32_t start, count;	 /* of the answer */
	const uint8_t *order;	 /* NULL: rotated to @start */
};

static const struct blob_srv *srv_entry(const struct srv_list *l, uint32_t i)
{
	return &l->srv[l->members != NULL ? l->members[i] : l->base + i];
}

static const struct blob_srv *srv_answered(const struct srv_list *l, uint32_t i)
{
	if (l->order != NULL)
		return srv_entry(l, l->order[i]);
	i += l->start;
	return srv_entry(l, i < l->n ? i : i - l->n);
}

/* By priority, and by a weighted shuffle inside one. */
static void srv_shuffle(const struct srv_list *l, struct rng *rng, uint8_t *order)
{
	struct ranked list[SHUFFLE_MAX];
	for (uint32_t i = 0; i < l->n; i++) {
		const struct blob_srv *e = srv_entry(l, i);
		float score = subset_log2((uint32_t)(rng_next(rng) >> 32)) / (float)e->weight;
		uint32_t at = i;
		for (; at > 0; at--) {
			const struct blob_srv *before = srv_entry(l, list[at - 1].index);
			if (before->priority < e->priority ||
			    (before->priority == e->priority && list[at - 1].score >= score))
				break;
			list[at] = list[at - 1];
		}
		list[at] = (struct ranked){ score, i };
	}
	for (uint32_t i = 0; i < l->n; i++)
		order[i] = (uint8_t)list[i].index;
}

/* Does SRV point at it by a name of its own? */
static bool host_is_named(const struct blob *b, uint32_t host)
{
	return host >= b->n4 + b->n6;
}

static const uint8_t *host_address(const struct blob *b, uint32_t host, int *family)
{
	*family = host < b->n4 ? 4 : 6;
	return host < b->n4 ? b->v4[host].addr : blob_v6(b)[host - b->n4].addr;
}

static uint8_t *put_srv_named(uint8_t *at, const struct reply *r, const struct srv_list *l, const struct blob_srv *e)
{
	size_t len;
	const uint8_t *name = blob_target(l->blob, e->host, &len);
	at = put_rr(at, reply_owner(r), RR_SRV, reply_ttl(r, l->blob), (unsigned)(6 + len));
	at = put16(put16(put16(at, e->priority), e->weight), e->port);
	memcpy(at, name, len);
	return at + len;
}

static uint8_t *put_srv(uint8_t *at, const struct reply *r, const struct srv_list *l, const struct blob_srv *e)
{
	int family;
	if (host_is_named(l->blob, e->host))
		return put_srv_named(at, r, l, e);
	const uint8_t *addr = host_address(l->blob, e->host, &family);
	uint8_t *label = at + SRV_FIXED;
	size_t len = family == 4 ? address_format4(label + 1, addr) : address_format6(label + 1, addr);
	size_t target = 1 + len + 2 + r->zone->len;
	label[0] = (uint8_t)len;
	memcpy(label + 1 + len, "\001i", 2);
	memcpy(label + 3 + len, r->zone->name, r->zone->len);
	at = put_rr(at, reply_owner(r), RR_SRV, reply_ttl(r, l->blob), (unsigned)(6 + target));
	put16(put16(put16(at, e->priority), e->weight), e->port);
	return label + target;
}

/* Addresses of the targets, in answer order, once each, until the room ends. @at: the first SRV record. */
static void put_srv_additional(struct reply *r, const struct srv_list *l, const uint8_t *at)
{
	uint64_t seen[HOSTS_ONCE / 64];
	const struct blob *b = l->blob;
	if (b->n4 + b->n6 > HOSTS_ONCE || r->zs->conf.minimal_responses)
		return;
	memset(seen, 0, (b->n4 + b->n6 + 63) / 64 * 8);
	for (uint32_t i = 0; i < l->count; i++) {
		uint32_t host = srv_answered(l, i)->host;
		size_t target = (size_t)(at - r->a->w.start) + SRV_FIXED;
		int family;
		if (host_is_named(b, host)) { /* of another zone, or answered there by itself */
			at += RR_FIXED + (size_t)(at[RR_FIXED - 2] << 8 | at[RR_FIXED - 1]);
			continue;
		}
		const uint8_t *addr = host_address(b, host, &family);
		unsigned len = family == 4 ? 4 : 16;
		if (target >= POINTER_END || RR_FIXED + len > reply_room(r))
			return;
		at += RR_FIXED + (size_t)(at[RR_FIXED - 2] << 8 | at[RR_FIXED - 1]);
		if ((seen[host / 64] >> host % 64 & 1) != 0)
			continue;
		seen[host / 64] |= (uint64_t)1 << host % 64;
		uint8_t *to = writer_claim(&r->a->w, RR_FIXED + len);
		to = put_rr(to, 0xc000 | (unsigned)target, family == 4 ? RR_A : RR_AAAA, ttl_read(&r->zs->conf.ttl_host), len);
		memcpy(to, addr, len);
		r->a->arcount++;
	}
}

/* @label_bytes: of all targets. A set too large for any message is cut to a run of what fits on a stream, where a
 * TC would leave the client with nothing; over UDP TC sends it there. */
static void reply_srv_list(struct reply *r, struct srv_list *l, uint32_t label_bytes)
{
	uint8_t order[SHUFFLE_MAX];
	size_t each = SRV_FIXED + 2u + r->zone->len, most = each + 1 + ADDRESS_LABEL_MAX;
	bool whole = l->n * each + label_bytes <= reply_room(r);
	if (l->blob->at_extra != 0)
		most = SRV_FIXED + DNS_NAME_MAX;
	if (!whole && (!r->q->stream || reply_room(r) < most)) {
		reply_truncate(r);
		return;
	}
	if (whole && l->n <= SHUFFLE_MAX) {
		srv_shuffle(l, r->rng, order);
		l->order = order;
	} else {
		l->start = rng_below(r->rng, l->n);
	}
	uint8_t *first = r->a->w.at;
	for (; l->count < l->n && (whole || reply_room(r) >= most); l->count++)
		r->a->w.at = put_srv(r->a->w.at, r, l, srv_answered(l, l->count));
	r->a->ancount = (uint16_t)l->count;
	put_srv_additional(r, l, first);
}

void reply_srv(struct reply *r, const struct blob *b, const struct blob_group *g)
{
	struct srv_list l = { .blob = b, .srv = blob_srv(b), .n = b->nsrv };
	if (g != NULL && !g->whole) {
		l.members = (const uint32_t *)blob_at(b, blob_cold(b)->at_members) + g->first;
		l.n = g->count;
	}
	reply_srv_list(r, &l, g != NULL ? g->label_bytes : b->label_bytes);
}

void reply_srv_of_host(struct reply *r, const struct blob *b, uint32_t host)
{
	struct srv_list l = { .blob = b, .srv = blob_srv(b) };
	uint8_t label[ADDRESS_LABEL_MAX];
	int family;
	const uint8_t *addr = host_address(b, host, &family);
	size_t len = family == 4 ? address_format4(label, addr) : address_format6(label, addr);
	l.n = blob_srv_of_host(b, host, &l.base);
	if (l.n == 0)
		reply_nodata(r);
	else
		reply_srv_list(r, &l, l.n * (uint32_t)(1 + len));
}

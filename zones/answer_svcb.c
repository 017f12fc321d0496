/* answer_svcb.c - answers of HTTPS and SVCB records, whose data svcb.c makes, with the addresses that belong to them. DNS
 * workers. */
#include "zones/answer.h"
#include "zones/svcb.h"

enum { RECORDS_MAX = 64 };

/* The addresses again, as records of the owner, as far as they fit. */
static void put_addresses(struct reply *r, const struct blob *b, const uint8_t *addresses, uint32_t n, unsigned type)
{
	unsigned len = type == RR_A ? 4 : 16;
	if (n * (size_t)(RR_FIXED + len) > reply_room(r) || r->zs->conf.minimal_responses)
		return;
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *to = writer_claim(&r->a->w, RR_FIXED + len);
		memcpy(put_rr(to, reply_owner(r), type, reply_ttl(r, b), len), addresses + i * len, len);
	}
	r->a->arcount = (uint16_t)(r->a->arcount + n);
}

static void reply_one(struct reply *r, struct blob *b, const struct svcb_set *set, bool at_port)
{
	uint8_t v4[4 * SVCB_HINTS_MAX], v6[16 * SVCB_HINTS_MAX], rdata[SVCB_ONE_MAX];
	struct svcb_hints hints = { v4, v6, reply_choose(r, b, 4, SVCB_HINTS_MAX, v4), reply_choose(r, b, 6, SVCB_HINTS_MAX, v6) };
	const struct dns_query *q = r->q;
	size_t len = svcb_put_one(rdata, set, at_port ? q->name + q->label_at[2] : NULL,
				  at_port ? (size_t)(q->qname_len - q->label_at[2]) : 0, &hints);
	if (!reply_record(r, q->qtype, reply_ttl(r, b), rdata, len) || at_port)
		return;
	put_addresses(r, b, v4, hints.n4, RR_A);
	put_addresses(r, b, v6, hints.n6, RR_AAAA);
}

/* The addresses of the targets of @n records from @at on, which are of entry @first and those behind it: once each. */
static void put_hosts(struct reply *r, const struct svcb_set *set, const uint8_t *at, uint32_t first, uint32_t n)
{
	const struct blob *b = set->blob;
	uint32_t seen[RECORDS_MAX], seen_count = 0;
	for (; n > 0 && !r->zs->conf.minimal_responses; n--, first = first + 1 < set->entries ? first + 1 : 0) {
		size_t target = (size_t)(at - r->a->w.start) + RR_FIXED + 2; /* behind the priority */
		uint32_t host = svcb_entry(set, first)->host, i = 0;
		at += RR_FIXED + (size_t)(at[RR_FIXED - 2] << 8 | at[RR_FIXED - 1]);
		bool four = host < b->n4;
		while (i < seen_count && seen[i] != host)
			i++;
		if (i < seen_count || host >= b->n4 + b->n6)
			continue; /* given, or of another zone */
		if (target >= POINTER_END || RR_FIXED + (four ? 4u : 16u) > reply_room(r))
			return;
		seen[seen_count++] = host;
		uint8_t *to = writer_claim(&r->a->w, RR_FIXED + (four ? 4u : 16u));
		to = put_rr(to, 0xc000 | (unsigned)target, four ? RR_A : RR_AAAA, ttl_read(&r->zs->conf.ttl_host), four ? 4 : 16);
		memcpy(to, four ? b->v4[host].addr : blob_v6(b)[host - b->n4].addr, four ? 4 : 16);
		r->a->arcount++;
	}
}

/* One record for each instance, at most RECORDS_MAX of them. */
static void reply_each(struct reply *r, const struct blob *b, const struct svcb_set *set)
{
	uint32_t all = set->entries, n = all < RECORDS_MAX ? all : RECORDS_MAX, first = rng_below(r->rng, all), at = first;
	uint8_t *start = r->a->w.at, rdata[SVCB_EACH_MAX];
	for (uint32_t i = 0; i < n; i++, at = at + 1 < all ? at + 1 : 0) {
		if (reply_record(r, r->q->qtype, reply_ttl(r, b), rdata, svcb_put_entry(rdata, set, at)))
			continue;
		r->a->w.at = start; /* never a part of it */
		return;
	}
	put_hosts(r, set, start, first, n);
}

void reply_svcb(struct reply *r, struct blob *b, const struct blob_group *g, bool at_port)
{
	struct svcb_set set = svcb_set_of(b, g, r->zone, r->q->qtype);
	if (set.entries == 0)
		reply_nodata(r);
	else if (set.one)
		reply_one(r, b, &set, at_port);
	else
		reply_each(r, b, &set);
}

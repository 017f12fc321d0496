/* blob_build.c - from rows to a blob: who is answered (dns.md 2.1), distinct addresses with added weights and their
 * alias tables, SRV entries, port names, TXT. Everything is laid out in scratch memory first, so a refused
 * allocation leaves nothing behind. Control thread. */
#include "base/error.h"
#include "base/mem.h"
#include "zones/address.h"
#include "zones/blob_set.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCALE_MAX = 24, RADIX_FROM = 48 };

/* Nacos' rule over the enabled instances (nacos-naming.md 7.6), weights not considered. */
static bool protects(const struct blob_builder *bb)
{
	if (bb->conf->protect == PROTECT_OFF || bb->total == 0)
		return false;
	if (bb->conf->protect == PROTECT_NACOS && !bb->info->stored)
		return false;
	double threshold = bb->info->protect_threshold < 0 ? 0 : bb->info->protect_threshold;
	return (float)bb->healthy / (float)bb->total <= (float)threshold;
}

/* Calls for each row, and for each one with a host name. */
static void rows_each(struct blob_builder *bb, void (*each)(struct blob_builder *bb, struct row *r, void *arg), void *arg)
{
	struct row *rows = bb->rows.at;
	struct named_row *named = bb->named.at;
	for (uint32_t i = 0; i < bb->row_count; i++)
		each(bb, &rows[i], arg);
	for (uint32_t i = 0; i < bb->named_count; i++)
		each(bb, &named[i].row, arg);
}

struct census {
	uint32_t candidates, healthy;
	bool all;
};

static void row_count(struct blob_builder *bb, struct row *r, void *arg)
{
	struct census *c = arg;
	(void)bb;
	c->candidates += r->candidate;
	c->healthy += r->candidate && r->healthy;
}

static void row_answer(struct blob_builder *bb, struct row *r, void *arg)
{
	const struct census *c = arg;
	(void)bb;
	r->answered = r->candidate && (c->all || r->healthy);
}

static void row_weigh(struct blob_builder *bb, struct row *r, void *arg)
{
	(void)arg;
	if (r->answered && r->whole > bb->weight_max)
		bb->weight_max = r->whole;
	bb->plain_answered |= r->answered && !r->named && r->family != 0;
}

/* Was it answered until now? */
static bool was_answered(const struct blob *b, const struct row *r)
{
	uint32_t host, txt, first;
	if (!blob_address_find(b, r->family, r->addr, &host, &txt) || host == UINT32_MAX)
		return false;
	uint32_t n = r->port == 0 ? 0 : blob_srv_of_host(b, host, &first);
	for (uint32_t i = 0; i < n; i++)
		if (blob_srv(b)[first + i].port == r->port)
			return true;
	return r->port == 0;
}

/* Nobody is well: for a while those are answered that were last, as far as they are still there. Who that was is not
 * known at a start: a restart makes no service empty, so all are then. Returns whether. */
static bool rows_hold(struct blob_builder *bb)
{
	struct row *rows = bb->rows.at;
	struct named_row *named = bb->named.at;
	const struct blob *before = bb->before;
	const struct blob_extra *extra = before == NULL ? NULL : blob_extra(before);
	int64_t since = extra != NULL && extra->held_ms != 0 ? extra->held_ms : bb->now_ms;
	bool known = before != NULL && before->n4 + before->n6 + before->nsrv > 0, any = false;
	if (!(known || bb->starting) || bb->now_ms - since >= bb->conf->last_max_ms)
		return false;
	for (uint32_t i = 0; i < bb->row_count; i++)
		any |= rows[i].answered = rows[i].candidate && (!known || was_answered(before, &rows[i]));
	for (uint32_t i = 0; i < bb->named_count; i++)
		any |= named[i].row.answered = named[i].row.candidate && (!known || named_was_answered(before, &named[i]));
	bb->held_ms = any ? since : 0;
	return any;
}

/* The policy for sets in which nobody is well. Returns blob flags. */
static unsigned rows_despair(struct blob_builder *bb)
{
	switch (bb->rules.all_unhealthy) {
	case UNHEALTHY_SERVFAIL:
		return BLOB_SERVFAIL;
	case UNHEALTHY_NXDOMAIN:
		return BLOB_ABSENT;
	case UNHEALTHY_LAST:
		return rows_hold(bb) ? BLOB_STALE : 0;
	default:
		return 0;
	}
}

/* Marks the rows that are answered. Returns blob flags. */
static unsigned rows_choose(struct blob_builder *bb)
{
	struct census c = { 0, 0, false };
	unsigned flags = 0;
	rows_each(bb, row_count, &c);
	c.all = protects(bb) || (c.healthy == 0 && bb->rules.all_unhealthy == UNHEALTHY_OPEN);
	bb->held_ms = 0;
	bb->plain_answered = false;
	rows_each(bb, row_answer, &c);
	if (c.candidates > 0 && c.healthy == 0 && !c.all)
		flags = rows_despair(bb);
	rows_each(bb, row_weigh, NULL);
	return flags;
}

static uint32_t load_be32(const uint8_t *a)
{
	return (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3];
}

/* Sorts by the high halves; stable. @other: as much scratch. Returns where the result is. */
static uint64_t *sort_high(uint64_t *keys, uint64_t *other, uint32_t n)
{
	if (n < RADIX_FROM) {
		for (uint32_t i = 1; i < n; i++) {
			uint64_t key = keys[i];
			uint32_t at = i;
			for (; at > 0 && keys[at - 1] > key; at--)
				keys[at] = keys[at - 1];
			keys[at] = key;
		}
		return keys;
	}
	for (unsigned shift = 32; shift < 64; shift += 8) {
		uint32_t starts[257] = { 0 };
		for (uint32_t i = 0; i < n; i++)
			starts[(keys[i] >> shift & 255) + 1]++;
		if (starts[(keys[0] >> shift & 255) + 1] == n)
			continue;
		for (unsigned i = 0; i < 256; i++)
			starts[i + 1] += starts[i];
		for (uint32_t i = 0; i < n; i++)
			other[starts[keys[i] >> shift & 255]++] = keys[i];
		uint64_t *swap = keys;
		keys = other;
		other = swap;
	}
	return keys;
}

static int compare6(const void *a, const void *b, void *rows_at)
{
	const struct row *rows = rows_at;
	uint32_t i = (uint32_t)*(const uint64_t *)a, j = (uint32_t)*(const uint64_t *)b;
	int order = memcmp(rows[i].addr, rows[j].addr, 16);
	return order != 0 ? order : i < j ? -1 : i > j;
}

/* Row numbers (low halves), IPv4 first, each family by address. NULL: no memory. */
static const uint64_t *rows_sort(struct blob_builder *bb)
{
	uint32_t n = bb->row_count, n4 = bb->row4_count;
	const struct row *rows = bb->rows.at;
	uint64_t *keys = scratch_reserve(&bb->keys, (n + 1) * sizeof(*keys));
	uint64_t *other = scratch_reserve(&bb->keys2, (n + 1) * sizeof(*keys));
	uint32_t at4 = 0, at6 = n4;
	if (keys == NULL || other == NULL)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		if (rows[i].family == 4)
			keys[at4++] = (uint64_t)load_be32(rows[i].addr) << 32 | i;
		else
			keys[at6++] = i;
	}
	uint64_t *sorted = sort_high(keys, other, n4);
	if (n > n4) {
		qsort_r(keys + n4, n - n4, sizeof(*keys), compare6, bb->rows.at);
		if (sorted != keys)
			memcpy(sorted + n4, keys + n4, (n - n4) * sizeof(*keys));
	}
	return sorted;
}

/* Adds @r's ports to the entries of its host, the last ones from @from on; the same port twice adds weights. */
void host_ports(struct blob_builder *bb, const struct row *r, uint32_t host, uint32_t from)
{
	const struct port_row *p = (struct port_row *)bb->ports.at + r->first_port;
	struct srv_row *srv = bb->srv.at;
	for (uint32_t i = 0; i < r->ports; i++, p++) {
		uint32_t at = bb->srv_count;
		uint32_t order = (uint32_t)p->port << 16 | p->priority;
		while (at > from && ((uint32_t)srv[at - 1].port << 16 | srv[at - 1].priority) > order)
			at--;
		if (at > from && srv[at - 1].port == p->port && srv[at - 1].priority == p->priority) {
			srv[at - 1].weight += r->weight;
			srv[at - 1].groups |= p->groups;
			continue;
		}
		memmove(srv + at + 1, srv + at, (bb->srv_count - at) * sizeof(*srv));
		srv[at] = (struct srv_row){ r->weight, p->groups, host, p->port, p->priority, p->alpn };
		bb->srv_count++;
	}
}

static void host_txt(struct blob_builder *bb, const struct row *r, enum txt_class class, uint32_t index)
{
	struct blob_txt *txts = bb->txts.at;
	uint32_t host = (uint32_t)class << 30 | index;
	if (!bb->txt_any || bb->txt_uniform || r->txt == 0)
		return;
	for (uint32_t i = bb->txt_count; i > 0 && txts[i - 1].host == host; i--)
		if (txts[i - 1].at == r->txt - 1)
			return;
	txts[bb->txt_count++] = (struct blob_txt){ host, r->txt - 1 };
}

/* Rows @keys[from..to) have one address. Returns whether it is answered. */
static void host_emit(struct blob_builder *bb, const uint64_t *keys, uint32_t from, uint32_t to)
{
	const struct row *rows = bb->rows.at;
	const struct row *first = &rows[(uint32_t)keys[from]];
	bool v4 = first->family == 4, answered = false;
	uint32_t *n = v4 ? &bb->n4 : &bb->n6, srv_from = bb->srv_count;
	double weight = 0;
	for (uint32_t k = from; k < to; k++)
		answered |= rows[(uint32_t)keys[k]].answered;
	if (!answered)
		n = v4 ? &bb->idle4 : &bb->idle6;
	struct scratch *addrs = answered ? (v4 ? &bb->addr4 : &bb->addr6)
					 : (v4 ? &bb->idle_addr4 : &bb->idle_addr6);
	enum txt_class class = answered ? (v4 ? TXT_V4 : TXT_V6) : (v4 ? TXT_IDLE4 : TXT_IDLE6);
	size_t len = v4 ? 4 : 16;
	memcpy((char *)addrs->at + *n * len, first->addr, len);
	for (uint32_t k = from; k < to; k++) {
		const struct row *r = &rows[(uint32_t)keys[k]];
		host_txt(bb, r, class, *n);
		if (!r->answered)
			continue;
		weight += r->weight;
		host_ports(bb, r, bb->n4 + bb->n6, srv_from);
	}
	if (answered)
		((float *)bb->weights.at)[bb->n4 + bb->n6] = (float)weight;
	(*n)++;
}

static bool same_address(const struct blob_builder *bb, uint64_t a, uint64_t b)
{
	const struct row *rows = bb->rows.at;
	const struct row *i = &rows[(uint32_t)a], *j = &rows[(uint32_t)b];
	return i->family == j->family && memcmp(i->addr, j->addr, i->family == 4 ? 4 : 16) == 0;
}

static int scratch_for_hosts(struct blob_builder *bb)
{
	size_t n = (size_t)bb->row_count + 1;
	bool ok = scratch_reserve(&bb->addr4, 4 * n) != NULL && scratch_reserve(&bb->addr6, 16 * n) != NULL &&
		  scratch_reserve(&bb->idle_addr4, 4 * n) != NULL &&
		  scratch_reserve(&bb->idle_addr6, 16 * n) != NULL &&
		  scratch_reserve(&bb->weights, n * sizeof(float)) != NULL &&
		  scratch_reserve(&bb->alias, n * sizeof(struct alias)) != NULL &&
		  scratch_reserve(&bb->work, 2 * n * sizeof(uint32_t)) != NULL &&
		  scratch_reserve(&bb->share, n * sizeof(double)) != NULL &&
		  scratch_reserve(&bb->txts, n * sizeof(struct blob_txt)) != NULL &&
		  scratch_reserve(&bb->srv, (bb->port_count + 1) * sizeof(struct srv_row)) != NULL;
	return ok ? E_OK : E_NOMEM;
}

static int compare_txt(const void *a, const void *b)
{
	uint32_t i = ((const struct blob_txt *)a)->host, j = ((const struct blob_txt *)b)->host;
	return i < j ? -1 : i > j;
}

/* Distinct addresses with their weights, ports and TXT. E_NOMEM. */
static int hosts_gather(struct blob_builder *bb)
{
	bb->n4 = bb->n6 = bb->idle4 = bb->idle6 = bb->txt_count = bb->srv_count = 0;
	const uint64_t *keys = rows_sort(bb);
	if (keys == NULL || scratch_for_hosts(bb) < 0)
		return E_NOMEM;
	for (uint32_t from = 0, to; from < bb->row_count; from = to) {
		for (to = from + 1; to < bb->row_count && same_address(bb, keys[from], keys[to]); to++)
			;
		host_emit(bb, keys, from, to);
	}
	if (bb->idle4 + bb->idle6 + bb->n6 > 0)
		qsort(bb->txts.at, bb->txt_count, sizeof(struct blob_txt), compare_txt);
	return named_emit(bb);
}

/* k of dns.md 2.3: the largest for which the heaviest instance stays within 16 bits. */
static int scale_of(double weight_max)
{
	int k = 0;
	while (weight_max > 0 && k < SCALE_MAX && ldexp(weight_max, k + 1) <= 65535)
		k++;
	return k;
}

/* @scale: 2^k */
static uint16_t srv_weight(double weight, double scale)
{
	double w = weight * scale + 0.5;
	return w < 1 ? 1 : w > 65535 ? 65535 : (uint16_t)w;
}

/* Alias tables; @first: of the hosts' weights. */
static const struct alias *aliases_build(struct blob_builder *bb, uint32_t first, uint32_t n)
{
	const float *w = (const float *)bb->weights.at + first;
	struct alias *ret = bb->alias.at;
	bool even = true;
	for (uint32_t i = 1; i < n; i++)
		even &= w[i] == w[0];
	for (uint32_t i = 0; even && i < n; i++)
		ret[i] = (struct alias){ UINT32_MAX, i };
	if (!even)
		alias_build(ret, w, n, bb->work.at, bb->share.at);
	return ret;
}

static uint32_t aligned(uint32_t n, uint32_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* Where everything will lie. */
struct layout {
	uint32_t at_v6, at_srv, at_groups, at_members, at_idle4, at_idle6, at_txts, at_pool, at_extra, at_parts,
	    at_cold, size, members;
};

static uint32_t members_count(const struct blob_builder *bb)
{
	const struct srv_row *srv = bb->srv.at;
	uint32_t n = 0;
	uint64_t any = 0, all = UINT64_MAX;
	for (uint32_t i = 0; i < bb->srv_count; i++) {
		any |= srv[i].groups;
		all &= srv[i].groups;
	}
	for (uint64_t mixed = any & ~all, i = 0; mixed != 0 && i < bb->srv_count; i++)
		n += (uint32_t)__builtin_popcountll(srv[i].groups & mixed);
	return n;
}

static struct layout layout_of(const struct blob_builder *bb, uint32_t parts)
{
	struct layout l;
	uint32_t at = (uint32_t)sizeof(struct blob) + bb->n4 * (uint32_t)sizeof(struct blob_v4);
	bool txt_each = bb->txt_any && !bb->txt_uniform;
	l.members = members_count(bb);
	l.at_v6 = at;
	l.at_srv = at += bb->n6 * (uint32_t)sizeof(struct blob_v6);
	l.at_groups = at += bb->srv_count * (uint32_t)sizeof(struct blob_srv);
	l.at_members = at += bb->group_count * (uint32_t)sizeof(struct blob_group);
	l.at_idle4 = at += l.members * 4;
	l.at_idle6 = at += bb->idle4 * 4;
	l.at_txts = at += bb->idle6 * 16;
	at += txt_each ? bb->txt_count * (uint32_t)sizeof(struct blob_txt) : 0;
	l.at_pool = at;
	at = aligned(at + bb->txt_len, 8);
	uint32_t extra = extra_size(bb);
	l.at_extra = extra == 0 ? 0 : at;
	l.at_cold = at = aligned(at + extra, 8);
	l.at_parts = at += (uint32_t)sizeof(struct blob_cold);
	l.size = at + parts * (uint32_t)sizeof(struct blob_part);
	return l;
}

static void put_addresses(struct blob_builder *bb, struct blob *b)
{
	struct blob_v6 *v6 = (void *)((char *)b + b->at_v6);
	const float *w = bb->weights.at;
	const struct alias *alias = b->n4 > 0 ? aliases_build(bb, 0, b->n4) : NULL;
	for (uint32_t i = 0; i < b->n4; i++) {
		memcpy(b->v4[i].addr, (const char *)bb->addr4.at + 4 * (size_t)i, 4);
		b->v4[i].pick = alias[i];
		b->v4[i].weight = w[i];
	}
	alias = b->n6 > 0 ? aliases_build(bb, b->n4, b->n6) : NULL;
	for (uint32_t i = 0; i < b->n6; i++) {
		memcpy(v6[i].addr, (const char *)bb->addr6.at + 16 * (size_t)i, 16);
		v6[i].pick = alias[i];
		v6[i].weight = w[b->n4 + i];
	}
}

static uint32_t label_bytes(const struct blob_builder *bb, uint32_t host)
{
	uint8_t label[ADDRESS_LABEL_MAX];
	const uint8_t *a4 = bb->addr4.at, *a6 = bb->addr6.at;
	if (host >= bb->n4 + bb->n6) /* more than what it takes: the zone's name is not behind it */
		return ((const struct host_name *const *)bb->targets.at)[host - bb->n4 - bb->n6]->wire_len;
	return 1 + (uint32_t)(host < bb->n4 ? address_format4(label, a4 + 4 * (size_t)host)
					    : address_format6(label, a6 + 16 * (size_t)(host - bb->n4)));
}

static void put_srv(struct blob_builder *bb, struct blob *b, double scale)
{
	const struct srv_row *row = bb->srv.at;
	struct blob_srv *srv = (void *)((char *)b + b->at_srv);
	for (uint32_t i = 0, len = 0; i < b->nsrv; i++) {
		srv[i] = (struct blob_srv){ row[i].priority, srv_weight(row[i].weight, scale), row[i].port, row[i].alpn,
					    row[i].host };
		if (i == 0 || row[i].host != row[i - 1].host)
			len = label_bytes(bb, row[i].host);
		b->label_bytes += len;
		if (row[i].priority != row[0].priority)
			b->flags |= BLOB_PRIORITIES;
	}
}

static void put_groups(struct blob_builder *bb, struct blob *b, const struct layout *l)
{
	const struct srv_row *row = bb->srv.at;
	struct blob_group *g = (void *)((char *)b + l->at_groups);
	uint32_t *members = (void *)((char *)b + l->at_members), used = 0;
	for (uint32_t k = 0; k < bb->group_count; k++, g++) {
		memcpy(g->name, bb->groups[k].name, sizeof(g->name));
		g->udp = bb->groups[k].udp;
		g->registered = bb->groups[k].registered;
		for (uint32_t i = 0; g->registered && i < b->nsrv; i++)
			g->count += (uint32_t)(row[i].groups >> k & 1);
		g->whole = g->count == b->nsrv;
		g->label_bytes = g->whole ? b->label_bytes : 0;
		g->first = used;
		for (uint32_t i = 0; !g->whole && g->count > 0 && i < b->nsrv; i++)
			if (row[i].groups >> k & 1) {
				members[used++] = i;
				g->label_bytes += label_bytes(bb, row[i].host);
			}
	}
}

static void put_cold(struct blob_builder *bb, struct blob *b, const struct layout *l)
{
	struct blob_cold *c = (void *)((char *)b + l->at_cold);
	char *base = (char *)b;
	const struct row *rows = bb->rows.at;
	struct blob_txt *txts = (void *)(base + l->at_txts);
	*c = (struct blob_cold){ .slab = bb->slab, .refs = 1, .idle4 = bb->idle4, .idle6 = bb->idle6, .at_idle4 = l->at_idle4,
				 .at_idle6 = l->at_idle6, .groups = bb->group_count,
				 .at_members = l->at_members, .at_txts = l->at_txts, .dropped = bb->dropped,
				 .at_parts = l->at_parts, .at_self = l->at_cold };
	if (bb->idle4 > 0)
		memcpy(base + l->at_idle4, bb->idle_addr4.at, 4 * (size_t)bb->idle4);
	if (bb->idle6 > 0)
		memcpy(base + l->at_idle6, bb->idle_addr6.at, 16 * (size_t)bb->idle6);
	if (bb->txt_len > 0)
		memcpy(base + l->at_pool, bb->txt_pool.at, bb->txt_len);
	if (bb->txt_any && bb->txt_uniform)
		c->txt_all = l->at_pool + rows[0].txt - 1;
	if (!bb->txt_any || bb->txt_uniform)
		return;
	c->txts = bb->txt_count;
	memcpy(txts, bb->txts.at, bb->txt_count * sizeof(*txts));
	for (uint32_t i = 0; i < c->txts; i++)
		txts[i].at += l->at_pool;
}

struct blob *set_compile(struct blob_builder *bb, const struct instance *const *list, uint32_t n,
			 const struct set_extra *extra)
{
	bb->before = extra->before;
	if (rows_gather(bb, list, n) < 0)
		return NULL;
	unsigned flags = rows_choose(bb);
	int64_t txt = extra->metadata == NULL ? 0 : txt_append(bb, extra->name, NULL, *extra->metadata);
	if (txt < 0 || hosts_gather(bb) < 0)
		return NULL;
	struct layout l = layout_of(bb, extra->parts);
	struct blob *b = blob_alloc(bb->slab, l.size);
	if (b == NULL)
		return NULL;
	int scale = extra->scale >= 0 ? extra->scale : scale_of(bb->weight_max);
	memset(b, 0, l.size);
	b->ttl = bb->rules.ttl;
	b->n4 = bb->n4;
	b->n6 = bb->n6;
	b->nsrv = bb->srv_count;
	b->cap = (uint16_t)bb->rules.cap;
	b->mode = (uint8_t)bb->rules.mode;
	flags |= n > 0 ? BLOB_INSTANCES : 0;
	flags |= bb->row_count > 0 ? BLOB_ADDRESSES : 0;
	b->flags = (uint8_t)(flags | (bb->has_udp ? BLOB_UDP : 0));
	b->at_v6 = l.at_v6;
	b->at_srv = l.at_srv;
	b->at_cold = l.at_cold;
	b->at_extra = l.at_extra;
	b->size = l.size;
	put_addresses(bb, b);
	put_srv(bb, b, ldexp(1, scale));
	put_groups(bb, b, &l);
	if (b->at_extra != 0)
		extra_put(bb, b);
	put_cold(bb, b, &l);
	struct blob_cold *cold = (void *)((char *)b + b->at_cold);
	cold->scale = scale;
	cold->txt = txt == 0 ? 0 : l.at_pool + (uint32_t)txt - 1;
	return b;
}

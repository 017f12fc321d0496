/* blob_named.c - instances with a host name in place of an address (dns.md 2.8): the addresses found for it count as the
 * instance's, with its weight divided among them; SRV points at the name itself. Control thread. */
#include "base/error.h"
#include "zones/address.h"
#include "zones/blob_set.h"
#include <stdlib.h>
#include <string.h>

/* Its addresses as rows without ports. */
static int addresses_add(struct blob_builder *bb, const struct named_row *named, uint32_t *found)
{
	const struct host_name *h = named->host;
	*found = 0;
	for (uint32_t i = 0; i < h->count && bb->conf->hostname_mode != HOSTNAME_SRV_ONLY; i++)
		*found += address_usable(bb->conf, h->addresses[i].family, h->addresses[i].addr);
	for (uint32_t i = 0; *found > 0 && i < h->count; i++) {
		struct row row = named->row;
		if (!address_usable(bb->conf, h->addresses[i].family, h->addresses[i].addr))
			continue;
		row.addr = h->addresses[i].addr;
		row.family = h->addresses[i].family;
		row.weight /= *found;
		row.ports = 0;
		row.port = 0;
		row.named = true;
		if (row_put(bb, &row) < 0)
			return E_NOMEM;
	}
	return E_OK;
}

int named_add(struct blob_builder *bb, const struct row *row, struct host_name *host)
{
	struct named_row *named = scratch_reserve(&bb->named, (bb->named_count + 1) * sizeof(*named));
	uint32_t found;
	if (named == NULL)
		return E_NOMEM;
	named += bb->named_count++;
	*named = (struct named_row){ *row, host };
	if (addresses_add(bb, named, &found) < 0)
		return E_NOMEM;
	if (found == 0 && bb->conf->hostname_mode == HOSTNAME_FLATTEN) { /* not found, or not yet */
		named->row.candidate = false;
		bb->dropped++;
	}
	return E_OK;
}

static int compare(const void *a, const void *b)
{
	const struct named_row *x = a, *y = b;
	return strcmp(x->host->text, y->host->text);
}

/* SRV targets behind those with addresses, one for each name that is answered. */
int named_emit(struct blob_builder *bb)
{
	struct named_row *rows = bb->named.at;
	uint32_t answered = 0, n = bb->named_count;
	const struct host_name **targets = scratch_reserve(&bb->targets, (n + 1) * sizeof(*targets));
	if (targets == NULL)
		return E_NOMEM;
	bb->target_count = bb->target_bytes = 0;
	bb->cname = false;
	if (n == 0)
		return E_OK;
	qsort(rows, n, sizeof(*rows), compare);
	for (uint32_t from = 0, to; from < n; from = to) {
		uint32_t srv_from = bb->srv_count, host = bb->n4 + bb->n6 + bb->target_count, met = 0;
		for (to = from; to < n && rows[to].host == rows[from].host; to++) {
			if (!rows[to].row.answered)
				continue;
			host_ports(bb, &rows[to].row, host, srv_from);
			met++;
		}
		answered += met;
		if (met == 0)
			continue;
		targets[bb->target_count++] = rows[from].host;
		bb->target_bytes += 1u + rows[from].host->wire_len;
	}
	bb->cname = bb->conf->hostname_mode == HOSTNAME_CNAME && answered == 1 && !bb->plain_answered;
	return E_OK;
}

bool named_was_answered(const struct blob *b, const struct named_row *r)
{
	uint32_t n = blob_extra(b) == NULL ? 0 : blob_extra(b)->targets;
	for (uint32_t i = 0; i < n; i++) {
		size_t len;
		const uint8_t *name = blob_target(b, b->n4 + b->n6 + i, &len);
		uint32_t first, ports = blob_srv_of_host(b, b->n4 + b->n6 + i, &first);
		if (len != r->host->wire_len || memcmp(name, r->host->wire, len) != 0)
			continue;
		for (uint32_t k = 0; k < ports; k++)
			if (blob_srv(b)[first + k].port == r->row.port)
				return true;
		return r->row.port == 0;
	}
	return false;
}

uint32_t extra_size(const struct blob_builder *bb)
{
	if (bb->held_ms == 0 && bb->target_count == 0 && bb->rules.svcb == 0)
		return 0;
	return (uint32_t)sizeof(struct blob_extra) + bb->alpn_count * (uint32_t)sizeof(struct blob_alpn) + ((bb->target_count * 4 + bb->target_bytes + 7) & ~7u);
}

/* "h2,http/1.1" as length and word each; what has no room is left out. */
static uint8_t alpn_put(uint8_t to[ALPN_MAX], const char *text)
{
	size_t at = 0;
	for (const char *word = text; word != NULL && *word != '\0';) {
		size_t len = strcspn(word, ", ");
		if (len > 0 && at + 1 + len <= ALPN_MAX) {
			to[at] = (uint8_t)len;
			memcpy(to + at + 1, word, len);
			at += 1 + len;
		}
		word += len + (word[len] != '\0');
	}
	return (uint8_t)at;
}

void extra_put(const struct blob_builder *bb, struct blob *b)
{
	struct blob_extra *e = (void *)((char *)b + b->at_extra);
	const struct host_name *const *targets = bb->targets.at;
	uint32_t at_alpns = b->at_extra + (uint32_t)sizeof(*e);
	uint32_t at_targets = at_alpns + bb->alpn_count * (uint32_t)sizeof(struct blob_alpn), at = at_targets + 4 * bb->target_count;
	*e = (struct blob_extra){ .held_ms = bb->held_ms, .targets = bb->target_count, .cname = bb->cname,
				  .at_targets = at_targets, .at_alpns = at_alpns, .alpns = bb->alpn_count };
	struct blob_alpn *alpns = (void *)((char *)b + at_alpns);
	uint32_t *offsets = (void *)((char *)b + e->at_targets);
	e->svcb = (uint8_t)bb->rules.svcb;
	for (uint8_t i = 0; i < e->alpns; i++)
		alpns[i].len = alpn_put(alpns[i].at, bb->alpns[i]);
	for (uint32_t i = 0; i < e->targets; i++) {
		char *to = (char *)b + at;
		offsets[i] = at;
		*to = (char)targets[i]->wire_len;
		memcpy(to + 1, targets[i]->wire, targets[i]->wire_len);
		at += 1u + targets[i]->wire_len;
		if (targets[i]->stale)
			b->flags |= BLOB_STALE;
	}
}

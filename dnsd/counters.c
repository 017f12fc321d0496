/* counters.c - the cells and the tallies. */
#include "dnsd/counters.h"
#include "base/metrics.h"
#include <stdio.h>
#include <string.h>

/* Types and RCODEs are classes: a client must not be able to make new cells. The last class is the rest. */
static const char *const type_names[COUNTED_TYPES] = { "A", "AAAA", "SRV", "TXT", "PTR", "SOA", "other" };
static const char *const zone_rcode_names[ZONE_RCODES] = { "NOERROR", "NXDOMAIN", "SERVFAIL", "other" };
static const char *const error_rcode_names[ERROR_RCODES] = { "NOERROR", "FORMERR", "SERVFAIL", "NOTIMP", "REFUSED",
							     "NOTAUTH", "BADVERS", "BADCOOKIE", "other" };
static const char *const transport_names[TRANSPORTS] = { "udp", "tcp", "tls" };

static unsigned type_class(uint16_t qtype)
{
	switch (qtype) {
	case RR_A:
		return 0;
	case RR_AAAA:
		return 1;
	case RR_SRV:
		return 2;
	case RR_TXT:
		return 3;
	case RR_PTR:
		return 4;
	case RR_SOA:
		return 5;
	default:
		return COUNTED_TYPES - 1;
	}
}

static unsigned zone_rcode_class(uint16_t rcode)
{
	switch (rcode) {
	case RCODE_NOERROR:
		return 0;
	case RCODE_NXDOMAIN:
		return 1;
	case RCODE_SERVFAIL:
		return 2;
	default:
		return ZONE_RCODES - 1;
	}
}

static unsigned error_rcode_class(uint16_t rcode)
{
	switch (rcode) {
	case RCODE_NOERROR:
		return 0;
	case RCODE_FORMERR:
		return 1;
	case RCODE_SERVFAIL:
		return 2;
	case RCODE_NOTIMP:
		return 3;
	case RCODE_REFUSED:
		return 4;
	case RCODE_NOTAUTH:
		return 5;
	case RCODE_BADVERS:
		return 6;
	case RCODE_BADCOOKIE:
		return 7;
	default:
		return ERROR_RCODES - 1;
	}
}

static unsigned query_declare(const char *zone, const char *type, const char *rcode, const char *transport)
{
	char labels[384]; /* a zone has at most 77 wire octets: 304 characters if all were escaped */
	snprintf(labels, sizeof labels, "zone=\"%s\",type=\"%s\",rcode=\"%s\",transport=\"%s\"", zone, type, rcode,
		 transport);
	return metrics_counter("dns_queries_total", "DNS queries answered; zone and type are empty when no zone had a part.",
			       labels);
}

static void errors_declare(struct dns_counters *c, enum transport t)
{
	for (unsigned r = 0; r < ERROR_RCODES; r++)
		c->queries[t][r] = query_declare("", "", error_rcode_names[r], transport_names[t]);
}

/* The row of that name, made if it is new. */
static int row_of(struct dns_counters *c, const char *name)
{
	unsigned row = 0;
	while (row < c->zone_count && row < COUNTED_ZONES && strcmp(c->zones[row], name) != 0)
		row++;
	if (row < c->zone_count)
		return (int)row;
	snprintf(c->zones[row], sizeof c->zones[row], "%s", row == COUNTED_ZONES ? "other" : name);
	for (int t = 0; t < TRANSPORTS; t++)
		for (unsigned i = 0; i < ZONE_CELLS; i++)
			c->queries[t][ERROR_RCODES + row * ZONE_CELLS + i] = query_declare(
			    c->zones[row], type_names[i / ZONE_RCODES], zone_rcode_names[i % ZONE_RCODES], transport_names[t]);
	c->zone_count = row + 1;
	return (int)row;
}

void dns_counters_zones(struct dns_counters *c, struct zone_set *zones)
{
	for (int i = 0; i < (int)zone_set_zone_count(zones); i++) {
		const char *name = zone_set_zone_name(zones, i);
		zone_set_count_as(zones, i, name == NULL ? COUNTED_ZONES : row_of(c, name));
	}
}

static void faults_declare(struct dns_counters *ret)
{
	static const char *const picks[DNS_PICKS] = { "", "first", "one", "shuffle", "subset" };
	static const char *const faults[FAULTS] = { "",	      "malformed", "opcode", "edns_version", "edns_option", "tsig",
						    "update", "notify",    "class",  "type",	      "transfer",    "zone" };
	char labels[64];
	for (int i = PICK_NONE + 1; i < DNS_PICKS; i++) {
		snprintf(labels, sizeof labels, "how=\"%s\"", picks[i]);
		ret->picks[i] = metrics_counter("dns_picks_total",
						"Answers for which some of several addresses, or their order, were chosen.", labels);
	}
	for (int i = FAULT_NONE + 1; i < FAULTS; i++) {
		snprintf(labels, sizeof labels, "reason=\"%s\"", faults[i]);
		ret->faults[i] = metrics_counter("dns_refused_total",
						 "Queries answered with an error before any zone saw them; zone: in none of ours.",
						 labels);
	}
}

static void limits_declare(struct dns_counters *ret)
{
	static const char *const actions[LIMIT_ACTIONS] = { "truncated", "badcookie", "dropped", "error" };
	char labels[64];
	for (int i = 0; i < LIMIT_ACTIONS; i++) {
		snprintf(labels, sizeof labels, "action=\"%s\"", actions[i]);
		ret->limited[i] = metrics_counter("dns_rate_limited_total",
						  "Queries of networks that were answered too much: told to come by TCP or with a "
						  "cookie, or not answered; error: too many error answers.",
						  labels);
	}
}

void dns_counters_declare(struct dns_counters *ret)
{
	static const char *const drops[DROP_REASONS] = { "malformed", "oversize", "port", "loop", "send" };
	static const char *const cookies[COOKIE_STATES] = { "", "client", "wrong", "good" };
	static const char *const closes[CLOSE_REASONS] = { "peer", "idle", "slow", "length", "limit", "error" };
	char labels[64];
	memset(ret, 0, sizeof *ret);
	for (int t = 0; t < TRANSPORTS; t++) {
		errors_declare(ret, (enum transport)t);
		snprintf(labels, sizeof labels, "transport=\"%s\"", transport_names[t]);
		ret->truncated[t] = metrics_counter("dns_truncated_total", "Answers sent with TC.", labels);
		ret->records[t] = metrics_counter("dns_answer_records_total", "Records in answer sections.", labels);
		ret->received[t] = metrics_counter("dns_received_bytes_total", "Octets of DNS queries.", labels);
		ret->sent[t] = metrics_counter("dns_sent_bytes_total", "Octets of DNS answers.", labels);
	}
	for (int i = 0; i < DROP_REASONS; i++) {
		snprintf(labels, sizeof labels, "reason=\"%s\"", drops[i]);
		ret->dropped[i] = metrics_counter("dns_dropped_total", "Datagrams that got no answer.", labels);
	}
	faults_declare(ret);
	limits_declare(ret);
	for (int i = COOKIE_NONE + 1; i < COOKIE_STATES; i++) {
		snprintf(labels, sizeof labels, "state=\"%s\"", cookies[i]);
		ret->cookies[i] = metrics_counter("dns_cookies_total",
						  "Queries with a cookie: the client's part alone, a wrong one, a good one.", labels);
	}
	ret->connections = metrics_gauge("dns_tcp_connections", "Open DNS connections.", NULL);
	ret->opened = metrics_counter("dns_tcp_opened_total", "DNS connections accepted.", NULL);
	for (int i = 0; i < CLOSE_REASONS; i++) {
		snprintf(labels, sizeof labels, "reason=\"%s\"", closes[i]);
		ret->closed[i] = metrics_counter("dns_tcp_closed_total", "DNS connections ended.", labels);
	}
}

void tally_init(struct tally *t, const struct dns_counters *cells)
{
	memset(t, 0, sizeof *t);
	t->cells = cells;
}

void tally_query(struct tally *t, enum transport transport, int zone, uint16_t qtype, uint16_t rcode)
{
	unsigned at;
	if (zone < 0) {
		at = error_rcode_class(rcode);
	} else {
		unsigned row = zone < COUNTED_ZONES ? (unsigned)zone : COUNTED_ZONES;
		at = ERROR_RCODES + row * ZONE_CELLS + type_class(qtype) * ZONE_RCODES + zone_rcode_class(rcode);
	}
	if (t->queries[transport][at]++ == 0)
		t->touched[t->touched_count++] = (uint16_t)(transport * QUERY_CELLS + at);
}

static void add(unsigned cell, uint64_t n)
{
	if (n > 0)
		metrics_add(cell, n);
}

void tally_flush(struct tally *t)
{
	for (unsigned i = 0; i < t->touched_count; i++) {
		unsigned transport = t->touched[i] / QUERY_CELLS, at = t->touched[i] % QUERY_CELLS;
		metrics_add(t->cells->queries[transport][at], t->queries[transport][at]);
		t->queries[transport][at] = 0;
	}
	t->touched_count = 0;
	for (int i = 0; i < TRANSPORTS; i++) {
		add(t->cells->truncated[i], t->truncated[i]);
		add(t->cells->records[i], t->records[i]);
		t->records[i] = 0;
		add(t->cells->received[i], t->received[i]);
		add(t->cells->sent[i], t->sent[i]);
		t->truncated[i] = 0;
		t->received[i] = t->sent[i] = 0;
	}
	for (int i = PICK_NONE + 1; i < DNS_PICKS; i++) {
		add(t->cells->picks[i], t->picks[i]);
		t->picks[i] = 0;
	}
	for (int i = FAULT_NONE + 1; t->faulted && i < FAULTS; i++) {
		add(t->cells->faults[i], t->faults[i]);
		t->faults[i] = 0;
	}
	t->faulted = false;
	for (int i = 0; t->limits && i < LIMIT_ACTIONS; i++) {
		add(t->cells->limited[i], t->limited[i]);
		t->limited[i] = 0;
	}
	t->limits = false;
	for (int i = COOKIE_NONE + 1; i < COOKIE_STATES; i++) {
		add(t->cells->cookies[i], t->cookies[i]);
		t->cookies[i] = 0;
	}
	for (int i = 0; i < DROP_REASONS; i++) {
		add(t->cells->dropped[i], t->dropped[i]);
		t->dropped[i] = 0;
	}
}

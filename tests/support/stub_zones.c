/* stub_zones.c - zones for tests of the DNS front end: one zone "test" whose answers follow from the name alone.
 *   sNNNNN.svc.test  four A records 10.(n >> 8).(n & 255).(1..4); any other name: 192.0.2.1
 *   TXT anywhere     one RRset of three strings of 250 octets: too big for 512
 *   nx...            NXDOMAIN;  wait...: SERVFAIL with EDE 14;  other types: NODATA; outside: REFUSED, EDE 20 */
#include "tests/support/stub_zones.h"
#include "zones/zone_out.h"

enum { TTL = 5 };

void zone_set_prefetch(const struct zone_set *zs, struct dns_query *q)
{
	(void)zs;
	q->scratch[0] = q->labels;
}

void zone_set_locate(const struct zone_set *zs, struct dns_query *q)
{
	(void)zs;
	(void)q;
}

void zone_set_prepare(const struct zone_set *zs, struct dns_query *q)
{
	(void)zs;
	q->scratch[1] = q->scratch[0];
}

const char *zone_set_zone_name(const struct zone_set *zs, int zone)
{
	(void)zs;
	return zone == 0 ? "test" : NULL;
}

size_t zone_set_zone_count(const struct zone_set *zs)
{
	(void)zs;
	return 1;
}

void zone_set_count_as(struct zone_set *zs, int zone, int row)
{
	(void)zs;
	(void)zone;
	(void)row;
}

struct zone_out *zone_set_out(const struct zone_set *zs)
{
	(void)zs;
	return NULL;
}

/* An RR with the question's name as owner; false: does not fit. */
static bool rr_put(struct writer *w, uint16_t owner, uint16_t type, const void *rdata, uint16_t len)
{
	writer_u16(w, (uint16_t)(0xc000 | owner));
	writer_u16(w, type);
	writer_u16(w, 1);
	writer_u32(w, TTL);
	writer_u16(w, len);
	writer_put(w, rdata, len);
	return !w->full;
}

static void too_big(struct dns_answer *a, uint8_t *from)
{
	a->w.at = from;
	a->w.full = false;
	a->tc = true;
	a->ancount = a->nscount = 0;
}

static void soa_put(struct dns_answer *a, uint16_t apex)
{
	uint8_t rdata[24] = { (uint8_t)(0xc0 | apex >> 8), (uint8_t)apex, (uint8_t)(0xc0 | apex >> 8), (uint8_t)apex,
			      0, 0, 0, 1, 0, 0, 14, 16, 0, 0, 2, 88, 0, 1, 81, 128, 0, 0, 0, TTL };
	uint8_t *from = a->w.at;
	a->nscount = 1;
	if (!rr_put(&a->w, apex, RR_SOA, rdata, sizeof rdata))
		too_big(a, from);
}

static void addresses_put(struct dns_answer *a, const struct dns_query *q)
{
	const uint8_t *first = q->name + 1;
	uint8_t *from = a->w.at;
	unsigned n = 0;
	bool numbered = q->name[0] == 6 && first[0] == 's';
	for (int i = 1; numbered && i < 6; i++)
		n = n * 10 + (unsigned)(first[i] - '0');
	for (uint8_t j = 1; j <= (numbered ? 4 : 1); j++) {
		uint8_t many[4] = { 10, (uint8_t)(n >> 8), (uint8_t)n, j }, one[4] = { 192, 0, 2, 1 };
		a->ancount++;
		if (!rr_put(&a->w, DNS_HEADER_LEN, RR_A, numbered ? many : one, 4)) {
			too_big(a, from);
			return;
		}
	}
}

static void strings_put(struct dns_answer *a)
{
	uint8_t rdata[251], *from = a->w.at;
	memset(rdata, 'x', sizeof rdata);
	rdata[0] = 250;
	for (int i = 0; i < 3; i++) {
		rdata[1] = (uint8_t)('a' + i);
		a->ancount++;
		if (!rr_put(&a->w, DNS_HEADER_LEN, RR_TXT, rdata, sizeof rdata)) {
			too_big(a, from);
			return;
		}
	}
}

int zone_set_answer(const struct zone_set *zs, struct dns_query *q, struct dns_answer *a, struct rng *r)
{
	(void)zs;
	(void)r;
	static const uint8_t apex[] = { 4, 't', 'e', 's', 't', 0 };
	if (q->qname_len < sizeof apex || q->labels == 0 ||
	    memcmp(q->name + q->label_at[q->labels - 1], apex, sizeof apex) != 0) {
		a->rcode = RCODE_REFUSED;
		a->ede = EDE_NOT_AUTHORITATIVE;
		return -1;
	}
	uint16_t apex_at = (uint16_t)(DNS_HEADER_LEN + q->label_at[q->labels - 1]);
	a->aa = q->qclass == 1;
	if (memcmp(q->name + 1, "wait", 4) == 0) {
		a->aa = false;
		a->rcode = RCODE_SERVFAIL;
		a->ede = EDE_NOT_READY;
	} else if (memcmp(q->name + 1, "nx", 2) == 0) {
		a->rcode = RCODE_NXDOMAIN;
		soa_put(a, apex_at);
	} else if (q->qtype == RR_A) {
		addresses_put(a, q);
	} else if (q->qtype == RR_TXT) {
		strings_put(a);
	} else {
		soa_put(a, apex_at);
	}
	return 0;
}

bool zone_set_has_aliases(const struct dns_query *q)
{
	(void)q;
	return false;
}

int zone_set_version(const struct dns_query *q, struct zone_version *ret)
{
	(void)q;
	*ret = (struct zone_version){ 1, 1, 86400 };
	return 0;
}

/* No zone can be taken as a whole. */
unsigned zone_set_transfer(const struct zone_set *zs, const struct dns_query *q, const struct sockaddr *peer, int *zone,
			   int *ede)
{
	(void)zs;
	(void)q;
	(void)peer;
	*zone = 0;
	*ede = EDE_PROHIBITED;
	return RCODE_REFUSED;
}

void zone_out_ask(struct zone_out *out, struct zone_ask *ask)
{
	(void)out;
	(void)ask;
}

const struct zone_record *zone_stream_peek(struct zone_stream *s)
{
	(void)s;
	return NULL;
}

bool zone_stream_paused(const struct zone_stream *s)
{
	(void)s;
	return false;
}

void zone_stream_pop(struct zone_stream *s)
{
	(void)s;
}

uint32_t zone_stream_serial(const struct zone_stream *s)
{
	(void)s;
	return 0;
}

const char *zone_stream_zone(const struct zone_stream *s)
{
	(void)s;
	return "test";
}

uint64_t zone_stream_cut(const struct zone_stream *s)
{
	(void)s;
	return 0;
}

void zone_stream_free(struct zone_stream *s)
{
	(void)s;
}

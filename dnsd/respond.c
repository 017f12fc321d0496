/* respond.c - the stages of an answer. */
#include "dnsd/respond.h"
#include <netinet/in.h>
#include <string.h>

void responder_init(struct responder *r, const struct zone_set *zones, const struct dns_counters *cells,
		    uint16_t udp_size, int64_t keepalive_ms)
{
	r->zones = zones;
	r->limits.udp_size = udp_size < 512 ? 512 : udp_size > 4096 ? 4096 : udp_size;
	int64_t ds = keepalive_ms / 100;
	r->limits.keepalive_ds = (uint16_t)(ds < 0 ? 0 : ds > UINT16_MAX ? UINT16_MAX : ds);
	r->limits.identity = NULL;
	rng_seed_system(&r->rng);
	tally_init(&r->tally, cells);
}

static uint64_t mix(uint64_t x) /* the finaliser of splitmix64 */
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t client_bucket(const struct sockaddr *peer)
{
	uint64_t prefix = 0;
	if (peer->sa_family == AF_INET) {
		prefix = ntohl(((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr) >> 8 | 4ULL << 56;
	} else if (peer->sa_family == AF_INET6) {
		memcpy(&prefix, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 7);
		prefix |= 6ULL << 56;
	}
	return mix(prefix);
}

void respond_read(struct responder *r, struct exchange *x, const uint8_t *msg, size_t len, bool stream)
{
	x->fate = question_decode(&x->question, msg, len, stream);
	r->tally.received[stream ? TRANSPORT_TCP : TRANSPORT_UDP] += len;
	if (x->fate == QUESTION_ASK)
		zone_set_prefetch(r->zones, &x->question.query);
}

void respond_locate(struct responder *r, struct exchange *x)
{
	if (x->fate == QUESTION_ASK)
		zone_set_locate(r->zones, &x->question.query);
}

void respond_prepare(struct responder *r, struct exchange *x)
{
	if (x->fate == QUESTION_ASK)
		zone_set_prepare(r->zones, &x->question.query);
}

/* What goes with EDE 0: more than its code says. */
static const char *fault_text(const struct question *q)
{
	switch ((enum question_fault)q->fault) {
	case FAULT_MALFORMED:
		return "the message is malformed";
	case FAULT_OPTION:
		return "an EDNS option is malformed";
	case FAULT_TYPE:
		return "no type that can be asked for";
	case FAULT_TRANSFER:
		return "AXFR needs TCP, IXFR the SOA of the client's version";
	default:
		return NULL;
	}
}

size_t respond_write(struct responder *r, struct exchange *x, uint8_t *to, size_t cap)
{
	struct question *q = &x->question;
	enum transport transport = q->query.stream ? TRANSPORT_TCP : TRANSPORT_UDP;
	if (x->fate == QUESTION_DROP) {
		r->tally.dropped[DROP_MALFORMED]++;
		return 0;
	}
	struct dns_answer a;
	reply_begin(&a, q, to, cap, &r->limits);
	uint16_t rcode = q->rcode;
	int zone = -1;
	if (x->fate == QUESTION_ASK) {
		zone = zone_set_answer(r->zones, &q->query, &a, &r->rng);
		rcode = a.rcode;
		r->tally.picks[a.pick]++;
		if (zone < 0)
			tally_fault(&r->tally, FAULT_ZONE);
	} else if (x->fate == QUESTION_CHAOS) {
		identity_answer(&a, &q->query, identity_read(r->limits.identity));
		rcode = a.rcode;
		if (rcode == RCODE_REFUSED)
			tally_fault(&r->tally, FAULT_CLASS);
	} else {
		tally_fault(&r->tally, (enum question_fault)q->fault);
		a.ede = q->ede;
		a.ede_text = q->ede == EDE_OTHER ? fault_text(q) : NULL;
	}
	size_t len = reply_end(&a, q, rcode, &r->limits);
	tally_query(&r->tally, transport, zone, q->query.qtype, rcode);
	r->tally.truncated[transport] += a.tc;
	r->tally.records[transport] += a.ancount;
	r->tally.sent[transport] += len;
	return len;
}

size_t respond_message(struct responder *r, struct exchange *x, const uint8_t *msg, size_t len, bool stream,
		       uint8_t *to, size_t cap)
{
	respond_read(r, x, msg, len, stream);
	respond_prepare(r, x);
	return respond_write(r, x, to, cap);
}

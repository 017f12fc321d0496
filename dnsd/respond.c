/* respond.c - the stages of an answer. */
#include "dnsd/respond.h"
#include "base/clock.h"
#include <string.h>

static uint16_t size_within(uint16_t size, uint16_t preset)
{
	size = size == 0 ? preset : size;
	return size < 512 ? 512 : size > 4096 ? 4096 : size;
}

void responder_init(struct responder *r, const struct zone_slot *zones, const struct dns_counters *cells,
		    const struct responder_conf *conf)
{
	r->slot = zones;
	r->zones = NULL;
	r->cookies = conf->cookies;
	memset(&r->cookie_memo, 0, sizeof(r->cookie_memo));
	r->rates = conf->rates;
	r->rate = (struct rate_state){ 0 };
	int64_t ds = conf->keepalive_ms / 100;
	struct reply_limits *far = &r->limits[false], *near = &r->limits[true];
	far->identity = conf->identity;
	far->udp_size = size_within(conf->udp_size, 1232);
	far->keepalive_ds = (uint16_t)(ds < 0 ? 0 : ds > UINT16_MAX ? UINT16_MAX : ds);
	*near = *far;
	near->udp_size = size_within(conf->udp_size_lan, far->udp_size);
	rng_seed_system(&r->rng);
	tally_init(&r->tally, cells);
}

/* A question that is a cookie alone asks what we think of it (RFC 7873, 5.4). */
static enum cookie_state cookie_of(struct responder *r, struct exchange *x)
{
	const struct cookie_secrets *s = cookie_secrets_read(r->cookies);
	struct question *q = &x->question;
	if (s == NULL)
		return COOKIE_NONE;
	enum cookie_state state = cookie_recall(&r->cookie_memo, q->cookie, q->edns.cookie_len, &x->client,
						(uint32_t)(q->query.now_ms / 1000), s);
	q->edns.cookie = true;
	r->tally.cookies[state]++;
	if (state == COOKIE_WRONG && x->fate == QUESTION_REPLY && q->fault == FAULT_NONE && !q->query.stream)
		q->rcode = RCODE_BADCOOKIE;
	return state;
}

void respond_client(const struct responder *r, struct client *ret, const struct sockaddr *peer)
{
	client_init(ret, peer);
	if (r->forwards)
		ret->recursion = forward_allows(r->forwarding->forward, peer);
}

/* Nobody's transfers are ours to forward. */
static bool is_for_upstreams(const struct exchange *x)
{
	const struct dns_query *q = &x->question.query;
	return x->client.recursion && q->zone == NULL && (x->question.flags & HEADER_RD) != 0 && q->qclass == QCLASS_IN &&
	       q->qtype != RR_AXFR && q->qtype != RR_IXFR;
}

static void read_message(struct responder *r, struct exchange *x, const uint8_t *msg, size_t len, enum transport over)
{
	x->transport = over;
	x->fate = question_decode(&x->question, msg, len, over != TRANSPORT_UDP);
	if (over != TRANSPORT_TLS)
		x->question.edns.padding = false; /* a size that anybody can read needs no hiding (RFC 7830, 6) */
	x->cookie = x->fate != QUESTION_DROP && x->question.edns.cookie_len > 0 ? cookie_of(r, x) : COOKIE_NONE;
}

/* Who comes by UDP without a good cookie may be somebody else than he says. */
static bool is_rated(const struct rate_policy *p, const struct exchange *x)
{
	return rate_policy_holds(p, &x->client) && x->transport == TRANSPORT_UDP && x->cookie != COOKIE_GOOD &&
	       x->fate != QUESTION_DROP && !rate_policy_allows(p, &x->client);
}

static void rate(struct responder *r, struct exchange *x)
{
	const struct question *q = &x->question;
	const struct rate_policy *p = rate_policy_read(r->rates);
	x->rated = false;
	if (p == NULL || rate_table_take(r->rates->table, &x->rate, &p->costs, q->query.now_ms))
		return;
	bool wrong = x->fate == QUESTION_REPLY && q->fault != FAULT_NONE; /* no resolver waits for it */
	x->fate = !wrong && rate_state_slips(&r->rate, p) ? QUESTION_LIMITED : QUESTION_SILENCE;
}

void respond_read(struct responder *r, struct exchange *x, const uint8_t *msg, size_t len, enum transport over)
{
	read_message(r, x, msg, len, over);
	r->tally.received[over] += len;
	x->rated = is_rated(rate_policy_read(r->rates), x);
	if (x->rated)
		rate_table_find(r->rates->table, &x->rate, &x->client);
	if (x->fate != QUESTION_ASK)
		return;
	x->question.query.from = x->client.addr;
	x->question.query.from_len = x->client.addr_len;
	zone_set_prefetch(r->zones, &x->question.query);
	if (is_for_upstreams(x))
		x->fate = QUESTION_FORWARD;
}

void respond_locate(struct responder *r, struct exchange *x)
{
	if (x->fate == QUESTION_ASK)
		zone_set_locate(r->zones, &x->question.query);
}

/* Room for an answer that is a chain of aliases alone. */
struct aside {
	struct dns_answer answer;
	uint8_t bytes[4096];
};

/* Answers aside. Does a chain of aliases lead out of our zones? Then its end stands at answer.outside of the bytes. */
static bool leads_out(struct responder *r, const struct exchange *x, struct aside *ret)
{
	struct dns_query q = x->question.query;
	reply_begin(&ret->answer, &x->question, ret->bytes, sizeof(ret->bytes), &r->limits[x->client.near]);
	zone_set_answer(r->zones, &q, &ret->answer, &r->rng);
	return ret->answer.outside != 0;
}

/* Would a client that asks us for names of others, too, be left with an alias of one? */
static __attribute__((noinline)) bool is_alias_for_upstreams(struct responder *r, const struct exchange *x)
{
	struct aside aside;
	return (x->question.flags & HEADER_RD) != 0 && x->question.query.qclass == QCLASS_IN &&
	       zone_set_has_aliases(&x->question.query) && leads_out(r, x, &aside);
}

void respond_prepare(struct responder *r, struct exchange *x)
{
	if (x->rated)
		rate(r, x);
	if (x->fate != QUESTION_ASK)
		return;
	zone_set_prepare(r->zones, &x->question.query);
	if (__builtin_expect(x->client.recursion, 0) && is_alias_for_upstreams(r, x))
		x->fate = QUESTION_FORWARD;
}

static size_t name_len(const uint8_t *name) /* wire form, of our own writing */
{
	size_t len = 0;
	while (name[len] != 0)
		len += name[len] + 1u;
	return len + 1;
}

bool respond_ask(struct responder *r, const struct exchange *x, struct asker *a, struct forwarding_question *w)
{
	struct aside aside;
	w->target = NULL;
	w->target_len = 0;
	if (x->question.query.zone != NULL) {
		if (!leads_out(r, x, &aside))
			return false; /* a zone changed since the third stage */
		w->target = aside.bytes + aside.answer.outside;
		w->target_len = name_len(w->target);
	}
	return forwarding_ask(r->forwarding, a, w);
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

/* Closes the answer and counts it. @zone: -1, none had a part in it. */
static size_t finish(struct responder *r, const struct exchange *x, struct dns_answer *a, uint16_t rcode, int zone)
{
	const struct question *q = &x->question;
	enum transport transport = x->transport;
	struct zone_version version;
	bool told = zone >= 0 && (rcode == RCODE_NOERROR || rcode == RCODE_NXDOMAIN);
	if (told && (q->edns.zone_version || q->edns.expire) && zone_set_version(&q->query, &version) == E_OK)
		a->version = &version;
	size_t len = reply_end(a, q, rcode, &r->limits[x->client.near]);
	tally_query(&r->tally, transport, zone, q->query.qtype, rcode);
	r->tally.truncated[transport] += a->tc;
	r->tally.records[transport] += a->ancount;
	r->tally.sent[transport] += len;
	return len;
}

/* How to go on: by a cookie, for who knows them, or by TCP. */
static size_t write_limited(struct responder *r, struct exchange *x, uint8_t *to, size_t cap)
{
	const struct question *q = &x->question;
	bool cookie = x->cookie != COOKIE_NONE;
	struct dns_answer a;
	reply_begin(&a, q, to, cap, &r->limits[x->client.near]);
	a.ra = x->client.recursion;
	a.tc = !cookie;
	tally_limit(&r->tally, cookie ? LIMIT_BADCOOKIE : LIMIT_TRUNCATED);
	return finish(r, x, &a, cookie ? RCODE_BADCOOKIE : RCODE_NOERROR, -1);
}

/* Is this one of the error answers that there are too many of? Those to clients who are where they say do not count. */
static bool is_over_errors(struct responder *r, const struct exchange *x, uint16_t rcode)
{
	if (rcode == RCODE_NOERROR || rcode == RCODE_NXDOMAIN || rcode == RCODE_SERVFAIL)
		return false;
	return x->transport == TRANSPORT_UDP && x->cookie != COOKIE_GOOD &&
	       !rate_state_error(&r->rate, rate_policy_read(r->rates), x->question.query.now_ms);
}

size_t respond_write(struct responder *r, struct exchange *x, uint8_t *to, size_t cap)
{
	struct question *q = &x->question;
	if (x->fate == QUESTION_DROP) {
		r->tally.dropped[DROP_MALFORMED]++;
		return 0;
	}
	if (x->fate == QUESTION_SILENCE)
		return tally_limit(&r->tally, LIMIT_DROPPED), 0;
	if (x->fate == QUESTION_LIMITED)
		return write_limited(r, x, to, cap);
	const struct reply_limits *limits = &r->limits[x->client.near];
	if (x->fate == QUESTION_TRANSFER)
		return 0;
	struct dns_answer a;
	reply_begin(&a, q, to, cap, limits);
	a.ra = x->client.recursion;
	uint16_t rcode = q->rcode;
	int zone = -1;
	enum question_fault fault = FAULT_NONE;
	if (x->fate == QUESTION_ASK) {
		zone = zone_set_answer(r->zones, &q->query, &a, &r->rng);
		rcode = a.rcode;
		r->tally.picks[a.pick]++;
		if (zone < 0)
			fault = FAULT_ZONE;
	} else if (x->fate == QUESTION_FORWARD) {
		rcode = RCODE_SERVFAIL;
		a.ede = EDE_OTHER;
		a.ede_text = "too many questions wait for the upstreams";
	} else if (x->fate == QUESTION_CHAOS) {
		identity_answer(&a, &q->query, identity_read(limits->identity));
		rcode = a.rcode;
		if (rcode == RCODE_REFUSED)
			fault = FAULT_CLASS;
	} else {
		fault = (enum question_fault)q->fault;
		a.ede = q->ede;
		a.ede_text = q->ede == EDE_OTHER ? fault_text(q) : NULL;
	}
	if (is_over_errors(r, x, rcode))
		return tally_limit(&r->tally, LIMIT_ERROR), 0;
	if (fault != FAULT_NONE)
		tally_fault(&r->tally, fault);
	return finish(r, x, &a, rcode, zone);
}

/* Our part of an answer, as it is by now: the aliases that lead to what was asked of the upstreams. -1: they no longer do. */
static int begin_chain(struct responder *r, struct exchange *x, const struct forward_query *fq, struct dns_answer *a)
{
	struct dns_query *q = &x->question.query;
	q->client = x->client.bucket;
	q->from = x->client.addr;
	q->from_len = x->client.addr_len;
	zone_set_prefetch(r->zones, q);
	zone_set_prepare(r->zones, q);
	int zone = zone_set_answer(r->zones, q, a, &r->rng);
	const uint8_t *end = a->w.start + a->outside;
	size_t len = name_len(fq->target);
	return a->outside != 0 && name_len(end) == len && memcmp(end, fq->target, len) == 0 ? zone : -1;
}

/* Takes everything behind the question away. */
static void empty(struct dns_answer *a, uint8_t *start)
{
	a->w.at = start;
	a->ancount = a->nscount = a->arcount = 0;
}

size_t respond_forwarded(struct responder *r, struct exchange *x, const struct forward_query *fq, enum transport over, uint8_t *to,
			 size_t cap)
{
	struct question *q = &x->question;
	struct dns_answer a;
	bool found = fq->rcode == RCODE_NOERROR || fq->rcode == RCODE_NXDOMAIN;
	uint16_t rcode = fq->rcode;
	int zone = -1;
	q->query.now_ms = clock_wall_ms();
	read_message(r, x, fq->msg, fq->len, over); /* as before */
	reply_begin(&a, q, to, cap, &r->limits[x->client.near]);
	uint8_t *start = a.w.at;
	if (fq->target != NULL && (!found || (zone = begin_chain(r, x, fq, &a)) < 0)) {
		rcode = RCODE_SERVFAIL; /* half a chain would be taken for "no data" */
		empty(&a, start);
		a.aa = false;
	} else if (fq->body_len > (size_t)(a.w.end - a.w.at)) {
		empty(&a, start);
		a.tc = true;
	} else if (fq->body_len > 0) {
		writer_put(&a.w, fq->body, fq->body_len);
		a.ancount = (uint16_t)(a.ancount + fq->ancount);
		a.nscount = fq->nscount;
		a.arcount = fq->arcount;
	}
	a.ra = true;
	a.ad = zone < 0 && fq->authentic && (q->edns.dnssec_ok || (q->flags & HEADER_AD) != 0);
	a.ede = fq->ede;
	a.ede_text = fq->ede_text;
	return finish(r, x, &a, rcode, zone);
}

size_t respond_message(struct responder *r, struct exchange *x, const uint8_t *msg, size_t len, enum transport over,
		       uint8_t *to, size_t cap)
{
	respond_read(r, x, msg, len, over);
	respond_prepare(r, x);
	if (x->fate == QUESTION_FORWARD)
		return 0;
	return respond_write(r, x, to, cap);
}

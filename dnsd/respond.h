/* respond.h - from a received message to its answer: question, zones, reply, counts. The stages are called for
 * a whole batch one after the other, so that the memory each stage asked for has come when the next one needs it;
 * respond_message() runs them in a row, but for the second. Between respond_begin() and respond_end(), on the worker's thread; no
 * heap. */
#ifndef DNSD_RESPOND_H
#define DNSD_RESPOND_H

#include "base/random.h"
#include "base/rcu.h"
#include "dnsd/client.h"
#include "dnsd/counters.h"
#include "dnsd/forwarding.h"
#include "dnsd/rate_limit.h"
#include "dnsd/reply.h"

struct responder_conf {
	uint16_t udp_size, udp_size_lan; /* 512..4096; 0: 1232, as @udp_size */
	int64_t keepalive_ms;
	const struct identity_slot *identity; /* NULL: the server does not name itself */
	const struct cookie_slot *cookies;    /* NULL: it gives none */
	const struct rate_limiter *rates;     /* NULL: everything is answered */
};

struct responder {
	const struct zone_set *zones; /* of this section */
	const struct zone_slot *slot; /* where they come from; NULL: of tests, there are none */
	struct reply_limits limits[2]; /* of clients from far, and near */
	const struct cookie_slot *cookies;
	struct cookie_memo cookie_memo;
	const struct rate_limiter *rates;
	struct rate_state rate;
	struct rng rng;
	struct tally tally;
	bool forwards; /* else names outside of our zones are refused to everybody */
	struct forwarding *forwarding; /* where questions for the upstreams go; NULL: of tests, they have none */
};

/* One message on its way. */
struct exchange {
	struct client client; /* set by the caller before the first stage, as are query.client and query.now_ms */
	struct question question;
	enum transport transport;
	enum cookie_state cookie;
	enum question_fate fate;
	bool rated; /* by @rate */
	struct rate_key rate;
};

void responder_init(struct responder *r, const struct zone_slot *zones, const struct dns_counters *cells,
		    const struct responder_conf *conf);

/* All stages of a message run between these two: an RCU section, and the zones that it sees. */
static inline void respond_begin(struct responder *r)
{
	rcu_begin();
	r->zones = zone_slot_read(r->slot);
}
static inline void respond_end(struct responder *r)
{
	r->zones = NULL; /* they may be freed from now on */
	rcu_end();
}

/* Who asks: for @ret->client of an exchange. */
void respond_client(const struct responder *r, struct client *ret, const struct sockaddr *peer);
/* Stage 1: reads @len bytes at @msg, borrowed until the last stage. */
void respond_read(struct responder *r, struct exchange *x, const uint8_t *msg, size_t len, enum transport over);
/* Stages 2 and 3; the former is worth it for batches only. The latter may find that the client is answered too much. */
void respond_locate(struct responder *r, struct exchange *x);
void respond_prepare(struct responder *r, struct exchange *x);
/* Stage 4: the answer into @to, which may be the query's own buffer. Returns its length, 0: none is sent, or it is a
 * transfer (transfer.h). */
size_t respond_write(struct responder *r, struct exchange *x, uint8_t *to, size_t cap);

/* After the third stage a question may be for the forwarder (QUESTION_FORWARD): this asks it, for @a. @w: the message, as
 * it was read, and its extra. false: whoever cannot ask calls respond_write() as usual, which says that it failed. */
bool respond_ask(struct responder *r, const struct exchange *x, struct asker *a, struct forwarding_question *w);
/* Its answer, later: @q has the message too. The caller has set client and query.at of @x anew. */
size_t respond_forwarded(struct responder *r, struct exchange *x, const struct forward_query *q, enum transport over, uint8_t *to,
			 size_t cap);

size_t respond_message(struct responder *r, struct exchange *x, const uint8_t *msg, size_t len, enum transport over,
		       uint8_t *to, size_t cap);

#endif

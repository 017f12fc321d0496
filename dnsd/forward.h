/* forward.h - names outside of our zones, for hosts whose resolv.conf points here: asked of the upstreams in [forward] by
 * libunbound, whose are caching, retries and validation. One thread owns its context; DNS workers hand whole messages over
 * and get them back, with the answer, in their own inboxes. Bounded: questions on their way, time for each, memory of the
 * cache. Upstreams that lead back to this server (a loop) are found by asking for a name that nobody else asks for; as long
 * as they do, everything is refused. */
#ifndef DNSD_FORWARD_H
#define DNSD_FORWARD_H

#include "base/cidr.h"
#include "base/error.h"
#include "base/inbox.h"
#include <stdbool.h>

struct forward_conf {
	const struct sockaddr_storage *upstreams; /* each with its port; all borrowed until forward_start() is back */
	size_t upstream_count;
	const struct cidr *allow; /* who may ask; copied */
	size_t allow_count;
	const char *trust_anchor; /* a file of DS or DNSKEY records; NULL: nothing is validated */
	size_t cache_bytes;
	int64_t timeout_ms;	  /* of one question, all retries included */
	unsigned pending_max;
};

struct forward;

enum { FORWARD_OUTCOMES = 4 };
struct forward_cells { /* metrics */
	unsigned outcomes[FORWARD_OUTCOMES], pending, looped;
};
void forward_declare(struct forward_cells *ret); /* once, whether there is a forwarder or not */

/* One question on its way: the worker's, then the forwarder's, then with its answer the worker's again. */
struct forward_query {
	struct inbox_message message;
	struct inbox *home; /* where it goes back to */
	uint64_t asker;	    /* a numbered handle of the worker: the socket or connection that waits */
	void *extra;	    /* the worker's, freed with it; NULL: none */
	/* the answer */
	uint16_t rcode;
	int ede; /* EDE_NONE or an info code */
	const char *ede_text; /* constant; NULL: the code's own sentence */
	bool authentic;	      /* validated */
	uint16_t ancount, nscount, arcount;
	uint8_t *body; /* the sections, compressed against the question at its place, or for a @target not at all; NULL: none */
	size_t body_len;
	/* the question, as it came */
	size_t len;
	const uint8_t *target; /* wire: asked for instead of the question's name, which is an alias of it in a zone of ours; NULL */
	uint8_t msg[];
};

/* Control thread. Starts the thread "forward" if there are upstreams; without them nobody may ask. Errors: E_NOMEM,
 * E_IO, E_INVALID (an upstream or the trust anchor that libunbound does not take). */
int forward_start(struct forward **ret, const struct forward_conf *conf, const struct forward_cells *cells, struct error *err);
/* A reload: other settings, of which the upstreams and the trust anchor are looked at first (errors as at the start), then
 * put in force; what has been asked goes to the new upstreams. The first ones start the thread. Without upstreams nobody may
 * ask. Control thread. */
struct forward_change;
int forward_prepare(struct forward_change **ret, struct forward *f, const struct forward_conf *conf, struct error *err);
void forward_commit(struct forward *f, struct forward_change *c);  /* taken */
void forward_abandon(struct forward_change *c); /* taken; NULL is fine */
/* From now on every question comes straight back, refused by SERVFAIL, and so do those on their way. Workers may still
 * ask; forward_free() comes when they no longer can. */
void forward_drain(struct forward *f);
void forward_free(struct forward *f); /* joins the thread; NULL is fine */

/* Any thread. */
bool forward_allows(const struct forward *f, const struct sockaddr *peer);
/* NULL: as many as may wait are waiting, or no memory. @msg and @target (NULL: the question's name) are copied. */
struct forward_query *forward_query_new(struct forward *f, const uint8_t *msg, size_t len, const uint8_t *target,
					size_t target_len);
void forward_query_free(struct forward *f, struct forward_query *q); /* by whoever has it */
void forward_ask(struct forward *f, struct forward_query *q);	     /* taken until it is back in @q->home */

#endif

/* push.h - subscriptions of gRPC connections and the pushes to them. One I/O thread's; news of changes comes by topics
 * (topic.h). Each subscriber has one slot, in which only the newest view counts, and gets it when its socket takes it;
 * a push that is not acknowledged is sent again, as what is newest then. */
#ifndef API_PUSH_H
#define API_PUSH_H

#include "api/session.h"

struct io;
struct message;
struct topic;
struct encoding;

struct push_cells { /* metrics */
	unsigned subscriptions, pending, lag, sent, acked, refused, timed_out, delayed;
};

int push_open(struct io *io);  /* E_NOMEM */
void push_close(struct io *io); /* the inbox of news */
void push_free(struct io *io);

/* A topic's: it has news; it cannot have any, so its subscriptions end. */
void push_news(struct topic *t);
void push_topic_lost(struct topic *t);

void push_session_init(struct session *s);
void push_session_done(struct session *s); /* it has no subscriptions any more */
void push_session_end(struct session *s);  /* unsubscribes all */
void push_session_drained(struct session *s); /* its socket has room */

/* Subscribes m->session to m->key with @clusters (copied) and calls m->finish when news of it would come; with
 * m->err on failure. */
void push_subscribe(struct message *m, const char *clusters);
void push_unsubscribe(struct session *s, const struct service_key *key);
/* The client was told @number of @key in an answer. */
void push_told(struct session *s, const struct service_key *key, uint64_t number);
/* The answer to a push: @request as it was sent. */
void push_acked(struct session *s, const char *request, bool well);

/* Subscriptions of it whose newest push is not acknowledged. */
unsigned push_pending(const struct session *s);

/* ServiceInfo in the form of gRPC, encoded once per view; NULL: the service is missing (or no memory). Inside an
 * RCU section; the caller releases it. *@ret_number: of the view. */
struct encoding *push_encode(struct io *io, const struct service_key *key, const char *clusters, bool healthy_only,
			     uint64_t *ret_number);

#endif

/* topic.h - one service that somebody on this I/O thread subscribes to, by gRPC or by UDP: its news, merged for
 * push.merge_ms behind a push. That thread's. Its first subscription makes it join the feed (a command to control and
 * back), so that no change falls between an answer and the first news; its last one makes it leave. While a command of
 * it is under way others wait; it is freed when it has left and no news of it is under way. */
#ifndef API_TOPIC_H
#define API_TOPIC_H

#include "api/feed.h"
#include "api/io_timer.h"

struct io;
struct message;
struct subscription;
struct udp_subscription;

struct topic {
	struct feed_topic feed; /* first: news is cast */
	struct io *io;
	struct subscription *first;	/* gRPC's (push.c) */
	struct udp_subscription *first_udp; /* udp_push.c's */
	unsigned count;			/* of both */
	struct command command;		/* join or leave */
	bool joined, busy;
	struct message *waiting, **waiting_end; /* subscribers' requests, for the join */
	struct io_timer merge, acks; /* acks: when the oldest push to a gRPC subscriber is to be acknowledged (push.c) */
	bool merging, awaits;	     /* @acks runs */
	int64_t pushed_ms;
	char text[];
};

int topics_open(struct io *io);	  /* E_NOMEM */
void topics_close(struct io *io); /* the inbox of news */
void topics_free(struct io *io);  /* the feed has stopped and every command is back */

/* The topic of @key; NULL: no memory. Who does not subscribe to it settles it all the same. */
struct topic *topic_get(struct io *io, const struct service_key *key);
/* m->finish runs, with m->err on failure, once the topic has joined. */
void topic_wait(struct topic *t, struct message *m);
/* Joins or leaves, if that is to be done and nothing is under way. It may be freed by this call. */
void topic_settle(struct topic *t);
bool topic_is(const struct topic *t, const struct service_key *key);

#endif

/* subscriber.h - who subscribes to what, of whatever kind, as seen at one moment: the I/O thread that owns a
 * subscription packs it into a text, and whoever asked reads the rows on a thread of its own. Kinds of subscribers
 * are rows of a table in subscriber.c: lists, counters and "explain" show all of them alike. */
#ifndef API_SUBSCRIBER_H
#define API_SUBSCRIBER_H

#include "base/arena.h"
#include "base/text.h"
#include "registry/view.h"

struct io;

enum client_kind { CLIENT_GRPC, CLIENT_UDP };

/* One subscription. Texts are never NULL; borrowed. */
struct subscriber {
	enum client_kind kind;
	struct service_key key;
	const char *client; /* its id: of a connection; "ip:port#true" over UDP (nacos-naming 1.8) */
	const char *ip, *agent, *app, *clusters;
	uint16_t port;
	uint64_t told;			    /* number of the newest list that it is known to have; 0: none */
	uint64_t sent;			    /* number of the newest push; 0: none */
	uint64_t pushes, acks, retries;	    /* how many; retries: pushes that were refused or not acknowledged in time */
	bool pending;			    /* a push is under way, or waits for room or for the next try */
	int64_t pending_ms;		    /* for so long */
	int64_t age_ms;			    /* of the subscription */
};

/* One client that is connected, or is pushed to over UDP. */
struct client {
	enum client_kind kind;
	const char *id, *ip, *agent, *app;
	uint16_t port;
	bool set_up;	      /* gRPC: it has said who it is */
	bool connected;	      /* gRPC; false: it waits out the grace, with what it published */
	bool claimed;	      /* not connected, and its client is back already on another connection */
	bool asked;	      /* it is silent and has been asked whether it lives */
	uint64_t publisher;   /* gRPC: instance.publisher of what it registered */
	uint64_t services;    /* that it publishes into */
	uint64_t subscriptions, pending; /* of these with a push that is not acknowledged */
	int64_t age_ms, silent_ms; /* since it came; since it said anything */
	int64_t left_ms;	   /* not connected: what is left of the grace */
};

/* What a kind of subscribers offers. On the thread of @io, of its own ones only; NULL: it has none such. */
struct client_source {
	void (*subscribers)(struct io *io, const struct service_key *key, struct text *to); /* of one service */
	void (*subscriptions)(struct io *io, const char *client, struct text *to);	    /* of one client */
	void (*clients)(struct io *io, const char *client, struct text *to);		    /* NULL: all */
};
/* push.c, session.c */
void push_each_subscriber(struct io *io, const struct service_key *key, struct text *to);
void push_each_subscription(struct io *io, const char *client, struct text *to);
void session_each_client(struct io *io, const char *client, struct text *to);
/* udp_shown.c */
void udp_each_subscriber(struct io *io, const struct service_key *key, struct text *to);
void udp_each_subscription(struct io *io, const char *client, struct text *to);
void udp_each_client(struct io *io, const char *client, struct text *to);
/* Of gRPC only: clients that publish @key; what one of them publishes, by service and address. */
void session_each_publisher(struct io *io, const struct service_key *key, struct text *to);
void session_each_published(struct io *io, const char *client,
			    void (*each)(void *arg, const struct service_key *key, const char *ip, uint16_t port,
					 const char *cluster),
			    void *arg);

/* Of every kind. */
void subscribers_of_service(struct io *io, const struct service_key *key, struct text *to);
void subscriptions_of_client(struct io *io, const char *client, struct text *to);
void clients_seen(struct io *io, const char *client, struct text *to);

/* Rows in a text, which holds rows of one sort only. */
void subscriber_put(struct text *to, const struct subscriber *s);
void client_put(struct text *to, const struct client *c);
/* The row at @at, borrowed from there; returns where the next one is. */
const char *subscriber_read(struct subscriber *ret, const char *at);
const char *client_read(struct client *ret, const char *at);
/* All of @rows, by service, address and client, or by publisher; NULL in *@ret: no memory. The rows must stay. */
size_t subscribers_sort(struct subscriber **ret, struct arena *mem, const struct text *rows);
size_t clients_sort(struct client **ret, struct arena *mem, const struct text *rows);
/* connections.c: our own JSON of one, and of the sums over all as members of the open object. @number: the newest. */
void subscriber_shape(struct text *t, const struct subscriber *s, uint64_t number);
void subscribers_total(struct text *t, const struct subscriber *list, size_t count, uint64_t number);
/* Whose instances have this publisher, in what clients_sort() made; NULL: it is not there any more. */
const struct client *client_of(const struct client *list, size_t count, uint64_t publisher);

#endif

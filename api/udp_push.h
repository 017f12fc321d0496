/* udp_push.h - subscriptions of 1.x clients and the pushes to them over UDP (nacos-naming 6). They are the first I/O
 * thread's, whoever took the request; news of changes comes by topics (topic.h).
 *
 * A subscription is made and renewed by the client's polls, and ends when they stay away. Each change is pushed as one
 * datagram, encoded once for all; one that is not acknowledged is sent once more, then left to the client's next poll. */
#ifndef API_UDP_PUSH_H
#define API_UDP_PUSH_H

#include "api/io_timer.h"
#include "api/topic.h"
#include "api/udp_clients.h"
#include "api/udp_gate.h"
#include "base/text.h"

struct api;
struct io;

/* What a poll asks for. */
struct udp_wish {
	struct service_key key;
	const char *clusters;
	char agent[UDP_AGENT_MAX], app[UDP_AGENT_MAX];
	union udp_address to;
	const struct udp_gate *gate;
	uint64_t told;	       /* the view's number in the answer to the poll; 0: there is none */
	bool may_be_empty;     /* so is the list that it gets: clients then poll less and less often */
};

struct udp_subscription {
	struct topic *topic;
	struct udp_subscription *next, *prev; /* of the topic */
	struct udp_client *client;
	struct udp_subscription *client_next, *client_prev;
	struct udp_subscription *late_next, *late_prev;
	struct io_timer ack, expiry;
	const struct udp_gate *gate;
	/* Numbers of views: known to have arrived or given up, in flight. @ref: what is to be acknowledged. */
	uint64_t told, sent, ref;
	unsigned tries; /* of what is in flight; 0: nothing is */
	bool late;	/* the newest view waits for room */
	bool deaf;	/* the last push was of no use: its client is to poll more often */
	bool may_be_empty;
	int64_t renewed_ms;
	/* For those who ask: numbers that were acknowledged, answered to polls; datagrams. */
	uint64_t acked, answered;
	uint32_t pushes, acks, retries;
	bool pending; /* the newest view is not known to have arrived */
	int64_t pending_ms, since_ms;
	uint16_t clusters_len;
	char clusters[];
};

struct udp_cells {
	unsigned subscriptions, made, expired, refused_total, refused_address, refused_memory;
	unsigned pending, lag;
	unsigned sent, again, acked, unacked, failed, large, late, garbage, stray;
};

struct udp_push {
	struct io *io; /* the first */
	struct udp_sockets sockets;
	struct inbox *relayed;	  /* polls that other I/O threads took */
	struct map subscriptions; /* by service, clusters and address */
	struct map in_flight;	  /* by address and number */
	struct udp_clients clients;
	struct udp_subscription *late;
	unsigned count;
	uint64_t last_ref;
	struct text packet, scratch;
	struct udp_cells cells;
	struct udp_batch *batch;
};

/* Binds the addresses and opens what belongs to @io, before its thread runs. api->udp stays NULL when it is off.
 * E_IO: a port is taken. */
int udp_push_open(struct api *a, struct io *io, struct error *err);
void udp_push_close(struct udp_push *u); /* sockets and inbox; NULL is fine */
void udp_push_free(struct udp_push *u);	 /* the loop has ended; NULL is fine */

/* Makes or renews. On the first I/O thread. false: the client is not pushed to, or its last push was of no use. */
bool udp_push_subscribe(struct udp_push *u, const struct udp_wish *w);

/* A topic's. */
void udp_push_news(struct topic *t);
void udp_push_topic_lost(struct topic *t);

#endif

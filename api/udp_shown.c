/* udp_shown.c - 1.x clients and their subscriptions as rows for those who ask (subscriber.h). */
#include "api/io.h"
#include "api/subscriber.h"
#include "api/udp_push.h"
#include "base/clock.h"
#include <string.h>

/* Those of @io; NULL: it has none. */
static struct udp_push *push_of(const struct io *io)
{
	return io->number == 0 ? io->api->udp : NULL;
}

static void put_subscription(const struct udp_subscription *sub, struct text *to)
{
	char id[UDP_ID_MAX], ip[INET6_ADDRSTRLEN];
	int64_t now_ms = clock_ms();
	udp_client_id(id, sub->client);
	subscriber_put(to, &(struct subscriber){
		.kind = CLIENT_UDP,
		.key = sub->topic->feed.key,
		.client = id,
		.port = udp_client_ip(ip, sub->client),
		.ip = ip,
		.agent = sub->client->agent,
		.app = sub->client->app,
		.clusters = sub->clusters,
		.told = sub->acked > sub->answered ? sub->acked : sub->answered,
		.sent = sub->sent,
		.pushes = sub->pushes,
		.acks = sub->acks,
		.retries = sub->retries,
		.pending = sub->pending,
		.pending_ms = sub->pending ? now_ms - sub->pending_ms : 0,
		.age_ms = now_ms - sub->since_ms,
	});
}

void udp_each_subscriber(struct io *io, const struct service_key *key, struct text *to)
{
	const struct topic *t = push_of(io) != NULL ? map_find(&io->topics, service_key_hash(key), key) : NULL;
	for (const struct udp_subscription *sub = t != NULL ? t->first_udp : NULL; sub != NULL; sub = sub->next)
		put_subscription(sub, to);
}

/* By id: NULL: all. */
static void each_client(struct io *io, const char *id, struct text *to,
			void (*each)(const struct udp_client *c, const char *id, struct text *to))
{
	struct udp_push *u = push_of(io);
	const struct udp_client *c;
	char own[UDP_ID_MAX];
	for (size_t at = 0; u != NULL && (c = map_next(&u->clients.clients, &at)) != NULL;) {
		udp_client_id(own, c);
		if (id == NULL || strcmp(own, id) == 0)
			each(c, own, to);
	}
}

static void put_subscriptions(const struct udp_client *c, const char *id, struct text *to)
{
	(void)id;
	for (const struct udp_subscription *sub = c->first; sub != NULL; sub = sub->client_next)
		put_subscription(sub, to);
}

void udp_each_subscription(struct io *io, const char *client, struct text *to)
{
	each_client(io, client, to, put_subscriptions);
}

static void put_client(const struct udp_client *c, const char *id, struct text *to)
{
	char ip[INET6_ADDRSTRLEN];
	int64_t now_ms = clock_ms();
	struct client row = {
		.kind = CLIENT_UDP,
		.id = id,
		.port = udp_client_ip(ip, c),
		.ip = ip,
		.agent = c->agent,
		.app = c->app,
		.set_up = true,
		.connected = true,
		.subscriptions = c->subscriptions,
		.age_ms = now_ms - c->since_ms,
		.silent_ms = now_ms - c->polled_ms,
	};
	for (const struct udp_subscription *sub = c->first; sub != NULL; sub = sub->client_next)
		row.pending += sub->pending;
	client_put(to, &row);
}

void udp_each_client(struct io *io, const char *client, struct text *to)
{
	each_client(io, client, to, put_client);
}

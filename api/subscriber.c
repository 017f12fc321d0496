/* subscriber.c - see subscriber.h. A row is the struct, then its texts, each with its NUL. */
#include "api/subscriber.h"

#include <stdlib.h>
#include <string.h>

static const struct client_source sources[] = {
	{ push_each_subscriber, push_each_subscription, session_each_client },
	{ udp_each_subscriber, udp_each_subscription, udp_each_client },
};
enum { SOURCES = sizeof(sources) / sizeof(sources[0]) };

void subscribers_of_service(struct io *io, const struct service_key *key, struct text *to)
{
	for (size_t i = 0; i < SOURCES; i++)
		if (sources[i].subscribers != NULL)
			sources[i].subscribers(io, key, to);
}

void subscriptions_of_client(struct io *io, const char *client, struct text *to)
{
	for (size_t i = 0; i < SOURCES; i++)
		if (sources[i].subscriptions != NULL)
			sources[i].subscriptions(io, client, to);
}

void clients_seen(struct io *io, const char *client, struct text *to)
{
	for (size_t i = 0; i < SOURCES; i++)
		if (sources[i].clients != NULL)
			sources[i].clients(io, client, to);
}

/* ---- rows */

static void put_text(struct text *to, const char *s)
{
	text_put(to, s, strlen(s) + 1);
}

static const char *take_text(const char **ret, const char *at)
{
	*ret = at;
	return at + strlen(at) + 1;
}

void subscriber_put(struct text *to, const struct subscriber *s)
{
	const char *texts[] = { s->client, s->ip, s->agent, s->app, s->clusters, s->key.ns, s->key.group, s->key.name };
	text_put(to, (const char *)s, sizeof(*s));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		put_text(to, texts[i]);
}

const char *subscriber_read(struct subscriber *ret, const char *at)
{
	const char **texts[] = { &ret->client, &ret->ip, &ret->agent, &ret->app, &ret->clusters, &ret->key.ns, &ret->key.group,
				 &ret->key.name };
	memcpy(ret, at, sizeof(*ret));
	at += sizeof(*ret);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		at = take_text(texts[i], at);
	return at;
}

void client_put(struct text *to, const struct client *c)
{
	const char *texts[] = { c->id, c->ip, c->agent, c->app };
	text_put(to, (const char *)c, sizeof(*c));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		put_text(to, texts[i]);
}

const char *client_read(struct client *ret, const char *at)
{
	const char **texts[] = { &ret->id, &ret->ip, &ret->agent, &ret->app };
	memcpy(ret, at, sizeof(*ret));
	at += sizeof(*ret);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		at = take_text(texts[i], at);
	return at;
}

/* ---- lists */

static int compare(const void *a, const void *b)
{
	const struct subscriber *x = a, *y = b;
	int order = strcmp(x->key.ns, y->key.ns);
	if (order == 0)
		order = strcmp(x->key.group, y->key.group);
	if (order == 0)
		order = strcmp(x->key.name, y->key.name);
	if (order == 0)
		order = strcmp(x->ip, y->ip);
	if (order == 0)
		order = x->port - y->port;
	return order != 0 ? order : strcmp(x->client, y->client);
}

size_t subscribers_sort(struct subscriber **ret, struct arena *mem, const struct text *rows)
{
	const char *at = rows->at, *end = at + rows->len;
	struct subscriber s;
	size_t n = 0;
	while (at < end)
		at = subscriber_read(&s, at), n++;
	*ret = rows->failed ? NULL : arena_alloc(mem, (n + 1) * sizeof(**ret));
	if (*ret == NULL)
		return 0;
	at = rows->at;
	for (size_t i = 0; i < n; i++)
		at = subscriber_read(&(*ret)[i], at);
	qsort(*ret, n, sizeof(**ret), compare);
	return n;
}

static int compare_publisher(const void *a, const void *b)
{
	uint64_t x = ((const struct client *)a)->publisher, y = ((const struct client *)b)->publisher;
	return x < y ? -1 : x > y;
}

size_t clients_sort(struct client **ret, struct arena *mem, const struct text *rows)
{
	const char *at = rows->at, *end = at + rows->len;
	struct client c;
	size_t n = 0;
	while (at < end)
		at = client_read(&c, at), n++;
	*ret = rows->failed ? NULL : arena_alloc(mem, (n + 1) * sizeof(**ret));
	if (*ret == NULL)
		return 0;
	at = rows->at;
	for (size_t i = 0; i < n; i++)
		at = client_read(&(*ret)[i], at);
	qsort(*ret, n, sizeof(**ret), compare_publisher);
	return n;
}

const struct client *client_of(const struct client *list, size_t count, uint64_t publisher)
{
	struct client key = { .publisher = publisher };
	return bsearch(&key, list, count, sizeof(*list), compare_publisher);
}

/* udp_clients.c - see udp_clients.h. */
#include "api/udp_clients.h"

#include "base/clock.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <stdio.h>

static bool client_equal(const void *value, const void *key)
{
	return udp_address_same(&((const struct udp_client *)value)->at, key);
}

static bool host_equal(const void *value, const void *key)
{
	return udp_host_same(&((const struct udp_host *)value)->at, key);
}

void udp_clients_init(struct udp_clients *c)
{
	map_init(&c->clients, client_equal);
	map_init(&c->hosts, host_equal);
}

void udp_clients_done(struct udp_clients *c)
{
	void *each;
	for (size_t at = 0; (each = map_next(&c->clients, &at)) != NULL;)
		mem_free(each);
	for (size_t at = 0; (each = map_next(&c->hosts, &at)) != NULL;)
		mem_free(each);
	map_done(&c->clients);
	map_done(&c->hosts);
}

static struct udp_host *host_get(struct udp_clients *c, const union udp_address *at)
{
	uint64_t hash = udp_host_hash(at);
	struct udp_host *h = map_find(&c->hosts, hash, at);
	if (h != NULL)
		return h;
	h = mem_zalloc(1, sizeof(*h));
	if (h == NULL)
		return NULL;
	h->at = *at;
	if (map_add(&c->hosts, hash, h) < 0) {
		mem_free(h);
		return NULL;
	}
	return h;
}

static void host_drop(struct udp_clients *c, struct udp_host *h)
{
	if (h->clients > 0)
		return;
	map_remove(&c->hosts, udp_host_hash(&h->at), &h->at);
	mem_free(h);
}

struct udp_client *udp_client_get(struct udp_clients *c, const union udp_address *at)
{
	uint64_t hash = udp_address_hash(at);
	struct udp_client *client = map_find(&c->clients, hash, at);
	if (client != NULL)
		return client;
	struct udp_host *h = host_get(c, at);
	client = h != NULL ? mem_zalloc(1, sizeof(*client)) : NULL;
	if (client != NULL) {
		client->at = *at;
		client->host = h;
		client->since_ms = clock_ms();
		if (map_add(&c->clients, hash, client) == E_OK) {
			h->clients++;
			return client;
		}
		mem_free(client);
	}
	if (h != NULL)
		host_drop(c, h);
	return NULL;
}

void udp_client_drop(struct udp_clients *c, struct udp_client *client)
{
	if (client->subscriptions > 0)
		return;
	map_remove(&c->clients, udp_address_hash(&client->at), &client->at);
	client->host->clients--;
	host_drop(c, client->host);
	mem_free(client);
}

uint16_t udp_client_ip(char ret[INET6_ADDRSTRLEN], const struct udp_client *client)
{
	const union udp_address *a = &client->at;
	bool four = a->any.sa_family == AF_INET;
	inet_ntop(a->any.sa_family, four ? (const void *)&a->v4.sin_addr : &a->v6.sin6_addr, ret, INET6_ADDRSTRLEN);
	return ntohs(four ? a->v4.sin_port : a->v6.sin6_port);
}

void udp_client_id(char ret[UDP_ID_MAX], const struct udp_client *client)
{
	char ip[INET6_ADDRSTRLEN];
	unsigned port = udp_client_ip(ip, client);
	snprintf(ret, UDP_ID_MAX, "%s:%u#true", ip, port);
}

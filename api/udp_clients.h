/* udp_clients.h - the 1.x clients that are pushed to, by address and port, and how much each address has. The first
 * I/O thread's. */
#ifndef API_UDP_CLIENTS_H
#define API_UDP_CLIENTS_H

#include "api/udp_sockets.h"
#include "base/map.h"

struct udp_subscription;

/* One address, however many ports. */
struct udp_host {
	union udp_address at;
	unsigned clients, subscriptions;
};

enum { UDP_AGENT_MAX = 64, UDP_ID_MAX = 64 };

struct udp_client {
	union udp_address at;
	struct udp_host *host;
	struct udp_subscription *first; /* udp_push.c's */
	unsigned subscriptions;
	int64_t since_ms, polled_ms; /* clock_ms() */
	char agent[UDP_AGENT_MAX], app[UDP_AGENT_MAX]; /* as of the last poll */
};

struct udp_clients {
	struct map clients, hosts;
};

void udp_clients_init(struct udp_clients *c);
void udp_clients_done(struct udp_clients *c); /* whatever they subscribe to */
/* It is made if there is none; NULL: no memory. Who leaves it without a subscription drops it. */
struct udp_client *udp_client_get(struct udp_clients *c, const union udp_address *at);
void udp_client_drop(struct udp_clients *c, struct udp_client *client); /* if it has no subscription */
/* "10.0.0.7:54951#true" (nacos-naming 1.8), and its parts. */
void udp_client_id(char ret[UDP_ID_MAX], const struct udp_client *client);
uint16_t udp_client_ip(char ret[INET6_ADDRSTRLEN], const struct udp_client *client); /* the port */

#endif

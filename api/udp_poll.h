/* udp_poll.h - polls of 1.x clients, which ask for a list and, with udpPort, to be pushed to. A poll may come in on any
 * I/O thread; the subscriptions are the first one's, so others relay it there by way of the control thread. */
#ifndef API_UDP_POLL_H
#define API_UDP_POLL_H

#include "api/udp_push.h"

struct request;

enum udp_poll {
	UDP_NOT_ASKED,
	UDP_PUSHED,
	UDP_POLLED, /* asked, but it is not pushed to: it had better poll more often */
	UDP_INVALID, /* r->err says why */
};
/* Subscribes who asks @r for the list of @key and @clusters, if it is to be. Outside of RCU sections, before the list
 * is read. */
enum udp_poll udp_poll(struct request *r, const struct service_key *key, const char *clusters);

const struct udp_wish *udp_relayed_wish(const struct inbox_message *m);

#endif

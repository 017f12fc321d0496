/* dns_server.h - the DNS front end: workers, one a thread, each with its own SO_REUSEPORT UDP socket and TCP
 * listener per address. A worker reads published zones only: per UDP query no heap, no lock, no log line, no system
 * call but the batch's receive and send. Start and stop are called on the control thread. */
#ifndef DNSD_DNS_SERVER_H
#define DNSD_DNS_SERVER_H

#include "base/error.h"
#include "dnsd/cookie.h"
#include "dnsd/forward.h"
#include "dnsd/rate_limit.h"
#include "net/tls.h"
#include "dnsd/identity.h"
#include "zones/zone_out.h"
#include <sys/socket.h>
#include <uv.h>

struct dns_listen {
	struct sockaddr_storage addr; /* port 0: a free one, the same for UDP and TCP and all workers */
};

struct dns_server_conf {
	const struct dns_listen *listens; /* copied */
	size_t listen_count;
	const struct dns_listen *tls_listens; /* DNS over TLS; copied */
	size_t tls_listen_count;
	struct tls_context *tls; /* taken by a start that succeeds; NULL: TLS connections are closed at once */
	unsigned threads;      /* 0: one per core */
	uint16_t udp_size;     /* largest UDP answer, 1232 */
	uint16_t udp_size_lan; /* the same for loopback, private and link-local clients; 0: as @udp_size */
	bool udp_gso;	       /* answers to one client may go to the system together (udp_out.h) */
	int64_t tcp_idle_ms;   /* 10000; a fifth when three quarters of the slots are used */
	int64_t tcp_message_ms; /* 2000: one message must be whole within */
	unsigned tcp_max;      /* connections per worker, 4096 */
	unsigned tcp_per_prefix; /* per /32 (IPv4) or /64 and worker, 64 */
	const struct zone_slot *zones; /* a set is there at the start */
	unsigned transfers;   /* at a time, per worker, 32 */
	int64_t transfer_ms;  /* 600000: one must be through within */
	struct rate_conf rates; /* copied */
	const char *nsid, *version; /* at most IDENTITY_MAX bytes, copied; NULL or "": not told */
	const struct forward_conf *forwarding; /* NULL, or without upstreams: names outside of the zones are refused */
	struct forward *forward;	       /* the server's own */
	bool forwards;			       /* likewise: it has upstreams, or had */
	const struct identity_slot *identity; /* the server's own: what its workers look at */
	const struct cookie_slot *cookies;    /* likewise */
	const struct rate_limiter *limiter;   /* likewise */
	struct tls_slot *tls_slot;	      /* likewise */
};

struct dns_server;

/* Binds every address (all or nothing) and starts the threads. E_IO with the address in the text; address in
 * use: E_CONFLICT. IPv6 addresses on a host without IPv6 are skipped when the wildcard was asked for. */
int dns_server_start(struct dns_server **ret, const struct dns_server_conf *conf, struct error *err);
/* What is bound: for UDP and TCP, or for TLS. */
size_t dns_server_addresses(const struct dns_server *s, bool tls, struct sockaddr_storage *ret, size_t max);
/* A reload: new addresses are bound, so that one that cannot be had leaves everything as it was (errors as at start);
 * the commit hands them to the workers. Addresses in both lists go on without a pause; what has come in at one that is
 * gone is answered first, and its TCP connections live on. */
struct dns_change;
int dns_server_prepare(struct dns_change **ret, struct dns_server *s, const struct dns_server_conf *conf,
		       struct error *err); /* of @conf the addresses, and @forwarding; NULL: it stays */
void dns_server_commit(struct dns_server *s, struct dns_change *change); /* taken */
void dns_server_abandon(struct dns_change *change);		       /* taken; NULL is fine */
/* What it says of itself from now on (a reload); what it said before goes to @reaper. E_NOMEM: nothing changed. */
int dns_server_identify(struct dns_server *s, const char *nsid, const char *version, struct rcu_reaper *reaper);
/* The secrets of cookies from now on: 1 or 2, the first signs; none are given before the first call. E_NOMEM: nothing
 * changed. */
int dns_server_cookies(struct dns_server *s, const uint8_t (*keys)[COOKIE_SECRET_LEN], unsigned count,
		       struct rcu_reaper *reaper);
/* Who is answered how much from now on. E_NOMEM: nothing changed. */
int dns_server_limit(struct dns_server *s, const struct rate_conf *conf, struct rcu_reaper *reaper);
/* What TLS connections show from now on; @fresh is taken. Those that are open go on. */
void dns_server_secure(struct dns_server *s, struct tls_context *fresh, struct rcu_reaper *reaper);
/* Now and then, from the thread that calls that: keys of session tickets change with time. */
void dns_server_turn_tickets(struct dns_server *s, int64_t now_ms);
/* The rows of counters of a set that will be put in force: a zone of a known name goes on counting where it was. */
void dns_server_zones(struct dns_server *s, struct zone_set *fresh);
void dns_server_stop(struct dns_server *s); /* waits for the threads (well under a second) and frees */

#endif

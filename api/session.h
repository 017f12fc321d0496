/* session.h - one gRPC connection of a client: who it is, what it publishes, what it subscribes to, whether it
 * still answers. One I/O thread's. It outlives its connection while instances of its own wait out the reconnect
 * grace, and while commands of it are with the desk. */
#ifndef API_SESSION_H
#define API_SESSION_H

#include "api/io_timer.h"
#include "base/map.h"
#include "net/grpc.h"
#include "registry/command.h"

struct api;
struct io;
struct message;

enum { SESSION_ID_MAX = 72, SESSION_VERSION_MAX = 64, SESSION_PEER_MAX = 46, SUBSCRIPTIONS_MAX = 20000 };

struct entry_address {
	const char *ip, *cluster; /* in the same block */
	uint16_t port;
	bool gone; /* deregistered during the grace */
};
struct entry_addresses { /* one heap block */
	size_t count;
	struct entry_address at[];
};

/* What it publishes of one service: replaced as a whole (nacos-naming 1.8). */
struct session_entry {
	uint64_t hash;
	struct service_key key; /* into text */
	struct entry_addresses *addresses;
	char text[];
};

struct session {
	struct io *io;
	struct session *next, *prev; /* of io->sessions; closed ones: of io->graced */
	struct grpc_conn *conn;	  /* NULL: closed */
	struct grpc_call *stream; /* requestBiStream; NULL: none */
	uint64_t publisher;	  /* its number at the registry */
	char id[SESSION_ID_MAX], peer[SESSION_PEER_MAX], version[SESSION_VERSION_MAX], app[SESSION_VERSION_MAX];
	char *labels;		  /* what it announced, a JSON object; heap; NULL: nothing */
	uint16_t peer_port;
	bool set_up;	/* ConnectionSetupRequest came: other requests are answered */
	bool detecting; /* a ClientDetectionRequest is unanswered */
	bool excused;	/* it was given more time, since this server stood still */
	bool evicted;	/* it did not answer: no grace */
	bool resetting; /* it was asked to connect elsewhere; closed when it does not */
	bool claimed;	/* closed, and its client is back, though it has not registered again yet */
	bool leaving;	/* its instances are being deregistered */
	int64_t since_ms, active_ms;
	uint64_t requests; /* of ours on the stream */
	unsigned messages; /* unanswered */
	unsigned commands; /* deregistrations under way, questions of its knocking */
	struct map entries; /* session_entry */
	struct map subscriptions; /* struct subscription */
	struct fuzzy_watch *watches;
	unsigned watch_count;
	struct io_timer timer; /* idle; then grace */
	struct knocking *knocking; /* during the grace; NULL: nobody is asked */
};

/* For the gRPC server. */
int session_open(struct io *io, struct grpc_conn *conn);
void session_conn_gone(struct session *s);
void session_stream_gone(struct session *s);

void session_set_up(struct session *s);
void session_active(struct session *s); /* the client has said something that shows that it lives */
/* One message on the stream, its body of 1..3 parts, which are released as by grpc_send(), whose errors these are. */
int session_send(struct session *s, const char *type, const struct stream_part *body, unsigned count);
struct session_target {
	const char *host, *port; /* "": of the client's choice */
};
/* Asks the client to connect elsewhere. One that does not understand it (Python) has its connection closed a little later:
 * it connects again, and takes over what it publishes as after any closed connection. */
void session_reset(struct session *s, const struct session_target *to);
/* Connections of all I/O threads. Any thread. */
unsigned api_session_count(const struct api *a);
/* A message of it was answered. It may be freed by this call. */
void session_message_done(struct session *s);

/* For its knocking, while the grace lasts. */
/* Nobody listens at @a of @e any more: it goes. E_NOMEM: it stays as long as the others. */
int session_refuse(struct session *s, const struct session_entry *e, struct entry_address *a);
void session_leave(struct session *s);	 /* the grace is over; it may be freed */
void session_release(struct session *s); /* one of s->commands is back; it may be freed */

/* The addresses that it publishes of @key from now on; the old ones (NULL: none) become the caller's. @fresh
 * (taken; NULL: the entry ends). E_NOMEM: nothing has changed, @fresh is the caller's. */
int session_publish(struct session *s, const struct service_key *key, struct entry_addresses *fresh,
		    struct entry_addresses **ret_old);
struct entry_addresses *entry_addresses_new(const struct instance_spec *specs, size_t count); /* NULL: no memory */

/* The end of the I/O thread: all of them, whatever they publish. */
void sessions_free(struct io *io);

#endif

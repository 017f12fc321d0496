/* listener.h - one listening TCP address on a libuv loop: bind, listen, accept within limits. Every
 * call and callback runs on the loop's thread. A refused peer is closed at once and counted. It
 * refuses to know what is spoken on its connections. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

struct listener; /* opaque */
struct stream;

struct listener_conf {
	unsigned backlog;	 /* 0: 4096 */
	unsigned conns_max;	 /* open at once through this listener; 0: no limit */
	unsigned conns_per_peer; /* of one address; 0: no limit */
	/* Sent to a peer before it is closed because there is no place for it, or because its address has too many
	 * (static; NULL: nothing is said; bytes, 0: up to the NUL). */
	const char *full_text, *peer_text;
	size_t full_len, peer_len;
	bool reuse_port;	 /* several loops share the address (SO_REUSEPORT) */
	/* May this peer connect? NULL: all may. Called before anything is read. */
	bool (*allow)(void *arg, const struct sockaddr *peer);
	void *allow_arg;
	/* A socket of listener_socket() that takes the place of binding here; taken, on failure too. */
	bool has_fd;
	int fd;
};

struct listener_counts {
	uint64_t accepted, refused_allow, refused_total, refused_peer, failed;
	unsigned open; /* now */
};

/* The owner of connections: gives the place of a new stream (uninitialised), or NULL when it has
 * none. */
typedef struct stream *listener_place_fn(void *arg);
/* An accepted connection, initialised and counted; the owner ends it with stream_close(). */
typedef void listener_accept_fn(void *arg, struct listener *l, struct stream *s);
/* A place that did not become a connection comes back. */
typedef void listener_return_fn(void *arg, struct stream *s);

struct listener_owner {
	listener_place_fn *place;
	listener_accept_fn *accept;
	listener_return_fn *give_back;
	void *arg;
};

/* A socket that listens at @at, bound on any thread for the loop of another one. *@bound: with the port that was taken.
 * It is bound alone, so that a foreign server on that port is an error and never a silent sharer; those that come
 * behind it with @join share its port, or an address that overlaps with it. Errors: E_EXISTS, E_DENIED, E_IO. */
int listener_socket(int *ret, const struct sockaddr *at, bool join, struct sockaddr_storage *bound,
		    struct error *err);
/* Bind and listen at @at (AF_INET, or AF_INET6 with V6ONLY; port 0: any). @conf and @owner are
 * copied. On E_OK the caller owns *@ret and ends it with listener_close().
 * Errors: E_NOMEM, E_EXISTS (address in use: the text names it), E_DENIED, E_IO. */
int listener_open(struct listener **ret, uv_loop_t *loop, const struct sockaddr *at,
		  const struct listener_conf *conf, const struct listener_owner *owner,
		  struct error *err);
/* Where it listens, with the port that was taken. Valid until listener_close(). */
const struct sockaddr *listener_address(const struct listener *l);
uint16_t listener_port(const struct listener *l);
/* From the next connection on. */
void listener_set_per_peer(struct listener *l, unsigned conns_per_peer);
const struct listener_counts *listener_counts(const struct listener *l);
/* No new connection from now on; those that are open live on. @on_closed (may be NULL) runs when
 * the socket and the last of them are gone; @l is freed by then. */
void listener_close(struct listener *l, void (*on_closed)(void *arg), void *arg);

#endif

/* loop.h - one epoll loop and the descriptors on it. All of a run happens on its thread. */
#ifndef NACOSBLAST_LOOP_H
#define NACOSBLAST_LOOP_H

#include "buf.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	READ_CHUNK = 256 * 1024, /* bytes of one recv() */
	RETRY_MS = 100,		 /* a refused or lost connection is tried again after */
};

/* A descriptor on the loop. Its owner embeds it and closes it. */
struct sock {
	int fd;
	bool want_write; /* EPOLLOUT is asked for */
	bool is_later;	 /* it is on the loop's list of those that write later */
	struct sock *next_later;
	void (*on_events)(struct sock *, uint32_t events);
	void (*on_later)(struct sock *);
};

/* One core stands for thousands of clients, each of which would have a machine of its own. So that what is measured is
 * the server, and not how they wait for each other here: what has come is read before anything is answered (@later),
 * and a loop with little to do rests for a moment (@rests), since otherwise the server's core would wake this one
 * for every single message. Times of arrival are later for that, never earlier. */
struct loop {
	int epfd;
	bool rests;
	uint64_t woke;	/* when the events at hand were reported: the time of arrival */
	uint64_t now;	/* when the present event's turn came */
	uint8_t *chunk; /* READ_CHUNK bytes that any handler may read into */
	struct sock *later, **later_end;
};

void loop_init(struct loop *loop);
void loop_done(struct loop *loop);

/* Take what has come, waiting for it at most @timeout_ms (-1: for ever), and call its owners. */
void loop_turn(struct loop *loop, int timeout_ms);

/* Turn until the clock says @until; @tick (may be NULL) is called between the turns. */
void loop_run_until(struct loop *loop, uint64_t until, void (*tick)(void *), void *arg);

/* Its on_later() is called as soon as there is nothing to be read. */
void sock_later(struct loop *loop, struct sock *s);

/* @op is epoll_ctl()'s; reading is always asked for, writing where @write says so. */
void sock_watch(struct loop *loop, struct sock *s, int op, bool write);
void sock_close(struct sock *s); /* a closed one may be closed again */

/* Send what @out holds; the rest follows on EPOLLOUT. False: the peer is gone. */
bool sock_flush(struct loop *loop, struct sock *s, struct buf *out);

/* Begin a connection to 127.x @host from 127.0.0.@source (0: the kernel chooses); EPOLLOUT tells
 * its end, sock_error() how it ended. */
bool sock_connect(struct loop *loop, struct sock *s, struct in_addr host, uint16_t port,
		  unsigned source);
int sock_error(const struct sock *s); /* an errno; 0: none */

/* How far a client's connection is. HTTP knows down, connecting and up. */
enum conn_state {
	CONN_DOWN,
	CONN_CONNECTING,
	CONN_CHECKING,
	CONN_SETTING_UP,
	CONN_CONFIRMING,
	CONN_UP
};

#endif

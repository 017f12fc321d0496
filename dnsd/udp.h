/* udp.h - the datagrams of one worker: receive a batch, answer it in place, send it. Runs on the worker's thread,
 * on descriptors that its libuv loop watches. Per query no heap, no lock, no log line. */
#ifndef DNSD_UDP_H
#define DNSD_UDP_H

#include "dnsd/respond.h"
#include <uv.h>

struct udp_batch; /* buffers of one worker, shared by its sockets */
/* @gso: answers that follow each other to one client may go out together (udp_out.h). NULL: no memory. */
struct udp_batch *udp_batch_new(bool gso);
void udp_batch_free(struct udp_batch *b);

struct udp_socket { /* embedded by the worker; must stay in place until closed */
	uv_poll_t poll;
	int fd;
	struct sockaddr_storage addr;
	struct dns_place place; /* the same as it was set */
	bool wildcard; /* answers leave from the address asked */
	bool gso;      /* they may leave together */
	struct udp_batch *batch;
	struct responder *responder;
	struct asker asker; /* waits for answers of the forwarder */
	void (*on_closed)(struct udp_socket *s);
};

/* Takes @fd, on failure too. Errors: E_IO. */
int udp_socket_open(struct udp_socket *s, uv_loop_t *loop, int fd, const struct sockaddr_storage *addr,
		    const struct dns_place *place, struct udp_batch *batch, struct responder *responder, struct error *err);
/* The loop has to run once more; then @on_closed (NULL: none) may free it. */
void udp_socket_close(struct udp_socket *s, void (*on_closed)(struct udp_socket *s));
void udp_socket_drain(struct udp_socket *s); /* answers what has come in already */

#endif

/* udp.h - the datagrams of one worker: receive a batch, answer it in place, send it. Runs on the worker's thread,
 * on descriptors that its libuv loop watches. Per query no heap, no lock, no log line. */
#ifndef DNSD_UDP_H
#define DNSD_UDP_H

#include "dnsd/respond.h"
#include <uv.h>

struct udp_batch; /* buffers of one worker, shared by its sockets */
struct udp_batch *udp_batch_new(void); /* NULL: no memory */
void udp_batch_free(struct udp_batch *b);

struct udp_socket { /* embedded by the worker; must stay in place until closed */
	uv_poll_t poll;
	int fd;
	struct sockaddr_storage addr;
	bool wildcard; /* answers leave from the address asked */
	struct udp_batch *batch;
	struct responder *responder;
};

/* Takes @fd, on failure too. Errors: E_IO. */
int udp_socket_open(struct udp_socket *s, uv_loop_t *loop, int fd, const struct sockaddr_storage *addr,
		    struct udp_batch *batch, struct responder *responder, struct error *err);
void udp_socket_close(struct udp_socket *s); /* the loop has to run once more */

#endif

/* udp_sockets.h - the sockets that UDP push leaves from and acknowledgements come back to: one for each address, bound
 * to a fixed port. Datagrams go out in batches; none ever waits in the kernel's place for room. The first I/O thread's,
 * but for opening. */
#ifndef API_UDP_SOCKETS_H
#define API_UDP_SOCKETS_H

#include "base/error.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

enum { UDP_SOCKETS_MAX = 16, UDP_BATCH = 64 };

union udp_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

bool udp_address_same(const union udp_address *a, const union udp_address *b); /* with the port */
uint64_t udp_address_hash(const union udp_address *a);
uint64_t udp_host_hash(const union udp_address *a); /* without the port */
bool udp_host_is_loopback(const union udp_address *a);
bool udp_host_same(const union udp_address *a, const union udp_address *b);

struct udp_sockets;
struct udp_socket {
	struct udp_sockets *all;
	uv_poll_t poll;
	int fd;
	bool wants_room;
	union udp_address bound;
};

struct udp_sockets {
	struct udp_socket at[UDP_SOCKETS_MAX];
	unsigned count;
	bool polled;
	void (*on_datagram)(void *arg, const union udp_address *from, const char *at, size_t len);
	void (*on_room)(void *arg); /* wanted by udp_socket_want_room */
	void *arg;
};

/* Binds @count addresses; on failure none is open. E_IO, E_DENIED. Any thread. */
int udp_sockets_bind(struct udp_sockets *s, const struct sockaddr_storage *at, unsigned count, struct error *err);
/* From now on callbacks come on @loop. E_IO. */
int udp_sockets_poll(struct udp_sockets *s, uv_loop_t *loop, struct error *err);
void udp_sockets_close(struct udp_sockets *s); /* the handles end with the loop's next turn; fine when not open */

/* The one to send from to @to; NULL: none has its family. */
struct udp_socket *udp_socket_for(struct udp_sockets *s, const union udp_address *to);

struct udp_datagram {
	const union udp_address *to;
	const void *at;
	size_t len;
};
void udp_socket_want_room(struct udp_socket *s);
/* Hands them to the kernel in order. The number of those that it took; then *@why is 0 or the errno of the next one. */
unsigned udp_socket_send(struct udp_socket *s, const struct udp_datagram *first, unsigned count, int *why);

#endif

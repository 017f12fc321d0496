/* doors.h - where HTTP is served, and which routes are answered where: clients at one kind of address, operators, where
 * they have one, at the other. Addresses are bound on the control thread and handed to the I/O threads, at start and by
 * a reload the same way. */
#ifndef API_DOORS_H
#define API_DOORS_H

#include "api/routes.h"
#include "base/inbox.h"
#include <sys/socket.h>

enum { DOORS_MAX = 48, GRPC_PORT_OFFSET = 1000 /* SDKs add it to the port of HTTP */ };
/* A listener's tag. All speak HTTP/1 and gRPC; that of gRPC has limits of its own. */
enum door_kind { DOOR_PUBLIC, DOOR_OPERATOR, DOOR_GRPC };

struct door {
	struct sockaddr_storage asked, bound; /* they differ where port 0 was asked for */
	enum door_kind kind;
	int partner; /* gRPC, 1000 above an address of HTTP: which door; -1: an address of its own */
};

struct doors {
	struct door at[DOORS_MAX];
	size_t count, operators; /* of count */
};

/* What one I/O thread is told: the doors from now on. */
struct door_news {
	struct inbox_message message;
	struct doors doors;
	int kept[DOORS_MAX]; /* which of the doors before it was; -1: @fd is its socket, taken */
	int fd[DOORS_MAX];
	struct api_conf *conf; /* its numbers; follows in the same block */
};

/* The first public one's port, as bound. */
unsigned doors_port(const struct doors *d);

struct io;
/* Closes what is gone, serves what is new, sets the limits; frees @news. On the thread's loop, or before it runs.
 * E_NOMEM, E_IO: one could not be served; the others are. */
int io_take_doors(struct io *io, struct door_news *news, struct error *err);

void door_news_discard(struct door_news *news); /* the thread ends: it takes no more */

/* Where a route is answered when operators have doors of their own. */
bool route_is_for(const struct route *row, enum door_kind kind);
struct request;
/* It came in by the wrong door: 403, with where to go. */
void answer_other_door(struct request *r);

#endif

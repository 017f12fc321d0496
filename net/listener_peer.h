/* listener_peer.h - between stream.c and listener.c only: a stream that has closed leaves its
 * listener's counts. */
#ifndef NET_LISTENER_PEER_H
#define NET_LISTENER_PEER_H

#include "net/stream.h"

/* @s is closed; its listener may be freed by this call. */
void listener_left(struct stream *s);

#endif

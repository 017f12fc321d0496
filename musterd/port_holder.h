/* port_holder.h - who sits on a port that we wanted, from /proc, and what to do about it. */
#ifndef MUSTERD_PORT_HOLDER_H
#define MUSTERD_PORT_HOLDER_H

#include "base/error.h"
#include <stddef.h>
#include <sys/socket.h>

/* If @rc is E_CONFLICT (address in use) adds the holder's name, pid and the cure to @err's text. Returns @rc. */
int port_holder_explain(struct error *err, int rc, const struct sockaddr_storage *wanted, size_t n);

#endif

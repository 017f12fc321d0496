/* rpc.h - the gRPC server of one I/O thread: its methods, its connections, their limits. */
#ifndef API_RPC_H
#define API_RPC_H

#include "base/error.h"
#include <stddef.h>

struct io;
struct stream;

int rpc_open(struct io *io, struct error *err);
/* For http_server_conf.on_http2; @arg: the io. */
int rpc_adopt(void *arg, struct stream *stream, int listener_tag, const char *at, size_t len);

#endif

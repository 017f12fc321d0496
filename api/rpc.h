/* rpc.h - the gRPC server of one I/O thread: its methods, its connections, their limits. */
#ifndef API_RPC_H
#define API_RPC_H

#include "base/error.h"
#include <stddef.h>

struct api_conf;
struct io;
struct stream;

int rpc_open(struct io *io, struct error *err);
/* The numbers of gRPC and pushes from now on: what is open keeps the limits of its connection. */
void rpc_set_limits(struct io *io, const struct api_conf *conf);
/* For http_server_conf.on_http2; @arg: the io. */
int rpc_adopt(void *arg, struct stream *stream, int listener_tag, const char *at, size_t len);

#endif

/* grpc_ops.h - the unary requests over gRPC: how each is written and what answers it, as rows of a
 * table. */
#ifndef NACOSBLAST_GRPC_OPS_H
#define NACOSBLAST_GRPC_OPS_H

#include "load.h"

/* One kind of unary request. @conn: the connection's number; @k: how many it has begun in this
 * phase;
 * @op: how many all have. */
struct grpc_op {
	const char *request, *response;
	void (*write)(const struct load *, unsigned conn, uint64_t k, uint64_t op,
		      struct buf *body);
	bool has_hosts; /* the answer must list hosts */
};

enum grpc_op_name {
	GRPC_SERVER_CHECK,
	GRPC_HEALTH_CHECK,
	GRPC_INSTANCE,
	GRPC_PUBLISH,
	GRPC_QUERY,
	GRPC_CONFIG_PUBLISH,
	GRPC_CONFIG_GET,
	GRPC_CONFIG_REMOVE,
	GRPC_IDLE_REGISTER,
	GRPC_IDLE_SUBSCRIBE,
	GRPC_PUSH_PUBLISH,
	GRPC_PUSH_SUBSCRIBE,
};

extern const struct grpc_op grpc_ops[]; /* by enum grpc_op_name */

#endif

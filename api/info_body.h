/* info_body.h - ServiceInfo as lists, answers and pushes carry it, encoded once per view. One I/O thread's. */
#ifndef API_INFO_BODY_H
#define API_INFO_BODY_H

#include "api/encodings.h"
#include "api/shapes.h"

struct io;
/* @v's, which is not NULL, inside its RCU section. The caller releases it; NULL: no memory. io->encode is overwritten. */
struct encoding *info_body(struct io *io, const struct service_key *key, const struct service_view *v,
			   const struct list_query *q, enum encoding_shape shape);
/* The key of such a body, or of another one that depends on the same. */
struct encoding_key info_body_key(const struct service_view *v, const struct list_query *q, enum encoding_shape shape);

#endif

/* info_body.c - see info_body.h. */
#include "api/info_body.h"

#include "api/io.h"
#include "base/metrics.h"
#include <string.h>

struct encoding_key info_body_key(const struct service_view *v, const struct list_query *q, enum encoding_shape shape)
{
	return (struct encoding_key){
		.service_id = v->info->id,
		.number = v->number,
		.settings = (uint32_t)q->cache_ms,
		.shape = encoding_shape(shape, q->healthy_only),
		.clusters = q->clusters,
		.clusters_len = (uint16_t)strlen(q->clusters),
	};
}

struct encoding *info_body(struct io *io, const struct service_key *key, const struct service_view *v,
			   const struct list_query *q, enum encoding_shape shape)
{
	struct encoding_key at = info_body_key(v, q, shape);
	struct encoding *c = encodings_find(&io->encodings, &at);
	metrics_add(c != NULL ? io->cell_hits : io->cell_misses, 1);
	if (c != NULL)
		return c;
	struct text *t = &io->encode;
	text_clear(t);
	shape_service_info(t, key, v, q);
	return t->failed ? NULL : encodings_add(&io->encodings, &at, t->at, t->len);
}

/* encodings.h - encoded bodies by (service, clusters, healthy only, shape), newest view only, least recently
 * used ones dropped over a limit of bytes. One I/O thread's. A body that is on its way out stays until it is
 * released, even when it was dropped here meanwhile. */
#ifndef API_ENCODINGS_H
#define API_ENCODINGS_H

#include "base/map.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a body is. */
enum encoding_shape {
	SHAPE_V1,
	SHAPE_V1_POLLED, /* for who is to ask more often: another cacheMillis */
	SHAPE_V2,
	SHAPE_V3,
	SHAPE_LEGACY,
	SHAPE_GRPC,
	SHAPE_UDP, /* a datagram: udp_push.c */
};

struct encoding_key {
	uint64_t service_id; /* service_info.id */
	uint64_t number;     /* view.number: another one is stale */
	uint32_t settings;   /* what else the body depends on (switches) */
	uint16_t shape;	     /* encoding_shape() */
	uint16_t clusters_len;
	const char *clusters;
};

struct encoding {
	struct encoding *newer, *older;
	struct encodings *home; /* NULL: dropped */
	uint64_t hash;
	struct encoding_key key; /* clusters: behind the struct, then the body */
	unsigned refs;
	size_t bytes, len; /* of all; of the body */
	const char *body;
};

struct encodings {
	struct map map;
	struct encoding *newest, *oldest;
	size_t bytes, limit, count;
};

static inline uint16_t encoding_shape(enum encoding_shape shape, bool healthy_only)
{
	return (uint16_t)(shape * 2 + healthy_only);
}

void encodings_init(struct encodings *e, size_t limit);
void encodings_done(struct encodings *e); /* bodies on their way out live on until released */
/* The body, or NULL. A stale one is dropped. The caller gets a reference. */
struct encoding *encodings_find(struct encodings *e, const struct encoding_key *key);
/* Copies @body and returns the encoding with a reference; NULL: no memory. A body over the limit is not kept
 * beyond its references. */
struct encoding *encodings_add(struct encodings *e, const struct encoding_key *key, const void *body,
			       size_t len);
static inline struct encoding *encoding_hold(struct encoding *c) /* one reference more */
{
	c->refs++;
	return c;
}
void encoding_release(void *encoding); /* drops a reference */

#endif

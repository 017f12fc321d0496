/* image.h - everything the zones say at one moment, for who takes a zone as a whole. Taken on the control thread in
 * slices: whatever changes meanwhile is shown to the image before it changes, so that it is of the moment it was begun.
 * It copies names and holds blobs; nothing of it needs an RCU section. Once it is whole it is read by any thread, and
 * ended on the control thread, in slices too. Private to zones/. */
#ifndef ZONES_IMAGE_H
#define ZONES_IMAGE_H

#include "zones/zone.h"

enum image_kind { IMAGE_END, IMAGE_FOLDER, IMAGE_SITE };

struct image_row { /* in a chunk; padded to 8 octets */
	uint8_t kind; /* enum image_kind */
	uint16_t size;
};

struct image_folder { /* a namespace (@parent NULL) or a group */
	struct image_row row;
	uint32_t number; /* parent number of what is below */
	const struct image_folder *parent;
	struct blob *blob; /* may be NULL */
	uint8_t label[64], canonical[64]; /* wire form; they differ where names would be too long */
};

struct image_site { /* a service; its folders stand before it */
	struct image_row row;
	const struct image_folder *group;
	struct blob *blob;
	const struct shown *shown; /* by which exports */
	uint8_t labels[]; /* wire form: the canonical one, then the raw alias if it is this service's (else 0) */
};

struct image_chunk {
	struct image_chunk *next;
	uint32_t used;
	_Alignas(8) uint8_t rows[];
};

struct image_zone {
	const struct zone *zone;
	uint32_t serial;
	struct static_zone *file; /* held; NULL: it has none */
	struct blob **vanities;	  /* the services of its vanity names, held; NULL: not there */
};

struct image {
	uint64_t number, changes;
	unsigned refs;	/* control's */
	bool failed;	/* no memory: it is of no use */
	uint32_t ttl, ttl_host, ttl_negative, ttl_apex, ttl_version; /* seconds */
	size_t address_count, folder_count; /* addresses of all services, with repetitions */
	struct ns_addresses *ns; /* a copy */
	struct image_chunk *first, *last;
	struct site *at;	   /* while it is taken: the next to visit */
	uint32_t ended_at; /* while it is ended: octets of the first chunk that are given back */
	size_t zone_count;
	struct image_zone zones[];
};

/* Begins one; zones with changes get their next serial. NULL: no memory, or another one is being taken. */
struct image *image_begin(struct zone_set *zs);
bool image_step(struct zone_set *zs, unsigned sites); /* visits so many; true: it is whole, or has failed */
/* Gives back so many rows; true: @im is gone. Of one that was not whole too. */
bool image_end_step(struct zone_set *zs, struct image *im, unsigned rows);

void image_visit(struct zone_set *zs, struct site *s);
/* @s is about to change or to go, with whatever its names or its answers are. */
static inline void image_before(struct zone_set *zs, struct site *s)
{
	if (zs->taking != NULL && s->image_number != zs->taking->number)
		image_visit(zs, s);
}
static inline void image_forget(struct zone_set *zs, const struct site *s)
{
	if (zs->taking != NULL && zs->taking->at == s)
		zs->taking->at = s->next;
}

/* The row behind @row in @*chunk, or the first one (@row NULL); NULL: that was all. */
const struct image_row *image_next(const struct image_chunk **chunk, const struct image_row *row);

#endif

/* blob_set.h - compiling one set of instances. Private to blob_build.c and blob_service.c; control thread. */
#ifndef ZONES_BLOB_SET_H
#define ZONES_BLOB_SET_H

#include "zones/blob_rows.h"

struct set_extra {
	const char *name;	       /* for TXT: the original of a hashed label; NULL: none */
	const struct packed *metadata; /* the set's own, for TXT; NULL: no TXT */
	uint32_t clusters;	       /* entries to leave room for */
	int scale;		       /* of SRV weights; -1: own */
	const struct blob *before;     /* what it answers until now; NULL: nothing */
};

/* @bb->info and rules are set. NULL: no memory. One reference. */
struct blob *set_compile(struct blob_builder *bb, const struct instance *const *list, uint32_t n,
			 const struct set_extra *extra);

#endif

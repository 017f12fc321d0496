/* blob_set.h - compiling one set of instances. Private to blob_build.c and blob_service.c; control thread. */
#ifndef ZONES_BLOB_SET_H
#define ZONES_BLOB_SET_H

#include "zones/blob_rows.h"

struct set_extra {
	const char *name;	       /* for TXT: the original of a hashed label; NULL: none */
	const struct packed *metadata; /* the set's own, for TXT; NULL: no TXT */
	uint32_t parts;		       /* entries to leave room for */
	int scale;		       /* of SRV weights; -1: own */
	const struct blob *before;     /* what it answers until now; NULL: nothing */
};

/* blob_build.c: adds the ports of @r to the SRV entries of @host, the last ones from @from on. */
void host_ports(struct blob_builder *bb, const struct row *r, uint32_t host, uint32_t from);
/* blob_named.c. E_NOMEM. */
int named_add(struct blob_builder *bb, const struct row *row, struct host_name *host);
int named_emit(struct blob_builder *bb); /* behind the hosts with addresses */
bool named_was_answered(const struct blob *b, const struct named_row *r);
/* What the blob has besides; 0: nothing. */
uint32_t extra_size(const struct blob_builder *bb);
void extra_put(const struct blob_builder *bb, struct blob *b);

/* @bb->info and rules are set. NULL: no memory. One reference. */
struct blob *set_compile(struct blob_builder *bb, const struct instance *const *list, uint32_t n,
			 const struct set_extra *extra);

#endif

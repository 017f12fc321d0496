/* zone_stream_in.h - the inside of a stream: the RRset that is being read, and the position in the image from which the
 * next one is made. Private to zones/; one thread at a time. */
#ifndef ZONES_ZONE_STREAM_IN_H
#define ZONES_ZONE_STREAM_IN_H

#include "base/inbox.h"
#include "zones/image.h"
#include "zones/svcb.h"
#include "zones/zone_stream.h"

enum { HOST_TXT = 32 };

struct zone_out;
struct zone_stream_link {
	struct inbox_message message; /* its way back to the control thread */
	struct zone_out *out;
};

/* The RRset that is being read. */
struct rrset {
	enum { FROM_FILE, FROM_BYTES, FROM_V4, FROM_V6, FROM_SRV, FROM_TXT, FROM_NS, FROM_SVCB } source;
	uint16_t type;
	uint32_t ttl, count, at;
	const struct blob *blob;
	const struct static_set *set;	/* of the file... */
	uint32_t offset;		/* ...the next of its records */
	const uint32_t *members;	/* of the SRV entries; NULL: from @base on */
	struct svcb_set svcb;
	uint32_t base;
	uint8_t owner[255];
	uint16_t owner_len;
	uint32_t txt[HOST_TXT];
};

/* A set of instances that is gone through: of a service, or of a part of it. */
struct set_walk {
	const struct blob *blob;
	uint32_t item;
};

/* Where a service stands, and how far its names there have been given. */
struct site_walk {
	enum { STAGE_SET, STAGE_ADDRESSES, STAGE_PARTS, STAGE_SCOPE, STAGE_OVER } stage;
	uint8_t name[255]; /* of the service there, wire form */
	uint16_t name_len;
	uint16_t parent_at; /* in @name: what stands right of its first label */
	const struct blob_group *port; /* of a vanity name that is for one; NULL: all */
	bool hidden; /* the zone itself has the name: all that is left is what stands beside it */
	struct set_walk set;
	struct address_walk address;
	bool in_address;
	unsigned address_item;
	uint32_t host, txt_key, part_at;
	unsigned proto;
};

struct zone_stream {
	struct zone_stream_link link; /* zone_out.c's */
	const struct image *image;
	const struct image_zone *part; /* of the image */
	const struct zone *zone;
	const struct static_zone *file; /* NULL: none */
	uint32_t serial;
	enum { PHASE_SOA, PHASE_APEX, PHASE_VANITIES, PHASE_ROWS, PHASE_FILE, PHASE_LAST, PHASE_END } phase;
	unsigned step; /* of the apex */
	uint32_t node, nth_set; /* of the file, the next */
	uint8_t *node_taken; /* bits: nodes of the file at names that the registry has */
	size_t nth_vanity;
	const struct vanity *vanity; /* whose names are given; NULL: those of the layout are */
	const struct image_chunk *chunk;
	const struct image_row *row;
	/* of a row */
	enum { ROW_HOSTS, ROW_FOLDERS, ROW_NAMES, ROW_END } row_part;
	struct address_walk host;
	uint32_t nth_folder;
	unsigned nth_parent;
	/* of a reverse zone */
	struct zone_viewer viewer;
	size_t nth_forward;
	bool alias;
	struct site_walk site;
	/* addresses that were given as hosts, and folders: hashes, 0 free */
	uint64_t *seen;
	uint64_t seen_mask;
	uint64_t cut;
	unsigned work; /* in this call */
	bool paused;   /* it was enough for one call */
	bool ready; /* @record is due */
	struct zone_record record;
	struct rrset rrset;
	uint8_t rdata[1400];
};

/* Of a whole image, which stays until zone_stream_done(). NULL: no memory. */
struct zone_stream *zone_stream_new(const struct image *im, size_t nth_zone, const struct zone_viewer *viewer);
struct zone_stream_link *zone_stream_link(struct zone_stream *s);
const struct image *zone_stream_done(struct zone_stream *s); /* frees it; the image is given back */

/* stream_rrset.c. Labels in wire form, left of @base. false: the name is longer than names may be, and does not exist. */
bool owner_set(struct zone_stream *s, const uint8_t *const *labels, unsigned n, const uint8_t *base, size_t len);
/* Is the registry's RRset that was opened for that owner what DNS answers there? (Neither a file, nor a vanity name, nor
 * another zone has the name.) */
bool owner_answers(struct zone_stream *s);
bool rrset_open(struct zone_stream *s, int source, unsigned type, uint32_t ttl, uint32_t count); /* false: empty */
bool rrset_open_bytes(struct zone_stream *s, unsigned type, uint32_t ttl, const void *rdata, size_t len);
bool rrset_open_srv(struct zone_stream *s, const struct blob *b, const uint32_t *members, uint32_t base, uint32_t n);
bool rrset_open_group(struct zone_stream *s, const struct blob *b, const struct blob_group *g);
/* HTTPS or SVCB of a set (@g NULL), or of one port of it. */
bool rrset_open_svcb(struct zone_stream *s, const struct blob *b, const struct blob_group *g, unsigned type);
bool rrset_open_addresses(struct zone_stream *s, const struct blob *b, unsigned type);
uint32_t rrset_ttl(const struct zone_stream *s, const struct blob *b);
void rrset_record(struct zone_stream *s); /* the one that is due */
size_t address_label(uint8_t ret[64], int family, const uint8_t *addr);

bool stream_works(struct zone_stream *s); /* one step more that makes no record; false: a pause is due */
bool stream_first(struct zone_stream *s, const void *what, size_t len); /* has it not been given before? stream_site.c */

/* stream_apex.c */
bool soa_open(struct zone_stream *s);
bool apex_next(struct zone_stream *s);
/* stream_file.c */
bool file_next(struct zone_stream *s);
const struct static_node *file_node(const struct zone_stream *s, const uint8_t *owner, size_t len);
bool file_covers(const struct zone_stream *s, const uint8_t *owner, size_t len); /* a delegation at or above it */
/* stream_service.c: the names that a service has at one place. */
void service_begin(struct zone_stream *s, const struct blob *b);
bool service_next(struct zone_stream *s, const struct blob *b);
/* stream_site.c: everything of one row; stream_vanity.c; stream_reverse.c */
void row_begin(struct zone_stream *s, const struct image_row *row);
bool row_next(struct zone_stream *s);
bool vanities_next(struct zone_stream *s);
bool pointers_of_zones_next(struct zone_stream *s);

#endif

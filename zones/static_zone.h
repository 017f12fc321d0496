/* static_zone.h - the records of one zone file, compiled: immutable, read by DNS workers inside RCU sections and by
 * streams that hold a reference. Names are relative to the zone, in wire form without the root, folded. Private to
 * zones/. dns.md 4.3. */
#ifndef ZONES_STATIC_ZONE_H
#define ZONES_STATIC_ZONE_H

#include "base/error.h"
#include "base/rcu.h"
#include "base/text.h"
#include "zones/query.h"

enum static_flags {
	STATIC_CUT = 1,	  /* a delegation: NS below the apex */
	STATIC_WILD = 2,  /* a wildcard stands right below */
	STATIC_CNAME = 4,
	STATIC_DNAME = 8,
};

struct static_set { /* one RRset */
	uint16_t type, count;
	uint32_t ttl;
	uint32_t at;	 /* in bytes: u16 length and rdata of each; names whole */
	uint32_t octets; /* of all rdata */
};

struct static_node {
	uint32_t name;	/* in bytes */
	uint32_t first; /* of its sets */
	uint16_t sets;	/* 0: an empty non-terminal */
	uint8_t name_len, flags;
};

struct static_zone {
	struct rcu_head reap;
	_Atomic unsigned refs; /* the zone's, those of images */
	uint32_t node_count, set_count, records, mask;
	struct static_node *nodes; /* the apex is the first */
	struct static_set *sets;
	uint32_t *table; /* node + 1 by name; 0: free */
	uint8_t *bytes;
	const struct static_set *soa, *ns; /* of the apex; NULL: generated */
	bool has_aliases; /* a CNAME or DNAME somewhere */
};

/* What a file is held against. */
struct static_owner {
	const char *path;
	const uint8_t *zone; /* wire, with the root */
	size_t zone_len;
	bool whole;    /* the file is all there is: it needs SOA and NS */
	bool anchors;  /* svc and ns are the registry's */
	bool registry; /* i and dns-version are */
	/* Has the registry an answer of its own for this name and type (one of its types)? */
	bool (*taken)(void *arg, const uint8_t *name, size_t len, unsigned type);
	void *arg;
};

/* Any thread. E_OK; E_INVALID: @errors says what is wrong, "FILE:LINE: what" each; E_NOMEM. */
int static_load(struct static_zone **ret, const struct static_owner *owner, struct text *errors);
void static_ref(struct static_zone *st);
void static_unref(struct static_zone *st); /* the last one frees it: nobody reads it by RCU any more */

/* NULL: there is no such name. @name of @len octets, as above. */
const struct static_node *static_find(const struct static_zone *st, const uint8_t *name, size_t len);
const struct static_set *static_set_find(const struct static_zone *st, const struct static_node *n, unsigned type);

/* The records of a set, one after the other: @*at starts at 0. */
static inline const uint8_t *static_next(const struct static_zone *st, const struct static_set *set, uint32_t *at,
					 uint16_t *len)
{
	const uint8_t *rr = st->bytes + set->at + *at;
	memcpy(len, rr, 2);
	*at += 2u + *len;
	return rr + 2;
}

/* ---- static_read.c: a file as records */

struct static_record {
	uint32_t owner, rdata, line; /* places in the bytes; @line: of the file that @file is the number of */
	uint16_t type, rdlength, file;
	uint8_t owner_len;
	uint32_t ttl;
};

struct static_pool { /* grows */
	uint8_t *at;
	size_t len, cap;
};

enum { STATIC_ERRORS_MAX = 100, STATIC_FILES_MAX = 1000 };

struct static_reading {
	const struct static_owner *owner;
	struct text *errors;
	unsigned error_count;
	struct static_pool bytes, records; /* records: struct static_record */
	char *files[STATIC_FILES_MAX];
	unsigned file_count;
	bool full; /* past a limit, which has been told: nothing more is read */
	int rc; /* E_NOMEM at once; E_INVALID once something is wrong */
};

int static_read(struct static_reading *r); /* the whole file, with what it includes */
void static_reading_done(struct static_reading *r);
void *pool_add(struct static_pool *p, size_t len); /* NULL: no memory */
/* Line 0: of the file as a whole. */
void static_complain(struct static_reading *r, unsigned file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Presentation form of a relative name below the zone. */
void static_name_text(char ret[1100], const struct static_owner *o, const uint8_t *name, size_t len);

#endif

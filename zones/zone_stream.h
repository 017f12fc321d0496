/* zone_stream.h - all records of one zone as they were at one moment, one after the other: the SOA, what else there is,
 * the SOA again. One thread at a time, any; no RCU section is needed, and nothing waits. dns.md 4.1. */
#ifndef ZONES_ZONE_STREAM_H
#define ZONES_ZONE_STREAM_H

#include "zones/place.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zone_record {
	const uint8_t *owner; /* wire form, with the root */
	const uint8_t *rdata; /* wire form, names whole */
	uint16_t owner_len, rdlength, type;
	uint32_t ttl;
};

/* Who takes a zone: a reverse zone shows the names of zones that he may ask, where he came in, alone. */
struct zone_viewer {
	bool all; /* an operator: of all */
	uint8_t from[16], from_len; /* 4, 16; 0: unknown */
	struct dns_place at;
};

struct zone_stream;

/* The record that is due; NULL: all were read, or it paused: it has looked at so much that others should have their turn
 * before the next call. Valid until the next call for this stream. */
const struct zone_record *zone_stream_peek(struct zone_stream *s);
bool zone_stream_paused(const struct zone_stream *s);
void zone_stream_pop(struct zone_stream *s); /* it was used */
uint32_t zone_stream_serial(const struct zone_stream *s);
const char *zone_stream_zone(const struct zone_stream *s); /* presentation form without the last dot */
uint64_t zone_stream_cut(const struct zone_stream *s); /* RRsets so far of which only a part was given: too large */
/* Presentation form of a record as a zone file has it, absolute names, with a line feed. Returns its length; 0: it does
 * not fit. */
enum { ZONE_LINE_MAX = 65536 * 4 + 2048 };
size_t zone_record_format(char *to, size_t cap, const struct zone_record *r);

#endif

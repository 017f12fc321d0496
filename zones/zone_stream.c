/* zone_stream.c - an image as records. Nothing is laid out beforehand: a position in the image is kept, and each RRset is
 * written from its blob when it is its turn. */
#include "base/mem.h"
#include "zones/static_zone.h"
#include "zones/zone_stream_in.h"

enum { WORK_MAX = 4096 }; /* rows and addresses that are passed over in one call: some 0.2 ms */

struct zone_stream *zone_stream_new(const struct image *im, size_t nth_zone, const struct zone_viewer *viewer)
{
	const struct image_zone *part = &im->zones[nth_zone];
	struct zone_stream *s = mem_zalloc(1, sizeof(*s));
	uint64_t slots = 64;
	while (slots < 2 * (im->address_count + im->folder_count))
		slots *= 2;
	if (s == NULL)
		return NULL;
	s->image = im;
	s->part = part;
	s->zone = part->zone;
	s->serial = part->serial;
	s->viewer = *viewer;
	s->file = part->file;
	s->seen = mem_zalloc(slots, sizeof(*s->seen));
	s->seen_mask = slots - 1;
	if (s->file != NULL)
		s->node_taken = mem_zalloc(s->file->node_count / 8 + 1, 1);
	if (s->seen == NULL || (s->file != NULL && s->node_taken == NULL)) {
		zone_stream_done(s);
		return NULL;
	}
	return s;
}

struct zone_stream_link *zone_stream_link(struct zone_stream *s)
{
	return &s->link;
}

const struct image *zone_stream_done(struct zone_stream *s)
{
	const struct image *im = s->image;
	mem_free(s->node_taken);
	mem_free(s->seen);
	mem_free(s);
	return im;
}

uint32_t zone_stream_serial(const struct zone_stream *s)
{
	return s->serial;
}

const char *zone_stream_zone(const struct zone_stream *s)
{
	return s->zone->text;
}

uint64_t zone_stream_cut(const struct zone_stream *s)
{
	return s->cut;
}

bool stream_works(struct zone_stream *s)
{
	s->paused = ++s->work > WORK_MAX;
	return !s->paused;
}

static bool rows_next(struct zone_stream *s)
{
	while (s->row != NULL && stream_works(s)) {
		if (row_next(s))
			return true;
		if (s->paused)
			return false;
		row_begin(s, image_next(&s->chunk, s->row));
	}
	return false;
}

/* The first RRset of the phase that comes behind @s->phase; false: this one goes on, or has nothing. */
static bool phase_next(struct zone_stream *s)
{
	switch (s->phase) {
	case PHASE_SOA:
	case PHASE_LAST:
		s->phase++;
		return soa_open(s);
	case PHASE_APEX:
		if (apex_next(s))
			return true;
		s->phase++;
		return false;
	case PHASE_VANITIES:
		if (vanities_next(s))
			return true;
		s->phase++;
		s->chunk = s->image->first;
		row_begin(s, image_next(&s->chunk, NULL));
		return false;
	case PHASE_ROWS:
		if (s->zone->layout == LAYOUT_REVERSE ? pointers_of_zones_next(s) : rows_next(s))
			return true;
		s->phase += !s->paused;
		return false;
	case PHASE_FILE:
		if (file_next(s))
			return true;
		s->phase++;
		return false;
	case PHASE_END:
		break;
	}
	return false;
}

static bool rrset_next(struct zone_stream *s)
{
	s->work = 0;
	s->paused = false;
	while (s->phase != PHASE_END && !s->paused)
		if (phase_next(s))
			return true;
	return false;
}

const struct zone_record *zone_stream_peek(struct zone_stream *s)
{
	if (s->ready)
		return &s->record;
	if (s->rrset.at >= s->rrset.count && !rrset_next(s))
		return NULL;
	rrset_record(s);
	s->ready = true;
	return &s->record;
}

void zone_stream_pop(struct zone_stream *s)
{
	s->ready = false;
	s->rrset.at++;
}

bool zone_stream_paused(const struct zone_stream *s)
{
	return s->paused;
}

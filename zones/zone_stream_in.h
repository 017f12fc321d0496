/* zone_stream_in.h - how streams come and go. Private to zones/. */
#ifndef ZONES_ZONE_STREAM_IN_H
#define ZONES_ZONE_STREAM_IN_H

#include "base/inbox.h"
#include "zones/image.h"
#include "zones/zone_stream.h"

struct zone_out;
struct zone_stream_link {
	struct inbox_message message; /* its way back to the control thread */
	struct zone_out *out;
};

/* Of a whole image, which stays until zone_stream_done(). NULL: no memory. */
struct zone_stream *zone_stream_new(const struct image *im, size_t nth_zone);
struct zone_stream_link *zone_stream_link(struct zone_stream *s);
const struct image *zone_stream_done(struct zone_stream *s); /* frees it; the image is given back */

#endif

/* zone_out.h - where whole zones are asked for. Asked from any thread, images of the zones are taken on the control
 * thread, in slices between its other work; who asks while nothing has changed shares one. dns.md 4.1. */
#ifndef ZONES_ZONE_OUT_H
#define ZONES_ZONE_OUT_H

#include "base/inbox.h"
#include "zones/zone_set.h"
#include "zones/zone_stream.h"
#include <sys/socket.h>

struct zone_out;

/* Somebody who wants a zone; his from beginning to end, but for the time between zone_out_ask() and on_done. */
struct zone_ask {
	struct inbox_message message;
	int zone;		    /* its number */
	struct zone_viewer viewer;
	void (*on_done)(struct zone_ask *ask); /* on the control thread, once */
	int code;		    /* E_OK, E_NOMEM, E_UNAVAILABLE: the server stops, or too much is being read */
	struct zone_stream *stream; /* with E_OK: the asker's, who ends it by zone_stream_free() */
};

/* Control thread. @zs is borrowed. E_NOMEM. */
int zone_out_open(struct zone_out **ret, struct zone_set *zs, uv_loop_t *loop);
/* What is asked from now on is refused. Every stream must have been ended; then @on_closed, and it is freed. */
void zone_out_close(struct zone_out *out, void (*on_closed)(void *arg), void *arg);

/* What is asked from now on, or waits, is asked of @heir, where zones have the same names; NULL: it is refused. What is
 * being read is read to its end: then nothing of @zs is held any more. */
void zone_out_pass_on(struct zone_out *out, struct zone_out *heir);
bool zone_out_is_idle(const struct zone_out *out); /* nothing is being read */
/* Where the zones of @zs are asked for, since zone_out_open(); NULL: nowhere. Any thread, in the section that @zs was read in. */
struct zone_out *zone_set_out(const struct zone_set *zs);
void zone_out_ask(struct zone_out *out, struct zone_ask *ask); /* any thread */
void zone_stream_free(struct zone_stream *s);		       /* any thread */

/* May @peer take the zone that the question names? *@zone: its number. RCODE_NOERROR, or what it is answered with, and
 * why (an EDE). Any thread. */
unsigned zone_set_transfer(const struct zone_set *zs, const struct dns_query *q, const struct sockaddr *peer, int *zone,
			   int *ede);
/* The number of the zone of that name (any case, last dot or none); -1: there is none. */
int zone_set_find(const struct zone_set *zs, const char *name);
uint32_t zone_set_serial(const struct zone_set *zs, int zone);

#endif

/* zone_heir.h - a set of zones that is made beside the one in force, from other settings, and takes its place: filled from
 * it in steps while it goes on, so that what is served changes in one moment and is whole in that moment. What the old
 * one knows goes with it: what host names lead to, who starts slowly, which instances were well last. Both have the same
 * selector keys. The old set is told of changes first, then the heir. Control thread. */
#ifndef ZONES_ZONE_HEIR_H
#define ZONES_ZONE_HEIR_H

#include "zones/zone_set.h"

/* @heir is new; it is silent until the end. Nobody but these functions and zone_set_file() may touch it. */
void zone_heir_begin(struct zone_set *heir, struct zone_set *from);
bool zone_heir_step(struct zone_set *heir, struct zone_set *from, int64_t budget_ns); /* true: all is there */
/* A view of @from has changed, and @from knows. */
void zone_heir_on_view(struct zone_set *heir, const struct zone_set *from, const struct service_view *old,
		       const struct service_view *fresh);
/* Has it everything that it should? false: there was no memory for something. */
bool zone_heir_is_whole(const struct zone_set *heir);
/* From now on it is the one that is told of changes; host names are wanted by it. The caller publishes it. */
void zone_heir_end(struct zone_set *heir, struct zone_set *from);
/* It is not needed: it can be freed when the reaper has been through. */
void zone_heir_abandon(struct zone_set *from);

#endif

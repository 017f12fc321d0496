/* zone_heir.c - see zone_heir.h. Services are taken over from the youngest on; those that come meanwhile are younger, and
 * are told of. */
#include "zones/zone_heir.h"
#include "base/clock.h"
#include "zones/zone.h"

enum { STEP = 16 }; /* services between two looks at the clock */

void zone_heir_begin(struct zone_set *heir, struct zone_set *from)
{
	heir->quiet = true;
	heir->wall_ms = clock_wall_ms();
	heir->host_names.before = &from->host_names;
	atomic_store_explicit(&heir->ready, atomic_load_explicit(&from->ready, memory_order_relaxed), memory_order_relaxed);
	from->copied = from->youngest;
}

bool zone_heir_step(struct zone_set *heir, struct zone_set *from, int64_t budget_ns)
{
	uint64_t start = clock_ns();
	heir->wall_ms = clock_wall_ms();
	while (from->copied != NULL) {
		for (int i = 0; i < STEP && from->copied != NULL; i++) {
			const struct site *s = from->copied;
			from->copied = s->next;
			site_adopt(heir, from, s);
		}
		if ((int64_t)(clock_ns() - start) >= budget_ns)
			return from->copied == NULL;
	}
	return true;
}

void zone_heir_on_view(struct zone_set *heir, const struct zone_set *from, const struct service_view *old,
		       const struct service_view *fresh)
{
	const struct site *like = fresh == NULL ? NULL : site_find(from, fresh->info->id);
	heir->wall_ms = clock_wall_ms();
	if (like != NULL && site_find(heir, like->id) == NULL)
		site_adopt(heir, from, like);
	else
		site_on_view(heir, fresh, old != NULL ? old->info->id : 0);
}

bool zone_heir_is_whole(const struct zone_set *heir)
{
	return heir->lost_count == 0 && heir->failed == NULL;
}

void zone_heir_end(struct zone_set *heir, struct zone_set *from)
{
	heir->quiet = false;
	heir->host_names.before = NULL;
	from->copied = NULL;
	for (unsigned i = 0; i < from->lost_count; i++)
		site_on_view(heir, from->lost[i], 0); /* there was no memory for it: another try */
	host_names_settle(&heir->host_names, &from->host_names);
}

void zone_heir_abandon(struct zone_set *from)
{
	from->copied = NULL;
}

/* zone_file.c - see zone_file.h. */
#include "zones/zone_file.h"
#include "base/mem.h"
#include "zones/static_zone.h"
#include "zones/zone.h"

int zone_file_load(struct static_zone **ret, const struct zone_conf *conf, struct text *errors)
{
	uint8_t wire[DNS_NAME_MAX];
	int len = wire_parse(wire, sizeof(wire), conf->name);
	if (len < 0) {
		text_printf(errors, "zone \"%s\" is no name\n", conf->name);
		return E_INVALID;
	}
	const struct static_owner owner = {
		.path = conf->file,
		.zone = wire,
		.zone_len = (size_t)len,
		.whole = conf->layout == LAYOUT_STATIC,
		.anchors = conf->layout == LAYOUT_FULL,
		.registry = conf->layout != LAYOUT_STATIC,
	};
	return static_load(ret, &owner, errors);
}

void zone_file_free(struct static_zone *file)
{
	if (file != NULL)
		static_unref(file);
}

uint32_t zone_file_records(const struct static_zone *file)
{
	return file->records;
}

static void on_unread(void *arg, struct rcu_head *head)
{
	(void)arg;
	static_unref((struct static_zone *)((char *)head - offsetof(struct static_zone, reap)));
}

void zone_set_file(struct zone_set *zs, int zone, struct static_zone *file)
{
	for (size_t i = 0; i < zs->zone_count; i++) {
		struct zone *z = &zs->zones[i];
		if (z->number != zone)
			continue;
		struct static_zone *old = atomic_load_explicit(&z->file, memory_order_relaxed);
		rcu_publish(&z->file, file);
		if (old != NULL)
			rcu_reaper_add(zs->reaper, &old->reap, on_unread);
		z->dirty = true;
		zs->changes++;
		return;
	}
	zone_file_free(file);
}

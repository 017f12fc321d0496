/* zone_file.c - see zone_file.h. */
#include "zones/zone_file.h"
#include "base/mem.h"
#include "zones/static_zone.h"
#include "zones/zone.h"
#include <string.h>

/* Is it the registry's because of an alias? Its own types at the alias itself; what would take the name away there or
 * above it. */
static bool is_taken(void *arg, const uint8_t *name, size_t len, unsigned type)
{
	const struct vanity_list *aliases = arg;
	uint8_t key[DNS_NAME_MAX] = { 0 };
	size_t to = len;
	bool below;
	for (size_t at = 0; at < len; at += name[at] + 1u) { /* turned round */
		to -= name[at] + 1u;
		memcpy(key + to, name + at, name[at] + 1u);
	}
	bool exact = vanity_find(aliases, key, len, &below) != NULL;
	switch (type) {
	case RR_A:
	case RR_AAAA:
	case RR_SRV:
	case RR_SVCB:
	case RR_HTTPS:
	case RR_CNAME:
		return exact;
	case RR_NS:
		return len > 0 && (exact || below);
	case RR_DNAME:
		return below;
	default:
		return false;
	}
}

int zone_file_load(struct static_zone **ret, const struct zone_conf *conf, struct text *errors)
{
	uint8_t wire[DNS_NAME_MAX];
	int len = wire_parse(wire, sizeof(wire), conf->name);
	if (len < 0) {
		text_printf(errors, "zone \"%s\" is no name\n", conf->name);
		return E_INVALID;
	}
	struct vanity_list aliases = { NULL, 0, false };
	struct arena mem;
	struct error err;
	arena_init(&mem, NULL, 0, 0);
	if (vanities_make(&aliases, &mem, conf->name, &conf->aliases, &err) < 0) {
		text_printf(errors, "zone %s: %s\n", conf->name, err.text);
		arena_done(&mem);
		return err.code;
	}
	const struct static_owner owner = {
		.path = conf->file,
		.zone = wire,
		.zone_len = (size_t)len,
		.whole = conf->layout == LAYOUT_STATIC,
		.anchors = conf->layout == LAYOUT_FULL,
		.registry = conf->layout != LAYOUT_STATIC || aliases.count > 0,
		.taken = aliases.count > 0 ? is_taken : NULL,
		.arg = &aliases,
	};
	int rc = static_load(ret, &owner, errors);
	arena_done(&mem);
	return rc;
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

/* warm_copy.c - see warm_copy.h. */
#include "registry/warm_copy.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>
#include <unistd.h>

enum {
	CLOCK_EVERY = 32, /* rows between looks at the clock */
	ROWS_MAX = 8192,  /* in one batch; two more may be on their way */
	DIRTY_KEPT = 65536,
};

void warm_copy_init(struct warm_copy *wc, struct registry *r)
{
	memset(wc, 0, sizeof(*wc));
	wc->registry = r;
	text_init(&wc->key);
	text_init(&wc->value);
}

void warm_copy_done(struct warm_copy *wc)
{
	mem_free(wc->dirty);
	text_done(&wc->key);
	text_done(&wc->value);
}

/* ---- what changed */

static const char *cluster_of(const struct instance *i)
{
	return service_info(i->service)->clusters[i->cluster].name;
}

static void put(struct warm_copy *wc, const char *kind, const struct instance *i, bool gone)
{
	text_clear(&wc->key);
	row_key(&wc->key, kind, i->service, cluster_of(i), instance_ip(i), i->port);
	if (wc->key.failed || wc->value.failed ||
	    warm_put(wc->warm, wc->key.at, gone ? NULL : wc->value.at, gone ? 0 : wc->value.len) < 0)
		wc->lost++;
}

static void mark(struct warm_copy *wc, struct instance *i)
{
	if (wc->count == wc->cap) {
		size_t cap = wc->cap == 0 ? 1024 : wc->cap * 2;
		struct instance **dirty = cap > UINT32_MAX ? NULL : mem_realloc(wc->dirty, cap * sizeof(*dirty));

		if (dirty == NULL) {
			wc->lost++;
			return;
		}
		wc->dirty = dirty;
		wc->cap = cap;
	}
	wc->dirty[wc->count++] = i;
	i->warm_slot = (uint32_t)wc->count;
}

static void ephemeral_changed(struct warm_copy *wc, struct instance *old, struct instance *fresh)
{
	uint32_t slot = old == NULL ? 0 : old->warm_slot;

	if (old != NULL && (fresh == NULL || fresh->cluster != old->cluster))
		put(wc, "i", old, true);
	if (slot != 0) {
		wc->dirty[slot - 1] = fresh;
		if (fresh != NULL)
			fresh->warm_slot = slot;
	} else if (fresh != NULL) {
		mark(wc, fresh);
	}
}

static bool is_unhealthy(const struct instance *i)
{
	return i != NULL && (i->flags & INSTANCE_HEALTHY) == 0;
}

static void persistent_changed(struct warm_copy *wc, struct instance *old, struct instance *fresh)
{
	if (is_unhealthy(old) && (!is_unhealthy(fresh) || fresh->cluster != old->cluster))
		put(wc, "hv", old, true);
	if (!is_unhealthy(fresh))
		return;
	text_clear(&wc->value);
	row_verdict(&wc->value, fresh);
	put(wc, "hv", fresh, false);
}

static void on_instance(void *arg, struct instance *old, struct instance *fresh)
{
	struct warm_copy *wc = arg;

	if (wc->warm == NULL)
		return;
	if (((old != NULL ? old : fresh)->flags & INSTANCE_EPHEMERAL) != 0)
		ephemeral_changed(wc, old, fresh);
	else
		persistent_changed(wc, old, fresh);
}

struct registry_watcher warm_copy_watcher(struct warm_copy *wc)
{
	return (struct registry_watcher){ .on_instance = on_instance, .arg = wc };
}

/* ---- restoring */

struct restore {
	struct warm_copy *wc;
	int64_t now_ms, number;
	size_t count, bad;
	struct error first; /* why the first bad one is bad */
};

static void on_entry(void *arg, const char *key, const char *value, size_t value_len)
{
	struct restore *restore = arg;
	struct store_entry e = { key, value, value_len, restore->number };
	struct error error;
	int rc = row_load(restore->wc->registry, &e, true, restore->now_ms, &error);

	if (rc == E_OK)
		restore->count++;
	else if (rc != E_NOTFOUND && restore->bad++ == 0)
		restore->first = error;
}

int warm_copy_open(struct warm_copy *wc, const char *path, int64_t now_ms, int64_t number, size_t *ret_count,
		   struct error *err)
{
	struct restore restore = { .wc = wc, .now_ms = now_ms, .number = number };
	bool fresh = false;
	bool existed = access(path, F_OK) == 0;
	int rc = warm_open(&wc->warm, path, on_entry, &restore, &fresh, err);

	*ret_count = restore.count;
	if (rc < 0)
		wc->warm = NULL;
	if (fresh && existed)
		log_warn("registry", "the warm copy %s could not be read and begins anew: ephemeral instances come back with their next heartbeat", path);
	if (restore.bad > 0)
		log_warn("registry", "%zu rows of the warm copy could not be used; the first: %s", restore.bad,
			 restore.first.text);
	return rc;
}

/* ---- writing */

static void write_one(struct warm_copy *wc, struct instance *i)
{
	const struct instance *said = i;

	if ((i->flags & INSTANCE_OVERRIDDEN) != 0) { /* the overlay is in the store */
		const char *cluster = cluster_of(i);
		struct overlay_key key = { i->service, instance_ip(i), cluster, i->ip_len, strlen(cluster), i->port };
		const struct overlay *o = overlay_find(wc->registry, &key);

		if (o != NULL && o->base != NULL)
			said = o->base;
	}
	text_clear(&wc->value);
	row_instance(&wc->value, said, (i->flags & INSTANCE_HEALTHY) != 0);
	put(wc, "i", i, false);
}

void warm_copy_begin(struct warm_copy *wc)
{
	wc->at = 0;
	wc->pass_end = wc->count;
}

/* What became dirty during the pass moves to the front. */
static void end_pass(struct warm_copy *wc)
{
	size_t left = 0;

	for (size_t i = wc->pass_end; i < wc->count; i++)
		if (wc->dirty[i] != NULL) {
			wc->dirty[left] = wc->dirty[i];
			wc->dirty[left]->warm_slot = (uint32_t)left + 1;
			left++;
		}
	wc->count = left;
	wc->at = wc->pass_end = 0;
	if (left == 0 && wc->cap > DIRTY_KEPT) {
		mem_free(wc->dirty);
		wc->dirty = NULL;
		wc->cap = 0;
	}
	warm_flush(wc->warm);
}

bool warm_copy_slice(struct warm_copy *wc, uint64_t ns)
{
	uint64_t end_ns = clock_ns() + ns;

	if (wc->warm == NULL)
		return true;
	for (unsigned n = 1; wc->at < wc->pass_end; n++) {
		struct instance *i = wc->dirty[wc->at];

		if (warm_gathered(wc->warm) >= ROWS_MAX && !warm_flush(wc->warm))
			return false; /* a record is smaller than its row, so it waits as a record */
		wc->dirty[wc->at++] = NULL;
		if (i != NULL) {
			i->warm_slot = 0;
			write_one(wc, i);
		}
		if (n % CLOCK_EVERY == 0 && clock_ns() >= end_ns)
			return false;
	}
	end_pass(wc);
	return true;
}

void warm_copy_close(struct warm_copy *wc)
{
	if (wc->warm == NULL)
		return;
	do {
		warm_copy_begin(wc);
		while (!warm_copy_slice(wc, UINT64_MAX / 4))
			warm_wait(wc->warm);
	} while (wc->count > 0);
	warm_close(wc->warm);
	wc->warm = NULL;
}

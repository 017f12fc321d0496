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
	DIRTY_FIRST = 16,
	DIRTY_KEPT = 256, /* in a list */
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
	for (unsigned i = 0; i < ROW_BUCKETS; i++)
		mem_free(wc->dirty[i].at);
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

static struct dirty_list *dirty_list_of(struct warm_copy *wc, const struct instance *i)
{
	return &wc->dirty[row_bucket(i->service)];
}

static void mark(struct warm_copy *wc, struct instance *i)
{
	struct dirty_list *list = dirty_list_of(wc, i);

	if (list->count == list->cap) {
		uint32_t cap = list->cap == 0 ? DIRTY_FIRST : list->cap * 2;
		struct instance **at = cap == 0 ? NULL : mem_realloc(list->at, cap * sizeof(struct instance *));

		if (at == NULL) {
			wc->lost++;
			return;
		}
		list->at = at;
		list->cap = cap;
	}
	list->at[list->count++] = i;
	i->warm_slot = list->count;
	wc->count++;
}

static void ephemeral_changed(struct warm_copy *wc, struct instance *old, struct instance *fresh)
{
	uint32_t slot = old == NULL ? 0 : old->warm_slot;

	if (old != NULL && (fresh == NULL || fresh->cluster != old->cluster))
		put(wc, "i", old, true);
	if (slot != 0) {
		dirty_list_of(wc, old)->at[slot - 1] = fresh;
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
	struct store_entry e = { key, value, value_len, restore->number, NULL };
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
	wc->bucket = wc->at = 0;
	for (unsigned i = 0; i < ROW_BUCKETS; i++)
		wc->dirty[i].pass_end = wc->dirty[i].count;
}

/* The pass is through with a list: what became dirty in it meanwhile moves to the front. */
static void list_passed(struct warm_copy *wc, struct dirty_list *list)
{
	uint32_t left = 0;

	for (uint32_t i = list->pass_end; i < list->count; i++)
		if (list->at[i] != NULL) {
			list->at[left] = list->at[i];
			left++;
			list->at[left - 1]->warm_slot = left;
		}
	wc->count -= list->count - left;
	list->count = left;
	list->pass_end = 0;
	if (left == 0 && list->cap > DIRTY_KEPT) {
		mem_free(list->at);
		list->at = NULL;
		list->cap = 0;
	}
}

/* The next record of the pass, in *@ret; NULL there: it has gone. false: the pass is over. */
static bool pass_next(struct warm_copy *wc, struct instance **ret)
{
	for (; wc->bucket < ROW_BUCKETS; wc->bucket++, wc->at = 0) {
		struct dirty_list *list = &wc->dirty[wc->bucket];

		if (wc->at < list->pass_end) {
			*ret = list->at[wc->at];
			list->at[wc->at++] = NULL;
			return true;
		}
		list_passed(wc, list);
	}
	return false;
}

bool warm_copy_slice(struct warm_copy *wc, uint64_t ns)
{
	uint64_t end_ns = clock_ns() + ns;
	struct instance *i;

	if (wc->warm == NULL)
		return true;
	for (unsigned n = 1;; n++) {
		if (warm_gathered(wc->warm) >= ROWS_MAX && !warm_flush(wc->warm))
			return false; /* a record is smaller than its row, so it waits as a record */
		if (!pass_next(wc, &i))
			break;
		if (i != NULL) {
			i->warm_slot = 0;
			write_one(wc, i);
		}
		if (n % CLOCK_EVERY == 0 && clock_ns() >= end_ns)
			return false;
	}
	warm_flush(wc->warm);
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

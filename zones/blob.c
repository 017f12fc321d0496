/* blob.c - looking things up in a blob (readers), and its end (control thread). */
#include "zones/blob.h"
#include "base/mem.h"
#include "zones/address.h"
#include "zones/subset.h"
#include <string.h>

const struct blob_group *blob_group_find(const struct blob *b, const uint8_t *name, size_t len, bool udp)
{
	const struct blob_group *g = blob_groups(b);
	for (uint32_t n = blob_cold(b)->groups; n > 0; n--, g++)
		if (g->name[0] == len && g->udp == udp && g->registered &&
		    memcmp(g->name + 1, name, len) == 0)
			return g;
	return NULL;
}

/* The first part that does not stand before this key and label. */
static uint32_t part_search(const struct blob *b, unsigned key, const uint8_t *label)
{
	const struct blob_part *part = blob_parts(b);
	uint32_t low = 0, high = blob_cold(b)->parts;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = (int)part[middle].key - (int)key;
		if (order == 0)
			order = memcmp(part[middle].label, label, (size_t)label[0] + 1);
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct blob_part *blob_part_find(const struct blob *b, unsigned key, const uint8_t *label)
{
	uint32_t at = part_search(b, key, label);
	const struct blob_part *part = &blob_parts(b)[at];
	bool found = at < blob_cold(b)->parts && part->key == key && memcmp(part->label, label, (size_t)label[0] + 1) == 0;
	return found ? part : NULL;
}

bool blob_has_parts(const struct blob *b, unsigned key)
{
	uint32_t at = part_search(b, key, (const uint8_t *)"");
	return at < blob_cold(b)->parts && blob_parts(b)[at].key == key;
}

/* Index of @addr among @n sorted records @step bytes apart, each starting with @len bytes of address; or @n. */
static uint32_t address_search(const void *first, uint32_t n, size_t step, const uint8_t *addr, size_t len)
{
	uint32_t low = 0, high = n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = memcmp((const char *)first + middle * step, addr, len);
		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return n;
}

bool blob_address_find(const struct blob *b, int family, const uint8_t *addr, uint32_t *eligible,
		       uint32_t *txt_key)
{
	const struct blob_cold *cold = blob_cold(b);
	bool v4 = family == 4;
	uint32_t n = v4 ? b->n4 : b->n6, idle = v4 ? cold->idle4 : cold->idle6;
	size_t len = v4 ? 4 : 16;
	uint32_t at = v4 ? address_search(b->v4, n, sizeof(b->v4[0]), addr, len)
			 : address_search(blob_v6(b), n, sizeof(struct blob_v6), addr, len);
	if (at < n) {
		*eligible = v4 ? at : b->n4 + at;
		*txt_key = (uint32_t)(v4 ? TXT_V4 : TXT_V6) << 30 | at;
		return true;
	}
	at = address_search(blob_at(b, v4 ? cold->at_idle4 : cold->at_idle6), idle, len, addr, len);
	*eligible = UINT32_MAX;
	*txt_key = (uint32_t)(v4 ? TXT_IDLE4 : TXT_IDLE6) << 30 | at;
	return at < idle;
}

uint32_t blob_srv_of_host(const struct blob *b, uint32_t host, uint32_t *first)
{
	const struct blob_srv *srv = blob_srv(b);
	uint32_t low = 0, high = b->nsrv, n = 0;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (srv[middle].host < host)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + n < b->nsrv && srv[low + n].host == host)
		n++;
	*first = low;
	return n;
}

uint32_t blob_txt_find(const struct blob *b, uint32_t txt_key, uint32_t *ret, uint32_t max)
{
	const struct blob_cold *cold = blob_cold(b);
	const struct blob_txt *txt = blob_at(b, cold->at_txts);
	uint32_t low = 0, high = cold->txts, n = 0;
	if (cold->txt_all != 0) {
		ret[0] = cold->txt_all;
		return 1;
	}
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (txt[middle].host < txt_key)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < cold->txts && txt[low].host == txt_key && n < max; low++)
		ret[n++] = txt[low].at;
	return n;
}

/* The next of two sorted runs; @*addr NULL: both are through. */
static const uint8_t *merge_next(const char *answered, uint32_t n, size_t step, const char *idle, uint32_t m,
				 size_t len, struct address_walk *w)
{
	const char *a = w->at < n ? answered + w->at * step : NULL;
	const char *i = w->idle < m ? idle + w->idle * len : NULL;
	if (a != NULL && (i == NULL || memcmp(a, i, len) < 0)) {
		w->at++;
		return (const uint8_t *)a;
	}
	w->idle += i != NULL;
	return (const uint8_t *)i;
}

bool address_next(const struct blob *b, struct address_walk *w)
{
	const struct blob_cold *cold = blob_cold(b);
	if (w->family == 0)
		w->family = 4;
	if (w->family == 4) {
		w->addr = merge_next((const char *)b->v4, b->n4, sizeof(b->v4[0]),
				     blob_at(b, cold->at_idle4), cold->idle4, 4, w);
		if (w->addr != NULL)
			return true;
		*w = (struct address_walk){ .family = 6 };
	}
	w->addr = merge_next(blob_at(b, b->at_v6), b->n6, sizeof(struct blob_v6),
			     blob_at(b, cold->at_idle6), cold->idle6, 16, w);
	return w->addr != NULL;
}

size_t blob_host_name(uint8_t *to, const struct blob *b, uint32_t host, const uint8_t *zone, size_t zone_len)
{
	size_t len;
	if (host >= b->n4 + b->n6) {
		const uint8_t *name = blob_target(b, host, &len);
		memcpy(to, name, len);
		return len;
	}
	len = host < b->n4 ? address_format4(to + 1, b->v4[host].addr) : address_format6(to + 1, blob_v6(b)[host - b->n4].addr);
	to[0] = (uint8_t)len;
	memcpy(to + 1 + len, "\001i", 2);
	memcpy(to + 3 + len, zone, zone_len);
	return 3 + len + zone_len;
}

static struct blob_cold *cold_of(struct blob *b)
{
	return (struct blob_cold *)(void *)((char *)b + b->at_cold);
}

/* The blob of part @n that this blob holds a reference to, or NULL. */
static struct blob *part_held(const struct blob *b, uint32_t n)
{
	const struct blob_part *part = &blob_parts(b)[n];
	return part->alias || part->blob == b ? NULL : part->blob;
}

/* In the slab what is a multiple of 64 bytes long stands at one: its chunks' heads are that long. */
static size_t room_of(size_t size)
{
	return (size + 63) & ~(size_t)63;
}

struct blob *blob_alloc(struct slab *slab, size_t size)
{
	size_t room = room_of(size);
	return room <= SLAB_MAX ? slab_get(slab, room) : mem_aligned(64, room);
}

static void blob_free(struct blob *b)
{
	size_t room = room_of(b->size);
	subset_cache_free(atomic_load(&b->subset[0]));
	subset_cache_free(atomic_load(&b->subset[1]));
	if (room <= SLAB_MAX)
		slab_put(blob_cold(b)->slab, b, room);
	else
		mem_free(b);
}

void blob_release(struct blob *b)
{
	for (uint32_t i = 0; i < blob_cold(b)->parts; i++) {
		struct blob *held = part_held(b, i);
		if (held != NULL && --cold_of(held)->refs == 0)
			blob_release(held);
	}
	blob_free(b);
}

static void on_grace(void *arg, struct rcu_head *head)
{
	struct blob_cold *cold = (void *)((char *)head - offsetof(struct blob_cold, reap));
	(void)arg;
	/* the cold part says where it lies */
	blob_free((struct blob *)(void *)((char *)cold - cold->at_self));
}

void blob_hold(struct blob *b)
{
	cold_of(b)->refs++;
}

void blob_retire(struct blob *b, struct rcu_reaper *reaper)
{
	if (--cold_of(b)->refs > 0)
		return;
	for (uint32_t i = 0; i < blob_cold(b)->parts; i++) {
		struct blob *held = part_held(b, i);
		if (held != NULL)
			blob_retire(held, reaper);
	}
	rcu_reaper_add(reaper, &cold_of(b)->reap, on_grace);
}

size_t blob_bytes(const struct blob *b)
{
	size_t bytes = b->size;
	for (uint32_t i = 0; i < blob_cold(b)->parts; i++) {
		const struct blob *held = part_held(b, i);
		bytes += held == NULL ? 0 : held->size;
	}
	return bytes;
}

bool blob_same(const struct blob *a, const struct blob *b)
{
	size_t hot = offsetof(struct blob, subset), tail = offsetof(struct blob, at_extra);
	if (a->size != b->size || memcmp(a, b, hot) != 0)
		return false;
	if (memcmp((const char *)a + tail, (const char *)b + tail, a->at_cold - tail) != 0)
		return false;
	size_t skip = offsetof(struct blob_cold, scale), at = a->at_cold + skip;
	return blob_cold(a)->parts == 0 &&
	       memcmp((const char *)a + at, (const char *)b + at, a->size - at) == 0;
}

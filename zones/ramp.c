/* ramp.c - see ramp.h. */
#include "zones/ramp.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

static uint64_t key_of(const struct instance *i)
{
	uint16_t rest[2] = { i->port, i->cluster };
	return hash_more(hash_bytes(instance_ip(i), i->ip_len), rest, sizeof(rest));
}

static bool is_well(const struct instance *i)
{
	const unsigned flags = INSTANCE_HEALTHY | INSTANCE_ENABLED;
	return (i->flags & flags) == flags && i->weight > 0;
}

static bool was_well(const struct service_view *v, const struct instance *i)
{
	const struct instance *was;
	for (uint32_t at = 0; (was = view_find(v, instance_ip(i), i->ip_len, i->port, &at)) != NULL;)
		if (was->cluster == i->cluster && is_well(was))
			return true;
	return false;
}

static bool anybody_well(const struct service_view *v)
{
	for (uint32_t i = 0; i < v->count; i++)
		if (is_well(v->instances[i]))
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = ((const struct ramp *)a)->key, y = ((const struct ramp *)b)->key;
	return x < y ? -1 : x > y;
}

static struct ramp *ramp_find(const struct ramps *r, uint64_t key)
{
	return r->count == 0 ? NULL : bsearch(&(struct ramp){ .key = key }, r->at, r->count, sizeof(*r->at), compare);
}

int ramps_begin(struct ramps *r, const struct service_view *old, const struct service_view *fresh, int64_t now_ms)
{
	uint32_t n = 0, was = r->count;
	struct ramp *at = r->at;
	if (!anybody_well(old))
		return E_OK; /* those who come together share evenly */
	for (uint32_t i = 0; i < fresh->count; i++) {
		const struct instance *one = fresh->instances[i];
		if (!is_well(one) || (i < old->count && old->instances[i] == one) || was_well(old, one) ||
		    ramp_find(&(struct ramps){ at, was, 0 }, key_of(one)) != NULL)
			continue;
		struct ramp *more = mem_realloc(at, (was + n + 1) * sizeof(*more));
		if (more == NULL)
			return E_NOMEM; /* what was added behind the others does not count */
		r->at = at = more;
		at[was + n++] = (struct ramp){ .key = key_of(one), .since_ms = now_ms };
	}
	if (n == 0)
		return E_OK;
	r->count = was + n;
	qsort(r->at, r->count, sizeof(*r->at), compare);
	return E_OK;
}

void ramps_copy(struct ramps *to, const struct ramps *from)
{
	to->at = mem_alloc(from->count * sizeof(*to->at));
	if (to->at == NULL)
		return;
	memcpy(to->at, from->at, from->count * sizeof(*to->at));
	to->count = from->count;
}

static int64_t step_of(const struct ramps *r, const struct ramp *one, int64_t now_ms)
{
	int64_t passed = now_ms - one->since_ms;
	return passed < 0 ? 0 : passed >= r->length_ms ? RAMP_STEPS : passed * RAMP_STEPS / r->length_ms;
}

int64_t ramps_settle(struct ramps *r, int64_t now_ms)
{
	uint32_t kept = 0;
	int64_t next = INT64_MAX;
	for (uint32_t i = 0; i < r->count; i++) {
		struct ramp one = r->at[i];
		if (one.since_ms > now_ms)
			one.since_ms = now_ms; /* the clock was set back */
		int64_t step = step_of(r, &one, now_ms);
		if (!one.met || step >= RAMP_STEPS)
			continue;
		one.met = false;
		r->at[kept++] = one;
		int64_t at = one.since_ms + ((step + 1) * r->length_ms + RAMP_STEPS - 1) / RAMP_STEPS;
		next = at < next ? at : next;
	}
	r->count = kept;
	if (kept == 0)
		ramps_done(r);
	return next;
}

double ramp_share(const struct ramps *r, const struct instance *i, int64_t now_ms)
{
	struct ramp *one = is_well(i) ? ramp_find(r, key_of(i)) : NULL;
	if (one == NULL)
		return 1;
	one->met = true;
	int64_t step = step_of(r, one, now_ms);
	return step >= RAMP_STEPS ? 1 : (double)(step + 1) / RAMP_STEPS;
}

bool ramp_under_way(const struct ramps *r, const struct instance *i)
{
	return is_well(i) && ramp_find(r, key_of(i)) != NULL;
}

void ramps_done(struct ramps *r)
{
	mem_free(r->at);
	r->at = NULL;
	r->count = 0;
}

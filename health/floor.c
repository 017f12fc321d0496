/* floor.c - the count behind the floor. It walks every record once after a pause of more than two seconds,
 * which costs far less than the pause did; the wheel has no way to count ahead. */
#include "health/floor.h"
#include "base/hash.h"
#include "base/mem.h"

struct floor_service {
	uint64_t id;
	uint32_t due, all;
	bool held;
};

struct floor_count {
	struct floor *f;
	int64_t now_ms;
	bool no_memory;
};

static bool service_is(const void *value, const void *key)
{
	return ((const struct floor_service *)value)->id == *(const uint64_t *)key;
}

static uint64_t id_hash(uint64_t id)
{
	return hash_bytes(&id, sizeof(id));
}

static void services_clear(struct floor *f)
{
	struct floor_service *s;
	for (size_t i = 0; (s = map_next(&f->services, &i)) != NULL;)
		mem_free(s);
	map_done(&f->services);
	map_init(&f->services, service_is);
}

void floor_init(struct floor *f, unsigned percent, int64_t hold_ms)
{
	*f = (struct floor){ .percent = percent, .hold_ms = hold_ms };
	map_init(&f->services, service_is);
}

void floor_done(struct floor *f)
{
	services_clear(f);
	map_done(&f->services);
}

void floor_pause(struct floor *f, int64_t now_ms, int64_t paused_ms)
{
	floor_end(f);
	f->state = FLOOR_SETTLING;
	f->resumed_ms = now_ms;
	f->paused_ms = paused_ms;
	f->until_ms = now_ms + FLOOR_SETTLE_MS;
}

bool floor_settling(const struct floor *f, int64_t now_ms)
{
	return f->state == FLOOR_SETTLING && now_ms < f->until_ms;
}

/* Silent since before the pause ended. */
static bool silent(const struct floor *f, const struct instance *i)
{
	return !instance_is_held(i) && atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed) <= f->resumed_ms;
}

static struct floor_service *service_entry(struct floor *f, uint64_t id)
{
	uint64_t hash = id_hash(id);
	struct floor_service *s = map_find(&f->services, hash, &id);
	if (s != NULL)
		return s;
	s = mem_zalloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->id = id;
	if (map_add(&f->services, hash, s) < 0) {
		mem_free(s);
		return NULL;
	}
	return s;
}

static void count_one(void *arg, struct instance *i)
{
	struct floor_count *c = arg;
	struct floor *f = c->f;
	if ((i->flags & INSTANCE_EPHEMERAL) == 0)
		return;
	struct floor_service *s = service_entry(f, service_info(i->service)->id);
	bool due = silent(f, i) && beat_deadline_ms(i) <= c->now_ms + i->beat_ms;
	f->total++;
	f->due += due;
	if (s == NULL) {
		c->no_memory = true;
		return;
	}
	s->all++;
	s->due += due;
}

static bool too_many(const struct floor *f, uint64_t due, uint64_t all)
{
	return due > 0 && due * 100 > all * f->percent;
}

static void count_all(struct floor *f, struct registry *r, int64_t now_ms)
{
	struct floor_count c = { .f = f, .now_ms = now_ms };
	registry_each_instance(r, count_one, &c);
	f->all = c.no_memory || too_many(f, f->due, f->total);
	f->held = f->all ? f->due : 0;
	f->counted_ms = now_ms;
	struct floor_service *s;
	for (size_t i = 0; (s = map_next(&f->services, &i)) != NULL;) {
		s->held = too_many(f, s->due, s->all);
		if (s->held && !f->all)
			f->held += s->due;
	}
}

void floor_decide(struct floor *f, struct registry *r, int64_t now_ms)
{
	count_all(f, r, now_ms);
	f->state = FLOOR_WATCHING;
	f->until_ms = now_ms + f->hold_ms;
}

void floor_recount(struct floor *f, struct registry *r, int64_t now_ms)
{
	services_clear(f);
	f->due = f->total = 0;
	count_all(f, r, now_ms);
}

/* A healthy one more is late; what was counted at the start is not counted twice. */
static void count_late(struct floor *f, struct floor_service *s, const struct instance *i)
{
	if ((i->flags & INSTANCE_HEALTHY) == 0 || beat_deadline_ms(i) <= f->counted_ms + i->beat_ms)
		return;
	f->due++;
	s->due++;
	f->all = f->all || too_many(f, f->due, f->total);
	s->held = s->held || too_many(f, s->due, s->all);
	if (f->all || s->held)
		f->held++;
}

bool floor_holds(struct floor *f, const struct instance *i, int64_t now_ms, bool first)
{
	if (f->state != FLOOR_WATCHING || now_ms >= f->until_ms || !silent(f, i) ||
	    beat_deadline_ms(i) > f->resumed_ms + FLOOR_WINDOW_MS)
		return false;
	uint64_t id = service_info(i->service)->id;
	struct floor_service *s = map_find(&f->services, id_hash(id), &id);
	if (s != NULL && first)
		count_late(f, s, i);
	return f->all || (s != NULL && s->held);
}

bool floor_over(const struct floor *f, int64_t now_ms)
{
	if (f->state != FLOOR_WATCHING)
		return false;
	int64_t end = f->held > 0 ? f->until_ms : f->resumed_ms + FLOOR_WINDOW_MS;
	return now_ms >= end;
}

void floor_end(struct floor *f)
{
	services_clear(f);
	f->state = FLOOR_IDLE;
	f->all = false;
	f->due = f->total = f->held = 0;
}

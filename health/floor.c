/* floor.c - the count behind the floor. It walks every record once after a pause of more than two seconds,
 * which costs far less than the pause did; the wheel has no way to count ahead. */
#include "health/floor.h"
#include "base/hash.h"
#include "base/mem.h"

struct floor_service {
	uint64_t id;
	uint32_t due, all;
};

struct floor_count {
	struct floor *f;
	uint64_t due, all;
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

/* Silent since the pause, and due within the interval after it. */
static bool in_window(const struct floor *f, const struct instance *i)
{
	int64_t last = atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed);
	return last <= f->resumed_ms && beat_deadline_ms(i) <= f->resumed_ms + FLOOR_WINDOW_MS;
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
	if ((i->flags & INSTANCE_EPHEMERAL) == 0)
		return;
	struct floor_service *s = service_entry(c->f, service_info(i->service)->id);
	bool due = in_window(c->f, i);
	c->all++;
	c->due += due;
	if (s == NULL) {
		c->no_memory = true;
		return;
	}
	s->all++;
	s->due += due;
}

static bool too_many(const struct floor *f, uint64_t due, uint64_t all)
{
	return due * 100 > all * f->percent;
}

bool floor_decide(struct floor *f, struct registry *r, int64_t now_ms)
{
	struct floor_count c = { .f = f };
	registry_each_instance(r, count_one, &c);
	f->all = c.due > 0 && (c.no_memory || too_many(f, c.due, c.all));
	f->held = f->all ? c.due : 0;
	struct floor_service *s;
	for (size_t i = 0; (s = map_next(&f->services, &i)) != NULL;) {
		if (!f->all && too_many(f, s->due, s->all)) {
			f->held += s->due;
			continue;
		}
		map_remove(&f->services, id_hash(s->id), &s->id);
		mem_free(s);
	}
	f->state = f->held > 0 ? FLOOR_HOLDING : FLOOR_IDLE;
	f->until_ms = now_ms + f->hold_ms;
	return f->held > 0;
}

bool floor_holds(const struct floor *f, const struct instance *i, int64_t now_ms)
{
	if (f->state != FLOOR_HOLDING || now_ms >= f->until_ms || !in_window(f, i))
		return false;
	if (f->all)
		return true;
	uint64_t id = service_info(i->service)->id;
	return map_find(&f->services, id_hash(id), &id) != NULL;
}

void floor_end(struct floor *f)
{
	services_clear(f);
	f->state = FLOOR_IDLE;
	f->all = false;
	f->held = 0;
}

/* zone_keeper.c - happy path of a change: zone_keeper_make > a new set > its files are read > the old one's services are
 * taken over, a slice a turn of the loop > on_made > zone_keeper_use: serials go on, the slot has the new set > the old one
 * is retired: a grace period > its last transfer ends and zone_out closes > its garbage has been through the reaper >
 * services are freed, a slice a tick, then the rest. Ends otherwise: an error before on_made, or zone_keeper_drop(); the
 * set that was made is then retired in the same way. */
#include "musterd/zone_keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "zones/zone_heir.h"

#include <string.h>

enum {
	SLICE_NS = 4000000,	/* of one turn of the loop for what is taken over */
	FREED_A_TICK = 20000,	/* services of a set that is gone */
	RETIRED_MAX = 2,	/* sets that wait for readers or transfers; beyond it the next change waits */
};

/* A set that is not in force any more, or never was. */
struct retired {
	struct rcu_head reap;
	struct retired *next;
	struct zone_set *zones;
	struct zone_out *out; /* NULL: closed */
	enum { UNREAD_WAIT, TRANSFERS_WAIT, OUT_CLOSES, GARBAGE_WAIT, FREEING } step;
	struct zone_keeper *keeper;
};

struct coming {
	struct zone_set_conf conf;
	struct zone_set *zones; /* NULL: it waits until a retired one has gone */
	struct zone_out *out;
	struct zone_files *files;
	bool copying; /* it is told of changes */
	struct retired *retired; /* memory for the end of one set */
	void (*on_made)(void *arg, int rc, const struct error *err);
	void *arg;
};

struct known_serial {
	struct known_serial *next;
	uint32_t serial;
	char zone[];
};

struct zone_keeper {
	struct zone_slot slot;
	uv_loop_t *loop;
	struct rcu_reaper *reaper;
	struct zone_set_conf first; /* for its callbacks */
	struct zone_set *zones;
	struct registry_watcher watcher; /* of @zones */
	struct zone_out *out;
	struct zone_files *files;
	struct coming *coming;
	uv_idle_t slices; /* runs while services are taken over */
	struct retired *retired;
	unsigned retired_count;
	unsigned closings; /* what on_closed waits for */
	bool closing;
	struct known_serial *serials;
	void (*on_closed)(void *arg);
	void *arg;
};

/* ---- serials */

static struct known_serial *serial_find(const struct zone_keeper *k, const char *zone)
{
	struct known_serial *s = k->serials;
	while (s != NULL && strcmp(s->zone, zone) != 0)
		s = s->next;
	return s;
}

void zone_keeper_serial(struct zone_keeper *k, const char *zone, uint32_t serial)
{
	struct known_serial *s = serial_find(k, zone);
	if (s == NULL) {
		size_t len = strlen(zone);
		s = mem_zalloc(1, sizeof(*s) + len + 1);
		if (s == NULL)
			return;
		memcpy(s->zone, zone, len);
		s->next = k->serials;
		k->serials = s;
	}
	s->serial = serial;
}

void zone_keeper_restore(struct zone_keeper *k, const char *zone, uint32_t serial)
{
	zone_keeper_serial(k, zone, serial);
	zone_set_serial_restore(k->zones, zone, serial);
}

/* Each goes on where it was, or where it was left when it last went. */
static void serials_go_on(struct zone_keeper *k, struct zone_set *zones)
{
	for (size_t i = 0; i < zone_set_zone_count(zones); i++) {
		const char *name = zone_set_zone_name(zones, (int)i);
		const struct known_serial *s = name == NULL ? NULL : serial_find(k, name);
		if (s != NULL)
			zone_set_serial_restore(zones, name, s->serial);
	}
}

/* ---- what follows the registry */

static void on_view(void *arg, const struct service_view *old, const struct service_view *fresh)
{
	struct zone_keeper *k = arg;
	k->watcher.on_view(k->watcher.arg, old, fresh);
	if (k->coming != NULL && k->coming->copying)
		zone_heir_on_view(k->coming->zones, k->zones, old, fresh);
}

static void on_turn(void *arg, uint64_t number)
{
	struct zone_keeper *k = arg;
	k->watcher.on_turn(k->watcher.arg, number);
}

void zone_keeper_host_found(struct zone_keeper *k, const char *name, const struct host_found *found)
{
	zone_set_host_found(k->zones, name, found);
	if (k->coming != NULL && k->coming->copying)
		zone_set_host_found(k->coming->zones, name, found);
}

/* ---- sets that have gone */

static void closed_one(struct zone_keeper *k)
{
	if (--k->closings == 0)
		k->on_closed(k->arg);
}

static void on_out_closed(void *arg)
{
	struct retired *r = arg;
	struct zone_keeper *k = r->keeper;
	r->out = NULL;
	r->step = GARBAGE_WAIT;
	if (k->closing)
		closed_one(k);
}

static void on_garbage_gone(void *arg, struct rcu_head *head)
{
	struct retired *r = (struct retired *)((char *)head - offsetof(struct retired, reap));
	(void)arg;
	r->step = FREEING;
}

/* What was handed over with it may be behind it. */
static void on_garbage_seen(void *arg, struct rcu_head *head)
{
	struct retired *r = (struct retired *)((char *)head - offsetof(struct retired, reap));
	(void)arg;
	rcu_reaper_add(r->keeper->reaper, &r->reap, on_garbage_gone);
}

static void on_unread(void *arg, struct rcu_head *head)
{
	struct retired *r = (struct retired *)((char *)head - offsetof(struct retired, reap));
	(void)arg;
	r->step = r->out == NULL ? GARBAGE_WAIT : TRANSFERS_WAIT;
}

/* One step on; true: it is gone. */
static bool retired_turn(struct zone_keeper *k, struct retired *r)
{
	switch (r->step) {
	case TRANSFERS_WAIT:
		if (!zone_out_is_idle(r->out))
			return false;
		r->step = OUT_CLOSES;
		zone_out_close(r->out, on_out_closed, r);
		return false;
	case GARBAGE_WAIT:
		r->step = OUT_CLOSES; /* nothing to do until it comes back */
		rcu_reaper_add(k->reaper, &r->reap, on_garbage_seen);
		return false;
	case FREEING:
		if (!zone_set_free_some(r->zones, FREED_A_TICK))
			return false;
		zone_set_free(r->zones);
		return true;
	default:
		return false;
	}
}

static void retired_tick(struct zone_keeper *k)
{
	for (struct retired **at = &k->retired; *at != NULL;) {
		struct retired *r = *at;
		if (retired_turn(k, r)) {
			*at = r->next;
			k->retired_count--;
			mem_free(r);
		} else {
			at = &r->next;
		}
	}
	if (k->retired != NULL)
		rcu_reaper_turn(k->reaper);
}

/* @r is the memory for it. */
static void retire(struct zone_keeper *k, struct retired *r, struct zone_set *zones, struct zone_out *out)
{
	r->keeper = k;
	r->zones = zones;
	r->out = out;
	r->next = k->retired;
	k->retired = r;
	k->retired_count++;
	rcu_reaper_add(k->reaper, &r->reap, on_unread);
	rcu_reaper_turn(k->reaper);
}

/* ---- sets that come */

static void coming_tell(struct zone_keeper *k, int rc, const struct error *err)
{
	struct coming *c = k->coming;
	void (*on_made)(void *arg, int rc, const struct error *err) = c->on_made;
	void *arg = c->arg;
	if (rc < 0)
		zone_keeper_drop(k);
	on_made(arg, rc, err);
}

static void on_slice(uv_idle_t *idle)
{
	struct zone_keeper *k = idle->data;
	struct coming *c = k->coming;
	struct error err;
	if (!zone_heir_step(c->zones, k->zones, SLICE_NS))
		return;
	uv_idle_stop(idle);
	int rc = E_OK;
	if (!zone_heir_is_whole(c->zones))
		rc = error_set(&err, E_NOMEM, "no memory for a second set of zones");
	coming_tell(k, rc, &err);
}

static void on_files_read(void *arg, int rc)
{
	struct zone_keeper *k = arg;
	struct coming *c = k->coming;
	struct error err;
	if (rc < 0) {
		error_set(&err, rc, "a zone file is wrong");
		coming_tell(k, rc, &err);
		return;
	}
	zone_heir_begin(c->zones, k->zones);
	c->copying = true;
	uv_idle_start(&k->slices, on_slice);
}

static int coming_begin(struct zone_keeper *k, struct error *err)
{
	struct coming *c = k->coming;
	int rc = zone_set_new(&c->zones, &c->conf, k->reaper, err);
	if (rc == E_OK && (rc = zone_out_open(&c->out, c->zones, k->loop)) < 0)
		error_set(err, rc, "no memory to give zones out");
	if (rc == E_OK)
		rc = zone_files_begin(&c->files, k->loop, c->zones, c->conf.zones, c->conf.zone_count, on_files_read, k, err);
	return rc;
}

int zone_keeper_make(struct zone_keeper *k, const struct zone_set_conf *conf,
		     void (*on_made)(void *arg, int rc, const struct error *err), void *arg, struct error *err)
{
	struct coming *c = mem_zalloc(1, sizeof(*c));
	if (c == NULL || (c->retired = mem_zalloc(1, sizeof(*c->retired))) == NULL) {
		mem_free(c);
		return error_set(err, E_NOMEM, "no memory for a second set of zones");
	}
	c->conf = *conf;
	c->conf.on_serial = k->first.on_serial;
	c->conf.on_conflict = k->first.on_conflict;
	c->conf.on_hidden = k->first.on_hidden;
	c->conf.on_host_name = k->first.on_host_name;
	c->conf.arg = k->first.arg;
	c->on_made = on_made;
	c->arg = arg;
	k->coming = c;
	if (k->retired_count >= RETIRED_MAX) {
		log_each(LOG_INFO, "zones", "other zones wait until transfers of former ones have ended");
		return E_OK;
	}
	int rc = coming_begin(k, err);
	if (rc < 0)
		zone_keeper_drop(k);
	return rc;
}

static void coming_tick(struct zone_keeper *k)
{
	struct error err;
	if (k->coming == NULL || k->coming->zones != NULL || k->retired_count >= RETIRED_MAX)
		return;
	int rc = coming_begin(k, &err);
	if (rc < 0)
		coming_tell(k, rc, &err);
}

struct zone_set *zone_keeper_made(struct zone_keeper *k)
{
	return k->coming->zones;
}

static void coming_free(struct coming *c)
{
	mem_free(c->retired);
	mem_free(c);
}

void zone_keeper_use(struct zone_keeper *k)
{
	struct coming *c = k->coming;
	k->coming = NULL;
	zone_heir_end(c->zones, k->zones);
	serials_go_on(k, c->zones);
	zone_set_tick(c->zones, clock_wall_ms()); /* so that its serials are kept before they are seen */
	rcu_publish(&k->slot.now, c->zones);
	for (struct retired *r = k->retired; r != NULL; r = r->next)
		if (r->out != NULL)
			zone_out_pass_on(r->out, c->out);
	zone_out_pass_on(k->out, c->out);
	zone_files_close(k->files);
	retire(k, c->retired, k->zones, k->out);
	k->zones = c->zones;
	k->watcher = zone_set_watcher(c->zones);
	k->out = c->out;
	k->files = c->files;
	c->retired = NULL;
	coming_free(c);
}

void zone_keeper_drop(struct zone_keeper *k)
{
	struct coming *c = k->coming;
	if (c == NULL)
		return;
	k->coming = NULL;
	uv_idle_stop(&k->slices);
	if (c->copying)
		zone_heir_abandon(k->zones);
	if (c->files != NULL)
		zone_files_close(c->files);
	if (c->zones != NULL) {
		retire(k, c->retired, c->zones, c->out);
		c->retired = NULL;
	}
	coming_free(c);
}

/* ---- beginning and end */

int zone_keeper_open(struct zone_keeper **ret, uv_loop_t *loop, struct desk *desk, const struct zone_set_conf *conf,
		     struct error *err)
{
	struct zone_keeper *k = mem_zalloc(1, sizeof(*k));
	const struct registry_watcher watcher = { .on_view = on_view, .on_turn = on_turn, .arg = k };
	if (k == NULL)
		return error_set(err, E_NOMEM, "no memory for zones");
	*ret = k;
	k->first = *conf;
	k->loop = loop;
	k->reaper = desk_reaper(desk);
	uv_idle_init(loop, &k->slices);
	k->slices.data = k;
	int rc = zone_set_new(&k->zones, conf, k->reaper, err);
	if (rc < 0)
		return rc;
	atomic_init(&k->slot.now, k->zones);
	k->watcher = zone_set_watcher(k->zones);
	rc = zone_files_open(&k->files, loop, k->zones, conf->zones, conf->zone_count, err);
	if (rc < 0)
		return rc;
	rc = zone_out_open(&k->out, k->zones, loop);
	if (rc < 0)
		return error_set(err, rc, "no memory to give zones out");
	return desk_watch(desk, &watcher);
}

const struct zone_slot *zone_keeper_slot(const struct zone_keeper *k)
{
	return &k->slot;
}

void zone_keeper_ready(struct zone_keeper *k)
{
	zone_set_ready(k->zones);
}

void zone_keeper_read_files(struct zone_keeper *k)
{
	zone_files_reload(k->files);
}

void zone_keeper_tick(struct zone_keeper *k, int64_t wall_ms)
{
	if (k->zones != NULL)
		zone_set_tick(k->zones, wall_ms);
	if (k->closing)
		return;
	retired_tick(k);
	coming_tick(k);
}

static void on_own_out_closed(void *arg)
{
	struct zone_keeper *k = arg;
	k->out = NULL;
	closed_one(k);
}

static void on_slices_closed(uv_handle_t *handle)
{
	closed_one(handle->data);
}

void zone_keeper_close(struct zone_keeper *k, void (*on_closed)(void *arg), void *arg)
{
	k->closing = true;
	k->on_closed = on_closed;
	k->arg = arg;
	zone_keeper_drop(k);
	if (k->files != NULL)
		zone_files_close(k->files);
	k->files = NULL;
	k->closings = 1;
	uv_close((uv_handle_t *)&k->slices, on_slices_closed);
	for (struct retired *r = k->retired; r != NULL; r = r->next) {
		if (r->out == NULL)
			continue;
		k->closings++;
		zone_out_pass_on(r->out, NULL);
		if (r->step != OUT_CLOSES)
			zone_out_close(r->out, on_out_closed, r);
	}
	if (k->out == NULL)
		return;
	k->closings++;
	zone_out_close(k->out, on_own_out_closed, k);
}

void zone_keeper_free(struct zone_keeper *k)
{
	if (k == NULL)
		return;
	for (struct retired *r = k->retired, *next; r != NULL; r = next) {
		next = r->next;
		zone_set_free(r->zones);
		mem_free(r);
	}
	for (struct known_serial *s = k->serials, *next; s != NULL; s = next) {
		next = s->next;
		mem_free(s);
	}
	zone_set_free(k->zones);
	mem_free(k);
}

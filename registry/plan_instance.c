/* plan_instance.c - registering, leaving, beats, expiry and verdicts (nacos-naming 1.8, 2.2, 7). Here an HTTP
 * client is its ip:port: it has one entry per service, so another cluster replaces the entry, and beats and
 * deregistrations do not look at the cluster. */
#include "base/clock.h"
#include "registry/core.h"

#include <string.h>

enum { CLUSTERS_MAX = 1024 /* of one service */ };

static const char *cluster_name(const struct instance_spec *spec)
{
	return spec->cluster == NULL || *spec->cluster == '\0' ? "DEFAULT" : spec->cluster;
}

static const char *or_empty(const char *s)
{
	return s == NULL ? "" : s;
}

static int check_texts(const struct instance_spec *spec, struct error *err)
{
	const char *cluster = cluster_name(spec);
	int rc;

	if (spec->ip == NULL || *spec->ip == '\0')
		return error_set_what(err, E_MISSING, FAIL_PARAM, "Param 'ip' is required.");
	rc = name_check_ip(spec->ip, strlen(spec->ip), err);
	if (rc == E_OK)
		rc = name_check_cluster(cluster, strlen(cluster), err);
	if (rc == E_OK && strlen(or_empty(spec->app)) > 256)
		rc = error_set_what(err, E_RANGE, FAIL_PARAM, "Param 'app' is illegal, it has %zu bytes, the limit is 256",
				    strlen(spec->app));
	if (rc == E_OK && strlen(or_empty(spec->instance_id)) > 1024)
		rc = error_set_what(err, E_RANGE, FAIL_PARAM,
				    "Param 'instanceId' is illegal, it has %zu bytes, the limit is 1024",
				    strlen(spec->instance_id));
	return rc;
}

static uint8_t flags_of(const struct instance_spec *spec)
{
	return (uint8_t)((spec->healthy ? INSTANCE_HEALTHY : 0) | (spec->enabled ? INSTANCE_ENABLED : 0) |
			 (spec->ephemeral ? INSTANCE_EPHEMERAL : 0));
}

/* What the publisher says, checked. The cluster's index is not known yet. */
static int draft_spec(struct registry *r, struct record_draft *d, const struct instance_spec *spec,
		      struct error *err)
{
	int rc = check_texts(spec, err);

	if (rc == E_OK)
		rc = plan_weight_check(spec->weight, err);
	if (rc == E_OK)
		rc = plan_metadata_check(r, spec->metadata, spec->metadata_count, FAIL_PARAM, err);
	if (rc < 0)
		return rc;
	*d = (struct record_draft){ .ip = spec->ip,
				    .id = or_empty(spec->instance_id),
				    .app = or_empty(spec->app),
				    .reason = "",
				    .ip_len = (uint16_t)strlen(spec->ip),
				    .port = spec->port,
				    .weight = spec->weight,
				    .flags = flags_of(spec),
				    .publisher = spec->ephemeral ? spec->publisher : 0,
				    .pairs = spec->metadata,
				    .pair_count = spec->metadata_count };
	d->id_len = (uint16_t)strlen(d->id);
	d->app_len = (uint16_t)strlen(d->app);
	return record_times(d, err);
}

/* The index of the cluster, which a first instance makes. */
static int plan_cluster(struct plan *p, const char *name, uint16_t *ret, struct error *err)
{
	const struct service_info *info = p->service->info;
	int64_t index = info_cluster(info, name, strlen(name));
	struct info_draft d;
	struct cluster fresh;

	if (index >= 0) {
		*ret = (uint16_t)index;
		return E_OK;
	}
	if (info->cluster_count >= CLUSTERS_MAX)
		return error_set_what(err, E_LIMIT, FAIL_LIMIT, "the service has %u clusters, the limit is %d",
				      info->cluster_count, CLUSTERS_MAX);
	info_draft_of(&d, info);
	cluster_default(&fresh, name);
	d.extra = &fresh;
	if (p->made) { /* nothing stands at DEFAULT yet: the first cluster is this one */
		d.replace = 0;
		*ret = 0;
	} else {
		*ret = (uint16_t)info->cluster_count;
	}
	p->info = info_new(p->service, &d);
	return p->info == NULL ? plan_no_memory(err) : E_OK;
}

static int check_instance_limits(struct registry *r, const struct plan *p, struct error *err)
{
	uint64_t all = atomic_load_explicit(&r->stat_instances, memory_order_relaxed);
	uint64_t here = (uint64_t)p->service->count + p->service->reserved;

	if (r->loading)
		return E_OK;
	if (r->conf.instances_max > 0 && all >= r->conf.instances_max)
		return error_set_what(err, E_LIMIT, FAIL_LIMIT,
				      "there are %llu instances already, the limit is %u (limits.instances)",
				      (unsigned long long)all, r->conf.instances_max);
	if (r->conf.instances_per_service_max > 0 && here >= r->conf.instances_per_service_max)
		return error_set_what(err, E_LIMIT, FAIL_LIMIT,
				      "service %.100s has %llu instances already, the limit is %u "
				      "(limits.instances_per_service)",
				      p->service->info->key.name, (unsigned long long)here,
				      r->conf.instances_per_service_max);
	return E_OK;
}

static struct overlay *overlay_over(struct registry *r, const struct plan *p, const struct instance *i)
{
	const char *cluster = p->service->info->clusters[i->cluster].name;
	struct overlay_key key = { p->service, instance_ip(i), cluster, i->ip_len, strlen(cluster), i->port };

	return overlay_find(r, &key);
}

/* What the publisher of @i said: under an overlay that is its base. */
static struct instance *said_of(struct registry *r, const struct plan *p, struct instance *i)
{
	struct overlay *o = (i->flags & INSTANCE_OVERRIDDEN) != 0 ? overlay_over(r, p, i) : NULL;

	return o != NULL && o->base != NULL ? o->base : i;
}

/* The same instance said again, perhaps by a connection that follows one that broke: nothing visible. */
static void take_over(struct registry *r, const struct plan *p, struct instance *old, uint64_t publisher)
{
	said_of(r, p, old)->publisher = publisher;
	old->publisher = publisher;
}

/* Another client has the address: it falls back to the one before if that lives on. */
static int keep_standby(struct registry *r, const struct plan *p, struct instance *old, uint64_t publisher)
{
	if ((old->flags & INSTANCE_EPHEMERAL) == 0 || old->publisher == publisher ||
	    old->publisher == PUBLISHER_RESTORED || publisher_is_away(r, old->publisher))
		return E_OK;
	return standby_add(r, said_of(r, p, old));
}

/* Beats of an HTTP client of the same address are counted in the record, whoever has it: a connection that takes it
 * over is no beat. */
static void keep_beat(const struct registry *r, const struct instance *old, struct record_draft *d)
{
	if (d->publisher > PUBLISHER_RESTORED && (old->publisher == PUBLISHER_BEATS || standby_beats(r, old)))
		d->last_beat_ms = atomic_load_explicit(&old->last_beat_ms, memory_order_relaxed);
}

/* Does the publisher say what it said before? */
static bool repeats(struct registry *r, const struct plan *p, const struct instance *old, const struct record_draft *d)
{
	struct record_draft same = *d;
	const struct instance *said = old;

	if (instance_is_held(old) && d->publisher == PUBLISHER_BEATS)
		return false; /* from now on it lives by beats: its deadline must be armed */
	if ((old->flags & INSTANCE_OVERRIDDEN) != 0) {
		struct overlay *o = overlay_over(r, p, old);

		if (o == NULL || o->base == NULL || ((old->flags ^ d->flags) & INSTANCE_HEALTHY) != 0)
			return false;
		said = o->base; /* whose health is that of its registration */
		same.flags = (uint8_t)((d->flags & ~INSTANCE_HEALTHY) | (said->flags & INSTANCE_HEALTHY));
	}
	return record_says(said, &same);
}

static int reserve(struct registry *r, struct plan *p, struct error *err)
{
	int rc = check_instance_limits(r, p, err);

	if (rc < 0)
		return rc;
	if (service_reserve(r, p->service) < 0)
		return plan_no_memory(err);
	p->reserved = true;
	return E_OK;
}

static int plan_entry(struct registry *r, struct plan *p, struct record_draft *d, const char *cluster,
		      struct error *err)
{
	struct plan_step *step = &p->one;
	uint32_t at = 0;
	int rc = plan_cluster(p, cluster, &d->cluster, err);

	if (rc < 0)
		return rc;
	step->old = service_address(p->service, d->ip, d->ip_len, d->port, &at);
	d->last_beat_ms = p->now_ms;
	if (step->old != NULL)
		keep_beat(r, step->old, d);
	if (step->old != NULL && repeats(r, p, step->old, d)) {
		if (keep_standby(r, p, step->old, d->publisher) < 0)
			return plan_no_memory(err);
		standby_remove(r, step->old, d->publisher);
		atomic_store_explicit(&step->old->last_beat_ms, d->last_beat_ms, memory_order_relaxed);
		take_over(r, p, step->old, d->publisher);
		p->nothing = true;
		return E_OK;
	}
	if (step->old == NULL) {
		rc = reserve(r, p, err);
		if (rc < 0)
			return rc;
		record_address_parse(d);
		d->registered_ms = clock_wall_ms();
	} else {
		d->family = step->old->family;
		memcpy(d->addr, step->old->addr, sizeof(d->addr));
		d->registered_ms = step->old->registered_ms;
	}
	p->step_count = 1;
	step->row = p->durable;
	rc = plan_record(r, p, step, d, cluster, err);
	if (rc < 0 || step->old == NULL)
		return rc;
	if (keep_standby(r, p, step->old, d->publisher) < 0)
		return plan_no_memory(err);
	standby_remove(r, step->old, d->publisher);
	return E_OK;
}

int plan_register(struct registry *r, struct plan *p, struct error *err)
{
	const struct instance_spec *spec = &p->cmd->instance;
	struct record_draft d;
	int rc = draft_spec(r, &d, spec, err);

	if (rc < 0)
		return rc;
	rc = plan_service(r, p, spec->ephemeral, err);
	if (rc < 0)
		return rc;
	p->durable = !spec->ephemeral;
	return plan_entry(r, p, &d, cluster_name(spec), err);
}

/* What the warm copy restored belongs to whoever speaks of it first. */
static bool is_its_own(const struct instance *i, uint64_t publisher)
{
	return i->publisher == publisher || (!instance_is_held(i) && (i->flags & INSTANCE_RESTORED) != 0);
}

/* @i leaves: it ends, or another client that registered it before has it again. */
static int plan_leave(struct registry *r, struct plan *p, struct instance *i, struct error *err)
{
	const struct instance *heir = standby_heir(r, i, p->now_ms);
	struct pair pairs[PAIRS_MAX];
	struct record_draft d;
	int rc = E_OK;

	p->one.old = i;
	p->step_count = 1;
	if (heir == NULL)
		return E_OK;
	record_draft_of(&d, heir, pairs);
	d.last_beat_ms = atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed);
	if (repeats(r, p, i, &d)) {
		take_over(r, p, i, d.publisher);
		p->step_count = 0;
		p->nothing = true;
	} else {
		rc = plan_record(r, p, &p->one, &d, p->service->info->clusters[d.cluster].name, err);
	}
	if (rc == E_OK)
		standby_remove(r, i, d.publisher);
	return rc;
}

int plan_deregister(struct registry *r, struct plan *p, struct error *err)
{
	const struct instance_spec *spec = &p->cmd->instance;

	p->one.old = plan_target(p, spec->ip, spec->port, NULL);
	/* Unknown, or of the other kind, or taken over, which is another client: silently fine. */
	if (p->one.old == NULL || p->service->info->ephemeral != spec->ephemeral ||
	    !is_its_own(p->one.old, spec->publisher)) {
		if (p->one.old != NULL && spec->ephemeral)
			standby_remove(r, p->one.old, spec->publisher);
		p->nothing = true;
		return E_OK;
	}
	p->one.row = p->durable = !spec->ephemeral;
	return plan_leave(r, p, p->one.old, err);
}

/* ---- health */

/* The same record with another health. */
static int plan_flip(struct registry *r, struct plan *p, struct instance *old, bool healthy, const char *reason,
		     struct error *err)
{
	struct pair pairs[PAIRS_MAX];
	struct record_draft d;

	p->one.old = old;
	p->step_count = 1;
	if (instance_reason(old)[0] == '\0' && *reason == '\0') {
		p->one.fresh = record_copy(r, old);
	} else {
		record_draft_of(&d, old, pairs);
		d.reason = reason;
		d.reason_len = (uint16_t)(strlen(reason) > 200 ? 200 : strlen(reason));
		p->one.fresh = record_new(r, p->service, &d);
	}
	if (p->one.fresh == NULL)
		return plan_no_memory(err);
	uint8_t flags = p->one.fresh->flags;

	p->one.fresh->flags = (uint8_t)(healthy ? flags | INSTANCE_HEALTHY : flags & ~INSTANCE_HEALTHY);
	return E_OK;
}

static int plan_known_beat(struct registry *r, struct plan *p, struct instance *i, struct error *err)
{
	p->cmd->beat_ms = instance_beat_ms(r, i);
	atomic_store_explicit(&i->last_beat_ms, p->now_ms, memory_order_relaxed);
	if ((i->flags & INSTANCE_HEALTHY) != 0) {
		p->nothing = true;
		return E_OK;
	}
	int rc = plan_flip(r, p, i, true, "", err);

	if (rc == E_OK)
		p->one.fresh->flags &= (uint8_t)~INSTANCE_RESTORED;
	return rc;
}

int plan_beat(struct registry *r, struct plan *p, struct error *err)
{
	struct instance *i = plan_target(p, p->cmd->instance.ip, p->cmd->instance.port, NULL);
	int rc;

	p->cmd->beat_ms = (uint32_t)registry_switches(r)->client_beat_ms;
	if (i != NULL && (i->flags & INSTANCE_EPHEMERAL) != 0)
		return plan_known_beat(r, p, i, err);
	if (!p->cmd->full_beat) {
		p->cmd->unknown = p->nothing = true;
		return E_OK;
	}
	p->cmd->instance.ephemeral = true; /* only such beat */
	rc = plan_register(r, p, err);
	if (rc == E_OK && p->one.fresh != NULL)
		p->cmd->beat_ms = instance_beat_ms(r, p->one.fresh);
	return rc;
}

/* A deadline passed; but a beat may have come while the command was on its way. */
int plan_expire(struct registry *r, struct plan *p, struct error *err)
{
	const struct instance_spec *spec = &p->cmd->instance;
	struct instance *i = plan_target(p, spec->ip, spec->port, spec->cluster);
	bool remove = p->cmd->remove;

	p->nothing = true;
	if (i == NULL || (i->flags & INSTANCE_EPHEMERAL) == 0 || instance_is_held(i) ||
	    !registry_switches(r)->health_check)
		return E_OK;
	int64_t silent_ms = p->now_ms - atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed);

	if (silent_ms <= (remove ? i->remove_ms : i->unhealthy_ms) || (remove && !r->conf.expire_instances) ||
	    (!remove && (i->flags & INSTANCE_HEALTHY) == 0))
		return E_OK;
	p->nothing = false;
	if (!remove)
		return plan_flip(r, p, i, false, "", err);
	return plan_leave(r, p, i, err);
}

int plan_verdict(struct registry *r, struct plan *p, struct error *err)
{
	const struct instance_spec *spec = &p->cmd->instance;
	struct instance *i = plan_target(p, spec->ip, spec->port, spec->cluster);

	p->nothing = true;
	if (i == NULL || (i->flags & INSTANCE_EPHEMERAL) != 0 ||
	    ((i->flags & INSTANCE_HEALTHY) != 0) == spec->healthy ||
	    p->service->info->clusters[i->cluster].checker.kind == CHECKER_NONE)
		return E_OK;
	p->nothing = false;
	return plan_flip(r, p, i, spec->healthy, or_empty(p->cmd->reason), err);
}

/* nacos-naming 7.5. The instance's own cluster counts, whatever the request says. */
int plan_health_set(struct registry *r, struct plan *p, struct error *err)
{
	const struct instance_spec *spec = &p->cmd->instance;
	struct instance *i = plan_target(p, spec->ip, spec->port, NULL);

	p->nothing = true;
	if (i == NULL || (i->flags & INSTANCE_EPHEMERAL) != 0)
		return E_OK;
	const struct service_info *info = p->service->info;
	const struct cluster *c = &info->clusters[i->cluster];

	if (!c->stored || c->checker.kind != CHECKER_NONE)
		return error_set_what(err, E_CONFLICT, FAIL_CHECK_RUNNING,
				      "health check is still working, service: %.100s@@%.160s, cluster: %s",
				      info->key.group, info->key.name, c->name);
	if (((i->flags & INSTANCE_HEALTHY) != 0) == spec->healthy)
		return E_OK;
	p->nothing = false;
	p->durable = p->one.row = true;
	return plan_flip(r, p, i, spec->healthy, "", err);
}

/* The health part of a PATCH: p->one.old is there, p->one.fresh when other fields were patched. A persistent
 * instance's health is the prober's unless its checker is NONE. */
int plan_patch_health(struct registry *r, struct plan *p, bool healthy, struct error *err)
{
	struct plan_step *step = &p->one;
	bool persistent = (step->old->flags & INSTANCE_EPHEMERAL) == 0;
	bool mine = !persistent || p->service->info->clusters[step->old->cluster].checker.kind == CHECKER_NONE;
	bool same = ((step->old->flags & INSTANCE_HEALTHY) != 0) == healthy;

	if (step->fresh == NULL) {
		p->nothing = !mine || same || (p->cmd->instance.has & HAS_HEALTHY) == 0;
		p->durable = step->row = persistent;
		return p->nothing ? E_OK : plan_flip(r, p, step->old, healthy, "", err);
	}
	if (mine && !same) {
		step->fresh->flags ^= INSTANCE_HEALTHY;
		step->row = persistent;
	}
	return E_OK;
}

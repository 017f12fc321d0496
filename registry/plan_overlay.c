/* plan_overlay.c - operators' edits of instances (nacos-naming 1.9): they never alter what the publisher said,
 * win over it, and are durable. */
#include "base/mem.h"
#include "registry/core.h"

#include <string.h>

/* The publisher's own record: under an overlay it is the overlay's base. */
static const struct instance *said_by_publisher(const struct plan_step *step)
{
	return step->overlay != NULL && step->overlay->base != NULL ? step->overlay->base : step->old;
}

/* Gives the instance of @step (if there is one) the record that its new content makes. */
static int remake(struct registry *r, struct plan *p, struct plan_step *step, struct error *err)
{
	const uint8_t kept = INSTANCE_HEALTHY | INSTANCE_RESTORED; /* a base that was loaded with its overlay has them not */
	struct pair pairs[PAIRS_MAX];
	struct record_draft d;

	if (step->old == NULL)
		return E_OK;
	record_draft_of(&d, said_by_publisher(step), pairs);
	d.flags = (uint8_t)((d.flags & ~kept) | (step->old->flags & kept));
	d.registered_ms = step->old->registered_ms;
	d.reason = instance_reason(step->old);
	d.reason_len = step->old->reason_len;
	d.last_beat_ms = atomic_load_explicit(&step->old->last_beat_ms, memory_order_relaxed);
	record_times_lenient(&d);
	return plan_record(r, p, step, &d, p->service->info->clusters[step->old->cluster].name, err);
}

static int overlay_limit(struct registry *r, struct error *err)
{
	/* Edits of absent instances would otherwise be counted by nobody. */
	if (r->loading || r->conf.instances_max == 0 || r->overlays.count < r->conf.instances_max)
		return E_OK;
	return error_set_what(err, E_LIMIT, FAIL_LIMIT,
			      "there are %zu edited instances already, the limit is %u (limits.instances)",
			      r->overlays.count, r->conf.instances_max);
}

static int hold(struct registry *r, struct plan *p, struct plan_step *step, const struct instance_target *t,
		struct error *err)
{
	struct overlay_key key = { p->service, t->ip, t->cluster, strlen(t->ip), strlen(t->cluster), t->port };
	int rc = overlay_find(r, &key) == NULL ? overlay_limit(r, err) : E_OK;

	if (rc < 0)
		return rc;
	step->overlay = overlay_hold(r, &key);
	return step->overlay == NULL ? plan_no_memory(err) : E_OK;
}

static struct packed content_metadata(const struct overlay_content *c)
{
	return c == NULL ? (struct packed){ "", 0, 0 }
			 : (struct packed){ c->text, c->metadata_len, c->metadata_count };
}

static int service_missing(const struct plan *p, struct error *err)
{
	return error_set_what(err, E_NOTFOUND, FAIL_SERVICE_MISSING,
			      "service not found, namespace: %s, service: %.100s@@%.160s", p->cmd->key.ns,
			      p->cmd->key.group, p->cmd->key.name);
}

static int check_target(const struct instance_target *t, struct error *err)
{
	int rc;

	if (t->ip == NULL || *t->ip == '\0')
		return error_set_what(err, E_MISSING, FAIL_PARAM, "Param 'ip' is required.");
	rc = name_check_ip(t->ip, strlen(t->ip), err);
	return rc < 0 ? rc : name_check_cluster(t->cluster, strlen(t->cluster), err);
}

static struct instance_target target_of(const struct instance_spec *spec)
{
	const char *cluster = spec->cluster == NULL || *spec->cluster == '\0' ? "DEFAULT" : spec->cluster;

	return (struct instance_target){ spec->ip, cluster, spec->port };
}

static bool same_content(const struct overlay_content *a, const struct overlay_content *b)
{
	return a != NULL && b != NULL && a->has == b->has && a->weight == b->weight && a->enabled == b->enabled &&
	       a->metadata_len == b->metadata_len && memcmp(a->text, b->text, a->metadata_len) == 0;
}

/* PUT: the overlay is what the request says. An absent instance may come later. */
int plan_update(struct registry *r, struct plan *p, struct error *err)
{
	const struct instance_spec *spec = &p->cmd->instance;
	const unsigned whole = HAS_WEIGHT | HAS_ENABLED | HAS_METADATA;
	struct instance_target t = target_of(spec);
	struct plan_step *step = &p->one;
	int rc = check_target(&t, err);

	if (rc == E_OK)
		rc = plan_weight_check(spec->weight, err);
	if (rc == E_OK)
		rc = plan_metadata_check(r, spec->metadata, spec->metadata_count, FAIL_PARAM, err);
	if (rc == E_OK && p->service == NULL)
		rc = service_missing(p, err);
	if (rc < 0)
		return rc;
	p->step_count = 1;
	step->content = overlay_content_new(spec->weight, spec->enabled, r->loading ? spec->has : whole, spec->metadata,
					    spec->metadata_count);
	if (step->content == NULL)
		return plan_no_memory(err);
	rc = hold(r, p, step, &t, err);
	if (rc < 0)
		return rc;
	step->old = plan_target(p, t.ip, t.port, t.cluster);
	step->set_content = p->durable = true;
	if (same_content(step->overlay->content, step->content)) {
		p->nothing = true;
		return E_OK;
	}
	return remake(r, p, step, err);
}

/* PATCH: the old overlay with the given fields over it. */
static int patched(struct plan_step *step, const struct instance_spec *spec, struct error *err)
{
	const struct overlay_content *old = step->overlay->content;
	struct pair pairs[PAIRS_MAX];
	size_t n = pairs_of(content_metadata(old), pairs, PAIRS_MAX);
	unsigned has = (old == NULL ? 0 : old->has) | (spec->has & (HAS_WEIGHT | HAS_ENABLED | HAS_METADATA));
	double weight = (spec->has & HAS_WEIGHT) != 0 ? spec->weight : old == NULL ? 1.0 : old->weight;
	bool enabled = (spec->has & HAS_ENABLED) != 0 ? spec->enabled : old == NULL || old->enabled;

	for (size_t i = 0; (spec->has & HAS_METADATA) != 0 && i < spec->metadata_count; i++)
		if (pairs_put(pairs, &n, &spec->metadata[i]) < 0)
			return error_set_what(err, E_RANGE, FAIL_INSTANCE_METADATA,
					      "the overlay would have more than %d pairs", PAIRS_MAX);
	step->content = overlay_content_new(weight, enabled, has, pairs, n);
	return step->content == NULL ? plan_no_memory(err) : E_OK;
}

int plan_patch(struct registry *r, struct plan *p, struct error *err)
{
	const struct instance_spec *spec = &p->cmd->instance;
	struct instance_target t = target_of(spec);
	struct plan_step *step = &p->one;
	int rc = check_target(&t, err);

	if (rc == E_OK && (spec->has & HAS_WEIGHT) != 0)
		rc = plan_weight_check(spec->weight, err);
	if (rc == E_OK && (spec->has & HAS_METADATA) != 0)
		rc = plan_metadata_check(r, spec->metadata, spec->metadata_count, FAIL_PARAM, err);
	if (rc < 0)
		return rc;
	step->old = plan_target(p, t.ip, t.port, t.cluster);
	if (step->old == NULL)
		return error_set_what(err, E_NOTFOUND, FAIL_INSTANCE_MISSING, "no instance %s:%u in cluster %s",
				      t.ip, t.port, t.cluster);
	if ((spec->has & (HAS_WEIGHT | HAS_ENABLED | HAS_METADATA)) == 0)
		return plan_patch_health(r, p, spec->healthy, err);
	p->step_count = 1;
	rc = hold(r, p, step, &t, err);
	if (rc < 0)
		return rc;
	rc = patched(step, spec, err);
	if (rc < 0)
		return rc;
	step->set_content = p->durable = true;
	rc = remake(r, p, step, err);
	if (rc == E_OK && (spec->has & HAS_HEALTHY) != 0)
		rc = plan_patch_health(r, p, spec->healthy, err);
	p->nothing = rc == E_OK && same_content(step->overlay->content, step->content) &&
		     ((step->old->flags ^ step->fresh->flags) & INSTANCE_HEALTHY) == 0;
	return rc;
}

/* ---- metadata of many */

static int batch_content(const struct command *cmd, struct plan_step *step, struct error *err)
{
	const struct overlay_content *old = step->overlay->content;
	struct pair pairs[PAIRS_MAX];
	size_t n = pairs_of(content_metadata(old), pairs, PAIRS_MAX);

	for (size_t i = 0; i < cmd->instance.metadata_count; i++) {
		const struct pair *pair = &cmd->instance.metadata[i];

		if (!cmd->remove_keys) {
			if (pairs_put(pairs, &n, pair) < 0)
				return error_set_what(err, E_RANGE, FAIL_INSTANCE_METADATA,
						      "the overlay would have more than %d pairs", PAIRS_MAX);
			continue;
		}
		for (size_t k = 0; k < n; k++)
			if (pairs[k].key_len == pair->key_len &&
			    memcmp(pairs[k].key, pair->key, pair->key_len) == 0)
				pairs[k--] = pairs[--n];
	}
	unsigned has = (old == NULL ? 0 : old->has) & (HAS_WEIGHT | HAS_ENABLED);

	step->set_content = true;
	if (n == 0 && has == 0)
		return E_OK; /* nothing is left of it */
	step->content = overlay_content_new(old == NULL ? 1.0 : old->weight, old == NULL || old->enabled,
					    n > 0 ? has | HAS_METADATA : has, pairs, n);
	return step->content == NULL ? plan_no_memory(err) : E_OK;
}

/* As Nacos names it (nacos-naming 2.2); "unknown" stands for the site, which nobody has. */
static void tell_updated(struct text *to, const struct instance *i, const char *cluster)
{
	if (to == NULL)
		return;
	text_printf(to, "%s:%u:unknown:%s:%s", instance_ip(i), i->port, cluster,
		    (i->flags & INSTANCE_EPHEMERAL) != 0 ? "ephemeral" : "persist");
	text_char(to, '\0');
}

static int batch_one(struct registry *r, struct plan *p, struct instance *i, struct error *err)
{
	const char *cluster = p->service->info->clusters[i->cluster].name;
	struct instance_target t = { instance_ip(i), cluster, i->port };
	struct overlay_key key = { p->service, t.ip, t.cluster, i->ip_len, strlen(cluster), i->port };
	struct plan_step *step = &p->steps[p->step_count];
	int rc;

	tell_updated(p->cmd->updated, i, cluster);
	if (p->cmd->remove_keys && overlay_find(r, &key) == NULL)
		return E_OK; /* nothing to remove from */
	memset(step, 0, sizeof(*step));
	p->step_count++;
	step->old = i;
	rc = hold(r, p, step, &t, err);
	if (rc == E_OK)
		rc = batch_content(p->cmd, step, err);
	return rc < 0 ? rc : remake(r, p, step, err);
}

static bool already_in(const struct plan *p, const struct instance *i)
{
	for (size_t k = 0; k < p->step_count; k++)
		if (p->steps[k].old == i)
			return true;
	return false;
}

static int batch_targets(struct registry *r, struct plan *p, struct error *err)
{
	const struct command *cmd = p->cmd;
	int rc = E_OK;

	for (size_t k = 0; rc == E_OK && k < cmd->target_count; k++) {
		const struct instance_target *t = &cmd->targets[k];
		const char *cluster = t->cluster == NULL || *t->cluster == '\0' ? "DEFAULT" : t->cluster;
		struct instance *i = plan_target(p, t->ip, t->port, cluster);

		if (i != NULL && !already_in(p, i))
			rc = batch_one(r, p, i, err);
	}
	return rc;
}

int plan_metadata_batch(struct registry *r, struct plan *p, struct error *err)
{
	const struct command *cmd = p->cmd;
	size_t max = cmd->target_count > 0 ? cmd->target_count : p->service == NULL ? 0 : p->service->count;
	int rc = plan_metadata_check(r, cmd->instance.metadata, cmd->instance.metadata_count, FAIL_PARAM, err);

	if (rc < 0)
		return rc;
	if (cmd->updated != NULL)
		text_clear(cmd->updated); /* a command that waited is planned again */
	p->nothing = true;
	if (p->service == NULL || p->service->count == 0 || max == 0)
		return E_OK;
	if (max > 1) {
		p->steps = mem_zalloc(max, sizeof(*p->steps));
		if (p->steps == NULL) {
			p->steps = &p->one;
			return plan_no_memory(err);
		}
	}
	if (cmd->target_count > 0)
		rc = batch_targets(r, p, err);
	else
		for (uint32_t i = 0; rc == E_OK && i < p->service->count; i++)
			rc = batch_one(r, p, p->service->records[i], err);
	p->nothing = rc == E_OK && p->step_count == 0;
	p->durable = !p->nothing;
	return rc;
}

/* ---- the sweep: an overlay whose instance has been away for long enough */

int plan_sweep_overlay(struct registry *r, struct plan *p, struct error *err)
{
	struct instance_target t = target_of(&p->cmd->instance);
	struct overlay_key key = { p->service, t.ip, t.cluster, strlen(t.ip), strlen(t.cluster), t.port };
	struct overlay *o = p->service == NULL ? NULL : overlay_find(r, &key);

	(void)err;
	p->nothing = true;
	if (o == NULL || o->base != NULL || o->gone_ms == 0 || p->now_ms - o->gone_ms < OVERLAY_KEEP_MS)
		return E_OK;
	p->nothing = false;
	p->durable = true;
	p->step_count = 1;
	p->one.overlay = o;
	p->one.set_content = true;
	return E_OK;
}

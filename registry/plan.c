/* plan.c - a command on its way to be a change: what all kinds share, and the application. */
#include "base/clock.h"
#include "base/mem.h"
#include "registry/core.h"
#include "registry/tell.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void command_init(struct command *cmd, enum command_kind kind)
{
	*cmd = (struct command){ .kind = kind };
	if (kind > CMD_HEALTH_SET && kind != CMD_VERDICT && kind != CMD_EXPIRE)
		return; /* another member of the union */
	cmd->instance.weight = 1.0;
	cmd->instance.enabled = cmd->instance.healthy = cmd->instance.ephemeral = true;
}

int plan_no_memory(struct error *err)
{
	return error_set(err, E_NOMEM, "no memory for this change");
}

/* ---- checks that several kinds make */

int plan_weight_check(double weight, struct error *err)
{
	if (!(weight >= 0 && weight <= 10000)) /* NaN too */
		return error_set_what(err, E_RANGE, FAIL_WEIGHT,
				      "instance format invalid: The weights range from 0.000000 to 10000.000000, "
				      "weight %.15g is outside",
				      weight);
	return E_OK;
}

int plan_metadata_check(const struct registry *r, const struct pair *pairs, size_t n, enum failure what,
			struct error *err)
{
	size_t sum = 0;

	if (n > PAIRS_MAX)
		return error_set_what(err, E_RANGE, (int)what, "metadata has %zu pairs, the limit is %d", n, PAIRS_MAX);
	for (size_t i = 0; i < n; i++)
		sum += (size_t)pairs[i].key_len + pairs[i].value_len;
	if (!r->loading && r->conf.metadata_max > 0 && sum > r->conf.metadata_max)
		return error_set_what(err, E_RANGE, (int)what,
				      "Param 'metadata' is illegal, its keys and values have %zu bytes, the limit "
				      "is %u (limits.metadata)",
				      sum, r->conf.metadata_max);
	return E_OK;
}

/* ---- the service of a plan */

static int limit_reached(const char *setting, uint64_t has, uint32_t limit, struct error *err)
{
	return error_set_what(err, E_LIMIT, FAIL_LIMIT, "there are %llu already, the limit is %u (%s)",
			      (unsigned long long)has, limit, setting);
}

static int check_service_limits(struct registry *r, const struct service_key *key, struct error *err)
{
	uint64_t services = atomic_load_explicit(&r->stat_services, memory_order_relaxed);

	if (r->loading)
		return E_OK;
	if (r->conf.services_max > 0 && services >= r->conf.services_max)
		return limit_reached("limits.services", services, r->conf.services_max, err);
	if (r->conf.namespaces_max > 0 && r->namespaces.count >= r->conf.namespaces_max &&
	    namespace_find(r, key->ns, key->ns_len) == NULL)
		return limit_reached("limits.namespaces", r->namespaces.count, r->conf.namespaces_max, err);
	return E_OK;
}

static int check_kind(const struct service *s, bool ephemeral, struct error *err)
{
	struct service_key key = service_key_of(s);

	if (s->info->ephemeral == ephemeral)
		return E_OK;
	return error_set_what(err, E_CONFLICT, FAIL_INSTANCE,
			      "Current service %.100s@@%.160s is %s service, can't register %s instance.", key.group,
			      key.name, s->info->ephemeral ? "ephemeral" : "persistent",
			      ephemeral ? "ephemeral" : "persistent");
}

int plan_service_new(struct registry *r, struct plan *p, bool ephemeral, struct error *err)
{
	const struct service_key *key = &p->cmd->key;
	int rc = check_service_limits(r, key, err);

	if (rc < 0)
		return rc;
	p->service = service_new(r, key, service_key_hash(key));
	if (p->service == NULL)
		return plan_no_memory(err);
	p->made = true;
	p->service->info->ephemeral = ephemeral; /* nobody has seen it yet */
	if (group_hold(r, p->service) < 0)
		return plan_no_memory(err);
	return E_OK;
}

int plan_service(struct registry *r, struct plan *p, bool ephemeral, struct error *err)
{
	if (p->service == NULL)
		return plan_service_new(r, p, ephemeral, err);
	return check_kind(p->service, ephemeral, err);
}

struct instance *plan_target(const struct plan *p, const char *ip, uint16_t port, const char *cluster)
{
	size_t len = ip == NULL ? 0 : strlen(ip);
	struct instance *i;
	uint32_t at = 0;

	if (p->service == NULL || len == 0)
		return NULL;
	while ((i = service_address(p->service, ip, len, port, &at)) != NULL)
		if (cluster == NULL || *cluster == '\0' ||
		    strcmp(p->service->info->clusters[i->cluster].name, cluster) == 0)
			return i;
	return NULL;
}

/* ---- records under overlays */

static int too_many_pairs(struct error *err)
{
	return error_set_what(err, E_RANGE, FAIL_INSTANCE_METADATA,
			      "the metadata of publisher and operator together have more than %d pairs", PAIRS_MAX);
}

int plan_record(struct registry *r, struct plan *p, struct plan_step *step, const struct record_draft *d,
		const char *cluster, struct error *err)
{
	struct overlay_key key = { p->service, d->ip, cluster, d->ip_len, strlen(cluster), d->port };
	const struct overlay_content *content = step->content;
	struct pair pairs[PAIRS_MAX];

	if (!step->set_content) {
		struct overlay *o = overlay_find(r, &key);

		content = o == NULL ? NULL : o->content;
		step->overlay = content == NULL ? NULL : o;
	}
	if (content == NULL) {
		step->fresh = record_new(r, p->service, d);
		return step->fresh == NULL ? plan_no_memory(err) : E_OK;
	}
	struct record_draft merged = *d;

	if (overlay_merge(content, &merged, pairs) < 0)
		return too_many_pairs(err);
	step->base = record_new(r, p->service, d);
	if (step->base == NULL)
		return plan_no_memory(err);
	step->fresh = record_new(r, p->service, &merged);
	return step->fresh == NULL ? plan_no_memory(err) : E_OK;
}

/* ---- making */

typedef int plan_fn(struct registry *r, struct plan *p, struct error *err);
static plan_fn *const plans[] = {
	[CMD_INSTANCE_REGISTER] = plan_register,
	[CMD_INSTANCE_DEREGISTER] = plan_deregister,
	[CMD_INSTANCE_UPDATE] = plan_update,
	[CMD_INSTANCE_PATCH] = plan_patch,
	[CMD_INSTANCE_BEAT] = plan_beat,
	[CMD_METADATA_BATCH] = plan_metadata_batch,
	[CMD_HEALTH_SET] = plan_health_set,
	[CMD_VERDICT] = plan_verdict,
	[CMD_EXPIRE] = plan_expire,
	[CMD_SERVICE_CREATE] = plan_service_create,
	[CMD_SERVICE_UPDATE] = plan_service_update,
	[CMD_SERVICE_DELETE] = plan_service_delete,
	[CMD_CLUSTER_UPDATE] = plan_cluster_update,
	[CMD_NAMESPACE_CREATE] = plan_namespace,
	[CMD_NAMESPACE_UPDATE] = plan_namespace,
	[CMD_NAMESPACE_DELETE] = plan_namespace,
	[CMD_SWITCH_SET] = plan_switch,
	[CMD_SWEEP_OVERLAY] = plan_sweep_overlay,
	[CMD_SWEEP_SERVICE] = plan_sweep_service,
};

int plan_make(struct registry *r, struct plan *p, struct command *cmd, int64_t now_ms, struct error *err)
{
	int rc;

	plan_init(p, cmd, now_ms);
	if ((size_t)cmd->kind >= sizeof(plans) / sizeof(plans[0]) || plans[cmd->kind] == NULL)
		return error_set(err, E_INTERNAL, "command %d has no plan", (int)cmd->kind);
	if (cmd->key.name != NULL && cmd->key.name_len > 0) {
		p->service = registry_find(r, &cmd->key, service_key_hash(&cmd->key));
		if (p->service != NULL && !p->service->listed)
			p->service = NULL; /* its creation is not on disk: the desk's locks keep us from here */
	}
	rc = plans[cmd->kind](r, p, err);
	if (rc < 0 || p->nothing)
		plan_drop(r, p);
	return rc;
}

void plan_init(struct plan *p, struct command *cmd, int64_t now_ms)
{
	memset(p, 0, sizeof(*p));
	p->cmd = cmd;
	p->steps = &p->one;
	p->now_ms = now_ms;
}

static void step_drop(struct registry *r, struct plan_step *step)
{
	record_free(r, step->fresh);
	record_free(r, step->base);
	mem_free(step->content);
	if (step->overlay != NULL && step->overlay->content == NULL)
		overlay_release(r, step->overlay);
}

void plan_drop(struct registry *r, struct plan *p)
{
	for (size_t i = 0; i < p->step_count; i++)
		step_drop(r, &p->steps[i]);
	if (p->steps != &p->one)
		mem_free(p->steps);
	if (p->reserved)
		service_unreserve(p->service);
	info_free(p->info);
	if (p->made && p->service != NULL)
		service_drop(r, p->service);
	if (p->ns != NULL) {
		namespace_unreserve(r, p->ns);
		namespace_free(p->ns);
	}
	mem_free(p->switches);
	p->step_count = 0;
	p->steps = &p->one;
	p->reserved = p->made = false;
	p->info = NULL;
	p->ns = NULL;
	p->switches = NULL;
}

/* ---- applying: nothing here can fail */

static void count(struct registry *r, const struct instance *i, int64_t by)
{
	registry_stat(&r->stat_instances, by);
	if ((i->flags & INSTANCE_EPHEMERAL) != 0)
		registry_stat(&r->stat_ephemeral, by);
	if ((i->flags & INSTANCE_HEALTHY) != 0)
		registry_stat(&r->stat_healthy, by);
	if ((i->flags & (INSTANCE_HEALTHY | INSTANCE_EPHEMERAL)) == (INSTANCE_HEALTHY | INSTANCE_EPHEMERAL))
		registry_stat(&r->stat_ephemeral_healthy, by);
	if ((i->flags & INSTANCE_ENABLED) == 0)
		registry_stat(&r->stat_disabled, by);
}

static void recount(struct registry *r, const struct instance *old, const struct instance *fresh)
{
	if (old == NULL || fresh == NULL) {
		count(r, old == NULL ? fresh : old, old == NULL ? 1 : -1);
	} else if (old->flags != fresh->flags) {
		count(r, old, -1);
		count(r, fresh, 1);
	}
}

/* The overlay of @old has lost its instance, if @fresh is not in its place. */
static void leave_overlay(struct registry *r, struct plan *p, const struct instance *old, const struct instance *fresh)
{
	if (old == NULL || (old->flags & INSTANCE_OVERRIDDEN) == 0 ||
	    (fresh != NULL && fresh->cluster == old->cluster))
		return;
	const char *cluster = p->service->info->clusters[old->cluster].name;
	struct overlay_key key = { p->service, instance_ip(old), cluster, old->ip_len, strlen(cluster), old->port };
	struct overlay *o = overlay_find(r, &key);

	if (o != NULL)
		overlay_present(r, o, NULL, p->now_ms);
}

static void tell_instance(struct registry *r, struct instance *old, struct instance *fresh)
{
	for (unsigned i = 0; i < r->watcher_count; i++)
		if (r->watchers[i].on_instance != NULL)
			r->watchers[i].on_instance(r->watchers[i].arg, old, fresh);
}

static void apply_records(struct registry *r, struct plan *p, struct instance *old, struct instance *fresh)
{
	struct service *s = p->service;

	if (old != NULL && fresh != NULL) {
		service_swap(s, old, fresh);
	} else if (fresh != NULL) {
		service_put(s, fresh);
		p->reserved = false;
		service_empty_untrack(r, s);
	} else {
		standby_drop(r, old);
		service_cut(r, s, old);
		if (s->count == 0)
			service_empty_track(r, s, p->now_ms);
	}
	recount(r, old, fresh);
	tell_instance(r, old, fresh);
	tell_instance_change(r, p, old, fresh);
	if (old != NULL)
		record_retire(s, old);
}

static void step_apply(struct registry *r, struct plan *p, struct plan_step *step)
{
	leave_overlay(r, p, step->old, step->fresh);
	if (step->old != NULL || step->fresh != NULL)
		apply_records(r, p, step->old, step->fresh);
	if (step->overlay == NULL)
		return;
	if (step->base != NULL)
		overlay_present(r, step->overlay, step->base, p->now_ms);
	if (step->set_content && step->old == NULL && step->fresh == NULL)
		tell_override_change(r, p, step);
	if (step->set_content)
		overlay_set(r, step->overlay, step->content, p->now_ms);
}

static void apply_service(struct registry *r, struct plan *p, uint64_t number)
{
	struct service *s = p->service;

	if (p->made) {
		if (p->info != NULL) { /* the first one was never seen */
			info_free(s->info);
			s->info = p->info;
		}
		s->info->created = r->number_base + number;
		service_tell_info(r, NULL, s->info);
		tell_service_change(r, p, NULL, s->info);
		service_list(r, s);
		if (p->service_row)
			s->has_row = true;
		service_empty_track(r, s, p->now_ms); /* a record takes it off again */
	} else if (p->info != NULL) {
		tell_service_change(r, p, s->info, p->info);
		service_set_info(r, s, p->info);
		if (p->service_row && !s->has_row) {
			s->has_row = true;
			service_empty_untrack(r, s);
		}
	}
	p->info = NULL;
	p->made = false;
}

void plan_apply(struct registry *r, struct plan *p, uint64_t number)
{
	struct service *s = p->service;

	p->number = r->number_base + number;
	tell_namespace_change(r, p);
	tell_switch_change(r, p);
	if (s != NULL) {
		apply_service(r, p, number);
		for (size_t i = 0; i < p->step_count; i++)
			step_apply(r, p, &p->steps[i]);
		service_touch(r, s, number);
		if (p->remove_service) {
			tell_service_change(r, p, s->info, NULL);
			service_remove(r, s);
		}
	}
	if (p->steps != &p->one)
		mem_free(p->steps);
	if (p->ns != NULL)
		namespace_take(r, p->ns);
	if (p->ns_gone != NULL)
		namespace_forget(r, p->ns_gone);
	if (p->switches != NULL)
		registry_take_switches(r, p->switches);
	atomic_store_explicit(&r->stat_number, r->number_base + number, memory_order_relaxed);
	if (p->cmd != NULL)
		p->cmd->number = r->number_base + number;
}

int registry_apply(struct registry *r, struct command *cmd, int64_t now_ms, uint64_t number, struct error *err)
{
	struct plan p;
	int rc = plan_make(r, &p, cmd, now_ms, err);

	if (rc == E_OK && !p.nothing)
		plan_apply(r, &p, number);
	return rc;
}

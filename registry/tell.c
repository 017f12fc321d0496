/* tell.c - see tell.h. */
#include "registry/tell.h"

#include <string.h>

static bool wanted(const struct registry *r, const struct plan *p)
{
	return r->change_watchers > 0 && !r->loading && p->cmd != NULL;
}

static void tell(struct registry *r, const struct plan *p, struct change *c)
{
	const struct command *cmd = p->cmd;

	c->cause = cmd->cause;
	c->remote = cmd->remote;
	c->number = p->number;
	for (unsigned i = 0; i < r->watcher_count; i++)
		if (r->watchers[i].on_change != NULL)
			r->watchers[i].on_change(r->watchers[i].arg, c);
}

/* A record may be renewed without any difference that somebody could see. */
static bool looks_same(const struct instance *a, const struct instance *b)
{
	const uint8_t seen = INSTANCE_HEALTHY | INSTANCE_ENABLED | INSTANCE_OVERRIDDEN;
	struct packed x = instance_metadata(a), y = instance_metadata(b);

	return ((a->flags ^ b->flags) & seen) == 0 && a->cluster == b->cluster && !(a->weight < b->weight) &&
	       !(a->weight > b->weight) && x.len == y.len && memcmp(x.at, y.at, x.len) == 0 &&
	       strcmp(instance_custom_id(a), instance_custom_id(b)) == 0 &&
	       strcmp(instance_app(a), instance_app(b)) == 0;
}

void tell_instance_change(struct registry *r, const struct plan *p, const struct instance *old,
			  const struct instance *fresh)
{
	if (!wanted(r, p) || (old != NULL && fresh != NULL && looks_same(old, fresh)))
		return;
	struct change c = { .what = old == NULL	  ? CHANGE_REGISTER
				    : fresh == NULL ? CHANGE_DEREGISTER
						    : CHANGE_UPDATE,
			    .key = service_key_of(p->service),
			    .info = p->service->info,
			    .old = old,
			    .fresh = fresh };

	if (p->cmd->cause == CAUSE_BEAT_EXPIRED && old != NULL)
		c.silent_ms = p->now_ms - atomic_load_explicit(&old->last_beat_ms, memory_order_relaxed);
	if (p->cmd->kind == CMD_VERDICT)
		c.reason = p->cmd->reason;
	tell(r, p, &c);
}

void tell_override_change(struct registry *r, const struct plan *p, const struct plan_step *step)
{
	if (!wanted(r, p) || (step->overlay->content == NULL && step->content == NULL))
		return;
	tell(r, p,
	     &(struct change){ .what = CHANGE_OVERRIDE,
			       .key = service_key_of(p->service),
			       .overlay = step->overlay,
			       .content = step->content });
}

void tell_service_change(struct registry *r, const struct plan *p, const struct service_info *old,
			 const struct service_info *fresh)
{
	if (!wanted(r, p))
		return;
	tell(r, p,
	     &(struct change){ .what = old == NULL	 ? CHANGE_SERVICE_CREATE
				       : fresh == NULL ? CHANGE_SERVICE_DELETE
						       : CHANGE_SERVICE_UPDATE,
			       .key = service_key_of(p->service),
			       .old_info = old,
			       .info = fresh });
}

void tell_namespace_change(struct registry *r, const struct plan *p)
{
	const char *id;
	struct namespace_row old = { .id = NULL }, fresh = { .id = NULL };

	if (!wanted(r, p) || (p->ns == NULL && p->ns_gone == NULL))
		return;
	if (p->ns != NULL)
		namespace_row_of(&fresh, p->ns);
	const struct namespace *before = p->ns_gone;

	if (before == NULL)
		before = namespace_find(r, fresh.id, strlen(fresh.id));
	if (before != NULL && namespace_created(before))
		namespace_row_of(&old, before);
	id = fresh.id != NULL ? fresh.id : old.id;
	tell(r, p,
	     &(struct change){ .what = p->ns == NULL	 ? CHANGE_NAMESPACE_DELETE
				       : old.id == NULL ? CHANGE_NAMESPACE_CREATE
							: CHANGE_NAMESPACE_UPDATE,
			       .key = { id, "", "", (uint16_t)strlen(id), 0, 0 },
			       .old_name = old.name,
			       .old_description = old.description,
			       .name = fresh.name,
			       .description = fresh.description });
}

void tell_switch_change(struct registry *r, const struct plan *p)
{
	if (!wanted(r, p) || p->switches == NULL)
		return;
	tell(r, p,
	     &(struct change){ .what = CHANGE_SWITCH,
			       .key = { "", "", "", 0, 0, 0 },
			       .old_switches = registry_switches(r),
			       .switches = p->switches,
			       .entry = p->cmd->set.entry });
}

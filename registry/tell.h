/* tell.h - watchers are told of changes, where plans are applied. Control thread. */
#ifndef REGISTRY_TELL_H
#define REGISTRY_TELL_H

#include "registry/change.h"
#include "registry/core.h"

/* Each says nothing while the registry is loading, and costs nothing when nobody listens. */
void tell_instance_change(struct registry *r, const struct plan *p, const struct instance *old,
			  const struct instance *fresh);
void tell_override_change(struct registry *r, const struct plan *p, const struct plan_step *step);
void tell_service_change(struct registry *r, const struct plan *p, const struct service_info *old,
			 const struct service_info *fresh);
void tell_namespace_change(struct registry *r, const struct plan *p); /* before it is applied */
void tell_switch_change(struct registry *r, const struct plan *p);    /* before it is applied */

#endif

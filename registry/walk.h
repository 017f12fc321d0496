/* walk.h - every service of a namespace, or of all, in order of namespace, group and name, in slices: whoever
 * lists them lets the control thread do other work in between. A service that was there all the time is met
 * once; one that came or went meanwhile may be met or not. Control thread. */
#ifndef REGISTRY_WALK_H
#define REGISTRY_WALK_H

#include "registry/registry.h"

struct walk;

/* @ns, @group NULL: all. E_NOMEM. */
int walk_new(struct walk **ret, struct registry *r, const char *ns, const char *group);
/* Shows up to @most services (their newest views) to @each; false: that was the end. */
bool walk_slice(struct walk *w, struct registry *r, unsigned most, void (*each)(void *arg, const struct service_view *v),
		void *arg);
void walk_free(struct walk *w); /* any thread; NULL: nothing */

#endif

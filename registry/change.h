/* change.h - one effective change as watchers are told of it: what is other than before, whose doing it was, and
 * its number. It is told where the change is applied, so nothing that was refused or repeated is ever seen here.
 * To keep one beyond the call it is packed (on the control thread, a copy of a few hundred bytes) and printed
 * later as a line of JSON (any thread). The names of the members of that line are an interface: muster.conf(5). */
#ifndef REGISTRY_CHANGE_H
#define REGISTRY_CHANGE_H

#include "base/text.h"
#include "registry/command.h"
#include "registry/switches.h"

enum change_what {
	CHANGE_REGISTER,
	CHANGE_DEREGISTER,
	CHANGE_UPDATE, /* an instance: health, weight, metadata... */
	CHANGE_OVERRIDE, /* an operator's edit of an instance that is not registered */
	CHANGE_SERVICE_CREATE,
	CHANGE_SERVICE_UPDATE,
	CHANGE_SERVICE_DELETE,
	CHANGE_NAMESPACE_CREATE,
	CHANGE_NAMESPACE_UPDATE,
	CHANGE_NAMESPACE_DELETE,
	CHANGE_SWITCH,
	CHANGE_WHATS
};

struct overlay;
struct overlay_content;

/* Everything is borrowed for the call. */
struct change {
	enum change_what what;
	enum command_cause cause;
	const char *remote, *reason; /* NULL: none */
	uint64_t number;
	int64_t silent_ms;	/* an expired instance has not beaten for so long; 0: it is no expiry */
	struct service_key key; /* a namespace: only its ns; a switch: nothing */
	const struct service_info *old_info, *info; /* an instance: the same, @info names its cluster */
	const struct instance *old, *fresh;
	const struct overlay *overlay; /* OVERRIDE: its address and old content */
	const struct overlay_content *content;
	const char *old_name, *old_description, *name, *description; /* NAMESPACE */
	const struct switches *old_switches, *switches;
	const char *entry;
};

const char *change_what_label(enum change_what what); /* of metrics: "update" for all updates */
const char *change_what_name(const struct change *c); /* "weight" for an update of just that */
const char *change_cause_name(enum command_cause cause);

/* Appends @c to @to, which holds packed changes only. A text that failed has lost it. */
void change_pack(const struct change *c, int64_t wall_ms, struct text *to);
/* Prints the packed change at the start of @from (8-aligned) as a line; returns the bytes it took. */
size_t change_print(const char *from, struct text *to);
/* "time" in the form of the lines: 2026-01-31T12:00:00.123Z. */
void change_print_time(int64_t wall_ms, struct text *to);

#endif

/* sweep.c - what time takes away: services that stayed empty, and overlays whose instance has gone. */
#include "base/mem.h"
#include "registry/desk_inside.h"

#include <string.h>

enum { SWEEP_OVERLAYS_MAX = 256, SWEEP_SERVICES_MAX = 4096 }; /* a turn stays short; the next goes on */

struct sweep {
	struct command cmd;
	char text[]; /* namespace, group, name, ip, cluster */
};

static void on_swept(struct command *cmd)
{
	struct desk *d = cmd->owner;

	d->sweeps--;
	mem_free(cmd); /* the sweep's first member */
}

static const char *put_text(char **at, const char *from)
{
	char *to = *at;

	*at = stpcpy(to, from) + 1;
	return to;
}

static void sweep_overlay(struct desk *d, const struct overlay *o)
{
	struct service_key key = service_key_of(o->service);
	const char *cluster = o->text + o->ip_len + 1;
	struct sweep *sweep = mem_alloc(sizeof(*sweep) + (size_t)key.ns_len + key.group_len + key.name_len +
					o->ip_len + o->cluster_len + 5);

	if (sweep == NULL)
		return; /* next time */
	char *at = sweep->text;

	command_init(&sweep->cmd, CMD_SWEEP_OVERLAY);
	sweep->cmd.cause = CAUSE_CLEAN;
	sweep->cmd.key = key;
	sweep->cmd.key.ns = put_text(&at, key.ns);
	sweep->cmd.key.group = put_text(&at, key.group);
	sweep->cmd.key.name = put_text(&at, key.name);
	sweep->cmd.instance.ip = put_text(&at, o->text);
	sweep->cmd.instance.cluster = put_text(&at, cluster);
	sweep->cmd.instance.port = o->port;
	sweep->cmd.owner = d;
	sweep->cmd.on_done = on_swept;
	d->sweeps++;
	atomic_fetch_add_explicit(&d->in_hand, 1, memory_order_relaxed);
	desk_run(d, &sweep->cmd);
}

static void sweep_overlays(struct desk *d)
{
	struct overlay *o = d->registry->gone;

	if (d->sweeps > 0) /* the last ones are still on their way to disk */
		return;
	for (unsigned n = 0; o != NULL && n < SWEEP_OVERLAYS_MAX; n++) {
		struct overlay *next = o->gone_next;

		if (d->now_ms - o->gone_ms < OVERLAY_KEEP_MS)
			return;
		sweep_overlay(d, o); /* durable: @o goes later */
		o = next;
	}
}

static void sweep_service(struct desk *d, struct service *s)
{
	struct command cmd;

	command_init(&cmd, CMD_SWEEP_SERVICE);
	cmd.cause = CAUSE_CLEAN;
	cmd.key = service_key_of(s);
	service_empty_track(d->registry, s, s->empty_ms); /* to the end of the line, in case it stays */
	if (!durable_touches(&d->durable, &cmd.key))
		desk_apply_now(d, &cmd);
}

static void sweep_services(struct desk *d)
{
	struct service *s = d->registry->empty, *last = d->registry->empty_last;

	for (unsigned n = 0; s != NULL && n < SWEEP_SERVICES_MAX; n++) {
		struct service *next = s->empty_next;

		if (d->now_ms - s->empty_ms < d->registry->conf.clean_empty_ms)
			return;
		sweep_service(d, s);
		if (s == last)
			return;
		s = next;
	}
}

void desk_sweep(struct desk *d)
{
	if (!d->ready || d->closing)
		return;
	sweep_overlays(d);
	if (d->registry->conf.clean_empty_ms > 0)
		sweep_services(d);
}

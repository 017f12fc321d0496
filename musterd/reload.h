/* reload.h - SIGHUP: the settings are read again, held against those in force, and what can change is changed, all of it
 * or nothing; where zones come, go or change, once the new ones are there as a whole (zone_keeper.h). Control thread, but
 * for reload_allows(). */
#ifndef MUSTERD_RELOAD_H
#define MUSTERD_RELOAD_H

#include "musterd/cookie_keeper.h"
#include "musterd/server.h"
#include "musterd/settings.h"
#include "musterd/tls_keeper.h"

/* Where settings come from; borrowed for as long as the server runs. */
struct reload_source {
	const struct settings *first; /* as read at the start */
	int argc;
	char **argv, **envp;
};

/* What is told of a change. */
struct zone_keeper;
struct reload_parts {
	struct desk *desk;
	struct dns_server *dns;
	struct api *api;
	struct beats *beats;
	struct zone_keeper *zones;
	struct cookie_keeper *cookies;
	struct tls_keeper *tls;
};

/* E_NOMEM. Freed behind the last thread that asks reload_allows(). */
int reload_new(struct reload **ret, const struct reload_source *source);
void reload_free(struct reload *r);
enum reload_end {
	RELOAD_REFUSED, /* everything is as it was */
	RELOAD_DONE,
	RELOAD_DONE_ZONES, /* zones have come, gone or changed, and zone files were read */
	RELOAD_LATER,	   /* there will be other zones: it is not over yet */
};
/* The log says what came of it, and what waits for a restart. After RELOAD_LATER @on_end comes with one of the others, unless
 * zone_keeper_drop() or _close() does; @parts is copied. One at a time. */
enum reload_end reload_run(struct reload *r, const struct reload_parts *parts, void (*on_end)(void *arg, enum reload_end end),
			   void *arg);
/* http.allow as it is in force; @reload is a struct reload. Any thread that reads published data. */
bool reload_allows(void *reload, const struct sockaddr *peer);

#endif

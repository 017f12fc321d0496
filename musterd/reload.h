/* reload.h - SIGHUP: the settings are read again, held against those in force, and what can change is changed, all of it
 * or nothing. Control thread, but for reload_allows(). */
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
struct reload_parts {
	struct desk *desk;
	struct dns_server *dns;
	struct api *api;
	struct beats *beats;
	struct zone_set *zones;
	struct cookie_keeper *cookies;
	struct tls_keeper *tls;
};

/* E_NOMEM. Freed behind the last thread that asks reload_allows(). */
int reload_new(struct reload **ret, const struct reload_source *source);
void reload_free(struct reload *r);
/* True: the settings are in force. False: everything is as it was. The log says which, and what waits for a restart. */
bool reload_run(struct reload *r, const struct reload_parts *parts);
/* http.allow as it is in force; @reload is a struct reload. Any thread that reads published data. */
bool reload_allows(void *reload, const struct sockaddr *peer);

#endif

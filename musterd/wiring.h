/* wiring.h - from what the operator set to what each part of the server is told. Main thread, before others start. */
#ifndef MUSTERD_WIRING_H
#define MUSTERD_WIRING_H

#include "musterd/backups.h"
#include "musterd/server.h"
#include "musterd/settings.h"

struct wiring {
	struct server_conf conf;
	struct zone_conf *zones; /* heap; the rest is borrowed from the settings */
	struct forward_conf forward;
	struct backups backups; /* dir: heap */
	char *warm_path, *changes_path; /* NULL: off */
	char nsid[IDENTITY_MAX + 1];	/* the host's name */
};

/* @settings are borrowed until wiring_done(). E_NOMEM. */
int wiring_make(struct wiring *ret, const struct settings *settings, struct error *err);
/* The parts of it that a reload sets again. */
void wiring_dns(struct dns_server_conf *to, const struct settings *s);
void wiring_forward(struct forward_conf *to, const struct settings *s);
void wiring_zones(struct zone_set_conf *to, const struct settings *s, const struct zone_conf *zones);
void wiring_api(struct api_conf *to, const struct settings *s);
void wiring_registry(struct registry_conf *to, const struct settings *s);
/* What DNS says of the server itself; NULL: nothing. @room: for the host's name. */
const char *wiring_nsid(const struct settings *s, char room[IDENTITY_MAX + 1]);
const char *wiring_version(const struct settings *s);
void wiring_done(struct wiring *w);

#endif

/* server.h - the whole server in one process: what is started in which order, and stopped in the reverse one.
 * Owns the control loop. Control thread. */
#ifndef MUSTERD_SERVER_H
#define MUSTERD_SERVER_H

#include "api/api.h"
#include "dnsd/host_resolver.h"
#include "dnsd/dns_server.h"
#include "health/beats.h"
#include "health/prober.h"
#include "musterd/change_log.h"
#include "registry/desk.h"
#include "zones/zone_set.h"

struct reload;
struct server_conf {
	struct reload *reload; /* reads the settings again on SIGHUP, and knows which peers are allowed */
	const char *data_dir;
	struct desk_conf desk; /* its callbacks are filled in here */
	struct zone_set_conf zones;
	struct dns_server_conf dns;
	struct host_resolver_conf hosts; /* its callback is filled in here */
	const char *tls_cert, *tls_key; /* NULL: none */
	const char *const *cookie_secrets; /* none: generated ones */
	size_t cookie_secret_count;
	struct api_conf api;
	struct beats_conf beats;
	struct prober_conf prober;
	struct change_log_conf changes;
};

/* Runs until SIGTERM or SIGINT, then stops in order. 0, or the error that kept it from serving. */
int server_run(const struct server_conf *conf, struct error *err);

#endif

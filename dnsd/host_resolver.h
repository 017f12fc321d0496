/* host_resolver.h - addresses of host names that instances are registered with, kept fresh as long as somebody wants them:
 * asked of the upstreams by libunbound, again when their time to live (5 s to 5 min) is over. While nobody answers the
 * last ones hold, for a day at most, and are called stale; a name that does not exist has none. All calls and callbacks
 * on the control thread; libunbound resolves on a thread of its own, which begins with the first name. */
#ifndef DNSD_HOST_RESOLVER_H
#define DNSD_HOST_RESOLVER_H

#include "zones/zone_set.h"
#include <sys/socket.h>
#include <uv.h>

struct host_resolver_conf {
	const struct sockaddr_storage *upstreams; /* with ports, copied; none: those of /etc/resolv.conf */
	size_t upstream_count;
	void (*on_found)(void *arg, const char *name, const struct host_found *found);
	void *arg;
};

struct host_resolver;

int host_resolver_open(struct host_resolver **ret, uv_loop_t *loop, const struct host_resolver_conf *conf,
		       struct error *err); /* E_NOMEM */
/* A name, without the last dot, is wanted or no longer. Without memory it is not looked up. */
void host_resolver_want(struct host_resolver *r, const char *name, bool wanted);
/* Nothing is found any more; frees itself by the loop. NULL is fine. */
void host_resolver_close(struct host_resolver *r);

#endif

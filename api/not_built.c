/* not_built.c - what is said of a route that Nacos has and this release not: which one, and what it waits for. */
#include "api/request.h"
#include "config.h"
#include <stdio.h>
#include <string.h>

/* The first row with a part of the path that fits. */
static const char *reason_of(const char *path)
{
	static const struct {
		const char *part, *reason;
	} reasons[] = {
		{ "/push/", "pushes are counted in /metrics, by muster_grpc_pushes_total and muster_udp_pushes_total" },
		{ "/raft", "there is no Raft protocol here, and a standalone server has no peers" },
		{ "/cluster/state", "there is no Raft protocol here, and a standalone server has no peers" },
		{ "/ns/distro/", "there is no Distro protocol here, and a standalone server has no peers" },
		{ "/ns/upgrade/", "there is no upgrade from 1.x going on" },
		{ "/rt/service", "how long probes take is not kept by service" },
		{ "/cmdb/", "there is no CMDB here" },
		{ "/v1/auth", "access control is not there yet" },
		{ "/service/status", "nodes of a Nacos cluster call it, and a standalone server has no peers" },
		{ "/service/checksum", "nodes of a Nacos cluster call it, and a standalone server has no peers" },
		{ "/server/status", "nodes of a Nacos cluster call it, and a standalone server has no peers" },
		{ "/core/cluster", "a standalone server has no members to change" },
		{ "/cs/", "the configuration service is not there yet" },
		{ "/auth/", "access control is not there yet" },
		{ "/ai/", "the AI registry is not part of it" },
		{ "/lock/", "distributed locks are not there yet" },
	};
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strstr(path, reasons[i].part) != NULL)
			return reasons[i].reason;
	return NULL;
}

void route_not_built(struct request *r)
{
	char message[384];
	const char *reason = reason_of(r->route->path);
	snprintf(message, sizeof(message),
		 "not built in this release of Muster: %s /nacos%s is an API of Nacos that " PACKAGE_STRING
		 " does not have%s%s",
		 http_method_str(r->call->method), r->route->path, reason != NULL ? ": " : " yet",
		 reason != NULL ? reason : "");
	reply_framework(r, 501, message, NULL);
}

/* options.h - the command line, as main() has read it. */
#ifndef NACOSBLAST_OPTIONS_H
#define NACOSBLAST_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The command line; main() fills it, all else reads it. */
struct options {
	struct in_addr host;
	const char *host_text, *context, *namespace_id, *token;
	uint16_t http_port, grpc_port;
	double seconds, warmup;
	uint64_t ops; /* 0: bounded by time alone */
	unsigned conns, depth, services, instances, metadata;
	size_t content; /* bytes of a configuration */
	pid_t pid;
	unsigned changes, pause_ms, sources, health_sec;
	bool register_only, light, keep, verbose;
	bool seconds_given, services_given;
};

#endif

/* load.h - what is registered: services, instances, their metadata, configurations. A number stands
 * for the same address over every protocol. */
#ifndef NACOSBLAST_LOAD_H
#define NACOSBLAST_LOAD_H

#include "buf.h"
#include "options.h"

/* What the writers of requests draw from. */
struct load {
	const struct options *opt;
	unsigned workers;      /* connections that do the measured work */
	const uint16_t *ports; /* http-push: the subscribers' UDP ports */
	uint64_t change;       /* push modes: number of the latest change */
};

/* Instance number @host. Addresses are of 127/8, from 127.1.0.0 on. */
void put_ip(struct buf *b, uint64_t host);
uint64_t host_port(uint64_t host);

/* "blast-KIND-NUMBER"; @kind keeps apart the services of modes that would disturb each other. */
void put_service(struct buf *b, char kind, uint64_t service);

/* Metadata: `rev` changes with each pass, so that a repeated registration is a change; the rest is
 * ballast. @encoded: for a form, else JSON as it is. */
void put_metadata(struct buf *b, const struct options *opt, uint64_t rev, bool encoded);

/* The content of a configuration: it begins with the number of the write, and is @size bytes long.
 */
void put_content(struct buf *b, uint64_t write, size_t size);

#endif

/* zone_query.h - asks a zone set one question, without sockets, and takes the answer apart with a decoder of its own;
 * ldns must be able to read every answer too. */
#ifndef TESTS_SUPPORT_ZONE_QUERY_H
#define TESTS_SUPPORT_ZONE_QUERY_H

#include "zones/zone_set.h"

enum { ASK_RECORDS_MAX = 4000 };

struct asked_record {
	int section; /* 1 answer, 2 authority, 3 additional */
	char owner[1100]; /* presentation form, lower case, with the last dot */
	uint16_t type, rr_class, rdlength;
	uint32_t ttl;
	uint8_t rdata[300]; /* cut */
	char target[1100];  /* SRV, NS, PTR, CNAME, SOA mname */
	uint16_t priority, weight, port; /* SRV */
	uint32_t serial, minimum;	 /* SOA */
	char address[50];		 /* A, AAAA */
};

struct asked {
	uint8_t message[66000];
	size_t len;
	struct dns_query query;
	struct dns_answer answer;
	int zone;
	bool readable; /* by both decoders, with nothing left over */
	unsigned count;
	struct asked_record *records; /* until the next ask() */
};

struct asker {
	const struct zone_set *zones;
	struct rng rng;
	uint64_t client;
	int64_t now_ms;
	bool stream, skip_ldns;
	uint16_t qclass;
	size_t limit; /* bytes of the whole message without OPT, 1221 */
	struct asked asked;
	struct asked_record records[ASK_RECORDS_MAX];
};

void asker_init(struct asker *a, const struct zone_set *zones);
/* @name: presentation form, "\\." for a dot inside a label; @type: enum rr_type. */
struct asked *ask(struct asker *a, const char *name, unsigned type);
/* Only the question, in @q; false: no name. */
bool query_make(struct dns_query *q, uint8_t *message, size_t *len, const char *name, unsigned type, unsigned qclass);
/* Does the answer section hold an A/AAAA of @address, or an SRV to @address (a target) at @port? */
bool asked_has(const struct asked *a, int section, unsigned type, const char *address);

#endif

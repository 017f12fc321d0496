/* vanity.h - names of an operator's choice that answer what a service answers, without a CNAME, so also at a zone's apex
 * (dns.md 1.8). They are fixed by the settings; the service is looked for at each query, so one that is not there yet is
 * "no data". */
#ifndef ZONES_VANITY_H
#define ZONES_VANITY_H

#include "base/arena.h"
#include "zones/blob.h"
#include "zones/label.h"
#include "zones/query.h"

enum { VANITIES_MAX = 1024, VANITY_LABEL = LABEL_MAX + 9 /* wire, padded for word reads */ };

struct vanity {
	const char *name;		 /* as it was written */
	const char *ns, *group, *service; /* raw */
	uint16_t key_len;
	uint8_t labels;
	const uint8_t *key; /* the labels below the apex in wire form, the one next to the apex first */
	uint8_t where[3][VANITY_LABEL]; /* namespace, group, service */
	uint8_t cluster[VANITY_LABEL];	/* length 0: all */
	uint8_t port[PORT_NAME_MAX + 1]; /* length first; 0: all */
};

struct vanity_list {
	struct vanity *at; /* sorted by key */
	size_t count;
	bool expand; /* the names below a service stand below its vanity names too */
};

/* "NAME=NAMESPACE/GROUP/SERVICE[/CLUSTER][:PORT]"; a part that has "/" or ":" itself, or a comma, is written as its label
 * (e-1-...). Strings go into @mem. @zone: presentation form. E_INVALID, E_RANGE, E_NOMEM. */
int vanity_parse(struct vanity *ret, struct arena *mem, const char *zone, const char *text, struct error *err);
/* All of a zone. E_EXISTS: a name twice; E_LIMIT. */
int vanities_make(struct vanity_list *ret, struct arena *mem, const char *zone, const struct word_list *words,
		  struct error *err);
/* What else has their names. @full: the registry has svc and ns; @mname: of the zone, presentation form, NULL: ns1. E_EXISTS. */
int vanities_check(const struct vanity_list *list, bool full, const char *zone, const char *mname, struct error *err);
bool vanities_name(const struct vanity_list *list, const struct service_key *key); /* does one mean this service? */

/* Readers. The labels of a question below the apex as such a key; its length. @ret holds DNS_NAME_MAX. */
size_t vanity_key(uint8_t *ret, const struct dns_query *q, unsigned count);
/* The one of exactly that key; NULL: none. *@below: there are some whose names lie below it. */
const struct vanity *vanity_find(const struct vanity_list *list, const uint8_t *key, size_t len, bool *below);

#endif

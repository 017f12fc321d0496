/* static_answer.h - answers of a zone that has a file: its records and the registry's, as one zone (dns.md 2.5 rows 15 to
 * 20, 4.3). Private to zones/; DNS workers, inside RCU sections: no heap, no lock. */
#ifndef ZONES_STATIC_ANSWER_H
#define ZONES_STATIC_ANSWER_H

#include "zones/answer.h"
#include "zones/static_zone.h"

/* @t: what the registry has of the name. */
void reply_merged(struct reply *r, const struct target *t);
/* The file's SOA with the zone's serial, as an answer or behind a negative one (then with its TTL). False: no room. */
bool put_static_soa(struct reply *r, unsigned owner, bool negative);
uint32_t static_soa_expire(const struct static_zone *file); /* which has one */

#endif

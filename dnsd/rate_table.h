/* rate_table.h - how much each network has been answered lately: the load of an address and of the prefixes around it,
 * each halved every 1.7 seconds. One table for all workers: atomics, no lock, no heap once it is made. Its memory is fixed
 * and comes page by page as networks are met; where it is full, the network with the least load is forgotten. Names have no
 * part in it. Any thread; times are the caller's. */
#ifndef DNSD_RATE_TABLE_H
#define DNSD_RATE_TABLE_H

#include "dnsd/client.h"

enum {
	RATE_LEVELS = 5, /* prefixes of an IPv6 address; those of IPv4 are one less */
	RATE_SECRET_LEN = 16,
};
/* From rest, so many seconds of the steady rate are answered at once. */
#define RATE_BURST_SEC 2.5

/* What one answer costs each prefix. */
struct rate_costs {
	uint32_t v4[RATE_LEVELS], v6[RATE_LEVELS];
};
void rate_costs_of(struct rate_costs *ret, uint32_t per_second); /* of one address, at least 1 */

/* Where the prefixes of one client are. */
struct rate_key {
	uint32_t line[RATE_LEVELS];
	uint16_t tag[RATE_LEVELS];
	uint8_t levels; /* 0: of another family, never limited */
	bool v6;
};

struct rate_table;
/* The secret is copied: who does not know it cannot tell which networks share a place. NULL: no memory. */
struct rate_table *rate_table_new(const uint8_t secret[RATE_SECRET_LEN]);
void rate_table_free(struct rate_table *t); /* NULL is fine */
/* The memory of the prefixes is asked for, too. */
void rate_table_find(const struct rate_table *t, struct rate_key *ret, const struct client *from);
/* One answer to @key now. false: a prefix has had its share; then nothing is counted, so that it costs its neighbours
 * no more than its share. A clock that was set back forgives everybody. */
bool rate_table_take(struct rate_table *t, const struct rate_key *key, const struct rate_costs *costs, int64_t now_ms);

#endif

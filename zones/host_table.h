/* host_table.h - addresses visible in a zone, each with a count of the services that have it. One writer (the
 * control thread), many readers inside RCU sections. The address is its own name (dns.md 7.4), so a million
 * hosts need no name nodes. */
#ifndef ZONES_HOST_TABLE_H
#define ZONES_HOST_TABLE_H

#include "base/rcu.h"
#include <stdint.h>

struct host_slots4;
struct host_slots6;
struct host_table {
	_Atomic(struct host_slots4 *) v4;
	_Atomic(struct host_slots6 *) v6;
	struct rcu_reaper *reaper;
	uint32_t live[2], used[2]; /* v4, v6; used: slots not empty */
	size_t bytes;
	uint64_t seed;
};

int host_table_init(struct host_table *t, struct rcu_reaper *reaper);
void host_table_done(struct host_table *t);
/* Room for so many more, so that host_table_add cannot fail. E_NOMEM. */
int host_table_reserve(struct host_table *t, uint32_t v4, uint32_t v6);
void host_table_add(struct host_table *t, int family, const uint8_t *addr);
void host_table_drop(struct host_table *t, int family, const uint8_t *addr);
bool host_table_has(const struct host_table *t, int family, const uint8_t *addr); /* readers */

#endif

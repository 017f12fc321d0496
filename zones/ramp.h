/* ramp.h - slow start: an instance that has just begun to be answered does so with a part of its weight, which grows in
 * steps to the whole (dns.slow_start). Only instances on their way have a ramp. Control thread. */
#ifndef ZONES_RAMP_H
#define ZONES_RAMP_H

#include "registry/view.h"

enum { RAMP_STEPS = 10 };

struct ramp {
	uint64_t key; /* of the instance: address, port and cluster */
	int64_t since_ms;
	bool met; /* by the compilation under way */
};

struct ramps { /* of one service, by key */
	struct ramp *at;
	uint32_t count;
	int64_t length_ms;
};

/* Begins those of instances that are well in @fresh and were not in @old. E_NOMEM: none was begun. */
int ramps_begin(struct ramps *r, const struct service_view *old, const struct service_view *fresh, int64_t now_ms);
void ramps_copy(struct ramps *to, const struct ramps *from); /* without memory: none */
/* Those nobody met go, and those at their end; forgets whom it met. Returns when the next one makes a step,
 * INT64_MAX: none is left. */
int64_t ramps_settle(struct ramps *r, int64_t now_ms);
/* The part of its weight, 0.1 to 1. */
double ramp_share(const struct ramps *r, const struct instance *i, int64_t now_ms);
bool ramp_under_way(const struct ramps *r, const struct instance *i);
void ramps_done(struct ramps *r);

#endif

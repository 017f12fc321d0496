/* switches.h - the operator's switches (nacos-naming 7.8): one immutable set, published under RCU. Those
 * with an effect here are fields; the rest are kept and echoed or refused with the reason. */
#ifndef REGISTRY_SWITCHES_H
#define REGISTRY_SWITCHES_H

#include "base/error.h"
#include "base/rcu.h"
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

struct registry;

struct check_params {
	int max_ms, min_ms;
	double factor;
};

struct switches {
	struct rcu_head reap;
	bool health_check;	   /* entry check */
	bool push;		   /* entry pushEnabled (and push) */
	bool light_beat, default_ephemeral;
	int check_times;	   /* 3 */
	int64_t client_beat_ms;	   /* 5000 */
	int64_t push_cache_ms;	   /* 10000 */
	int64_t cache_ms;	   /* 3000: for who asks for UDP push and does not get it */
	struct check_params http, tcp, mysql;
	char status[16];	   /* overriddenServerStatus, "" none */
};

const struct switches *registry_switches(struct registry *r); /* any reader, inside a section */
void switches_json(const struct switches *s, struct text *to); /* the SwitchDomain object */
/* The value of one entry, as JSON; null when it is unknown. */
void switches_put_entry(const struct switches *s, const char *entry, struct text *to);
/* Checks and applies one entry to @s. E_RANGE, E_INVALID, E_UNSUPPORTED with the reason. */
int switches_set(struct switches *s, const char *entry, const char *value, struct error *err);

#endif

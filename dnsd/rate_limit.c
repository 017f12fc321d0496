/* rate_limit.c - see rate_limit.h. */
#include "dnsd/rate_limit.h"
#include "base/mem.h"
#include <string.h>

struct rate_policy *rate_policy_new(const struct rate_conf *conf)
{
	struct rate_policy *p = mem_zalloc(1, sizeof(*p) + conf->allow.count * sizeof(p->allow[0]));
	if (p == NULL)
		return NULL;
	p->per_second = conf->per_second;
	p->slip = conf->slip;
	p->errors = conf->errors;
	p->near = conf->near;
	rate_costs_of(&p->costs, conf->per_second);
	p->allow_count = conf->allow.count;
	if (p->allow_count > 0)
		memcpy(p->allow, conf->allow.at, p->allow_count * sizeof(p->allow[0]));
	return p;
}

void rate_policy_free(struct rate_policy *p)
{
	mem_free(p);
}

bool rate_policy_allows(const struct rate_policy *p, const struct client *from)
{
	sa_family_t family = from->addr_len == 4 ? AF_INET : AF_INET6;
	for (size_t i = 0; i < p->allow_count; i++)
		if (cidr_match_address(&p->allow[i], family, from->addr))
			return true;
	return false;
}

bool rate_state_slips(struct rate_state *s, const struct rate_policy *p)
{
	return p->slip > 0 && s->limited++ % p->slip == 0;
}

bool rate_state_error(struct rate_state *s, const struct rate_policy *p, int64_t now_ms)
{
	if (p == NULL || p->errors == 0)
		return true;
	if (now_ms / 1000 != s->second) {
		s->second = now_ms / 1000;
		s->errors = 0;
	}
	if (s->errors >= p->errors)
		return false;
	s->errors++;
	return true;
}

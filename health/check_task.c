/* check_task.c - the rules of nacos-naming 7.3. */
#include "health/check_task.h"

enum {
	FIRST_MIN_MS = 2000,
	FIRST_SOON_MS = 500,
	JITTER_PART = 20, /* up to 5 % */
};

static int32_t clamp(double ms, const struct check_params *p)
{
	if (ms > p->max_ms)
		ms = p->max_ms;
	if (ms < p->min_ms)
		ms = p->min_ms;
	return (int32_t)ms;
}

int32_t check_first_delay(struct check_state *s, const struct check_params *params, bool many, struct rng *rng)
{
	if (many) {
		s->delay_ms = FIRST_MIN_MS + (int32_t)rng_below(rng, (uint32_t)params->max_ms + 1);
		return s->delay_ms;
	}
	s->delay_ms = clamp(FIRST_MIN_MS, params);
	return (int32_t)rng_below(rng, FIRST_SOON_MS + 1);
}

void check_adapt(struct check_state *s, const struct check_params *params, const struct probe_result *result)
{
	double rt;
	switch (result->outcome) {
	case PROBE_OK:
		rt = result->rt_ms;
		break;
	case PROBE_FAIL:
		rt = 2.0 * s->delay_ms;
		break;
	case PROBE_FAIL_NOW:
		rt = params->max_ms;
		break;
	default:
		return;
	}
	s->delay_ms = clamp(params->factor * s->delay_ms + (1 - params->factor) * rt, params);
}

void check_overrun(struct check_state *s, const struct check_params *params)
{
	s->delay_ms = clamp(2.0 * s->delay_ms, params);
}

int32_t check_next_delay(const struct check_state *s, struct rng *rng)
{
	return s->delay_ms + (int32_t)rng_below(rng, (uint32_t)s->delay_ms / JITTER_PART + 1);
}

enum check_flip check_result(struct check_state *s, enum probe_outcome outcome, unsigned check_times)
{
	if (outcome == PROBE_VOID)
		return FLIP_NONE;
	bool good = outcome == PROBE_OK;
	if (good == s->healthy) {
		s->rise = s->fall = 0;
		return FLIP_NONE;
	}
	uint16_t *in_a_row = good ? &s->rise : &s->fall;
	if (*in_a_row < UINT16_MAX)
		++*in_a_row;
	if (outcome != PROBE_FAIL_NOW && *in_a_row < check_times)
		return FLIP_NONE;
	s->rise = s->fall = 0;
	s->healthy = good;
	return good ? FLIP_UP : FLIP_DOWN;
}

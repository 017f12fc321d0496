/* params.h - the parameters of one request, decoded once into a table by name: query first, then body, the
 * first value wins (nacos-naming 2.1). Values live in the call's arena. Names nobody knows are skipped. */
#ifndef API_PARAMS_H
#define API_PARAMS_H

#include "base/arena.h"
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum param {
	P_SERVICE_NAME,
	P_GROUP_NAME,
	P_NAMESPACE_ID,
	P_IP,
	P_PORT,
	P_CLUSTER_NAME,
	P_CLUSTER,
	P_CLUSTERS,
	P_WEIGHT,
	P_ENABLED,
	P_ENABLE,
	P_HEALTHY,
	P_VALID,
	P_EPHEMERAL,
	P_METADATA,
	P_APP,
	P_BEAT,
	P_HEALTHY_ONLY,
	P_PROTECT_THRESHOLD,
	P_SELECTOR,
	P_PAGE_NO,
	P_PAGE_SIZE,
	P_CHECK_PORT,
	P_USE_INSTANCE_PORT,
	P_HEALTH_CHECKER,
	P_ENTRY,
	P_VALUE,
	P_ONLY_STATUS,
	P_CUSTOM_NAMESPACE_ID,
	P_NAMESPACE_NAME,
	P_NAMESPACE_DESC,
	P_NAMESPACE,
	P_NAMESPACE_SHOW_NAME,
	P_SHOW,
	P_CHECK_NAMESPACE,
	P_HEART_BEAT,
	P_LEVEL,
	P_LOG_NAME,
	P_LOG_LEVEL,
	P_KEY,
	P_CONSISTENCY_TYPE,
	P_INSTANCES,
	P_EXPR,
	P_WITH_INSTANCES,
	P_SERVICE_NAME_PARAM,
	P_GROUP_NAME_PARAM,
	P_HAS_IP_COUNT,
	P_ENABLED_ONLY,
	P_CLIENT_ID,
	P_DOM,
	P_DEBUG,
	P_KEYWORD,
	P_ADDRESS,
	P_STATE,
	P_IGNORE_EMPTY,
	P_USERNAME,
	P_COUNT,
	P_CONNECTION_ID,
	P_REDIRECT_ADDRESS,
	P_CLIENT_IP,
	P_UDP_PORT,
	PARAMS,
	P_UNKNOWN = PARAMS
};

struct param_value {
	char *at; /* NUL behind; NULL: absent or blank */
	uint32_t len;
};

struct params {
	struct arena *mem;
	bool trim;
	struct param_value values[PARAMS];
	uint64_t seen; /* a bit per param that stood there, blank or not */
};

void params_init(struct params *p, struct arena *mem, bool trim);
/* Adds the pairs of a query or a form body; @text is borrowed for the call. A known parameter that is not
 * UTF-8 or holds control bytes: E_INVALID with FAIL_PARAM. E_NOMEM. */
int params_add(struct params *p, const char *text, size_t len, struct error *err);

const char *param_name(enum param id);
enum param param_find(const char *name, size_t len);

/* The value, or NULL when absent or blank. */
static inline const char *param_text(const struct params *p, enum param id)
{
	return p->values[id].at;
}
/* The value or @otherwise. */
static inline const char *param_or(const struct params *p, enum param id, const char *otherwise)
{
	return p->values[id].at != NULL ? p->values[id].at : otherwise;
}
/* A number is there. nacos-maintainer-client sends the text "null" where its caller has given none. */
bool param_number_given(const struct params *p, enum param id);
/* E_MISSING `Param 'x' is required.` */
int param_require(const struct params *p, enum param id, const char **ret, struct error *err);
/* true, yes, on, y, t in any case are true, anything else is false; absent: @otherwise. */
bool param_bool(const struct params *p, enum param id, bool otherwise);
/* Only "true", in any case. */
bool param_flag(const struct params *p, enum param id, bool otherwise);
/* Whole numbers from @least to @most. E_INVALID, E_RANGE: field, value and limits in the text; absent:
 * @otherwise. */
int param_int(const struct params *p, enum param id, int64_t least, int64_t most, int64_t otherwise,
	      int64_t *ret, struct error *err);
/* 0..65535, a failure is layer A's (FAIL_PARAM); absent: E_MISSING. */
int param_port(const struct params *p, enum param id, uint16_t *ret, struct error *err);
/* Any double (NaN too: the limits are the registry's). E_INVALID; absent: @otherwise. */
int param_double(const struct params *p, enum param id, double otherwise, double *ret, struct error *err);

enum { SHOWN_MAX = 80 };
/* @s made fit for an error text: shortened, control and non-ASCII bytes as \xNN. Returns @to. */
const char *shown(char to[SHOWN_MAX], const char *s, size_t len);
bool utf8_valid(const char *s, size_t len);

#endif

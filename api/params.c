/* params.c - parameter tables; see params.h. One pass over the text, one arena block for all values. */
#include "api/params.h"

#include "net/form.h"
#include "registry/failure.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const names[PARAMS] = {
	[P_SERVICE_NAME] = "serviceName",
	[P_GROUP_NAME] = "groupName",
	[P_NAMESPACE_ID] = "namespaceId",
	[P_IP] = "ip",
	[P_PORT] = "port",
	[P_CLUSTER_NAME] = "clusterName",
	[P_CLUSTER] = "cluster",
	[P_CLUSTERS] = "clusters",
	[P_WEIGHT] = "weight",
	[P_ENABLED] = "enabled",
	[P_ENABLE] = "enable",
	[P_HEALTHY] = "healthy",
	[P_VALID] = "valid",
	[P_EPHEMERAL] = "ephemeral",
	[P_METADATA] = "metadata",
	[P_APP] = "app",
	[P_BEAT] = "beat",
	[P_HEALTHY_ONLY] = "healthyOnly",
	[P_PROTECT_THRESHOLD] = "protectThreshold",
	[P_SELECTOR] = "selector",
	[P_PAGE_NO] = "pageNo",
	[P_PAGE_SIZE] = "pageSize",
	[P_CHECK_PORT] = "checkPort",
	[P_USE_INSTANCE_PORT] = "useInstancePort4Check",
	[P_HEALTH_CHECKER] = "healthChecker",
	[P_ENTRY] = "entry",
	[P_VALUE] = "value",
	[P_ONLY_STATUS] = "onlyStatus",
	[P_CUSTOM_NAMESPACE_ID] = "customNamespaceId",
	[P_NAMESPACE_NAME] = "namespaceName",
	[P_NAMESPACE_DESC] = "namespaceDesc",
	[P_NAMESPACE] = "namespace",
	[P_NAMESPACE_SHOW_NAME] = "namespaceShowName",
	[P_SHOW] = "show",
	[P_CHECK_NAMESPACE] = "checkNamespaceIdExist",
	[P_HEART_BEAT] = "heartBeat",
	[P_LEVEL] = "level",
	[P_LOG_NAME] = "logName",
	[P_LOG_LEVEL] = "logLevel",
	[P_KEY] = "key",
	[P_CONSISTENCY_TYPE] = "consistencyType",
	[P_INSTANCES] = "instances",
	[P_EXPR] = "expr",
	[P_WITH_INSTANCES] = "withInstances",
	[P_SERVICE_NAME_PARAM] = "serviceNameParam",
	[P_GROUP_NAME_PARAM] = "groupNameParam",
	[P_HAS_IP_COUNT] = "hasIpCount",
	[P_ENABLED_ONLY] = "enabledOnly",
	[P_CLIENT_ID] = "clientId",
	[P_DOM] = "dom",
	[P_DEBUG] = "debug",
	[P_KEYWORD] = "keyword",
	[P_ADDRESS] = "address",
	[P_STATE] = "state",
	[P_IGNORE_EMPTY] = "ignoreEmptyService",
	[P_USERNAME] = "username",
	[P_COUNT] = "count",
	[P_CONNECTION_ID] = "connectionId",
	[P_REDIRECT_ADDRESS] = "redirectAddress",
	[P_CLIENT_IP] = "clientIP",
	[P_UDP_PORT] = "udpPort",
};

/* Texts with lines and tabs of their own: JSON with blanks between, or prose. */
static bool may_hold_blanks(enum param id)
{
	return id == P_METADATA || id == P_BEAT || id == P_SELECTOR || id == P_HEALTH_CHECKER ||
	       id == P_NAMESPACE_DESC || id == P_VALUE || id == P_INSTANCES;
}

const char *param_name(enum param id)
{
	return names[id];
}

/* The names of each length: at most eight are compared. test_params holds it against the names. */
enum { SAME_LENGTH_MAX = 8, NAME_LEN_MAX = 21 };
static const struct {
	uint8_t count, ids[SAME_LENGTH_MAX];
} of_length[NAME_LEN_MAX + 1] = {
	[2] = { 1, { P_IP } },
	[3] = { 3, { P_APP, P_KEY, P_DOM } },
	[4] = { 4, { P_PORT, P_BEAT, P_SHOW, P_EXPR } },
	[5] = { 7, { P_VALID, P_ENTRY, P_VALUE, P_LEVEL, P_DEBUG, P_STATE, P_COUNT } },
	[6] = { 3, { P_WEIGHT, P_ENABLE, P_PAGE_NO } },
	[7] = { 7, { P_HEALTHY, P_ENABLED, P_CLUSTER, P_LOG_NAME, P_KEYWORD, P_ADDRESS, P_UDP_PORT } },
	[8] = { 8, { P_METADATA, P_CLIENT_IP, P_CLUSTERS, P_SELECTOR, P_PAGE_SIZE, P_CLIENT_ID, P_LOG_LEVEL, P_USERNAME } },
	[9] = { 6, { P_GROUP_NAME, P_EPHEMERAL, P_CHECK_PORT, P_NAMESPACE, P_HEART_BEAT, P_INSTANCES } },
	[10] = { 2, { P_ONLY_STATUS, P_HAS_IP_COUNT } },
	[11] = { 5, { P_SERVICE_NAME, P_NAMESPACE_ID, P_CLUSTER_NAME, P_HEALTHY_ONLY, P_ENABLED_ONLY } },
	[12] = { 1, { P_CONNECTION_ID } },
	[13] = { 4, { P_HEALTH_CHECKER, P_NAMESPACE_NAME, P_NAMESPACE_DESC, P_WITH_INSTANCES } },
	[14] = { 1, { P_GROUP_NAME_PARAM } },
	[15] = { 2, { P_CONSISTENCY_TYPE, P_REDIRECT_ADDRESS } },
	[16] = { 2, { P_PROTECT_THRESHOLD, P_SERVICE_NAME_PARAM } },
	[17] = { 2, { P_CUSTOM_NAMESPACE_ID, P_NAMESPACE_SHOW_NAME } },
	[18] = { 1, { P_IGNORE_EMPTY } },
	[21] = { 2, { P_USE_INSTANCE_PORT, P_CHECK_NAMESPACE } },
};

enum param param_find(const char *name, size_t len)
{
	if (len > NAME_LEN_MAX)
		return P_UNKNOWN;
	for (unsigned i = 0; i < of_length[len].count; i++) {
		enum param id = of_length[len].ids[i];
		if (memcmp(name, names[id], len) == 0)
			return id;
	}
	return P_UNKNOWN;
}

const char *shown(char to[SHOWN_MAX], const char *s, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (at + 8 > SHOWN_MAX) {
			memcpy(to + at, "...", 4);
			return to;
		}
		if (c >= ' ' && c < 127) {
			to[at++] = (char)c;
			continue;
		}
		to[at++] = '\\';
		to[at++] = 'x';
		to[at++] = hex[c >> 4];
		to[at++] = hex[c & 15];
	}
	to[at] = '\0';
	return to;
}

/* The length of the sequence at @s (its first byte is not ASCII), 0: malformed (RFC 3629). */
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
	unsigned char c = s[0];
	size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (c < 0xc2 || c > 0xf4 || left < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) || (c == 0xf0 && s[1] < 0x90) ||
	    (c == 0xf4 && s[1] > 0x8f))
		return 0; /* overlong, surrogate, beyond U+10FFFF */
	return n;
}

bool utf8_valid(const char *s, size_t len)
{
	const unsigned char *u = (const unsigned char *)s;
	for (size_t i = 0; i < len;) {
		if (u[i] < 0x80) {
			i++;
			continue;
		}
		size_t n = utf8_sequence(u + i, len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

/* Bits: 1 a byte above ASCII, 2 a control byte that is never text, 4 a tab or line end. */
static unsigned char_kinds(const char *s, size_t len)
{
	unsigned kinds = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c >= 0x80)
			kinds |= 1;
		else if (c < ' ' || c == 127)
			kinds |= c == '\t' || c == '\n' || c == '\r' ? 4 : 2;
	}
	return kinds;
}

static int check_text(enum param id, const char *s, size_t len, struct error *err)
{
	unsigned kinds = char_kinds(s, len);
	if (kinds == 0)
		return E_OK;
	char part[SHOWN_MAX];
	if ((kinds & 1) && !utf8_valid(s, len))
		return error_set_what(err, E_INVALID, FAIL_PARAM, "Param '%s' is illegal, '%s' is not valid UTF-8",
				      names[id], shown(part, s, len));
	if ((kinds & 2) || ((kinds & 4) && !may_hold_blanks(id)))
		return error_set_what(err, E_INVALID, FAIL_PARAM,
				      "Param '%s' is illegal, '%s' holds control characters", names[id],
				      shown(part, s, len));
	return E_OK;
}

void params_init(struct params *p, struct arena *mem, bool trim)
{
	memset(p, 0, sizeof(*p));
	p->mem = mem;
	p->trim = trim;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool all_blank(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_blank(s[i]))
			return false;
	return true;
}

static int params_store(struct params *p, enum param id, char *value, size_t len, struct error *err)
{
	p->seen |= 1ULL << id;
	if (p->trim) {
		while (len > 0 && is_blank(value[len - 1]))
			len--;
		while (len > 0 && is_blank(*value)) {
			value++;
			len--;
		}
	}
	if (len == 0 || (is_blank(value[0]) && all_blank(value, len)))
		return E_OK;
	value[len] = '\0';
	p->values[id] = (struct param_value){ value, (uint32_t)len };
	return check_text(id, value, len, err);
}

int params_add(struct params *p, const char *text, size_t len, struct error *err)
{
	_Static_assert(PARAMS <= 64, "one bit each in seen");
	if (len == 0)
		return E_OK;
	char *to = arena_alloc(p->mem, len + 1); /* values are shorter than their pairs */
	if (to == NULL)
		return error_set(err, E_NOMEM, "no memory for the parameters");
	const char *at = text, *end = text + len;
	while (at < end) {
		const char *pair_end = memchr(at, '&', (size_t)(end - at));
		if (pair_end == NULL)
			pair_end = end;
		const char *equals = memchr(at, '=', (size_t)(pair_end - at));
		size_t key_len = (size_t)((equals != NULL ? equals : pair_end) - at);
		enum param id = P_UNKNOWN;
		if (memchr(at, '%', key_len) == NULL) {
			id = param_find(at, key_len);
		} else if (key_len < 64) {
			char key[65];
			size_t n = url_decode(key, at, key_len, 1);
			id = param_find(key, n);
		}
		if (id != P_UNKNOWN && !(p->seen & 1ULL << id) && equals != NULL) {
			size_t n = url_decode(to, equals + 1, (size_t)(pair_end - equals - 1), 1);
			char *value = to;
			to += n + 1;
			int rc = params_store(p, id, value, n, err);
			if (rc < 0)
				return rc;
		}
		at = pair_end + 1;
	}
	return E_OK;
}

bool param_number_given(const struct params *p, enum param id)
{
	const char *s = param_text(p, id);
	return s != NULL && strcmp(s, "null") != 0;
}

int param_require(const struct params *p, enum param id, const char **ret, struct error *err)
{
	const char *s = param_text(p, id);
	if (s == NULL)
		return error_set(err, E_MISSING, "Param '%s' is required.", names[id]);
	*ret = s;
	return E_OK;
}

bool param_bool(const struct params *p, enum param id, bool otherwise)
{
	const char *s = param_text(p, id);
	if (s == NULL)
		return otherwise;
	return strcasecmp(s, "true") == 0 || strcasecmp(s, "yes") == 0 || strcasecmp(s, "on") == 0 ||
	       strcasecmp(s, "y") == 0 || strcasecmp(s, "t") == 0;
}

bool param_flag(const struct params *p, enum param id, bool otherwise)
{
	const char *s = param_text(p, id);
	return s == NULL ? otherwise : strcasecmp(s, "true") == 0;
}

/* Digits with an optional sign, nothing else. false: not a number; overflow saturates. */
static bool parse_int(const char *s, int64_t *ret)
{
	bool minus = *s == '-';
	if (*s == '-' || *s == '+')
		s++;
	if (*s == '\0')
		return false;
	int64_t v = 0;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v > INT64_MAX / 10 - 10 ? INT64_MAX / 10 - 9 : v * 10 + (*s - '0');
	}
	*ret = minus ? -v : v;
	return true;
}

int param_int(const struct params *p, enum param id, int64_t least, int64_t most, int64_t otherwise,
	      int64_t *ret, struct error *err)
{
	const struct param_value *v = &p->values[id];
	int64_t n;
	char part[SHOWN_MAX];
	if (v->at == NULL) {
		*ret = otherwise;
		return E_OK;
	}
	if (!parse_int(v->at, &n))
		return error_set(err, E_INVALID, "Param '%s' is illegal, '%s' is not a whole number", names[id],
				 shown(part, v->at, v->len));
	if (n < least || n > most)
		return error_set(err, E_RANGE, "Param '%s' is illegal, %s is outside %lld..%lld", names[id],
				 shown(part, v->at, v->len), (long long)least, (long long)most);
	*ret = n;
	return E_OK;
}

int param_port(const struct params *p, enum param id, uint16_t *ret, struct error *err)
{
	const char *s;
	int64_t n;
	int rc = param_require(p, id, &s, err);
	if (rc < 0)
		return rc;
	rc = param_int(p, id, 0, 65535, 0, &n, err);
	if (rc < 0) {
		err->what = FAIL_PARAM;
		return rc;
	}
	*ret = (uint16_t)n;
	return E_OK;
}

/* "1.0" and its like without the library; false: not that simple. */
static bool parse_simple_double(const char *s, double *ret)
{
	static const double tenths[] = { 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };
	uint64_t v = 0;
	unsigned digits = 0, after = 0;
	bool dot = false;
	for (; *s != '\0'; s++) {
		if (*s == '.' && !dot) {
			dot = true;
			continue;
		}
		if (*s < '0' || *s > '9' || ++digits > 9)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
		after += dot;
	}
	if (digits == 0)
		return false;
	*ret = (double)v / tenths[after]; /* both exact: correctly rounded */
	return true;
}

int param_double(const struct params *p, enum param id, double otherwise, double *ret, struct error *err)
{
	const struct param_value *v = &p->values[id];
	if (v->at == NULL) {
		*ret = otherwise;
		return E_OK;
	}
	if (parse_simple_double(v->at, ret))
		return E_OK;
	char *end, part[SHOWN_MAX];
	double d = strtod(v->at, &end);
	if (end == v->at || *end != '\0')
		return error_set(err, E_INVALID, "Param '%s' is illegal, '%s' is not a number", names[id],
				 shown(part, v->at, v->len));
	*ret = d;
	return E_OK;
}

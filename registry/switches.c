/* switches.c - the operator's switches: names, bounds and their JSON. A set is built aside and published
 * by its owner; nothing here keeps state. Entries without an effect on this server are refused with the
 * reason, so that no operator believes in a switch that does nothing. */
#include "registry/switches.h"
#include "base/json_cursor.h"
#include "registry/core.h"
#include "registry/failure.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void switches_default(struct switches *s)
{
	*s = (struct switches){ .health_check = true,
				.push = true,
				.light_beat = true,
				.default_ephemeral = true,
				.check_times = 3,
				.client_beat_ms = 5000,
				.push_cache_ms = 10000,
				.cache_ms = 3000,
				.http = { 5000, 500, 0.85 },
				.tcp = { 5000, 1000, 0.75 },
				.mysql = { 3000, 2000, 0.65 } };
}

enum entry_kind { ENTRY_BOOL, ENTRY_INT, ENTRY_MS, ENTRY_CHECK, ENTRY_STATUS, ENTRY_REFUSED };

static const struct entry {
	const char *name;
	enum entry_kind kind;
	size_t offset;	     /* of the field */
	int64_t least, most; /* INT, MS */
	const char *reason;  /* REFUSED */
} entries[] = {
	{ "check", ENTRY_BOOL, offsetof(struct switches, health_check), 0, 0, NULL },
	{ "healthCheckEnabled", ENTRY_BOOL, offsetof(struct switches, health_check), 0, 0, NULL },
	{ "pushEnabled", ENTRY_BOOL, offsetof(struct switches, push), 0, 0, NULL },
	{ "push", ENTRY_BOOL, offsetof(struct switches, push), 0, 0, NULL },
	{ "lightBeatEnabled", ENTRY_BOOL, offsetof(struct switches, light_beat), 0, 0, NULL },
	{ "defaultInstanceEphemeral", ENTRY_BOOL, offsetof(struct switches, default_ephemeral), 0, 0, NULL },
	{ "healthCheckTimes", ENTRY_INT, offsetof(struct switches, check_times), 1, 100, NULL },
	{ "checkTimes", ENTRY_INT, offsetof(struct switches, check_times), 1, 100, NULL },
	{ "clientBeatInterval", ENTRY_MS, offsetof(struct switches, client_beat_ms), 100, 3600000, NULL },
	{ "pushCacheMillis", ENTRY_MS, offsetof(struct switches, push_cache_ms), 10000, 86400000, NULL },
	{ "defaultPushCacheMillis", ENTRY_MS, offsetof(struct switches, push_cache_ms), 10000, 86400000, NULL },
	{ "httpHealthParams", ENTRY_CHECK, offsetof(struct switches, http), 0, 0, NULL },
	{ "tcpHealthParams", ENTRY_CHECK, offsetof(struct switches, tcp), 0, 0, NULL },
	{ "mysqlHealthParams", ENTRY_CHECK, offsetof(struct switches, mysql), 0, 0, NULL },
	{ "overriddenServerStatus", ENTRY_STATUS, 0, 0, 0, NULL },
	{ "defaultCacheMillis", ENTRY_MS, offsetof(struct switches, cache_ms), 1000, 86400000, NULL },
	{ "pushVersion", ENTRY_REFUSED, 0, 0, 0, "the least versions of clients that are pushed to are fixed" },
	{ "autoChangeHealthCheckEnabled", ENTRY_REFUSED, 0, 0, 0, "health checks are never changed by themselves" },
	{ "enableStandalone", ENTRY_REFUSED, 0, 0, 0, "the mode follows the store setting" },
	{ "disableAddIP", ENTRY_REFUSED, 0, 0, 0, "registrations cannot be switched off" },
	{ "sendBeatOnly", ENTRY_REFUSED, 0, 0, 0, "there is no such protocol here" },
	{ "distro", ENTRY_REFUSED, 0, 0, 0, "there is no distro protocol here" },
	{ "distroThreshold", ENTRY_REFUSED, 0, 0, 0, "there is no distro protocol here" },
	{ "distroServerExpiredMillis", ENTRY_REFUSED, 0, 0, 0, "there is no distro protocol here" },
	{ "serviceStatusSynchronizationPeriodMillis", ENTRY_REFUSED, 0, 0, 0, "there is no such protocol here" },
	{ "serverStatusSynchronizationPeriodMillis", ENTRY_REFUSED, 0, 0, 0, "there is no such protocol here" },
	{ "limitedUrlMap", ENTRY_REFUSED, 0, 0, 0, "requests are limited by the settings limits.*" },
	{ "masters", ENTRY_REFUSED, 0, 0, 0, "there are no masters here" },
	{ "healthCheckWhiteList", ENTRY_REFUSED, 0, 0, 0, "use the checker NONE of a cluster instead" },
};

static int bad_value(const struct entry *e, const char *value, const char *rule, struct error *err)
{
	return error_set_what(err, E_INVALID, FAIL_SWITCH, "switch %s: value '%.60s' is not %s", e->name, value,
			      rule);
}

static int set_bool(struct switches *s, const struct entry *e, const char *value, struct error *err)
{
	bool v = strcasecmp(value, "true") == 0;

	if (!v && strcasecmp(value, "false") != 0)
		return bad_value(e, value, "true or false", err);
	memcpy((char *)s + e->offset, &v, sizeof(v));
	return E_OK;
}

static int set_number(struct switches *s, const struct entry *e, const char *value, struct error *err)
{
	char *end;
	int64_t v;

	errno = 0;
	v = strtoll(value, &end, 10);
	if (*value == '\0' || *end != '\0' || errno != 0)
		return bad_value(e, value, "a whole number", err);
	if (v < e->least || v > e->most)
		return error_set_what(err, E_RANGE, FAIL_SWITCH,
				      "switch %s: value %lld is outside %lld..%lld", e->name, (long long)v,
				      (long long)e->least, (long long)e->most);
	if (e->kind == ENTRY_INT) {
		int small = (int)v;

		memcpy((char *)s + e->offset, &small, sizeof(small));
	} else {
		memcpy((char *)s + e->offset, &v, sizeof(v));
	}
	return E_OK;
}

static int check_bounds(const struct entry *e, const struct check_params *p, struct error *err)
{
	if (p->min_ms < 500 || p->max_ms < 3000 || p->max_ms < p->min_ms || p->max_ms > 3600000)
		return error_set_what(err, E_RANGE, FAIL_SWITCH,
				      "switch %s: min %d must be at least 500, max %d at least 3000, at least "
				      "min and at most 3600000",
				      e->name, p->min_ms, p->max_ms);
	if (!(p->factor >= 0 && p->factor <= 1))
		return error_set_what(err, E_RANGE, FAIL_SWITCH, "switch %s: factor %.15g is outside 0..1", e->name,
				      p->factor);
	return E_OK;
}

static int clamp_int(int64_t v)
{
	return v < 0 ? 0 : v > 1000000000 ? 1000000000 : (int)v;
}

static int set_check(struct switches *s, const struct entry *e, const char *value, struct error *err)
{
	struct cursor c = cursor_of(value, strlen(value));
	struct check_params p;
	struct json_value all, v;
	struct arena mem;
	char first[512];
	int rc;

	memcpy(&p, (char *)s + e->offset, sizeof(p));
	arena_init(&mem, first, sizeof(first), 4096);
	if (!json_begin(&c, &mem, &all) || all.type != JSON_OBJECT) {
		arena_done(&mem);
		return bad_value(e, value, "an object of max, min and factor", err);
	}
	while (json_next(&all.inner, &mem, &v), v.type != JSON_END) {
		if (v.type != JSON_NUMBER)
			continue;
		if (strcmp(v.key, "max") == 0)
			p.max_ms = clamp_int(v.integer);
		else if (strcmp(v.key, "min") == 0)
			p.min_ms = clamp_int(v.integer);
		else if (strcmp(v.key, "factor") == 0)
			p.factor = v.number;
	}
	rc = all.inner.failed ? bad_value(e, value, "JSON", err) : check_bounds(e, &p, err);
	arena_done(&mem);
	if (rc == E_OK)
		memcpy((char *)s + e->offset, &p, sizeof(p));
	return rc;
}

static int set_status(struct switches *s, const struct entry *e, const char *value, struct error *err)
{
	static const char *const allowed[] = { "UP", "DOWN", "STARTING", "PAUSED", "WRITE_ONLY", "READ_ONLY" };

	if (*value == '\0' || strcasecmp(value, "null") == 0) {
		s->status[0] = '\0';
		return E_OK;
	}
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (strcmp(value, allowed[i]) == 0) {
			strcpy(s->status, value);
			return E_OK;
		}
	return bad_value(e, value, "UP, DOWN, STARTING, PAUSED, WRITE_ONLY, READ_ONLY or null", err);
}

static const struct entry *entry_find(const char *name)
{
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		if (strcmp(entries[i].name, name) == 0)
			return &entries[i];
	return NULL;
}

const char *switches_canonical(const char *name)
{
	const struct entry *e = entry_find(name);

	if (e == NULL || e->kind == ENTRY_REFUSED || e->kind == ENTRY_STATUS)
		return e == NULL ? NULL : e->name;
	for (size_t i = 0;; i++)
		if (entries[i].kind == e->kind && entries[i].offset == e->offset)
			return entries[i].name;
}

int switches_set(struct switches *s, const char *name, const char *value, struct error *err)
{
	const struct entry *e = name == NULL ? NULL : entry_find(name);

	if (name == NULL || *name == '\0')
		return error_set_what(err, E_MISSING, FAIL_SWITCH, "Param 'entry' is required.");
	if (e == NULL)
		return error_set_what(err, E_INVALID, FAIL_SWITCH, "switch '%.60s' is not known", name);
	if (value == NULL)
		return error_set_what(err, E_MISSING, FAIL_SWITCH, "Param 'value' is required.");
	switch (e->kind) {
	case ENTRY_BOOL:
		return set_bool(s, e, value, err);
	case ENTRY_INT:
	case ENTRY_MS:
		return set_number(s, e, value, err);
	case ENTRY_CHECK:
		return set_check(s, e, value, err);
	case ENTRY_STATUS:
		return set_status(s, e, value, err);
	case ENTRY_REFUSED:
		break;
	}
	return error_set_what(err, E_UNSUPPORTED, FAIL_SWITCH, "switch %s has no effect on this server: %s", name,
			      e->reason);
}

static void put_params(struct text *to, const struct check_params *p)
{
	json_open(to, '{');
	json_kv_i64(to, "max", p->max_ms);
	json_kv_i64(to, "min", p->min_ms);
	json_kv_double(to, "factor", p->factor);
	json_close(to, '}');
}

static void put_check(struct text *to, const char *key, const struct check_params *p)
{
	json_key(to, key);
	put_params(to, p);
}

void switches_put_entry(const struct switches *s, const char *name, struct text *to)
{
	const struct entry *e = name == NULL ? NULL : entry_find(name);
	const char *at = (const char *)s + (e == NULL ? 0 : e->offset);

	switch (e == NULL ? ENTRY_REFUSED : e->kind) {
	case ENTRY_BOOL:
		json_bool(to, *(const bool *)at);
		return;
	case ENTRY_INT:
		json_i64(to, *(const int *)(const void *)at);
		return;
	case ENTRY_MS:
		json_i64(to, *(const int64_t *)(const void *)at);
		return;
	case ENTRY_CHECK:
		put_params(to, (const void *)at);
		return;
	case ENTRY_STATUS:
		if (s->status[0] != '\0') {
			json_str(to, s->status);
			return;
		}
		break;
	case ENTRY_REFUSED:
		break;
	}
	json_null(to);
}

static void put_raw(struct text *to, const char *key, const char *value)
{
	json_key(to, key);
	json_raw(to, value, strlen(value));
}

/* What has no effect here is echoed with the defaults of the original. */
static void put_fixed(struct text *to)
{
	static const struct {
		const char *key, *value;
	} fixed[] = {
		{ "masters", "null" }, { "adWeightMap", "{}" },
		{ "distroThreshold", "0.7" }, { "autoChangeHealthCheckEnabled", "true" },
		{ "distroEnabled", "true" }, { "enableStandalone", "true" }, { "incrementalList", "[]" },
		{ "serverStatusSynchronizationPeriodMillis", "2000" },
		{ "serviceStatusSynchronizationPeriodMillis", "5000" }, { "disableAddIP", "false" },
		{ "sendBeatOnly", "false" }, { "limitedUrlMap", "{}" },
		{ "distroServerExpiredMillis", "10000" }, { "pushVersionOfGo", "\"0.1.0\"" },
		{ "pushVersionOfJava", "\"0.1.0\"" }, { "pushVersionOfPython", "\"0.4.3\"" },
		{ "pushVersionOfC", "\"1.0.12\"" }, { "pushVersionOfCsharp", "\"0.9.0\"" },
		{ "enableAuthentication", "false" }, { "healthCheckWhiteList", "[]" },
		{ "checksum", "null" },
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		put_raw(to, fixed[i].key, fixed[i].value);
}

void switches_json(const struct switches *s, struct text *to)
{
	json_open(to, '{');
	json_kv_str(to, "name", "00-00---000-NACOS_SWITCH_DOMAIN-000---00-00");
	json_kv_i64(to, "defaultPushCacheMillis", s->push_cache_ms);
	json_kv_i64(to, "defaultCacheMillis", s->cache_ms);
	json_kv_i64(to, "clientBeatInterval", s->client_beat_ms);
	json_kv_bool(to, "healthCheckEnabled", s->health_check);
	json_kv_bool(to, "pushEnabled", s->push);
	json_kv_bool(to, "lightBeatEnabled", s->light_beat);
	json_kv_bool(to, "defaultInstanceEphemeral", s->default_ephemeral);
	json_kv_i64(to, "checkTimes", s->check_times);
	put_check(to, "httpHealthParams", &s->http);
	put_check(to, "tcpHealthParams", &s->tcp);
	put_check(to, "mysqlHealthParams", &s->mysql);
	if (s->status[0] == '\0')
		put_raw(to, "overriddenServerStatus", "null");
	else
		json_kv_str(to, "overriddenServerStatus", s->status);
	put_fixed(to);
	json_close(to, '}');
}

/* settings_reload.c - see settings_reload.h. */
#include "musterd/settings_reload.h"
#include <string.h>

/* What is in force as soon as the file was read again; all else after a restart. */
static const char *const reloadable[][2] = {
	{ "dns", "listen" },
	{ "dns", "tls_listen" },
	{ "tls", "cert" },
	{ "tls", "key" },
	{ "dns", "cookie_secrets" },
	{ "dns", "ttl" },
	{ "dns", "ttl_host" },
	{ "dns", "ttl_negative" },
	{ "dns", "mode" },
	{ "dns", "cap" },
	{ "dns", "subset_rotate" },
	{ "dns", "protect" },
	{ "dns", "all_unhealthy" },
	{ "dns", "last_max" },
	{ "dns", "rrl" },
	{ "dns", "rrl_slip" },
	{ "dns", "rrl_allow" },
	{ "dns", "rrl_private" },
	{ "dns", "rrl_errors" },
	{ "dns", "nsid" },
	{ "dns", "version" },
	{ "forward", "upstreams" },
	{ "forward", "allow" },
	{ "forward", "cache" },
	{ "forward", "timeout" },
	{ "forward", "pending" },
	{ "forward", "trust_anchor" },
	{ "dns", "raw_alias" },
	{ "dns", "loopback_addresses" },
	{ "dns", "minimal_responses" },
	{ "dns", "metadata_keys" },
	{ "dns", "slow_start" },
	{ "dns", "mname" },
	{ "dns", "rname" },
	{ "dns", "reverse" },
	{ "zone", "layout" },
	{ "zone", "namespace" },
	{ "zone", "group" },
	{ "zone", "export_namespaces" },
	{ "zone", "export_groups" },
	{ "zone", "export_metadata" },
	{ "zone", "alias" },
	{ "zone", "expand" },
	{ "zone", "mname" },
	{ "zone", "rname" },
	{ "zone", "file" },
	{ "zone", "query_allow" },
	{ "zone", "transfer_allow" },
	{ "zone", "listen" },
	{ "http", "listen" },
	{ "http", "operator_listen" },
	{ "http", "allow" },
	{ "http", "max_header" },
	{ "http", "max_body" },
	{ "http", "idle_timeout" },
	{ "http", "header_timeout" },
	{ "http", "write_timeout" },
	{ "http", "max_output" },
	{ "http", "connections" },
	{ "http", "connections_per_address" },
	{ "grpc", "listen" },
	{ "grpc", "connections" },
	{ "grpc", "connections_per_address" },
	{ "grpc", "streams" },
	{ "grpc", "max_message" },
	{ "push", "merge" },
	{ "push", "udp_subscriptions_per_address" },
	{ "push", "udp_ack" },
	{ "push", "udp_expiry" },
	{ "health", "connection_idle" },
	{ "health", "connection_probe" },
	{ "health", "reconnect_grace" },
	{ "health", "reconnect_probe" },
	{ "registry", "floor_percent" },
	{ "registry", "clean_empty" },
	{ "log", "level" },
	{ "log", "format" },
	{ "limits", "instances" },
	{ "limits", "services" },
	{ "limits", "instances_per_service" },
	{ "limits", "namespaces" },
	{ "limits", "metadata_bytes" },
};

const char *setting_reload_name(size_t nth, unsigned part)
{
	return nth < sizeof(reloadable) / sizeof(reloadable[0]) ? reloadable[nth][part] : NULL;
}

bool setting_reloads(const struct setting *row)
{
	for (size_t i = 0; i < sizeof(reloadable) / sizeof(reloadable[0]); i++)
		if (strcmp(row->section, reloadable[i][0]) == 0 && strcmp(row->key, reloadable[i][1]) == 0)
			return true;
	return false;
}

static bool same_bytes(const void *a, size_t a_count, const void *b, size_t b_count, size_t size)
{
	return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * size) == 0);
}

bool setting_same(const struct setting *row, const void *a, const void *b)
{
	const void *x = (const char *)a + row->offset, *y = (const char *)b + row->offset;
	const struct address_list *la = x, *lb = y;
	const struct cidr_list *ca = x, *cb = y;
	switch (row->type) {
	case SETTING_TEXT:
		return texts_equal(*(const char *const *)x, *(const char *const *)y);
	case SETTING_COUNT:
	case SETTING_CHOICE:
	case SETTING_SECONDS:
		return memcmp(x, y, sizeof(unsigned)) == 0;
	case SETTING_SWITCH:
		return *(const bool *)x == *(const bool *)y;
	case SETTING_DURATION:
	case SETTING_SIZE:
		return memcmp(x, y, 8) == 0;
	case SETTING_ADDRESSES:
		return same_bytes(la->at, la->count, lb->at, lb->count, sizeof(la->at[0]));
	case SETTING_CIDRS:
		return same_bytes(ca->at, ca->count, cb->at, cb->count, sizeof(ca->at[0]));
	case SETTING_WORDS:
		return words_equal(x, y);
	}
	return false;
}

static bool has_reverse(const struct settings *s)
{
	bool any = s->dns.reverse.count > 0;
	for (size_t i = 0; i < s->zone_count; i++)
		any |= s->zones[i].conf.layout == LAYOUT_REVERSE;
	return any;
}

/* Reverse zones point by what the zones of names show, and to whom. */
static bool is_set_in_place(const char *key, bool reverse)
{
	return strcmp(key, "transfer_allow") == 0 ||
	       (!reverse && (strcmp(key, "query_allow") == 0 || strcmp(key, "listen") == 0));
}

/* Of [dns], what all zones are made by. */
static bool made_alike(const struct settings *a, const struct settings *b)
{
	return a->dns.raw_alias == b->dns.raw_alias && a->dns.loopback_addresses == b->dns.loopback_addresses &&
	       a->dns.minimal_responses == b->dns.minimal_responses && a->dns.slow_start_ms == b->dns.slow_start_ms &&
	       words_equal(&a->dns.metadata_keys, &b->dns.metadata_keys) &&
	       same_bytes(a->dns.reverse.at, a->dns.reverse.count, b->dns.reverse.at, b->dns.reverse.count,
			  sizeof(a->dns.reverse.at[0]));
}

bool settings_zones_same(const struct settings *a, const struct settings *b)
{
	bool reverse = has_reverse(a);
	if (a->zone_count != b->zone_count || !made_alike(a, b))
		return false;
	for (size_t i = 0; i < a->zone_count; i++) {
		const struct zone_conf *x = &a->zones[i].conf, *y = &b->zones[i].conf;
		if (strcmp(x->name, y->name) != 0)
			return false;
		for (size_t k = 0; k < zone_table_len; k++)
			if (!is_set_in_place(zone_table[k].key, reverse) && !setting_same(&zone_table[k], x, y))
				return false;
	}
	return true;
}

/* wiring.c - see wiring.h. */
#include "musterd/wiring.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(struct dns_listen) == sizeof(struct sockaddr_storage),
	       "an address list serves DNS and HTTP");

enum { TTL_APEX_SEC = 3600, TTL_VERSION_SEC = 28800, FLOOR_HOLD_MS = 60000, TCP_MESSAGE_MS = 2000 };

void wiring_registry(struct registry_conf *to, const struct settings *s)
{
	to->namespaces_max = s->limits.namespaces;
	to->services_max = s->limits.services;
	to->instances_max = s->limits.instances;
	to->instances_per_service_max = s->limits.instances_per_service;
	to->metadata_max = s->limits.metadata_bytes;
	to->clean_empty_ms = s->registry.clean_empty_ms;
	to->expire_instances = s->registry.expire_instances;
}

static void wire_desk(struct desk_conf *to, const struct settings *s, const char *warm_path)
{
	wiring_registry(&to->registry, s);
	to->store.url = s->store.url;
	to->store.data_dir = s->server.data_dir;
	to->warm_path = warm_path;
}

void wiring_zones(struct zone_set_conf *to, const struct settings *s, const struct zone_conf *zones)
{
	to->zones = zones;
	to->zone_count = s->zone_count;
	to->reverse = s->dns.reverse.at;
	to->reverse_count = s->dns.reverse.count;
	to->ttl = s->dns.ttl;
	to->ttl_host = s->dns.ttl_host;
	to->ttl_negative = s->dns.ttl_negative;
	to->ttl_apex = TTL_APEX_SEC;
	to->ttl_version = TTL_VERSION_SEC;
	to->mode = s->dns.mode;
	to->protect = s->dns.protect;
	to->all_unhealthy = s->dns.all_unhealthy;
	to->hostname_mode = s->dns.hostname_mode;
	to->slow_start_ms = s->dns.slow_start_ms;
	to->last_max_ms = s->dns.last_max_ms;
	to->cap = s->dns.cap;
	to->subset_rotate_ms = s->dns.subset_rotate_ms;
	to->raw_alias = s->dns.raw_alias;
	to->loopback_addresses = s->dns.loopback_addresses;
	to->minimal_responses = s->dns.minimal_responses;
	to->metadata_keys = (const char *const *)s->dns.metadata_keys.at;
	to->metadata_key_count = s->dns.metadata_keys.count;
	to->selector_keys = (const char *const *)s->dns.selector_keys.at;
	to->selector_key_count = s->dns.selector_keys.count;
}

const char *wiring_nsid(const struct settings *s, char room[IDENTITY_MAX + 1])
{
	if (s->dns.nsid != NULL)
		return strcmp(s->dns.nsid, "off") == 0 ? NULL : s->dns.nsid;
	if (gethostname(room, IDENTITY_MAX) < 0)
		return NULL;
	room[IDENTITY_MAX] = '\0';
	return room;
}

const char *wiring_version(const struct settings *s)
{
	return s->dns.version == NULL || strcmp(s->dns.version, "hide") == 0 ? NULL : s->dns.version;
}

void wiring_forward(struct forward_conf *to, const struct settings *s)
{
	to->upstreams = (const struct sockaddr_storage *)s->forward.upstreams.at;
	to->upstream_count = s->forward.upstreams.count;
	to->allow = s->forward.allow.at;
	to->allow_count = s->forward.allow.count;
	to->trust_anchor = s->forward.trust_anchor;
	to->cache_bytes = s->forward.cache;
	to->timeout_ms = s->forward.timeout_ms;
	to->pending_max = s->forward.pending;
}

void wiring_dns(struct dns_server_conf *to, const struct settings *s)
{
	to->listens = s->dns.listen.at;
	to->listen_count = s->dns.listen.count;
	to->tls_listens = s->dns.tls_listen.at;
	to->tls_listen_count = s->dns.tls_listen.count;
	to->threads = s->dns.threads;
	to->udp_size = (uint16_t)s->dns.udp_size;
	to->udp_size_lan = (uint16_t)s->dns.udp_size_lan;
	to->udp_gso = s->dns.udp_gso;
	to->tcp_idle_ms = s->dns.tcp_idle_ms;
	to->tcp_message_ms = TCP_MESSAGE_MS;
	to->tcp_max = s->dns.tcp_max;
	to->tcp_per_prefix = s->dns.tcp_per_prefix;
	to->transfers = s->dns.transfers;
	to->transfer_ms = s->dns.transfer_ms;
	to->rates.per_second = s->dns.rrl;
	to->rates.slip = s->dns.rrl_slip;
	to->rates.errors = s->dns.rrl_errors;
	to->rates.near = s->dns.rrl_private;
	to->rates.allow = s->dns.rrl_allow;
}

/* Of the first settings, which live as long as the server. */
static bool may_name(void *arg, const struct sockaddr *named)
{
	const struct cidr_list *allowed = arg;
	return cidr_match_any(allowed->at, allowed->count, named);
}

void wiring_api(struct api_conf *to, const struct settings *s)
{
	to->listens = (const struct sockaddr_storage *)s->http.listen.at;
	to->listen_count = s->http.listen.count;
	to->operator_listens = (const struct sockaddr_storage *)s->http.operator_listen.at;
	to->operator_count = s->http.operator_listen.count;
	to->advertise = s->http.advertise;
	to->io_threads = s->server.io_threads;
	to->max_header = (uint32_t)s->http.max_header;
	to->max_body = (uint32_t)s->http.max_body;
	to->idle_ms = s->http.idle_timeout_ms;
	to->header_ms = s->http.header_timeout_ms;
	to->write_ms = s->http.write_timeout_ms;
	to->max_output = s->http.max_output;
	to->zone_text_ms = s->dns.transfer_ms;
	to->connections = s->http.connections;
	to->connections_per_address = s->http.connections_per_address;
	to->inbox = (unsigned)s->limits.inbox;
	to->grpc_listens = (const struct sockaddr_storage *)s->grpc.listen.at;
	to->grpc_listen_count = s->grpc.listen.count;
	to->grpc_connections = s->grpc.connections;
	to->grpc_connections_per_address = s->grpc.connections_per_address;
	to->grpc_streams = s->grpc.streams;
	to->grpc_max_message = (uint32_t)s->grpc.max_message;
	to->connection_idle_ms = s->health.connection_idle_ms;
	to->connection_probe_ms = s->health.connection_probe_ms;
	to->reconnect_grace_ms = s->health.reconnect_grace_ms;
	to->reconnect_probe = s->health.reconnect_probe;
	to->push_merge_ms = s->push.merge_ms;
	to->udp.listens = (const struct sockaddr_storage *)s->push.udp_listen.at;
	to->udp.listen_count = s->push.udp_listen.count;
	to->udp.subscriptions = s->push.udp_subscriptions;
	to->udp.subscriptions_per_address = s->push.udp_subscriptions_per_address;
	to->udp.ack_ms = s->push.udp_ack_ms;
	to->udp.expiry_ms = s->push.udp_expiry_ms;
	to->udp.may_name = may_name;
	to->udp.may_name_arg = (void *)(uintptr_t)&s->push.udp_allow;
	to->encoding_cache = s->limits.encoding_cache;
}

/* @name in the data directory, or as it is when it says where it lies. Heap; NULL: no memory. */
static char *data_path(const struct settings *s, const char *name)
{
	bool whole = name[0] == '/';
	size_t size = strlen(s->server.data_dir) + strlen(name) + 2;
	char *path = mem_alloc(size);

	if (path != NULL)
		snprintf(path, size, "%s%s%s", whole ? "" : s->server.data_dir, whole ? "" : "/", name);
	return path;
}

static void wire_backups(struct backups *to, const struct settings *s)
{
	to->data_dir = s->server.data_dir;
	to->keep = s->server.backup_keep;
	to->dir = s->server.backup_dir == NULL ? NULL : data_path(s, s->server.backup_dir);
}

int wiring_make(struct wiring *ret, const struct settings *s, struct error *err)
{
	bool changes = strcmp(s->log.changes, "off") != 0;

	memset(ret, 0, sizeof(*ret));
	ret->zones = mem_zalloc(s->zone_count, sizeof(*ret->zones));
	ret->warm_path = data_path(s, "warm.db");
	ret->changes_path = changes ? data_path(s, s->log.changes) : NULL;
	wire_backups(&ret->backups, s);
	if (s->server.backup_dir != NULL && ret->backups.dir == NULL) {
		wiring_done(ret);
		return error_set(err, E_NOMEM, "settings: no memory");
	}
	if (ret->zones == NULL || ret->warm_path == NULL || (changes && ret->changes_path == NULL)) {
		wiring_done(ret);
		return error_set(err, E_NOMEM, "settings: no memory");
	}
	for (size_t i = 0; i < s->zone_count; i++)
		ret->zones[i] = s->zones[i].conf;
	ret->conf.data_dir = s->server.data_dir;
	wire_desk(&ret->conf.desk, s, ret->warm_path);
	wiring_zones(&ret->conf.zones, s, ret->zones);
	wiring_dns(&ret->conf.dns, s);
	wiring_forward(&ret->forward, s);
	ret->conf.dns.forwarding = s->forward.upstreams.count > 0 ? &ret->forward : NULL;
	ret->conf.hosts.upstreams = (const struct sockaddr_storage *)s->dns.hostname_upstreams.at;
	ret->conf.hosts.upstream_count = s->dns.hostname_upstreams.count;
	ret->conf.tls_cert = s->tls.cert;
	ret->conf.tls_key = s->tls.key;
	ret->conf.dns.nsid = wiring_nsid(s, ret->nsid);
	ret->conf.cookie_secrets = (const char *const *)s->dns.cookie_secrets.at;
	ret->conf.cookie_secret_count = s->dns.cookie_secrets.count;
	ret->conf.dns.version = wiring_version(s);
	wiring_api(&ret->conf.api, s);
	ret->conf.api.backup = ret->backups.dir == NULL ? NULL : backups_write;
	ret->conf.api.backup_arg = &ret->backups;
	ret->conf.beats.floor_percent = s->registry.floor_percent;
	ret->conf.beats.floor_hold_ms = FLOOR_HOLD_MS;
	ret->conf.prober.probe_rate = s->health.probe_rate;
	ret->conf.prober.in_flight = s->health.probes_in_flight;
	ret->conf.changes.path = ret->changes_path;
	ret->conf.changes.rate = s->log.changes_rate;
	ret->conf.changes.size = s->log.changes_size;
	ret->conf.changes.files = s->log.changes_files;
	return E_OK;
}

void wiring_done(struct wiring *w)
{
	mem_free(w->zones);
	mem_free(w->warm_path);
	mem_free(w->changes_path);
	mem_free(w->backups.dir);
	w->backups.dir = NULL;
	w->zones = NULL;
	w->warm_path = w->changes_path = NULL;
}

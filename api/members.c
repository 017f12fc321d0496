/* members.c - the servers of this registry, which is this one (nacos-naming 2.5, nacos-config 7.2): who asks for
 * members, for the responsible one of an instance, or for the state of the node gets an answer of one. */
#include "api/members.h"
#include "api/handlers.h"
#include "api/io.h"
#include "base/clock.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A listener on every address has none to tell: then the first of the machine that is not loopback. */
static void address_of_machine(char to[INET6_ADDRSTRLEN])
{
	uv_interface_address_t *all;
	int count;
	strcpy(to, "127.0.0.1");
	if (uv_interface_addresses(&all, &count) < 0)
		return;
	for (int i = 0; i < count; i++)
		if (!all[i].is_internal && all[i].address.address4.sin_family == AF_INET) {
			uv_ip4_name(&all[i].address.address4, to, INET6_ADDRSTRLEN);
			break;
		}
	uv_free_interface_addresses(all, count);
}

static bool is_wildcard(const char *ip)
{
	return strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
}

/* A listener at @its serves who connects to @ip. */
static bool covers(const char *its, const char *ip)
{
	return strcmp(its, ip) == 0 || strcmp(its, "::") == 0 || (strcmp(its, "0.0.0.0") == 0 && strchr(ip, ':') == NULL);
}

/* IPv4 that came in by a socket of IPv6 is IPv4. */
static void ip_text(const struct sockaddr_storage *s, char to[INET6_ADDRSTRLEN])
{
	const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)s)->sin6_addr;
	const struct in_addr *four = &((const struct sockaddr_in *)(const void *)s)->sin_addr;
	if (s->ss_family == AF_INET)
		inet_ntop(AF_INET, four, to, INET6_ADDRSTRLEN);
	else if (IN6_IS_ADDR_V4MAPPED(six))
		inet_ntop(AF_INET, six->s6_addr + 12, to, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, six, to, INET6_ADDRSTRLEN);
}

static uint16_t port_of(const struct sockaddr_storage *s)
{
	return ntohs(s->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)(const void *)s)->sin6_port
					      : ((const struct sockaddr_in *)(const void *)s)->sin_port);
}

static void member_at(struct member *ret, const char *ip, uint16_t port)
{
	snprintf(ret->ip, sizeof(ret->ip), "%s", ip);
	ret->port = port;
	snprintf(ret->address, sizeof(ret->address), strchr(ip, ':') != NULL ? "[%s]:%u" : "%s:%u", ip, port);
}

/* "host", "host:port", "[::1]:port": the settings have checked it. */
static void member_advertised(struct member *ret, const char *text)
{
	bool bracket = text[0] == '[';
	size_t len = bracket ? strcspn(++text, "]") : strcspn(text, ":");
	char host[MEMBER_HOST_MAX];
	snprintf(host, sizeof(host), "%.*s", (int)len, text);
	text += len + bracket;
	member_at(ret, host, *text == ':' ? (uint16_t)strtoul(text + 1, NULL, 10) : NACOS_PORT);
}

/* Of the public ones, NULL for any; clients find gRPC 1000 above the port of the first. */
static const struct door *first_door(const struct io *io, const char *ip)
{
	char its[INET6_ADDRSTRLEN];
	for (size_t i = 0; i < io->doors.count; i++) {
		const struct door *door = &io->doors.at[i];
		ip_text(&door->bound, its);
		if (door->kind == DOOR_PUBLIC && (ip == NULL || covers(its, ip)))
			return door;
	}
	return NULL;
}

void member_self(const struct io *io, struct member *ret)
{
	const struct door *door = first_door(io, NULL);
	char ip[INET6_ADDRSTRLEN];
	memset(ret, 0, sizeof(*ret));
	if (io->api->advertise != NULL) {
		member_advertised(ret, io->api->advertise);
		return;
	}
	if (door == NULL)
		return;
	ip_text(&door->bound, ip);
	if (is_wildcard(ip))
		address_of_machine(ip);
	member_at(ret, ip, port_of(&door->bound));
}

void member_reached(const struct io *io, const struct http_call *call, struct member *ret)
{
	struct sockaddr_storage local;
	char ip[INET6_ADDRSTRLEN];
	const struct door *door = NULL;
	if (io->api->advertise == NULL && http_call_local(call, &local)) {
		ip_text(&local, ip);
		door = first_door(io, ip);
	}
	if (door != NULL)
		member_at(ret, ip, port_of(&door->bound));
	else
		member_self(io, ret); /* it came by the operators' door */
}

static void shape_member(struct text *t, const struct io *io)
{
	struct member m;
	member_self(io, &m);
	json_open(t, '{');
	json_kv_str(t, "ip", m.ip);
	json_kv_i64(t, "port", m.port);
	json_kv_str(t, "state", api_not_ready(io->api) == NULL ? "UP" : "STARTING");
	json_key(t, "extendInfo");
	json_open(t, '{');
	json_kv_i64(t, "lastRefreshTime", clock_wall_ms());
	json_kv_str(t, "site", "unknow"); /* as Nacos spells it */
	json_kv_str(t, "version", NACOS_VERSION);
	json_kv_str(t, "weight", "1");
	json_kv_str(t, "adWeight", "0");
	json_close(t, '}');
	json_kv_str(t, "address", m.address);
	json_kv_i64(t, "failAccessCnt", 0);
	json_key(t, "abilities");
	json_raw(t, MEMBER_ABILITIES, strlen(MEMBER_ABILITIES));
	json_close(t, '}');
}

/* Whether @text is part of our address; NULL or blank: yes. */
static bool is_asked_for(const struct request *r, enum param id)
{
	struct member m;
	const char *part = param_text(&r->params, id);
	member_self(r->io, &m);
	return part == NULL || strstr(m.address, part) != NULL;
}

static bool state_is_asked_for(const struct request *r)
{
	const char *state = param_text(&r->params, P_STATE);
	return state == NULL || strcmp(state, api_not_ready(r->io->api) == NULL ? "UP" : "STARTING") == 0;
}

/* v1 of core wraps in a RestResult, v2 and v3 in a Result. */
static struct text *core_begin(struct request *r)
{
	struct text *t = answer_begin(r);
	if (request_is_v1(r))
		text_add(t, "{\"code\":200,\"message\":null,\"data\":");
	return t;
}

static void core_end(struct request *r)
{
	if (request_is_v1(r))
		json_close(&r->io->scratch, '}');
	answer_end(r);
}

void api_member_self(struct request *r)
{
	shape_member(core_begin(r), r->io);
	core_end(r);
}

void api_member_list(struct request *r)
{
	struct text *t = core_begin(r);
	json_open(t, '[');
	if (is_asked_for(r, P_KEYWORD) && is_asked_for(r, P_ADDRESS) && state_is_asked_for(r))
		shape_member(t, r->io);
	json_close(t, ']');
	core_end(r);
}

void api_member_addresses(struct request *r)
{
	struct member m;
	struct text *t = core_begin(r);
	member_self(r->io, &m);
	json_open(t, '[');
	json_str(t, m.address);
	json_close(t, ']');
	core_end(r);
}

/* ---- the naming operator's: healthy=true leaves out who is not up */

static void write_members(struct request *r, const char *key, bool shown)
{
	struct text *t = answer_begin(r);
	json_open(t, '{');
	json_key(t, key);
	json_open(t, '[');
	if (shown)
		shape_member(t, r->io);
	json_close(t, ']');
	json_close(t, '}');
	answer_end(r);
}

void api_operator_servers(struct request *r)
{
	write_members(r, "servers", !param_bool(&r->params, P_HEALTHY, false) || api_not_ready(r->io->api) == NULL);
}

void api_operator_distro_status(struct request *r)
{
	write_members(r, "status", true);
}

static void write_responsible(struct request *r)
{
	struct member m;
	struct text *t = answer_begin(r);
	member_self(r->io, &m);
	json_open(t, '{');
	json_kv_str(t, "responsibleServer", m.address);
	json_close(t, '}');
	answer_end(r);
}

void api_responsible_for_client(struct request *r)
{
	const char *ip;
	uint16_t port;
	if (param_require(&r->params, P_IP, &ip, &r->err) < 0 || param_port(&r->params, P_PORT, &port, &r->err) < 0)
		reply_failure(r);
	else
		write_responsible(r);
}

void api_responsible_for_service(struct request *r)
{
	struct service_key key;
	if (request_key(r, &key) < 0) {
		reply_failure(r);
		return;
	}
	rcu_begin();
	bool there = registry_view(request_registry(r), &key) != NULL;
	rcu_end();
	if (there) {
		write_responsible(r);
		return;
	}
	error_set(&r->err, E_INVALID, "service not found: %s@@%s in namespace %s", key.group, key.name, key.ns);
	reply_failure(r);
}

/* ---- the address server's answer (nacos-config 7.8): lines with CR LF between them, none behind the last, and no port
 * where it is the one that all take by themselves. Of one server that is one line. */
void api_server_list(struct request *r)
{
	struct member m;
	char line[sizeof(m.address)];
	member_reached(r->io, r->call, &m);
	snprintf(line, sizeof(line), "%s", m.port == NACOS_PORT && strchr(m.ip, ':') == NULL ? m.ip : m.address);
	reply_text(r, 200, line);
}

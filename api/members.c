/* members.c - the servers of this registry, which is this one (nacos-naming 2.5, nacos-config 7.2): who asks for
 * members, for the responsible one of an instance, or for the state of the node gets an answer of one. */
#include "api/members.h"
#include "api/handlers.h"
#include "api/io.h"
#include "base/clock.h"
#include <arpa/inet.h>
#include <stdio.h>
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

void member_self(const struct io *io, struct member *ret)
{
	const struct sockaddr_storage *s = &io->doors.at[0].bound;
	const struct sockaddr_in6 *six = (const void *)s;
	const struct sockaddr_in *four = (const void *)s;
	memset(ret, 0, sizeof(*ret));
	if (io->doors.count == 0)
		return;
	if (s->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &six->sin6_addr, ret->ip, sizeof(ret->ip));
	else
		inet_ntop(AF_INET, &four->sin_addr, ret->ip, sizeof(ret->ip));
	ret->port = ntohs(s->ss_family == AF_INET6 ? six->sin6_port : four->sin_port);
	if (strcmp(ret->ip, "0.0.0.0") == 0 || strcmp(ret->ip, "::") == 0)
		address_of_machine(ret->ip);
	snprintf(ret->address, sizeof(ret->address), strchr(ret->ip, ':') != NULL ? "[%s]:%u" : "%s:%u", ret->ip, ret->port);
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

/* udp_poll.c - see udp_poll.h. */
#include "api/udp_poll.h"

#include "api/io.h"
#include "api/udp_gate.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <string.h>

struct udp_relayed {
	struct inbox_message message; /* first */
	struct udp_wish wish;	      /* its texts: below */
	char text[];
};

const struct udp_wish *udp_relayed_wish(const struct inbox_message *m)
{
	return &((const struct udp_relayed *)(const void *)m)->wish;
}

/* ---- from another I/O thread: only the control thread knows whether the first one still takes messages */

struct relay {
	struct command command;
	struct udp_push *to;
	struct feed *feed;
	struct udp_relayed *poll; /* NULL: posted */
};

static int run_relay(struct registry *reg, void *arg, struct error *err)
{
	struct relay *relay = arg;
	(void)reg;
	(void)err;
	if (!relay->feed->stopped) {
		inbox_post(relay->to->relayed, &relay->poll->message);
		relay->poll = NULL;
	}
	return E_OK;
}

static void on_relay_back(struct command *cmd)
{
	struct relay *relay = cmd->owner;
	mem_free(relay->poll);
	mem_free(relay);
}

static struct udp_relayed *wish_copy(const struct udp_wish *w)
{
	size_t clusters = strlen(w->clusters) + 1;
	struct udp_relayed *p = mem_alloc(sizeof(*p) + w->key.ns_len + w->key.group_len + w->key.name_len + 3u + clusters);
	if (p == NULL)
		return NULL;
	char *at = p->text;
	p->wish = *w;
	p->wish.key.ns = at;
	at = stpcpy(at, w->key.ns) + 1;
	p->wish.key.group = at;
	at = stpcpy(at, w->key.group) + 1;
	p->wish.key.name = at;
	at = stpcpy(at, w->key.name) + 1;
	p->wish.clusters = memcpy(at, w->clusters, clusters);
	return p;
}

static bool relay(struct io *io, const struct udp_wish *w)
{
	struct error err;
	struct relay *r = io_has_room(io, &err) == E_OK ? mem_zalloc(1, sizeof(*r)) : NULL;
	if (r == NULL)
		return false;
	r->poll = wish_copy(w);
	if (r->poll == NULL) {
		mem_free(r);
		return false;
	}
	r->to = io->api->udp;
	r->feed = &io->api->feed;
	command_init(&r->command, CMD_CALL);
	r->command.call.run = run_relay;
	r->command.call.arg = r;
	r->command.owner = r;
	io_submit(io, &r->command, on_relay_back);
	return true;
}

/* ---- who asks */

static struct slice agent_of(const struct request *r)
{
	struct slice agent = http_call_header(r->call, "User-Agent");
	return agent.at != NULL && agent.len > 0 ? agent : http_call_header(r->call, "Client-Version");
}

static void copy(char ret[UDP_AGENT_MAX], const char *at, size_t len)
{
	if (len >= UDP_AGENT_MAX)
		len = UDP_AGENT_MAX - 1;
	memcpy(ret, at, len);
	memset(ret + len, 0, UDP_AGENT_MAX - len);
}

static bool parse_address(union udp_address *ret, const char *text)
{
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1)
		ret->any.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &ret->v6.sin6_addr) == 1)
		ret->any.sa_family = AF_INET6;
	return ret->any.sa_family != AF_UNSPEC;
}

/* Where the request came from, whatever it names, so that nobody can have datagrams sent to others; unless the named
 * one is among those that the operator has allowed, or both are the same machine's own. */
static union udp_address address_of(const struct request *r, const char *named, uint16_t port)
{
	const struct udp_push_conf *conf = &r->io->api->conf.udp;
	union udp_address peer, other;
	const struct sockaddr *from = r->call->peer;
	memset(&peer, 0, sizeof(peer));
	memcpy(&peer, from, from->sa_family == AF_INET ? sizeof(peer.v4) : sizeof(peer.v6));
	if (named != NULL && parse_address(&other, named) && !udp_host_same(&peer, &other) &&
	    ((udp_host_is_loopback(&peer) && udp_host_is_loopback(&other)) ||
	     (conf->may_name != NULL && conf->may_name(conf->may_name_arg, &other.any))))
		peer = other;
	if (peer.any.sa_family == AF_INET)
		peer.v4.sin_port = htons(port);
	else
		peer.v6.sin6_port = htons(port);
	return peer;
}

enum udp_poll udp_poll(struct request *r, const struct service_key *key, const char *clusters)
{
	bool v1 = request_is_v1(r);
	struct io *io = r->io;
	struct registry *reg = request_registry(r);
	uint16_t port = 0;
	if (param_text(&r->params, v1 ? P_UDP_PORT : P_PORT) == NULL)
		return UDP_NOT_ASKED;
	if (param_port(&r->params, v1 ? P_UDP_PORT : P_PORT, &port, &r->err) < 0)
		return UDP_INVALID;
	if (port == 0)
		return UDP_NOT_ASKED;
	struct slice agent = agent_of(r);
	struct udp_wish w = { .key = *key, .clusters = clusters };
	w.gate = agent.at != NULL && io->api->udp != NULL ? udp_gate(agent.at, agent.len) : NULL;
	if (w.gate == NULL)
		return UDP_POLLED;
	w.to = address_of(r, param_text(&r->params, v1 ? P_CLIENT_IP : P_IP), port);
	const char *app = param_or(&r->params, P_APP, "unknown");
	copy(w.agent, agent.at, agent.len);
	copy(w.app, app, strlen(app));
	rcu_begin();
	bool on = registry_switches(reg)->push;
	const struct service_view *v = registry_view(reg, key);
	w.told = v != NULL ? v->number : 0;
	w.may_be_empty = v == NULL || v->count == 0 || clusters[0] != '\0';
	rcu_end();
	if (!on)
		return UDP_POLLED;
	return (io->number == 0 ? udp_push_subscribe(io->api->udp, &w) : relay(io, &w)) ? UDP_PUSHED : UDP_POLLED;
}

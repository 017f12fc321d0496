/* operator.c - switches and metrics of the operator (nacos-naming 2.5, 7.8). */
#include "api/clients.h"
#include "api/handlers.h"
#include "api/io.h"
#include "api/subscriber.h"

void api_switches_get(struct request *r)
{
	rcu_begin();
	switches_json(registry_switches(request_registry(r)), answer_begin(r));
	rcu_end();
	answer_end(r);
}

void api_switches_put(struct request *r)
{
	request_command(r, CMD_SWITCH_SET);
	r->cmd.cause = CAUSE_OPERATOR;
	r->cmd.set.passing = param_bool(&r->params, P_DEBUG, false);
	if (param_require(&r->params, P_ENTRY, &r->cmd.set.entry, &r->err) < 0 ||
	    param_require(&r->params, P_VALUE, &r->cmd.set.value, &r->err) < 0)
		reply_failure(r);
	else
		request_submit(r, NULL);
}

static void write_status(struct request *r, struct text *t)
{
	rcu_begin();
	const char *override = registry_switches(request_registry(r))->status;
	json_kv_str(t, "status",
		    override[0] != '\0'			  ? override
		    : api_not_ready(r->io->api) != NULL ? "STARTING"
							  : "UP");
	rcu_end();
}

static void write_known(struct text *t, const char *key, double v)
{
	if (v >= 0)
		json_kv_double(t, key, v);
}

struct counts {
	struct client_set clients; /* that publish over HTTP */
	uint64_t connections, subscriptions, udp; /* udp: clients that are only pushed to */
};

static void write_counts(struct request *r, struct text *t)
{
	const struct counts *c = r->more;
	const struct client_set *clients = &c->clients;
	struct registry_stats s;
	registry_stats(request_registry(r), &s);
	bool v3 = r->route->face == FACE_V3;
	size_t count = clients->ephemeral + clients->persistent + c->connections + c->udp;
	json_kv_i64(t, "serviceCount", (int64_t)s.services);
	json_kv_i64(t, "instanceCount", (int64_t)s.instances);
	json_kv_i64(t, "subscribeCount", (int64_t)c->subscriptions);
	if (!v3)
		json_kv_i64(t, "responsibleInstanceCount", (int64_t)s.instances);
	json_kv_i64(t, "clientCount", (int64_t)count);
	json_kv_i64(t, "connectionBasedClientCount", (int64_t)c->connections);
	json_kv_i64(t, "ephemeralIpPortClientCount", (int64_t)(clients->ephemeral + c->udp));
	json_kv_i64(t, "persistentIpPortClientCount", (int64_t)clients->persistent);
	json_kv_i64(t, "responsibleClientCount", (int64_t)count);
	if (v3)
		return;
	write_known(t, "cpu", cpu_meter_read(&r->io->cpu));
	write_known(t, "load", machine_load());
	write_known(t, "mem", machine_memory());
}

static void write_metrics(struct request *r, bool counts)
{
	struct text *t = answer_begin(r);
	json_open(t, '{');
	write_status(r, t);
	if (counts)
		write_counts(r, t);
	json_close(t, '}');
	answer_end(r);
}

static void count_clients(struct request *r, const struct service_view *v)
{
	struct counts *c = r->more;
	for (uint32_t n = 0; n < v->count; n++)
		client_set_add(&c->clients, v->instances[n]);
}

static void clients_counted(struct request *r)
{
	struct counts *c = r->more;
	if (c->clients.failed)
		error_set(&r->err, E_NOMEM, "no memory to count the clients");
	client_set_done(&c->clients);
	if (r->err.code < 0)
		reply_failure(r);
	else
		write_metrics(r, true);
}

static void see_clients(const struct request *r, struct io *io, struct text *to)
{
	(void)r;
	clients_seen(io, NULL, to);
}

static void clients_are_seen(struct request *r)
{
	struct counts *c = r->more;
	struct client client;
	for (const char *at = r->out.at; at < r->out.at + r->out.len;) {
		at = client_read(&client, at);
		c->connections += client.kind == CLIENT_GRPC && client.connected && client.set_up;
		c->udp += client.kind == CLIENT_UDP;
		c->subscriptions += client.subscriptions;
	}
	request_walk(r, NULL, NULL, count_clients, clients_counted);
}

/* Always there, and at once: SDKs take anything but UP for down. Counting waits for the registry. */
void api_metrics_status(struct request *r)
{
	if (param_flag(&r->params, P_ONLY_STATUS, true) || api_not_ready(r->io->api) != NULL) {
		write_metrics(r, false);
		return;
	}
	r->more = arena_zalloc(&r->call->arena, sizeof(struct counts));
	if (r->more == NULL) {
		error_set(&r->err, E_NOMEM, "no memory to count the clients");
		reply_failure(r);
		return;
	}
	request_tour(r, see_clients, clients_are_seen);
}

/* Nobody makes numbers by a generator here. */
void api_id_generators(struct request *r)
{
	struct text *t = answer_begin(r);
	text_add(t, request_is_v1(r) ? "{}" : "[]");
	answer_end(r);
}

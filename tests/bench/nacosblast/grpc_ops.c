/* grpc_ops.c - see grpc_ops.h. */
#include "grpc_ops.h"

#include <string.h>

static void put_service_json(struct buf *b, const struct options *opt, char kind, uint64_t service)
{
	buf_text(b, "{\"headers\":{},\"module\":\"naming\",\"namespace\":\"");
	buf_text(b, opt->namespace_id);
	buf_text(b, "\",\"serviceName\":\"");
	put_service(b, kind, service);
	buf_text(b, "\",\"groupName\":\"DEFAULT_GROUP\"");
}

/* An InstanceRequest up to its metadata, which the caller writes, then put_instance_end(). The
 * instance names no service: where one does, r-nacos takes the text as it stands, group and all. */
static void put_instance_start(struct buf *b, const struct options *opt, char kind,
			       uint64_t service, uint64_t host, uint64_t weight, bool deregister)
{
	put_service_json(b, opt, kind, service);
	buf_text(b, ",\"type\":\"");
	buf_text(b, deregister ? "deregisterInstance" : "registerInstance");
	buf_text(b, "\",\"instance\":{\"ip\":\"");
	put_ip(b, host);
	buf_text(b, "\",\"port\":");
	buf_number(b, host_port(host));
	buf_text(b, ",\"weight\":");
	buf_number(b, weight);
	buf_text(b, ".0,\"healthy\":true,\"enabled\":true,\"ephemeral\":true,"
		    "\"clusterName\":\"DEFAULT\",\"metadata\":");
}

static void put_instance_end(struct buf *b)
{
	buf_text(b, ",\"instanceHeartBeatInterval\":5000,\"instanceHeartBeatTimeOut\":15000,"
		    "\"ipDeleteTimeout\":30000}}");
}

/* A connection holds one instance per service, so the services are dealt out: each service is
 * published by about -I connections, each connection publishes all services of its share in turn.
 * With deregistration every second round over the share takes back what the round before has
 * registered. */
static void write_grpc_instance(const struct load *l, unsigned conn, uint64_t k, uint64_t op,
				struct buf *body)
{
	const struct options *opt = l->opt;
	unsigned shares = l->workers / opt->instances;
	(void)op;
	if (shares < 1)
		shares = 1;
	if (shares > opt->services)
		shares = opt->services;
	uint64_t share = conn % shares;
	uint64_t size = (opt->services - share + shares - 1) / shares;
	uint64_t round = k / size, service = share + k % size * shares;
	bool deregister = !opt->register_only && round % 2 == 1;
	put_instance_start(body, opt, 'g', service, service * l->workers + conn, 1, deregister);
	put_metadata(body, opt, opt->register_only ? round : round / 2, false);
	put_instance_end(body);
}

/* grpc-query: each of -I publishers registers its instance in every service. */
static void write_grpc_publish(const struct load *l, unsigned conn, uint64_t k, uint64_t op,
			       struct buf *body)
{
	uint64_t instance = conn - l->workers;
	(void)op;
	put_instance_start(body, l->opt, 'q', k, k * l->opt->instances + instance, 1, false);
	put_metadata(body, l->opt, 0, false);
	put_instance_end(body);
}

static void write_grpc_query(const struct load *l, unsigned conn, uint64_t k, uint64_t op,
			     struct buf *body)
{
	(void)conn;
	(void)k;
	put_service_json(body, l->opt, 'q', op % l->opt->services);
	buf_text(body, ",\"cluster\":\"\",\"healthyOnly\":false,\"udpPort\":0}");
}

static void put_config_json(struct buf *b, const struct options *opt, uint64_t op)
{
	buf_text(b, "{\"headers\":{},\"module\":\"config\",\"dataId\":\"blast-");
	buf_number(b, op % opt->services);
	buf_text(b, "\",\"group\":\"DEFAULT_GROUP\",\"tenant\":\"");
	if (strcmp(opt->namespace_id, "public") != 0)
		buf_text(b, opt->namespace_id);
	buf_byte(b, '"');
}

static void write_grpc_config_publish(const struct load *l, unsigned conn, uint64_t k, uint64_t op,
				      struct buf *body)
{
	(void)conn;
	(void)k;
	put_config_json(body, l->opt, op);
	buf_text(body, ",\"casMd5\":null,\"additionMap\":{\"type\":\"text\"},\"content\":\"");
	put_content(body, op, l->opt->content);
	buf_text(body, "\"}");
}

static void write_grpc_config_key(const struct load *l, unsigned conn, uint64_t k, uint64_t op,
				  struct buf *body)
{
	(void)conn;
	(void)k;
	put_config_json(body, l->opt, op);
	buf_byte(body, '}');
}

/* grpc-idle with -S: connection c registers in and subscribes to service c mod S. */
static void write_idle_register(const struct load *l, unsigned conn, uint64_t k, uint64_t op,
				struct buf *body)
{
	(void)k;
	(void)op;
	put_instance_start(body, l->opt, 'i', conn % l->opt->services, conn, 1, false);
	put_metadata(body, l->opt, 0, false);
	put_instance_end(body);
}

static void write_idle_subscribe(const struct load *l, unsigned conn, uint64_t k, uint64_t op,
				 struct buf *body)
{
	(void)k;
	(void)op;
	put_service_json(body, l->opt, 'i', conn % l->opt->services);
	buf_text(body, ",\"subscribe\":true,\"clusters\":\"\"}");
}

/* grpc-push: one service; the publishers follow the subscribers, and the first of them changes. */
static void write_push_publish(const struct load *l, unsigned conn, uint64_t k, uint64_t op,
			       struct buf *body)
{
	uint64_t instance = conn - l->workers;
	(void)k;
	(void)op;
	put_instance_start(body, l->opt, 's', 0, instance, instance == 0 ? 1 + l->change : 1,
			   false);
	buf_text(body, instance == 0 ? "{\"seq\":\"" : "{\"key\":\"");
	buf_number(body, instance == 0 ? l->change : instance);
	buf_text(body, "\"}");
	put_instance_end(body);
}

static void write_push_subscribe(const struct load *l, unsigned conn, uint64_t k, uint64_t op,
				 struct buf *body)
{
	(void)conn;
	(void)k;
	(void)op;
	put_service_json(body, l->opt, 's', 0);
	buf_text(body, ",\"subscribe\":true,\"clusters\":\"\"}");
}

static void write_server_check(const struct load *l, unsigned conn, uint64_t k, uint64_t op,
			       struct buf *body)
{
	(void)l;
	(void)conn;
	(void)k;
	(void)op;
	buf_text(body, "{\"headers\":{},\"module\":\"internal\"}");
}

const struct grpc_op grpc_ops[] = {
	[GRPC_SERVER_CHECK] = { "ServerCheckRequest", "ServerCheckResponse", write_server_check,
				false },
	[GRPC_HEALTH_CHECK] = { "HealthCheckRequest", "HealthCheckResponse", write_server_check,
				false },
	[GRPC_INSTANCE] = { "InstanceRequest", "InstanceResponse", write_grpc_instance, false },
	[GRPC_PUBLISH] = { "InstanceRequest", "InstanceResponse", write_grpc_publish, false },
	[GRPC_QUERY] = { "ServiceQueryRequest", "QueryServiceResponse", write_grpc_query, true },
	[GRPC_CONFIG_PUBLISH] = { "ConfigPublishRequest", "ConfigPublishResponse",
				  write_grpc_config_publish, false },
	[GRPC_CONFIG_GET] = { "ConfigQueryRequest", "ConfigQueryResponse", write_grpc_config_key,
			      false },
	[GRPC_CONFIG_REMOVE] = { "ConfigRemoveRequest", "ConfigRemoveResponse",
				 write_grpc_config_key, false },
	[GRPC_IDLE_REGISTER] = { "InstanceRequest", "InstanceResponse", write_idle_register,
				 false },
	[GRPC_IDLE_SUBSCRIBE] = { "SubscribeServiceRequest", "SubscribeServiceResponse",
				  write_idle_subscribe, false },
	[GRPC_PUSH_PUBLISH] = { "InstanceRequest", "InstanceResponse", write_push_publish, false },
	[GRPC_PUSH_SUBSCRIBE] = { "SubscribeServiceRequest", "SubscribeServiceResponse",
				  write_push_subscribe, true },
};

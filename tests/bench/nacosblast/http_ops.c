/* http_ops.c - see http_ops.h. */
#include "http_ops.h"
#include "text.h"

#include <string.h>

static void put_instance_form(struct buf *b, const struct options *opt, char kind, uint64_t op,
			      bool bare)
{
	uint64_t service = op % opt->services, instance = op / opt->services % opt->instances;
	uint64_t host = service * opt->instances + instance;
	buf_text(b, bare ? "serviceName=" : "serviceName=DEFAULT_GROUP%40%40");
	put_service(b, kind, service);
	buf_text(b, "&groupName=DEFAULT_GROUP&clusterName=DEFAULT&namespaceId=");
	buf_text(b, opt->namespace_id);
	buf_text(b, "&ip=");
	put_ip(b, host);
	buf_text(b, "&port=");
	buf_number(b, host_port(host));
}

static void put_registration(struct buf *b, const struct load *l, char kind, uint64_t op, bool bare,
			     bool ephemeral)
{
	uint64_t pass = op / ((uint64_t)l->opt->services * l->opt->instances);
	put_instance_form(b, l->opt, kind, op, bare);
	buf_text(b, bare ? "&weight=1.0&enabled=true&healthy=true&ephemeral="
			 : "&weight=1.0&enable=true&healthy=true&ephemeral=");
	buf_text(b, ephemeral ? "true" : "false");
	buf_text(b, "&metadata=");
	put_metadata(b, l->opt, pass, true);
}

static void write_register(const struct load *l, uint64_t op, struct buf *query, struct buf *body)
{
	(void)body;
	put_registration(query, l, 'e', op, false, true);
}

static void write_deregister(const struct load *l, uint64_t op, struct buf *query, struct buf *body)
{
	(void)body;
	put_instance_form(query, l->opt, 'e', op, false);
	buf_text(query, "&ephemeral=true");
}

static void write_persistent(const struct load *l, uint64_t op, struct buf *query, struct buf *body)
{
	(void)body;
	put_registration(query, l, 'p', op, false, false);
}

static void write_drop_persistent(const struct load *l, uint64_t op, struct buf *query,
				  struct buf *body)
{
	(void)body;
	put_instance_form(query, l->opt, 'p', op, false);
	buf_text(query, "&ephemeral=false");
}

static void write_form(const struct load *l, uint64_t op, struct buf *query, struct buf *body)
{
	(void)query;
	put_registration(body, l, 'e', op, true, true);
}

/* A beat up to its metadata, which the caller writes, then put_beat_end(). */
static void put_beat_start(struct buf *b, uint64_t host)
{
	buf_text(b, "beat=%7B%22cluster%22%3A%22DEFAULT%22%2C%22ip%22%3A%22");
	put_ip(b, host);
	buf_text(b, "%22%2C%22port%22%3A");
	buf_number(b, host_port(host));
	buf_text(b, "%2C%22metadata%22%3A");
}

static void put_beat_end(struct buf *b, char kind, uint64_t service, uint64_t weight)
{
	buf_text(b, "%2C%22period%22%3A5000%2C%22scheduled%22%3Afalse%2C%22serviceName%22%3A%22"
		    "DEFAULT_GROUP%40%40");
	put_service(b, kind, service);
	buf_text(b, "%22%2C%22stopped%22%3Afalse%2C%22weight%22%3A");
	buf_number(b, weight);
	buf_text(b, ".0%7D");
}

/* A full beat registers what is unknown; a light one only refreshes. */
static void write_beat(const struct load *l, uint64_t op, struct buf *query, struct buf *body)
{
	const struct options *opt = l->opt;
	put_instance_form(query, opt, 'e', op, false);
	if (opt->light && op >= (uint64_t)opt->services * opt->instances)
		return;
	uint64_t service = op % opt->services;
	put_beat_start(body, service * opt->instances + op / opt->services % opt->instances);
	put_metadata(body, opt, 0, true);
	put_beat_end(body, 'e', service, 1);
}

static void put_list(struct buf *b, const struct options *opt, char kind, uint64_t service,
		     unsigned port)
{
	buf_text(b, "serviceName=DEFAULT_GROUP%40%40");
	put_service(b, kind, service);
	buf_text(b, "&clusters=&clientIP=127.0.0.1&healthyOnly=false&udpPort=");
	buf_number(b, port);
	buf_text(b, "&namespaceId=");
	buf_text(b, opt->namespace_id);
}

static void write_list(const struct load *l, uint64_t op, struct buf *query, struct buf *body)
{
	(void)body;
	put_list(query, l->opt, 'e', op % l->opt->services, 0);
}

static void put_config_key(struct buf *b, const struct options *opt, uint64_t op)
{
	buf_text(b, "dataId=blast-");
	buf_number(b, op % opt->services);
	buf_text(b, "&group=DEFAULT_GROUP");
	if (strcmp(opt->namespace_id, "public") != 0) {
		buf_text(b, "&tenant=");
		buf_text(b, opt->namespace_id);
	}
}

static void write_config_publish(const struct load *l, uint64_t op, struct buf *query,
				 struct buf *body)
{
	(void)query;
	put_config_key(body, l->opt, op);
	buf_text(body, "&type=text&content=");
	put_content(body, op, l->opt->content);
}

static void write_config_key(const struct load *l, uint64_t op, struct buf *query, struct buf *body)
{
	(void)body;
	put_config_key(query, l->opt, op);
}

/* http-push has one service; its instance 0 is the one that changes. */
static void put_push_metadata(struct buf *b, const struct load *l, uint64_t instance)
{
	buf_text(b, instance == 0 ? "%7B%22seq%22%3A%22" : "%7B%22key%22%3A%22");
	buf_number(b, instance == 0 ? l->change : instance);
	buf_text(b, "%22%7D");
}

static void write_push_register(const struct load *l, uint64_t op, struct buf *query,
				struct buf *body)
{
	uint64_t instance = op % l->opt->instances;
	(void)body;
	put_instance_form(query, l->opt, 'u', instance * l->opt->services, false);
	buf_text(query, "&weight=");
	buf_number(query, instance == 0 ? 1 + l->change : 1);
	buf_text(query, ".0&enable=true&healthy=true&ephemeral=true&metadata=");
	put_push_metadata(query, l, instance);
}

static void write_push_beat(const struct load *l, uint64_t op, struct buf *query, struct buf *body)
{
	uint64_t instance = op % l->opt->instances;
	put_instance_form(query, l->opt, 'u', instance * l->opt->services, false);
	put_beat_start(body, instance);
	put_push_metadata(body, l, instance);
	put_beat_end(body, 'u', 0, instance == 0 ? 1 + l->change : 1);
}

static void write_push_deregister(const struct load *l, uint64_t op, struct buf *query,
				  struct buf *body)
{
	(void)body;
	put_instance_form(query, l->opt, 'u', op % l->opt->instances * l->opt->services, false);
	buf_text(query, "&ephemeral=true");
}

static void write_udp_subscribe(const struct load *l, uint64_t op, struct buf *query,
				struct buf *body)
{
	(void)body;
	put_list(query, l->opt, 'u', 0, l->ports[op % l->workers]);
}

static enum error_kind judge_ok(const struct options *opt, const struct http_response *r)
{
	(void)opt;
	return r->body_len == 2 && memcmp(r->body, "ok", 2) == 0 ? ERR_KINDS : ERR_RESULT;
}

static enum error_kind judge_true(const struct options *opt, const struct http_response *r)
{
	(void)opt;
	return r->body_len == 4 && memcmp(r->body, "true", 4) == 0 ? ERR_KINDS : ERR_RESULT;
}

static enum error_kind judge_code_0(const struct options *opt, const struct http_response *r)
{
	(void)opt;
	return json_number(r->body, r->body_len, "\"code\"", -1) == 0 ? ERR_KINDS : ERR_RESULT;
}

static enum error_kind judge_beat(const struct options *opt, const struct http_response *r)
{
	(void)opt;
	return json_number(r->body, r->body_len, "\"code\"", -1) == 10200 ? ERR_KINDS : ERR_RESULT;
}

static enum error_kind judge_list(const struct options *opt, const struct http_response *r)
{
	(void)opt;
	return hosts_present(r->body, r->body_len) ? ERR_KINDS : ERR_EMPTY;
}

static enum error_kind judge_content(const struct options *opt, const struct http_response *r)
{
	return r->body_len >= opt->content ? ERR_KINDS : ERR_RESULT;
}

const struct http_op http_ops[] = {
	[HTTP_REGISTER] = { "POST", "/v1/ns/instance", write_register, judge_ok },
	[HTTP_DEREGISTER] = { "DELETE", "/v1/ns/instance", write_deregister, judge_ok },
	[HTTP_PERSISTENT] = { "POST", "/v1/ns/instance", write_persistent, judge_ok },
	[HTTP_DROP_PERSISTENT] = { "DELETE", "/v1/ns/instance", write_drop_persistent, judge_ok },
	[HTTP_BEAT] = { "PUT", "/v1/ns/instance/beat", write_beat, judge_beat },
	[HTTP_LIST] = { "GET", "/v1/ns/instance/list", write_list, judge_list },
	[HTTP_V2_REGISTER] = { "POST", "/v2/ns/instance", write_form, judge_code_0 },
	[HTTP_V3_REGISTER] = { "POST", "/v3/client/ns/instance", write_form, judge_code_0 },
	[HTTP_CONFIG_PUBLISH] = { "POST", "/v1/cs/configs", write_config_publish, judge_true },
	[HTTP_CONFIG_GET] = { "GET", "/v1/cs/configs", write_config_key, judge_content },
	[HTTP_CONFIG_REMOVE] = { "DELETE", "/v1/cs/configs", write_config_key, judge_true },
	[HTTP_PUSH_REGISTER] = { "POST", "/v1/ns/instance", write_push_register, judge_ok },
	[HTTP_PUSH_BEAT] = { "PUT", "/v1/ns/instance/beat", write_push_beat, judge_beat },
	[HTTP_PUSH_DEREGISTER] = { "DELETE", "/v1/ns/instance", write_push_deregister, judge_ok },
	[HTTP_UDP_SUBSCRIBE] = { "GET", "/v1/ns/instance/list", write_udp_subscribe, judge_list },
};

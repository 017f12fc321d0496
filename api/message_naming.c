/* message_naming.c - registering, querying, subscribing and listing by gRPC (nacos-naming 5.6). What a connection
 * publishes of a service is one entry, replaced as a whole: the instances that are no longer in it are
 * deregistered in the same turn as the new ones are registered, so that readers see one change. */
#include "api/encodings.h"
#include "api/io.h"
#include "api/json_in.h"
#include "api/message.h"
#include "api/push.h"
#include "api/shapes.h"
#include "base/mem.h"
#include "registry/failure.h"
#include <stdio.h>
#include <string.h>

enum { BATCH_MAX = 10000, PAGE_MAX = 10000 };

/* ---- decoding */

static int read_key(struct message *m)
{
	const char *service = message_text(m->body, "serviceName");
	if (*service == '\0')
		return error_set_what(&m->err, E_MISSING, FAIL_PARAM, "Param 'serviceName' is required.");
	char *buf = arena_alloc(&m->arena, strlen(service) + 1);
	if (buf == NULL)
		return error_set(&m->err, E_NOMEM, "no memory for the request");
	return name_normalise(&m->key, message_text(m->body, "namespace"), message_text(m->body, "groupName"), service,
			      buf, &m->err);
}

static int read_spec(struct message *m, const cJSON *in, struct instance_spec *spec)
{
	const cJSON *weight = cJSON_GetObjectItemCaseSensitive(in, "weight");
	const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(in, "metadata");
	const char *cluster = message_text(in, "clusterName"), *id = message_text(in, "instanceId");
	struct pair_list pairs = { 0 };
	int64_t port;
	if (!cJSON_IsObject(in))
		return error_set_what(&m->err, E_INVALID, FAIL_PARAM, "Param 'instance' is illegal, it is not an object");
	int rc = message_int(in, "port", 0, 65535, 0, &port, &m->err);
	if (rc == E_OK && cJSON_IsObject(metadata))
		rc = metadata_of_tree(&pairs, &m->arena, metadata, FAIL_INSTANCE_METADATA, "metadata", &m->err);
	if (rc < 0)
		return rc;
	*spec = (struct instance_spec){
		.ip = message_text(in, "ip"),
		.cluster = *cluster != '\0' ? cluster : "DEFAULT",
		.port = (uint16_t)port,
		.weight = cJSON_IsNumber(weight) ? weight->valuedouble : 1.0,
		.enabled = message_bool(in, "enabled", true),
		.healthy = message_bool(in, "healthy", true),
		.ephemeral = true,
		.metadata = pairs.at,
		.metadata_count = pairs.count,
		.app = *m->app != '\0' ? m->app : NULL,
		.instance_id = *id != '\0' ? id : NULL,
		.publisher = m->session->publisher,
	};
	if (*spec->ip == '\0')
		return error_set_what(&m->err, E_MISSING, FAIL_PARAM, "Param 'ip' is required.");
	rc = name_check_ip(spec->ip, strlen(spec->ip), &m->err);
	return rc < 0 ? rc : name_check_cluster(spec->cluster, strlen(spec->cluster), &m->err);
}

static int unknown_type(struct message *m)
{
	return error_set_what(&m->err, E_INVALID, FAIL_PARAM, "Unsupported request type %.100s", m->action);
}

static int specs_room(struct message *m, size_t count)
{
	m->specs = arena_alloc(&m->arena, (count + 1) * sizeof(*m->specs));
	m->spec_count = count;
	return m->specs == NULL ? error_set(&m->err, E_NOMEM, "no memory for the request") : E_OK;
}

int naming_instance_decode(struct message *m)
{
	m->action = message_text(m->body, "type");
	m->flag = strcmp(m->action, "registerInstance") == 0;
	if (!m->flag && strcmp(m->action, "deregisterInstance") != 0)
		return unknown_type(m);
	int rc = read_key(m);
	if (rc == E_OK)
		rc = specs_room(m, 1);
	return rc < 0 ? rc : read_spec(m, cJSON_GetObjectItemCaseSensitive(m->body, "instance"), &m->specs[0]);
}

int naming_batch_decode(struct message *m)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(m->body, "instances"), *in;
	size_t n = 0;
	m->action = message_text(m->body, "type");
	if (strcmp(m->action, "batchRegisterInstance") != 0)
		return unknown_type(m);
	int rc = read_key(m);
	if (rc < 0)
		return rc;
	if (list != NULL && !cJSON_IsNull(list) && !cJSON_IsArray(list))
		return error_set_what(&m->err, E_INVALID, FAIL_PARAM, "Param 'instances' is illegal, it is not an array");
	int count = cJSON_GetArraySize(list);
	if (count > BATCH_MAX)
		return error_set_what(&m->err, E_RANGE, FAIL_PARAM,
				      "Param 'instances' is illegal, %d of them are over the limit of %d", count, BATCH_MAX);
	rc = specs_room(m, (size_t)count);
	for (in = list != NULL ? list->child : NULL; rc == E_OK && in != NULL; in = in->next)
		rc = read_spec(m, in, &m->specs[n++]);
	return rc;
}

static int read_clusters(struct message *m, const char *name)
{
	m->clusters = message_text(m->body, name);
	for (const char *at = m->clusters; *at != '\0';) {
		size_t n = strcspn(at, ",");
		int rc = n == 0 ? E_OK : name_check_cluster(at, n, &m->err);
		if (rc < 0)
			return rc;
		at += n + (at[n] == ',');
	}
	if (strlen(m->clusters) > UINT16_MAX)
		return error_set_what(&m->err, E_RANGE, FAIL_PARAM, "Param '%s' is illegal, it is longer than 65535", name);
	return E_OK;
}

int naming_query_decode(struct message *m)
{
	m->flag = message_bool(m->body, "healthyOnly", false);
	int rc = read_key(m);
	return rc < 0 ? rc : read_clusters(m, "cluster");
}

int naming_subscribe_decode(struct message *m)
{
	m->flag = message_bool(m->body, "subscribe", false);
	int rc = read_key(m);
	return rc < 0 ? rc : read_clusters(m, "clusters");
}

int naming_list_decode(struct message *m)
{
	const char *ns = message_text(m->body, "namespace"), *group = message_text(m->body, "groupName");
	m->key = (struct service_key){ .ns = *ns != '\0' ? ns : "public",
				       .group = *group != '\0' ? group : "DEFAULT_GROUP" };
	int rc = message_int(m->body, "pageNo", 0, 1000000000, 1, &m->page, &m->err);
	if (rc == E_OK)
		rc = message_int(m->body, "pageSize", 0, INT32_MAX, 20, &m->page_size, &m->err);
	if (rc == E_OK)
		rc = name_check_namespace(m->key.ns, strlen(m->key.ns), &m->err);
	if (rc == E_OK)
		rc = name_check_group(m->key.group, strlen(m->key.group), &m->err);
	if (m->page < 1)
		m->page = 1;
	if (m->page_size > PAGE_MAX)
		m->page_size = PAGE_MAX; /* count tells that there is more */
	return rc;
}

/* ---- publishing */

static void published(struct message *m)
{
	if (m->err.code < 0) {
		message_fail(m);
		return;
	}
	struct text *t = message_begin(m);
	json_kv_str(t, "type", m->action);
	message_end(m);
}

static bool is_address(const struct instance_spec *spec, const struct entry_address *a)
{
	return spec->port == a->port && strcmp(spec->ip, a->ip) == 0;
}

/* @a was the @nth of its entry: where it most likely still stands. */
static bool in_specs(const struct message *m, const struct entry_address *a, size_t nth, size_t count)
{
	if (nth < count && is_address(&m->specs[nth], a))
		return true;
	for (size_t i = 0; i < count; i++)
		if (is_address(&m->specs[i], a))
			return true;
	return false;
}

static void submit(struct message *m, struct command *cmd, enum command_kind kind)
{
	command_init(cmd, kind);
	cmd->cause = CAUSE_API;
	cmd->key = m->key;
	cmd->instance.publisher = m->session->publisher;
}

/* The entry of this connection is the first @count specs from now on. */
static void publish(struct message *m, size_t count)
{
	struct entry_addresses *fresh = count == 0 ? NULL : entry_addresses_new(m->specs, count);
	size_t n = 0;
	if ((count > 0 && fresh == NULL) || session_publish(m->session, &m->key, fresh, &m->old) < 0) {
		mem_free(fresh);
		error_set(&m->err, E_NOMEM, "no memory for the request");
		message_fail(m);
		return;
	}
	size_t old = m->old != NULL ? m->old->count : 0;
	if (message_commands(m, old + m->spec_count) < 0) {
		session_publish(m->session, &m->key, m->old, &fresh); /* as it was: that has its place */
		m->old = fresh;
		message_fail(m);
		return;
	}
	for (size_t i = 0; i < old; i++) {
		const struct entry_address *a = &m->old->at[i];
		if (in_specs(m, a, i, count))
			continue;
		struct command *cmd = &m->commands[n++];
		submit(m, cmd, CMD_INSTANCE_DEREGISTER);
		cmd->instance.ip = a->ip;
		cmd->instance.port = a->port;
		cmd->instance.cluster = a->cluster;
		message_submit(m, cmd);
	}
	for (size_t i = 0; i < m->spec_count; i++) {
		/* Without an entry the request's own address counts: it may have been restored from before our start. */
		if (count == 0 && old > 0)
			break;
		struct command *cmd = &m->commands[n++];
		submit(m, cmd, count > 0 ? CMD_INSTANCE_REGISTER : CMD_INSTANCE_DEREGISTER);
		cmd->instance = m->specs[i];
		message_submit(m, cmd);
	}
	message_submitted(m, published);
}

void naming_instance(struct message *m)
{
	publish(m, m->flag ? 1 : 0);
}

void naming_batch(struct message *m)
{
	publish(m, m->spec_count);
}

void naming_persistent(struct message *m)
{
	if (message_commands(m, 1) < 0) {
		message_fail(m);
		return;
	}
	struct command *cmd = m->commands;
	submit(m, cmd, m->flag ? CMD_INSTANCE_REGISTER : CMD_INSTANCE_DEREGISTER);
	cmd->instance = m->specs[0];
	cmd->instance.ephemeral = false;
	cmd->instance.publisher = 0;
	message_submit(m, cmd);
	message_submitted(m, published);
}

/* ---- reading */

/* Of a service that does not exist. */
static void missing_info(struct message *m, struct text *t)
{
	struct registry *reg = m->io->api->registry;
	struct list_query q = { .clusters = m->clusters, .bare_name = true };
	rcu_begin();
	q.cache_ms = registry_switches(reg)->push_cache_ms;
	q.absent_ref_ms = registry_last_ref_ms(reg);
	rcu_end();
	text_clear(t);
	shape_service_info(t, &m->key, NULL, &q);
}

static void answer_info(struct message *m, bool healthy_only)
{
	uint64_t number = 0;
	rcu_begin();
	struct encoding *c = push_encode(m->io, &m->key, m->clusters, healthy_only, &number);
	rcu_end();
	struct text *t = message_begin(m);
	if (m->kind->run == naming_subscribe)
		json_kv_str(t, "message", "success");
	if (m->kind->run == naming_subscribe && m->flag && c != NULL)
		push_told(m->session, &m->key, number);
	if (c != NULL) {
		message_end_raw(m, "serviceInfo", &(struct stream_part){ c->body, c->len, encoding_release, c });
		return;
	}
	struct text *info = &m->io->encode;
	missing_info(m, info);
	if (info->failed)
		t->failed = true;
	message_end_raw(m, "serviceInfo", &(struct stream_part){ .at = info->at, .len = info->len });
}

void naming_query(struct message *m)
{
	answer_info(m, m->flag);
}

static void subscribed(struct message *m)
{
	if (m->err.code < 0)
		message_fail(m);
	else
		answer_info(m, false);
}

void naming_subscribe(struct message *m)
{
	m->finish = subscribed;
	if (m->flag) {
		push_subscribe(m, m->clusters);
		return;
	}
	push_unsubscribe(m->session, &m->key);
	answer_info(m, false);
}

/* On the control thread: the names are the registry's, so the JSON is written here. */
static int read_names(struct registry *reg, void *arg, struct error *err)
{
	struct message *m = arg;
	struct text *t = &m->out;
	size_t count = 0, from = (size_t)((m->page - 1) * m->page_size);
	(void)err;
	size_t total = registry_group_names(reg, m->key.ns, m->key.group, from, (size_t)m->page_size, m->names, &count);
	json_open(t, '[');
	for (size_t i = 0; i < count; i++)
		json_str(t, m->names[i]);
	json_close(t, ']');
	m->page = (int64_t)total;
	return E_OK;
}

static void listed(struct message *m)
{
	if (m->err.code < 0) {
		message_fail(m);
		return;
	}
	struct text *t = message_begin(m);
	json_kv_i64(t, "count", m->page);
	json_key(t, "serviceNames");
	json_raw(t, m->out.at, m->out.len);
	t->failed = t->failed || m->out.failed;
	message_end(m);
}

void naming_list(struct message *m)
{
	m->names = arena_alloc(&m->arena, (size_t)(m->page_size + 1) * sizeof(*m->names));
	if (m->names == NULL || message_commands(m, 1) < 0) {
		error_set(&m->err, E_NOMEM, "no memory for the list");
		message_fail(m);
		return;
	}
	command_init(m->commands, CMD_CALL);
	m->commands->call.run = read_names;
	m->commands->call.arg = m;
	message_submit(m, m->commands);
	message_submitted(m, listed);
}

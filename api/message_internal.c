/* message_internal.c - what concerns the connection itself (nacos-naming 5.4, 5.5). */
#include "api/io.h"
#include "api/message.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

void internal_server_check(struct message *m)
{
	struct text *t = message_begin(m);
	json_kv_str(t, "connectionId", m->session->id);
	json_kv_bool(t, "supportAbilityNegotiation", true);
	message_end(m);
}

enum { CODE_NO_CLIENT = -401, CODE_DENIED = 403 };

/* Behind a cut connection the channels of Python 2.x and of Go connect again by themselves, without a set-up. To
 * those SDKs 301, what the original says here, means well: they would never set up again. */
void internal_health_check(struct message *m)
{
	if (m->session->set_up)
		message_ok(m);
	else
		message_refuse(m, CODE_NO_CLIENT, "Connection is unregistered.");
}

/* Of old clients; acknowledgements come on the stream. */
void internal_push_ack(struct message *m)
{
	message_ok(m);
}

void internal_loader_info(struct message *m)
{
	char count[24];
	struct text *t = message_begin(m);
	snprintf(count, sizeof(count), "%u", api_session_count(m->io->api));
	json_key(t, "loaderMetrics");
	json_open(t, '{');
	json_kv_str(t, "conCount", count);
	json_kv_str(t, "sdkConCount", count);
	json_kv_str(t, "load", "0");
	json_kv_str(t, "cpu", "0");
	json_close(t, '}');
	message_end(m);
}

/* Nodes of a Nacos cluster send it to each other, on a port of their own. A client may not send others away. */
void internal_server_reload(struct message *m)
{
	message_error(m, CODE_DENIED, "only servers may ask for this: operators use /nacos/v3/admin/core/loader");
}

static void keep(char *to, size_t cap, const char *text)
{
	size_t n = 0;
	for (; text[n] != '\0' && n + 1 < cap; n++)
		to[n] = text[n] >= 0x20 && text[n] < 0x7f ? text[n] : '?'; /* it stands in logs */
	to[n] = '\0';
}

enum { LABELS_MAX = 512 /* bytes of JSON: more are not kept */ };

/* For operators. */
static void keep_labels(struct session *s, const cJSON *labels)
{
	struct text *t = &s->io->scratch;
	text_clear(t);
	json_open(t, '{');
	for (const cJSON *in = labels != NULL ? labels->child : NULL; in != NULL && t->len <= LABELS_MAX; in = in->next)
		if (cJSON_IsString(in) && strlen(in->string) + strlen(in->valuestring) <= LABELS_MAX)
			json_kv_str(t, in->string, in->valuestring);
	json_close(t, '}');
	if (!t->failed && t->len <= LABELS_MAX)
		s->labels = mem_memdup0(t->at, t->len);
}

/* The abilities are announced to everybody (ServerCheckResponse), and acknowledged to whoever sends a table:
 * others do not know the message (nacos-naming 5.4, pitfall 6). */
void internal_set_up(struct session *s, const cJSON *body)
{
	static const char tail[] = "\",\"module\":\"internal\",\"abilityTable\":{\"supportPersistentInstanceByGrpc\":true,\"fuzzyWatch\":true}}";
	char head[96];
	if (s->set_up)
		return;
	keep(s->version, sizeof(s->version), message_text(body, "clientVersion"));
	const cJSON *labels = cJSON_GetObjectItemCaseSensitive(body, "labels");
	keep(s->app, sizeof(s->app), message_text(labels, "AppName"));
	if (cJSON_IsObject(labels))
		keep_labels(s, labels);
	session_set_up(s);
	log_debug("grpc", "connection %s: %s", s->id, s->version);
	if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(body, "abilityTable")))
		return;
	snprintf(head, sizeof(head), "{\"headers\":{},\"requestId\":\"s%llu", (unsigned long long)++s->requests);
	const struct stream_part ack[] = { { .at = head, .len = strlen(head) }, { .at = tail, .len = sizeof(tail) - 1 } };
	session_send(s, "SetupAckRequest", ack, 2);
}

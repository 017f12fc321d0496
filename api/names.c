/* names.c - the names of all services, for searches and for the old CoreDNS plug-in (nacos-naming 2.3, 2.9). */
#include "api/handlers.h"
#include "api/io.h"
#include "api/pattern.h"
#include <string.h>

/* r->out: "[..],"ns":[.." - the namespaces come in order, so a list ends where another one begins. */
struct names {
	const char *expr; /* pattern, NULL: all */
	char ns[72];	  /* whose list is open; "": none yet */
	bool bare, flat;
	int64_t count;
};

static void begin_namespace(struct text *t, struct names *n, const char *ns)
{
	if (n->flat && n->ns[0] == '\0')
		json_open(t, '[');
	if (!n->flat) {
		if (n->ns[0] != '\0')
			json_close(t, ']');
		json_key(t, ns);
		json_open(t, '[');
	}
	snprintf(n->ns, sizeof(n->ns), "%s", ns);
}

static void add_name(struct request *r, const struct service_view *v)
{
	struct names *n = r->more;
	const struct service_key *key = &v->info->key;
	char grouped[1024];
	size_t len = (size_t)key->group_len + 2 + key->name_len;
	if (len >= sizeof(grouped))
		return; /* the limits are 128 and 512 */
	memcpy(grouped, key->group, key->group_len);
	memcpy(grouped + key->group_len, "@@", 2);
	memcpy(grouped + key->group_len + 2, key->name, key->name_len + 1u);
	if (!pattern_found(n->expr, grouped))
		return;
	if (strcmp(n->ns, key->ns) != 0)
		begin_namespace(&r->out, n, key->ns);
	n->count++;
	if (n->bare)
		json_strn(&r->out, key->name, key->name_len);
	else
		json_strn(&r->out, grouped, len);
}

static void answer_names(struct request *r, const char *key)
{
	struct names *n = r->more;
	if (r->err.code < 0) {
		reply_failure(r);
		return;
	}
	const char *asked = param_text(&r->params, P_NAMESPACE_ID);
	if (n->ns[0] == '\0' && (n->flat || (asked != NULL && !n->bare)))
		begin_namespace(&r->out, n, n->flat ? "public" : asked);
	if (n->ns[0] != '\0')
		json_close(&r->out, ']');
	if (!n->flat)
		json_close(&r->out, '}');
	struct text *t = answer_begin(r);
	if (r->out.failed)
		t->failed = true;
	json_open(t, '{');
	json_key(t, key);
	json_raw(t, r->out.at, r->out.len);
	json_kv_i64(t, "count", n->count);
	json_close(t, '}');
	answer_end(r);
}

static struct names *names_begin(struct request *r, bool flat)
{
	struct names *n = arena_zalloc(&r->call->arena, sizeof(*n));
	r->more = n;
	if (n == NULL)
		error_set(&r->err, E_NOMEM, "no memory for the list");
	else if (!flat)
		json_open(&r->out, '{');
	if (n != NULL)
		n->flat = flat;
	return n;
}

static void names_found(struct request *r)
{
	answer_names(r, "META-INF/services"); /* an accident of S2.3 that stayed */
}

void api_service_names(struct request *r)
{
	struct names *n = names_begin(r, false);
	const char *ns = param_text(&r->params, P_NAMESPACE_ID), *expr = param_text(&r->params, P_EXPR);
	if (n == NULL || (ns != NULL && name_check_namespace(ns, strlen(ns), &r->err) < 0) ||
	    (expr != NULL && pattern_check(expr, param_name(P_EXPR), &r->err) < 0)) {
		reply_failure(r);
		return;
	}
	n->expr = expr;
	request_walk(r, ns, NULL, add_name, names_found);
}

/* ---- the plug-in's list. Versions up to 1.0.1 of it want an array of the public ones, not a map. */

static bool wants_flat(const struct http_call *call)
{
	struct slice agent = http_call_header(call, "User-Agent");
	unsigned major = 0, minor = 0, patch = 0;
	char text[32];
	if (agent.at == NULL || agent.len >= sizeof(text))
		return false;
	memcpy(text, agent.at, agent.len);
	text[agent.len] = '\0';
	if (sscanf(text, "Nacos-DNS:v%3u.%3u.%3u", &major, &minor, &patch) < 1 &&
	    sscanf(text, "Nacos-DNS:%3u.%3u.%3u", &major, &minor, &patch) < 1)
		return false;
	return major < 1 || (major == 1 && minor == 0 && patch <= 1);
}

static void doms_found(struct request *r)
{
	answer_names(r, "doms");
}

/* Those of DEFAULT_GROUP: a name of another group could not be asked for. */
void api_legacy_names(struct request *r)
{
	bool flat = wants_flat(r->call);
	struct names *n = names_begin(r, flat);
	if (n == NULL) {
		reply_failure(r);
		return;
	}
	n->bare = true;
	request_walk(r, flat ? "public" : NULL, "DEFAULT_GROUP", add_name, doms_found);
}

/* json_in.c - what clients send as JSON; see json_in.h. */
#include "api/json_in.h"
#include "base/mem.h"

#include "api/flat_json.h"
#include "registry/failure.h"
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "\u0000" would end a C string early: cJSON hands out such a text cut short, so it is refused here. */
static bool has_escaped_nul(const char *s, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		if (s[i] != '\\')
			continue;
		if (s[i + 1] == 'u' && len - i >= 6 && memcmp(s + i + 2, "0000", 4) == 0)
			return true;
		i++;
	}
	return false;
}

/* The document as a tree, to be deleted by the caller. */
/* NULL with *@rc: E_OK when it is not JSON, E_NOMEM when nobody knows. */
static cJSON *parse(struct param_value text, int *rc, struct error *err)
{
	const char *end = NULL;
	uint64_t refused = mem_thread_refused();
	cJSON *tree = cJSON_ParseWithLengthOpts(text.at, text.len + 1, &end, 1);
	*rc = E_OK;
	if (tree == NULL && mem_thread_refused() != refused)
		*rc = error_set(err, E_NOMEM, "no memory to read JSON of %u bytes", text.len);
	return tree;
}

static int parse_object(cJSON **ret, struct param_value text, int what, const char *field, struct error *err)
{
	char part[SHOWN_MAX];
	int rc;
	if (has_escaped_nul(text.at, text.len))
		return error_set_what(err, E_INVALID, what, "Param '%s' is illegal, it holds \\u0000", field);
	cJSON *tree = parse(text, &rc, err);
	if (rc < 0)
		return rc;
	if (!cJSON_IsObject(tree)) {
		cJSON_Delete(tree);
		return error_set_what(err, E_INVALID, what, "Param '%s' is illegal, '%s' is not a JSON object",
				      field, shown(part, text.at, text.len));
	}
	*ret = tree;
	return E_OK;
}

static int set_text(const char **ret, uint16_t *len, struct arena *mem, const char *s, int what, const char *field,
		    struct error *err)
{
	size_t n = strlen(s);
	if (n > UINT16_MAX)
		return error_set_what(err, E_RANGE, what, "Param '%s' is illegal, a text of %zu bytes is over %u",
				      field, n, UINT16_MAX);
	char *copy = arena_memdup0(mem, s, n);
	if (copy == NULL)
		return error_set(err, E_NOMEM, "no memory for %s", field);
	*ret = copy;
	*len = (uint16_t)n;
	return E_OK;
}

static int value_of(const char **ret, uint16_t *len, struct arena *mem, const cJSON *v, int what,
		    const char *field, struct error *err)
{
	if (cJSON_IsString(v))
		return set_text(ret, len, mem, v->valuestring, what, field, err);
	if (cJSON_IsBool(v))
		return set_text(ret, len, mem, cJSON_IsTrue(v) ? "true" : "false", what, field, err);
	if (cJSON_IsNull(v))
		return set_text(ret, len, mem, "", what, field, err);
	if (!cJSON_IsNumber(v)) {
		char part[SHOWN_MAX];
		return error_set_what(err, E_INVALID, what, "Param '%s' is illegal, the value of '%s' is not a text",
				      field, shown(part, v->string, strlen(v->string)));
	}
	char *number = cJSON_PrintUnformatted(v);
	if (number == NULL)
		return error_set(err, E_NOMEM, "no memory for %s", field);
	int rc = set_text(ret, len, mem, number, what, field, err);
	cJSON_free(number);
	return rc;
}

/* The last of equal keys takes the place of the first. */
static void pairs_add(struct pair_list *list, const struct pair *p)
{
	for (size_t i = 0; i < list->count; i++) {
		struct pair *old = &list->at[i];
		if (old->key_len == p->key_len && memcmp(old->key, p->key, p->key_len) == 0) {
			*old = *p;
			return;
		}
	}
	list->at[list->count++] = *p;
}

static int pairs_room(struct pair_list *list, struct arena *mem, size_t count, int what, const char *field,
		      struct error *err)
{
	*list = (struct pair_list){ 0 };
	if (count > METADATA_PAIRS_MAX)
		return error_set_what(err, E_RANGE, what, "Param '%s' is illegal, %zu entries are over the limit of %d",
				      field, count, METADATA_PAIRS_MAX);
	list->at = arena_alloc(mem, (count + 1) * sizeof(*list->at));
	return list->at == NULL ? error_set(err, E_NOMEM, "no memory for %s", field) : E_OK;
}

int metadata_of_tree(struct pair_list *ret, struct arena *mem, const cJSON *tree, int what, const char *field,
		     struct error *err)
{
	int rc = pairs_room(ret, mem, (size_t)cJSON_GetArraySize(tree), what, field, err);
	for (const cJSON *v = tree->child; rc == E_OK && v != NULL; v = v->next) {
		struct pair p;
		rc = set_text(&p.key, &p.key_len, mem, v->string, what, field, err);
		if (rc == E_OK)
			rc = value_of(&p.value, &p.value_len, mem, v, what, field, err);
		if (rc == E_OK)
			pairs_add(ret, &p);
	}
	return rc;
}

/* k=v,k=v in place. */
static int pairs_of_list(struct pair_list *ret, struct arena *mem, struct param_value text, int what,
			 const char *field, struct error *err)
{
	size_t count = 1;
	for (size_t i = 0; i < text.len; i++)
		count += text.at[i] == ',';
	int rc = pairs_room(ret, mem, count, what, field, err);
	if (rc < 0)
		return rc;
	char part[SHOWN_MAX];
	for (char *at = text.at, *next; at != NULL; at = next) {
		next = strchr(at, ',');
		size_t len = next != NULL ? (size_t)(next - at) : strlen(at);
		if (next != NULL)
			*next++ = '\0';
		char *equals = memchr(at, '=', len);
		if (equals == NULL || equals == at)
			return error_set_what(err, E_INVALID, what,
					      "Param '%s' is illegal, metadata format incorrect: '%s'", field,
					      shown(part, at, len));
		size_t value_len = len - (size_t)(equals - at) - 1;
		if (len > UINT16_MAX)
			return error_set_what(err, E_RANGE, what,
					      "Param '%s' is illegal, a text of %zu bytes is over %u", field, len,
					      UINT16_MAX);
		*equals = '\0';
		struct pair p = { at, equals + 1, (uint16_t)(equals - at), (uint16_t)value_len };
		pairs_add(ret, &p);
	}
	return E_OK;
}

/* Members of a plain object of texts. false: something else stands in it. */
static bool pairs_of_flat(struct pair_list *ret, const struct flat_member *m, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (m[i].type != FLAT_STRING || m[i].key_len > UINT16_MAX || m[i].len > UINT16_MAX)
			return false;
		struct pair p = { m[i].key, m[i].at, (uint16_t)m[i].key_len, (uint16_t)m[i].len };
		pairs_add(ret, &p);
	}
	return true;
}

int metadata_decode(struct pair_list *ret, struct arena *mem, struct param_value text, int what,
		    const char *field, struct error *err)
{
	*ret = (struct pair_list){ 0 };
	if (text.at == NULL)
		return E_OK;
	size_t i = 0;
	while (i < text.len && (text.at[i] == ' ' || text.at[i] == '\n' || text.at[i] == '\t' || text.at[i] == '\r'))
		i++;
	if (text.at[i] != '{' && text.at[i] != '[')
		return pairs_of_list(ret, mem, text, what, field, err);
	struct flat_json flat;
	if (flat_parse(&flat, text.at, text.len) && flat.inner_of == NULL && flat_only(&flat, FLAT_STRING)) {
		int rc = pairs_room(ret, mem, flat.count, what, field, err);
		if (rc < 0)
			return rc;
		flat_terminate(&flat, text.at);
		if (pairs_of_flat(ret, flat.members, flat.count))
			return E_OK;
	}
	cJSON *tree;
	int rc = parse_object(&tree, text, what, field, err);
	if (rc < 0)
		return rc;
	rc = metadata_of_tree(ret, mem, tree, what, field, err);
	cJSON_Delete(tree);
	return rc;
}

/* ---- beats */

static int beat_port(struct beat_in *b, double v, struct error *err)
{
	if (!(v >= 0 && v <= 65535) || v != (double)(int)v)
		return error_set_what(err, E_RANGE, FAIL_PARAM,
				      "Param 'port' is illegal, %.15g in the beat is outside 0..65535", v);
	b->port = (uint16_t)v;
	b->has_port = true;
	return E_OK;
}

/* The common beat: plain texts, numbers, and one plain object, the metadata. false: read it the long way. */
static bool beat_of_flat(struct beat_in *b, struct arena *mem, struct flat_json *flat, char *text)
{
	if (flat->inner_of != NULL && strncmp(flat->inner_of->key, "metadata\"", 9) != 0)
		return false;
	if (flat->inner_of != NULL && !flat_inner_only(flat, FLAT_STRING))
		return false;
	for (unsigned i = 0; i < flat->count; i++) { /* anything to refuse: the long way says it */
		const struct flat_member *m = &flat->members[i];
		if (flat_is(m, "port") && (m->type != FLAT_NUMBER || !(m->number >= 0 && m->number <= 65535) ||
					   m->number != (double)(int)m->number))
			return false;
		if (flat_is(m, "weight") && m->type != FLAT_NUMBER)
			return false;
		if ((flat_is(m, "ip") || flat_is(m, "cluster") || flat_is(m, "serviceName")) &&
		    m->type != FLAT_STRING)
			return false;
		if (flat_is(m, "metadata") && m->type != FLAT_OBJECT)
			return false;
	}
	if (pairs_room(&b->metadata, mem, flat->inner_count, FAIL_INSTANCE_METADATA, "metadata", NULL) < 0)
		return false;
	flat_terminate(flat, text);
	pairs_of_flat(&b->metadata, flat->inner, flat->inner_count);
	for (unsigned i = 0; i < flat->count; i++) {
		const struct flat_member *m = &flat->members[i];
		if (flat_is(m, "ip"))
			b->ip = m->at;
		else if (flat_is(m, "cluster"))
			b->cluster = m->at;
		else if (flat_is(m, "serviceName"))
			b->service_name = m->at;
		else if (flat_is(m, "port"))
			b->port = (uint16_t)m->number, b->has_port = true;
		else if (flat_is(m, "weight"))
			b->weight = m->number;
		else if (flat_is(m, "ephemeral"))
			b->ephemeral = m->type != FLAT_FALSE;
	}
	return true;
}

static int beat_text(const char **ret, struct arena *mem, const cJSON *tree, const char *name, struct error *err)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(tree, name);
	if (v == NULL || cJSON_IsNull(v))
		return E_OK;
	if (!cJSON_IsString(v))
		return error_set_what(err, E_INVALID, FAIL_PARAM, "Param 'beat' is illegal, '%s' is not a text", name);
	*ret = arena_strdup(mem, v->valuestring);
	return *ret == NULL ? error_set(err, E_NOMEM, "no memory for the beat") : E_OK;
}

static int beat_of_tree(struct beat_in *b, struct arena *mem, const cJSON *tree, struct error *err)
{
	int rc = beat_text(&b->ip, mem, tree, "ip", err);
	if (rc == E_OK)
		rc = beat_text(&b->cluster, mem, tree, "cluster", err);
	if (rc == E_OK)
		rc = beat_text(&b->service_name, mem, tree, "serviceName", err);
	if (rc < 0)
		return rc;
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(tree, "port");
	if (v != NULL && !cJSON_IsNumber(v))
		return error_set_what(err, E_INVALID, FAIL_PARAM, "Param 'port' is illegal, it is not a number");
	if (v != NULL && (rc = beat_port(b, v->valuedouble, err)) < 0)
		return rc;
	v = cJSON_GetObjectItemCaseSensitive(tree, "weight");
	if (v != NULL && !cJSON_IsNumber(v) && !cJSON_IsNull(v))
		return error_set_what(err, E_INVALID, FAIL_WEIGHT, "Param 'weight' is illegal, it is not a number");
	if (cJSON_IsNumber(v))
		b->weight = v->valuedouble;
	b->ephemeral = !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(tree, "ephemeral"));
	v = cJSON_GetObjectItemCaseSensitive(tree, "metadata");
	if (v == NULL || cJSON_IsNull(v))
		return E_OK;
	if (!cJSON_IsObject(v))
		return error_set_what(err, E_INVALID, FAIL_INSTANCE_METADATA,
				      "Param 'metadata' is illegal, it is not a JSON object");
	return metadata_of_tree(&b->metadata, mem, v, FAIL_INSTANCE_METADATA, "metadata", err);
}

int beat_decode(struct beat_in *ret, struct arena *mem, struct param_value text, struct error *err)
{
	struct beat_in b = { .weight = 1.0, .ephemeral = true };
	struct flat_json flat;
	if (flat_parse(&flat, text.at, text.len) && beat_of_flat(&b, mem, &flat, text.at)) {
		*ret = b;
		return E_OK;
	}
	b = (struct beat_in){ .weight = 1.0, .ephemeral = true };
	cJSON *tree;
	int rc = parse_object(&tree, text, FAIL_INSTANCE, "beat", err);
	if (rc < 0)
		return rc;
	rc = beat_of_tree(&b, mem, tree, err);
	cJSON_Delete(tree);
	if (rc == E_OK)
		*ret = b;
	return rc;
}

/* ---- checkers and selectors */

static int checker_text(const char **ret, struct arena *mem, const cJSON *tree, const char *name,
			struct error *err)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(tree, name);
	*ret = "";
	if (v == NULL || cJSON_IsNull(v))
		return E_OK;
	if (!cJSON_IsString(v))
		return error_set_what(err, E_INVALID, FAIL_PARAM,
				      "Param 'healthChecker' is illegal, '%s' is not a text", name);
	*ret = arena_strdup(mem, v->valuestring);
	return *ret == NULL ? error_set(err, E_NOMEM, "no memory for the health checker") : E_OK;
}

static enum checker_kind checker_kind_of(const char *type)
{
	return strcasecmp(type, "TCP") == 0	? CHECKER_TCP
	       : strcasecmp(type, "HTTP") == 0	? CHECKER_HTTP
	       : strcasecmp(type, "MYSQL") == 0 ? CHECKER_MYSQL
						: CHECKER_NONE;
}

static int checker_of_tree(struct checker *c, struct arena *mem, const cJSON *tree, struct error *err)
{
	static const struct {
		const char *name;
		size_t at;
	} texts[] = {
		{ "type", offsetof(struct checker, type) },   { "path", offsetof(struct checker, path) },
		{ "headers", offsetof(struct checker, headers) }, { "user", offsetof(struct checker, user) },
		{ "pwd", offsetof(struct checker, password) }, { "cmd", offsetof(struct checker, command) },
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int rc = checker_text((const char **)((char *)c + texts[i].at), mem, tree, texts[i].name, err);
		if (rc < 0)
			return rc;
	}
	if (c->type[0] == '\0')
		return error_set_what(err, E_MISSING, FAIL_PARAM,
				      "Param 'healthChecker' is illegal, it has no type (TCP, HTTP, MYSQL, NONE)");
	c->kind = checker_kind_of(c->type);
	c->expected_code = 200;
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(tree, "expectedResponseCode");
	if (v == NULL || cJSON_IsNull(v))
		return E_OK;
	if (!cJSON_IsNumber(v) || !(v->valuedouble >= 100 && v->valuedouble <= 599))
		return error_set_what(err, E_RANGE, FAIL_PARAM,
				      "Param 'healthChecker' is illegal, expectedResponseCode is outside 100..599");
	c->expected_code = (int)v->valuedouble;
	return E_OK;
}

int checker_decode(struct checker *ret, struct arena *mem, struct param_value text, struct error *err)
{
	cJSON *tree;
	struct checker c = { 0 };
	int rc = parse_object(&tree, text, FAIL_PARAM, "healthChecker", err);
	if (rc < 0)
		return rc;
	rc = checker_of_tree(&c, mem, tree, err);
	cJSON_Delete(tree);
	if (rc == E_OK)
		*ret = c;
	return rc;
}

int selector_check(struct param_value text, struct error *err)
{
	cJSON *tree;
	int rc = parse_object(&tree, text, FAIL_SELECTOR, "selector", err);
	if (rc < 0)
		return rc;
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(tree, "type");
	bool known = cJSON_IsString(type) &&
		     (strcmp(type->valuestring, "none") == 0 || strcmp(type->valuestring, "label") == 0);
	cJSON_Delete(tree);
	return known ? E_OK
		     : error_set_what(err, E_INVALID, FAIL_SELECTOR,
				      "Param 'selector' is illegal, its type is neither none nor label");
}

/* ---- instances of a batch */

static int target_text(const char **ret, struct arena *mem, const cJSON *tree, const char *name, struct error *err)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(tree, name);
	*ret = "";
	if (v == NULL || cJSON_IsNull(v))
		return E_OK;
	if (!cJSON_IsString(v))
		return error_set_what(err, E_INVALID, FAIL_PARAM, "Param 'instances' is illegal, '%s' is not a text", name);
	*ret = arena_strdup(mem, v->valuestring);
	return *ret == NULL ? error_set(err, E_NOMEM, "no memory for the instances") : E_OK;
}

static int target_of_tree(struct instance_target *t, struct arena *mem, const cJSON *tree, struct error *err)
{
	if (!cJSON_IsObject(tree))
		return error_set_what(err, E_INVALID, FAIL_PARAM, "Param 'instances' is illegal, a member is no object");
	int rc = target_text(&t->ip, mem, tree, "ip", err);
	if (rc == E_OK)
		rc = target_text(&t->cluster, mem, tree, "clusterName", err);
	if (rc < 0)
		return rc;
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(tree, "port");
	char *end = NULL;
	double port = cJSON_IsNumber(v) ? v->valuedouble : cJSON_IsString(v) ? strtod(v->valuestring, &end) : 0;
	if ((v != NULL && !cJSON_IsNumber(v) && !cJSON_IsNull(v) && end == NULL) || (end != NULL && *end != '\0'))
		return error_set_what(err, E_INVALID, FAIL_PARAM, "Param 'instances' is illegal, a port is not a number");
	if (!(port >= 0 && port <= 65535) || port != (double)(int)port)
		return error_set_what(err, E_RANGE, FAIL_PARAM, "Param 'instances' is illegal, port %.15g is outside 0..65535",
				      port);
	t->port = (uint16_t)port;
	return E_OK;
}

int targets_decode(const struct instance_target **ret, size_t *count, struct arena *mem, struct param_value text,
		   struct error *err)
{
	char part[SHOWN_MAX];
	int rc = E_OK;
	cJSON *tree = has_escaped_nul(text.at, text.len) ? NULL : parse(text, &rc, err);
	if (rc < 0)
		return rc;
	size_t n = cJSON_IsArray(tree) ? (size_t)cJSON_GetArraySize(tree) : 0, at = 0;
	struct instance_target *to = NULL;
	if (!cJSON_IsArray(tree))
		rc = error_set_what(err, E_INVALID, FAIL_PARAM, "Param 'instances' is illegal, '%s' is not a JSON array",
				    shown(part, text.at, text.len));
	else if (n > TARGETS_MAX)
		rc = error_set_what(err, E_RANGE, FAIL_PARAM, "Param 'instances' is illegal, %zu entries are over the limit of %d",
				    n, TARGETS_MAX);
	else if ((to = arena_alloc(mem, (n + 1) * sizeof(*to))) == NULL)
		rc = error_set(err, E_NOMEM, "no memory for the instances");
	for (const cJSON *v = rc == E_OK ? tree->child : NULL; rc == E_OK && v != NULL; v = v->next)
		rc = target_of_tree(&to[at++], mem, v, err);
	cJSON_Delete(tree);
	if (rc < 0)
		return rc;
	*ret = to;
	*count = n;
	return E_OK;
}

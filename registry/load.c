/* load.c - rows become the registry again. Every row is turned into the command that once made it and goes
 * through the same plans, without limits: what was acknowledged is not refused now. */
#include "base/json_cursor.h"
#include "registry/rows.h"
#include "store/key.h"

#include <stdlib.h>
#include <string.h>

enum { RESTORED_GRACE_MS = 30000 /* beyond the deadline of beats, for connections: the latest SDKs redo after 40 s */ };
enum { SEGMENTS_MAX = 8, PAIRS_FIRST = 16, ROW_ARENA_FIRST = 8192, ROW_ARENA_MAX = 1 << 20 };

struct row { /* one row being read */
	struct registry *r;
	struct arena *mem;
	const struct store_entry *entry;
	const char *segments[SEGMENTS_MAX];
	size_t segment_count;
	struct json_value value;
	bool warm;
	int64_t now_ms;
	struct error *err;
};

static int bad(const struct row *row, const char *why)
{
	return error_set(row->err, E_INVALID, "row %.200s: %s", row->entry->key, why);
}

static int no_memory(const struct row *row)
{
	return error_set(row->err, E_NOMEM, "row %.200s: no memory", row->entry->key);
}

static int split_key(struct row *row)
{
	const char *at = row->entry->key + sizeof(ROWS_ROOT) - 1;
	char segment[2048];
	int rc;

	if (strncmp(row->entry->key, ROWS_ROOT, sizeof(ROWS_ROOT) - 1) != 0)
		return E_NOTFOUND;
	while ((rc = key_next(&at, segment, sizeof(segment))) == E_OK) {
		if (row->segment_count == SEGMENTS_MAX)
			return E_NOTFOUND;
		row->segments[row->segment_count] = arena_strdup(row->mem, segment);
		if (row->segments[row->segment_count++] == NULL)
			return no_memory(row);
	}
	return rc == E_NOTFOUND ? E_OK : bad(row, "its key is malformed");
}

static inline bool is_key(const struct json_value *v, const char *key, enum json_type type)
{
	return v->type == type && v->key_len == strlen(key) && memcmp(v->key, key, v->key_len) == 0;
}

/* Most maps are small, and room for the largest would not lie in the row's own memory. */
static struct pair *pairs_more(struct row *row, const struct pair *pairs, size_t n, size_t *room)
{
	size_t more = n == 0 ? PAIRS_FIRST : 4 * n;
	struct pair *fresh = arena_alloc(row->mem, more * sizeof(*fresh));

	if (fresh != NULL && n > 0)
		memcpy(fresh, pairs, n * sizeof(*fresh));
	*room = more;
	return fresh;
}

/* An object of texts as pairs of the arena. */
static bool read_pairs(struct row *row, struct json_value *object, const struct pair **ret, size_t *ret_count)
{
	struct pair *pairs = NULL;
	struct json_value v;
	size_t n = 0, room = 0;

	while (json_next(&object->inner, row->mem, &v), v.type != JSON_END) {
		if (v.type != JSON_STRING || n == PAIRS_MAX || v.key_len > UINT16_MAX || v.text_len > UINT16_MAX)
			return false;
		if (n == room && (pairs = pairs_more(row, pairs, n, &room)) == NULL)
			return false;
		pairs[n++] = (struct pair){ v.key, v.text, (uint16_t)v.key_len, (uint16_t)v.text_len };
	}
	*ret = pairs;
	*ret_count = n;
	return !object->inner.failed;
}

static struct service_key key_at(const struct row *row, size_t first)
{
	const char *const *s = &row->segments[first];

	return (struct service_key){ s[0], s[1], s[2], (uint16_t)strlen(s[0]), (uint16_t)strlen(s[1]),
				     (uint16_t)strlen(s[2]) };
}

static int apply(struct row *row, struct command *cmd, struct plan *p)
{
	int rc;

	cmd->cause = CAUSE_RESTORE;
	rc = plan_make(row->r, p, cmd, row->now_ms, row->err);
	if (rc == E_OK && !p->nothing)
		plan_apply(row->r, p, (uint64_t)row->entry->mod_revision);
	return rc;
}

/* A listed service of this kind, made if need be. */
static int hold_service(struct row *row, const struct service_key *key, bool ephemeral, struct service **ret)
{
	struct command cmd;
	struct plan p;
	int rc;

	*ret = registry_find(row->r, key, service_key_hash(key));
	if (*ret != NULL)
		return E_OK;
	command_init(&cmd, CMD_CALL);
	cmd.key = *key;
	plan_init(&p, &cmd, row->now_ms);
	rc = plan_service_new(row->r, &p, ephemeral, row->err);
	if (rc < 0) {
		plan_drop(row->r, &p);
		return rc;
	}
	*ret = p.service;
	plan_apply(row->r, &p, (uint64_t)row->entry->mod_revision);
	return E_OK;
}

static void older(struct service *s, int64_t created)
{
	if (created > 0 && (uint64_t)created < s->info->created)
		s->info->created = (uint64_t)created; /* no view has it yet */
}

/* ---- i/<bb>/<ns>/<group>/<service>/<cluster>/<ip>/<port> */

struct tail {
	const char *cluster, *ip;
	uint16_t port;
};

static int read_tail(const struct row *row, struct tail *ret)
{
	char *end;
	unsigned long port;

	if (row->segment_count != 8)
		return bad(row, "its key has not eight parts");
	port = strtoul(row->segments[7], &end, 10);
	if (*end != '\0' || port > 65535)
		return bad(row, "its port is none");
	*ret = (struct tail){ row->segments[5], row->segments[6], (uint16_t)port };
	return E_OK;
}

struct instance_row {
	struct service_key key;
	struct instance_spec spec;
	int64_t kind, registered_ms, created;
};

static int read_instance_value(struct row *row, struct instance_row *to)
{
	struct instance_spec *spec = &to->spec;
	struct json_value v;

	while (json_next(&row->value.inner, row->mem, &v), v.type != JSON_END) {
		if (v.key == NULL)
			return bad(row, "it is not JSON");
		if (is_key(&v, "kind", JSON_NUMBER))
			to->kind = v.integer;
		else if (is_key(&v, "weight", JSON_NUMBER))
			spec->weight = v.number;
		else if (is_key(&v, "enabled", JSON_BOOL))
			spec->enabled = v.boolean;
		else if (is_key(&v, "healthy", JSON_BOOL))
			spec->healthy = v.boolean;
		else if (is_key(&v, "metadata", JSON_OBJECT)) {
			if (!read_pairs(row, &v, &spec->metadata, &spec->metadata_count))
				return bad(row, "its metadata cannot be read");
		} else if (is_key(&v, "app", JSON_STRING))
			spec->app = v.text;
		else if (is_key(&v, "id", JSON_STRING))
			spec->instance_id = v.text;
		else if (is_key(&v, "registered_ms", JSON_NUMBER))
			to->registered_ms = v.integer;
		else if (is_key(&v, "created", JSON_NUMBER))
			to->created = v.integer;
	}
	return row->value.inner.failed ? bad(row, "it is not JSON") : E_OK;
}

/* All that stands in the row, into @to. Any thread. */
static int read_instance(struct row *row, struct instance_row *to)
{
	struct command blank;
	struct tail tail;
	int rc = read_tail(row, &tail);

	if (rc < 0)
		return rc;
	command_init(&blank, CMD_INSTANCE_REGISTER);
	*to = (struct instance_row){ .key = key_at(row, 2), .spec = blank.instance, .created = row->entry->mod_revision };
	rc = read_instance_value(row, to);
	to->spec.ip = tail.ip;
	to->spec.port = tail.port;
	to->spec.cluster = tail.cluster;
	to->spec.ephemeral = to->kind != ROW_PERSISTENT;
	to->spec.publisher = to->kind == ROW_BY_CONNECTION ? PUBLISHER_RESTORED : PUBLISHER_BEATS;
	return rc;
}

static int apply_instance(struct row *row, const struct instance_row *it)
{
	struct command cmd;
	struct plan p;
	int rc;

	if (it->spec.ephemeral != row->warm)
		return bad(row, "its kind does not belong here");
	command_init(&cmd, CMD_INSTANCE_REGISTER);
	cmd.instance = it->spec;
	cmd.key = it->key;
	rc = apply(row, &cmd, &p);
	if (rc < 0 || p.nothing)
		return rc;
	if (it->registered_ms > 0)
		p.one.fresh->registered_ms = it->registered_ms;
	if (row->warm)
		p.one.fresh->flags |= INSTANCE_RESTORED;
	if (it->kind == ROW_BY_CONNECTION) /* the slowest SDKs register again in a round of 30 s */
		atomic_fetch_add_explicit(&p.one.fresh->last_beat_ms, RESTORED_GRACE_MS, memory_order_relaxed);
	older(p.service, it->created);
	return E_OK;
}

static int load_instance(struct row *row)
{
	struct instance_row it;
	int rc = read_instance(row, &it);

	return rc < 0 ? rc : apply_instance(row, &it);
}

/* ---- im/... */

static int read_overlay(struct row *row, struct instance_spec *spec, bool *ephemeral)
{
	struct json_value v;

	while (json_next(&row->value.inner, row->mem, &v), v.type != JSON_END) {
		if (is_key(&v, "ephemeral", JSON_BOOL)) {
			*ephemeral = v.boolean;
		} else if (is_key(&v, "weight", JSON_NUMBER)) {
			spec->weight = v.number;
			spec->has |= HAS_WEIGHT;
		} else if (is_key(&v, "enabled", JSON_BOOL)) {
			spec->enabled = v.boolean;
			spec->has |= HAS_ENABLED;
		} else if (is_key(&v, "metadata", JSON_OBJECT)) {
			spec->has |= HAS_METADATA;
			if (!read_pairs(row, &v, &spec->metadata, &spec->metadata_count))
				return bad(row, "its metadata cannot be read");
		}
	}
	return row->value.inner.failed ? bad(row, "it is not JSON") : E_OK;
}

static int load_overlay(struct row *row)
{
	bool ephemeral = true;
	struct command cmd;
	struct service *s;
	struct tail tail;
	struct plan p;
	int rc = read_tail(row, &tail);

	if (rc < 0)
		return rc;
	command_init(&cmd, CMD_INSTANCE_UPDATE);
	rc = read_overlay(row, &cmd.instance, &ephemeral);
	if (rc < 0)
		return rc;
	cmd.instance.ip = tail.ip;
	cmd.instance.port = tail.port;
	cmd.instance.cluster = tail.cluster;
	cmd.key = key_at(row, 2);
	rc = hold_service(row, &cmd.key, ephemeral, &s);
	return rc < 0 ? rc : apply(row, &cmd, &p);
}

/* ---- hv/... */

static int load_verdict(struct row *row)
{
	struct json_value v;
	struct command cmd;
	struct tail tail;
	struct plan p;
	int rc = read_tail(row, &tail);

	if (rc < 0)
		return rc;
	command_init(&cmd, CMD_VERDICT);
	while (json_next(&row->value.inner, row->mem, &v), v.type != JSON_END) {
		if (is_key(&v, "healthy", JSON_BOOL))
			cmd.instance.healthy = v.boolean;
		else if (is_key(&v, "reason", JSON_STRING))
			cmd.reason = v.text;
	}
	if (row->value.inner.failed)
		return bad(row, "it is not JSON");
	cmd.instance.ip = tail.ip;
	cmd.instance.port = tail.port;
	cmd.instance.cluster = tail.cluster;
	cmd.key = key_at(row, 2);
	return apply(row, &cmd, &p);
}

/* ---- svc/<ns>/<group>/<service> */

static void read_checker(struct row *row, struct json_value *object, struct checker *c)
{
	static const char *const kinds[] = { "TCP", "HTTP", "MYSQL", "NONE" };
	struct json_value v;

	while (json_next(&object->inner, row->mem, &v), v.type != JSON_END) {
		if (is_key(&v, "kind", JSON_STRING)) {
			c->kind = CHECKER_NONE;
			for (int k = 0; k < 4; k++)
				if (strcmp(kinds[k], v.text) == 0)
					c->kind = (enum checker_kind)k;
		} else if (is_key(&v, "type", JSON_STRING))
			c->type = v.text;
		else if (is_key(&v, "path", JSON_STRING))
			c->path = v.text;
		else if (is_key(&v, "headers", JSON_STRING))
			c->headers = v.text;
		else if (is_key(&v, "expected_code", JSON_NUMBER))
			c->expected_code = (int)v.integer;
		else if (is_key(&v, "user", JSON_STRING))
			c->user = v.text;
		else if (is_key(&v, "password", JSON_STRING))
			c->password = v.text;
		else if (is_key(&v, "command", JSON_STRING))
			c->command = v.text;
	}
}

static bool pack(struct row *row, const struct pair *pairs, size_t n, struct packed *ret)
{
	size_t size = packed_size(pairs, n);
	char *at = arena_alloc(row->mem, size + 1);

	if (at == NULL)
		return false;
	packed_build(at, pairs, n);
	*ret = (struct packed){ at, (uint32_t)size, (uint32_t)n };
	return true;
}

static bool read_cluster(struct row *row, struct json_value *object, struct cluster *c)
{
	const struct pair *pairs;
	struct json_value v;
	size_t n;

	cluster_default(c, "");
	while (json_next(&object->inner, row->mem, &v), v.type != JSON_END) {
		if (is_key(&v, "name", JSON_STRING))
			c->name = v.text;
		else if (is_key(&v, "checker", JSON_OBJECT))
			read_checker(row, &v, &c->checker);
		else if (is_key(&v, "check_port", JSON_NUMBER))
			c->check_port = (uint16_t)v.integer;
		else if (is_key(&v, "use_instance_port", JSON_BOOL))
			c->use_instance_port = v.boolean;
		else if (is_key(&v, "metadata", JSON_OBJECT) &&
			 (!read_pairs(row, &v, &pairs, &n) || !pack(row, pairs, n, &c->metadata)))
			return false;
	}
	return !object->inner.failed;
}

static int load_clusters(struct row *row, struct json_value *array, const struct service_key *key)
{
	struct json_value v;
	struct command cmd;
	struct plan p;
	int rc = E_OK;

	command_init(&cmd, CMD_CLUSTER_UPDATE);
	cmd.key = *key;
	while (json_next(&array->inner, row->mem, &v), rc == E_OK && v.type != JSON_END) {
		if (v.type != JSON_OBJECT || !read_cluster(row, &v, &cmd.cluster))
			return bad(row, "a cluster cannot be read");
		rc = apply(row, &cmd, &p);
	}
	return rc;
}

struct service_row {
	struct service_spec spec;
	bool stored;
	int64_t created;
	struct json_value clusters;
};

static int read_service(struct row *row, struct service_row *to)
{
	struct json_value v;

	while (json_next(&row->value.inner, row->mem, &v), v.type != JSON_END) {
		if (is_key(&v, "ephemeral", JSON_BOOL))
			to->spec.ephemeral = v.boolean;
		else if (is_key(&v, "stored", JSON_BOOL))
			to->stored = v.boolean;
		else if (is_key(&v, "protect_threshold", JSON_NUMBER))
			to->spec.protect_threshold = v.number;
		else if (is_key(&v, "selector", JSON_STRING))
			to->spec.selector = v.text;
		else if (is_key(&v, "created", JSON_NUMBER))
			to->created = v.integer;
		else if (is_key(&v, "clusters", JSON_ARRAY))
			to->clusters = v;
		else if (is_key(&v, "metadata", JSON_OBJECT) &&
			 !read_pairs(row, &v, &to->spec.metadata, &to->spec.metadata_count))
			return bad(row, "its metadata cannot be read");
	}
	return row->value.inner.failed ? bad(row, "it is not JSON") : E_OK;
}

static int load_service(struct row *row)
{
	struct service_row it = { .created = row->entry->mod_revision };
	struct service_key key;
	struct command cmd;
	struct service *s;
	struct plan p;
	int rc;

	if (row->segment_count != 4)
		return bad(row, "its key has not four parts");
	key = key_at(row, 1);
	rc = read_service(row, &it);
	if (rc == E_OK)
		rc = hold_service(row, &key, it.spec.ephemeral, &s);
	if (rc < 0)
		return rc;
	if (it.stored) {
		command_init(&cmd, CMD_SERVICE_UPDATE);
		cmd.key = key;
		cmd.service = it.spec;
		rc = apply(row, &cmd, &p);
	}
	if (rc == E_OK && it.clusters.type == JSON_ARRAY)
		rc = load_clusters(row, &it.clusters, &key);
	older(s, it.created);
	return rc;
}

/* ---- ns/<id>, switch/<entry> */

static int load_named(struct row *row, enum command_kind kind)
{
	struct json_value v;
	struct command cmd;
	struct plan p;

	if (row->segment_count != 2)
		return bad(row, "its key has not two parts");
	command_init(&cmd, kind);
	if (kind == CMD_SWITCH_SET)
		cmd.set.entry = row->segments[1];
	else
		cmd.ns.id = row->segments[1];
	while (json_next(&row->value.inner, row->mem, &v), v.type != JSON_END) {
		if (v.type != JSON_STRING)
			continue;
		if (kind == CMD_SWITCH_SET && strcmp(v.key, "value") == 0)
			cmd.set.value = v.text;
		else if (kind != CMD_SWITCH_SET && strcmp(v.key, "name") == 0)
			cmd.ns.name = v.text;
		else if (kind != CMD_SWITCH_SET && strcmp(v.key, "description") == 0)
			cmd.ns.description = v.text;
	}
	return apply(row, &cmd, &p);
}

static int load_by_kind(struct row *row)
{
	const char *kind = row->segment_count == 0 ? "" : row->segments[0];
	bool durable = !row->warm;

	if (strcmp(kind, "i") == 0)
		return load_instance(row);
	if (strcmp(kind, "hv") == 0 && row->warm)
		return load_verdict(row);
	if (strcmp(kind, "im") == 0 && durable)
		return load_overlay(row);
	if (strcmp(kind, "svc") == 0 && durable)
		return load_service(row);
	if (strcmp(kind, "ns") == 0 && durable)
		return load_named(row, CMD_NAMESPACE_CREATE);
	if (strcmp(kind, "switch") == 0 && durable)
		return load_named(row, CMD_SWITCH_SET);
	return E_NOTFOUND;
}

static bool is_ours(const char *key)
{
	static const char *const kinds[] = { "i/", "im/", "hv/", "svc/", "ns/", "switch/" };

	if (strncmp(key, ROWS_ROOT, sizeof(ROWS_ROOT) - 1) != 0)
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(key + sizeof(ROWS_ROOT) - 1, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

static bool is_instance(const struct store_entry *e)
{
	return strncmp(e->key, ROWS_ROOT "i/", sizeof(ROWS_ROOT "i/") - 1) == 0;
}

/* The key's segments and the value as an object; the members of an instance, of which there may be a million, are
 * checked as they are read. */
static int row_open(struct row *row)
{
	struct cursor c = cursor_of(row->entry->value, row->entry->value_len);
	int rc = split_key(row);

	if (rc == E_OK && is_instance(row->entry))
		return json_begin_object(&c, &row->value) ? E_OK : bad(row, "it is not a JSON object");
	if (rc == E_OK && (!json_begin(&c, row->mem, &row->value) || row->value.type != JSON_OBJECT))
		rc = bad(row, "it is not a JSON object");
	return rc;
}

const void *row_prepare(const struct store_entry *e, struct arena *mem)
{
	struct row row = { .mem = mem, .entry = e };
	struct instance_row *it;

	if (!is_instance(e) || row_open(&row) < 0)
		return NULL;
	it = arena_alloc(mem, sizeof(*it));
	return it != NULL && read_instance(&row, it) == E_OK ? it : NULL;
}

int row_load(struct registry *r, const struct store_entry *e, bool warm, int64_t now_ms, struct error *err)
{
	struct row row = { .r = r, .entry = e, .warm = warm, .now_ms = now_ms, .err = err };
	char first[ROW_ARENA_FIRST];
	struct arena mem;
	int rc;

	if (e->prepared != NULL)
		return apply_instance(&row, e->prepared);
	if (!is_ours(e->key))
		return E_NOTFOUND;
	arena_init(&mem, first, sizeof(first), ROW_ARENA_MAX);
	row.mem = &mem;
	rc = row_open(&row);
	if (rc == E_OK)
		rc = load_by_kind(&row);
	arena_done(&mem);
	return rc;
}

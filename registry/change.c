/* change.c - a change packed and printed.
 *
 * Packed are the texts and, for an instance, copies of its records, so that the control thread pays for a copy
 * and not for the formatting. What operators change is rare: its members are printed at once. */
#include "registry/change.h"
#include "registry/core.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ALIGN = 8 };

struct packed_change {
	uint32_t size; /* whole */
	uint32_t old_at, fresh_at; /* of copied records; 0: none */
	uint8_t what, cause;
	uint16_t port;
	int64_t silent_ms, wall_ms;
	uint64_t number;
	char text[]; /* see enum packed_text; each with its NUL */
};

enum packed_text { TEXT_NS, TEXT_GROUP, TEXT_NAME, TEXT_CLUSTER, TEXT_OLD_CLUSTER, TEXT_IP, TEXT_REMOTE, TEXT_REASON, TEXT_ENTRY, TEXT_BEFORE, TEXT_AFTER, TEXTS };

/* ---- names */

static const char *const what_names[CHANGE_WHATS] = {
	"register",	  "deregister",	      "update",		  "override",	      "service_create", "service_update",
	"service_delete", "namespace_create", "namespace_update", "namespace_delete", "switch",
};

enum instance_difference { DIFFERS_HEALTH = 1, DIFFERS_ENABLED = 2, DIFFERS_WEIGHT = 4, DIFFERS_METADATA = 8, DIFFERS_OTHER = 16 };

static unsigned differences(const struct instance *a, const struct instance *b)
{
	unsigned d = 0;
	uint8_t flags = a->flags ^ b->flags;

	if ((flags & INSTANCE_HEALTHY) != 0)
		d |= DIFFERS_HEALTH;
	if ((flags & INSTANCE_ENABLED) != 0)
		d |= DIFFERS_ENABLED;
	if (a->weight < b->weight || a->weight > b->weight)
		d |= DIFFERS_WEIGHT;
	if (a->metadata_len != b->metadata_len ||
	    memcmp(instance_metadata(a).at, instance_metadata(b).at, a->metadata_len) != 0)
		d |= DIFFERS_METADATA;
	if ((flags & INSTANCE_OVERRIDDEN) != 0 || a->cluster != b->cluster ||
	    strcmp(instance_custom_id(a), instance_custom_id(b)) != 0 ||
	    strcmp(instance_app(a), instance_app(b)) != 0)
		d |= DIFFERS_OTHER;
	return d;
}

static const char *update_name(const struct instance *old, const struct instance *fresh)
{
	switch (differences(old, fresh) & ~(unsigned)DIFFERS_OTHER) {
	case DIFFERS_HEALTH:
		return "health";
	case DIFFERS_ENABLED:
		return "enabled";
	case DIFFERS_WEIGHT:
		return "weight";
	case DIFFERS_METADATA:
		return "metadata";
	default:
		return what_names[CHANGE_UPDATE];
	}
}

const char *change_what_label(enum change_what what)
{
	return what_names[what];
}

const char *change_what_name(const struct change *c)
{
	return c->what == CHANGE_UPDATE ? update_name(c->old, c->fresh) : what_names[c->what];
}

const char *change_cause_name(enum command_cause cause)
{
	switch (cause) {
	case CAUSE_API:
		return "api";
	case CAUSE_BEAT:
		return "beat";
	case CAUSE_BEAT_EXPIRED:
		return "beat_expired";
	case CAUSE_CONNECTION:
		return "connection_closed";
	case CAUSE_PORT_REFUSED:
		return "connection_closed_port_refused";
	case CAUSE_PROBE:
		return "probe";
	case CAUSE_OPERATOR:
		return "operator";
	case CAUSE_RESTORE:
		return "restart";
	case CAUSE_CLEAN:
		return "clean";
	}
	return "api";
}

/* ---- members of before and after */

static void put_metadata(struct text *to, struct packed metadata)
{
	struct pair p;

	json_key(to, "metadata");
	json_open(to, '{');
	for (size_t at = 0; packed_next(&metadata, &at, &p);)
		json_kv_str(to, p.key, p.value);
	json_close(to, '}');
}

/* Those members of @i that @members (enum instance_difference) names. */
static void put_instance(struct text *to, const struct instance *i, unsigned members, const char *cluster)
{
	json_open(to, '{');
	if ((members & DIFFERS_HEALTH) != 0)
		json_kv_bool(to, "healthy", (i->flags & INSTANCE_HEALTHY) != 0);
	if ((members & DIFFERS_ENABLED) != 0)
		json_kv_bool(to, "enabled", (i->flags & INSTANCE_ENABLED) != 0);
	if ((members & DIFFERS_WEIGHT) != 0)
		json_kv_double(to, "weight", i->weight);
	if ((members & DIFFERS_METADATA) != 0)
		put_metadata(to, instance_metadata(i));
	if ((members & DIFFERS_OTHER) != 0) {
		json_kv_str(to, "cluster", cluster);
		json_kv_bool(to, "ephemeral", (i->flags & INSTANCE_EPHEMERAL) != 0);
		json_kv_bool(to, "overridden", (i->flags & INSTANCE_OVERRIDDEN) != 0);
		if (i->id_len > 0)
			json_kv_str(to, "instanceId", instance_custom_id(i));
		if (i->app_len > 0)
			json_kv_str(to, "app", instance_app(i));
	}
	json_close(to, '}');
}

static void put_content(struct text *to, const struct overlay_content *c)
{
	json_open(to, '{');
	if ((c->has & HAS_WEIGHT) != 0)
		json_kv_double(to, "weight", c->weight);
	if ((c->has & HAS_ENABLED) != 0)
		json_kv_bool(to, "enabled", c->enabled);
	if ((c->has & HAS_METADATA) != 0)
		put_metadata(to, (struct packed){ c->text, c->metadata_len, c->metadata_count });
	json_close(to, '}');
}

/* A checker's user, password and command stay out of the log. */
static void put_cluster(struct text *to, const struct cluster *c)
{
	json_open(to, '{');
	json_kv_str(to, "name", c->name);
	json_kv_str(to, "checker", c->checker.type);
	if (c->checker.kind == CHECKER_HTTP) {
		json_kv_str(to, "path", c->checker.path);
		json_kv_i64(to, "expectedCode", c->checker.expected_code);
	}
	json_kv_bool(to, "useInstancePort", c->use_instance_port);
	json_kv_i64(to, "checkPort", c->check_port);
	put_metadata(to, c->metadata);
	json_close(to, '}');
}

static bool same_packed(struct packed a, struct packed b)
{
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

static bool same_cluster(const struct cluster *a, const struct cluster *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->checker.type, b->checker.type) == 0 &&
	       strcmp(a->checker.path, b->checker.path) == 0 && strcmp(a->checker.headers, b->checker.headers) == 0 &&
	       strcmp(a->checker.user, b->checker.user) == 0 && strcmp(a->checker.password, b->checker.password) == 0 &&
	       strcmp(a->checker.command, b->checker.command) == 0 &&
	       a->checker.expected_code == b->checker.expected_code && a->check_port == b->check_port &&
	       a->use_instance_port == b->use_instance_port && same_packed(a->metadata, b->metadata);
}

/* Places in the list are stable, so a cluster is compared with its namesake. */
static void put_clusters(struct text *to, const struct service_info *info, const struct service_info *other)
{
	bool open = false;

	for (uint32_t i = 0; i < info->cluster_count; i++) {
		if (other != NULL && i < other->cluster_count && same_cluster(&info->clusters[i], &other->clusters[i]))
			continue;
		if (!open) {
			json_key(to, "clusters");
			json_open(to, '[');
			open = true;
		}
		put_cluster(to, &info->clusters[i]);
	}
	if (open)
		json_close(to, ']');
}

/* What differs from @other; NULL: all. */
static void put_info(struct text *to, const struct service_info *info, const struct service_info *other)
{
	json_open(to, '{');
	if (other == NULL || other->ephemeral != info->ephemeral)
		json_kv_bool(to, "ephemeral", info->ephemeral);
	if (other == NULL || other->protect_threshold < info->protect_threshold ||
	    other->protect_threshold > info->protect_threshold)
		json_kv_double(to, "protectThreshold", info->protect_threshold);
	if (other == NULL || strcmp(other->selector, info->selector) != 0)
		json_kv_str(to, "selector", info->selector);
	if (other == NULL || !same_packed(other->metadata, info->metadata))
		put_metadata(to, info->metadata);
	put_clusters(to, info, other);
	json_close(to, '}');
}

static void put_namespace(struct text *to, const char *name, const char *description)
{
	json_open(to, '{');
	json_kv_str(to, "name", name);
	json_kv_str(to, "description", description);
	json_close(to, '}');
}

/* What is not an instance: one side of it, if there is one. */
static void put_side(struct text *to, const struct change *c, bool after)
{
	const struct service_info *info = after ? c->info : c->old_info;
	const struct overlay_content *content = c->overlay == NULL ? NULL : after ? c->content : c->overlay->content;
	const struct switches *sw = after ? c->switches : c->old_switches;
	const char *name = after ? c->name : c->old_name;

	if (c->what == CHANGE_OVERRIDE && content != NULL)
		put_content(to, content);
	else if (c->what >= CHANGE_SERVICE_CREATE && c->what <= CHANGE_SERVICE_DELETE && info != NULL)
		put_info(to, info, after ? c->old_info : c->info);
	else if (name != NULL)
		put_namespace(to, name, after ? c->description : c->old_description);
	else if (sw != NULL)
		switches_put_entry(sw, c->entry, to);
}

/* ---- packing */

static void put_text(struct text *to, const char *s, size_t len)
{
	if (len > 0)
		text_put(to, s, len);
	text_put(to, "", 1);
}

static void put_string(struct text *to, const char *s)
{
	put_text(to, s, s == NULL ? 0 : strlen(s));
}

static void pad(struct text *to)
{
	static const char zeros[ALIGN] = { 0 };

	if (to->len % ALIGN != 0)
		text_put(to, zeros, ALIGN - to->len % ALIGN);
}

/* The time of the last beat is any thread's to store, so it is read for itself. */
static size_t put_record(struct text *to, const struct instance *i)
{
	size_t head = sizeof(i->last_beat_ms);
	size_t size = (size_t)(instance_metadata(i).at + i->metadata_len - (const char *)i);
	int64_t beat = atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed);

	pad(to);
	size_t at = to->len;

	text_put(to, (const char *)&beat, head);
	text_put(to, (const char *)i + head, size - head);
	return at;
}

_Static_assert(offsetof(struct instance, last_beat_ms) == 0, "put_record copies it first");

static const char *cluster_name(const struct change *c, const struct instance *i)
{
	return i == NULL || c->info == NULL || i->cluster >= c->info->cluster_count ? "" : c->info->clusters[i->cluster].name;
}

static void put_address(struct text *to, const struct change *c)
{
	const struct instance *i = c->fresh != NULL ? c->fresh : c->old;

	put_string(to, c->overlay != NULL ? c->overlay->text + c->overlay->ip_len + 1 : cluster_name(c, i));
	put_string(to, cluster_name(c, c->old));
	put_string(to, c->overlay != NULL ? c->overlay->text : i != NULL ? instance_ip(i) : NULL);
}

static void pack_sides(struct text *to, const struct change *c, bool wanted)
{
	struct text side;

	text_init(&side);
	for (int after = 0; after < 2; after++) {
		text_clear(&side);
		if (wanted)
			put_side(&side, c, after == 1);
		put_text(to, side.at, side.failed ? 0 : side.len);
	}
	text_done(&side);
}

void change_pack(const struct change *c, int64_t wall_ms, struct text *to)
{
	struct packed_change head = { .what = (uint8_t)c->what,
				      .cause = (uint8_t)c->cause,
				      .silent_ms = c->silent_ms,
				      .wall_ms = wall_ms,
				      .number = c->number };
	const struct instance *i = c->fresh != NULL ? c->fresh : c->old;
	size_t start = to->len;

	head.port = c->overlay != NULL ? c->overlay->port : i != NULL ? i->port : 0;
	text_put(to, (const char *)&head, sizeof(head));
	put_text(to, c->key.ns, c->key.ns_len);
	put_text(to, c->key.group, c->key.group_len);
	put_text(to, c->key.name, c->key.name_len);
	put_address(to, c);
	put_string(to, c->remote);
	put_string(to, c->reason);
	put_string(to, c->entry);
	pack_sides(to, c, i == NULL);
	head.old_at = c->old == NULL ? 0 : (uint32_t)(put_record(to, c->old) - start);
	head.fresh_at = c->fresh == NULL ? 0 : (uint32_t)(put_record(to, c->fresh) - start);
	pad(to);
	head.size = (uint32_t)(to->len - start);
	if (!to->failed)
		memcpy(to->at + start, &head, sizeof(head));
}

/* ---- printing */

void change_print_time(int64_t wall_ms, struct text *to)
{
	time_t sec = (time_t)(wall_ms / 1000);
	struct tm tm;
	char text[40];

	gmtime_r(&sec, &tm);
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);

	snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(wall_ms % 1000));
	json_kv_str(to, "time", text);
}

static void print_raw(struct text *to, const char *key, const char *value)
{
	json_key(to, key);
	if (*value == '\0')
		json_null(to);
	else
		json_raw(to, value, strlen(value));
}

static void print_records(struct text *to, const struct instance *old, const struct instance *fresh,
			  const char *const texts[])
{
	unsigned members = old == NULL || fresh == NULL ? ~0u : differences(old, fresh);

	json_key(to, "before");
	if (old == NULL)
		json_null(to);
	else
		put_instance(to, old, members, texts[TEXT_OLD_CLUSTER]);
	json_key(to, "after");
	if (fresh == NULL)
		json_null(to);
	else
		put_instance(to, fresh, members, texts[TEXT_CLUSTER]);
}

static void print_if(struct text *to, const char *key, const char *value)
{
	if (*value != '\0')
		json_kv_str(to, key, value);
}

static void print_place(struct text *to, const struct packed_change *head, const char *const texts[])
{
	print_if(to, "namespace", texts[TEXT_NS]);
	print_if(to, "group", texts[TEXT_GROUP]);
	print_if(to, "service", texts[TEXT_NAME]);
	if (*texts[TEXT_IP] != '\0') {
		json_kv_str(to, "cluster", texts[TEXT_CLUSTER]);
		json_kv_str(to, "ip", texts[TEXT_IP]);
		json_kv_i64(to, "port", head->port);
	}
	print_if(to, "entry", texts[TEXT_ENTRY]);
}

size_t change_print(const char *from, struct text *to)
{
	const struct packed_change *head = (const void *)from;
	const struct instance *old = head->old_at == 0 ? NULL : (const void *)(from + head->old_at);
	const struct instance *fresh = head->fresh_at == 0 ? NULL : (const void *)(from + head->fresh_at);
	const char *texts[TEXTS], *at = head->text;

	for (unsigned i = 0; i < TEXTS; i++) {
		texts[i] = at;
		at += strlen(at) + 1;
	}
	json_open(to, '{');
	change_print_time(head->wall_ms, to);
	json_key(to, "number");
	json_u64(to, head->number);
	json_kv_str(to, "what", head->what == CHANGE_UPDATE ? update_name(old, fresh) : what_names[head->what]);
	print_place(to, head, texts);
	if (old != NULL || fresh != NULL) {
		print_records(to, old, fresh, texts);
	} else {
		print_raw(to, "before", texts[TEXT_BEFORE]);
		print_raw(to, "after", texts[TEXT_AFTER]);
	}
	json_kv_str(to, "cause", change_cause_name((enum command_cause)head->cause));
	if (head->silent_ms > 0)
		json_kv_i64(to, "silent_ms", head->silent_ms);
	print_if(to, "reason", texts[TEXT_REASON]);
	print_if(to, "remote", texts[TEXT_REMOTE]);
	json_close(to, '}');
	text_char(to, '\n');
	return head->size;
}

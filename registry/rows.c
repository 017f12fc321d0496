/* rows.c - writing rows. Every value begins with "v", the version of its shape. */
#include "registry/rows.h"
#include "base/mem.h"
#include "store/key.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

struct row_place { /* offsets: the text may still move */
	size_t key, value, value_len;
	bool gone;
};

/* ---- keys */

/* All that concerns one service lies in one bucket. */
unsigned row_bucket(const struct service *s)
{
	size_t len = (size_t)s->ns_len + s->group_len + s->name_len + 2;

	return XXH32(s->text, len, 0) % ROW_BUCKETS;
}

static void key_service(struct text *to, const char *kind, const struct service *s)
{
	struct service_key key = service_key_of(s);

	text_add(to, ROWS_ROOT);
	text_add(to, kind);
	if (strcmp(kind, "svc") != 0)
		text_printf(to, "/%02x", row_bucket(s));
	text_char(to, '/');
	key_segment(to, key.ns, key.ns_len);
	text_char(to, '/');
	key_segment(to, key.group, key.group_len);
	text_char(to, '/');
	key_segment(to, key.name, key.name_len);
}

void row_key(struct text *to, const char *kind, const struct service *s, const char *cluster, const char *ip,
	     uint16_t port)
{
	key_service(to, kind, s);
	key_add(to, cluster);
	key_add(to, ip);
	text_char(to, '/');
	text_u64(to, port);
}

/* ---- values */

static void put_packed(struct text *to, const char *name, struct packed map)
{
	struct pair pair;

	json_key(to, name);
	json_open(to, '{');
	for (size_t at = 0; packed_next(&map, &at, &pair);)
		json_kv_str(to, pair.key, pair.value);
	json_close(to, '}');
}

static void open_value(struct text *to)
{
	json_open(to, '{');
	json_kv_i64(to, "v", 1);
}

void row_instance(struct text *to, const struct instance *i, bool healthy)
{
	open_value(to);
	json_kv_i64(to, "kind",
		    (i->flags & INSTANCE_EPHEMERAL) == 0 ? ROW_PERSISTENT
		    : i->publisher != PUBLISHER_BEATS	 ? ROW_BY_CONNECTION
							 : ROW_BY_BEATS);
	json_kv_double(to, "weight", i->weight);
	json_kv_bool(to, "enabled", (i->flags & INSTANCE_ENABLED) != 0);
	json_kv_bool(to, "healthy", healthy);
	put_packed(to, "metadata", instance_metadata(i));
	if (i->app_len > 0)
		json_kv_str(to, "app", instance_app(i));
	if (i->id_len > 0)
		json_kv_str(to, "id", instance_custom_id(i));
	json_kv_i64(to, "beat_ms", i->beat_ms);
	json_kv_i64(to, "unhealthy_ms", i->unhealthy_ms);
	json_kv_i64(to, "remove_ms", i->remove_ms);
	json_kv_i64(to, "registered_ms", i->registered_ms);
	json_kv_i64(to, "created", (int64_t)service_info(i->service)->created);
	json_close(to, '}');
}

void row_verdict(struct text *to, const struct instance *i)
{
	open_value(to);
	json_kv_bool(to, "healthy", (i->flags & INSTANCE_HEALTHY) != 0);
	json_kv_str(to, "reason", instance_reason(i));
	json_close(to, '}');
}

static void row_overlay(struct text *to, const struct service *s, const struct overlay_content *c)
{
	open_value(to);
	/* An overlay may be read before its service is known. */
	json_kv_bool(to, "ephemeral", s->info->ephemeral);
	if ((c->has & HAS_WEIGHT) != 0)
		json_kv_double(to, "weight", c->weight);
	if ((c->has & HAS_ENABLED) != 0)
		json_kv_bool(to, "enabled", c->enabled);
	if ((c->has & HAS_METADATA) != 0)
		put_packed(to, "metadata", (struct packed){ c->text, c->metadata_len, c->metadata_count });
	json_close(to, '}');
}

static void put_checker(struct text *to, const struct checker *c)
{
	static const char *const kinds[] = { "TCP", "HTTP", "MYSQL", "NONE" };

	json_key(to, "checker");
	json_open(to, '{');
	json_kv_str(to, "kind", kinds[c->kind]);
	json_kv_str(to, "type", c->type);
	json_kv_str(to, "path", c->path);
	json_kv_str(to, "headers", c->headers);
	json_kv_i64(to, "expected_code", c->expected_code);
	json_kv_str(to, "user", c->user);
	json_kv_str(to, "password", c->password);
	json_kv_str(to, "command", c->command);
	json_close(to, '}');
}

static void put_cluster(struct text *to, const struct cluster *c)
{
	json_open(to, '{');
	json_kv_str(to, "name", c->name);
	put_checker(to, &c->checker);
	json_kv_i64(to, "check_port", c->check_port);
	json_kv_bool(to, "use_instance_port", c->use_instance_port);
	put_packed(to, "metadata", c->metadata);
	json_close(to, '}');
}

static void row_service(struct text *to, const struct service_info *info, uint64_t created)
{
	open_value(to);
	json_kv_bool(to, "ephemeral", info->ephemeral);
	json_kv_bool(to, "stored", info->stored);
	json_kv_double(to, "protect_threshold", info->protect_threshold);
	json_kv_str(to, "selector", info->selector);
	put_packed(to, "metadata", info->metadata);
	if (created != 0)
		json_kv_i64(to, "created", (int64_t)created);
	json_key(to, "clusters");
	json_open(to, '[');
	for (uint32_t i = 0; i < info->cluster_count; i++)
		if (info->clusters[i].stored)
			put_cluster(to, &info->clusters[i]);
	json_close(to, ']');
	json_close(to, '}');
}

/* ---- a batch */

void rows_init(struct rows *rows)
{
	memset(rows, 0, sizeof(*rows));
	text_init(&rows->text);
	text_init(&rows->value);
}

void rows_done(struct rows *rows)
{
	text_done(&rows->text);
	text_done(&rows->value);
	mem_free(rows->places);
	mem_free(rows->ops);
}

/* The key is written next, then rows_value, then the value. */
static struct row_place *rows_add(struct rows *rows)
{
	if (rows->count == rows->cap) {
		size_t cap = rows->cap == 0 ? 4 : rows->cap * 2;
		struct row_place *places = mem_realloc(rows->places, cap * sizeof(*places));

		if (places == NULL) {
			rows->failed = true;
			return NULL;
		}
		rows->places = places;
		rows->cap = cap;
	}
	struct row_place *place = &rows->places[rows->count++];

	*place = (struct row_place){ .key = rows->text.len, .gone = true };
	return place;
}

static void rows_value(struct rows *rows)
{
	text_char(&rows->text, '\0');
	text_clear(&rows->value);
	rows->places[rows->count - 1].value = rows->text.len;
	rows->places[rows->count - 1].gone = false;
}

static void rows_end(struct rows *rows)
{
	struct row_place *place = &rows->places[rows->count - 1];

	if (!place->gone) {
		place->value_len = rows->value.len;
		text_put(&rows->text, rows->value.at, rows->value.len);
		rows->failed |= rows->value.failed;
	}
	text_char(&rows->text, '\0');
}

static int rows_seal(struct rows *rows)
{
	if (rows->failed || rows->text.failed)
		return E_NOMEM;
	rows->ops = mem_alloc((rows->count + 1) * sizeof(*rows->ops));
	if (rows->ops == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < rows->count; i++) {
		const struct row_place *place = &rows->places[i];
		const char *text = rows->text.at;

		rows->ops[i] = (struct store_op){ text + place->key, place->gone ? NULL : text + place->value,
						  place->value_len };
	}
	return E_OK;
}

/* ---- a plan's writes */

static const char *plan_cluster_name(const struct plan *p, const struct instance *i)
{
	const struct service_info *info = p->info != NULL ? p->info : p->service->info;

	return info->clusters[i->cluster].name;
}

static void put_instance(struct rows *rows, const struct plan *p, const struct instance *key_of,
			 const struct instance *value, bool healthy)
{
	if (rows_add(rows) == NULL)
		return;
	row_key(&rows->text, "i", p->service, plan_cluster_name(p, key_of), instance_ip(key_of), key_of->port);
	if (value != NULL) {
		rows_value(rows);
		row_instance(&rows->value, value, healthy);
	}
	rows_end(rows);
}

/* What the publisher says is at rest; the overlay has a row of its own. */
static const struct instance *at_rest(struct registry *r, const struct plan *p, const struct plan_step *step)
{
	if (step->base != NULL || (step->fresh->flags & INSTANCE_OVERRIDDEN) == 0)
		return step->base != NULL ? step->base : step->fresh;
	const char *cluster = plan_cluster_name(p, step->fresh);
	struct overlay_key key = { p->service, instance_ip(step->fresh), cluster, step->fresh->ip_len, strlen(cluster),
				   step->fresh->port };
	const struct overlay *o = overlay_find(r, &key);

	return o != NULL && o->base != NULL ? o->base : step->fresh;
}

static void step_rows(struct rows *rows, struct registry *r, const struct plan *p, const struct plan_step *step)
{
	if (step->row && step->fresh != NULL) {
		put_instance(rows, p, step->fresh, at_rest(r, p, step), (step->fresh->flags & INSTANCE_HEALTHY) != 0);
		if (step->old != NULL && step->old->cluster != step->fresh->cluster)
			put_instance(rows, p, step->old, NULL, false);
	} else if (step->row && step->old != NULL) {
		put_instance(rows, p, step->old, NULL, false);
	}
	if (!step->set_content || rows_add(rows) == NULL)
		return;
	row_key(&rows->text, "im", p->service, step->overlay->text + step->overlay->ip_len + 1, step->overlay->text,
		step->overlay->port);
	if (step->content != NULL) {
		rows_value(rows);
		row_overlay(&rows->value, p->service, step->content);
	}
	rows_end(rows);
}

static void service_row(struct rows *rows, const struct plan *p)
{
	if (rows_add(rows) == NULL)
		return;
	key_service(&rows->text, "svc", p->service);
	if (!p->remove_service) {
		rows_value(rows);
		row_service(&rows->value, p->info != NULL ? p->info : p->service->info, p->service->info->created);
	}
	rows_end(rows);
}

static void named_row(struct rows *rows, const char *kind, const char *name)
{
	text_add(&rows->text, ROWS_ROOT);
	text_add(&rows->text, kind);
	key_add(&rows->text, name);
}

static void namespace_row(struct rows *rows, const struct command *cmd)
{
	const char *name = cmd->ns.name == NULL || *cmd->ns.name == '\0' ? cmd->ns.id : cmd->ns.name;

	if (rows_add(rows) == NULL)
		return;
	named_row(rows, "ns", cmd->ns.id);
	if (cmd->kind != CMD_NAMESPACE_DELETE) {
		rows_value(rows);
		open_value(&rows->value);
		json_kv_str(&rows->value, "name", name);
		json_kv_str(&rows->value, "description", cmd->ns.description == NULL ? "" : cmd->ns.description);
		json_close(&rows->value, '}');
	}
	rows_end(rows);
}

static void switch_row(struct rows *rows, const struct command *cmd)
{
	if (rows_add(rows) == NULL)
		return;
	named_row(rows, "switch", switches_canonical(cmd->set.entry));
	rows_value(rows);
	open_value(&rows->value);
	json_kv_str(&rows->value, "value", cmd->set.value);
	json_close(&rows->value, '}');
	rows_end(rows);
}

int rows_of_plan(struct rows *rows, struct registry *r, const struct plan *p)
{
	for (size_t i = 0; i < p->step_count; i++)
		step_rows(rows, r, p, &p->steps[i]);
	if (p->service_row)
		service_row(rows, p);
	if (p->ns != NULL || p->ns_gone != NULL)
		namespace_row(rows, p->cmd);
	if (p->switches != NULL)
		switch_row(rows, p->cmd);
	return rows_seal(rows);
}

/* blob_service.c - the blob of a service with those of its parts: clusters, and instances with one value of a selector
 * key. A part in which nothing changed keeps its blob; one that has all instances shares the service's. Control thread. */
#include "base/error.h"
#include "base/mem.h"
#include "zones/blob_set.h"
#include "zones/label.h"
#include "zones/selector.h"
#include <stdlib.h>
#include <string.h>

enum { TTL_MAX = 3600 };

struct blob_builder *blob_builder_new(const struct zone_set_conf *conf, struct slab *slab, struct host_names *hosts)
{
	struct blob_builder *bb = mem_zalloc(1, sizeof(*bb));
	if (bb != NULL) {
		bb->conf = conf;
		bb->slab = slab;
		bb->hosts = hosts;
	}
	return bb;
}

void blob_builder_select(struct blob_builder *bb, const struct selector_keys *keys)
{
	bb->selectors = keys;
}

void blob_builder_free(struct blob_builder *bb)
{
	if (bb == NULL)
		return;
	struct scratch *all[] = { &bb->rows, &bb->ports, &bb->keys, &bb->keys2, &bb->srv, &bb->txt_pool, &bb->txts,
				  &bb->addr4, &bb->addr6, &bb->weights, &bb->alias, &bb->work, &bb->share,
				  &bb->idle_addr4, &bb->idle_addr6, &bb->slices, &bb->old_slices, &bb->counts, &bb->named,
				  &bb->targets, &bb->met, &bb->selector_table, &bb->selector_sets, &bb->selector_picks,
				  &bb->selector_list };
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		mem_free(all[i]->at);
	mem_free(bb);
}

static int word_find(const char *word, const char *const *words, int n, int fallback)
{
	for (int i = 0; word != NULL && i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	return fallback;
}

static uint32_t count_find(const struct packed *metadata, const char *key, uint32_t min, uint32_t max,
			   uint32_t fallback)
{
	const char *text = packed_find(metadata, key);
	char *end;
	if (text == NULL || text[0] < '0' || text[0] > '9')
		return fallback;
	unsigned long v = strtoul(text, &end, 10);
	return *end != '\0' || v < min || v > max ? fallback : (uint32_t)v;
}

static bool is_on(const struct packed *metadata, const char *key)
{
	const char *text = packed_find(metadata, key);
	return text != NULL && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0);
}

/* Settings, overridden by service metadata (dns.md C); what cannot be read counts as absent. */
static void rules_read(struct blob_builder *bb, const struct service_info *info)
{
	static const char *const modes[] = { "auto", "all", "one", "shuffle", "subset", "hash" };
	static const char *const policies[] = { "empty", "open", "servfail", "nxdomain", "last" };
	const struct zone_set_conf *conf = bb->conf;
	uint32_t cap = conf->cap < 1 ? 1 : conf->cap > BLOB_CAP_MAX ? BLOB_CAP_MAX : conf->cap;
	bb->info = info;
	bb->rules = (struct set_rules){ TTL_OF_SETTINGS, cap, conf->mode, conf->all_unhealthy, NULL, 0, NULL };
	if (info->metadata.count == 0)
		return;
	bb->rules.ttl = count_find(&info->metadata, "dns.ttl", 0, TTL_MAX, TTL_OF_SETTINGS);
	bb->rules.cap = count_find(&info->metadata, "dns.cap", 1, BLOB_CAP_MAX, cap);
	bb->rules.mode = (enum select_mode)word_find(packed_find(&info->metadata, "dns.mode"), modes, 6,
						     (int)conf->mode);
	bb->rules.all_unhealthy = (enum all_unhealthy)word_find(
	    packed_find(&info->metadata, "dns.all_unhealthy"), policies, 5, (int)conf->all_unhealthy);
	bb->rules.svcb = (is_on(&info->metadata, "dns.https") ? WANT_HTTPS : 0u) |
			 (is_on(&info->metadata, "dns.svcb") ? WANT_SVCB : 0u);
	bb->rules.alpn = packed_find(&info->metadata, "dns.alpn");
	bb->rules.port_name = packed_find(&info->metadata, "dns.port-name");
}

/* A view's instances by cluster: those of cluster c stand at list[start[c]..start[c + 1]). */
struct slices {
	const struct instance *const *list;
	const uint32_t *start;
};

static int slices_make(struct slices *ret, struct scratch *scratch, const struct service_view *v)
{
	uint32_t clusters = v->info->cluster_count;
	if (clusters == 1) { /* nothing to sort out */
		uint32_t *ends = scratch_reserve(scratch, 3 * sizeof(*ends));
		if (ends == NULL)
			return E_NOMEM;
		ends[0] = 0;
		ends[1] = ends[2] = v->count;
		*ret = (struct slices){ v->instances, ends };
		return E_OK;
	}
	size_t counts = ((size_t)clusters + 2) * sizeof(uint32_t), pad = (counts + 7) / 8 * 8;
	char *at = scratch_reserve(scratch, pad + v->count * sizeof(struct instance *));
	if (at == NULL)
		return E_NOMEM;
	uint32_t *start = (void *)at;
	const struct instance **list = (void *)(at + pad);
	memset(start, 0, counts);
	for (uint32_t i = 0; i < v->count; i++)
		if (v->instances[i]->cluster < clusters)
			start[v->instances[i]->cluster + 2]++;
	for (uint32_t c = 0; c < clusters; c++)
		start[c + 2] += start[c + 1];
	for (uint32_t i = 0; i < v->count; i++)
		if (v->instances[i]->cluster < clusters)
			list[start[v->instances[i]->cluster + 1]++] = v->instances[i];
	*ret = (struct slices){ list, start };
	return E_OK;
}

static bool slice_same(const struct slices *a, const struct slices *b, uint32_t c)
{
	uint32_t n = a->start[c + 1] - a->start[c];
	return n == b->start[c + 1] - b->start[c] &&
	       memcmp(a->list + a->start[c], b->list + b->start[c], n * sizeof(a->list[0])) == 0;
}

static bool cluster_exists(const struct service_info *info, const struct slices *s, uint32_t c)
{
	return s->start[c + 1] > s->start[c] || info->clusters[c].stored;
}

static void label_wire(uint8_t ret[64], const struct label *l)
{
	memset(ret, 0, 64);
	ret[0] = l->len;
	memcpy(ret + 1, l->text, l->len);
}

/* The raw alias of @s in wire form (dns.md 1.5); false: it has none. */
bool raw_label(uint8_t ret[64], const char *s, size_t len)
{
	if (len < 1 || len > LABEL_MAX || s[0] == '_')
		return false;
	memset(ret, 0, 64);
	ret[0] = (uint8_t)len;
	for (size_t i = 0; i < len; i++)
		ret[i + 1] = (uint8_t)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + ('a' - 'A') : s[i]);
	return true;
}

/* Everything to be known while the parts of one service are compiled. */
struct service_job {
	struct blob_builder *bb;
	const struct service_view *view, *old_view;
	struct blob *blob, *old;
	const struct blob *before;
	bool moving;
	struct slices slices, old_slices;
	struct selected_sets selection;
	uint32_t existing, only; /* clusters that exist; one of them */
};

/* Which of two entries comes first; of one label: canonical before alias, older before younger. */
static int compare_parts(const void *a, const void *b, void *job)
{
	const struct blob_part *x = a, *y = b;
	const struct selected *sets = ((const struct service_job *)job)->selection.sets;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	int order = memcmp(x->label, y->label, sizeof(x->label));
	if (order != 0)
		return order;
	if (x->alias != y->alias)
		return x->alias ? 1 : -1;
	if (x->key == 0 || sets[x->number].since_ms == sets[y->number].since_ms)
		return x->key != 0 ? strcmp(sets[x->number].value, sets[y->number].value) : x->number < y->number ? -1 : 1;
	return sets[x->number].since_ms < sets[y->number].since_ms ? -1 : 1;
}

/* Of @b, which is not NULL, with this label of its own; NULL: it has none. */
static const struct blob_part *own_part(const struct blob *b, unsigned key, const uint8_t *label)
{
	const struct blob_part *part = blob_part_find(b, key, label);
	return part == NULL || part->alias ? NULL : part;
}

/* The blob to be kept where nothing in a part has changed; NULL: none. */
static struct blob *old_part(const struct service_job *j, unsigned key, const uint8_t *label)
{
	const struct blob_part *part = own_part(j->old, key, label);
	return part == NULL || part->blob == j->old ? NULL : part->blob;
}

/* What the part answers until now; NULL: nothing. */
static const struct blob *part_before(const struct service_job *j, unsigned key, const uint8_t *label)
{
	if (j->before == NULL || (key == 0 && (j->before->flags & BLOB_DEFAULT_CLUSTER) != 0))
		return j->before;
	const struct blob_part *part = own_part(j->before, key, label);
	return part == NULL ? NULL : part->blob;
}

/* Neither the time nor anything but the instances has a part in it. */
static bool is_settled(const struct blob *b)
{
	return b->at_extra == 0;
}

/* Instances that are a part, under its own label. */
struct part_job {
	const struct instance *const *list;
	uint32_t count;
	bool same; /* as in the old view */
	const char *hashed; /* the original of the label; NULL: it is not hashed */
	const struct packed *metadata;
};

/* The blob of a part with a reference for us; NULL: no memory. */
static struct blob *part_blob(struct service_job *j, const struct blob_part *entry, const struct part_job *part)
{
	int scale = blob_cold(j->blob)->scale;
	if (j->old != NULL && !j->moving && j->old_view->info == j->view->info && part->same) {
		struct blob *kept = old_part(j, entry->key, entry->label);
		if (kept != NULL && blob_cold(kept)->scale == scale && is_settled(kept)) {
			blob_hold(kept);
			return kept;
		}
	}
	struct set_extra extra = { part->hashed, part->metadata, 0, scale, part_before(j, entry->key, entry->label) };
	return set_compile(j->bb, part->list, part->count, &extra);
}

/* The entries of a part whose blob @entry has. */
static void part_enter(struct service_job *j, struct blob_part *entry, const char *name, size_t len)
{
	struct blob_cold *cold = (void *)((char *)j->blob + j->blob->at_cold);
	struct blob_part *to = (void *)((char *)j->blob + cold->at_parts);
	uint8_t raw[64];
	to[cold->parts++] = *entry;
	if (!j->bb->conf->raw_alias || !raw_label(raw, name, len) || memcmp(raw, entry->label, sizeof(raw)) == 0)
		return;
	memcpy(entry->label, raw, sizeof(raw));
	entry->alias = true;
	to[cold->parts++] = *entry;
}

static bool shares(const struct service_job *j, uint32_t c)
{
	return j->existing == 1 && j->view->count == j->slices.start[c + 1] - j->slices.start[c] &&
	       j->view->info->clusters[c].metadata.count == 0;
}

/* Fills the directory; what was done stays in it, so that the caller can release all. */
static int clusters_compile(struct service_job *j)
{
	const struct service_info *info = j->view->info;
	const struct slices *s = &j->slices;
	for (uint32_t c = 0; c < info->cluster_count; c++) {
		const char *name = info->clusters[c].name;
		struct blob_part entry = { .number = c };
		struct label label;
		if (!cluster_exists(info, s, c))
			continue;
		bool hashed = label_encode(&label, LABEL_CLUSTER, name, strlen(name)) == LABEL_HASHED;
		struct part_job part = { s->list + s->start[c], s->start[c + 1] - s->start[c],
					 j->old != NULL && slice_same(s, &j->old_slices, c), hashed ? name : NULL,
					 &info->clusters[c].metadata };
		label_wire(entry.label, &label);
		entry.blob = !hashed && shares(j, c) ? j->blob : part_blob(j, &entry, &part);
		if (entry.blob == NULL)
			return E_NOMEM;
		part_enter(j, &entry, name, strlen(name));
	}
	return E_OK;
}

/* The same for the values of selector keys. */
static int values_compile(struct service_job *j)
{
	static const struct packed nothing = { "", 0, 0 };
	for (uint32_t i = 0; i < j->selection.count; i++) {
		const struct selected *set = &j->selection.sets[i];
		struct blob_part entry = { .key = set->key, .number = i };
		struct label label;
		bool hashed = label_encode(&label, LABEL_VALUE, set->value, set->len) == LABEL_HASHED;
		struct part_job part = { j->selection.list + set->first, set->count, selected_same(set),
					 hashed ? set->value : NULL, &nothing };
		label_wire(entry.label, &label);
		bool all = set->count == j->view->count && !hashed && blob_cold(j->blob)->txt == 0;
		entry.blob = all ? j->blob : part_blob(j, &entry, &part);
		if (entry.blob == NULL)
			return E_NOMEM;
		part_enter(j, &entry, set->value, set->len);
	}
	return E_OK;
}

/* In order for look-ups. Of several entries with one label the first owns it; younger aliases go. */
static void parts_settle(struct service_job *j)
{
	struct blob_cold *cold = (void *)((char *)j->blob + j->blob->at_cold);
	struct blob_part *part = (void *)((char *)j->blob + cold->at_parts);
	uint32_t kept = 0;
	if (cold->parts > 1)
		qsort_r(part, cold->parts, sizeof(*part), compare_parts, j);
	for (uint32_t i = 0; i < cold->parts; i++) {
		if (kept > 0 && part[i].alias && part[kept - 1].key == part[i].key &&
		    memcmp(part[kept - 1].label, part[i].label, sizeof(part[i].label)) == 0)
			continue;
		part[kept++] = part[i];
	}
	cold->parts = kept;
}

/* Counts what exists and how many directory entries it may need. */
static uint32_t clusters_count(struct service_job *j)
{
	const struct service_info *info = j->view->info;
	for (uint32_t c = 0; c < info->cluster_count; c++)
		if (cluster_exists(info, &j->slices, c)) {
			j->existing++;
			j->only = c;
		}
	bool plain = j->existing == 1 && shares(j, j->only) &&
		     strcmp(info->clusters[j->only].name, "DEFAULT") == 0;
	if (!plain)
		return 2 * j->existing;
	j->existing = 0;
	return 0;
}

/* The service is absent only if each of its parts is: names below it would hang in the air. */
static void absence_settle(struct blob *b)
{
	for (uint32_t i = 0; (b->flags & BLOB_ABSENT) != 0 && i < blob_cold(b)->parts; i++) {
		const struct blob *c = blob_parts(b)[i].blob;
		if ((c->flags & (BLOB_ABSENT | BLOB_INSTANCES)) == BLOB_INSTANCES)
			b->flags &= (uint8_t)~BLOB_ABSENT;
	}
}

/* The host names of the set that was just compiled, once each: they lie side by side. */
static int hosts_meet(struct blob_builder *bb)
{
	const struct named_row *rows = bb->named.at;
	struct host_name **met = scratch_reserve(&bb->met, (bb->named_count + 1) * sizeof(*met));
	bb->met_count = 0;
	if (met == NULL)
		return E_NOMEM;
	for (uint32_t i = 0; i < bb->named_count; i++)
		if (i == 0 || rows[i].host != rows[i - 1].host)
			met[bb->met_count++] = rows[i].host;
	return E_OK;
}

uint32_t blob_builder_hosts(const struct blob_builder *bb, struct host_name *const **ret)
{
	*ret = bb->met.at;
	return bb->met_count;
}

struct blob *blob_compile(struct blob_builder *bb, const struct service_view *view, const struct blob_past *past)
{
	const struct service_info *info = view->info;
	struct blob *old = past->lender;
	const struct service_view *old_view = past->lender_view;
	struct service_job j = { .bb = bb, .view = view, .old_view = old_view, .old = old, .before = past->before,
				 .moving = past->moving };
	struct set_extra extra = { NULL, &info->metadata, 0, -1, past->before };
	struct label label;
	if (slices_make(&j.slices, &bb->slices, view) < 0)
		return NULL;
	if (old != NULL && blob_cold(old)->parts > 0 && slices_make(&j.old_slices, &bb->old_slices, old_view) < 0)
		return NULL;
	if (old != NULL && blob_cold(old)->parts == 0)
		j.old = NULL; /* nothing to lend */
	if (selection_make(&j.selection, bb, view, j.old == NULL ? NULL : old_view) < 0)
		return NULL;
	rules_read(bb, info);
	bb->now_ms = past->now_ms;
	bb->starting = past->starting;
	bb->ramps = past->ramps;
	extra.parts = clusters_count(&j);
	bool one_cluster = extra.parts == 0;
	extra.parts += 2 * j.selection.count;
	bool hashed = info->key.name_len > (LABEL_MAX - 4) / 4 &&
		      label_encode(&label, LABEL_SERVICE, info->key.name, info->key.name_len) == LABEL_HASHED;
	extra.name = hashed ? info->key.name : NULL;
	j.blob = set_compile(bb, view->instances, view->count, &extra);
	if (j.blob == NULL)
		return NULL;
	if (hosts_meet(bb) < 0) {
		blob_release(j.blob);
		return NULL;
	}
	if (j.existing == 0 && one_cluster && info->cluster_count > 0 &&
	    cluster_exists(info, &j.slices, j.only))
		j.blob->flags |= BLOB_DEFAULT_CLUSTER;
	if ((j.existing > 0 && clusters_compile(&j) < 0) || values_compile(&j) < 0) {
		blob_release(j.blob);
		return NULL;
	}
	parts_settle(&j);
	absence_settle(j.blob);
	return j.blob;
}

struct blob *blob_compile_name(struct blob_builder *bb, const char *name)
{
	static const struct packed nothing = { "", 0, 0 };
	static const struct service_info no_service;
	struct set_extra extra = { name, &nothing, 0, -1, NULL };
	rules_read(bb, &no_service);
	bb->ramps = NULL;
	return set_compile(bb, NULL, 0, &extra);
}

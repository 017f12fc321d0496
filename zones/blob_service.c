/* blob_service.c - the blob of a service with those of its clusters. A cluster in which nothing changed keeps its
 * blob; a service with one cluster shares its own. Control thread. */
#include "base/error.h"
#include "base/mem.h"
#include "zones/blob_set.h"
#include "zones/label.h"
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

void blob_builder_free(struct blob_builder *bb)
{
	if (bb == NULL)
		return;
	struct scratch *all[] = { &bb->rows, &bb->ports, &bb->keys, &bb->keys2, &bb->srv, &bb->txt_pool, &bb->txts,
				  &bb->addr4, &bb->addr6, &bb->weights, &bb->alias, &bb->work, &bb->share,
				  &bb->idle_addr4, &bb->idle_addr6, &bb->slices, &bb->old_slices, &bb->counts, &bb->named,
				  &bb->targets, &bb->met };
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

static int compare_cluster(const void *a, const void *b)
{
	const struct blob_cluster *x = a, *y = b;
	int order = memcmp(x->label, y->label, sizeof(x->label));
	if (order != 0)
		return order;
	/* canonical before alias; older before younger */
	if ((x->index == UINT32_MAX) != (y->index == UINT32_MAX))
		return x->index == UINT32_MAX ? 1 : -1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Everything to be known while the clusters of one service are compiled. */
struct service_job {
	struct blob_builder *bb;
	const struct service_view *view, *old_view;
	struct blob *blob, *old;
	const struct blob *before;
	bool moving;
	struct slices slices, old_slices;
	uint32_t existing, only; /* clusters that exist; one of them */
};

static struct blob *old_cluster(const struct service_job *j, uint32_t index)
{
	const struct blob_cluster *c = blob_clusters(j->old);
	for (uint32_t n = blob_cold(j->old)->clusters; n > 0; n--, c++)
		if (c->index == index)
			return c->blob == j->old ? NULL : c->blob;
	return NULL;
}

/* What the cluster answers until now; NULL: nothing. */
static const struct blob *cluster_before(const struct service_job *j, uint32_t index)
{
	if (j->before == NULL || (j->before->flags & BLOB_DEFAULT_CLUSTER) != 0)
		return j->before;
	const struct blob_cluster *c = blob_clusters(j->before);
	for (uint32_t n = blob_cold(j->before)->clusters; n > 0; n--, c++)
		if (c->index == index)
			return c->blob;
	return NULL;
}

/* Neither the time nor anything but the instances has a part in it. */
static bool is_settled(const struct blob *b)
{
	return b->at_extra == 0;
}

/* The blob of cluster @c with a reference for us; NULL: no memory. */
static struct blob *cluster_blob(struct service_job *j, uint32_t c, bool hashed)
{
	const struct service_info *info = j->view->info;
	int scale = blob_cold(j->blob)->scale;
	if (j->old != NULL && !j->moving && j->old_view->info == info && slice_same(&j->slices, &j->old_slices, c)) {
		struct blob *kept = old_cluster(j, c);
		if (kept != NULL && blob_cold(kept)->scale == scale && is_settled(kept)) {
			((struct blob_cold *)(void *)((char *)kept + kept->at_cold))->refs++;
			return kept;
		}
	}
	uint32_t from = j->slices.start[c], to = j->slices.start[c + 1];
	struct set_extra extra = { hashed ? info->clusters[c].name : NULL, &info->clusters[c].metadata, 0, scale,
				   cluster_before(j, c) };
	return set_compile(j->bb, j->slices.list + from, to - from, &extra);
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
	struct blob_cold *cold = (void *)((char *)j->blob + j->blob->at_cold);
	struct blob_cluster *to = (void *)((char *)j->blob + cold->at_clusters);
	for (uint32_t c = 0; c < info->cluster_count; c++) {
		const char *name = info->clusters[c].name;
		struct blob_cluster entry = { .index = c, .order = c };
		struct label label;
		uint8_t raw[64];
		if (!cluster_exists(info, &j->slices, c))
			continue;
		bool hashed = label_encode(&label, LABEL_CLUSTER, name, strlen(name)) == LABEL_HASHED;
		label_wire(entry.label, &label);
		entry.blob = !hashed && shares(j, c) ? j->blob : cluster_blob(j, c, hashed);
		if (entry.blob == NULL)
			return E_NOMEM;
		to[cold->clusters++] = entry;
		if (!j->bb->conf->raw_alias || !raw_label(raw, name, strlen(name)) ||
		    memcmp(raw, entry.label, 64) == 0)
			continue;
		memcpy(entry.label, raw, 64);
		entry.index = UINT32_MAX;
		to[cold->clusters++] = entry;
	}
	qsort(to, cold->clusters, sizeof(*to), compare_cluster);
	return E_OK;
}

/* Of several entries with one label the first owns it; younger aliases go. */
static void clusters_settle(struct blob *b)
{
	struct blob_cold *cold = (void *)((char *)b + b->at_cold);
	struct blob_cluster *c = (void *)((char *)b + cold->at_clusters);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < cold->clusters; i++) {
		if (kept > 0 && c[i].index == UINT32_MAX &&
		    memcmp(c[kept - 1].label, c[i].label, sizeof(c[i].label)) == 0)
			continue;
		c[kept++] = c[i];
	}
	cold->clusters = kept;
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

/* The service is absent only if each of its clusters is: names below it would hang in the air. */
static void absence_settle(struct blob *b)
{
	for (uint32_t i = 0; (b->flags & BLOB_ABSENT) != 0 && i < blob_cold(b)->clusters; i++) {
		const struct blob *c = blob_clusters(b)[i].blob;
		if (c != NULL && (c->flags & (BLOB_ABSENT | BLOB_INSTANCES)) == BLOB_INSTANCES)
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
	if (old != NULL && blob_cold(old)->clusters > 0 && slices_make(&j.old_slices, &bb->old_slices, old_view) < 0)
		return NULL;
	if (old != NULL && blob_cold(old)->clusters == 0)
		j.old = NULL; /* nothing to lend */
	rules_read(bb, info);
	bb->now_ms = past->now_ms;
	bb->ramps = past->ramps;
	extra.clusters = clusters_count(&j);
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
	if (j.existing == 0 && extra.clusters == 0 && info->cluster_count > 0 &&
	    cluster_exists(info, &j.slices, j.only))
		j.blob->flags |= BLOB_DEFAULT_CLUSTER;
	if (j.existing > 0 && clusters_compile(&j) < 0) {
		blob_release(j.blob);
		return NULL;
	}
	clusters_settle(j.blob);
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

/* walk.c - from a question's labels to what stands there (dns.md 1.3, 2.5). DNS workers, inside RCU sections. The
 * right-hand labels decide by position what a label means, so no name is guessed. */
#include "zones/address.h"
#include "zones/zone.h"

/* Labels of a question, counted from the apex leftwards: 0 is the one next to the zone's name. */
struct path {
	const struct dns_query *q;
	const struct zone *zone;
	unsigned count;
};

static inline const uint8_t *path_label(const struct path *p, unsigned i)
{
	return p->q->name + p->q->label_at[p->count - 1 - i];
}

static inline bool label_is(const uint8_t *label, const char *text, size_t len)
{
	return label[0] == len && memcmp(label + 1, text, len) == 0;
}
#define LABEL_IS(label, text) label_is(label, text, sizeof(text) - 1)

static inline bool is_udp(const uint8_t *label)
{
	return label[1] == '_' && label[2] == 'u';
}

static void target_set(struct target *t, enum target_kind kind, struct blob *blob)
{
	t->kind = kind;
	t->blob = blob;
}

/* [_port.]_proto.<set>: @rest labels from the protocol on. */
static void walk_ports(const struct path *p, unsigned at, struct blob *b, struct target *t)
{
	const uint8_t *proto = path_label(p, at);
	unsigned rest = p->count - at;
	bool udp = is_udp(proto);
	if ((b->flags & (udp ? BLOB_UDP : BLOB_INSTANCES)) == 0)
		return;
	if (rest == 1) {
		target_set(t, TARGET_EMPTY, NULL);
		return;
	}
	const uint8_t *port = path_label(p, at + 1);
	if (rest != 2 || port[0] < 2 || port[1] != '_')
		return;
	t->group = blob_group_find(b, port + 2, (size_t)port[0] - 1, udp);
	t->by_service = false;
	if (t->group != NULL)
		target_set(t, TARGET_PORTS, b);
}

static void walk_address(const struct path *p, unsigned at, struct blob *b, struct target *t)
{
	unsigned rest = p->count - at;
	if ((b->flags & BLOB_ADDRESSES) == 0 || rest > 2)
		return;
	if (rest == 1) {
		target_set(t, TARGET_EMPTY, NULL);
		return;
	}
	const uint8_t *label = path_label(p, at + 1);
	t->family = address_parse(t->addr, label + 1, label[0]);
	if (t->family != 0 && blob_address_find(b, t->family, t->addr, &t->host, &t->txt_key))
		target_set(t, TARGET_ADDRESS, b);
}

/* NULL: there is no such cluster. */
static struct blob *cluster_blob(struct blob *b, const uint8_t *label)
{
	if ((b->flags & BLOB_DEFAULT_CLUSTER) != 0)
		return LABEL_IS(label, "default") ? b : NULL;
	const struct blob_part *c = blob_part_find(b, 0, label);
	return c == NULL ? NULL : c->blob;
}

static void walk_cluster(const struct path *p, unsigned at, struct blob *b, struct target *t)
{
	unsigned rest = p->count - at;
	bool whole = (b->flags & BLOB_DEFAULT_CLUSTER) != 0;
	if (!whole && !blob_has_parts(b, 0))
		return;
	if (rest == 1) {
		target_set(t, TARGET_EMPTY, NULL);
		return;
	}
	const uint8_t *label = path_label(p, at + 1);
	struct blob *cluster = cluster_blob(b, label);
	if (cluster == NULL || (cluster->flags & BLOB_ABSENT) != 0)
		return;
	if (rest == 2)
		target_set(t, TARGET_SET, cluster);
	else if (is_proto(path_label(p, at + 2)))
		walk_ports(p, at + 2, cluster, t);
}

/* [[<value>.]<key>.]m.<service> */
static void walk_values(const struct path *p, unsigned at, struct blob *b, struct target *t)
{
	const struct selector_keys *keys = p->zone->set->selectors;
	unsigned rest = p->count - at, key = 0;
	if (keys == NULL || blob_cold(b)->parts == 0 || rest > 3)
		return;
	if (rest > 1 && ((key = selector_key_find(keys, path_label(p, at + 1))) == 0 || !blob_has_parts(b, key)))
		return;
	if (rest < 3) { /* of all keys, those that are there stand last */
		if (blob_parts(b)[blob_cold(b)->parts - 1].key != 0)
			target_set(t, TARGET_EMPTY, NULL);
		return;
	}
	const struct blob_part *part = blob_part_find(b, key, path_label(p, at + 2));
	if (part != NULL && (part->blob->flags & BLOB_ABSENT) == 0)
		target_set(t, TARGET_SET, part->blob);
}

/* Labels from @at on stand left of the service of @b. */
static void walk_selector(const struct path *p, unsigned at, struct blob *b, struct target *t)
{
	const uint8_t *label = path_label(p, at);
	if (LABEL_IS(label, "c"))
		walk_cluster(p, at, b, t);
	else if (LABEL_IS(label, "i"))
		walk_address(p, at, b, t);
	else if (LABEL_IS(label, "m"))
		walk_values(p, at, b, t);
	else if (is_proto(label))
		walk_ports(p, at, b, t);
}

/* What a service answers; NULL: there is none, or the zone's filter hides it. */
static inline struct blob *shown_blob(const struct zone *z, const struct node *n)
{
	struct blob *b = n == NULL ? NULL : rcu_read(&((struct node *)n)->blob);
	return b == NULL || (z->hides != 0 && (b->shown & z->hides) == 0) ? NULL : b;
}

/* The node that the first stages have found for the service's label @at; else it is looked up as @k. */
static inline const struct node *service_node(const struct zone_set *zs, const struct path *p, const uint8_t *at,
					      uint32_t parent)
{
	const uint64_t *scratch = p->q->scratch;
	struct label_key k;
	if (scratch[AT_STAGE] == STAGE_FOUND && p->q->name + scratch[AT_LABEL] == at)
		return (const struct node *)(uintptr_t)scratch[AT_NODE];
	service_key_load(&k, at);
	return name_find(&zs->index, name_hash(&zs->index, parent, &k), parent, &k);
}

/* _<service>._proto.<scope>: RFC 2782 by the service's name. @at: the protocol's label. */
static void walk_scope_ports(const struct zone_set *zs, const struct path *p, unsigned at, uint32_t parent,
			     struct target *t)
{
	unsigned rest = p->count - at;
	if (rest == 1) {
		target_set(t, TARGET_EMPTY, NULL);
		return;
	}
	const uint8_t *label = path_label(p, at + 1);
	if (rest != 2 || label[0] < 2 || label[1] != '_' || label[2] == '_')
		return;
	struct blob *b = shown_blob(p->zone, service_node(zs, p, label, parent));
	bool udp = is_udp(path_label(p, at));
	if (b == NULL || (b->flags & BLOB_ABSENT) != 0 || (udp && (b->flags & BLOB_UDP) == 0))
		return;
	t->group = &blob_groups(b)[udp ? GROUP_DEFAULT_UDP : GROUP_DEFAULT_TCP];
	t->by_service = true;
	if (!udp || t->group->registered)
		target_set(t, TARGET_PORTS, b);
}

/* Labels from @at on stand left of the scope whose services have parent number @parent. */
static void walk_scope(const struct zone_set *zs, const struct path *p, unsigned at, uint32_t parent,
		       struct target *t)
{
	const uint8_t *label = path_label(p, at);
	if (label[1] == '_') {
		if (is_proto(label))
			walk_scope_ports(zs, p, at, parent, t);
		return;
	}
	struct blob *b = shown_blob(p->zone, service_node(zs, p, label, parent));
	if (b == NULL || (b->flags & BLOB_ABSENT) != 0)
		return;
	if (p->count == at + 1)
		target_set(t, TARGET_SET, b);
	else
		walk_selector(p, at + 1, b, t);
}

/* Labels @from..@to name folders below @parent; *@ret: what stands below the last one that the name has. False: one of
 * them does not exist, or nothing in it is shown. The target is then as it was, otherwise NODATA. */
static bool walk_folders(const struct zone_set *zs, const struct path *p, unsigned from, unsigned to, uint32_t parent,
			 uint32_t *ret, struct target *t)
{
	struct blob *blob = NULL;
	for (; from < to && from < p->count; from++) {
		const struct node *n = name_lookup(&zs->index, parent, path_label(p, from));
		parent = n == NULL ? 0 : atomic_load_explicit(&((struct node *)n)->child, memory_order_relaxed);
		if (parent == 0 || !export_has_folder(p->zone->export, parent))
			return false;
		blob = rcu_read(&((struct node *)n)->blob);
	}
	target_set(t, TARGET_EMPTY, blob);
	*ret = parent;
	return true;
}

/* Was the service's label found by the first stages, below folders that they found too? */
static bool went_before(const struct path *p)
{
	return p->q->scratch[AT_STAGE] == STAGE_FOUND;
}

/* <group>.<ns>.ns.Z, with what stands left of it. */
static void walk_namespaces(const struct zone_set *zs, const struct path *p, struct target *t)
{
	uint32_t parent = PARENT_ROOT;
	if (went_before(p) && p->zone->hides == 0)
		parent = (uint32_t)p->q->scratch[AT_PARENT];
	else if (!walk_folders(zs, p, 1, 3, PARENT_ROOT, &parent, t))
		return;
	if (p->count > 3) {
		target_set(t, TARGET_ABSENT, NULL);
		walk_scope(zs, p, 3, parent, t);
	}
}

/* <group>.Z of layout bound-ns, <ns>.Z of bound-group, with what stands left of it. */
static void walk_bound(const struct zone_set *zs, const struct path *p, struct target *t)
{
	uint32_t parent;
	struct target inner = *t;
	if (!walk_folders(zs, p, 0, 1, p->zone->scope, &parent, &inner))
		return;
	if (p->zone->layout == LAYOUT_BOUND_GROUP) {
		parent = name_child(&zs->index, parent, p->zone->group);
		if (parent == 0 || !export_has_folder(p->zone->export, parent))
			return;
	}
	if (p->count == 1)
		*t = inner;
	else
		walk_scope(zs, p, 1, parent, t);
}

/* [<addr>.]i.Z */
static void walk_hosts(const struct zone *z, const struct path *p, struct target *t)
{
	if (p->count == 1)
		target_set(t, TARGET_EMPTY, NULL);
	if (p->count != 2)
		return;
	const uint8_t *label = path_label(p, 1);
	t->family = address_parse(t->addr, label + 1, label[0]);
	if (t->family != 0 && host_table_has(&z->export->hosts, t->family, t->addr))
		t->kind = TARGET_HOST;
}

/* Names that are there whatever the registry holds. */
static bool walk_fixed(const struct zone *z, const struct path *p, struct target *t)
{
	const uint8_t *label = path_label(p, 0);
	if (z->export != NULL && LABEL_IS(label, "i")) {
		walk_hosts(z, p, t);
		return true;
	}
	if (z->export != NULL && LABEL_IS(label, "dns-version")) {
		t->kind = p->count == 1 ? TARGET_VERSION : TARGET_ABSENT;
		return true;
	}
	if (z->mname_child && memcmp(label, z->mname, z->mname_len) == 0) {
		t->kind = p->count == 1 ? TARGET_NS : TARGET_ABSENT;
		return true;
	}
	return false;
}

/* Is the question's name above (or at) another of our zones? Then it exists. */
static bool above_zone(const struct zone_set *zs, const struct dns_query *q)
{
	for (size_t i = 0; i < zs->zone_count; i++) {
		const struct zone *z = &zs->zones[i];
		size_t at = 0;
		for (unsigned skip = z->labels; skip > q->labels; skip--)
			at += 1u + z->name[at];
		if (z->labels >= q->labels && z->len - at == q->qname_len &&
		    memcmp(z->name + at, q->name, q->qname_len) == 0)
			return true;
	}
	return false;
}

/* ---- vanity names */

struct blob *vanity_service(const struct zone_set *zs, const struct vanity *v)
{
	uint32_t parent = PARENT_ROOT;
	for (unsigned i = 0; i < 2 && parent != 0; i++)
		parent = name_child(&zs->index, parent, v->where[i]);
	const struct node *n = parent == 0 ? NULL : name_lookup(&zs->index, parent, v->where[2]);
	return n == NULL ? NULL : rcu_read(&((struct node *)n)->blob);
}

struct blob *vanity_set(struct blob *b, const struct vanity *v)
{
	if (b != NULL && v->cluster[0] != 0)
		b = cluster_blob(b, v->cluster);
	return b != NULL && (b->flags & BLOB_ABSENT) != 0 ? NULL : b; /* the name is there all the same */
}

const struct blob_group *vanity_port(const struct vanity *v, const struct blob *b)
{
	static const struct blob_group none;
	if (v->port[0] == 0)
		return NULL;
	const struct blob_group *g = blob_group_find(b, v->port + 1, v->port[0], false);
	if (g == NULL)
		g = blob_group_find(b, v->port + 1, v->port[0], true);
	return g == NULL ? &none : g;
}

/* The name is one of them: at the apex the zone's own records stand beside it. */
static void walk_vanity(const struct path *p, const struct vanity *v, struct blob *b, struct target *t)
{
	target_set(t, p->count == 0 ? TARGET_APEX : b == NULL ? TARGET_EMPTY : TARGET_SET, b);
	t->group = b == NULL ? NULL : vanity_port(v, b);
}

enum { SELECTOR_LABELS = 4 }; /* at most, left of a service */

/* The nearest of them that the name lies below; *@left: the labels left of it. */
static const struct vanity *vanity_over(const struct path *p, const uint8_t *key, size_t len, unsigned *left)
{
	bool below;
	for (*left = 1; *left <= SELECTOR_LABELS && *left <= p->count; ++*left) {
		len -= 1u + path_label(p, p->count - *left)[0];
		const struct vanity *v = vanity_find(&p->zone->vanities, key, len, &below);
		if (v != NULL)
			return v;
	}
	return NULL;
}

/* Of such a name, where the service's own names are shown too. */
static void walk_below_vanity(const struct path *p, unsigned left, struct blob *b, struct target *t)
{
	if (b != NULL)
		walk_selector(p, p->count - left, b, t);
}

void query_of_name(struct dns_query *q, const struct zone *z, const uint8_t *name, size_t len)
{
	size_t at = 0;
	memset(q, 0, sizeof(*q));
	memcpy(q->name, name, len);
	q->qname_len = (uint16_t)len;
	q->zone = z;
	for (; name[at] != 0; at += name[at] + 1u)
		q->label_at[q->labels++] = (uint8_t)at;
	q->label_at[q->labels] = (uint8_t)at;
}

/* *@left: 0 if it is the name itself. */
static const struct vanity *vanity_nearest(const struct path *p, unsigned *left)
{
	uint8_t key[DNS_NAME_MAX];
	size_t len = vanity_key(key, p->q, p->count);
	bool below;
	const struct vanity *v = vanity_find(&p->zone->vanities, key, len, &below);
	*left = 0;
	return v == NULL && p->zone->vanities.expand ? vanity_over(p, key, len, left) : v;
}

static struct path path_of(const struct dns_query *q)
{
	return (struct path){ q, q->zone, (unsigned)(q->labels - q->zone->labels) };
}

const struct vanity *vanity_above(const struct dns_query *q)
{
	struct path p = path_of(q);
	unsigned left;
	return vanity_nearest(&p, &left);
}

bool vanity_holds(const struct dns_query *q, struct blob *const *services)
{
	struct path p = path_of(q);
	struct target t = { .kind = TARGET_ABSENT };
	unsigned left;
	const struct vanity *v = vanity_nearest(&p, &left);
	struct blob *b = v == NULL ? NULL : vanity_set(services[v - q->zone->vanities.at], v);
	if (v != NULL && left > 0)
		walk_below_vanity(&p, left, b, &t);
	return left == 0 ? b != NULL : t.kind != TARGET_ABSENT && t.kind != TARGET_EMPTY;
}

/* Is the name there because of a vanity name? False: what the registry has counts; NODATA is in *@t if others lie below. */
static bool walk_vanities(const struct zone_set *zs, const struct path *p, struct target *t)
{
	uint8_t key[DNS_NAME_MAX];
	size_t len = vanity_key(key, p->q, p->count);
	bool below;
	const struct vanity *v = vanity_find(&p->zone->vanities, key, len, &below);
	unsigned left;
	if (v != NULL)
		walk_vanity(p, v, vanity_set(vanity_service(zs, v), v), t);
	else if (p->zone->vanities.expand && (v = vanity_over(p, key, len, &left)) != NULL)
		walk_below_vanity(p, left, vanity_set(vanity_service(zs, v), v), t);
	if (t->kind == TARGET_ABSENT && below && p->count > 0)
		t->kind = TARGET_EMPTY;
	return t->kind != TARGET_ABSENT && t->kind != TARGET_EMPTY;
}

static void walk_full(const struct zone_set *zs, const struct path *p, struct target *t)
{
	const uint8_t *last = path_label(p, 0);
	if (LABEL_IS(last, "svc")) {
		if (p->count == 1)
			t->kind = TARGET_EMPTY;
		else
			walk_scope(zs, p, 1, p->zone->scope, t);
	} else if (LABEL_IS(last, "ns")) {
		walk_namespaces(zs, p, t);
	} else {
		walk_fixed(p->zone, p, t);
	}
}

/* What the registry shows in the zone, by its layout. */
static void walk_layout(const struct zone_set *zs, const struct path *p, struct target *t)
{
	const struct zone *z = p->zone;
	if (p->count == 0)
		t->kind = TARGET_APEX;
	else if (z->layout == LAYOUT_FULL)
		walk_full(zs, p, t);
	else if (walk_fixed(z, p, t) || z->layout == LAYOUT_STATIC)
		;
	else if (z->layout == LAYOUT_REVERSE)
		walk_reverse(zs, p->q, t);
	else if (z->layout == LAYOUT_BOUND)
		walk_scope(zs, p, 0, z->scope, t);
	else
		walk_bound(zs, p, t);
}

void walk(const struct zone_set *zs, const struct dns_query *q, struct target *t)
{
	const struct zone *z = q->zone;
	struct path p = path_of(q);
	t->kind = TARGET_ABSENT;
	t->blob = NULL;
	t->group = NULL;
	if (z->vanities.count == 0) {
		walk_layout(zs, &p, t);
	} else if (!walk_vanities(zs, &p, t)) {
		struct target own = *t;
		walk_layout(zs, &p, t);
		if (t->kind == TARGET_ABSENT)
			*t = own;
	}
	if (t->kind == TARGET_ABSENT && z->below && above_zone(zs, q))
		t->kind = TARGET_EMPTY;
}

/* folder.c - namespaces and groups, and the names of one object: canonical label, raw alias, short form. Control thread.
 * What was refused memory leaves nothing behind. */
#include "base/mem.h"
#include "zones/label.h"
#include "zones/zone.h"

/* ---- names of one object */

/* Same on every node: orders aliases of one creation number. */
static uint64_t tie_of(const char *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 0x100000001b3u;
	return h;
}

static void wire_of(uint8_t ret[64], const struct label *l)
{
	memset(ret, 0, 64);
	ret[0] = l->len;
	memcpy(ret + 1, l->text, l->len);
}

void names_release(struct zone_set *zs, struct names *n)
{
	name_release(&zs->index, &n->brief);
	name_release(&zs->index, &n->raw);
	name_release(&zs->index, &n->canonical);
}

static int claim_label(struct zone_set *zs, struct claim *c, uint32_t parent, const struct label *l)
{
	uint8_t wire[64];
	wire_of(wire, l);
	return name_claim(&zs->index, c, parent, wire);
}

/* All or nothing. What the names show is set afterwards. */
int names_claim(struct zone_set *zs, struct names *n, uint32_t parent, enum label_kind kind, const char *s,
		       uint64_t created, uint32_t child)
{
	size_t len = strlen(s);
	struct label label;
	uint8_t canonical[64], raw[64];
	struct claim claim = { .child = child, .created = created & CLAIM_CREATED, .tie = tie_of(s, len) };
	label_encode(&label, kind, s, len);
	wire_of(canonical, &label);
	*n = (struct names){ claim, claim, claim };
	n->canonical.canonical = n->brief.canonical = true;
	int rc = name_claim(&zs->index, &n->canonical, parent, canonical);
	if (rc < 0 || !zs->conf.raw_alias || !raw_label(raw, s, len) || memcmp(raw, canonical, 64) == 0)
		return rc;
	uint64_t conflicts = zs->index.conflicts;
	rc = name_claim(&zs->index, &n->raw, parent, raw);
	if (rc == E_OK && zs->index.conflicts > conflicts && zs->conf.on_conflict != NULL && !zs->quiet)
		zs->conf.on_conflict(zs->conf.arg, kind, s);
	if (rc < 0)
		names_release(zs, n);
	return rc;
}

/* The slug-less form, for an object some of whose names are too long. */
int names_claim_brief(struct zone_set *zs, struct names *n, uint32_t parent, enum label_kind kind,
			     const char *s)
{
	struct label label;
	if (n->brief.node != 0)
		return E_OK;
	label_encode_short(&label, kind, s, strlen(s));
	int rc = claim_label(zs, &n->brief, parent, &label);
	return rc == E_EXISTS ? E_OK : rc;
}

void names_label(struct label *ret, const struct names *names, enum label_kind kind, const char *s)
{
	if (names->brief.node != 0)
		label_encode_short(ret, kind, s, strlen(s));
	else
		label_encode(ret, kind, s, strlen(s));
}

void names_show(struct zone_set *zs, struct names *n, struct blob *blob)
{
	name_show(&zs->index, &n->canonical, blob);
	name_show(&zs->index, &n->raw, blob);
	name_show(&zs->index, &n->brief, blob);
}

/* ---- folders */

struct folder_key {
	const struct folder *parent;
	const char *name;
};

static uint64_t folder_hash(const struct folder *parent, const char *name)
{
	return hash_more(hash_bytes(&parent, sizeof(parent)), name, strlen(name));
}

bool folder_equal(const void *value, const void *key)
{
	const struct folder *f = value;
	const struct folder_key *k = key;
	return f->parent == k->parent && strcmp(f->name, k->name) == 0;
}

static struct map *folder_map(struct zone_set *zs, const struct folder *parent)
{
	return parent == NULL ? &zs->namespaces : &zs->groups;
}

static bool scope_is(const struct scope *s, const struct folder *parent, const char *name)
{
	if (parent == NULL)
		return s->group == NULL && strcmp(s->ns, name) == 0;
	return s->group != NULL && strcmp(s->ns, parent->name) == 0 && strcmp(s->group, name) == 0;
}

static uint32_t folder_number(struct zone_set *zs, const struct folder *parent, const char *name)
{
	for (size_t i = 0; i < zs->scope_count; i++)
		if (scope_is(&zs->scopes[i], parent, name))
			return PARENT_SCOPES + (uint32_t)i;
	return zs->next_number++;
}

static void folder_free(struct zone_set *zs, struct folder *f)
{
	if (f->blob != NULL)
		blob_retire(f->blob, zs->reaper);
	mem_free(f);
}

static struct folder *folder_make(struct zone_set *zs, struct folder *parent, const char *name, uint64_t created)
{
	enum label_kind kind = parent == NULL ? LABEL_NAMESPACE : LABEL_GROUP;
	struct folder *f = mem_zalloc(1, sizeof(*f) + strlen(name) + 1);
	struct label label;
	if (f == NULL)
		return NULL;
	strcpy(f->name, name);
	f->parent = parent;
	f->number = folder_number(zs, parent, name);
	bool hashed = label_encode(&label, kind, name, strlen(name)) == LABEL_HASHED;
	if (hashed && (f->blob = blob_compile_name(zs->builder, name)) == NULL)
		goto no_memory;
	if (names_claim(zs, &f->names, parent == NULL ? PARENT_ROOT : parent->number, kind, name, created,
			f->number) < 0)
		goto no_memory;
	if (map_add(folder_map(zs, parent), folder_hash(parent, name), f) < 0) {
		names_release(zs, &f->names);
		goto no_memory;
	}
	names_show(zs, &f->names, f->blob);
	if (parent != NULL)
		parent->children++;
	return f;
no_memory:
	folder_free(zs, f);
	return NULL;
}

/* Takes away a folder that nothing is left in, and its parent if that was the last. */
void folder_prune(struct zone_set *zs, struct folder *f)
{
	while (f != NULL && f->children == 0) {
		struct folder *parent = f->parent;
		struct folder_key key = { parent, f->name };
		map_remove(folder_map(zs, parent), folder_hash(parent, f->name), &key);
		names_release(zs, &f->names);
		folder_free(zs, f);
		if (parent != NULL)
			parent->children--;
		f = parent;
	}
}

/* A namespace or group is as old as the oldest service that was ever seen in it, whatever order they came in. */
struct folder *folder_get(struct zone_set *zs, struct folder *parent, const char *name, uint64_t created)
{
	struct folder_key key = { parent, name };
	struct folder *f = map_find(folder_map(zs, parent), folder_hash(parent, name), &key);
	if (f == NULL)
		return folder_make(zs, parent, name, created);
	if (created < f->names.raw.created)
		name_age(&zs->index, &f->names.raw, created);
	return f;
}

void folders_free(struct zone_set *zs)
{
	struct map *maps[] = { &zs->groups, &zs->namespaces };
	struct folder *f;
	for (int i = 0; i < 2; i++)
		for (size_t at = 0; (f = map_next(maps[i], &at)) != NULL;) {
			if (f->blob != NULL)
				blob_release(f->blob);
			mem_free(f);
		}
}

/* image.c - see image.h. */
#include "zones/image.h"
#include "base/mem.h"
#include "zones/static_zone.h"

enum { CHUNK = 64 * 1024, ROW_ALIGN = 8 };

/* ---- rows */

static void *row_add(struct image *im, enum image_kind kind, size_t size)
{
	size_t room = (size + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN, cap = CHUNK - sizeof(struct image_chunk);
	struct image_chunk *c = im->last;
	if (c == NULL || c->used + room > cap) {
		c = mem_alloc(CHUNK);
		if (c == NULL) {
			im->failed = true;
			return NULL;
		}
		c->next = NULL;
		c->used = 0;
		*(im->last != NULL ? &im->last->next : &im->first) = c;
		im->last = c;
	}
	struct image_row *row = (void *)(c->rows + c->used);
	memset(row, 0, room);
	row->kind = (uint8_t)kind;
	row->size = (uint16_t)room;
	c->used += (uint32_t)room;
	return row;
}

const struct image_row *image_next(const struct image_chunk **chunk, const struct image_row *row)
{
	const struct image_chunk *c = *chunk;
	if (c == NULL)
		return NULL;
	const uint8_t *at = row == NULL ? c->rows : (const uint8_t *)row + row->size;
	while (at == c->rows + c->used) {
		c = c->next;
		if (c == NULL)
			return NULL;
		*chunk = c;
		at = c->rows;
	}
	return (const void *)at;
}

/* ---- taking */

static void label_put(uint8_t *to, const struct label *l)
{
	to[0] = l->len;
	memcpy(to + 1, l->text, l->len);
}

static struct image_folder *folder_visit(struct image *im, struct folder *f)
{
	struct image_folder *parent = NULL;
	struct label label;
	if (f->image_number == im->number)
		return f->image;
	if (f->parent != NULL && (parent = folder_visit(im, f->parent)) == NULL)
		return NULL;
	struct image_folder *row = row_add(im, IMAGE_FOLDER, sizeof(*row));
	if (row == NULL)
		return NULL;
	names_label(&label, &f->names, f->parent == NULL ? LABEL_NAMESPACE : LABEL_GROUP, f->name);
	label_put(row->label, &label);
	label_encode(&label, f->parent == NULL ? LABEL_NAMESPACE : LABEL_GROUP, f->name, strlen(f->name));
	label_put(row->canonical, &label);
	row->number = f->number;
	row->parent = parent;
	row->blob = f->blob;
	if (f->blob != NULL)
		blob_hold(f->blob);
	im->folder_count++;
	f->image = row;
	f->image_number = im->number;
	return row;
}

static bool owns_alias(const struct zone_set *zs, const struct site *s)
{
	if (s->names.raw.node == 0)
		return false;
	const struct node *n = name_node(&zs->index, s->names.raw.node);
	return atomic_load_explicit(&((struct node *)n)->blob, memory_order_relaxed) == s->blob;
}

void image_visit(struct zone_set *zs, struct site *s)
{
	struct image *im = zs->taking;
	const struct service_key *key = &s->view->info->key;
	struct label label;
	uint8_t raw[64] = { 0 };
	s->image_number = im->number;
	if (s->blob == NULL || im->failed)
		return;
	const struct image_folder *group = folder_visit(im, s->group);
	names_label(&label, &s->names, LABEL_SERVICE, key->name);
	if (!owns_alias(zs, s) || !raw_label(raw, key->name, key->name_len))
		raw[0] = 0;
	struct image_site *row =
	    group == NULL ? NULL : row_add(im, IMAGE_SITE, sizeof(*row) + 2u + label.len + raw[0]);
	if (row == NULL)
		return;
	row->group = group;
	row->blob = s->blob;
	row->shown = s->shown;
	blob_hold(s->blob);
	label_put(row->labels, &label);
	memcpy(row->labels + 1 + label.len, raw, 1u + raw[0]);
	const struct blob_cold *cold = blob_cold(s->blob);
	im->address_count += (size_t)s->blob->n4 + s->blob->n6 + cold->idle4 + cold->idle6;
}

static struct ns_addresses *ns_copy(const struct ns_addresses *from)
{
	size_t size = sizeof(*from) + 4 * (size_t)from->n4 + 16 * (size_t)from->n6;
	struct ns_addresses *ns = mem_zalloc(1, size);
	if (ns == NULL)
		return NULL;
	ns->n4 = from->n4;
	ns->n6 = from->n6;
	ns->v6 = (uint8_t(*)[16])(void *)((char *)ns->v4 + 4 * (size_t)from->n4);
	memcpy(ns->v4, from->v4, 4 * (size_t)from->n4);
	memcpy(ns->v6, from->v6, 16 * (size_t)from->n6);
	return ns;
}

/* The zone as it is now. */
static void zone_take(struct zone_set *zs, struct image *im, struct zone *z)
{
	struct image_zone *to = &im->zones[im->zone_count++];
	if (z->dirty) /* no two contents under one serial */
		zone_publish(zs, z);
	to->zone = z;
	to->serial = atomic_load_explicit(&z->serial, memory_order_relaxed);
	to->file = atomic_load_explicit(&z->file, memory_order_relaxed);
	if (to->file != NULL)
		static_ref(to->file);
	if (z->vanities.count == 0)
		return;
	to->vanities = mem_zalloc(z->vanities.count, sizeof(*to->vanities));
	if (to->vanities == NULL) {
		im->failed = true;
		return;
	}
	for (size_t i = 0; i < z->vanities.count; i++)
		if ((to->vanities[i] = vanity_service(zs, &z->vanities.at[i])) != NULL)
			blob_hold(to->vanities[i]);
}

static void zone_give(struct zone_set *zs, struct image_zone *part)
{
	if (part->file != NULL)
		static_unref(part->file);
	for (size_t i = 0; part->vanities != NULL && i < part->zone->vanities.count; i++)
		if (part->vanities[i] != NULL)
			blob_retire(part->vanities[i], zs->reaper);
	mem_free(part->vanities);
}

struct image *image_begin(struct zone_set *zs)
{
	struct image *im = zs->taking != NULL ? NULL : mem_zalloc(1, sizeof(*im) + zs->zone_count * sizeof(im->zones[0]));
	if (im == NULL)
		return NULL;
	im->ns = ns_copy(atomic_load_explicit(&zs->ns, memory_order_relaxed));
	if (im->ns == NULL) {
		mem_free(im);
		return NULL;
	}
	im->number = ++zs->image_number;
	im->changes = zs->changes;
	im->refs = 1;
	im->ttl = zs->conf.ttl;
	im->ttl_host = zs->conf.ttl_host;
	im->ttl_negative = zs->conf.ttl_negative;
	im->ttl_apex = zs->conf.ttl_apex;
	im->ttl_version = zs->conf.ttl_version;
	for (size_t i = 0; i < zs->zone_count; i++)
		zone_take(zs, im, &zs->zones[i]);
	im->at = zs->youngest;
	zs->taking = im;
	return im;
}

bool image_step(struct zone_set *zs, unsigned sites)
{
	struct image *im = zs->taking;
	for (; sites > 0 && im->at != NULL && !im->failed; sites--) {
		struct site *s = im->at;
		im->at = s->next;
		image_before(zs, s);
	}
	if (im->at != NULL && !im->failed)
		return false;
	zs->taking = NULL;
	return true;
}

/* ---- the end */

static void row_end(struct zone_set *zs, const struct image_row *row)
{
	struct blob *b = row->kind == IMAGE_SITE ? ((const struct image_site *)row)->blob
						 : ((const struct image_folder *)row)->blob;
	if (b != NULL)
		blob_retire(b, zs->reaper);
}

bool image_end_step(struct zone_set *zs, struct image *im, unsigned rows)
{
	if (zs->taking == im)
		zs->taking = NULL;
	while (im->first != NULL) {
		struct image_chunk *c = im->first;
		for (; im->ended_at < c->used; rows--) {
			if (rows == 0)
				return false;
			const struct image_row *row = (const void *)(c->rows + im->ended_at);
			im->ended_at += row->size;
			row_end(zs, row);
		}
		im->first = c->next;
		im->ended_at = 0;
		mem_free(c);
	}
	for (size_t i = 0; i < im->zone_count; i++)
		zone_give(zs, &im->zones[i]);
	mem_free(im->ns);
	mem_free(im);
	return true;
}

/* hidden.c - see hidden.h. Only zones of bound layouts have services next to their apex; in a full zone they stand below svc
 * and ns, where settings let nothing else stand. */
#include "zones/hidden.h"

enum { LABELS = 2, ROOM = LABEL_MAX + 1 };

static void wire_put(uint8_t to[ROOM], const struct names *names, enum label_kind kind, const char *s)
{
	struct label label;
	names_label(&label, names, kind, s);
	memset(to, 0, ROOM);
	to[0] = label.len;
	memcpy(to + 1, label.text, label.len);
}

/* The labels of the service's name below the apex, the one next to it first. 0: it has none there. */
static unsigned labels_of(uint8_t labels[LABELS][ROOM], const struct zone *z, const struct site *s,
			  const struct service_key *key)
{
	const struct folder *g = s->group;
	unsigned n = 0;
	switch (z->layout) {
	case LAYOUT_BOUND:
		if (g->number != z->scope)
			return 0;
		break;
	case LAYOUT_BOUND_GROUP:
		if (strcmp(z->export->group, g->name) != 0)
			return 0;
		wire_put(labels[n++], &g->parent->names, LABEL_NAMESPACE, g->parent->name);
		break;
	case LAYOUT_BOUND_NS:
		if (g->parent->number != z->scope)
			return 0;
		wire_put(labels[n++], &g->names, LABEL_GROUP, g->name);
		break;
	default:
		return 0;
	}
	wire_put(labels[n++], &s->names, LABEL_SERVICE, key->name);
	return n;
}

const char *hidden_by(const struct zone *z, const struct site *s, const struct service_key *key)
{
	uint8_t labels[LABELS][ROOM], name[LABELS * ROOM];
	unsigned n = labels_of(labels, z, s, key);
	size_t len = 0;
	bool below;
	if (n == 0)
		return NULL;
	if (zone_has_fixed(z, labels[0]))
		return "a name of the zone itself";
	for (unsigned i = 0; i < n; len += labels[i][0] + 1u, i++)
		memcpy(name + len, labels[i], labels[i][0] + 1u);
	const struct vanity *v = vanity_find(&z->vanities, name, len, &below);
	bool own = v != NULL && strcmp(v->service, key->name) == 0 && strcmp(v->group, key->group) == 0 &&
		   strcmp(v->ns, key->ns) == 0;
	return v == NULL || own ? NULL : "an alias of another service";
}

void hidden_note(struct zone_set *zs, struct site *s, const struct service_key *key, uint32_t bits)
{
	s->hidden = 0;
	for (size_t i = 0; i < zs->zone_count; i++) {
		const struct zone *z = &zs->zones[i];
		const char *by = z->hides != 0 && (bits & z->hides) == 0 ? NULL : hidden_by(z, s, key);
		if (by == NULL)
			continue;
		s->hidden++;
		if (zs->conf.on_hidden != NULL)
			zs->conf.on_hidden(zs->conf.arg, z->text, key, by);
	}
	atomic_fetch_add_explicit(&zs->stat_hidden, s->hidden, memory_order_relaxed);
}

void hidden_forget(struct zone_set *zs, const struct site *s)
{
	atomic_fetch_sub_explicit(&zs->stat_hidden, s->hidden, memory_order_relaxed);
}

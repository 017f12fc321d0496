/* selector.c - see selector.h. */
#include "zones/selector.h"
#include "base/hash.h"
#include "zones/blob_rows.h"
#include <string.h>

/* ---- keys */

int selector_key_parse(struct selector_key *ret, const char *text, struct error *err)
{
	size_t len = strcspn(text, "=");
	const char *key = text[len] == '=' ? text + len + 1 : text;
	struct label label;
	if (label_encode(&label, LABEL_VALUE, text, len) != LABEL_PLAIN)
		return error_set(err, E_INVALID,
				 "\"%.*s\" is no label of 1 to %d of a-z, 0-9 and -: write LABEL=KEY, such as zone=%.100s",
				 (int)(len > 100 ? 100 : len), text, LABEL_MAX, *key == '\0' ? "topology.zone" : key);
	if (*key == '\0')
		return error_set(err, E_INVALID, "\"%.100s\" names no metadata key: write LABEL=KEY", text);
	*ret = (struct selector_key){ .key = key, .key_len = strlen(key) };
	ret->label[0] = label.len;
	memcpy(ret->label + 1, label.text, label.len);
	return E_OK;
}

int selector_keys_make(const struct selector_keys **ret, struct arena *mem, const char *const *texts, size_t n,
		       struct error *err)
{
	*ret = NULL;
	if (n == 0)
		return E_OK;
	if (n > SELECTOR_KEYS_MAX)
		return error_set(err, E_LIMIT, "%zu selector keys are more than %d", n, SELECTOR_KEYS_MAX);
	struct selector_keys *keys = arena_zalloc(mem, sizeof(*keys));
	if (keys == NULL)
		return error_set(err, E_NOMEM, "no memory");
	for (size_t i = 0; i < n; i++) {
		const char *text = arena_strdup(mem, texts[i]);
		if (text == NULL)
			return error_set(err, E_NOMEM, "no memory");
		int rc = selector_key_parse(&keys->at[i], text, err);
		if (rc < 0)
			return rc;
		if (selector_key_find(keys, keys->at[i].label) != 0)
			return error_set(err, E_EXISTS, "the selector key %s is set twice", keys->at[i].label + 1);
		keys->count++;
	}
	*ret = keys;
	return E_OK;
}

unsigned selector_key_find(const struct selector_keys *keys, const uint8_t *label)
{
	for (unsigned i = 0; keys != NULL && i < keys->count; i++)
		if (memcmp(keys->at[i].label, label, label[0] + 1u) == 0)
			return i + 1;
	return 0;
}

/* ---- instances by value */

struct pick { /* an instance has a value */
	const struct instance *instance;
	uint32_t set;
};

/* The sets by key and value while they are made: open addressing, set + 1. */
struct sorter {
	struct blob_builder *bb;
	const struct selector_keys *keys;
	struct selected *sets;
	struct pick *picks;
	uint32_t set_count, pick_count, mask;
	uint32_t *table;
};

/* Number of the key from 1 on, 0: it is none, or has no value. */
static unsigned key_of(const struct selector_keys *keys, const struct pair *p)
{
	for (unsigned i = 0; i < keys->count; i++)
		if (keys->at[i].key_len == p->key_len && memcmp(keys->at[i].key, p->key, p->key_len) == 0)
			return p->value_len > 0 ? i + 1 : 0;
	return 0;
}

/* Its slot, or the free one where it belongs. */
static uint32_t *slot_of(const struct sorter *s, unsigned key, const char *value, size_t len)
{
	for (uint64_t at = hash_bytes(value, len) + key;; at++) {
		uint32_t *slot = &s->table[at & s->mask];
		if (*slot == 0)
			return slot;
		const struct selected *x = &s->sets[*slot - 1];
		if (x->key == key && x->len == len && memcmp(x->value, value, len) == 0)
			return slot;
	}
}

/* At most half full. */
static int table_grow(struct sorter *s)
{
	uint32_t slots = s->mask == 0 ? 64 : 2 * (s->mask + 1);
	s->table = scratch_reserve(&s->bb->selector_table, slots * sizeof(*s->table));
	if (s->table == NULL)
		return E_NOMEM;
	memset(s->table, 0, slots * sizeof(*s->table));
	s->mask = slots - 1;
	for (uint32_t i = 0; i < s->set_count; i++)
		*slot_of(s, s->sets[i].key, s->sets[i].value, s->sets[i].len) = i + 1;
	return E_OK;
}

static int pick_add(struct sorter *s, const struct instance *i, unsigned key, const struct pair *p)
{
	if (2 * s->set_count >= s->mask && table_grow(s) < 0)
		return E_NOMEM;
	uint32_t *slot = slot_of(s, key, p->value, p->value_len);
	struct selected *sets = scratch_reserve(&s->bb->selector_sets, (s->set_count + 1) * sizeof(*sets));
	struct pick *picks = scratch_reserve(&s->bb->selector_picks, (s->pick_count + 1) * sizeof(*picks));
	if (sets == NULL || picks == NULL)
		return E_NOMEM;
	s->sets = sets;
	s->picks = picks;
	if (*slot == 0) {
		sets[s->set_count++] = (struct selected){ .value = p->value, .len = p->value_len, .key = (uint16_t)key,
							  .since_ms = i->registered_ms };
		*slot = s->set_count;
	}
	struct selected *set = &sets[*slot - 1];
	if (set->count > 0 && picks[set->first].instance == i)
		return E_OK; /* it says the same twice */
	set->first = s->pick_count; /* the last pick, for now */
	set->count++;
	if (i->registered_ms < set->since_ms)
		set->since_ms = i->registered_ms;
	picks[s->pick_count++] = (struct pick){ i, *slot - 1 };
	return E_OK;
}

static int picks_gather(struct sorter *s, const struct service_view *v)
{
	struct pair p;
	for (uint32_t n = 0; n < v->count; n++) {
		struct packed metadata = instance_metadata(v->instances[n]);
		for (size_t at = 0; packed_next(&metadata, &at, &p);) {
			unsigned key = key_of(s->keys, &p);
			if (key != 0 && pick_add(s, v->instances[n], key, &p) < 0)
				return E_NOMEM;
		}
	}
	return E_OK;
}

static void lists_lay_out(const struct sorter *s, const struct instance **list)
{
	uint32_t first = 0;
	for (uint32_t i = 0; i < s->set_count; i++) {
		s->sets[i].first = first;
		first += s->sets[i].count;
		s->sets[i].count = 0;
	}
	for (uint32_t i = 0; i < s->pick_count; i++) {
		struct selected *set = &s->sets[s->picks[i].set];
		list[set->first + set->count++] = s->picks[i].instance;
	}
}

/* Which sets have the instances that they had. */
static void lists_compare(const struct sorter *s, const struct instance *const *list, const struct service_view *old)
{
	struct pair p;
	for (uint32_t n = 0; n < old->count; n++) {
		const struct instance *i = old->instances[n];
		struct packed metadata = instance_metadata(i);
		for (size_t at = 0; packed_next(&metadata, &at, &p);) {
			unsigned key = key_of(s->keys, &p);
			uint32_t slot = key == 0 ? 0 : *slot_of(s, key, p.value, p.value_len);
			struct selected *set = slot == 0 ? NULL : &s->sets[slot - 1];
			if (set != NULL && set->met < set->count && list[set->first + set->met] == i)
				set->met++;
			else if (set != NULL)
				set->changed = true;
		}
	}
}

int selection_make(struct selected_sets *ret, struct blob_builder *bb, const struct service_view *v,
		   const struct service_view *old)
{
	struct sorter s = { .bb = bb, .keys = bb->selectors };
	*ret = (struct selected_sets){ 0 };
	if (s.keys == NULL || v->count == 0)
		return E_OK;
	if (picks_gather(&s, v) < 0)
		return E_NOMEM;
	if (s.set_count == 0)
		return E_OK;
	const struct instance **list = scratch_reserve(&bb->selector_list, s.pick_count * sizeof(*list));
	if (list == NULL)
		return E_NOMEM;
	lists_lay_out(&s, list);
	if (old != NULL)
		lists_compare(&s, list, old);
	*ret = (struct selected_sets){ s.sets, s.set_count, list };
	return E_OK;
}

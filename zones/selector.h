/* selector.h - metadata keys by which the instances of a service can be asked for: <value>.<key>.m.<service> (dns.md 1.3).
 * The keys are fixed by the settings; the instances are sorted by their values each time the service is compiled. Without
 * keys nothing of this costs anything. Private to zones/, but for the reading of settings. */
#ifndef ZONES_SELECTOR_H
#define ZONES_SELECTOR_H

#include "base/arena.h"
#include "registry/view.h"
#include "zones/label.h"

enum { SELECTOR_KEYS_MAX = 16 };

struct selector_key {
	const char *key; /* of metadata */
	size_t key_len;
	uint8_t label[LABEL_MAX + 1]; /* wire form, zero-padded */
};

struct selector_keys {
	uint32_t count;
	struct selector_key at[SELECTOR_KEYS_MAX];
};

/* "LABEL=KEY", or "KEY" alone where that is a label in its plain form itself. @ret->key is borrowed from @text.
 * E_INVALID. */
int selector_key_parse(struct selector_key *ret, const char *text, struct error *err);
/* *@ret, in @mem as what it points to; NULL if @n is 0. E_INVALID, E_EXISTS (a label twice), E_LIMIT, E_NOMEM. */
int selector_keys_make(const struct selector_keys **ret, struct arena *mem, const char *const *texts, size_t n,
		       struct error *err);
/* The number of the key with this label from 1 on; 0: there is none, also without keys (NULL). */
unsigned selector_key_find(const struct selector_keys *keys, const uint8_t *label);

/* ---- compiling; control thread */

struct blob_builder;

/* The instances with one value of one key. */
struct selected {
	const char *value; /* of the view */
	uint16_t len, key; /* from 1 on */
	uint32_t count, first; /* list[first..first + count), in the order of the view */
	uint32_t met;	       /* of them, in the same order, in the view before */
	bool changed;	       /* others were in it then */
	int64_t since_ms;      /* the oldest of them */
};

struct selected_sets { /* in the builder's scratch memory */
	struct selected *sets;
	uint32_t count;
	const struct instance **list;
};

/* Sorts the instances of @v. @old: a view before it, NULL: none. E_NOMEM. */
int selection_make(struct selected_sets *ret, struct blob_builder *bb, const struct service_view *v,
		   const struct service_view *old);
/* It has exactly the instances that it had in the old view. */
static inline bool selected_same(const struct selected *s)
{
	return !s->changed && s->met == s->count;
}

#endif

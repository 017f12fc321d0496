/* feed.c - see feed.h. */
#include "api/feed.h"

#include <string.h>

static bool topic_equal(const void *value, const void *key)
{
	const struct service_key *a = &((const struct feed_topic *)value)->key, *b = key;
	return a->name_len == b->name_len && a->group_len == b->group_len && a->ns_len == b->ns_len &&
	       memcmp(a->name, b->name, a->name_len) == 0 && memcmp(a->group, b->group, a->group_len) == 0 &&
	       memcmp(a->ns, b->ns, a->ns_len) == 0;
}

static void on_view(void *arg, const struct service_view *old, const struct service_view *fresh)
{
	struct feed *f = arg;
	if (f->stopped) /* who listened may be gone */
		return;
	fuzzy_feed_view(&f->fuzzy, old, fresh);
	if (f->topics.count == 0 || fresh == NULL) /* what is removed was empty before, and that was told */
		return;
	const struct service_key *key = &fresh->info->key;
	for (struct feed_topic *t = map_find(&f->topics, service_key_hash(key), key); t != NULL; t = t->more) {
		if (t->dirty)
			continue;
		t->dirty = true;
		t->dirty_next = f->dirty;
		f->dirty = t;
	}
}

/* The views of this turn can be read, and whoever changed them is answered before thousands hear of it. */
static void on_answered(void *arg)
{
	struct feed *f = arg;
	for (struct feed_topic *t; (t = f->dirty) != NULL;) {
		f->dirty = t->dirty_next;
		t->dirty = false;
		if (!f->stopped && !atomic_exchange(&t->pending, true))
			inbox_post(t->inbox, &t->message);
	}
	fuzzy_feed_turn(&f->fuzzy, f->stopped);
}

void feed_init(struct feed *f)
{
	memset(f, 0, sizeof(*f));
	map_init(&f->topics, topic_equal);
	fuzzy_feed_init(&f->fuzzy);
}

void feed_done(struct feed *f)
{
	map_done(&f->topics);
	fuzzy_feed_done(&f->fuzzy);
}

struct registry_watcher feed_watcher(struct feed *f)
{
	return (struct registry_watcher){ .on_view = on_view, .on_answered = on_answered, .arg = f };
}

int feed_join(struct feed *f, struct feed_topic *t)
{
	struct feed_topic *first = map_find(&f->topics, t->hash, &t->key);
	t->more = NULL;
	if (first != NULL) {
		t->more = first->more;
		first->more = t;
	} else if (map_add(&f->topics, t->hash, t) < 0) {
		return E_NOMEM;
	}
	t->joined = true;
	return E_OK;
}

static void forget_dirty(struct feed *f, struct feed_topic *t)
{
	struct feed_topic **at = &f->dirty;
	if (!t->dirty)
		return;
	while (*at != t)
		at = &(*at)->dirty_next;
	*at = t->dirty_next;
	t->dirty = false;
}

void feed_leave(struct feed *f, struct feed_topic *t)
{
	struct feed_topic *first = map_find(&f->topics, t->hash, &t->key);
	if (!t->joined)
		return;
	t->joined = false;
	forget_dirty(f, t);
	if (first == t) {
		map_remove(&f->topics, t->hash, &t->key);
		if (t->more != NULL)
			map_add(&f->topics, t->hash, t->more); /* into the place that was left: it needs no memory */
		return;
	}
	while (first->more != t)
		first = first->more;
	first->more = t->more;
}

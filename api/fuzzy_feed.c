/* fuzzy_feed.c - see fuzzy_feed.h. News for which there is no memory is lost: a client asks for its pattern again every
 * three minutes, and is then told what differs. */
#include "api/fuzzy_feed.h"

#include "base/mem.h"
#include <stdio.h>
#include <string.h>

void fuzzy_feed_init(struct fuzzy_feed *f)
{
	memset(f, 0, sizeof(*f));
	f->news_end = &f->news;
}

static struct fuzzy_news *take_first(struct fuzzy_feed *f)
{
	struct inbox_message *m = f->news;
	if (m == NULL)
		return NULL;
	f->news = m->next;
	if (f->news == NULL)
		f->news_end = &f->news;
	return (struct fuzzy_news *)m;
}

void fuzzy_feed_done(struct fuzzy_feed *f)
{
	for (struct fuzzy_news *n; (n = take_first(f)) != NULL;)
		mem_free(n);
}

int fuzzy_feed_join(struct fuzzy_feed *f, struct fuzzy_listener *l)
{
	if (l->joined)
		return E_OK;
	if (f->count >= FUZZY_LISTENERS_MAX)
		return E_LIMIT;
	f->count++;
	l->joined = true;
	l->prev = NULL;
	l->next = f->first;
	if (l->next != NULL)
		l->next->prev = l;
	f->first = l;
	return E_OK;
}

void fuzzy_feed_leave(struct fuzzy_feed *f, struct fuzzy_listener *l)
{
	if (!l->joined)
		return;
	l->joined = false;
	f->count--;
	*(l->prev != NULL ? &l->prev->next : &f->first) = l->next;
	if (l->next != NULL)
		l->next->prev = l->prev;
}

static void tell(struct fuzzy_feed *f, const struct fuzzy_listener *l, const struct service_key *key, bool present)
{
	size_t size = (size_t)key->ns_len + key->group_len + key->name_len + sizeof("@@@@");
	struct fuzzy_news *n = mem_alloc(sizeof(*n) + size);
	if (n == NULL)
		return;
	n->message.next = NULL;
	n->inbox = l->inbox;
	n->watch = l->watch;
	n->present = present;
	snprintf(n->key, size, "%s@@%s@@%s", key->ns, key->group, key->name);
	*f->news_end = &n->message;
	f->news_end = &n->message.next;
}

void fuzzy_feed_view(struct fuzzy_feed *f, const struct service_view *old, const struct service_view *fresh)
{
	bool was = old != NULL && old->count > 0, is = fresh != NULL && fresh->count > 0;
	if (f->first == NULL || was == is)
		return;
	const struct service_key *key = &(is ? fresh : old)->info->key;
	for (struct fuzzy_listener *l = f->first; l != NULL; l = l->next)
		if (fuzzy_pattern_matches(&l->pattern, key))
			tell(f, l, key, is);
}

void fuzzy_feed_turn(struct fuzzy_feed *f, bool stopped)
{
	for (struct fuzzy_news *n; (n = take_first(f)) != NULL;) {
		if (stopped)
			mem_free(n);
		else
			inbox_post(n->inbox, &n->message);
	}
}

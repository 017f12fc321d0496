/* fuzzy_feed.h - which patterns of service names somebody watches, on the control thread: told by the feed of views,
 * it tells the I/O threads which services have got their first instance or lost their last, once that can be read. */
#ifndef API_FUZZY_FEED_H
#define API_FUZZY_FEED_H

#include "api/fuzzy_pattern.h"
#include "base/inbox.h"

enum { FUZZY_LISTENERS_MAX = 1000 /* in all: each one costs a look at every service that comes or goes */ };

/* One pattern of one connection; embedded by its owner, who joins and leaves by CMD_CALL. The control thread's while
 * joined. */
struct fuzzy_listener {
	struct fuzzy_pattern pattern; /* the owner's */
	struct inbox *inbox;
	uint64_t watch; /* the owner's handle */
	struct fuzzy_listener *next, *prev;
	bool joined;
};

/* Posted to the inbox, whose thread frees it. */
struct fuzzy_news {
	struct inbox_message message; /* first */
	struct inbox *inbox;
	uint64_t watch;
	bool present;
	char key[]; /* namespace@@group@@service */
};

struct fuzzy_feed {
	struct fuzzy_listener *first;
	unsigned count;
	struct inbox_message *news, **news_end; /* struct fuzzy_news of this turn */
};

void fuzzy_feed_init(struct fuzzy_feed *f);
void fuzzy_feed_done(struct fuzzy_feed *f);
int fuzzy_feed_join(struct fuzzy_feed *f, struct fuzzy_listener *l); /* E_LIMIT; joined already: E_OK */
void fuzzy_feed_leave(struct fuzzy_feed *f, struct fuzzy_listener *l); /* not joined: nothing */
/* A view is about to be published; the end of its turn. @stopped: nobody receives news any more. */
void fuzzy_feed_view(struct fuzzy_feed *f, const struct service_view *old, const struct service_view *fresh);
void fuzzy_feed_turn(struct fuzzy_feed *f, bool stopped);

#endif

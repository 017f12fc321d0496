/* feed.h - which services somebody subscribes to, on the control thread: a watcher of the registry that tells the
 * I/O threads of new views, once the view can be read. The control thread's but for what a field says. */
#ifndef API_FEED_H
#define API_FEED_H

#include "api/fuzzy_feed.h"
#include "base/map.h"
#include "registry/desk.h"

/* One service that one I/O thread wants news of; embedded by its owner, who joins and leaves by CMD_CALL and
 * keeps it until the news that is under way has arrived. */
struct feed_topic {
	struct inbox_message message; /* first: the news, posted to @inbox */
	_Atomic bool pending;	      /* news is under way; the receiver clears it before it reads the view */
	struct inbox *inbox;
	struct service_key key; /* the owner's, unchanged while joined */
	uint64_t hash;
	struct feed_topic *more, *dirty_next; /* control's: others of this service; to be told this turn */
	bool dirty, joined;
};

struct feed {
	struct map topics; /* the first topic of each service */
	struct feed_topic *dirty;
	struct fuzzy_feed fuzzy; /* services that come and go, for who watches names */
	bool stopped; /* the I/O threads are ending: no news any more */
};

void feed_init(struct feed *f);
void feed_done(struct feed *f);
struct registry_watcher feed_watcher(struct feed *f);
int feed_join(struct feed *f, struct feed_topic *t); /* E_NOMEM */
void feed_leave(struct feed *f, struct feed_topic *t);

#endif

/* push_watch.h - which subscriber has heard of which change when; whatever carries the pushes. */
#ifndef NACOSBLAST_PUSH_WATCH_H
#define NACOSBLAST_PUSH_WATCH_H

#include "buf.h"
#include "loop.h"
#include "mode.h"
#include "tally.h"

/* What a list of hosts shows. */
struct push_verdict {
	bool empty, partial;
	uint64_t sequence;
};

/* Who has heard of which change when. Changes are numbered from 1; a push that shows a later number
 * counts for all earlier ones, since the server may merge. */
struct push_watch {
	struct loop *loop;
	unsigned subscribers, changes, instances;
	bool counting;		/* all is set up: from now on a push must hold all instances */
	uint64_t *seen;		/* by subscriber: the highest change seen */
	uint64_t *arrived;	/* [change * subscribers + subscriber], ns; 0: not yet */
	uint64_t *sent, *acked; /* by change, ns */
	uint64_t pushes, bytes, empty, partial, unreadable;
	struct buf known; /* the list that was judged last: most have the same bytes */
	struct push_verdict verdict;
};

void push_watch_init(struct push_watch *w, struct loop *loop, const struct options *opt);
void push_watch_done(struct push_watch *w);

/* A push of @text (a ServiceInfo is in it) has come to @subscriber. */
void push_watch_take(struct push_watch *w, unsigned subscriber, const char *text, size_t len);

/* Wait, at most @ms, until all have heard of all @changes so far. */
void push_settle(struct push_watch *w, uint64_t ms, void (*tick)(void *), void *arg);

/* Prints the run's line. @cpu: ns that the server used for the changes. Returns the exit status. */
int push_watch_print(const struct push_watch *w, const struct mode *mode, const struct options *opt,
		     const struct tally *t, uint64_t cpu, uint64_t rss_before);

#endif

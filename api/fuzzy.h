/* fuzzy.h - clients of 3.x that watch services by patterns of names (nacos-naming 5.13): which services match is told
 * in batches at first, then each that comes or goes. One I/O thread's; news comes from the fuzzy feed. */
#ifndef API_FUZZY_H
#define API_FUZZY_H

#include "api/session.h"

enum {
	FUZZY_WATCHES_MAX = 20,	 /* patterns of a connection */
	FUZZY_MATCHES_MAX = 500, /* services of a pattern that its client is told of; both as in the original */
};

struct io;
struct message;

int fuzzy_open(struct io *io);	/* E_NOMEM */
void fuzzy_close(struct io *io); /* the inbox of news */
void fuzzy_free(struct io *io);	/* the feed has stopped and every command is back */

void fuzzy_session_end(struct session *s);     /* it watches nothing any more */
void fuzzy_session_drained(struct session *s); /* its socket has room */

/* NamingFuzzyWatchRequest. */
int fuzzy_watch_decode(struct message *m);
void fuzzy_watch_run(struct message *m);

#endif

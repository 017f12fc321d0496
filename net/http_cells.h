/* http_cells.h - what the HTTP server counts of connections and of requests that it refuses by itself. */
#ifndef NET_HTTP_CELLS_H
#define NET_HTTP_CELLS_H

enum connection_refusal { REFUSED_ALLOW, REFUSED_LIMIT, REFUSED_PEER, REFUSED_FAILED, CONNECTION_REFUSALS };

struct connection_cells {
	unsigned open, accepted, refused[CONNECTION_REFUSALS]; /* metric cells */
};

void connection_cells_declare(struct connection_cells *ret);
void http_refusals_declare(void);
void http_refusal_count(int status); /* the answer to a request that no handler has seen */

#endif

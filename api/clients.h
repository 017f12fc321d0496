/* clients.h - the clients of Nacos's model that publish over HTTP: one for each address and kind of instance,
 * "10.0.0.5:8080#true" (nacos-naming 1.8). They are counted and looked up by walking the services, on the control
 * thread. Clients that have a connection or are pushed to: subscriber.h. */
#ifndef API_CLIENTS_H
#define API_CLIENTS_H

#include "api/request.h"

struct client_set { /* of hashes */
	uint64_t *slots;
	size_t cap, ephemeral, persistent;
	bool failed; /* no memory */
};

void client_set_done(struct client_set *s);
/* true: it is new there. Never after it has failed, and never when a connection holds the instance. */
bool client_set_add(struct client_set *s, const struct instance *i);

/* Answers with an empty list, or that there is no client of the name @id. */
void client_answer_empty(struct request *r, const char *id);

#endif

/* explain_facts.h - what is gathered to explain a service or its instances, and how it is written. */
#ifndef API_EXPLAIN_FACTS_H
#define API_EXPLAIN_FACTS_H

#include "api/subscriber.h"
#include "registry/explain.h"

struct explain_facts {
	struct service_key key;
	const char *ip, *cluster; /* of the wanted instances; NULL: all */
	uint16_t port;
	bool by_port;
	const struct explainer *explainer;
	int64_t started_ms; /* clock_ms(): whoever has beaten since has not just been restored */
	struct client *clients; /* connections that publish into it, by publisher */
	size_t client_count;
	struct subscriber *subscribers;
	size_t subscriber_count;
	struct probe_seen *probes; /* answered */
	size_t probe_count;
};

bool explain_wants(const struct explain_facts *f, const struct service_view *v, const struct instance *i);
bool explain_has(const struct explain_facts *f, const struct service_view *v); /* one that is wanted */
/* On the control thread, inside an RCU section. */
void explain_write(struct text *t, const struct explain_facts *f, struct registry *reg, const struct service_view *v);

#endif

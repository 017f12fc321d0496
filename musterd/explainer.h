/* explainer.h - what zones and health know of an instance, for who asks the API why it is listed (registry/explain.h);
 * and who listens, for the API itself (registry/knock.h). */
#ifndef MUSTERD_EXPLAINER_H
#define MUSTERD_EXPLAINER_H

#include "registry/explain.h"
#include "registry/knock.h"

struct zone_slot;
struct beats;
struct prober;

struct explainer_parts { /* borrowed for as long as the API runs */
	const struct zone_slot *zones;
	struct beats *beats;
	struct prober *prober;
};

struct explainer explainer_make(struct explainer_parts *parts);
struct knocker knocker_make(struct explainer_parts *parts);

#endif

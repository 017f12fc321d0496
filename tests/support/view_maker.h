/* view_maker.h - service views without a registry, for tests and fuzzers of what reads views. They live until the
 * process ends or made_view_free(). */
#ifndef TESTS_SUPPORT_VIEW_MAKER_H
#define TESTS_SUPPORT_VIEW_MAKER_H

#include "registry/view.h"

struct view_row {
	const char *ip;
	uint16_t port;
	double weight;
	bool healthy, enabled;
	const struct pair *metadata;
	size_t metadata_count;
};

/* Of service @name in public, DEFAULT_GROUP, cluster DEFAULT. @id: unique, growing. Aborts without memory. */
struct service_view *view_make(uint64_t id, const char *name, const struct view_row *rows, size_t count);
void made_view_free(struct service_view *v);

#endif

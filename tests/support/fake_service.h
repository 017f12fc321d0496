/* fake_service.h - service views made by hand, without a registry: for what compiles from views. One thread. */
#ifndef TESTS_SUPPORT_FAKE_SERVICE_H
#define TESTS_SUPPORT_FAKE_SERVICE_H

#include "registry/registry.h"

enum { FAKE_INSTANCES_MAX = 20000, FAKE_CLUSTERS_MAX = 64 };

struct fake_instance { /* zero: 1.0, enabled, healthy, cluster DEFAULT, no metadata */
	const char *ip; /* host name if it is no address */
	uint16_t port;
	const char *cluster;
	double weight; /* 0: 1.0; below 0: 0 */
	bool sick, disabled;
	struct pair metadata[8]; /* keys and values only; ends with a NULL key */
};

struct fake_service {
	const char *ns, *group, *name;
	uint64_t id, created;
	double protect_threshold;
	bool stored;
	struct pair metadata[8], cluster_metadata[8]; /* the latter of cluster 0 */
	bool cluster_stored[FAKE_CLUSTERS_MAX];
	/* its own */
	char *clusters[FAKE_CLUSTERS_MAX];
	uint32_t cluster_count, count, cap;
	struct instance **instances;
	struct instance **graveyard; /* removed, maybe still in the view */
	uint32_t buried;
	bool info_changed;
	struct service_info *info;
	struct service_view *view;
};

struct fake_service *fake_service_new(const char *ns, const char *group, const char *name); /* strings borrowed */
void fake_service_free(struct fake_service *f); /* not published any more */
uint32_t fake_add(struct fake_service *f, const struct fake_instance *i); /* its place */
void fake_replace(struct fake_service *f, uint32_t at, const struct fake_instance *i);
void fake_remove(struct fake_service *f, uint32_t at); /* the last one takes its place */
void fake_clear(struct fake_service *f);
/* Tells the watcher of a new view, ends the turn; what the old view alone held is freed. */
void fake_publish(struct fake_service *f, const struct registry_watcher *w);
void fake_unpublish(struct fake_service *f, const struct registry_watcher *w);
/* The new view without telling anybody; the caller makes it f->view. Frees nothing. */
struct service_view *fake_view_make(struct fake_service *f);

#endif

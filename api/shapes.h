/* shapes.h - the JSON of the reference, out of views and infos, inside an RCU section. Values only: whoever
 * calls has written the key before. */
#ifndef API_SHAPES_H
#define API_SHAPES_H

#include "base/text.h"
#include "registry/registry.h"

/* "group@@name" */
void shape_grouped(struct text *t, const struct service_key *key);
void shape_metadata(struct text *t, struct packed metadata);
void shape_instance_id(struct text *t, const struct service_info *info, const struct instance *i);
/* nacos-naming 1.4; @shown_healthy: under the protect rule a copy differs from the record. */
void shape_instance(struct text *t, const struct service_info *info, const struct instance *i, bool shown_healthy);
void shape_checker(struct text *t, const struct checker *c);

struct list_query {
	const char *clusters; /* comma list, "" all; echoed */
	bool healthy_only;
	int64_t cache_ms;
	bool bare_name; /* gRPC: without the group */
	int64_t absent_ref_ms; /* lastRefTime when there is no such service */
	const char *dom;	/* legacy lists: the name asked for, and hosts as of S1.4; NULL: today's */
};

/* Hosts of a list: an array. false in *@protected: the rule did not reach. */
void shape_hosts(struct text *t, const struct service_view *v, const struct list_query *q, bool *protected_);
/* ServiceInfo (1.13), by HTTP with a grouped name; @v NULL: the service is missing, no hosts. */
void shape_service_info(struct text *t, const struct service_key *key, const struct service_view *v,
			const struct list_query *q);

/* S1.4's list, for /v1/ns/api (2.9). */
void shape_legacy_list(struct text *t, const struct service_view *v, const struct list_query *q);

/* The clusters of a service that are shown: those with instances, and those that somebody has set up. */
struct shown_clusters {
	bool used[256]; /* later ones are all shown */
	uint32_t count;
};
void clusters_shown(struct shown_clusters *ret, const struct service_view *v);
bool cluster_shown(const struct shown_clusters *c, const struct service_info *info, uint32_t cluster);
/* Member "clusterMap": those that are shown by name, each as @shape writes it. */
void shape_cluster_map(struct text *t, const struct service_view *v,
		       void (*shape)(struct text *t, const struct service_view *v, uint32_t cluster));

/* v1 GET service; v2 and v3 GET service, and an entry of v3's list with its hosts. */
void shape_service_v1(struct text *t, const struct service_view *v);
enum service_detail { DETAIL_V2, DETAIL_V3, DETAIL_V3_HOSTS };
void shape_service_detail(struct text *t, const struct service_view *v, enum service_detail which);
/* Catalog: v1 GET service; one entry of GET services without and with instances. */
void shape_catalog_service(struct text *t, const struct service_view *v);
void shape_catalog_entry(struct text *t, const struct service_view *v);
void shape_catalog_detail(struct text *t, const struct service_view *v);
/* v1 and v2 GET instance. */
void shape_instance_detail(struct text *t, const struct service_info *info, const struct instance *i, bool v1);
/* One namespace; @reserved_id: what the reserved one is called. */
void shape_namespace(struct text *t, const struct namespace_row *row, const char *reserved_id);

#endif

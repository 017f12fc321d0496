/* zones_fixture.h - a zone set with a reaper on a loop, and services by name. */
#ifndef TESTS_ZONES_ZONES_FIXTURE_H
#define TESTS_ZONES_ZONES_FIXTURE_H

#include "tests/support/fake_service.h"
#include "tests/support/zone_query.h"
#include <uv.h>

enum { FIXTURE_SERVICES_MAX = 512 };

struct zones_fixture {
	uv_loop_t loop;
	struct rcu_reaper *reaper;
	struct zone_set_conf conf;
	struct zone_conf zone_confs[8];
	struct zone_set *zones;
	struct registry_watcher watcher;
	struct asker ask;
	struct fake_service *services[FIXTURE_SERVICES_MAX];
	unsigned service_count;
};

/* Zone "test", full layout, defaults of the settings; @change may alter conf before the set is made. */
struct zones_fixture *fixture_new(void (*change)(struct zone_set_conf *conf, struct zone_conf *zones));
void fixture_free(struct zones_fixture *f);
struct fake_service *fixture_service(struct zones_fixture *f, const char *ns, const char *group, const char *name);
void fixture_publish(struct zones_fixture *f, struct fake_service *s); /* and lets the reaper have a turn */
void fixture_turn(struct zones_fixture *f);

#endif

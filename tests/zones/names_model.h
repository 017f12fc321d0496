/* names_model.h - which names exist, said a second time: a plain set of names made from services and zones (dns.md D.2). */
#ifndef TESTS_ZONES_NAMES_MODEL_H
#define TESTS_ZONES_NAMES_MODEL_H

#include "tests/support/fake_service.h"
#include "tests/support/zone_query.h"

enum { MODEL_NAMES_MAX = 60000 };

struct names_model {
	char *names[MODEL_NAMES_MAX];
	unsigned count;
	bool by_protocol; /* that is a selector key */
};

/* The names that @conf's zones have of the published services; raw aliases are no part of it. */
void model_build(struct names_model *m, const struct zone_set_conf *conf, struct fake_service **all, const bool *published,
		 unsigned services);
void model_clear(struct names_model *m);
bool model_has(const struct names_model *m, const char *name);
/* For every name that exists, and for siblings that do not: fails the test with the name that is answered otherwise. */
void model_check(const struct names_model *m, struct asker *ask, struct rng *r);

#endif

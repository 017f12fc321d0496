/* fuzzy_pattern.h - which services a client of 3.x watches by names (nacos-naming 5.13): namespace>>group>>service,
 * where group and service are whole names, *, x*, *x or *x*. Any thread. */
#ifndef API_FUZZY_PATTERN_H
#define API_FUZZY_PATTERN_H

#include "base/error.h"
#include "registry/view.h"

enum { FUZZY_PATTERN_MAX = 1024 /* bytes: more than the longest names */ };

struct fuzzy_pattern { /* into one text of its owner */
	const char *ns, *group, *name;
};

/* Takes @text apart in place. E_INVALID, E_RANGE with FAIL_PARAM; @text is then changed all the same. */
int fuzzy_pattern_parse(struct fuzzy_pattern *ret, char *text, struct error *err);
bool fuzzy_pattern_matches(const struct fuzzy_pattern *p, const struct service_key *key);

#endif

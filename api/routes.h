/* routes.h - the table of everything this server answers, and how a path finds its row: by hash. Rows are
 * written without the context path; "/nacos" in front is accepted everywhere. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "base/error.h"
#include "base/map.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;
typedef void route_fn(struct request *r);

enum route_methods { M_GET = 1, M_POST = 2, M_PUT = 4, M_DELETE = 8, M_PATCH = 16, M_ANY = 31 };

/* Whose manners an answer has: plain texts, Results, or our own. */
enum face { FACE_V1, FACE_V2, FACE_V3, FACE_NATIVE };

enum route_class { /* of metrics; also what the traffic gate looks at */
	CLASS_INSTANCE,
	CLASS_LIST,
	CLASS_BEAT,
	CLASS_SERVICE,
	CLASS_HEALTH,
	CLASS_NAMESPACE,
	CLASS_OPERATOR,
	CLASS_STATE,
	CLASS_NATIVE,
	CLASS_WAIT, /* answers take as long as the client wants */
	CLASS_NOT_BUILT,
	CLASS_UNKNOWN,
	ROUTE_CLASSES
};

struct route {
	unsigned methods; /* enum route_methods */
	const char *path; /* "/v1/ns/instance"; a star as last segment: whatever follows */
	uint32_t body_max; /* bytes */
	enum face face;
	enum route_class class;
	route_fn *run;
};

size_t route_count(void);
const struct route *route_at(size_t i);
const char *route_class_name(enum route_class c);
/* Nacos has it, this release not: 501. */
route_fn route_not_built;

/* The index over the table; read-only once built. */
struct route_map;
int route_map_new(struct route_map **ret);
void route_map_free(struct route_map *m);

enum { ROUTE_PATH_MAX = 256 /* bytes; a longer path is unknown */ };
/* The row, or NULL. *@allowed: methods that this path has, 0: unknown path. @path: decoded. */
const struct route *route_match(const struct route_map *m, unsigned method, const char *path, size_t len,
				unsigned *allowed);
/* Rows whose paths resemble @path most, best first; how many. */
size_t route_near(const char *path, size_t len, const struct route **ret, size_t max);

const char *route_method_name(unsigned method);

#endif

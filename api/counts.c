/* counts.c - see counts.h. Routes are rows of the table, so their labels are bounded; those that are not built
 * share one. A route that nobody has asked for is not shown. */
#include "api/counts.h"

#include "base/mem.h"
#include "base/metrics.h"
#include "registry/failure.h"
#include <stdio.h>
#include <string.h>

static const char *const failure_names[] = {
	[FAIL_NONE] = "other",
	[FAIL_PARAM] = "parameter",
	[FAIL_SERVICE_NAME] = "service_name",
	[FAIL_WEIGHT] = "weight",
	[FAIL_INSTANCE_METADATA] = "instance_metadata",
	[FAIL_INSTANCE_MISSING] = "instance_missing",
	[FAIL_INSTANCE] = "instance",
	[FAIL_SERVICE_METADATA] = "service_metadata",
	[FAIL_SELECTOR] = "selector",
	[FAIL_SERVICE_EXISTS] = "service_exists",
	[FAIL_SERVICE_MISSING] = "service_missing",
	[FAIL_SERVICE_NOT_EMPTY] = "service_not_empty",
	[FAIL_HEALTHY_MISSING] = "healthy_missing",
	[FAIL_CHECK_RUNNING] = "check_running",
	[FAIL_NAMESPACE] = "namespace",
	[FAIL_NAMESPACE_MISSING] = "namespace_missing",
	[FAIL_NAMESPACE_EXISTS] = "namespace_exists",
	[FAIL_SWITCH] = "switch",
	[FAIL_LIMIT] = "limit",
	[FAIL_STORE] = "store",
};
static const char *const code_names[] = {
	[-E_OK] = "other",	   [-E_NOMEM] = "no_memory",	     [-E_MISSING] = "parameter",
	[-E_INVALID] = "parameter", [-E_RANGE] = "parameter",	     [-E_NOTFOUND] = "not_found",
	[-E_EXISTS] = "exists",	   [-E_CONFLICT] = "conflict",	     [-E_LIMIT] = "limit",
	[-E_IO] = "store",	   [-E_FULL] = "store",		     [-E_UNAVAILABLE] = "unavailable",
	[-E_TIMEOUT] = "timeout",  [-E_CLOSED] = "unavailable",	     [-E_UNSUPPORTED] = "unsupported",
	[-E_DENIED] = "denied",	   [-E_INTERNAL] = "internal",
};
enum { FAILURES = sizeof(failure_names) / sizeof(failure_names[0]), CODES = sizeof(code_names) / sizeof(code_names[0]) };

struct api_counts {
	unsigned failures[FAILURES], codes[CODES];
	unsigned routes[][STATUS_CLASSES]; /* by row; 0: not counted by itself */
};

static unsigned refusal_declare(const char *reason)
{
	char labels[64];
	snprintf(labels, sizeof(labels), "reason=\"%s\"", reason);
	return metrics_counter("http_refused_total", "HTTP requests that were refused by a route, by reason.", labels);
}

/* "GET" or, where a row has several, "any". */
static const char *method_name(unsigned methods)
{
	return (methods & (methods - 1)) == 0 ? route_method_name(methods) : "any";
}

static void route_declare(unsigned cells[STATUS_CLASSES], const struct route *row)
{
	char labels[ROUTE_PATH_MAX + 96];
	for (unsigned s = 1; s < STATUS_CLASSES; s++) {
		snprintf(labels, sizeof(labels), "method=\"%s\",route=\"%s\",status=\"%uxx\"",
			 row->class == CLASS_NOT_BUILT ? "any" : method_name(row->methods),
			 row->class == CLASS_NOT_BUILT ? "not built" : row->path, s);
		cells[s] = metrics_counter_sparse("http_route_requests_total",
						  "HTTP requests answered, by route; those that were asked for.", labels);
	}
	cells[0] = cells[5];
}

struct api_counts *api_counts_new(void)
{
	struct api_counts *c = mem_zalloc(1, sizeof(*c) + route_count() * sizeof(c->routes[0]));
	if (c == NULL)
		return NULL;
	const unsigned *not_built = NULL;
	for (size_t i = 0; i < route_count(); i++) {
		bool built = route_at(i)->class != CLASS_NOT_BUILT;
		if (!built && not_built != NULL)
			memcpy(c->routes[i], not_built, sizeof(c->routes[i]));
		else
			route_declare(c->routes[i], route_at(i));
		if (!built)
			not_built = c->routes[i];
	}
	for (unsigned i = 0; i < FAILURES; i++)
		c->failures[i] = refusal_declare(failure_names[i]);
	for (unsigned i = 0; i < CODES; i++)
		c->codes[i] = refusal_declare(code_names[i]);
	return c;
}

void api_count_answer(const struct api_counts *c, const struct route *route, unsigned status_class)
{
	if (route != NULL)
		metrics_add(c->routes[route - route_at(0)][status_class], 1);
}

void api_count_refusal(const struct api_counts *c, const struct error *err)
{
	if (err->what > FAIL_NONE && (size_t)err->what < FAILURES)
		metrics_add(c->failures[err->what], 1);
	else if (err->code <= 0 && (size_t)-err->code < CODES)
		metrics_add(c->codes[-err->code], 1);
}

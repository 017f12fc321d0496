/* http_cells.c - see http_cells.h. Declaring twice gives the same cells. */
#include "net/http_cells.h"
#include "base/metrics.h"
#include <stdio.h>

static const struct refusal_reason {
	int status;
	const char *name;
} reasons[] = {
	{ 400, "syntax" },	    { 408, "too_slow" },       { 413, "body_too_large" }, { 414, "target_too_long" },
	{ 431, "head_too_large" },  { 501, "unsupported" },    { 505, "version" },	  { 503, "no_memory" },
};

static unsigned declare(const struct refusal_reason *r)
{
	char labels[64];
	snprintf(labels, sizeof(labels), "reason=\"%s\"", r->name);
	return metrics_counter("http_malformed_total", "HTTP requests that were refused before any route saw them.", labels);
}

void http_refusals_declare(void)
{
	for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		declare(&reasons[i]);
}

/* The connection ends with it, so a look-up by name is cheap enough. */
void http_refusal_count(int status)
{
	for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			metrics_add(declare(&reasons[i]), 1);
}

void connection_cells_declare(struct connection_cells *ret)
{
	static const char *const names[CONNECTION_REFUSALS] = { "not_allowed", "limit", "address_limit", "failed" };
	char labels[64];
	ret->open = metrics_gauge("http_connections", "Open HTTP connections.", NULL);
	ret->accepted = metrics_counter("http_connections_accepted_total", "HTTP connections accepted.", NULL);
	for (unsigned i = 0; i < CONNECTION_REFUSALS; i++) {
		snprintf(labels, sizeof(labels), "reason=\"%s\"", names[i]);
		ret->refused[i] = metrics_counter("http_connections_refused_total",
						  "HTTP connections closed at once: peers outside http.allow, over "
						  "http.connections or http.connections_per_address, or failed.",
						  labels);
	}
}

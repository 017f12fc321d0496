/* counts.h - what the HTTP face counts: requests by route, refusals by reason. The cells are declared once; any I/O
 * thread adds. */
#ifndef API_COUNTS_H
#define API_COUNTS_H

#include "api/routes.h"
#include "base/error.h"

enum { STATUS_CLASSES = 6 }; /* 0xx is never used */

struct api_counts;

/* NULL: no memory. Cells are declared; freed by mem_free. */
struct api_counts *api_counts_new(void);
void api_count_answer(const struct api_counts *c, const struct route *route, unsigned status_class);
void api_count_refusal(const struct api_counts *c, const struct error *err);

#endif

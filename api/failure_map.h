/* failure_map.h - the one table from why-not (enum failure, enum errcode) to what goes on the wire: an HTTP
 * status for v1 (plain text), v2 and v3 (Result with a code). nacos-naming 2.1, 3.1, 3.2; nacos-config 0.4. */
#ifndef API_FAILURE_MAP_H
#define API_FAILURE_MAP_H

#include "base/error.h"
#include <stdbool.h>

struct failure_row {
	int v1_status, v2_status, v3_status;
	int code;	     /* of the Result */
	const char *message; /* its abstract text */
	bool plain;	     /* layer A: plain text on every path */
};

const struct failure_row *failure_row(const struct error *err);

#endif

/* mode.h - what the command line's first word picks. A mode runs from beginning to end, prints its
 * line and returns the exit status; main.c has the table. */
#ifndef NACOSBLAST_MODE_H
#define NACOSBLAST_MODE_H

#include "options.h"

#ifndef PREPARE_LIMIT_SEC
#define PREPARE_LIMIT_SEC 300 /* a preparation that takes longer is given up; slow machines: -D */
#endif

enum {
	PREPARE_SEC = PREPARE_LIMIT_SEC,
};

struct mode {
	const char *name;
	int (*run)(const struct mode *, const struct options *);
	int prepare, measured, cleanup; /* operations of the mode's protocol; -1: none */
	const char *help;
};

int run_http(const struct mode *mode, const struct options *opt);      /* closed_loop.c */
int run_grpc(const struct mode *mode, const struct options *opt);      /* closed_loop.c */
int run_idle(const struct mode *mode, const struct options *opt);      /* idle.c */
int run_grpc_push(const struct mode *mode, const struct options *opt); /* grpc_push.c */
int run_http_push(const struct mode *mode, const struct options *opt); /* udp_push.c */
int run_echo(const struct mode *mode, const struct options *opt);      /* echo.c */

#endif

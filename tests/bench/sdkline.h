/* sdkline.h - one gRPC connection as an SDK holds it, used by one thread: set up, asked, answered, one request at a
 * time; every call waits for its answer (a minute at most). What the server asks of it meanwhile is answered. */
#ifndef BENCH_SDKLINE_H
#define BENCH_SDKLINE_H

#include <stdbool.h>
#include <stdint.h>

struct sdkline; /* opaque: its fields live in sdkline.c */

/* Connects to 127.0.0.1:@port and sets up: a health check has been answered well. NULL where that fails; the caller
 * owns what it gets and ends it with sdkline_free(). */
struct sdkline *sdkline_new(uint16_t port);
void sdkline_free(struct sdkline *line);

/* Sends the message @type with the JSON @body; true when an answer with success came. Otherwise it says why on stderr. */
bool sdkline_ask(struct sdkline *line, const char *type, const char *body);

#endif

/* request.h - one HTTP call on its way through us: parameters, the command it became, the answer. It lives
 * in the call's arena on the I/O loop; while its command is with the desk nobody else touches it. Every
 * request is answered exactly once, by one of the reply functions, which end it. */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/params.h"
#include "api/routes.h"
#include "base/text.h"
#include "net/http1.h"
#include "registry/command.h"

struct io;

struct request {
	struct http_call *call;
	struct io *io;
	const struct route *route;
	struct params params;
	struct error err;
	uint64_t started_ns;
	struct command cmd;
	void (*finish)(struct request *r); /* the command has come back, well unless @takes_failure */
	bool takes_failure;
	struct text out;		   /* what a CMD_CALL writes; freed with the request */
	void *more;			   /* the handler's, in the arena */
	struct walking *walking;
};

#define TYPE_JSON "application/json;charset=UTF-8"
#define TYPE_TEXT "text/plain;charset=UTF-8"

/* ---- answers; @r is gone afterwards */
void reply(struct request *r, int status, const char *type, const void *body, size_t len);
void reply_text(struct request *r, int status, const char *text);
/* @body is cleared or kept by its owner; a failed text is answered 503. */
void reply_json(struct request *r, int status, const struct text *body);
/* With more header lines, each with its CRLF. */
void reply_json_with(struct request *r, int status, const struct text *body, const char *headers);
void reply_shared(struct request *r, const char *type, const void *body, size_t len,
		  void (*release)(void *arg), void *arg);
/* 200, piece by piece: see http_reply_stream(). */
void reply_stream(struct request *r, const char *type, http_more_fn *more, void (*release)(void *arg), void *arg);
void reply_ok(struct request *r); /* v1: ok; v2, v3: Result with data "ok" */
void reply_bool(struct request *r, bool v); /* v1: bare; v2, v3: Result */
/* r->err, through the failure table. */
void reply_failure(struct request *r);
/* The framework's error object (nacos-config 0.3). */
void reply_framework(struct request *r, int status, const char *message, const char *extra_headers);

/* ---- JSON answers are written into the I/O thread's text: begin, members, end. In v2 and v3 the value
 * stands inside a Result. */
struct text *answer_begin(struct request *r); /* a Result is opened up to its data */
struct text *answer_begin_bare(struct request *r);
void answer_end(struct request *r); /* closes and replies 200 */
void answer_end_bare(struct request *r);

/* ---- commands */
/* Sets up r->cmd with the key of serviceName, groupName, namespaceId. */
int request_key(struct request *r, struct service_key *ret);
/* A service and, of the addresses in it, those that are asked for. */
struct address_query {
	struct service_key key;
	const char *ip; /* NULL: any */
	uint16_t port;
	bool by_port;
};
int request_address(struct request *r, struct address_query *ret); /* of ip and port, too; both may be absent */
bool address_wanted(const struct address_query *q, const char *ip, uint16_t port);
/* What follows the last slash of the path, decoded, in the arena; NULL: nothing, or no memory. */
char *request_last_segment(struct request *r);
void request_command(struct request *r, enum command_kind kind);
/* Hands it to the desk at the end of this loop turn; @finish runs when it has come back well, a failure
 * is answered through the table. NULL: reply_ok. */
void request_came_back(struct command *cmd); /* on_done of a request's command */
void request_submit(struct request *r, void (*finish)(struct request *r));
/* Runs @read on the control thread, then @finish here. @read writes into r->out. */
void request_call(struct request *r, int (*read)(struct registry *reg, void *arg, struct error *err),
		  void (*finish)(struct request *r));

/* Shows every service of @ns and @group (NULL: all) to @each, on the control thread, then runs @done here, always:
 * with r->err.code < 0 it could not be finished, and the handler answers that after it has freed what is its. */
typedef void request_each_fn(struct request *r, const struct service_view *v);
void request_walk(struct request *r, const char *ns, const char *group, request_each_fn *each,
		  void (*done)(struct request *r));

/* Calls @each on every I/O thread, with that thread and a text to write to; then @done here, with what they wrote in
 * r->out, in order of threads. @each may read what the request has, and change nothing of it. A thread that ends
 * meanwhile is not seen. */
typedef void request_tour_fn(const struct request *r, struct io *io, struct text *to);
void request_tour(struct request *r, request_tour_fn *each, void (*done)(struct request *r));

static inline bool request_is_v1(const struct request *r)
{
	return r->route->face == FACE_V1;
}
struct registry *request_registry(const struct request *r);

#endif

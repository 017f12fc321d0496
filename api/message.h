/* message.h - one request of a gRPC client on its way through us: its JSON, the commands it became, the answer.
 * One I/O thread's; while commands are with the desk nobody else touches it. Every unary message is answered
 * exactly once, by one of the functions below, which end it. Messages are rows of a table: message_kinds(). */
#ifndef API_MESSAGE_H
#define API_MESSAGE_H

#include "api/payload.h"
#include "api/session.h"
#include "base/arena.h"
#include "base/text.h"
#include <cjson/cJSON.h>

enum { MESSAGE_FIRST = 3072, APP_MAX = 256 };

enum message_flags {
	BEFORE_SETUP = 1, /* answered on a connection that is not set up */
	WHEN_STARTING = 2, /* answered before the registry is whole */
};

struct message_kind {
	const char *type, *answer; /* classes of the original */
	unsigned flags;
	/* Fills in @m from m->body; NULL: nothing is read. */
	int (*decode)(struct message *m);
	/* Answers, or submits commands with a finish that does. */
	void (*run)(struct message *m);
};

struct message {
	struct io *io;
	struct session *session;
	struct grpc_call *call;
	const struct message_kind *kind;
	struct message *next; /* in a topic's queue */
	const cJSON *body;
	cJSON *body_heap; /* NULL: body is of the arena */
	const char *request_id; /* the client's; NULL: none. Of body, as all texts here */
	const char *app;
	struct error err; /* code < 0: failed */
	struct service_key key;
	/* What the rows decode to. */
	const char *clusters, *action;
	bool flag; /* healthyOnly, subscribe */
	struct instance_spec *specs;
	size_t spec_count;
	int64_t page, page_size;
	const char **names;
	struct command *commands; /* in the arena */
	unsigned waiting;	  /* of them */
	struct entry_addresses *old; /* what a publication replaced: heap */
	void *own; /* the row's, in the arena */
	void (*finish)(struct message *m);
	uint64_t started_ns;
	struct text out; /* what a CMD_CALL writes */
	struct arena arena;
	_Alignas(16) char first[MESSAGE_FIRST];
};

/* The table; *@count rows. */
const struct message_kind *message_kinds(size_t *count);

/* A unary message came. */
void message_received(struct session *s, struct grpc_call *call, const uint8_t *at, size_t len);
/* A message on the stream came: a set-up, or an answer to a request of ours. */
void message_streamed(struct session *s, const uint8_t *at, size_t len);

/* ---- answers; @m is gone afterwards */
/* The answer's JSON: begun with the result, to be followed by members, then sent. */
struct text *message_begin(struct message *m);
void message_end(struct message *m);
void message_end_raw(struct message *m, const char *key, const struct stream_part *value); /* one member more */
void message_ok(struct message *m);
/* @m->err, in the class of the answer. */
void message_fail(struct message *m);
void message_error(struct message *m, int error_code, const char *text);
/* ErrorResponse: what concerns the connection or the type. */
void message_refuse(struct message *m, int error_code, const char *text);

/* ---- commands: all have come back when @finish is called; m->err is that of the first that failed. */
int message_commands(struct message *m, size_t count); /* room; E_NOMEM */
void message_submit(struct message *m, struct command *cmd);
/* Behind the last one: calls finish when none is under way. */
void message_submitted(struct message *m, void (*finish)(struct message *m));

/* ---- reading the body: "" or the default when absent or null */
const char *message_text(const cJSON *in, const char *name);
bool message_bool(const cJSON *in, const char *name, bool otherwise);
/* E_INVALID, E_RANGE with FAIL_PARAM. */
int message_int(const cJSON *in, const char *name, int64_t least, int64_t most, int64_t otherwise, int64_t *ret,
		struct error *err);

/* message_naming.c */
int naming_instance_decode(struct message *m), naming_batch_decode(struct message *m), naming_query_decode(struct message *m),
    naming_subscribe_decode(struct message *m), naming_list_decode(struct message *m);
void naming_instance(struct message *m), naming_persistent(struct message *m), naming_batch(struct message *m),
    naming_query(struct message *m), naming_subscribe(struct message *m), naming_list(struct message *m);
/* message_internal.c */
void internal_server_check(struct message *m), internal_health_check(struct message *m),
    internal_loader_info(struct message *m), internal_server_reload(struct message *m), internal_push_ack(struct message *m), internal_set_up(struct session *s, const cJSON *body);
/* message_config.c */
void config_not_built(struct message *m), config_listen(struct message *m);

#endif

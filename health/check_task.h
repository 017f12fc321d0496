/* check_task.h - one repeated check of one persistent instance: what it checks, its counts of successes and
 * failures in a row, and its adaptive delay (nacos-naming 7.3). The rules here know no socket, no thread and no
 * clock; all of it is the health thread's. Times are milliseconds. */
#ifndef HEALTH_CHECK_TASK_H
#define HEALTH_CHECK_TASK_H

#include "base/random.h"
#include "base/wheel.h"
#include "registry/switches.h"
#include "registry/view.h"

enum probe_outcome {
	PROBE_OK,
	PROBE_FAIL,	/* counts; check_times in a row flip */
	PROBE_FAIL_NOW, /* flips at once */
	PROBE_VOID,	/* trouble of ours (no sockets left, we stood still): says nothing about the instance */
	PROBE_OUTCOMES
};

enum probe_cause {
	CAUSE_OF_OK,
	CAUSE_REFUSED,
	CAUSE_TIMEOUT,
	CAUSE_STATUS,	 /* another HTTP status than expected */
	CAUSE_PROTOCOL,	 /* the answer is not of that protocol, or ended early */
	CAUSE_NETWORK,	 /* any other socket error */
	CAUSE_SQL,	 /* login or command refused */
	CAUSE_READ_ONLY,
	CAUSE_LOCAL,	 /* with PROBE_VOID */
	PROBE_CAUSES
};

enum { PROBE_REASON_MAX = 48 };

struct probe_result {
	enum probe_outcome outcome;
	enum probe_cause cause;
	uint32_t rt_ms;
	char reason[PROBE_REASON_MAX]; /* for people; "" with PROBE_OK */
};

enum check_flip { FLIP_NONE, FLIP_UP, FLIP_DOWN };

struct check_state {
	bool healthy;
	uint16_t rise, fall; /* in a row */
	int32_t delay_ms;    /* adaptive: Nacos' checkRtNormalized */
};

/* What the instances of one cluster are checked for; the strings are inside the block. */
struct check_spec {
	enum checker_kind kind;
	uint16_t check_port;
	bool use_instance_port;
	int expected_code;
	const char *path, *headers;		   /* HTTP */
	const char *user, *password, *command; /* MYSQL */
};

struct check_task;

struct check_group { /* one cluster of one service */
	uint64_t service_id;
	uint16_t cluster;
	struct service_key key; /* strings inside the block, as @cluster_name */
	const char *cluster_name;
	struct check_spec *spec; /* owned */
	char *http_head, *http_tail; /* owned; NULL until the first HTTP probe */
	struct check_task *tasks;
	uint32_t count;
};

struct probe;
struct mysql_conn;

struct check_task {
	struct wheel_node node; /* on the wheel, or with @queued in the queue of ready ones */
	struct check_group *group;
	struct check_task *next, *prev; /* in the group */
	struct probe *probe;	       /* under way, or NULL */
	struct mysql_conn *conn;       /* kept between MYSQL probes */
	struct check_state state;
	uint8_t addr[16];
	uint16_t port;
	uint8_t family; /* 4, 6; 0: a host name, never probed */
	uint8_t last_outcome, last_cause; /* of the last probe */
	uint32_t last_rt_ms;
	int64_t last_ms; /* it ended; 0: there was none */
	bool queued;
	uint16_t ip_len;
	char ip[];
};

/* The delay before the first run. @many: a start or a mass registration (spread out, 7.3's rule); else users
 * want news soon: at once, within half a second. */
int32_t check_first_delay(struct check_state *s, const struct check_params *params, bool many, struct rng *rng);
/* Takes a result's time into the delay. */
void check_adapt(struct check_state *s, const struct check_params *params, const struct probe_result *result);
/* It was due while still running. */
void check_overrun(struct check_state *s, const struct check_params *params);
/* The delay with a little jitter, so that checks do not march in step. */
int32_t check_next_delay(const struct check_state *s, struct rng *rng);
/* Rise and fall; the state has flipped when this says so. */
enum check_flip check_result(struct check_state *s, enum probe_outcome outcome, unsigned check_times);

static inline uint16_t check_port(const struct check_task *t)
{
	return t->group->spec->use_instance_port ? t->port : t->group->spec->check_port;
}

#endif

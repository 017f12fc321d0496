/* targets.h - what is to be checked: the persistent instances the health thread knows of, by service, cluster,
 * address; and the news by which the control thread keeps it current. */
#ifndef HEALTH_TARGETS_H
#define HEALTH_TARGETS_H

#include "base/inbox.h"
#include "base/map.h"
#include "base/slab.h"
#include "health/check_task.h"
#include "registry/explain.h"
#include "registry/knock.h"

enum target_news_kind {
	NEWS_ADD,
	NEWS_REMOVE,
	NEWS_STATE,   /* its record says @healthy now, whoever said so */
	NEWS_CHECKER, /* the checker of its cluster is now @spec */
	NEWS_ASK,     /* somebody wants to know about the last probes: @question */
	NEWS_KNOCK,   /* somebody wants to know who listens: @knocks */
	NEWS_STOP,
};

/* One block; strings of @key, @cluster_name and @ip lie behind it. Posting gives it away. */
struct target_news {
	struct inbox_message message; /* first */
	enum target_news_kind kind;
	uint64_t service_id;
	uint16_t cluster, port;
	uint8_t family;
	bool healthy;
	uint8_t addr[16];
	uint16_t ip_len;
	const char *ip;
	struct service_key key;	  /* ADD that does not follow */
	const char *cluster_name; /* the same; else NULL */
	struct check_spec *spec;  /* ADD, CHECKER: goes with the news unless taken */
	struct probe_question *question; /* ASK: the asker's */
	struct knock_question *knocks;	 /* KNOCK: the same */
};

/* On the control thread, from what is published now. NULL: no memory. */
/* @follows: right behind the news that adds another instance of its cluster, which tells all that both share. */
struct target_news *news_add(const struct instance *i, bool follows);
struct target_news *news_about(enum target_news_kind kind, const struct instance *i); /* REMOVE, STATE */
struct target_news *news_checker(const struct service_info *info, uint32_t cluster);
struct target_news *news_state(uint64_t service_id, uint16_t cluster, const char *ip, uint16_t port, bool healthy);
void news_free(struct target_news *n); /* any thread */

struct check_spec *spec_new(const struct cluster *c); /* one block */
bool spec_equal(const struct check_spec *a, const struct check_spec *b);

enum { TARGET_KINDS = 5, TARGET_HOST = 4 /* after the checker kinds: host names, not probed */ };

struct targets {
	struct map tasks, groups;
	struct slab *slab;
	uint64_t counts[TARGET_KINDS];
};

int targets_init(struct targets *t);
void targets_done(struct targets *t); /* tasks neither scheduled nor running nor connected */
/* NULL: no memory. *@ret_fresh: it was not there. */
struct check_task *targets_add(struct targets *t, struct target_news *n, bool *ret_fresh);
struct check_task *targets_find(struct targets *t, const struct target_news *n);
/* Neither scheduled nor running nor connected; its group goes with its last task. */
void targets_remove(struct targets *t, struct check_task *task);
struct check_group *targets_group(struct targets *t, uint64_t service_id, uint16_t cluster);
/* Takes @spec; no task of the group is running. */
void targets_respec(struct targets *t, struct check_group *g, struct check_spec *spec);
unsigned target_kind(const struct check_task *t); /* 0..TARGET_KINDS-1 */

#endif

/* knock.h - does anybody listen at an address? A TCP connect, asked for by one thread and answered by the prober's. The
 * struct lies here since its asker (api/) and who answers (health/) meet only in musterd/. */
#ifndef REGISTRY_KNOCK_H
#define REGISTRY_KNOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum knock_answer {
	KNOCK_NOTHING, /* nothing was learned: time-out, no route, a host name, trouble of ours */
	KNOCK_OPEN,
	KNOCK_REFUSED,
};

struct knock {
	const char *ip; /* text, the asker's */
	uint16_t port;	/* not 0 */
	enum knock_answer answer;
};

/* The prober's from being asked until it is answered. */
struct knock_question {
	struct knock *knocks;
	size_t count;	  /* at least 1 */
	int64_t until_ms; /* clock_ms(); a knock that has not found its turn by then is answered KNOCK_NOTHING */
	void (*on_answer)(struct knock_question *q); /* on the prober's thread, once: all are answered */
	void *owner;
	/* the prober's */
	struct knock_question *next;
	size_t started, answered;
};

struct knocker {
	void *arg;
	/* Any thread. false: it will not be answered. NULL: nobody knocks. */
	bool (*ask)(void *arg, struct knock_question *q);
	/* Any thread. true: this server has just stood still, and holds back what it would remove (health/floor.h). */
	bool (*doubts)(void *arg);
};

#endif

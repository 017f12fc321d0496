/* probe_schedule.h - which checks run when: a wheel of due tasks, a queue of those that wait for a token
 * (health.probe_rate) or for a free probe, and the measure of how much that stretches their intervals. Health
 * thread. */
#ifndef HEALTH_PROBE_SCHEDULE_H
#define HEALTH_PROBE_SCHEDULE_H

#include "health/check_task.h"

struct probe_schedule {
	struct wheel *wheel;
	struct wheel_node ready; /* head of the queue, oldest first */
	uint32_t ready_count;
	unsigned rate;	 /* probes a second */
	double tokens;
	uint64_t filled_ns; /* when tokens were last added */
	double stretch;	 /* moving mean of real interval / planned interval; 1: none */
};

int schedule_init(struct probe_schedule *s, unsigned rate, int64_t now_ms, struct error *err);
void schedule_done(struct probe_schedule *s);
void schedule_add(struct probe_schedule *s, struct check_task *t, int64_t due_ms); /* on neither */
void schedule_remove(struct probe_schedule *s, struct check_task *t); /* from where it is */
/* Puts it behind the others that wait. */
void schedule_queue(struct probe_schedule *s, struct check_task *t);
/* Takes a token for a probe that does not wait here; false: there is none yet. */
bool schedule_token(struct probe_schedule *s, uint64_t now_ns);
/* The oldest that waits, if there is a token for it: taken off. NULL: none, or no token yet. */
struct check_task *schedule_take(struct probe_schedule *s, int64_t now_ms, uint64_t now_ns);

#endif

/* prober.h - active checks of persistent instances (nacos-naming 7.3, 7.4) on the health thread: targets follow
 * the registry (watcher, control thread, posts to the health loop's inbox), probes run with rise and fall, adaptive
 * intervals and jitter, and verdicts go to the desk as CMD_VERDICT with their reason. */
#ifndef HEALTH_PROBER_H
#define HEALTH_PROBER_H

#include "registry/desk.h"
#include "registry/explain.h"
#include "registry/knock.h"

struct prober;

struct prober_conf {
	unsigned probe_rate;	/* probes a second, 20000; above it intervals stretch */
	unsigned in_flight;	/* 4096 */
};

/* Starts the health thread with its loop. @desk is borrowed until prober_free(). */
int prober_start(struct prober **ret, struct desk *desk, const struct prober_conf *conf, struct error *err);
struct registry_watcher prober_watcher(struct prober *p); /* called on the control thread */
/* Any thread, not after prober_stop(): @q is answered on the health thread. false: no memory, it will not be. */
bool prober_ask(struct prober *p, struct probe_question *q);
bool prober_knock(struct prober *p, struct knock_question *q); /* the same */
/* On the control thread: waits for the thread; call before desk_close. The watcher stays callable (it does
 * nothing), and verdicts under way may still come back, until prober_free(). */
void prober_stop(struct prober *p);
void prober_free(struct prober *p); /* after the desk has closed; NULL is fine */

#endif

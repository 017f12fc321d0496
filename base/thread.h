/* thread.h - what the scheduler is told of a thread: its name, and whether it answers somebody who waits or works in
 * the background. Called by the thread itself, first thing. Needs no privilege and cannot fail: where the kernel
 * knows or allows less, less is done. An operator's own policy (CPUSchedulingPolicy= of systemd, chrt) is left alone. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

enum thread_kind {
	THREAD_PLAIN,	   /* as the process was started */
	THREAD_QUICK,	   /* short bursts that somebody waits for: runs as soon as it wakes */
	THREAD_BACKGROUND, /* long stretches that nobody waits for: steps aside at once, but never starves */
};

/* @name: at most 15 bytes are kept. */
void thread_begin(const char *name, enum thread_kind kind);

#endif

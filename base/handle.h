/* handle.h - numbered handles: a session that waits for an answer from another thread gives a handle, not
 * its address, so that one that is gone meanwhile is simply not found. One thread. */
#ifndef BASE_HANDLE_H
#define BASE_HANDLE_H

#include <stddef.h>
#include <stdint.h>

struct handle_slot;
struct handles {
	struct handle_slot *slots;
	uint32_t cap, count, free_head;
};

void handles_init(struct handles *h);
void handles_done(struct handles *h);
uint64_t handles_add(struct handles *h, void *object); /* 0: no memory; never repeats soon */
void *handles_find(const struct handles *h, uint64_t handle); /* NULL: gone */
void handles_remove(struct handles *h, uint64_t handle);

#endif

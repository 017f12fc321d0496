/* hash.h - keyed hashing (xxhash with a process-random seed, so clients cannot choose collisions). */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_seed(void); /* drawn once from the system */
uint64_t hash_bytes(const void *from, size_t len);
uint64_t hash_more(uint64_t h, const void *from, size_t len); /* chains parts */

#endif

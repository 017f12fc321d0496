/* slab.h - records of mixed small sizes, in classes of 16 bytes, carved from 64 KiB chunks. One
 * thread. Sizes over SLAB_MAX come from the heap. Chunks that become wholly free serve any class; regions of them go back,
 * but for one. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

enum { SLAB_MAX = 1024 };
struct slab;

struct slab *slab_new(void); /* NULL: no memory */
/* For records that are read at random: what it takes beyond the first MiB are huge pages (mem_huge). */
struct slab *slab_new_huge(void);
void slab_free(struct slab *slab); /* every record goes with it */
/* 16-aligned; 64-aligned when @size is a multiple of 64, at most SLAB_MAX. NULL: refused. */
void *slab_get(struct slab *slab, size_t size);
void slab_put(struct slab *slab, void *record, size_t size); /* the size it was got with */
size_t slab_bytes(const struct slab *slab);   /* held from the heap */
size_t slab_records(const struct slab *slab); /* handed out now */

#endif

/* slab.c - see slab.h. The heap gives regions of 1 MiB, or of a huge page, aligned to a chunk; a region is cut into 64 KiB
 * chunks; a chunk holds records of one class. From a record, its chunk is found by masking its
 * address. Pages are touched only when a record is first handed out of them. */
#include "base/slab.h"
#include "base/mem.h"
#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_POISONS 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SLAB_POISONS 1
#endif
#ifdef SLAB_POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

enum {
	SLAB_UNIT = 16,
	SLAB_HEAD = 64,
	SLAB_CLASSES = SLAB_MAX / SLAB_UNIT,
	CHUNK_SIZE = 65536,
	REGION_CHUNKS = 16,
	HUGE_CHUNKS = MEM_HUGE / CHUNK_SIZE,
};

struct free_record {
	struct free_record *next;
};

struct region;
struct chunk {
	struct chunk *next, *prev; /* chunks of the class with room; or free chunks */
	struct region *region;
	struct free_record *free;
	uint32_t record_len;
	uint32_t used;	/* records handed out */
	uint32_t fresh; /* offset of the first byte that was never handed out */
	bool listed;
	alignas(SLAB_HEAD) char room[];
};
_Static_assert(sizeof(struct chunk) == SLAB_HEAD, "records of whole cache lines stand at cache lines");

struct region {
	struct region *next, *prev;
	void *at;
	unsigned chunks;
	unsigned started; /* chunks cut off it so far */
	unsigned used;	  /* chunks that hold records */
	struct chunk *free;
};

struct slab {
	struct chunk *partial[SLAB_CLASSES]; /* chunks with room, by class */
	struct region *regions;
	struct region *spare; /* one of them, empty; NULL: none is */
	size_t busy;	      /* regions that are not */
	size_t bytes, records;
	bool huge; /* regions behind the first are of HUGE_CHUNKS */
};

struct slab *slab_new(void)
{
	return mem_zalloc(1, sizeof(struct slab));
}

struct slab *slab_new_huge(void)
{
	struct slab *slab = slab_new();
	if (slab != NULL)
		slab->huge = true;
	return slab;
}

static void region_free(struct slab *slab, struct region *r)
{
	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		slab->regions = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	ASAN_UNPOISON_MEMORY_REGION(r->at, (size_t)CHUNK_SIZE * r->chunks);
	slab->bytes -= (size_t)CHUNK_SIZE * r->chunks;
	mem_free(r->at);
	mem_free(r);
}

void slab_free(struct slab *slab)
{
	if (slab == NULL)
		return;
	while (slab->regions != NULL)
		region_free(slab, slab->regions);
	mem_free(slab);
}

/* The first region in the list that has a chunk to give; full regions move to the end of the search
 * by having none. The empty one is the last choice. */
static struct region *region_with_room(struct slab *slab)
{
	for (struct region *r = slab->regions; r != NULL; r = r->next)
		if (r != slab->spare && (r->free != NULL || r->started < r->chunks))
			return r;
	if (slab->spare != NULL)
		return slab->spare;
	struct region *r = mem_zalloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	bool huge = slab->huge && slab->regions != NULL;
	r->chunks = huge ? HUGE_CHUNKS : REGION_CHUNKS;
	size_t size = (size_t)CHUNK_SIZE * r->chunks;
	r->at = huge ? mem_huge(size) : mem_aligned(CHUNK_SIZE, size);
	if (r->at == NULL) {
		mem_free(r);
		return NULL;
	}
	slab->bytes += size;
	r->next = slab->regions;
	if (r->next != NULL)
		r->next->prev = r;
	slab->regions = r;
	return r;
}

static void list_add(struct slab *slab, struct chunk *c)
{
	struct chunk **head = &slab->partial[c->record_len / SLAB_UNIT - 1];
	c->prev = NULL;
	c->next = *head;
	if (c->next != NULL)
		c->next->prev = c;
	*head = c;
	c->listed = true;
}

static void list_remove(struct slab *slab, struct chunk *c)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		slab->partial[c->record_len / SLAB_UNIT - 1] = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->listed = false;
}

static struct chunk *chunk_new(struct slab *slab, uint32_t record_len)
{
	struct region *r = region_with_room(slab);
	if (r == NULL)
		return NULL;
	struct chunk *c = r->free;
	if (c != NULL)
		r->free = c->next;
	else
		c = (struct chunk *)((char *)r->at + (size_t)CHUNK_SIZE * r->started++);
	if (r == slab->spare)
		slab->spare = NULL;
	slab->busy += r->used++ == 0;
	ASAN_UNPOISON_MEMORY_REGION(c, CHUNK_SIZE);
	*c = (struct chunk){ .region = r, .record_len = record_len, .fresh = sizeof(*c) };
	ASAN_POISON_MEMORY_REGION(c->room, CHUNK_SIZE - sizeof(*c));
	list_add(slab, c);
	return c;
}

/* One is kept as long as others are in use: where records come and go at the edge of a region, it would be mapped and
 * unmapped again and again. */
static void region_emptied(struct slab *slab, struct region *r)
{
	if (--slab->busy > 0 && slab->spare == NULL) {
		slab->spare = r;
		return;
	}
	region_free(slab, r);
	if (slab->busy == 0 && slab->spare != NULL) {
		region_free(slab, slab->spare);
		slab->spare = NULL;
	}
}

static void chunk_free(struct slab *slab, struct chunk *c)
{
	struct region *r = c->region;
	list_remove(slab, c);
	c->next = r->free;
	r->free = c;
	if (--r->used == 0)
		region_emptied(slab, r);
}

static bool chunk_full(const struct chunk *c)
{
	return c->free == NULL && c->fresh + c->record_len > CHUNK_SIZE;
}

void *slab_get(struct slab *slab, size_t size)
{
	if (size > SLAB_MAX) {
		void *big = mem_alloc(size);
		if (big != NULL) {
			slab->bytes += size;
			slab->records++;
		}
		return big;
	}
	size_t class = size == 0 ? 0 : (size - 1) / SLAB_UNIT;
	uint32_t len = (uint32_t)(class + 1) * SLAB_UNIT;
	struct chunk *c = slab->partial[class];
	if (c == NULL && (c = chunk_new(slab, len)) == NULL)
		return NULL;
	void *record = c->free;
	if (record != NULL) {
		ASAN_UNPOISON_MEMORY_REGION(record, len);
		c->free = c->free->next;
	} else {
		record = (char *)c + c->fresh;
		ASAN_UNPOISON_MEMORY_REGION(record, len);
		c->fresh += len;
	}
	c->used++;
	slab->records++;
	if (chunk_full(c))
		list_remove(slab, c);
	return record;
}

void slab_put(struct slab *slab, void *record, size_t size)
{
	if (record == NULL)
		return;
	slab->records--;
	if (size > SLAB_MAX) {
		slab->bytes -= size;
		mem_free(record);
		return;
	}
	struct chunk *c = (struct chunk *)((uintptr_t)record & ~(uintptr_t)(CHUNK_SIZE - 1));
	assert(c->used > 0 && size <= c->record_len && size + SLAB_UNIT > c->record_len);
	struct free_record *f = record;
	f->next = c->free;
	c->free = f;
	ASAN_POISON_MEMORY_REGION(record, c->record_len);
	if (!c->listed)
		list_add(slab, c);
	if (--c->used == 0)
		chunk_free(slab, c);
}

size_t slab_bytes(const struct slab *slab)
{
	return slab->bytes;
}

size_t slab_records(const struct slab *slab)
{
	return slab->records;
}

/* mem.c - see mem.h. Accounting is per thread, so that counting costs no shared cache line. */
#include "base/mem.h"
#include <cjson/cJSON.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A base singleton, one per thread. */
static _Thread_local struct {
	uint64_t count;	  /* allocations asked for */
	uint64_t fail_at; /* the count from which on they fail, plus one; 0: none does */
	bool refused;
	uint64_t refusals; /* NULLs handed out */
} account;

/* Counts one allocation; true: it is to fail. */
static inline bool refuse(void)
{
	uint64_t n = account.count++;
	if (__builtin_expect(account.fail_at == 0, 1) || n < account.fail_at - 1)
		return false;
	account.refused = true;
	return true;
}

static inline void *told(void *at)
{
	if (__builtin_expect(at == NULL, 0))
		account.refusals++;
	return at;
}

void *mem_alloc(size_t size)
{
	return told(refuse() ? NULL : malloc(size == 0 ? 1 : size));
}

void *mem_zalloc(size_t count, size_t size)
{
	if (refuse() || (size > 0 && count > SIZE_MAX / size))
		return told(NULL);
	return told(count == 0 || size == 0 ? calloc(1, 1) : calloc(count, size));
}

void *mem_realloc(void *at, size_t size)
{
	return told(refuse() ? NULL : realloc(at, size == 0 ? 1 : size));
}

void *mem_aligned(size_t align, size_t size)
{
	void *at;
	if (refuse() || posix_memalign(&at, align, size == 0 ? 1 : size) != 0)
		return told(NULL);
	return at;
}

void *mem_huge(size_t size)
{
	void *at = mem_aligned(MEM_HUGE, size);
	size_t whole = size & ~(size_t)(MEM_HUGE - 1);
	if (at != NULL && whole > 0)
		madvise(at, whole, MADV_HUGEPAGE); /* a wish: any answer will do */
	return at;
}

void mem_free(void *at)
{
	free(at);
}

char *mem_strdup(const char *text)
{
	return mem_memdup0(text, strlen(text));
}

char *mem_memdup0(const void *from, size_t len)
{
	if (len == SIZE_MAX)
		return NULL;
	char *copy = mem_alloc(len + 1);
	if (copy == NULL)
		return NULL;
	if (len > 0)
		memcpy(copy, from, len);
	copy[len] = '\0';
	return copy;
}

uint64_t mem_thread_count(void)
{
	return account.count;
}

uint64_t mem_thread_refused(void)
{
	return account.refusals;
}

void mem_fail_at(unsigned nth)
{
	account.refused = false;
	account.fail_at = account.count + nth + 1;
}

bool mem_fail_off(void)
{
	account.fail_at = 0;
	return account.refused;
}

void mem_setup_heap(void)
{
	mallopt(M_MMAP_THRESHOLD, MEM_MAPPED);
	mallopt(M_TRIM_THRESHOLD, 4 * MEM_MAPPED);
}

void mem_hook_libraries(void)
{
	cJSON_Hooks hooks = { mem_alloc, mem_free };
	cJSON_InitHooks(&hooks);
}

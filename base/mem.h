/* mem.h - the heap, counted and failable. All heap calls of ours go through here, and cJSON's by its allocator hooks
 * (mem_hook_libraries); SQLite, OpenSSL and libuv keep to the system's. Any thread. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t size) __attribute__((malloc));		      /* NULL: refused */
void *mem_zalloc(size_t count, size_t size) __attribute__((malloc)); /* zeroed, overflow checked */
void *mem_realloc(void *at, size_t size);
void *mem_aligned(size_t align, size_t size) __attribute__((malloc)); /* free by mem_free */
/* For tables of which random places are read: begins at MEM_HUGE and has huge pages where the system gives them, so that a
 * look-up waits less for the page tables. What is not a whole MEM_HUGE at its end has ordinary ones. Free by mem_free. */
enum { MEM_HUGE = 2 * 1024 * 1024 };
void *mem_huge(size_t size) __attribute__((malloc));
void mem_free(void *at); /* NULL is fine */
char *mem_strdup(const char *text);
char *mem_memdup0(const void *from, size_t len); /* a copy with a NUL behind it */

/* Allocations that this thread has asked for so far (to show that a path asks for none). */
uint64_t mem_thread_count(void);
/* Those of them that got no memory: it tells why a library of others, hooked to these, has failed. */
uint64_t mem_thread_refused(void);

/* Tests: the allocation number @nth (0 = the next) of this thread and all after it fail, until
 * mem_fail_off(), which says whether any was made to fail. */
void mem_fail_at(unsigned nth);
bool mem_fail_off(void);

void mem_hook_libraries(void); /* cJSON; once, at the start, before other threads */
/* Blocks of MEM_MAPPED bytes and more are mappings of their own from now on and go back to the system when they are
 * freed; left alone, glibc moves that bound up to 32 MiB and keeps outgrown tables. Once, at the start. */
enum { MEM_MAPPED = 256 * 1024 };
void mem_setup_heap(void);

#endif

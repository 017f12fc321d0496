/* die.h - the end of a run that cannot go on, and memory that is there or ends the run. */
#ifndef NACOSBLAST_DIE_H
#define NACOSBLAST_DIE_H

#include <stddef.h>

/* Says why on stderr; exit status 1. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Zeroed, never NULL; the caller owns it and ends it with free(). */
void *must_alloc(size_t count, size_t size);

#endif

/* die.c - see die.h. */
#include "die.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("nacosblast: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

void *must_alloc(size_t count, size_t size)
{
	void *at = calloc(count ? count : 1, size);
	if (at == NULL)
		die("out of memory (%zu x %zu bytes)", count, size);
	return at;
}

/* stock.h - heap blocks that come and go by the thousand: those given back are kept by size, up to a bound in bytes, for
 * the next one who asks, so that malloc does not split and join them again each time. One thread at a time. In a build
 * with AddressSanitizer nothing is kept. */
#ifndef BASE_STOCK_H
#define BASE_STOCK_H

#include <stddef.h>

enum { STOCK_CLASSES = 256 }; /* blocks of up to 4 KiB are kept */

struct stock_block;
struct stock {
	struct stock_block *spare[STOCK_CLASSES];
	size_t kept, kept_max; /* bytes */
};

void stock_init(struct stock *s, size_t kept_max);
void *stock_alloc(struct stock *s, size_t size); /* 16-aligned, uninitialised; NULL: no memory */
void *stock_zalloc(struct stock *s, size_t size);
void *stock_realloc(struct stock *s, void *at, size_t size);
void stock_free(struct stock *s, void *at); /* a block of @s, or NULL */
void stock_done(struct stock *s);	    /* frees what is kept; none of its blocks is in use any more */

#endif

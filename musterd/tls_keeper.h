/* tls_keeper.h - the certificate of DNS over TLS: read at the start, and again when its files have changed or the settings
 * are read again; one that cannot be used leaves the old one in force. Control thread. */
#ifndef MUSTERD_TLS_KEEPER_H
#define MUSTERD_TLS_KEEPER_H

#include "net/tls.h"
#include <stdint.h>

struct tls_mark { /* what tells one file from the one that was there before */
	uint64_t inode, size;
	int64_t changed_ns;
};

struct tls_keeper {
	char *cert, *key; /* NULL: none is wanted */
	struct tls_mark used[2], seen[2]; /* of both files: as they were loaded; at the last look */
	int64_t look_ms;		  /* the next one */
};

void tls_keeper_done(struct tls_keeper *k); /* @k zeroed before its first use */
/* Reads @cert and @key (both NULL: nothing is wanted, and *ret is NULL). *ret is the caller's. Errors as of
 * tls_context_load(), with what @k has left as it was. */
int tls_keeper_load(struct tls_keeper *k, const char *cert, const char *key, struct tls_context **ret, struct error *err);
/* Looks at the files every two seconds. NULL: nothing to do; else what they hold now. Files that change between two looks
 * are waited for; what is wrong with them is logged once. */
struct tls_context *tls_keeper_tick(struct tls_keeper *k, int64_t now_ms);

#endif

/* privileges.h - from root to an ordinary user, for good. Main thread, before any other thread starts: what is
 * dropped is the thread's own, and threads inherit it. */
#ifndef MUSTERD_PRIVILEGES_H
#define MUSTERD_PRIVILEGES_H

#include "base/error.h"
#include <sys/types.h>

struct account {
	const char *name; /* borrowed */
	uid_t uid;
	gid_t gid;
};

/* The account called @name. E_NOTFOUND; E_INVALID: it is root, which would drop nothing. */
int account_find(struct account *ret, const char *name, struct error *err);
/* Becomes @account and keeps CAP_NET_BIND_SERVICE alone, so that a reload can bind port 53; no program that is started
 * from here on can gain more. Nothing to do when the process is that account already. E_DENIED: it is neither root nor
 * the account. */
int privileges_drop(const struct account *account, struct error *err);

#endif

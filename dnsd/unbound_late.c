/* unbound_late.c - see unbound_late.h. The functions here stand in for the library's of the same names. */
#include "dnsd/unbound_late.h"
#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static const char file[] = "libunbound.so.8"; /* of Debian 12's libunbound8, and of libunbound-dev's header */

enum symbol {
	CTX_CREATE, CTX_DELETE, CTX_SET_OPTION, CTX_SET_FWD, CTX_RESOLVCONF, CTX_ADD_TA_FILE, CTX_ASYNC, FD, PROCESS,
	RESOLVE_ASYNC, CANCEL, RESOLVE_FREE, STRERROR, SYMBOLS
};
static const char *const names[SYMBOLS] = {
	"ub_ctx_create", "ub_ctx_delete", "ub_ctx_set_option", "ub_ctx_set_fwd", "ub_ctx_resolvconf", "ub_ctx_add_ta_file",
	"ub_ctx_async", "ub_fd", "ub_process", "ub_resolve_async", "ub_cancel", "ub_resolve_free", "ub_strerror",
};

/* Written once, under @once; the process keeps the library. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *late[SYMBOLS];
static char trouble[200];

static void load(void)
{
	void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	for (int i = 0; library != NULL && i < SYMBOLS && trouble[0] == '\0'; i++) {
		late[i] = dlsym(library, names[i]);
		if (late[i] == NULL)
			strncpy(trouble, dlerror(), sizeof(trouble) - 1);
	}
	if (library == NULL)
		strncpy(trouble, dlerror(), sizeof(trouble) - 1);
}

int unbound_load(struct error *err)
{
	pthread_once(&once, load);
	return trouble[0] == '\0' ? E_OK : error_set(err, E_IO, "%s (package libunbound8)", trouble);
}

#define LATE(symbol, function) (assert(late[symbol] != NULL), (__typeof__(&function))late[symbol])

struct ub_ctx *ub_ctx_create(void)
{
	return LATE(CTX_CREATE, ub_ctx_create)();
}

void ub_ctx_delete(struct ub_ctx *ctx)
{
	if (ctx != NULL)
		LATE(CTX_DELETE, ub_ctx_delete)(ctx);
}

int ub_ctx_set_option(struct ub_ctx *ctx, const char *opt, const char *val)
{
	return LATE(CTX_SET_OPTION, ub_ctx_set_option)(ctx, opt, val);
}

int ub_ctx_set_fwd(struct ub_ctx *ctx, const char *addr)
{
	return LATE(CTX_SET_FWD, ub_ctx_set_fwd)(ctx, addr);
}

int ub_ctx_resolvconf(struct ub_ctx *ctx, const char *fname)
{
	return LATE(CTX_RESOLVCONF, ub_ctx_resolvconf)(ctx, fname);
}

int ub_ctx_add_ta_file(struct ub_ctx *ctx, const char *fname)
{
	return LATE(CTX_ADD_TA_FILE, ub_ctx_add_ta_file)(ctx, fname);
}

int ub_ctx_async(struct ub_ctx *ctx, int dothread)
{
	return LATE(CTX_ASYNC, ub_ctx_async)(ctx, dothread);
}

int ub_fd(struct ub_ctx *ctx)
{
	return LATE(FD, ub_fd)(ctx);
}

int ub_process(struct ub_ctx *ctx)
{
	return LATE(PROCESS, ub_process)(ctx);
}

int ub_resolve_async(struct ub_ctx *ctx, const char *name, int rrtype, int rrclass, void *mydata, ub_callback_type callback,
		     int *async_id)
{
	return LATE(RESOLVE_ASYNC, ub_resolve_async)(ctx, name, rrtype, rrclass, mydata, callback, async_id);
}

int ub_cancel(struct ub_ctx *ctx, int async_id)
{
	return LATE(CANCEL, ub_cancel)(ctx, async_id);
}

void ub_resolve_free(struct ub_result *result)
{
	LATE(RESOLVE_FREE, ub_resolve_free)(result);
}

const char *ub_strerror(int err)
{
	return LATE(STRERROR, ub_strerror)(err);
}

/* crash_server.c - musterd on a disk that can lose its power: the product's objects, linked with
 * --wrap=sqlite_store_open, and a store whose files go through crash_vfs. A kill -9 then loses all that was not
 * synced, since nothing else of it reached the real files. From the environment:
 *   CRASH_AFTER=N    after N writes and syncs the power goes (some of what was not synced reaches the disk, in part
 *                    or whole), and the process dies by SIGKILL
 *   CRASH_SEED=S     of what reaches it
 *   CRASH_NO_SYNC=1  synchronous=OFF, to show that the tests notice */
#include "store/backend.h"
#include "tests/support/crash_vfs.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int __real_sqlite_store_open(struct store **ret, uv_loop_t *loop, const struct store_conf *conf,
			     const struct store_feed *feed, struct error *err);
int __wrap_sqlite_store_open(struct store **ret, uv_loop_t *loop, const struct store_conf *conf,
			     const struct store_feed *feed, struct error *err);

static void on_power_cut(void)
{
	kill(getpid(), SIGKILL);
	pause();
}

int __wrap_sqlite_store_open(struct store **ret, uv_loop_t *loop, const struct store_conf *conf,
			     const struct store_feed *feed, struct error *err)
{
	struct store_conf crash = *conf;
	const char *after = getenv("CRASH_AFTER"), *seed = getenv("CRASH_SEED");
	struct crash_vfs *v = crash_vfs_new("crash"); /* lives as long as the process */
	crash_vfs_on_cut(v, on_power_cut);
	if (after != NULL)
		crash_vfs_cut_after(v, (unsigned)strtoul(after, NULL, 10), seed == NULL ? 1 : strtoull(seed, NULL, 10));
	crash.vfs = "crash";
	crash.unsafe_no_sync = getenv("CRASH_NO_SYNC") != NULL;
	return __real_sqlite_store_open(ret, loop, &crash, feed, err);
}

/* backup.c - POST /muster/v1/backup: a backup on a thread of its own, one at a time. Where it is written the settings
 * say, never the request. The thread answers like the desk does: by posting the request's command to its I/O loop. */
#include "api/handlers.h"
#include "api/io.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/thread.h"
#include <stdio.h>

struct backup_run { /* made by the I/O thread, which frees it when the thread has ended */
	uv_thread_t thread;
	struct request *r;
};

static void backup_main(void *arg)
{
	struct backup_run *run = arg;
	struct request *r = run->r;
	const struct api *a = r->io->api;
	thread_begin("backup", THREAD_BACKGROUND);
	r->cmd.code = a->conf.backup(a->conf.backup_arg, &a->stopping, &r->out, &r->cmd.error);
	inbox_post(r->io->inbox, &r->cmd.message);
}

static void count(bool good)
{
	static const char name[] = "backups_total", help[] = "Backups that operators asked for over HTTP, by result.";
	metrics_add(metrics_counter(name, help, good ? "result=\"written\"" : "result=\"failed\""), 1);
	if (good)
		metrics_set(metrics_gauge("backup_last_written_timestamp_seconds",
					  "When the last backup over HTTP was written; 0: never since the start.", NULL),
			    (double)clock_wall_ms() / 1000);
}

static void on_backup(struct request *r)
{
	struct backup_run *run = r->more;
	uv_thread_join(&run->thread); /* it has posted: nothing is left to do */
	mem_free(run);
	atomic_store(&r->io->api->backing_up, false);
	count(r->cmd.code == E_OK);
	if (r->cmd.code < 0) {
		r->err = r->cmd.error;
		reply_failure(r);
	} else {
		reply_json(r, 200, &r->out);
	}
}

static int backup_start(struct request *r)
{
	struct api *a = r->io->api;
	bool idle = false;
	if (a->conf.backup == NULL)
		return error_set(&r->err, E_CONFLICT,
				 "server.backup_dir names no directory for backups: set it, and restart");
	if (!atomic_compare_exchange_strong(&a->backing_up, &idle, true))
		return error_set(&r->err, E_CONFLICT, "a backup is being written already");
	struct backup_run *run = mem_zalloc(1, sizeof(*run));
	command_init(&r->cmd, CMD_CALL);
	r->cmd.owner = r;
	r->cmd.on_done = request_came_back;
	r->cmd.message.next = NULL;
	r->finish = on_backup;
	r->takes_failure = true;
	r->more = run;
	if (run != NULL && http_call_keep(r->call) == E_OK) {
		run->r = r;
		if (uv_thread_create(&run->thread, backup_main, run) == 0) {
			r->io->in_flight++;
			return E_OK;
		}
	}
	mem_free(run);
	atomic_store(&a->backing_up, false);
	return error_set(&r->err, E_NOMEM, "no memory for a backup");
}

void api_native_backup(struct request *r)
{
	if (backup_start(r) < 0)
		reply_failure(r);
}

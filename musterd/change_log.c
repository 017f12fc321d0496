/* change_log.c - see change_log.h.
 *
 * Happy path: on_change packs into @filling and arms the timer > on_timer hands the packed run to the pool > work
 * prints and writes it > on_worked looks what happened and arms the timer again if more has come. While a run is
 * with the pool the next one is filled; one that grows past FILLING_MAX loses what comes (counted, told).
 * A file that was moved away is opened anew, so logrotate needs no signal. A line is written whole or, when the
 * disk is full, not at all. */
#include "musterd/change_log.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FLUSH_MS = 50,
	HELD_MS = 1000,		    /* at most one line about held changes in this time */
	BURST_SEC = 5,		    /* seconds' worth of lines that may come at once */
	FILLING_MAX = 8 << 20,	    /* bytes of packed changes */
	KEPT_MAX = 1 << 20,	    /* a larger buffer is given back */
	WRITE_MAX = 1 << 18,	    /* bytes of lines before they are written */
	PATH_LEN_MAX = 4096,
};

struct run { /* with the pool */
	struct text packed, lines;
	uint64_t held, lost; /* changes of which only the count is known; told in a line */
	int64_t wall_ms;
	uint64_t written, failed; /* lines */
	int error;		  /* errno of the last failure; 0: none */
};

struct change_log {
	uv_loop_t *loop;
	uv_timer_t timer;
	uv_work_t work;
	struct change_log_conf conf;
	struct text filling;
	struct run run;
	bool working, armed, closing, failing;
	uint64_t tokens, held, lost;
	int64_t filled_ms, held_told_ms;
	/* the pool's while a run is under way */
	int fd;
	uint64_t file_size;
	ino_t inode;
	unsigned cell_written, cell_held, cell_lost, cell_failed;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* ---- the file */

static int file_open(struct change_log *log)
{
	struct stat st;

	if (strlen(log->conf.path) > PATH_LEN_MAX)
		return -ENAMETOOLONG;
	log->fd = open(log->conf.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (log->fd < 0 || fstat(log->fd, &st) < 0)
		return -errno;
	log->file_size = (uint64_t)st.st_size;
	log->inode = st.st_ino;
	return 0;
}

static void file_close(struct change_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
}

static void file_rotate(struct change_log *log)
{
	char from[PATH_LEN_MAX + 16], to[PATH_LEN_MAX + 16];

	file_close(log);
	for (unsigned i = log->conf.files - 1; i > 0; i--) {
		snprintf(to, sizeof(to), "%s.%u", log->conf.path, i);
		snprintf(from, sizeof(from), i == 1 ? "%s" : "%s.%u", log->conf.path, i - 1);
		rename(from, to);
	}
	if (log->conf.files == 1)
		unlink(log->conf.path);
}

/* The file that the path names now. */
static int file_ready(struct change_log *log)
{
	struct stat st;

	if (log->fd >= 0 && (stat(log->conf.path, &st) < 0 || st.st_ino != log->inode))
		file_close(log);
	if (log->fd >= 0 && log->file_size >= log->conf.size)
		file_rotate(log);
	return log->fd >= 0 ? 0 : file_open(log);
}

static int file_write(struct change_log *log, const char *at, size_t len)
{
	int rc = file_ready(log);
	size_t done = 0;

	while (rc == 0 && done < len) {
		ssize_t n = write(log->fd, at + done, len - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			rc = -errno;
	}
	if (rc < 0 && done > 0 && ftruncate(log->fd, (off_t)log->file_size) < 0)
		file_close(log); /* half a line stays: nothing more can be done */
	else if (rc == 0)
		log->file_size += len;
	return rc;
}

/* ---- on the pool */

static void lines_write(struct change_log *log, uint64_t count)
{
	struct run *run = &log->run;
	int rc = run->lines.failed ? -ENOMEM : file_write(log, run->lines.at, run->lines.len);

	if (rc < 0) {
		run->failed += count;
		run->error = -rc;
	} else {
		run->written += count;
	}
	text_clear(&run->lines);
}

static void print_missing(struct run *run, const char *what, uint64_t count)
{
	struct text *to = &run->lines;

	json_open(to, '{');
	change_print_time(run->wall_ms, to);
	json_kv_str(to, "what", what);
	json_key(to, "count");
	json_u64(to, count);
	json_close(to, '}');
	text_char(to, '\n');
}

static void work(uv_work_t *w)
{
	struct change_log *log = w->data;
	struct run *run = &log->run;
	uint64_t count = 0;

	for (size_t at = 0; at < run->packed.len;) {
		at += change_print(run->packed.at + at, &run->lines);
		count++;
		if (run->lines.len >= WRITE_MAX) {
			lines_write(log, count);
			count = 0;
		}
	}
	if (run->held > 0)
		print_missing(run, "held_back", run->held);
	if (run->lost > 0)
		print_missing(run, "lost", run->lost);
	if (run->lines.len > 0)
		lines_write(log, count);
}

/* ---- on the control thread */

static void flush(struct change_log *log);

static void on_timer(uv_timer_t *timer)
{
	struct change_log *log = timer->data;

	log->armed = false;
	flush(log);
}

static void arm(struct change_log *log)
{
	if (log->armed || log->working || log->closing)
		return;
	log->armed = true;
	uv_update_time(log->loop);
	uv_timer_start(&log->timer, on_timer, FLUSH_MS, 0);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct change_log *log = handle->data;
	void (*on_closed)(void *arg) = log->on_closed;
	void *arg = log->closed_arg;

	file_close(log);
	text_done(&log->filling);
	text_done(&log->run.packed);
	text_done(&log->run.lines);
	mem_free(log);
	on_closed(arg);
}

static void clear(struct text *t)
{
	if (t->cap > KEPT_MAX)
		text_done(t);
	else
		text_clear(t);
}

static void tell_state(struct change_log *log)
{
	const struct run *run = &log->run;

	if (run->failed > 0 && !log->failing)
		log_error("changes", "%s cannot be written, changes are not recorded: %s", log->conf.path,
			  strerror(run->error));
	else if (run->failed == 0 && run->written > 0 && log->failing)
		log_info("changes", "%s is written again", log->conf.path);
	log->failing = run->failed > 0 || (log->failing && run->written == 0);
}

static void on_worked(uv_work_t *w, int status)
{
	struct change_log *log = w->data;

	(void)status;
	log->working = false;
	metrics_add(log->cell_written, log->run.written);
	metrics_add(log->cell_failed, log->run.failed);
	tell_state(log);
	clear(&log->run.packed);
	clear(&log->run.lines);
	if (log->closing)
		flush(log);
	else if (log->filling.len > 0 || log->held > 0 || log->lost > 0)
		arm(log);
}

static void refill(struct change_log *log, int64_t now_ms)
{
	uint64_t most = (uint64_t)log->conf.rate * BURST_SEC;
	int64_t passed = now_ms - log->filled_ms;
	uint64_t more = passed <= 0 ? 0 : (uint64_t)passed * log->conf.rate / 1000;

	if (more == 0)
		return;
	log->tokens = log->tokens + more > most ? most : log->tokens + more;
	log->filled_ms = now_ms;
}

static uint64_t take(uint64_t *count, unsigned cell)
{
	uint64_t n = *count;

	*count = 0;
	metrics_add(cell, n);
	return n;
}

static void flush(struct change_log *log)
{
	struct run *run = &log->run;
	int64_t now_ms = clock_ms();
	bool tell = log->closing || now_ms - log->held_told_ms >= HELD_MS;

	if (log->working)
		return;
	refill(log, now_ms);
	if (log->filling.len == 0 && (!tell || (log->held == 0 && log->lost == 0))) {
		if (log->closing)
			uv_close((uv_handle_t *)&log->timer, on_handle_closed);
		else if (log->held > 0 || log->lost > 0)
			arm(log);
		return;
	}
	struct text packed = run->packed;

	run->packed = log->filling;
	log->filling = packed;
	run->held = run->lost = run->written = run->failed = 0;
	run->wall_ms = clock_wall_ms();
	if (tell) {
		run->held = take(&log->held, log->cell_held);
		run->lost = take(&log->lost, log->cell_lost);
		log->held_told_ms = now_ms;
	}
	log->working = true;
	uv_queue_work(log->loop, &log->work, work, on_worked);
}

/* Every change that an operator makes is written; the others are as many as publishers like. */
static bool admitted(struct change_log *log, const struct change *c)
{
	if (log->conf.rate == 0 || c->cause == CAUSE_OPERATOR)
		return true;
	if (log->tokens == 0)
		return false; /* the flush that is armed refills */
	log->tokens--;
	return true;
}

static void on_change(void *arg, const struct change *c)
{
	struct change_log *log = arg;

	if (log->conf.rate > 0 && log->filling.len == 0)
		refill(log, clock_ms());
	if (!admitted(log, c)) {
		log->held++;
	} else if (log->filling.len >= FILLING_MAX) {
		log->lost++;
	} else {
		size_t before = log->filling.len;

		change_pack(c, clock_wall_ms(), &log->filling);
		if (log->filling.failed) { /* no memory: what stood before is still whole */
			log->filling.failed = false;
			log->filling.len = before;
			log->lost++;
		}
	}
	if (!log->armed)
		arm(log);
}

struct registry_watcher change_log_watcher(struct change_log *log)
{
	return (struct registry_watcher){ .on_change = on_change, .arg = log };
}

/* ---- life */

static void cells_declare(struct change_log *log)
{
	log->cell_written = metrics_counter("change_log_lines_total", "Changes written to the change log.", NULL);
	log->cell_held = metrics_counter("change_log_held_back_total",
					 "Changes over log.changes_rate, of which only the count was written.", NULL);
	log->cell_lost = metrics_counter("change_log_lost_total",
					 "Changes that came faster than the change log could be written.", NULL);
	log->cell_failed = metrics_counter("change_log_failed_total",
					   "Changes that the disk did not take (full, or not writable).", NULL);
}

int change_log_open(struct change_log **ret, uv_loop_t *loop, const struct change_log_conf *conf, struct error *err)
{
	struct change_log *log = mem_zalloc(1, sizeof(*log));

	assert(conf->path != NULL && conf->files > 0);
	if (log == NULL)
		return error_set(err, E_NOMEM, "change log: no memory");
	log->loop = loop;
	log->conf = *conf;
	log->fd = -1;
	int rc = file_open(log);

	if (rc < 0) {
		log->run.failed = 1;
		log->run.error = -rc;
		tell_state(log);
	}
	text_init(&log->filling);
	text_init(&log->run.packed);
	text_init(&log->run.lines);
	log->tokens = (uint64_t)conf->rate * BURST_SEC;
	log->filled_ms = clock_ms();
	log->held_told_ms = log->filled_ms - HELD_MS;
	cells_declare(log);
	uv_timer_init(loop, &log->timer);
	log->timer.data = log->work.data = log;
	*ret = log;
	return E_OK;
}

void change_log_close(struct change_log *log, void (*on_closed)(void *arg), void *arg)
{
	assert(!log->closing);
	log->closing = true;
	log->on_closed = on_closed;
	log->closed_arg = arg;
	uv_timer_stop(&log->timer);
	flush(log);
}

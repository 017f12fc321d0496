/* backups.c - see backups.h. */
#include "musterd/backups.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Names sort by date, so that the oldest are the first ones. */
static const char pattern[] = "muster-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z.db";

static int is_ours(const struct dirent *e)
{
	return fnmatch(pattern, e->d_name, 0) == 0;
}

static void remove_old(const struct backups *b, struct text *told)
{
	struct dirent **names;
	char path[4096];
	int count = scandir(b->dir, &names, is_ours, alphasort);

	json_key(told, "removed");
	json_open(told, '[');
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%.3800s/%.255s", b->dir, names[i]->d_name);
		if ((unsigned)(count - i) > b->keep && unlink(path) == 0)
			json_str(told, path);
		free(names[i]);
	}
	json_close(told, ']');
	if (count >= 0)
		free(names);
}

static int path_make(const struct backups *b, char to[4096], struct error *err)
{
	char date[32];
	time_t seconds = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	if (mkdir(b->dir, 0700) < 0 && errno != EEXIST)
		return error_set_errno(err, errno, "server.backup_dir %s", b->dir);
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
	int len = snprintf(to, 4096, "%s/muster-%s.db", b->dir, date);
	if (len < 0 || len > 4000)
		return error_set(err, E_RANGE, "server.backup_dir %.100s...: the path is too long", b->dir);
	return E_OK;
}

int backups_write(void *arg, const atomic_bool *stop, struct text *ret, struct error *err)
{
	const struct backups *b = arg;
	struct store_backup made;
	char path[4096];
	int rc = path_make(b, path, err);

	if (rc == E_OK) /* two in one second: the later one is the better one */
		rc = store_backup(&made, b->data_dir, path, true, stop, err);
	if (rc < 0) {
		log_error("backup", "%s", err->text);
		return rc;
	}
	log_info("backup", "%s: %lld rows, %lld bytes", path, (long long)made.rows, (long long)made.bytes);
	json_open(ret, '{');
	json_kv_str(ret, "file", path);
	json_kv_i64(ret, "rows", made.rows);
	json_kv_i64(ret, "bytes", made.bytes);
	json_kv_i64(ret, "schema", made.schema);
	remove_old(b, ret);
	json_close(ret, '}');
	return E_OK;
}

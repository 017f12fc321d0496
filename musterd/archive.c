/* archive.c - see archive.h. */
#include "musterd/archive.h"
#include "musterd/data_dir.h"
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int refused(const struct error *err, const char *doing)
{
	fprintf(stderr, "musterd: %s: %s\n", doing, err->text);
	return err->code;
}

static int store_is_file(const struct settings *s, struct error *err)
{
	if (strncmp(s->store.url, "sqlite", 6) == 0)
		return E_OK;
	return error_set(err, E_INVALID, "store.url is %s, which keeps nothing", s->store.url);
}

/* ---- to standard output: by way of a file, since SQLite writes no streams */

static int stream_out(int from, struct error *err)
{
	static char block[1 << 16];
	ssize_t n;

	while ((n = read(from, block, sizeof(block))) > 0)
		for (ssize_t at = 0, wrote; at < n; at += wrote) {
			wrote = write(STDOUT_FILENO, block + at, (size_t)(n - at));
			if (wrote < 0)
				return error_set_errno(err, errno, "write to standard output");
		}
	return n < 0 ? error_set_errno(err, errno, "read the copy") : E_OK;
}

static int backup_to_stdout(const struct settings *s, struct store_backup *ret, struct error *err)
{
	const char *tmp = getenv("TMPDIR");
	char dir[3072], path[3200];

	if (isatty(STDOUT_FILENO))
		return error_set(err, E_INVALID, "standard output is a terminal: send it to a file or a program");
	snprintf(dir, sizeof(dir), "%.3000s/muster-backup-XXXXXX", tmp == NULL || *tmp == '\0' ? "/var/tmp" : tmp);
	if (mkdtemp(dir) == NULL)
		return error_set_errno(err, errno, "make %s (TMPDIR names another place)", dir);
	snprintf(path, sizeof(path), "%s/muster.db", dir);
	int rc = store_backup(ret, s->server.data_dir, path, true, NULL, err);
	if (rc == E_OK) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		rc = fd < 0 ? error_set_errno(err, errno, "open %s", path) : stream_out(fd, err);
		if (fd >= 0)
			close(fd);
	}
	unlink(path);
	rmdir(dir);
	return rc;
}

int archive_backup(const struct settings *s)
{
	struct error err = { .code = E_OK };
	struct store_backup made = { 0 };
	bool stream = strcmp(s->task_file, "-") == 0;
	int rc = store_is_file(s, &err);

	if (rc == E_OK)
		rc = stream ? backup_to_stdout(s, &made, &err)
			    : store_backup(&made, s->server.data_dir, s->task_file, s->force, NULL, &err);
	if (rc < 0) {
		rc = refused(&err, "backup");
		if (rc == E_EXISTS)
			fputs("musterd: --force writes over it\n", stderr);
		return rc;
	}
	fprintf(stream ? stderr : stdout, "%s: %lld rows, %lld bytes, schema version %d, checked and synced\n",
		stream ? "standard output" : s->task_file, (long long)made.rows, (long long)made.bytes, made.schema);
	return E_OK;
}

static void say_restored(const struct settings *s, const struct store_restored *made)
{
	char date[40];
	time_t seconds = (time_t)(made->taken_ms / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", &tm);
	printf("%s/muster.db: %lld rows, schema version %d, from a backup of about %s\n", s->server.data_dir,
	       (long long)made->rows, made->schema, date);
	if (made->former[0] != '\0')
		printf("the former database is kept as %s\n", made->former);
	printf("change numbers go on above %lld\n", (long long)made->next_number);
	if (made->former_unread)
		fputs("musterd: the former database could not be read: that the numbers are above all of its own is "
		      "known from the clock alone\n",
		      stderr);
	if (made->behind_ms > 1000)
		fprintf(stderr,
			"musterd: this machine's clock is %lld s behind the backup: if it is wrong, set it and restore "
			"again, so that subscribers and secondary servers accept the next change\n",
			(long long)(made->behind_ms / 1000));
}

/* The directory may be lost: it is made again, for whom the server runs as. */
static int directory_prepare(const struct settings *s, struct error *err)
{
	struct account account;

	if (s->server.user == NULL)
		return data_dir_prepare(s->server.data_dir, NULL, err);
	int rc = account_find(&account, s->server.user, err);
	return rc < 0 ? rc : data_dir_prepare(s->server.data_dir, &account, err);
}

int archive_restore(const struct settings *s)
{
	struct error err = { .code = E_OK };
	struct store_restored made;
	int rc = store_is_file(s, &err);

	if (rc == E_OK)
		rc = directory_prepare(s, &err);
	if (rc == E_OK)
		rc = store_restore(&made, s->server.data_dir, s->task_file, &err);
	if (rc < 0)
		return refused(&err, "restore");
	say_restored(s, &made);
	return E_OK;
}

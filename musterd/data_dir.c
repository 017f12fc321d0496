/* data_dir.c - see data_dir.h. */
#include "musterd/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "muster", or "uid 995" when nobody is called so. */
static const char *name_of(char to[64], uid_t uid)
{
	const struct passwd *p = getpwuid(uid);
	if (p != NULL)
		snprintf(to, 64, "%.60s", p->pw_name);
	else
		snprintf(to, 64, "uid %u", (unsigned)uid);
	return to;
}

static int refuse(const char *path, const char *what, uid_t of, const char *user, struct error *err)
{
	char owner[64];
	return error_set(err, E_DENIED, "server.data_dir %s%s%s belongs to %s, not to %s: run chown -R %s: %s", path,
			 *what == '\0' ? "" : "/", what, name_of(owner, of), user, user, path);
}

/* The server's files must be the owner's: one that an earlier start as root left would fail later and worse. */
static int check_files(int fd, const char *path, const struct account *owner, struct error *err)
{
	struct stat st;
	struct dirent *e;
	int rc = E_OK;
	DIR *d = fdopendir(fd);
	if (d == NULL) {
		close(fd);
		return error_set_errno(err, errno, "server.data_dir %s", path);
	}
	while (rc == E_OK && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, "..") != 0 && fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && st.st_uid != owner->uid)
			rc = refuse(path, strcmp(e->d_name, ".") == 0 ? "" : e->d_name, st.st_uid, owner->name, err);
	closedir(d);
	return rc;
}

static int check_mine(const char *path, struct error *err)
{
	char user[64];
	struct stat st;
	if (access(path, R_OK | W_OK | X_OK) == 0 || errno != EACCES || stat(path, &st) < 0)
		return E_OK; /* what else is wrong is told where it hurts */
	return refuse(path, "", st.st_uid, name_of(user, geteuid()), err);
}

int data_dir_prepare(const char *path, const struct account *owner, struct error *err)
{
	bool made = mkdir(path, 0750) == 0;
	if (!made && errno != EEXIST)
		return error_set_errno(err, errno, "server.data_dir %s", path);
	if (owner == NULL || geteuid() != 0) {
		struct stat st;
		if (stat(path, &st) < 0)
			return error_set_errno(err, errno, "server.data_dir %s", path);
		if (!S_ISDIR(st.st_mode))
			return error_set(err, E_INVALID, "server.data_dir %s is no directory", path);
		return check_mine(path, err);
	}
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (made ? O_NOFOLLOW : 0));
	if (fd < 0 && errno == ENOTDIR)
		return error_set(err, E_INVALID, "server.data_dir %s is no directory", path);
	if (fd < 0 || (made && fchown(fd, owner->uid, owner->gid) < 0)) {
		int errnum = errno;
		if (fd >= 0)
			close(fd);
		return error_set_errno(err, errnum, "server.data_dir %s", path);
	}
	return check_files(fd, path, owner, err);
}

#include "store/lock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct lock {
	int fd;
};

/* The pid that the holder wrote, 0 if it has not yet. */
static long holder_pid(int fd)
{
	char line[24];
	ssize_t n = pread(fd, line, sizeof(line) - 1, 0);
	if (n <= 0)
		return 0;
	line[n] = '\0';
	long pid = strtol(line, NULL, 10);
	return pid > 0 ? pid : 0;
}

static int held_error(int fd, const char *path, struct error *err)
{
	long pid = holder_pid(fd);
	if (pid == 0)
		return error_set(err, E_CONFLICT, "%s is held by another musterd that is starting", path);
	return error_set(err, E_CONFLICT, "%s is held by the musterd with pid %ld", path, pid);
}

int lock_take(struct lock **ret, const char *path, struct error *err)
{
	struct lock *lock = mem_alloc(sizeof(*lock));
	if (lock == NULL)
		return error_set(err, E_NOMEM, "lock %s", path);
	int rc;
	lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (lock->fd < 0) {
		rc = error_set_errno(err, errno, "open %s", path);
		goto out_free;
	}
	if (flock(lock->fd, LOCK_EX | LOCK_NB) < 0) {
		rc = errno == EWOULDBLOCK ? held_error(lock->fd, path, err)
					  : error_set_errno(err, errno, "lock %s", path);
		goto out_close;
	}
	char line[24];
	int len = snprintf(line, sizeof(line), "%ld\n", (long)getpid());
	/* A full disk must not keep a server from starting: the lock itself needs no bytes. */
	if ((ftruncate(lock->fd, 0) < 0 || pwrite(lock->fd, line, (size_t)len, 0) < len) &&
	    errno != ENOSPC && errno != EDQUOT) {
		rc = error_set_errno(err, errno, "write %s", path);
		goto out_close;
	}
	*ret = lock;
	return E_OK;
out_close:
	close(lock->fd);
out_free:
	mem_free(lock);
	return rc;
}

void lock_release(struct lock *lock)
{
	if (lock == NULL)
		return;
	if (ftruncate(lock->fd, 0) < 0) {
		/* a text that stays is harmless: the lock ends with the descriptor */
	}
	close(lock->fd);
	mem_free(lock);
}

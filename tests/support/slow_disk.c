/* slow_disk.c - preloaded into musterd: a disk that is slow or refuses, for tests. SLOW_DISK names a file of two 32-bit
 * numbers that the test writes at any time: milliseconds that every fsync and fdatasync takes, and the errno that every
 * write to a regular file gets (0: none). Standard output and error are let through. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static volatile const uint32_t nothing[2];
static volatile const uint32_t *knobs = nothing;

__attribute__((constructor)) static void knobs_map(void)
{
	const char *path = getenv("SLOW_DISK");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED)
		knobs = at;
	close(fd);
}

static void wait_for_disk(void)
{
	uint32_t ms = knobs[0];
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
	if (ms > 0)
		nanosleep(&t, NULL);
}

static int refuses(int fd)
{
	struct stat st;
	if (knobs[1] == 0 || fd <= STDERR_FILENO || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	errno = (int)knobs[1];
	return 1;
}

#define NEXT(name, ret, ...) ((ret(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

int fsync(int fd)
{
	wait_for_disk();
	return NEXT("fsync", int, int)(fd);
}

int fdatasync(int fd)
{
	wait_for_disk();
	return NEXT("fdatasync", int, int)(fd);
}

ssize_t write(int fd, const void *from, size_t len)
{
	return refuses(fd) ? -1 : NEXT("write", ssize_t, int, const void *, size_t)(fd, from, len);
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t at)
{
	return refuses(fd) ? -1 : NEXT("pwrite", ssize_t, int, const void *, size_t, off_t)(fd, from, len, at);
}

ssize_t pwrite64(int fd, const void *from, size_t len, off64_t at)
{
	return refuses(fd) ? -1 : NEXT("pwrite64", ssize_t, int, const void *, size_t, off64_t)(fd, from, len, at);
}

int ftruncate(int fd, off_t len)
{
	return refuses(fd) ? -1 : NEXT("ftruncate", int, int, off_t)(fd, len);
}

int ftruncate64(int fd, off64_t len)
{
	return refuses(fd) ? -1 : NEXT("ftruncate64", int, int, off64_t)(fd, len);
}

/* plain_file.c - see plain_file.h. */
#include "base/plain_file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

FILE *plain_file_open(const char *path, int *errnum)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* of no effect on files */
	struct stat what;
	FILE *file = NULL;
	if (fd < 0) {
		*errnum = errno;
		return NULL;
	}
	*errnum = 0;
	if (fstat(fd, &what) < 0)
		*errnum = errno;
	else if (S_ISREG(what.st_mode) && (file = fdopen(fd, "r")) == NULL)
		*errnum = errno;
	if (file == NULL)
		close(fd);
	return file;
}

const char *plain_file_reason(int errnum)
{
	return errnum == 0 ? "it is no file" : strerror(errnum);
}

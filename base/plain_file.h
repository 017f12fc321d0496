/* plain_file.h - opens what an operator names as a file, and nothing else: a FIFO would be waited for, a device may never
 * end. Any thread. */
#ifndef BASE_PLAIN_FILE_H
#define BASE_PLAIN_FILE_H

#include <stdio.h>

/* For reading; the caller closes it. NULL: *@errnum is errno, or 0 for what is there and no file. Never waits. */
FILE *plain_file_open(const char *path, int *errnum);
const char *plain_file_reason(int errnum); /* in words */

#endif

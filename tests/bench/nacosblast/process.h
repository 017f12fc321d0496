/* process.h - what a process of this machine, above all the server, has used. Pid 0 (none given),
 * or one that has ended, has used nothing. */
#ifndef NACOSBLAST_PROCESS_H
#define NACOSBLAST_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* CPU time of all threads, past ones too: the process clock counts nanoseconds, /proc ticks. */
uint64_t process_cpu_ns(pid_t pid);

/* What the process has used since it had used @before; 0 when it has ended. */
uint64_t process_cpu_since(pid_t pid, uint64_t before);

/* Resident memory, KiB. */
uint64_t process_rss_kb(pid_t pid);

#endif

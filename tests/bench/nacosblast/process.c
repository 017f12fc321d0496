/* process.c - see process.h. */
#include "process.h"
#include "clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t process_cpu_ns(pid_t pid)
{
	clockid_t clock;
	struct timespec t;
	if (pid > 0 && clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) == 0)
		return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
	char path[64], line[1024];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = pid > 0 ? fopen(path, "r") : NULL;
	if (f == NULL)
		return 0;
	unsigned long user = 0, system = 0;
	const char *name_end = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	if (name_end == NULL ||
	    sscanf(name_end + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		   &system) != 2)
		return 0;
	return (user + system) * (SEC / (uint64_t)sysconf(_SC_CLK_TCK));
}

uint64_t process_cpu_since(pid_t pid, uint64_t before)
{
	uint64_t cpu = process_cpu_ns(pid);
	return cpu > before ? cpu - before : 0;
}

uint64_t process_rss_kb(pid_t pid)
{
	char path[64], line[256];
	unsigned long long kb = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = pid > 0 ? fopen(path, "r") : NULL;
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %llu", &kb) == 1)
			break;
	fclose(f);
	return kb;
}

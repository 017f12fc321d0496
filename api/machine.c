/* machine.c - getrusage, the load average, /proc; see machine.h. */
#include "api/machine.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t used_ns(void)
{
	struct rusage u;
	if (getrusage(RUSAGE_SELF, &u) != 0)
		return 0;
	return ((uint64_t)u.ru_utime.tv_sec + (uint64_t)u.ru_stime.tv_sec) * 1000000000u +
	       ((uint64_t)u.ru_utime.tv_usec + (uint64_t)u.ru_stime.tv_usec) * 1000u;
}

void cpu_meter_start(struct cpu_meter *m)
{
	*m = (struct cpu_meter){ .used_ns = used_ns(), .at_ns = clock_ns() };
}

double cpu_meter_read(struct cpu_meter *m)
{
	uint64_t now = clock_ns(), used = used_ns();
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	if (now - m->at_ns < 1000000000u)
		return m->share;
	m->share = (double)(used - m->used_ns) / (double)(now - m->at_ns) / (double)(processors > 0 ? processors : 1);
	if (m->share > 1)
		m->share = 1;
	m->used_ns = used;
	m->at_ns = now;
	return m->share;
}

double machine_load(void)
{
	double load;
	return getloadavg(&load, 1) == 1 ? load : -1;
}

double machine_memory(void)
{
	unsigned long long size, resident;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f == NULL)
		return -1;
	int n = fscanf(f, "%llu %llu", &size, &resident);
	fclose(f);
	long pages = sysconf(_SC_PHYS_PAGES);
	return n == 2 && pages > 0 ? (double)resident / (double)pages : -1;
}

/* machine.h - how busy this process and its machine are: for the operator's metrics. */
#ifndef API_MACHINE_H
#define API_MACHINE_H

#include <stdint.h>

struct cpu_meter { /* of one thread that asks */
	uint64_t used_ns, at_ns;
	double share;
};

void cpu_meter_start(struct cpu_meter *m);
/* The share of all processors that this process used since the last question (a second ago at least, else that
 * answer again): 0..1. */
double cpu_meter_read(struct cpu_meter *m);
/* Runnable tasks of the machine, mean of a minute; below 0: not known. */
double machine_load(void);
/* The share of the machine's memory that this process has resident: 0..1; below 0: not known. */
double machine_memory(void);

#endif

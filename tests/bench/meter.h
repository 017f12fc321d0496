/* meter.h - what load generators measure: processor time of a server, latencies, what came back. One thread. */
#ifndef TESTS_BENCH_METER_H
#define TESTS_BENCH_METER_H

#include <stdint.h>

double meter_now(void);	   /* seconds, monotonic */
double meter_own_cpu(void); /* seconds of this process */
double meter_cpu(const char *pids); /* seconds of all threads of "12" or "12+34" */

/* Latencies in nanoseconds, 32 buckets to each power of two: a percentile is off by 3 % at most. */
struct latencies {
	uint64_t count, buckets[64 * 32];
	double most; /* seconds */
};
void latencies_add(struct latencies *l, double seconds);
double latencies_us(const struct latencies *l, double share);

struct tally {
	uint64_t sent, got, lost, bytes, answers, truncated, rcodes[16];
};
void tally_add(struct tally *t, const uint8_t *message, unsigned len); /* @len >= 12 */
void tally_print(const struct tally *t, double seconds);	       /* without the end of the line */

#endif

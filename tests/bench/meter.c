#include "meter.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double clock_sec(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double meter_now(void)
{
	return clock_sec(CLOCK_MONOTONIC);
}

double meter_own_cpu(void)
{
	return clock_sec(CLOCK_PROCESS_CPUTIME_ID);
}

/* By its processor clock, in nanoseconds: /proc counts in hundredths of a second, 1 % of a short run. */
static double cpu_of(long pid)
{
	clockid_t clock;

	return clock_getcpuclockid((pid_t)pid, &clock) == 0 ? clock_sec(clock) : 0;
}

double meter_cpu(const char *pids)
{
	double sum = 0;

	for (char *end;; pids = end + 1) {
		sum += cpu_of(strtol(pids, &end, 10));
		if (*end != '+')
			return sum;
	}
}

void latencies_add(struct latencies *l, double seconds)
{
	uint64_t ns = seconds > 0 ? (uint64_t)(seconds * 1e9) + 32 : 32;
	int power = 63 - __builtin_clzll(ns);

	l->buckets[power * 32 + (int)((ns >> (power - 5)) & 31)]++;
	l->count++;
	if (seconds > l->most)
		l->most = seconds;
}

double latencies_us(const struct latencies *l, double share)
{
	uint64_t left = (uint64_t)(share * (double)l->count);

	for (int i = 0; i < 64 * 32; i++) {
		if (l->buckets[i] > left)
			return ((double)(32 + i % 32) * (double)(1ull << (i / 32 - 5)) - 32) * 1e-3;
		left -= l->buckets[i];
	}
	return l->most * 1e6;
}

void tally_add(struct tally *t, const uint8_t *message, unsigned len)
{
	t->got++;
	t->bytes += len;
	t->rcodes[message[3] & 15]++;
	t->truncated += message[2] >> 1 & 1;
	t->answers += (unsigned)message[6] << 8 | message[7];
}

void tally_print(const struct tally *t, double seconds)
{
	double got = t->got > 0 ? (double)t->got : 1;

	printf("qps=%.0f sent=%llu got=%llu lost=%llu avg_bytes=%.1f avg_answers=%.2f noerror=%llu nxdomain=%llu "
	       "servfail=%llu refused=%llu tc=%llu", (double)t->got / seconds, (unsigned long long)t->sent,
	       (unsigned long long)t->got, (unsigned long long)t->lost, (double)t->bytes / got,
	       (double)t->answers / got, (unsigned long long)t->rcodes[0], (unsigned long long)t->rcodes[3],
	       (unsigned long long)t->rcodes[2], (unsigned long long)t->rcodes[5],
	       (unsigned long long)t->truncated);
}

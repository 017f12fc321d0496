/* metrics.h - counters, gauges and histograms, and their Prometheus text. A metric is declared once at
 * start-up on one thread (metrics_counter etc. return a handle that lives for ever); adding is per-thread
 * and lock-free (each thread that calls metrics_thread_start has its own cache-line-aligned cells), reading
 * sums. Before metrics_thread_start a thread adds to a shared atomic cell. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/text.h"
#include <stdint.h>

enum { METRICS_MAX = 4096 /* cells: a metric has one per label combination, a histogram one per bucket + 2 */ };

struct metric; /* a family: name, help, type */

/* @name without the muster_ prefix (which names that begin with process_ do not get: their names are agreed), by Prometheus' conventions (_total for counters, base units).
 * @labels: NULL, or the label part as written: `type="A",transport="udp"`. The same name with other
 * labels joins the family. Returns the cell number to add to, or a spare cell when METRICS_MAX is reached. */
unsigned metrics_counter(const char *name, const char *help, const char *labels);
/* The same, but not printed while it is 0: for labels of which most never occur. */
unsigned metrics_counter_sparse(const char *name, const char *help, const char *labels);
unsigned metrics_gauge(const char *name, const char *help, const char *labels);
/* A gauge or counter read at scrape time by a function (any thread; must be quick). */
void metrics_read(const char *name, const char *help, const char *labels, bool is_counter,
		  double (*read)(void *arg), void *arg);
/* Seconds, buckets 100 us .. 10 s in steps of 1-2.5-5. */
unsigned metrics_histogram(const char *name, const char *help, const char *labels);

void metrics_thread_start(void);
void metrics_thread_stop(void); /* its counts are kept */
void metrics_add(unsigned cell, uint64_t n);
void metrics_set(unsigned cell, double v); /* gauges: atomic store */
void metrics_shift(unsigned cell, double by); /* gauges that several threads keep together */
void metrics_observe(unsigned histogram_cell, double seconds);
uint64_t metrics_value(unsigned cell); /* summed; tests */
void metrics_print(struct text *to);   /* the whole exposition text (version 0.0.4) */

#endif

/* metrics.c - see metrics.h. Cells are numbers in every thread's own array and in one shared array;
 * a thread that stops adds its own to the shared one. A base singleton that lives as long as the
 * process: families are never taken back. */
#include "base/metrics.h"
#include "base/mem.h"
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { CACHE_LINE = 64, BUCKETS = 16, HISTOGRAM_CELLS = BUCKETS + 2, SPARE_CELL = 0 };

static const struct bucket {
	double le;
	const char *text;
} buckets[BUCKETS] = {
	{ 1e-4, "0.0001" }, { 2.5e-4, "0.00025" }, { 5e-4, "0.0005" }, { 1e-3, "0.001" },
	{ 2.5e-3, "0.0025" }, { 5e-3, "0.005" }, { 1e-2, "0.01" }, { 2.5e-2, "0.025" },
	{ 5e-2, "0.05" }, { 0.1, "0.1" }, { 0.25, "0.25" }, { 0.5, "0.5" },
	{ 1, "1" }, { 2.5, "2.5" }, { 5, "5" }, { 10, "10" },
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
static const char *const type_names[] = { "counter", "gauge", "histogram" };

struct series { /* one label combination */
	struct series *next;
	const char *labels; /* "" when none */
	unsigned cell;
	bool sparse;
	double (*read)(void *arg); /* NULL: the cell counts */
	void *arg;
};

struct metric {
	struct metric *next;
	const char *name, *help;
	enum metric_type type;
	struct series *series, **last;
};

struct thread_cells {
	_Atomic uint64_t cells[METRICS_MAX];
	struct thread_cells *next;
};

static struct {
	pthread_mutex_t lock; /* families, and the list of threads */
	struct metric *families, **last;
	struct thread_cells *threads;
	unsigned used; /* cells; the spare one is the first */
	_Atomic uint64_t shared[METRICS_MAX];
	_Atomic uint64_t gauges[METRICS_MAX]; /* the bits of a double */
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .used = SPARE_CELL + 1 };

static _Thread_local struct thread_cells *mine;

static struct metric *family(const char *name, const char *help, enum metric_type type)
{
	if (state.last == NULL)
		state.last = &state.families;
	for (struct metric *m = state.families; m != NULL; m = m->next)
		if (strcmp(m->name, name) == 0)
			return m->type == type ? m : NULL;
	struct metric *m = mem_zalloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->name = mem_strdup(name);
	m->help = mem_strdup(help);
	if (m->name == NULL || m->help == NULL) {
		mem_free((void *)(uintptr_t)m->name);
		mem_free((void *)(uintptr_t)m->help);
		mem_free(m);
		return NULL;
	}
	m->type = type;
	m->last = &m->series;
	*state.last = m;
	state.last = &m->next;
	return m;
}

/* The series of these labels, made with @cells cells if it is new; NULL: no memory or no cells. */
static struct series *series_of(const char *name, const char *help, const char *labels,
				enum metric_type type, unsigned cells)
{
	struct metric *m = family(name, help, type);
	if (m == NULL)
		return NULL;
	if (labels == NULL)
		labels = "";
	for (struct series *s = m->series; s != NULL; s = s->next)
		if (strcmp(s->labels, labels) == 0)
			return s;
	if (cells > METRICS_MAX - state.used)
		return NULL;
	struct series *s = mem_zalloc(1, sizeof(*s));
	char *copy = mem_strdup(labels);
	if (s == NULL || copy == NULL) {
		mem_free(s);
		mem_free(copy);
		return NULL;
	}
	s->labels = copy;
	s->cell = state.used;
	state.used += cells;
	*m->last = s;
	m->last = &s->next;
	return s;
}

static unsigned declare(const char *name, const char *help, const char *labels,
			enum metric_type type, unsigned cells)
{
	pthread_mutex_lock(&state.lock);
	struct series *s = series_of(name, help, labels, type, cells);
	unsigned cell = s == NULL ? SPARE_CELL : s->cell;
	pthread_mutex_unlock(&state.lock);
	return cell;
}

unsigned metrics_counter(const char *name, const char *help, const char *labels)
{
	return declare(name, help, labels, METRIC_COUNTER, 1);
}

unsigned metrics_counter_sparse(const char *name, const char *help, const char *labels)
{
	pthread_mutex_lock(&state.lock);
	struct series *s = series_of(name, help, labels, METRIC_COUNTER, 1);
	unsigned cell = s == NULL ? SPARE_CELL : s->cell;
	if (s != NULL)
		s->sparse = true;
	pthread_mutex_unlock(&state.lock);
	return cell;
}

unsigned metrics_gauge(const char *name, const char *help, const char *labels)
{
	return declare(name, help, labels, METRIC_GAUGE, 1);
}

unsigned metrics_histogram(const char *name, const char *help, const char *labels)
{
	return declare(name, help, labels, METRIC_HISTOGRAM, HISTOGRAM_CELLS);
}

void metrics_read(const char *name, const char *help, const char *labels, bool is_counter,
		  double (*read)(void *arg), void *arg)
{
	pthread_mutex_lock(&state.lock);
	struct series *s =
	    series_of(name, help, labels, is_counter ? METRIC_COUNTER : METRIC_GAUGE, 0);
	if (s != NULL) {
		s->read = read;
		s->arg = arg;
	}
	pthread_mutex_unlock(&state.lock);
}

void metrics_thread_start(void)
{
	if (mine != NULL)
		return;
	struct thread_cells *t = mem_aligned(CACHE_LINE, sizeof(*t));
	if (t == NULL)
		return; /* the shared cells do */
	memset(t, 0, sizeof(*t));
	pthread_mutex_lock(&state.lock);
	t->next = state.threads;
	state.threads = t;
	pthread_mutex_unlock(&state.lock);
	mine = t;
}

void metrics_thread_stop(void)
{
	struct thread_cells *t = mine;
	if (t == NULL)
		return;
	mine = NULL;
	pthread_mutex_lock(&state.lock);
	struct thread_cells **at = &state.threads;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	for (unsigned i = 0; i < METRICS_MAX; i++)
		atomic_fetch_add_explicit(&state.shared[i],
					  atomic_load_explicit(&t->cells[i], memory_order_relaxed),
					  memory_order_relaxed);
	pthread_mutex_unlock(&state.lock);
	mem_free(t);
}

void metrics_add(unsigned cell, uint64_t n)
{
	if (cell >= METRICS_MAX)
		return;
	if (mine == NULL) {
		atomic_fetch_add_explicit(&state.shared[cell], n, memory_order_relaxed);
		return;
	}
	_Atomic uint64_t *c = &mine->cells[cell]; /* nobody else writes it */
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

void metrics_set(unsigned cell, double v)
{
	uint64_t bits;
	memcpy(&bits, &v, sizeof(bits));
	if (cell < METRICS_MAX)
		atomic_store_explicit(&state.gauges[cell], bits, memory_order_relaxed);
}

void metrics_shift(unsigned cell, double by)
{
	if (cell >= METRICS_MAX)
		return;
	uint64_t old = atomic_load_explicit(&state.gauges[cell], memory_order_relaxed), bits;
	do {
		double v;
		memcpy(&v, &old, sizeof(v));
		v += by;
		memcpy(&bits, &v, sizeof(bits));
	} while (!atomic_compare_exchange_weak_explicit(&state.gauges[cell], &old, bits, memory_order_relaxed, memory_order_relaxed));
}

void metrics_observe(unsigned histogram_cell, double seconds)
{
	if (histogram_cell == SPARE_CELL)
		return;
	unsigned b = 0;
	while (b < BUCKETS && seconds > buckets[b].le)
		b++;
	metrics_add(histogram_cell + b, 1);
	if (seconds > 0 && seconds < 1e9)
		metrics_add(histogram_cell + BUCKETS + 1, (uint64_t)(seconds * 1e9));
}

/* Locked, so that no thread's cells go while they are read. */
static uint64_t sum(unsigned cell)
{
	uint64_t v = atomic_load_explicit(&state.shared[cell], memory_order_relaxed);
	for (struct thread_cells *t = state.threads; t != NULL; t = t->next)
		v += atomic_load_explicit(&t->cells[cell], memory_order_relaxed);
	return v;
}

uint64_t metrics_value(unsigned cell)
{
	if (cell >= METRICS_MAX)
		return 0;
	pthread_mutex_lock(&state.lock);
	uint64_t v = sum(cell);
	pthread_mutex_unlock(&state.lock);
	return v;
}

static void print_double(struct text *to, double v)
{
	if (isnan(v))
		text_add(to, "NaN");
	else if (isinf(v))
		text_add(to, v > 0 ? "+Inf" : "-Inf");
	else if (fabs(v) < 1e15 && !(trunc(v) < v) && !(trunc(v) > v))
		text_i64(to, (int64_t)v);
	else
		text_printf(to, "%.17g", v);
}

static const char *prefix(const struct metric *m)
{
	return strncmp(m->name, "process_", 8) == 0 ? "" : "muster_";
}

/* name_suffix{labels,more} - without the braces when both are empty. */
static void print_name(struct text *to, const struct metric *m, const struct series *s,
		       const char *suffix, const char *le)
{
	text_add(to, prefix(m));
	text_add(to, m->name);
	text_add(to, suffix);
	if (s->labels[0] != '\0' || le != NULL) {
		text_char(to, '{');
		text_add(to, s->labels);
		if (le != NULL)
			text_printf(to, "%sle=\"%s\"", s->labels[0] != '\0' ? "," : "", le);
		text_char(to, '}');
	}
	text_char(to, ' ');
}

static void print_histogram(struct text *to, const struct metric *m, const struct series *s)
{
	uint64_t count = 0;
	for (unsigned b = 0; b <= BUCKETS; b++) {
		count += sum(s->cell + b);
		print_name(to, m, s, "_bucket", b < BUCKETS ? buckets[b].text : "+Inf");
		text_u64(to, count);
		text_char(to, '\n');
	}
	print_name(to, m, s, "_sum", NULL);
	text_printf(to, "%.9g\n", (double)sum(s->cell + BUCKETS + 1) / 1e9);
	print_name(to, m, s, "_count", NULL);
	text_u64(to, count);
	text_char(to, '\n');
}

static void print_series(struct text *to, const struct metric *m, const struct series *s)
{
	if (m->type == METRIC_HISTOGRAM) {
		print_histogram(to, m, s);
		return;
	}
	if (s->sparse && sum(s->cell) == 0)
		return;
	print_name(to, m, s, "", NULL);
	if (s->read != NULL) {
		print_double(to, s->read(s->arg));
	} else if (m->type == METRIC_COUNTER) {
		text_u64(to, sum(s->cell));
	} else { /* what was set, and what threads have added or, with negative numbers, taken */
		double set;
		uint64_t bits = atomic_load_explicit(&state.gauges[s->cell], memory_order_relaxed);
		memcpy(&set, &bits, sizeof(set));
		print_double(to, set + (double)(int64_t)sum(s->cell));
	}
	text_char(to, '\n');
}

/* Help text: backslash and line end are the two that the format escapes. */
static void print_help(struct text *to, const struct metric *m)
{
	text_printf(to, "# HELP %s%s ", prefix(m), m->name);
	for (const char *c = m->help; *c != '\0'; c++) {
		if (*c == '\\' || *c == '\n')
			text_add(to, *c == '\n' ? "\\n" : "\\\\");
		else
			text_char(to, *c);
	}
	text_printf(to, "\n# TYPE %s%s %s\n", prefix(m), m->name, type_names[m->type]);
}

void metrics_print(struct text *to)
{
	pthread_mutex_lock(&state.lock);
	for (const struct metric *m = state.families; m != NULL; m = m->next) {
		print_help(to, m);
		for (const struct series *s = m->series; s != NULL; s = s->next)
			print_series(to, m, s);
	}
	pthread_mutex_unlock(&state.lock);
}

/* server_metrics.c - see server_metrics.h. */
#include "musterd/server_metrics.h"
#include "base/clock.h"
#include "base/metrics.h"

#include <dirent.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- the process (names and meanings as every Prometheus client has them) */

static double cpu_seconds(void *arg)
{
	struct rusage use;

	(void)arg;
	if (getrusage(RUSAGE_SELF, &use) < 0)
		return 0;
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/* The word number @which of /proc/self/statm, pages. */
static double memory_bytes(int which)
{
	long pages[2] = { 0, 0 };
	FILE *f = fopen("/proc/self/statm", "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%ld %ld", &pages[0], &pages[1]) != 2)
		pages[which] = 0;
	fclose(f);
	return (double)pages[which] * (double)sysconf(_SC_PAGESIZE);
}

static double virtual_bytes(void *arg)
{
	(void)arg;
	return memory_bytes(0);
}

static double resident_bytes(void *arg)
{
	(void)arg;
	return memory_bytes(1);
}

static double open_fds(void *arg)
{
	DIR *d = opendir("/proc/self/fd");
	double n = -3; /* two dots, and the directory itself */

	(void)arg;
	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static double max_fds(void *arg)
{
	struct rlimit limit;

	(void)arg;
	return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : (double)limit.rlim_cur;
}

static void declare_process(void)
{
	metrics_read("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", NULL, true, cpu_seconds,
		     NULL);
	metrics_read("process_resident_memory_bytes", "Resident memory size in bytes.", NULL, false, resident_bytes, NULL);
	metrics_read("process_virtual_memory_bytes", "Virtual memory size in bytes.", NULL, false, virtual_bytes, NULL);
	metrics_read("process_open_fds", "Number of open file descriptors.", NULL, false, open_fds, NULL);
	metrics_read("process_max_fds", "Maximum number of open file descriptors.", NULL, false, max_fds, NULL);
	metrics_set(metrics_gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", NULL),
		    (double)clock_wall_ms() / 1000);
}

/* ---- the registry */

static struct registry_stats stats_of(void *arg)
{
	struct server_metrics *m = arg;
	struct registry_stats stats;

	registry_stats(desk_registry(m->desk), &stats);
	return stats;
}

static double difference(uint64_t a, uint64_t b)
{
	return a > b ? (double)(a - b) : 0; /* counts are read one after the other */
}

static double read_namespaces(void *arg)
{
	return (double)stats_of(arg).namespaces;
}

static double read_services(void *arg)
{
	return (double)stats_of(arg).services;
}

static double read_number(void *arg)
{
	return (double)stats_of(arg).number;
}

static double read_disabled(void *arg)
{
	return (double)stats_of(arg).disabled;
}

static double read_ephemeral_healthy(void *arg)
{
	return (double)stats_of(arg).ephemeral_healthy;
}

static double read_ephemeral_unhealthy(void *arg)
{
	struct registry_stats s = stats_of(arg);

	return difference(s.ephemeral, s.ephemeral_healthy);
}

static double read_persistent_healthy(void *arg)
{
	struct registry_stats s = stats_of(arg);

	return difference(s.healthy, s.ephemeral_healthy);
}

static double read_persistent_unhealthy(void *arg)
{
	struct registry_stats s = stats_of(arg);

	return difference(s.persistent, s.healthy - s.ephemeral_healthy);
}

static double read_depth(void *arg)
{
	return desk_depth(((struct server_metrics *)arg)->desk);
}

static double read_warm_age(void *arg)
{
	struct desk_stats s;

	desk_stats(((struct server_metrics *)arg)->desk, &s);
	return s.warm_copy_ms == 0 ? NAN : (double)(clock_ms() - s.warm_copy_ms) / 1000;
}

static void declare_registry(struct server_metrics *m)
{
	const char *instances = "Instances by kind and health.";

	metrics_read("instances", instances, "kind=\"ephemeral\",state=\"healthy\"", false, read_ephemeral_healthy, m);
	metrics_read("instances", instances, "kind=\"ephemeral\",state=\"unhealthy\"", false, read_ephemeral_unhealthy, m);
	metrics_read("instances", instances, "kind=\"persistent\",state=\"healthy\"", false, read_persistent_healthy, m);
	metrics_read("instances", instances, "kind=\"persistent\",state=\"unhealthy\"", false, read_persistent_unhealthy, m);
	metrics_read("instances_disabled", "Instances that an operator or their publisher disabled.", NULL, false,
		     read_disabled, m);
	metrics_read("services", "Services.", NULL, false, read_services, m);
	metrics_read("namespaces", "Namespaces, public included.", NULL, false, read_namespaces, m);
	metrics_read("registry_number", "The newest change number.", NULL, false, read_number, m);
	metrics_read("registry_inbox_depth", "Commands that wait for the registry or for their answer.", NULL, false,
		     read_depth, m);
	metrics_read("warm_copy_age_seconds", "Time since the last complete warm copy; NaN: there is none.", NULL, false,
		     read_warm_age, m);
}

/* ---- the store */

static struct store_stats store_of(void *arg)
{
	struct store_stats stats;

	store_stats(desk_store(((struct server_metrics *)arg)->desk), &stats);
	return stats;
}

static double read_batches(void *arg)
{
	return (double)store_of(arg).commits;
}

static double read_refused(void *arg)
{
	return (double)store_of(arg).refused;
}

static double read_transactions(void *arg)
{
	return (double)store_of(arg).transactions;
}

static double read_waiting(void *arg)
{
	return (double)store_of(arg).waiting;
}

static double read_writable(void *arg)
{
	return atomic_load(&((struct server_metrics *)arg)->store_state) == STORE_LIVE ? 1 : 0;
}

static void declare_store(struct server_metrics *m)
{
	const char *batches = "Durable changes, by whether the store took them.";

	metrics_read("store_batches_total", batches, "result=\"committed\"", true, read_batches, m);
	metrics_read("store_batches_total", batches, "result=\"refused\"", true, read_refused, m);
	metrics_read("store_transactions_total", "Syncs: group commits of durable changes.", NULL, true, read_transactions, m);
	metrics_read("store_waiting", "Durable changes handed to the store and not yet answered.", NULL, false, read_waiting,
		     m);
	metrics_read("store_writable", "1 while durable changes are accepted.", NULL, false, read_writable, m);
}

/* ---- changes */

static void on_change(void *arg, const struct change *c)
{
	struct server_metrics *m = arg;

	metrics_add(m->what[c->what], 1);
	if (c->what != CHANGE_UPDATE || ((c->old->flags ^ c->fresh->flags) & INSTANCE_HEALTHY) == 0)
		return;
	metrics_add(m->flips[(c->fresh->flags & INSTANCE_HEALTHY) != 0][c->cause], 1);
}

struct registry_watcher server_metrics_watcher(struct server_metrics *m)
{
	return (struct registry_watcher){ .on_change = on_change, .arg = m };
}

static void declare_changes(struct server_metrics *m)
{
	static const enum command_cause causes[] = { CAUSE_API, CAUSE_BEAT, CAUSE_BEAT_EXPIRED, CAUSE_CONNECTION, CAUSE_PROBE,
						     CAUSE_OPERATOR };
	char labels[96];

	for (unsigned i = 0; i < CHANGE_WHATS; i++) {
		snprintf(labels, sizeof(labels), "what=\"%s\"", change_what_label((enum change_what)i));
		m->what[i] = metrics_counter("changes_total", "Effective changes of the registry.", labels);
	}
	for (unsigned to = 0; to < 2; to++)
		for (unsigned i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
			snprintf(labels, sizeof(labels), "to=\"%s\",cause=\"%s\"", to == 1 ? "healthy" : "unhealthy",
				 change_cause_name(causes[i]));
			m->flips[to][causes[i]] =
			    metrics_counter("health_flips_total", "Changes of an instance's health.", labels);
		}
}

/* ---- all */

static double read_ready(void *arg)
{
	struct server_metrics *m = arg;

	return m->missing(m->arg) == NULL ? 1 : 0;
}

void server_metrics_declare(struct server_metrics *m, struct desk *desk, const char *(*missing)(void *arg), void *arg)
{
	m->desk = desk;
	m->missing = missing;
	m->arg = arg;
	metrics_read("ready", "1 while DNS and HTTP are served and the registry is loaded.", NULL, false, read_ready, m);
	declare_registry(m);
	declare_store(m);
	declare_changes(m);
	declare_process();
}

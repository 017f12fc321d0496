/* bench_zones.c - what one question costs in the zones alone: no sockets, no EDNS. Times are CPU time per query over
 * random names; in batches the stages run over 32 questions, as in a worker.
 *
 *   bench_zones [services [instances a service]]      10000 4 */
#include "base/clock.h"
#include "base/mem.h"
#include "tests/support/fake_service.h"
#include "zones/zone_set.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH = 32, PASSES = 4000, NAME_MAX_TEXT = 80, HEADER_AND_QUESTION = 64 };

struct bench {
	struct zone_set *zones;
	struct dns_query queries[BATCH];
	uint8_t packets[BATCH][512], replies[BATCH][1232];
	struct rng rng;
	uint32_t services;
	uint64_t checked;
};

/* @form: "s.svc.test" gets its number behind the first letter; "=test" is taken as it is. */
static void question(struct bench *b, unsigned at, const char *form, uint16_t type)
{
	struct dns_query *q = &b->queries[at];
	char name[NAME_MAX_TEXT];
	uint8_t *wire = b->packets[at] + DNS_HEADER_LEN;
	if (form[0] == '=')
		snprintf(name, sizeof(name), "%s", form + 1);
	else
		snprintf(name, sizeof(name), "%c%05u%s", form[0], rng_below(&b->rng, b->services), form + 1);
	size_t len = 0;
	q->labels = 0;
	for (const char *s = name; *s != '\0';) {
		size_t n = strcspn(s, ".");
		q->label_at[q->labels++] = (uint8_t)len;
		wire[len] = (uint8_t)n;
		memcpy(wire + len + 1, s, n);
		len += n + 1;
		s += n + (s[n] == '.');
	}
	q->label_at[q->labels] = (uint8_t)len;
	wire[len++] = 0;
	memset(q->name, 0, sizeof(q->name));
	memcpy(q->name, wire, len);
	q->qname = wire;
	q->qname_len = (uint16_t)len;
	q->qtype = type;
	q->qclass = 1;
	q->now_ms = 1000000;
	q->client = rng_next(&b->rng);
}

static void answer(struct bench *b, unsigned at)
{
	struct dns_answer a;
	a.w = writer_of(b->replies[at], sizeof(b->replies[at]));
	a.w.at += HEADER_AND_QUESTION;
	zone_set_answer(b->zones, &b->queries[at], &a, &b->rng);
	b->checked += a.ancount;
}

static uint64_t cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* One pass over fresh questions, which were made before the clock runs. */
static uint64_t pass(struct bench *b, const char *form, uint16_t type, bool batched)
{
	for (unsigned k = 0; k < BATCH; k++)
		question(b, k, form, type);
	uint64_t start = cpu_ns();
	if (!batched) {
		for (unsigned k = 0; k < BATCH; k++) {
			zone_set_prefetch(b->zones, &b->queries[k]);
			zone_set_prepare(b->zones, &b->queries[k]);
			answer(b, k);
		}
		return cpu_ns() - start;
	}
	for (unsigned k = 0; k < BATCH; k++)
		zone_set_prefetch(b->zones, &b->queries[k]);
	for (unsigned k = 0; k < BATCH; k++)
		zone_set_locate(b->zones, &b->queries[k]);
	for (unsigned k = 0; k < BATCH; k++)
		zone_set_prepare(b->zones, &b->queries[k]);
	for (unsigned k = 0; k < BATCH; k++)
		answer(b, k);
	return cpu_ns() - start;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Median nanoseconds of CPU per query; the clock's own cost is taken off. */
static void measure(struct bench *b, const char *what, const char *form, uint16_t type)
{
	static uint64_t times[2][PASSES];
	uint64_t clock = UINT64_MAX;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t start = cpu_ns(), took = cpu_ns() - start;
		clock = took < clock ? took : clock;
	}
	b->checked = 0;
	for (unsigned i = 0; i < PASSES; i++) {
		times[0][i] = pass(b, form, type, false) - clock;
		times[1][i] = pass(b, form, type, true) - clock;
	}
	for (int i = 0; i < 2; i++)
		qsort(times[i], PASSES, sizeof(times[i][0]), compare);
	printf("%-18s single %6.1f ns, best tenth %6.1f; in batches of %d: %6.1f, %6.1f   (%.1f records)\n", what,
	       (double)times[0][PASSES / 2] / BATCH, (double)times[0][PASSES / 10] / BATCH, BATCH,
	       (double)times[1][PASSES / 2] / BATCH, (double)times[1][PASSES / 10] / BATCH,
	       (double)b->checked / (2.0 * PASSES * BATCH));
}

static void on_closed(void *arg)
{
	(void)arg;
}

int main(int argc, char **argv)
{
	static struct bench b;
	b.services = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000;
	uint32_t instances = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 4;
	struct zone_conf zone = { .name = "test", .layout = LAYOUT_FULL };
	struct zone_set_conf conf = { .zones = &zone, .zone_count = 1, .ttl = 5, .ttl_host = 60, .ttl_negative = 5,
				      .ttl_apex = 3600, .ttl_version = 28800, .cap = 16,
				      .subset_rotate_ms = 30000, .raw_alias = true, .loopback_addresses = true };
	uv_loop_t loop;
	struct rcu_reaper *reaper;
	rcu_thread_start();
	uv_loop_init(&loop);
	if (rcu_reaper_start(&reaper, &loop, NULL) < 0 || zone_set_new(&b.zones, &conf, reaper, NULL) < 0)
		return 1;
	struct registry_watcher watcher = zone_set_watcher(b.zones);
	struct service_view *views = calloc(b.services, sizeof(*views));
	struct fake_service *f = fake_service_new("public", "DEFAULT_GROUP", "x");
	uint64_t build_ns = 0;
	struct service_view *keep = NULL;
	for (uint32_t i = 0; i < b.services; i++) {
		char name[24], ip[24];
		snprintf(name, sizeof(name), "s%05u", i);
		fake_clear(f);
		f->buried = 0;
		for (uint32_t k = 0; k < instances; k++) {
			uint32_t n = i * instances + k;
			snprintf(ip, sizeof(ip), "10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
			fake_add(f, &(struct fake_instance){ .ip = ip, .port = 8080 });
		}
		f->name = strdup(name);
		f->id = f->created = i + 1;
		f->info = NULL;
		f->view = NULL;
		struct registry_watcher none = { .on_view = watcher.on_view, .on_turn = watcher.on_turn,
						 .arg = watcher.arg };
		uint64_t start = clock_ns();
		fake_publish(f, &none);
		build_ns += clock_ns() - start;
		keep = f->view;
	}
	struct zone_set_stats stats;
	zone_set_ready(b.zones);
	zone_set_stats(b.zones, &stats);
	printf("%u services of %u: first build %.2f us each with their names, %.1f bytes of blob an instance\n",
	       b.services, instances, (double)stats.rebuild_ns / 1000.0 / b.services,
	       (double)stats.bytes / ((double)b.services * instances));
	/* rebuilding one over and over */
	enum { REBUILDS = 20000 };
	for (int i = 0; i < 2; i++) {
		uint64_t before;
		zone_set_stats(b.zones, &stats);
		before = stats.rebuild_ns;
		for (unsigned k = 0; k < REBUILDS; k++) {
			struct instance *one = (struct instance *)keep->instances[0];
			one->weight = 1.0 + k % 2; /* a change, without the cost of making a view */
			watcher.on_view(watcher.arg, keep, keep);
			if (k % 64 == 0) {
				rcu_reaper_turn(reaper);
				uv_run(&loop, UV_RUN_NOWAIT);
			}
		}
		zone_set_stats(b.zones, &stats);
		printf("rebuild of a service of %u: %.2f us\n", instances,
		       (double)(stats.rebuild_ns - before) / 1000.0 / REBUILDS);
	}
	rng_seed(&b.rng, 7);
	rcu_begin();
	measure(&b, "A, default scope", "s.svc.test", RR_A);
	measure(&b, "A, full scope", "s.default.public.ns.test", RR_A);
	measure(&b, "AAAA (no data)", "s.svc.test", RR_AAAA);
	measure(&b, "absent name", "x.svc.test", RR_A);
	measure(&b, "SRV", "s.svc.test", RR_SRV);
	measure(&b, "SOA of the apex", "=test", RR_SOA);
	rcu_end();
	rcu_reaper_close(reaper, on_closed, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	zone_set_free(b.zones);
	rcu_thread_stop();
	return 0;
}

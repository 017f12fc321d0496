/* idle.c - the mode that sets connections up and holds them: what each costs the server in memory
 * and CPU. */
#include "clock.h"
#include "die.h"
#include "grpc_pool.h"
#include "mode.h"
#include "process.h"

#include <stdio.h>
#include <stdlib.h>

int run_idle(const struct mode *mode, const struct options *opt)
{
	struct loop loop;
	struct load load = { .opt = opt, .workers = opt->conns };
	struct grpc_pool pool;
	struct tally *t = must_alloc(1, sizeof(*t));
	uint64_t rss_before = process_rss_kb(opt->pid), begun = now_ns();
	loop_init(&loop);
	grpc_pool_init(&pool, &loop, &load, opt->conns, 1, "naming");
	if (!grpc_pool_start(&pool, PREPARE_SEC, t))
		fprintf(stderr, "nacosblast: %u of %u connections are up\n", pool.up, pool.n);
	double setup = (double)(now_ns() - begun) / (double)SEC;
	pool.last = pool.n;
	struct phase once = { .tally = t, .limit = opt->conns, .conn_limit = 1 };
	if (opt->services_given) {
		grpc_pool_run(&pool, GRPC_IDLE_REGISTER, once, 0, PREPARE_SEC, NULL);
		grpc_pool_run(&pool, GRPC_IDLE_SUBSCRIBE, once, 0, PREPARE_SEC, NULL);
	}
	loop.rests = true;
	loop_run_until(&loop, now_ns() + SEC, grpc_pool_tick, &pool);
	uint64_t rss_up = process_rss_kb(opt->pid), cpu = process_cpu_ns(opt->pid);
	uint64_t hold = (uint64_t)(opt->seconds * (double)SEC);
	loop_run_until(&loop, now_ns() + hold, grpc_pool_tick, &pool);
	cpu = process_cpu_since(opt->pid, cpu);
	uint64_t rss_held = process_rss_kb(opt->pid);
	double up = pool.up ? pool.up : 1;
	printf("mode=%s conns=%u up=%u closed=%llu setup_s=%.2f setups_per_s=%.0f hold_s=%.1f",
	       mode->name, opt->conns, pool.up, (unsigned long long)pool.closed, setup,
	       (double)pool.up / setup, opt->seconds);
	tally_print_errors(t);
	printf(" detections=%llu pushes=%llu conn_resets=%llu", (unsigned long long)pool.detections,
	       (unsigned long long)pool.pushes, (unsigned long long)pool.resets);
	if (opt->pid > 0 && rss_held > 0 && pool.up > 0)
		printf(" rss_before_kb=%llu rss_up_kb=%llu rss_held_kb=%llu bytes_per_conn=%.0f "
		       "cpu_us_per_conn_s=%.2f",
		       (unsigned long long)rss_before, (unsigned long long)rss_up,
		       (unsigned long long)rss_held,
		       ((double)rss_held - (double)rss_before) * 1024 / up,
		       (double)cpu / 1e3 / up / (opt->seconds > 0 ? opt->seconds : 1));
	printf("\n");
	int status = pool.up != opt->conns || tally_errors(t) > 0;
	grpc_pool_done(&pool);
	loop_done(&loop);
	free(t);
	return status;
}

/* closed_loop.c - the modes that keep requests in flight: prepare, measure, print, clean up. */
#include "clock.h"
#include "die.h"
#include "grpc_pool.h"
#include "http_pool.h"
#include "mode.h"
#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_result(const struct mode *mode, const struct options *opt, const struct tally *t,
			 const struct cost *cost)
{
	double seconds = (double)cost->elapsed_ns / (double)SEC;
	double ops = cost->ops ? (double)cost->ops : 1;
	printf("mode=%s conns=%u depth=%u services=%u instances=%u metadata=%u seconds=%.2f",
	       mode->name, opt->conns, opt->depth, opt->services, opt->instances, opt->metadata,
	       seconds);
	printf(" ops=%llu ops_per_s=%.0f", (unsigned long long)cost->ops,
	       seconds > 0 ? (double)cost->ops / seconds : 0);
	tally_print_errors(t);
	printf(" p50_us=%.0f p99_us=%.0f p999_us=%.0f max_us=%.0f",
	       (double)hist_at(&t->latency, 0.5) / 1e3, (double)hist_at(&t->latency, 0.99) / 1e3,
	       (double)hist_at(&t->latency, 0.999) / 1e3, (double)t->latency.max / 1e3);
	printf(" avg_bytes=%.0f avg_hosts=%.1f", t->ops ? (double)t->bytes / (double)t->ops : 0,
	       t->sampled ? (double)t->hosts / (double)t->sampled : 0);
	if (opt->pid > 0)
		printf(" cpu_us_per_op=%.2f rss_before_kb=%llu rss_kb=%llu",
		       (double)cost->cpu_ns / 1e3 / ops, (unsigned long long)cost->rss_before_kb,
		       (unsigned long long)cost->rss_kb);
	printf(" self_cpu_us_per_op=%.2f self_cpu_pct=%.0f\n",
	       (double)cost->self_cpu_ns / 1e3 / ops,
	       seconds > 0 ? (double)cost->self_cpu_ns * 100 / (double)cost->elapsed_ns : 0);
}

static bool is_config(const struct mode *mode)
{
	return strstr(mode->name, "-config-") != NULL;
}

int run_http(const struct mode *mode, const struct options *opt)
{
	struct loop loop;
	struct load load = { .opt = opt, .workers = opt->conns };
	struct http_pool pool;
	struct tally *t = must_alloc(1, sizeof(*t)), *side = must_alloc(1, sizeof(*side));
	struct cost cost = { .rss_before_kb = process_rss_kb(opt->pid) };
	uint64_t all = is_config(mode) ? opt->services : (uint64_t)opt->services * opt->instances;
	loop_init(&loop);
	http_pool_init(&pool, &loop, &load, opt->conns, opt->depth);
	if (mode->prepare >= 0) {
		http_pool_run(&pool, (enum http_op_name)mode->prepare, all, 0, PREPARE_SEC, side,
			      NULL);
		check_prepared(side, all);
		loop_run_until(&loop, now_ns() + SEC, NULL, NULL); /* lists may lag */
	}
	http_pool_run(&pool, (enum http_op_name)mode->measured, opt->ops, opt->warmup, opt->seconds,
		      t, &cost);
	uint64_t begun = mode->prepare >= 0 || pool.phase.next > all ? all : pool.phase.next;
	print_result(mode, opt, t, &cost);
	fflush(stdout);
	if (mode->cleanup >= 0 && !opt->keep && t->ops + side->ops > 0) {
		memset(side, 0, sizeof(*side));
		http_pool_run(&pool, (enum http_op_name)mode->cleanup, begun, 0, PREPARE_SEC, side,
			      NULL);
	}
	int status = t->ops == 0 || tally_errors(t) > 0;
	http_pool_done(&pool);
	loop_done(&loop);
	free(t);
	free(side);
	return status;
}

int run_grpc(const struct mode *mode, const struct options *opt)
{
	struct loop loop;
	struct load load = { .opt = opt, .workers = opt->conns };
	struct grpc_pool pool;
	struct tally *t = must_alloc(1, sizeof(*t)), *side = must_alloc(1, sizeof(*side));
	struct cost cost = { .rss_before_kb = process_rss_kb(opt->pid) };
	bool publishers = mode->prepare == GRPC_PUBLISH;
	uint64_t all = is_config(mode) ? opt->services : (uint64_t)opt->services * opt->instances;
	loop_init(&loop);
	grpc_pool_init(&pool, &loop, &load, opt->conns + (publishers ? opt->instances : 0),
		       opt->depth, is_config(mode) ? "config" : "naming");
	if (!grpc_pool_start(&pool, 30, side))
		die("%u of %u gRPC connections are up after the handshake", pool.up, pool.n);
	if (mode->prepare >= 0) {
		struct phase prepare = { .tally = side,
					 .limit = all,
					 .conn_limit = publishers ? opt->services : 0 };
		pool.first = publishers ? opt->conns : 0;
		pool.last = pool.n;
		grpc_pool_run(&pool, (enum grpc_op_name)mode->prepare, prepare, 0, PREPARE_SEC,
			      NULL);
		check_prepared(side, all);
		loop_run_until(&loop, now_ns() + SEC, grpc_pool_tick, &pool); /* lists may lag */
	}
	pool.first = 0;
	pool.last = opt->conns;
	pool.reopen = true;
	grpc_pool_run(&pool, (enum grpc_op_name)mode->measured,
		      (struct phase){ .tally = t, .limit = opt->ops }, opt->warmup, opt->seconds,
		      &cost);
	print_result(mode, opt, t, &cost);
	fflush(stdout);
	if (mode->cleanup >= 0 && !opt->keep) {
		memset(side, 0, sizeof(*side));
		grpc_pool_run(&pool, (enum grpc_op_name)mode->cleanup,
			      (struct phase){ .tally = side, .limit = opt->services }, 0,
			      PREPARE_SEC, NULL);
	}
	int status = t->ops == 0 || tally_errors(t) > 0;
	grpc_pool_done(&pool);
	loop_done(&loop);
	free(t);
	free(side);
	return status;
}

/* grpc_push.c - the push mode over gRPC: subscribers and publishers are connections of one pool. */
#include "clock.h"
#include "die.h"
#include "grpc_pool.h"
#include "mode.h"
#include "process.h"
#include "push_watch.h"

#include <stdlib.h>

static void on_grpc_notify(void *arg, unsigned conn, const struct payload *m)
{
	struct push_watch *w = arg;
	if (conn < w->subscribers)
		push_watch_take(w, conn, m->body, m->body_len);
}

int run_grpc_push(const struct mode *mode, const struct options *opt)
{
	struct loop loop;
	struct load load = { .opt = opt, .workers = opt->conns };
	struct grpc_pool pool;
	struct push_watch watch;
	struct tally *t = must_alloc(1, sizeof(*t));
	uint64_t rss_before = process_rss_kb(opt->pid);
	loop_init(&loop);
	push_watch_init(&watch, &loop, opt);
	grpc_pool_init(&pool, &loop, &load, opt->conns + opt->instances, 1, "naming");
	pool.on_notify = on_grpc_notify;
	pool.notify_arg = &watch;
	pool.answers_later = true;
	if (!grpc_pool_start(&pool, PREPARE_SEC, t))
		die("%u of %u gRPC connections are up after the handshake", pool.up, pool.n);
	pool.first = opt->conns;
	pool.last = pool.n;
	struct phase once = { .tally = t, .limit = opt->instances, .conn_limit = 1 };
	grpc_pool_run(&pool, GRPC_PUSH_PUBLISH, once, 0, PREPARE_SEC, NULL);
	loop_run_until(&loop, now_ns() + SEC, grpc_pool_tick, &pool);
	pool.first = 0;
	pool.last = opt->conns;
	once.limit = opt->conns;
	grpc_pool_run(&pool, GRPC_PUSH_SUBSCRIBE, once, 0, PREPARE_SEC, NULL);
	loop_run_until(&loop, now_ns() + 2 * SEC, grpc_pool_tick, &pool); /* the first pushes */
	watch.counting = true;
	uint64_t cpu = process_cpu_ns(opt->pid);
	pool.first = opt->conns;
	pool.last = opt->conns + 1;
	once.limit = 1;
	for (load.change = 1; load.change <= opt->changes; load.change++) {
		watch.sent[load.change] = now_ns();
		grpc_pool_run(&pool, GRPC_PUSH_PUBLISH, once, 0, 10, NULL);
		watch.acked[load.change] = loop.now;
		loop.rests = true; /* not before: an acknowledgement that is seen late would flatter */
		loop_run_until(&loop, watch.sent[load.change] + opt->pause_ms * MS, grpc_pool_tick,
			       &pool);
		loop.rests = false;
	}
	push_settle(&watch, 10000, grpc_pool_tick, &pool);
	cpu = process_cpu_since(opt->pid, cpu);
	int status = push_watch_print(&watch, mode, opt, t, cpu, rss_before);
	grpc_pool_done(&pool);
	push_watch_done(&watch);
	loop_done(&loop);
	free(t);
	return status;
}

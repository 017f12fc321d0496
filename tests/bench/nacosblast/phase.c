/* phase.c - see phase.h. */
#include "phase.h"
#include "clock.h"
#include "die.h"
#include "process.h"

#include <stdio.h>
#include <unistd.h>

enum {
	DRAIN_MS = 3000, /* how long answers are awaited once a phase has ended */
};

bool phase_take(struct phase *ph, uint64_t *conn_next, uint64_t *op)
{
	if (!ph->open || (ph->limit && ph->next >= ph->limit) ||
	    (ph->conn_limit && *conn_next >= ph->conn_limit))
		return false;
	*op = ph->next++;
	(*conn_next)++;
	ph->in_flight++;
	return true;
}

struct meter {
	uint64_t start, cpu, self;
};

static void meter_start(struct meter *m, const struct options *opt)
{
	m->cpu = process_cpu_ns(opt->pid);
	m->self = process_cpu_ns(getpid());
	m->start = now_ns();
}

static void meter_stop(const struct meter *m, const struct options *opt, const struct tally *t,
		       struct cost *cost)
{
	cost->elapsed_ns = now_ns() - m->start;
	cost->cpu_ns = process_cpu_since(opt->pid, m->cpu);
	cost->self_cpu_ns = process_cpu_ns(getpid()) - m->self;
	cost->ops = t->ops;
	cost->rss_kb = process_rss_kb(opt->pid);
}

void phase_drive(struct phase *ph, struct loop *loop, const struct options *opt, double warmup,
		 double seconds, void (*tick)(void *), void *arg, struct cost *cost)
{
	struct meter meter;
	meter_start(&meter, opt);
	uint64_t warm = warmup > 0 ? meter.start + (uint64_t)(warmup * (double)SEC) : 0;
	uint64_t end = (warm ? warm : meter.start) + (uint64_t)(seconds * (double)SEC);
	for (;;) {
		loop_turn(loop, 5);
		if (tick)
			tick(arg);
		if (warm && loop->now >= warm) {
			warm = 0;
			tally_restart(ph->tally);
			meter_start(&meter, opt);
			end = meter.start + (uint64_t)(seconds * (double)SEC);
		}
		bool all_begun = ph->limit && ph->next >= ph->limit;
		if (ph->open && (loop->now >= end || (all_begun && ph->in_flight == 0))) {
			ph->open = false;
			if (cost)
				meter_stop(&meter, opt, ph->tally, cost);
		}
		if (!ph->open && (ph->in_flight == 0 || loop->now >= end + DRAIN_MS * MS))
			break;
	}
	if (ph->in_flight > 0) {
		char what[64];
		int n = snprintf(what, sizeof(what), "%llu requests",
				 (unsigned long long)ph->in_flight);
		tally_error(ph->tally, ERR_TIMEOUT, "unanswered at the end", what, (size_t)n);
		ph->tally->errors[ERR_TIMEOUT] += ph->in_flight - 1;
	}
}

void check_prepared(const struct tally *t, uint64_t wanted)
{
	if (t->ops == 0)
		die("the preparation failed: none of %llu operations succeeded",
		    (unsigned long long)wanted);
	if (t->ops < wanted)
		fprintf(stderr, "nacosblast: preparation: %llu of %llu operations succeeded\n",
			(unsigned long long)t->ops, (unsigned long long)wanted);
}

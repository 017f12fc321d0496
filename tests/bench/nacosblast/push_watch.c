/* push_watch.c - see push_watch.h. */
#include "push_watch.h"
#include "clock.h"
#include "die.h"
#include "process.h"
#include "text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void push_watch_init(struct push_watch *w, struct loop *loop, const struct options *opt)
{
	*w = (struct push_watch){ .loop = loop,
				  .subscribers = opt->conns,
				  .changes = opt->changes,
				  .instances = opt->instances };
	w->seen = must_alloc(opt->conns, sizeof(uint64_t));
	w->arrived = must_alloc((size_t)(opt->changes + 1) * opt->conns, sizeof(uint64_t));
	w->sent = must_alloc(opt->changes + 1, sizeof(uint64_t));
	w->acked = must_alloc(opt->changes + 1, sizeof(uint64_t));
}

void push_watch_done(struct push_watch *w)
{
	free(w->seen);
	free(w->arrived);
	free(w->sent);
	free(w->acked);
	buf_done(&w->known);
}

/* The number of the change that a list of hosts shows. The instance that changes carries it twice,
 * as metadata `seq` and as weight - 1: r-nacos keeps the first metadata of an instance for ever. */
static uint64_t push_sequence(const char *text, size_t len)
{
	const char *end = text + len, *at = text_after(text, len, "\"seq\"");
	uint64_t seq = 0;
	while (at != NULL && at < end && !isdigit((unsigned char)*at) && *at != '}')
		at++;
	for (; at != NULL && at < end && isdigit((unsigned char)*at); at++)
		seq = seq * 10 + (uint64_t)(*at - '0');
	for (at = text; (at = text_after(at, (size_t)(end - at), "\"weight\"")) != NULL;) {
		long weight = json_number(at - 8, (size_t)(end - at + 8), "\"weight\"", 1);
		if (weight > 1 && (uint64_t)weight - 1 > seq)
			seq = (uint64_t)weight - 1;
	}
	return seq;
}

/* w->verdict becomes that of @text. What is before the ServiceInfo differs from subscriber to subscriber. */
static void push_judge(struct push_watch *w, const char *text, size_t len)
{
	const char *list = text_after(text, len, "\"serviceInfo\"");
	if (list == NULL)
		list = text;
	size_t list_len = (size_t)(text + len - list);
	if (list_len == buf_left(&w->known) && memcmp(list, buf_head(&w->known), list_len) == 0)
		return;
	buf_clear(&w->known);
	buf_put(&w->known, list, list_len);
	w->verdict = (struct push_verdict){ .empty = !hosts_present(list, list_len) };
	if (w->verdict.empty)
		return;
	w->verdict.partial = text_count(list, list_len, "\"ip\":") < w->instances;
	w->verdict.sequence = push_sequence(list, list_len);
}

void push_watch_take(struct push_watch *w, unsigned subscriber, const char *text, size_t len)
{
	if (!w->counting)
		return;
	const struct push_verdict *v = &w->verdict;
	w->pushes++;
	w->bytes += len;
	push_judge(w, text, len);
	w->empty += v->empty;
	w->partial += v->partial;
	for (uint64_t k = w->seen[subscriber] + 1; k <= v->sequence && k <= w->changes; k++) {
		w->arrived[k * w->subscribers + subscriber] = w->loop->woke;
		w->seen[subscriber] = k;
	}
}

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* Prints NAME_p50_us and kin: over all pairs of change and subscriber, and of each change's last
 * one.
 * @from: by change, the moments that count as zero. */
static void push_watch_print_from(const struct push_watch *w, const char *name,
				  const uint64_t *from)
{
	size_t pairs = 0, lasts = 0;
	int64_t *pair = must_alloc((size_t)w->changes * w->subscribers, sizeof(*pair));
	int64_t *last = must_alloc(w->changes, sizeof(*last));
	for (unsigned k = 1; k <= w->changes; k++) {
		int64_t latest = INT64_MIN;
		for (unsigned s = 0; s < w->subscribers; s++) {
			uint64_t arrived = w->arrived[(size_t)k * w->subscribers + s];
			if (arrived == 0 || from[k] == 0)
				continue;
			int64_t took = (int64_t)(arrived - from[k]);
			pair[pairs++] = took;
			latest = took > latest ? took : latest;
		}
		if (latest != INT64_MIN)
			last[lasts++] = latest;
	}
	if (pairs > 0) {
		qsort(pair, pairs, sizeof(*pair), compare_times);
		qsort(last, lasts, sizeof(*last), compare_times);
		printf(" %s_p50_us=%lld %s_p99_us=%lld %s_last_p50_us=%lld %s_last_max_us=%lld",
		       name, (long long)pair[pairs / 2] / 1000, name,
		       (long long)pair[pairs * 99 / 100] / 1000, name,
		       (long long)last[lasts / 2] / 1000, name, (long long)last[lasts - 1] / 1000);
	}
	free(pair);
	free(last);
}

static uint64_t push_watch_missing(const struct push_watch *w)
{
	uint64_t missing = 0;
	for (unsigned s = 0; s < w->subscribers; s++)
		missing += w->changes - w->seen[s];
	return missing;
}

/* With -v: a line for each change on stderr. */
static void push_watch_print_changes(const struct push_watch *w)
{
	for (unsigned k = 1; k <= w->changes; k++) {
		uint64_t first = UINT64_MAX, last = 0;
		unsigned heard = 0;
		for (unsigned s = 0; s < w->subscribers; s++) {
			uint64_t at = w->arrived[(size_t)k * w->subscribers + s];
			heard += at > 0;
			first = at > 0 && at < first ? at : first;
			last = at > last ? at : last;
		}
		fprintf(stderr,
			"change %u: acknowledged after %.2f ms, heard by %u, first %.2f ms, last "
			"%.2f ms\n",
			k, (double)(int64_t)(w->acked[k] - w->sent[k]) / 1e6, heard,
			heard ? (double)(int64_t)(first - w->sent[k]) / 1e6 : 0,
			heard ? (double)(int64_t)(last - w->sent[k]) / 1e6 : 0);
	}
}

int push_watch_print(const struct push_watch *w, const struct mode *mode, const struct options *opt,
		     const struct tally *t, uint64_t cpu, uint64_t rss_before)
{
	uint64_t missing = push_watch_missing(w);
	if (opt->verbose)
		push_watch_print_changes(w);
	printf("mode=%s subscribers=%u instances=%u changes=%u pause_ms=%u", mode->name,
	       w->subscribers, w->instances, w->changes, opt->pause_ms);
	tally_print_errors(t);
	printf(" pushes=%llu missing=%llu empty=%llu partial=%llu unreadable=%llu avg_bytes=%.0f",
	       (unsigned long long)w->pushes, (unsigned long long)missing,
	       (unsigned long long)w->empty, (unsigned long long)w->partial,
	       (unsigned long long)w->unreadable,
	       w->pushes ? (double)w->bytes / (double)w->pushes : 0);
	push_watch_print_from(w, "ack", w->acked);
	push_watch_print_from(w, "sent", w->sent);
	if (opt->pid > 0 && w->pushes > 0)
		printf(" cpu_us_per_push=%.2f", (double)cpu / 1e3 / (double)w->pushes);
	if (opt->pid > 0)
		printf(" rss_before_kb=%llu rss_kb=%llu", (unsigned long long)rss_before,
		       (unsigned long long)process_rss_kb(opt->pid));
	printf("\n");
	return missing > 0 || w->empty > 0 || tally_errors(t) > 0;
}

void push_settle(struct push_watch *w, uint64_t ms, void (*tick)(void *), void *arg)
{
	uint64_t until = now_ns() + ms * MS;
	while (w->loop->now < until && push_watch_missing(w) > 0)
		loop_run_until(w->loop, w->loop->now + 5 * MS, tick, arg);
}

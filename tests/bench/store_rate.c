/* store_rate.c - how many commits a second the SQLite store makes with 64 single-write batches under
 * way, each a new instance key in one of 256 buckets as the registry makes them, and how fast it
 * loads them again. Usage: store-rate DIR [COMMITS] */
#include "base/clock.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { INFLIGHT = 64 };

struct bench {
	struct store *store;
	unsigned sent, answered, wanted, rows;
	uint64_t started_ns;
};

static double seconds_since(uint64_t ns)
{
	return (double)(clock_ns() - ns) / 1e9;
}

static void commit_one(struct bench *b);

static void on_closed(void *arg)
{
	(void)arg;
}

static void on_reply(void *arg, const struct store_reply *reply)
{
	struct bench *b = arg;
	if (reply->code != E_OK) {
		fprintf(stderr, "%s\n", reply->error->text);
		exit(1);
	}
	if (b->sent < b->wanted)
		commit_one(b);
	if (++b->answered < b->wanted)
		return;
	struct store_stats stats;
	struct rusage usage;
	store_stats(b->store, &stats);
	getrusage(RUSAGE_SELF, &usage);
	double elapsed = seconds_since(b->started_ns);
	double cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
		     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("%u commits in %.2f s: %.0f a second, %.1f a transaction, %.1f us of CPU each\n",
	       b->answered, elapsed, b->answered / elapsed,
	       (double)stats.commits / (double)stats.transactions, cpu * 1e6 / b->answered);
	store_close(b->store, on_closed, b);
}

static void commit_one(struct bench *b)
{
	char key[120], value[260];
	unsigned i = b->sent++, service = i / 10;
	snprintf(key, sizeof(key), "/muster/1/i/%02x/public/DEFAULT_GROUP/service-%06u/DEFAULT/10.1.2.%u/8080",
		 service * 2654435761u >> 24, service, i % 10);
	int len = snprintf(value, sizeof(value),
			   "{\"v\":1,\"kind\":0,\"weight\":1.0,\"enabled\":true,\"healthy\":true,"
			   "\"metadata\":{\"version\":\"1.%u\",\"zone\":\"z%u\"},\"registered_ms\":%u}",
			   i, i % 3, i);
	struct store_op op = { key, value, (size_t)len };
	struct store_batch batch = { .ops = &op, .op_count = 1 };
	store_commit(b->store, &batch, on_reply, b, NULL);
}

static void on_entry(void *arg, const struct store_entry *e)
{
	(void)e;
	((struct bench *)arg)->rows++;
}

static void on_loaded(void *arg, int64_t number)
{
	struct bench *b = arg;
	(void)number;
	double elapsed = seconds_since(b->started_ns);
	printf("%u rows loaded in %.3f s: %.0f a second\n", b->rows, elapsed, b->rows / elapsed);
	b->started_ns = clock_ns();
	for (int i = 0; i < INFLIGHT && b->wanted > 0; i++)
		commit_one(b);
	if (b->wanted == 0)
		store_close(b->store, on_closed, b);
}

static int run(const char *dir, unsigned commits)
{
	struct bench b = { .wanted = commits, .started_ns = clock_ns() };
	struct store_conf conf = { .url = "sqlite:", .data_dir = dir };
	struct store_feed feed = { .load_entry = on_entry, .load_end = on_loaded, .arg = &b };
	struct error err;
	uv_loop_t loop;
	uv_loop_init(&loop);
	if (store_open(&b.store, &loop, &conf, &feed, &err) != E_OK) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: store-rate DIR [COMMITS]\n");
		return 2;
	}
	unsigned commits = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100000;
	int rc = run(argv[1], commits < INFLIGHT ? INFLIGHT : commits);
	return rc != 0 ? rc : run(argv[1], 0);
}

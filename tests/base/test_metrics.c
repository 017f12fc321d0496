/* test_metrics.c - counters of many threads and the text they make. */
#include "base/metrics.h"
#include "base/text.h"
#include "tests/base/unit.h"
#include <pthread.h>

static void *count_a_lot(void *arg)
{
	unsigned cell = *(unsigned *)arg;
	metrics_thread_start();
	for (int i = 0; i < 10000; i++)
		metrics_add(cell, 2);
	metrics_thread_stop();
	return NULL;
}

static void counts_of_all_threads_are_summed_and_kept(void **state)
{
	pthread_t threads[3];
	(void)state;
	unsigned cell = metrics_counter("test_sum_total", "A sum.", NULL);
	metrics_add(cell, 1); /* this thread has no cells of its own */
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, count_a_lot, &cell);
	assert_true(metrics_value(cell) >= 1);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metrics_value(cell), 60001);
	metrics_thread_start();
	metrics_add(cell, 1);
	assert_int_equal(metrics_value(cell), 60002);
	metrics_thread_stop();
	assert_int_equal(metrics_value(cell), 60002);
}

static double seven(void *arg)
{
	return 7.5 + *(int *)arg;
}

static void expect_lines(const char *expected)
{
	struct text t;
	text_init(&t);
	metrics_print(&t);
	if (strstr(t.at, expected) == NULL)
		fail_msg("not in the text: %s\n%s", expected, t.at);
	text_done(&t);
}

static void a_family_has_its_help_and_type_once(void **state)
{
	(void)state;
	unsigned a = metrics_counter("test_queries_total", "Queries\\answered\nby type.", "type=\"A\"");
	unsigned g = metrics_gauge("test_size_bytes", "Size.", NULL);
	unsigned b = metrics_counter("test_queries_total", "Other help.", "type=\"AAAA\"");
	assert_int_equal(metrics_counter("test_queries_total", "", "type=\"A\""), a);
	metrics_add(a, 3);
	metrics_add(b, 4);
	metrics_set(g, 1.5);
	expect_lines("# HELP muster_test_queries_total Queries\\\\answered\\nby type.\n"
		     "# TYPE muster_test_queries_total counter\n"
		     "muster_test_queries_total{type=\"A\"} 3\n"
		     "muster_test_queries_total{type=\"AAAA\"} 4\n"
		     "# HELP muster_test_size_bytes Size.\n"
		     "# TYPE muster_test_size_bytes gauge\n"
		     "muster_test_size_bytes 1.5\n");
	metrics_set(g, 10);
	metrics_add(g, (uint64_t)-3); /* a gauge may be counted down */
	expect_lines("muster_test_size_bytes 7\n");
}

static void a_read_metric_asks_when_it_is_printed(void **state)
{
	static int more = 1;
	(void)state;
	metrics_read("test_read", "Read.", "a=\"b\"", false, seven, &more);
	expect_lines("# TYPE muster_test_read gauge\nmuster_test_read{a=\"b\"} 8.5\n");
	more = 3;
	expect_lines("muster_test_read{a=\"b\"} 10.5\n");
}

static void a_histogram_counts_up_to_each_bound(void **state)
{
	(void)state;
	unsigned h = metrics_histogram("test_seconds", "Durations.", "op=\"x\"");
	metrics_observe(h, 0.0001);
	metrics_observe(h, 0.002);
	metrics_observe(h, 0.75);
	metrics_observe(h, 60);
	expect_lines("muster_test_seconds_bucket{op=\"x\",le=\"0.0001\"} 1\n"
		     "muster_test_seconds_bucket{op=\"x\",le=\"0.00025\"} 1\n"
		     "muster_test_seconds_bucket{op=\"x\",le=\"0.0005\"} 1\n"
		     "muster_test_seconds_bucket{op=\"x\",le=\"0.001\"} 1\n"
		     "muster_test_seconds_bucket{op=\"x\",le=\"0.0025\"} 2\n");
	expect_lines("muster_test_seconds_bucket{op=\"x\",le=\"10\"} 3\n"
		     "muster_test_seconds_bucket{op=\"x\",le=\"+Inf\"} 4\n"
		     "muster_test_seconds_sum{op=\"x\"} 60.7521\n"
		     "muster_test_seconds_count{op=\"x\"} 4\n");
}

static void too_many_metrics_share_a_spare_cell(void **state)
{
	unsigned last = 0;
	(void)state;
	for (int i = 0; i < METRICS_MAX + 10; i++) {
		char labels[32];
		snprintf(labels, sizeof(labels), "n=\"%d\"", i);
		last = metrics_counter("test_many_total", "Many.", labels);
	}
	metrics_add(last, 1); /* harmless */
	metrics_observe(metrics_histogram("test_late_seconds", "Late.", NULL), 1);
	metrics_add(METRICS_MAX, 1);
	metrics_set(METRICS_MAX, 1);
	assert_int_equal(metrics_value(METRICS_MAX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_of_all_threads_are_summed_and_kept),
		cmocka_unit_test(a_family_has_its_help_and_type_once),
		cmocka_unit_test(a_read_metric_asks_when_it_is_printed),
		cmocka_unit_test(a_histogram_counts_up_to_each_bound),
		cmocka_unit_test(too_many_metrics_share_a_spare_cell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

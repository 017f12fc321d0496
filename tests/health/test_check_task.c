/* test_check_task.c - rise, fall, adaptive delays (nacos-naming 7.3), the schedule's rate, and the bytes of HTTP
 * probes: no sockets. */
#include "base/mem.h"
#include "health/probe.h"
#include "health/probe_schedule.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct check_params tcp = { 5000, 1000, 0.75 }, http = { 5000, 500, 0.85 }, mysql = { 3000, 2000, 0.65 };

/* Outcomes one after the other: o ok, f failure, n now, v void; and where the health flips: u up, d down, '.'. */
static void verdicts_follow_rise_and_fall(void **state)
{
	static const struct {
		bool healthy;
		unsigned times;
		const char *outcomes, *flips;
	} rows[] = {
		{ true, 3, "fff", "..d" },
		{ true, 3, "ffoff", "....." },
		{ true, 3, "ffofff", ".....d" },
		{ true, 3, "n", "d" },
		{ true, 3, "fn", ".d" },
		{ true, 3, "fvfvf", "....d" },
		{ true, 3, "vvvvv", "....." },
		{ false, 3, "ooo", "..u" },
		{ false, 3, "oofoo", "....." },
		{ false, 3, "oonoo", "....." },
		{ false, 3, "oonooo", ".....u" },
		{ false, 3, "ovovo", "....u" },
		{ false, 3, "nfn", "..." },
		{ true, 1, "fofo", "dudu" },
		{ true, 3, "nooofff", "d..u..d" },
		{ true, 5, "fffff", "....d" },
	};
	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct check_state s = { .healthy = rows[r].healthy, .delay_ms = 1000 };
		for (size_t i = 0; rows[r].outcomes[i] != '\0'; i++) {
			enum probe_outcome o = (enum probe_outcome)(strchr("ofnv", rows[r].outcomes[i]) - "ofnv");
			char got = ".ud"[check_result(&s, o, rows[r].times)];
			if (got != rows[r].flips[i])
				fail_msg("row %zu step %zu: %c, expected %c", r, i, got, rows[r].flips[i]);
		}
	}
}

static void delays_adapt_and_stay_in_bounds(void **state)
{
	static const struct {
		const struct check_params *params;
		int32_t delay_ms;
		enum probe_outcome outcome;
		uint32_t rt_ms;
		int32_t expected_ms;
	} rows[] = {
		{ &tcp, 2000, PROBE_OK, 100, 1525 },
		{ &tcp, 1100, PROBE_OK, 1, 1000 },	   /* not below min */
		{ &tcp, 2000, PROBE_FAIL, 500, 2500 },	   /* rt = normalized x 2 */
		{ &tcp, 4800, PROBE_FAIL, 500, 5000 },	   /* not above max */
		{ &tcp, 2000, PROBE_FAIL_NOW, 0, 2750 },   /* rt = max */
		{ &tcp, 2000, PROBE_VOID, 900, 2000 },
		{ &tcp, 7000, PROBE_OK, 0, 5000 },	   /* the first delay may be above max */
		{ &http, 2000, PROBE_OK, 20, 1703 },
		{ &http, 500, PROBE_OK, 1, 500 },
		{ &mysql, 2000, PROBE_OK, 1, 2000 },
		{ &mysql, 3000, PROBE_OK, 10, 2000 },
		{ &mysql, 2000, PROBE_FAIL_NOW, 1, 2350 },
	};
	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct check_state s = { .delay_ms = rows[r].delay_ms };
		struct probe_result result = { .outcome = rows[r].outcome, .rt_ms = rows[r].rt_ms };
		check_adapt(&s, rows[r].params, &result);
		if (s.delay_ms != rows[r].expected_ms)
			fail_msg("row %zu: %d, expected %d", r, s.delay_ms, rows[r].expected_ms);
	}
}

static void a_check_still_running_when_due_waits_twice_as_long(void **state)
{
	struct check_state s = { .delay_ms = 2000 };
	(void)state;
	check_overrun(&s, &tcp);
	assert_int_equal(s.delay_ms, 4000);
	check_overrun(&s, &tcp);
	assert_int_equal(s.delay_ms, 5000);
}

static void first_runs_are_soon_for_one_and_spread_for_many(void **state)
{
	struct rng rng;
	(void)state;
	rng_seed(&rng, 1);
	int32_t least = INT32_MAX, most = 0;
	for (int n = 0; n < 10000; n++) {
		struct check_state s = { 0 };
		assert_in_range(check_first_delay(&s, &tcp, false, &rng), 0, 500);
		assert_int_equal(s.delay_ms, 2000);
		int32_t delay = check_first_delay(&s, &tcp, true, &rng);
		assert_int_equal(delay, s.delay_ms);
		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
	}
	assert_in_range(least, 2000, 2010);
	assert_in_range(most, 6990, 7000);
}

static void jitter_stays_within_a_twentieth(void **state)
{
	struct rng rng;
	struct check_state s = { .delay_ms = 1000 };
	int32_t most = 0;
	(void)state;
	rng_seed(&rng, 2);
	for (int n = 0; n < 1000; n++) {
		int32_t delay = check_next_delay(&s, &rng);
		assert_in_range(delay, 1000, 1050);
		most = delay > most ? delay : most;
	}
	assert_true(most > 1030);
}

/* 10,000 tasks that want to run every second at 1,000 probes a second: ten times as long. */
static void above_the_rate_intervals_stretch_and_the_measure_says_so(void **state)
{
	enum { TASKS = 10000, RATE = 1000 };
	struct probe_schedule s;
	struct check_task *tasks = mem_zalloc(TASKS, sizeof(*tasks));
	unsigned started = 0;
	(void)state;
	assert_int_equal(schedule_init(&s, RATE, 0, NULL), E_OK);
	for (unsigned k = 0; k < TASKS; k++) {
		tasks[k].state.delay_ms = 1000;
		tasks[k].node.due_ms = 0;
		schedule_queue(&s, &tasks[k]);
	}
	for (int64_t ms = 10; ms <= 30000; ms += 10) {
		struct check_task *t;
		while ((t = schedule_take(&s, ms, (uint64_t)ms * 1000000)) != NULL) {
			started++;
			t->node.due_ms = ms + 1000; /* it would be due then, and waits from then on */
			schedule_queue(&s, t);
		}
	}
	assert_in_range(started, 30 * RATE - 150, 30 * RATE + 150);
	assert_true(s.stretch > 9 && s.stretch < 11);
	for (unsigned k = 0; k < TASKS; k++)
		schedule_remove(&s, &tasks[k]);
	assert_int_equal(s.ready_count, 0);
	schedule_done(&s);
	mem_free(tasks);
}

static void status_lines_are_read_strictly(void **state)
{
	static const struct {
		const char *line;
		int status;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\n", 200 }, { "HTTP/1.0 503 \r\n", 503 },
		{ "HTTP/1.1 404\r\n", 404 },	{ "HTTP/1.1 302\n", 302 },
		{ "HTTP/2.0 999 x", 999 },	{ "HTTP/1.1 2000 OK", -1 },
		{ "HTTP/1.1 099 OK\r\n", -1 },	{ "HTTP/1.1 20 OK\r\n", -1 },
		{ "HTTP/1.1  200 OK", -1 },	{ "http/1.1 200 OK", -1 },
		{ "ICY 200 OK\r\n", -1 },	{ "\r\nHTTP/1.1 200 OK", -1 },
		{ "HTTP/1.1", 0 },		{ "", 0 },
		{ "HTTP/1.1 200", 0 },		{ "H", 0 },
		{ "X", -1 },			{ "HTTP/x", -1 },
	};
	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		size_t len = strlen(rows[r].line);
		char *exact = mem_alloc(len + 1); /* so that ASan sees one byte too many */
		memcpy(exact + 1, rows[r].line, len);
		if (http_status(exact + 1, len) != rows[r].status)
			fail_msg("%s: %d", rows[r].line, http_status(exact + 1, len));
		for (size_t cut = 0; cut < len; cut++)
			if (rows[r].status > 0 && http_status(exact + 1, cut) != 0)
				assert_int_equal(http_status(exact + 1, cut), rows[r].status);
		mem_free(exact);
	}
}

static void requests_cannot_be_broken_by_their_settings(void **state)
{
	static const struct {
		const char *path, *expected;
	} paths[] = {
		{ "", "GET / HTTP/1.1\r\nHost: " },
		{ "/", "GET / HTTP/1.1\r\nHost: " },
		{ "health", "GET /health HTTP/1.1\r\nHost: " },
		{ "?a=b", "GET /?a=b HTTP/1.1\r\nHost: " },
		{ "/a b\r\nX: y", "GET /a%20b%0D%0AX:%20y HTTP/1.1\r\nHost: " },
		{ "/a#part", "GET /a HTTP/1.1\r\nHost: " },
		{ "http://elsewhere:1/x/y", "GET /x/y HTTP/1.1\r\nHost: " },
		{ "//elsewhere/x", "GET /x HTTP/1.1\r\nHost: " },
		{ "http://elsewhere", "GET / HTTP/1.1\r\nHost: " },
		{ "/go?to=http://x/", "GET /go?to=http://x/ HTTP/1.1\r\nHost: " },
		{ "/\xc3\xa4%41", "GET /%C3%A4%41 HTTP/1.1\r\nHost: " },
	};
	static const struct {
		const char *headers, *expected;
	} headers[] = {
		{ "", "" },
		{ "a:b", "a: b\r\n" },
		{ "a:b|c:d:e", "a: b\r\nc: d:e\r\n" },
		{ "||a:b|", "a: b\r\n" },
		{ "a:", "a: \r\n" },
		{ ":b|novalue|sp ace:x", "" },
		{ "Host:evil|HOST:evil|connection:keep-alive", "" },
		{ "a:b\r\nc:d|e:f", "e: f\r\n" },
	};
	struct text t;
	(void)state;
	text_init(&t);
	for (size_t r = 0; r < sizeof(paths) / sizeof(paths[0]); r++) {
		text_clear(&t);
		http_request_head(&t, paths[r].path);
		assert_string_equal(t.at, paths[r].expected);
	}
	for (size_t r = 0; r < sizeof(headers) / sizeof(headers[0]); r++) {
		text_clear(&t);
		http_request_tail(&t, headers[r].headers);
		size_t fixed = strlen("\r\nConnection: close\r\nUser-Agent: muster\r\nAccept: */*\r\n");
		t.at[t.len - 2] = '\0';
		assert_string_equal(t.at + fixed, headers[r].expected);
	}
	text_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts_follow_rise_and_fall),
		cmocka_unit_test(delays_adapt_and_stay_in_bounds),
		cmocka_unit_test(a_check_still_running_when_due_waits_twice_as_long),
		cmocka_unit_test(first_runs_are_soon_for_one_and_spread_for_many),
		cmocka_unit_test(jitter_stays_within_a_twentieth),
		cmocka_unit_test(above_the_rate_intervals_stretch_and_the_measure_says_so),
		cmocka_unit_test(status_lines_are_read_strictly),
		cmocka_unit_test(requests_cannot_be_broken_by_their_settings),
	};
	return cmocka_run_group_tests_name("check_task", tests, NULL, NULL);
}

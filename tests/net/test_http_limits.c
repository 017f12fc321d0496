/* test_http_limits.c - what is refused and cut off, every limit and time-out, and the stop. */
#include "tests/net/http_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST "Host: a\r\n"

static char *filled(char with, size_t len)
{
	char *text = malloc(len + 1);
	memset(text, with, len);
	text[len] = 0;
	return text;
}

static void bad_syntax_is_answered_400_in_words(void **state)
{
	static const struct {
		const char *request;
		int status;
	} cases[] = {
		{ "GARBAGE\r\n\r\n", 400 },
		{ "\x16\x03\x01\x02", 400 }, /* a TLS client */
		{ "GET / HTTP/1.1\r\nHost a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n\r\n", 400 }, /* no Host */
		{ "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" HOST "Foo : bar\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" HOST "Foo: bar\r\n more\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" HOST "Content-Length: x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\n" HOST
		  "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400 },
		{ "GET / HTTP/2.0\r\n" HOST "\r\n", 505 },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400 },
		{ "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 501 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fixture f = { 0 };
		struct client c;
		fixture_start(&f);
		client_open(&c, &f);
		client_say(&c, "GET /fine HTTP/1.1\r\n" HOST "\r\n");
		client_expect(&c, 200, "GET /fine? ");
		client_say(&c, cases[i].request);
		client_half_close(&c);
		client_expect_last(&c, cases[i].status, NULL);
		assert_int_equal(f.requests, 1);
		assert_int_equal(http_server_counts(f.server)->refused, 1);
		client_close(&c);
		fixture_stop(&f);
	}
}

static void a_refusal_waits_for_the_answers_before_it(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\nrubbish\r\n");
	fixture_until(&f, &f.held_count, 2);
	http_reply_text(f.held[1], 200, "b");
	http_reply_text(f.held[0], 200, "a");
	f.held_count = 0;
	client_expect(&c, 200, "a");
	client_expect(&c, 200, "b");
	struct answer a = client_answer(&c, false);
	assert_int_equal(a.status, 400);
	answer_done(&a);
	client_close(&c);
	fixture_stop(&f);
}

/* @total bytes of header, in one header or many; it must see 431 although it goes on sending. */
static void send_headers(size_t total, size_t each)
{
	struct fixture f = { 0 };
	struct client c;
	char *value = filled('x', each);
	char line[64];
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET / HTTP/1.1\r\n" HOST);
	for (size_t sent = 0; sent < total && !c.ended; sent += each) {
		snprintf(line, sizeof(line), "X-%zu: ", sent);
		client_say(&c, line);
		client_send(&c, value, each);
		client_say(&c, "\r\n");
	}
	client_half_close(&c);
	client_expect_last(&c, 431, NULL);
	assert_int_equal(f.requests, 0);
	free(value);
	client_close(&c);
	fixture_stop(&f);
}

static void a_head_of_a_megabyte_is_answered_431(void **state)
{
	(void)state;
	send_headers(1000000, 1000000);
	send_headers(1000000, 20000);
	send_headers(70000, 70000);
	send_headers(2000, 10); /* too many of them */
}

static void a_head_up_to_the_limit_is_served(void **state)
{
	struct fixture f = { .conf.head_max = 1000 };
	struct client c;
	char *value = filled('x', 999 - strlen("GET / HTTP/1.1\r\n" HOST "X: "));
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET / HTTP/1.1\r\n" HOST "X: ");
	client_say(&c, value);
	client_say(&c, "\r\n\r\n");
	client_expect(&c, 200, NULL);
	client_say(&c, "GET / HTTP/1.1\r\n" HOST "X: xx");
	client_say(&c, value);
	client_say(&c, "\r\n\r\n");
	client_expect_last(&c, 431, NULL);
	free(value);
	client_close(&c);
	fixture_stop(&f);
}

static void a_long_target_is_answered_414(void **state)
{
	struct fixture f = { .conf.url_max = 100 };
	struct client c;
	char *path = filled('x', 99);
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET /");
	client_say(&c, path);
	client_say(&c, " HTTP/1.1\r\n" HOST "\r\n");
	client_expect(&c, 200, NULL);
	client_say(&c, "GET /x");
	client_say(&c, path);
	client_say(&c, " HTTP/1.1\r\n" HOST "\r\n");
	client_expect_last(&c, 414, NULL);
	free(path);
	client_close(&c);
	fixture_stop(&f);
}

static void a_body_over_its_limit_is_answered_413(void **state)
{
	static const char *const requests[] = {
		"POST /x HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n",
		"POST /x HTTP/1.1\r\n" HOST "Content-Length: 4000000000000\r\n\r\nabc",
		"POST /none HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na",
		"POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n"
		"5\r\nghijk\r\n0\r\n\r\n",
		"POST /x HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 11\r\n\r\n",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		struct fixture f = { .body_limit = 10 };
		struct client c;
		fixture_start(&f);
		client_open(&c, &f);
		client_say(&c, "POST /x HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n0123456789");
		client_expect(&c, 200, "POST /x? 0123456789");
		client_say(&c, "GET /none HTTP/1.1\r\n" HOST "\r\n");
		client_expect(&c, 200, "GET /none? ");
		assert_int_equal(f.limit_asked, 1);
		client_say(&c, requests[i]);
		client_half_close(&c);
		client_expect_last(&c, 413, NULL);
		assert_int_equal(f.limit_asked, 2);
		client_close(&c);
		fixture_stop(&f);
	}
}

/* The last answer must arrive although unread bytes would make the kernel reset. */
static void a_refused_client_that_goes_on_sending_sees_the_answer(void **state)
{
	struct fixture f = { .body_limit = 10, .conf.linger_ms = 50 };
	struct client c;
	char *body = filled('x', 500000);
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "POST /x HTTP/1.1\r\n" HOST "Content-Length: 500000\r\n\r\n");
	client_send(&c, body, 500000);
	client_expect_last(&c, 413, NULL);
	unsigned one = 1;
	while (http_server_counts(f.server)->connections >= one) /* by linger_ms: we never close */
		fixture_turn(&f);
	free(body);
	client_close(&c);
	fixture_stop(&f);
}

static void an_idle_connection_is_closed(void **state)
{
	struct fixture f = { .conf.idle_ms = 30 };
	struct client c, fresh;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_open(&fresh, &f);
	client_say(&c, "GET / HTTP/1.1\r\n" HOST "\r\n");
	client_expect(&c, 200, NULL);
	client_until_end(&c);
	client_until_end(&fresh);
	assert_int_equal(c.len, c.seen);
	assert_int_equal(fresh.len, 0);
	assert_int_equal(http_server_counts(f.server)->timeouts, 2);
	client_close(&c);
	client_close(&fresh);
	fixture_stop(&f);
}

static void a_waiting_call_is_not_idle(void **state)
{
	struct fixture f = { .conf.idle_ms = 20, .mode = ANSWER_LATER };
	struct client c, other;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_open(&other, &f);
	client_say(&c, "GET / HTTP/1.1\r\n" HOST "\r\n");
	fixture_until(&f, &f.held_count, 1);
	client_until_end(&other); /* that long */
	http_reply_text(f.held[0], 200, "long poll");
	f.held_count = 0;
	client_expect(&c, 200, "long poll");
	client_close(&c);
	client_close(&other);
	fixture_stop(&f);
}

static void a_dripping_head_is_answered_408(void **state)
{
	struct fixture f = { .conf.head_ms = 40 };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET / HTTP/1.1\r\n" HOST);
	while (!c.ended && c.len == 0) { /* never silent, never done */
		client_say(&c, "X: y\r\n");
		fixture_turn(&f);
		client_read(&c);
		if (http_server_counts(f.server)->refused == 0 && c.len > 0)
			break;
	}
	client_half_close(&c);
	struct answer a = client_answer(&c, false);
	assert_true(a.status == 408 || a.status == 431);
	answer_done(&a);
	client_close(&c);
	fixture_stop(&f);
}

static void a_silent_head_is_answered_408(void **state)
{
	struct fixture f = { .conf.head_ms = 20, .conf.linger_ms = 20 };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET / HTTP/1.1\r\nX");
	client_expect_last(&c, 408, NULL);
	assert_int_equal(http_server_counts(f.server)->timeouts, 1);
	client_close(&c);
	fixture_stop(&f);
}

static void a_body_that_does_not_come_is_answered_408(void **state)
{
	struct fixture f = { .conf.body_ms = 20, .conf.linger_ms = 20 };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhell");
	client_expect_last(&c, 408, NULL);
	client_close(&c);
	fixture_stop(&f);
}

static void a_client_that_never_reads_is_cut_off_by_size(void **state)
{
	struct fixture f = { .mode = ANSWER_SHARED,
			     .shared_len = 600000,
			     .narrow = true,
			     .conf.out_max = 1000000 };
	struct client c;
	char *body = filled('x', 600000);
	(void)state;
	f.shared = body;
	fixture_start(&f);
	client_open(&c, &f);
	for (int i = 0; i < 30; i++)
		client_say(&c, "GET / HTTP/1.1\r\n" HOST "\r\n");
	while (http_server_counts(f.server)->connections > 0 || f.requests == 0)
		fixture_turn(&f);
	assert_int_equal(http_server_counts(f.server)->cut_off, 1);
	assert_int_equal(f.released, f.requests);
	client_close(&c);
	fixture_stop(&f);
	free(body);
}

static void a_client_that_never_reads_is_cut_off_by_time(void **state)
{
	struct fixture f = { .mode = ANSWER_SHARED,
			     .shared_len = 6000000,
			     .narrow = true,
			     .conf.write_ms = 30 };
	struct client c;
	char *body = filled('x', 6000000);
	(void)state;
	f.shared = body;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	fixture_until(&f, &f.released, 1);
	assert_int_equal(http_server_counts(f.server)->timeouts, 1);
	client_close(&c);
	fixture_stop(&f);
	free(body);
}

static void draining_answers_what_is_in_flight_and_closes(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER };
	struct client idle, waiting, half;
	struct fixture *fp = &f;
	(void)state;
	fixture_start(fp);
	client_open(&idle, fp);
	client_open(&waiting, fp);
	client_open(&half, fp);
	client_say(&waiting, "GET / HTTP/1.1\r\n" HOST "\r\n");
	client_say(&half, "GET / HT");
	fixture_until(fp, &f.held_count, 1);
	while (http_server_counts(f.server)->connections < 3 ||
	       http_server_counts(f.server)->calls < 2)
		fixture_turn(fp);
	http_server_drain(f.server, 60000, NULL, NULL);
	client_until_end(&idle);
	http_reply_text(f.held[0], 200, "last");
	client_expect_last(&waiting, 200, "last");
	client_say(&half, "TP/1.1\r\n" HOST "\r\n");
	fixture_until(fp, &f.held_count, 2);
	http_reply_text(f.held[1], 200, "late");
	f.held_count = 0;
	client_expect_last(&half, 200, "late");
	client_close(&idle);
	client_close(&waiting);
	client_close(&half);
	fixture_stop(fp);
}

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

static void draining_ends_when_the_last_connection_has_gone(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET / HTTP/1.1\r\n" HOST "\r\n");
	fixture_until(&f, &f.held_count, 1);
	http_server_drain(f.server, 30, set_true, &f.drained); /* never answered in time */
	assert_false(f.drained);
	fixture_until_true(&f, &f.drained);
	assert_int_equal(f.gone, 1);
	http_reply_text(f.held[0], 200, "too late");
	f.held_count = 0;
	client_close(&c);
	fixture_stop(&f);
}

static void draining_an_idle_server_ends_at_once(void **state)
{
	struct fixture f = { 0 };
	(void)state;
	fixture_start(&f);
	http_server_drain(f.server, 1000, set_true, &f.drained);
	assert_false(f.drained); /* never from within */
	fixture_until_true(&f, &f.drained);
	fixture_stop(&f);
}

static void closing_cuts_everything_off(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER };
	struct client c[3];
	(void)state;
	fixture_start(&f);
	for (int i = 0; i < 3; i++) {
		client_open(&c[i], &f);
		client_say(&c[i], "GET / HTTP/1.1\r\n" HOST "\r\nGET / HTTP");
	}
	fixture_until(&f, &f.held_count, 3);
	http_server_close(f.server, set_true, &f.closed);
	fixture_until(&f, &f.gone, 3);
	assert_false(f.closed); /* it waits for the answers */
	for (int i = 0; i < 3; i++) {
		http_reply_text(f.held[i], 200, "x");
		client_close(&c[i]);
	}
	fixture_until_true(&f, &f.closed);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

static void limits_that_cannot_be_are_refused(void **state)
{
	struct http_server_conf conf = { .head_max = 100000 };
	struct http_server *s = NULL;
	struct error err;
	uv_loop_t loop;
	(void)state;
	uv_loop_init(&loop);
	assert_int_equal(http_server_open(&s, &loop, &conf, &err), E_RANGE);
	conf = (struct http_server_conf){ .headers_max = 101 };
	assert_int_equal(http_server_open(&s, &loop, &conf, &err), E_RANGE);
	assert_null(s);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_syntax_is_answered_400_in_words),
		cmocka_unit_test(a_refusal_waits_for_the_answers_before_it),
		cmocka_unit_test(a_head_of_a_megabyte_is_answered_431),
		cmocka_unit_test(a_head_up_to_the_limit_is_served),
		cmocka_unit_test(a_long_target_is_answered_414),
		cmocka_unit_test(a_body_over_its_limit_is_answered_413),
		cmocka_unit_test(a_refused_client_that_goes_on_sending_sees_the_answer),
		cmocka_unit_test(an_idle_connection_is_closed),
		cmocka_unit_test(a_waiting_call_is_not_idle),
		cmocka_unit_test(a_dripping_head_is_answered_408),
		cmocka_unit_test(a_silent_head_is_answered_408),
		cmocka_unit_test(a_body_that_does_not_come_is_answered_408),
		cmocka_unit_test(a_client_that_never_reads_is_cut_off_by_size),
		cmocka_unit_test(a_client_that_never_reads_is_cut_off_by_time),
		cmocka_unit_test(draining_answers_what_is_in_flight_and_closes),
		cmocka_unit_test(draining_ends_when_the_last_connection_has_gone),
		cmocka_unit_test(draining_an_idle_server_ends_at_once),
		cmocka_unit_test(closing_cuts_everything_off),
		cmocka_unit_test(limits_that_cannot_be_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

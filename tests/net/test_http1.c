/* test_http1.c - requests in every shape and the order of answers. */
#include "base/mem.h"
#include "tests/net/http_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST "Host: a\r\n"

static void a_request_is_answered_and_the_connection_stays(void **state)
{
	struct fixture f = { 0 };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	for (int i = 0; i < 3; i++) {
		client_say(&c, "GET /a/b?c=d&e HTTP/1.1\r\n" HOST "\r\n");
		struct answer a = client_answer(&c, false);
		assert_int_equal(a.status, 200);
		assert_string_equal(a.body, "GET /a/b?c=d&e ");
		assert_non_null(strstr(a.head, "\r\nContent-Type: text/plain\r\n"));
		assert_non_null(strstr(a.head, "\r\nDate: "));
		assert_false(a.closes);
		answer_done(&a);
	}
	assert_int_equal(http_server_counts(f.server)->connections, 1);
	client_close(&c);
	fixture_stop(&f);
}

static void a_body_comes_with_its_length(void **state)
{
	struct fixture f = { 0 };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "POST /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
	client_expect(&c, 200, "POST /x? hello");
	client_say(&c, "PUT /x HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
	client_expect(&c, 200, "PUT /x? ");
	client_close(&c);
	fixture_stop(&f);
}

static void chunks_are_joined(void **state)
{
	static const char request[] = "POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
				      "3\r\nabc\r\n1;ext=1\r\nd\r\n5\r\nefghi\r\n0\r\nTrailer: t\r\n\r\n";
	struct fixture f = { 0 };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, request);
	client_expect(&c, 200, "POST /x? abcdefghi");
	for (size_t i = 0; i < sizeof(request) - 1; i++) { /* the same, in pieces of one byte */
		client_send(&c, request + i, 1);
		fixture_turn(&f);
	}
	client_expect(&c, 200, "POST /x? abcdefghi");
	client_say(&c, "GET /y HTTP/1.1\r\n" HOST "\r\n");
	client_expect(&c, 200, "GET /y? ");
	client_close(&c);
	fixture_stop(&f);
}

static void requests_in_one_write_are_answered_in_order(void **state)
{
	struct fixture f = { 0 };
	struct client c;
	char text[64];
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "\r\nGET /0 HTTP/1.1\r\n" HOST "\r\n"
		       "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"
		       "GET /2 HTTP/1.1\r\n" HOST "\r\n\r\nGET /3 HTTP/1.1\r\n" HOST "\r\n");
	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "%s /%d? %s", i == 1 ? "POST" : "GET", i,
			 i == 1 ? "hi" : "");
		client_expect(&c, 200, text);
	}
	client_close(&c);
	fixture_stop(&f);
}

/* More than pipeline_max, and more than one read buffer holds. */
static void a_long_pipeline_is_answered_wholly(void **state)
{
	enum { COUNT = 5000 };
	struct fixture f = { .conf.pipeline_max = 3 };
	struct client c;
	char text[64];
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	for (int i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), "GET /%d HTTP/1.1\r\n" HOST "\r\n", i);
		client_say(&c, text);
	}
	for (int i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), "GET /%d? ", i);
		client_expect(&c, 200, text);
	}
	client_close(&c);
	fixture_stop(&f);
}

static void late_answers_leave_in_the_order_of_the_requests(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER, .keep = true };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET /0 HTTP/1.1\r\n" HOST "X-Y:  z \r\n\r\nPOST /1?q HTTP/1.1\r\n" HOST
		       "Content-Length: 2\r\n\r\nhi"
		       "GET /2 HTTP/1.1\r\n" HOST "\r\n");
	fixture_until(&f, &f.held_count, 3);
	/* kept: all of it is still there */
	struct slice xy = http_call_header(f.held[0], "x-y");
	assert_int_equal(xy.len, 1);
	assert_memory_equal(xy.at, "z", 1);
	assert_null(http_call_header(f.held[1], "x-y").at);
	assert_memory_equal(f.held[1]->path.at, "/1", 2);
	assert_memory_equal(f.held[1]->query.at, "q", 1);
	assert_int_equal(f.held[1]->body.len, 2);
	assert_memory_equal(f.held[1]->body.at, "hi", 2);
	assert_int_equal(f.held[1]->listener_tag, 7);
	http_reply_text(f.held[2], 200, "third");
	http_reply_text(f.held[1], 201, "second");
	fixture_turn(&f);
	client_read(&c);
	assert_int_equal(c.len, 0);
	http_reply_text(f.held[0], 200, "first");
	client_expect(&c, 200, "first");
	client_expect(&c, 201, "second");
	client_expect(&c, 200, "third");
	f.held_count = 0;
	client_close(&c);
	fixture_stop(&f);
}

static void unanswered_requests_stop_the_reading_until_answered(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER, .conf.pipeline_max = 2 };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	for (int i = 0; i < 5; i++)
		client_say(&c, "GET / HTTP/1.1\r\n" HOST "\r\n");
	fixture_until(&f, &f.held_count, 2);
	for (int i = 0; i < 10; i++)
		fixture_turn(&f);
	assert_int_equal(f.held_count, 2);
	for (unsigned i = 0; i < 5; i++) {
		fixture_until(&f, &f.held_count, i + 1);
		http_reply_text(f.held[i], 200, "ok");
		client_expect(&c, 200, "ok");
	}
	f.held_count = 0;
	client_close(&c);
	fixture_stop(&f);
}

static void http10_closes_unless_asked_to_stay(void **state)
{
	struct fixture f = { 0 };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	struct answer a = client_answer(&c, false);
	assert_non_null(strstr(a.head, "\r\nConnection: keep-alive\r\n"));
	answer_done(&a);
	client_say(&c, "GET /a HTTP/1.0\r\n\r\n");
	client_expect_last(&c, 200, "GET /a? ");
	client_close(&c);
	fixture_stop(&f);
}

static void connection_close_is_honoured(void **state)
{
	struct fixture f = { 0 };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET /a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"
		       "GET /never HTTP/1.1\r\n" HOST "\r\n");
	client_expect_last(&c, 200, "GET /a? ");
	assert_int_equal(f.requests, 1);
	client_close(&c);
	fixture_stop(&f);
}

static void head_gets_the_length_and_no_body(void **state)
{
	struct fixture f = { .mode = ANSWER_SHARED, .shared = "12345", .shared_len = 5 };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "HEAD /a HTTP/1.1\r\n" HOST "\r\nGET /a HTTP/1.1\r\n" HOST "\r\n");
	struct answer a = client_answer(&c, true);
	assert_non_null(strstr(a.head, "\r\nContent-Length: 5\r\n"));
	answer_done(&a);
	client_expect(&c, 200, "12345");
	assert_int_equal(f.released, 2);
	client_close(&c);
	fixture_stop(&f);
}

static void a_client_that_shuts_its_side_is_still_answered(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\nGET /c HT");
	client_half_close(&c);
	fixture_until(&f, &f.held_count, 2);
	for (int i = 0; i < 5; i++)
		fixture_turn(&f);
	assert_true(http_call_connected(f.held[0]));
	http_reply_text(f.held[0], 200, "a");
	http_reply_text(f.held[1], 200, "b");
	client_expect(&c, 200, "a");
	client_expect(&c, 200, "b");
	client_until_end(&c);
	assert_false(c.reset);
	f.held_count = 0;
	client_close(&c);
	fixture_stop(&f);
}

static void a_call_outlives_its_connection(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER, .keep = true };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n"
		       "GET /c HTTP/1.1\r\n" HOST "\r\n");
	fixture_until(&f, &f.held_count, 3);
	http_reply_text(f.held[1], 200, "held, and dropped with the connection");
	client_reset(&c);
	fixture_until(&f, &f.gone, 2);
	assert_false(http_call_connected(f.held[0]));
	assert_memory_equal(f.held[0]->path.at, "/a", 2);
	assert_int_equal(http_server_counts(f.server)->connections, 0);
	assert_int_equal(http_server_counts(f.server)->calls, 2);
	http_reply_text(f.held[0], 200, "nobody hears");
	http_reply_text(f.held[2], 200, "nobody hears");
	assert_int_equal(http_server_counts(f.server)->calls, 0);
	f.held_count = 0;
	fixture_stop(&f);
}

static void continue_is_said_when_the_client_waits_for_it(void **state)
{
	static const char head[] = "POST /x HTTP/1.1\r\n" HOST
				   "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n";
	struct fixture f = { 0 };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, head);
	client_expect(&c, 100, NULL);
	client_say(&c, "hello");
	client_expect(&c, 200, "POST /x? hello");
	client_say(&c, head); /* together with the body it need not be said */
	client_say(&c, "hello");
	struct answer a = client_answer(&c, false);
	if (a.status == 100) { /* the two writes were read apart */
		answer_done(&a);
		a = client_answer(&c, false);
	}
	assert_int_equal(a.status, 200);
	answer_done(&a);
	client_close(&c);
	fixture_stop(&f);
}

static void targets_of_every_form_are_split(void **state)
{
	static const struct {
		const char *target, *echo;
	} cases[] = {
		{ "http://h:1/a/b?c=d", "GET /a/b?c=d " }, { "http://h", "GET /? " },
		{ "/a?b?c", "GET /a?b?c " },		   { "/a#frag?no", "GET /a? " },
		{ "/a?b#frag", "GET /a?b " },		   { "/?&k=v", "GET /?&k=v " },
		{ "/a%20b?%41", "GET /a%20b?%41 " },	   { "//a", "GET //a? " },
	};
	struct fixture f = { 0 };
	struct client c;
	char text[128];
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST "\r\n", cases[i].target);
		client_say(&c, text);
		client_expect(&c, 200, cases[i].echo);
	}
	client_say(&c, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
	client_expect(&c, 200, "OPTIONS *? ");
	client_close(&c);
	fixture_stop(&f);
}

/* Every way to cut a request in two gives the same answer; cut for good, it gives none. */
static void every_cut_of_a_request_is_survived(void **state)
{
	static const char request[] = "POST /path/x?a=b HTTP/1.1\r\n" HOST "X-Empty:\r\n"
				      "Content-Length: 7\r\nX-Long:   value  \r\n\r\nseven!!";
	struct fixture f = { 0 };
	(void)state;
	fixture_start(&f);
	for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
		struct client c;
		client_open(&c, &f);
		client_send(&c, request, cut);
		for (int i = 0; i < 3; i++)
			fixture_turn(&f);
		client_send(&c, request + cut, sizeof(request) - 1 - cut);
		client_expect(&c, 200, "POST /path/x?a=b seven!!");
		client_send(&c, request, cut);
		client_half_close(&c);
		client_until_end(&c);
		assert_int_equal(c.len, c.seen);
		client_close(&c);
	}
	assert_int_equal(f.requests, sizeof(request) - 2);
	fixture_stop(&f);
}

static void a_large_body_and_a_large_answer_arrive_whole(void **state)
{
	enum { LEN = 1000000 };
	struct fixture f = { 0 };
	struct client c;
	char *body = malloc(LEN);
	char head[128];
	(void)state;
	for (size_t i = 0; i < LEN; i++)
		body[i] = (char)('a' + i % 26);
	fixture_start(&f);
	client_open(&c, &f);
	snprintf(head, sizeof(head), "POST /x HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", LEN);
	client_say(&c, head);
	client_send(&c, body, LEN);
	struct answer a = client_answer(&c, false);
	assert_int_equal(a.body_len, LEN + 9);
	assert_memory_equal(a.body + 9, body, LEN);
	answer_done(&a);
	free(body);
	client_close(&c);
	fixture_stop(&f);
}

static void a_shared_body_is_released_once_also_when_queued(void **state)
{
	enum { LEN = 3000000 };
	struct fixture f = { .mode = ANSWER_SHARED, .shared_len = LEN, .narrow = true };
	struct client c;
	char *body = malloc(LEN);
	(void)state;
	memset(body, 'x', LEN);
	f.shared = body;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET / HTTP/1.1\r\n" HOST "\r\n");
	fixture_until(&f, &f.requests, 1);
	assert_int_equal(f.released, 0); /* more than the socket takes */
	struct answer a = client_answer(&c, false);
	assert_int_equal(a.body_len, LEN);
	answer_done(&a);
	fixture_until(&f, &f.released, 1);
	client_say(&c, "GET / HTTP/1.1\r\n" HOST "\r\n"); /* not read: released when cut off */
	fixture_until(&f, &f.requests, 2);
	client_reset(&c);
	fixture_until(&f, &f.released, 2);
	fixture_stop(&f);
	assert_int_equal(f.released, 2);
	free(body);
}

static void a_common_request_takes_nothing_from_the_heap(void **state)
{
	struct fixture f = { 0 };
	struct client c;
	uint64_t before = 0, used = 0;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	for (unsigned i = 0; i < 200; i++) {
		client_say(&c, "PUT /nacos/v1/ns/instance/beat?a=b HTTP/1.1\r\n" HOST
			       "User-Agent: x\r\nContent-Length: 5\r\n\r\nhello");
		before = mem_thread_count();
		fixture_until(&f, &f.requests, i + 1);
		used += i < 2 ? 0 : mem_thread_count() - before;
		client_expect(&c, 200, NULL);
	}
	assert_int_equal(used, 0);
	client_close(&c);
	fixture_stop(&f);
}

static void extra_headers_and_statuses_are_written(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER, .conf.server_name = "muster" };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, "GET / HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\n"
		       "GET / HTTP/1.1\r\n" HOST "\r\n");
	fixture_until(&f, &f.held_count, 3);
	char *extra = malloc(50000); /* more than is reasonable */
	memset(extra, 'x', 50000);
	memcpy(extra, "X-Long: ", 8);
	memcpy(extra + 49997, "\r\n", 3);
	http_reply(f.held[0], 404, NULL, "Location: /x\r\n", "no", 2);
	http_reply(f.held[1], 204, NULL, NULL, NULL, 0);
	http_call_close_after(f.held[2]);
	http_reply(f.held[2], 599, NULL, extra, "end", 3);
	struct answer a = client_answer(&c, false);
	assert_non_null(strstr(a.head, "HTTP/1.1 404 Not Found\r\n"));
	assert_non_null(strstr(a.head, "\r\nLocation: /x\r\n"));
	assert_non_null(strstr(a.head, "\r\nServer: muster\r\n"));
	assert_null(strstr(a.head, "Content-Type"));
	answer_done(&a);
	a = client_answer(&c, false);
	assert_int_equal(a.status, 204);
	assert_null(strstr(a.head, "Content-Length"));
	answer_done(&a);
	client_expect_last(&c, 599, "end");
	free(extra);
	f.held_count = 0;
	client_close(&c);
	fixture_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_answered_and_the_connection_stays),
		cmocka_unit_test(a_body_comes_with_its_length),
		cmocka_unit_test(chunks_are_joined),
		cmocka_unit_test(requests_in_one_write_are_answered_in_order),
		cmocka_unit_test(a_long_pipeline_is_answered_wholly),
		cmocka_unit_test(late_answers_leave_in_the_order_of_the_requests),
		cmocka_unit_test(unanswered_requests_stop_the_reading_until_answered),
		cmocka_unit_test(http10_closes_unless_asked_to_stay),
		cmocka_unit_test(connection_close_is_honoured),
		cmocka_unit_test(head_gets_the_length_and_no_body),
		cmocka_unit_test(a_client_that_shuts_its_side_is_still_answered),
		cmocka_unit_test(a_call_outlives_its_connection),
		cmocka_unit_test(continue_is_said_when_the_client_waits_for_it),
		cmocka_unit_test(targets_of_every_form_are_split),
		cmocka_unit_test(every_cut_of_a_request_is_survived),
		cmocka_unit_test(a_large_body_and_a_large_answer_arrive_whole),
		cmocka_unit_test(a_shared_body_is_released_once_also_when_queued),
		cmocka_unit_test(a_common_request_takes_nothing_from_the_heap),
		cmocka_unit_test(extra_headers_and_statuses_are_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

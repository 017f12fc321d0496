/* test_http_stream.c - answers whose body comes piece by piece: chunked, to the end of the connection, to HEAD, in turn, as
 * fast as the client reads, and released once whatever becomes of him. */
#include "tests/net/http_fixture.h"

#include "base/clock.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HOST "Host: x\r\n"

struct source {
	size_t left, given;
	unsigned pauses, released;
};

static bool give(void *arg, char *to, size_t cap, size_t *ret_len)
{
	struct source *s = arg;
	*ret_len = 0;
	if (s->pauses > 0) {
		s->pauses--;
		return true;
	}
	size_t n = s->left < cap ? s->left : cap;
	for (size_t i = 0; i < n; i++)
		to[i] = (char)('a' + (s->given + i) % 26);
	s->left -= n;
	s->given += n;
	*ret_len = n;
	return s->left > 0;
}

static void release(void *arg)
{
	((struct source *)arg)->released++;
}

static void answer_with(struct fixture *f, unsigned nth, struct source *s)
{
	http_reply_stream(f->held[nth], 200, "text/plain", give, release, s);
	f->held[nth] = NULL;
}

static void start(struct fixture *f, struct client *c, const char *request, unsigned count)
{
	fixture_start(f);
	client_open(c, f);
	client_say(c, request);
	fixture_until(f, &f->held_count, count);
}

/* The length of the chunked body at @got; *@ret_rest: where what follows begins. */
static size_t joined(const char *got, size_t len, size_t *ret_rest)
{
	size_t total = 0;
	for (size_t at = 0;;) {
		const char *line = memmem(got + at, len - at, "\r\n", 2);
		assert_non_null(line);
		size_t n = strtoul(got + at, NULL, 16), from = (size_t)(line + 2 - got);
		assert_true(from + n + 2 <= len);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(got[from + i], 'a' + (total + i) % 26);
		assert_memory_equal(got + from + n, "\r\n", 2);
		total += n;
		at = from + n + 2;
		if (n == 0) {
			*ret_rest = at;
			return total;
		}
	}
}

static void read_until(struct client *c, const char *what)
{
	int64_t begun = clock_ms();
	while (memmem(c->got + c->seen, c->len - c->seen, what, strlen(what)) == NULL && !c->ended) {
		if (clock_ms() - begun > WAIT_MS)
			fail_msg("%s did not come", what);
		fixture_turn(c->f);
		client_read(c);
	}
}

static void a_body_comes_in_chunks_and_the_connection_goes_on(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER };
	struct source s = { .left = 1000000, .pauses = 3 };
	struct client c;
	size_t rest;
	(void)state;
	start(&f, &c, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n", 2);
	http_reply_text(f.held[1], 200, "behind it");
	f.held[1] = NULL;
	answer_with(&f, 0, &s);
	read_until(&c, "behind it");
	struct answer a = client_answer(&c, true);
	assert_non_null(strstr(a.head, "Transfer-Encoding: chunked\r\n"));
	assert_null(strstr(a.head, "Content-Length"));
	assert_int_equal(joined(c.got + c.seen, c.len - c.seen, &rest), 1000000);
	c.seen += rest;
	client_expect(&c, 200, "behind it");
	assert_int_equal(s.released, 1);
	answer_done(&a);
	client_close(&c);
	fixture_stop(&f);
}

static void two_streams_come_in_the_order_of_their_requests(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER };
	struct source first = { .left = 100 }, second = { .left = 0 };
	struct client c;
	size_t rest;
	(void)state;
	start(&f, &c, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 2);
	answer_with(&f, 1, &second);
	answer_with(&f, 0, &first);
	client_until_end(&c);
	struct answer a = client_answer(&c, true);
	assert_int_equal(joined(c.got + c.seen, c.len - c.seen, &rest), 100);
	c.seen += rest;
	struct answer b = client_answer(&c, true);
	assert_int_equal(joined(c.got + c.seen, c.len - c.seen, &rest), 0);
	assert_int_equal(c.seen + rest, c.len);
	assert_true(!a.closes && b.closes);
	assert_int_equal(first.released + second.released, 2);
	answer_done(&a);
	answer_done(&b);
	client_close(&c);
	fixture_stop(&f);
}

static void to_http10_the_connection_ends_it(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER };
	struct source s = { .left = 100000 };
	struct client c;
	(void)state;
	start(&f, &c, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 1);
	answer_with(&f, 0, &s);
	client_until_end(&c);
	struct answer a = client_answer(&c, true);
	assert_true(a.closes && strstr(a.head, "Transfer-Encoding") == NULL);
	assert_int_equal(c.len - c.seen, 100000);
	assert_int_equal(s.released, 1);
	answer_done(&a);
	client_close(&c);
	fixture_stop(&f);
}

static void to_head_there_is_no_body(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER };
	struct source s = { .left = 100000 };
	struct client c;
	(void)state;
	start(&f, &c, "HEAD /a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 1);
	answer_with(&f, 0, &s);
	client_until_end(&c);
	struct answer a = client_answer(&c, true);
	assert_non_null(strstr(a.head, "Transfer-Encoding: chunked\r\n"));
	assert_int_equal(c.seen, c.len);
	assert_true(s.given == 0 && s.released == 1);
	answer_done(&a);
	client_close(&c);
	fixture_stop(&f);
}

static void who_reads_nothing_is_given_little_and_cut_off_by_time(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER, .narrow = true, .conf.write_ms = 50, .conf.out_max = 65536 };
	struct source s = { .left = 1u << 30 };
	struct client c;
	(void)state;
	start(&f, &c, "GET /a HTTP/1.1\r\n" HOST "\r\n", 1);
	answer_with(&f, 0, &s);
	fixture_until(&f, &s.released, 1);
	assert_int_equal(http_server_counts(f.server)->timeouts, 1);
	assert_true(s.left > 1u << 29);
	client_close(&c);
	fixture_stop(&f);
}

/* Its reading never stands still for write_ms. Nor does an answer's time begin when it is its turn. */
static void who_reads_little_by_little_has_so_long_for_all(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER, .narrow = true, .conf.write_ms = 60000, .conf.stream_ms = 100 };
	struct source s = { .left = 1u << 30 }, held = { .left = 10 };
	struct client c;
	char some[64];
	(void)state;
	start(&f, &c, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n", 2);
	answer_with(&f, 1, &held);
	answer_with(&f, 0, &s);
	for (int64_t begun = clock_ms(); s.released == 0 && clock_ms() - begun < WAIT_MS;) {
		fixture_turn(&f);
		if (recv(c.fd, some, sizeof(some), MSG_DONTWAIT) == 0)
			break;
	}
	fixture_until(&f, &held.released, 1);
	assert_int_equal(s.released, 1);
	assert_int_equal(http_server_counts(f.server)->timeouts, 1);
	client_close(&c);
	fixture_stop(&f);
}

static void an_answer_that_waits_for_its_turn_has_its_time_too(void **state)
{
	struct fixture f = { .mode = ANSWER_LATER, .conf.stream_ms = 50 };
	struct source s = { .left = 10 };
	struct client c;
	(void)state;
	start(&f, &c, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n", 2);
	answer_with(&f, 1, &s);
	fixture_until(&f, &s.released, 1);
	assert_int_equal(http_server_counts(f.server)->timeouts, 1);
	http_reply_text(f.held[0], 200, "too late");
	f.held[0] = NULL;
	client_close(&c);
	fixture_stop(&f);
}

static void a_client_that_goes_ends_it(void **state)
{
	for (int when = 0; when < 4; when++) {
		struct fixture f = { .mode = ANSWER_LATER, .narrow = true };
		struct source s = { .left = 1u << 30 }, held = { .left = 10 };
		struct client c;
		(void)state;
		start(&f, &c, "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n", 2);
		answer_with(&f, 1, &held);
		if (when > 0)
			answer_with(&f, 0, &s);
		for (int i = 0; when > 1 && i < 20; i++)
			fixture_turn(&f);
		if (when == 3) { /* the server goes */
			fixture_stop(&f);
			client_close(&c);
		} else {
			client_reset(&c);
			fixture_until(&f, &held.released, 1);
			if (when == 0)
				answer_with(&f, 0, &s);
			fixture_stop(&f);
		}
		assert_int_equal(s.released, 1);
		assert_int_equal(held.released, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_comes_in_chunks_and_the_connection_goes_on),
		cmocka_unit_test(two_streams_come_in_the_order_of_their_requests),
		cmocka_unit_test(to_http10_the_connection_ends_it),
		cmocka_unit_test(to_head_there_is_no_body),
		cmocka_unit_test(who_reads_nothing_is_given_little_and_cut_off_by_time),
		cmocka_unit_test(who_reads_little_by_little_has_so_long_for_all),
		cmocka_unit_test(an_answer_that_waits_for_its_turn_has_its_time_too),
		cmocka_unit_test(a_client_that_goes_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

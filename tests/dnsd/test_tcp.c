/* test_tcp.c - the running server over streams (dns.md 3.5): pieces, pipelines, ends, time-outs, limits. */
#include "base/metrics.h"
#include "dnsd/counters.h"
#include "tests/dnsd/server_fixture.h"
#include "tests/support/stub_zones.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { A_LEN = 12 + 16 + 5 + 64 }; /* the answer to sNNNNN.svc.test A */

static struct wire in;
static uint8_t out[DNS_MESSAGE_MAX];
static struct dns_counters cells;

static void query_numbered(unsigned id)
{
	wire_query(&in, "s00300.svc.test", RR_A);
	in.at[0] = (uint8_t)(id >> 8);
	in.at[1] = (uint8_t)id;
}

static void expect_numbered(int fd, unsigned id)
{
	assert_int_equal(stream_read(fd, out, sizeof out), A_LEN);
	assert_int_equal(wire_get16(out), id);
	assert_int_equal(wire_get16(out + 6), 4);
}

static void expect_closed(int fd)
{
	assert_int_equal(stream_read(fd, out, sizeof out), 0);
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void a_question_in_pieces_of_one_octet_is_answered(void **state)
{
	struct fixture *f = *state;
	server_start(f);
	int fd = client_tcp(&f->addrs[0]), on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	query_numbered(7);
	for (int round = 0; round < 3; round++) {
		uint8_t head[2] = { (uint8_t)(in.len >> 8), (uint8_t)in.len };
		stream_write(fd, head, 1);
		stream_write(fd, head + 1, 1);
		for (size_t i = 0; i < in.len; i++)
			stream_write(fd, in.at + i, 1);
		expect_numbered(fd, 7);
	}
	close(fd);
}

/* A frame of 65535 octets: a question, and an OPT whose option fills it up. */
static void the_largest_frame_in_small_pieces_is_answered(void **state)
{
	struct fixture *f = *state;
	f->conf.tcp_message_ms = 20000; /* for a loaded machine under a sanitizer */
	server_start(f);
	static uint8_t filler[DNS_MESSAGE_MAX];
	wire_query(&in, "s00300.svc.test", RR_A);
	unsigned option = DNS_MESSAGE_MAX - (unsigned)in.len - 11 - 4;
	filler[0] = 0;
	filler[1] = 100;
	filler[2] = (uint8_t)(option >> 8);
	filler[3] = (uint8_t)option;
	wire_query_edns(&in, "s00300.svc.test", RR_A, 1232, filler, option + 4);
	assert_int_equal(in.len, DNS_MESSAGE_MAX);
	int fd = client_tcp(&f->addrs[0]), on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	stream_query(fd, &in);
	assert_int_equal(stream_read(fd, out, sizeof out), A_LEN + 11);
	uint8_t head[2] = { 0xff, 0xff };
	stream_write(fd, head, 2);
	for (size_t i = 0; i < in.len; i++)
		stream_write(fd, in.at + i, 1);
	assert_int_equal(stream_read(fd, out, sizeof out), A_LEN + 11);
	assert_int_equal(out[3] & 15, RCODE_NOERROR);
	close(fd);
}

static void a_hundred_pipelined_questions_are_answered_in_order(void **state)
{
	struct fixture *f = *state;
	server_start(f);
	int fd = client_tcp(&f->addrs[0]);
	static uint8_t many[100 * 64];
	size_t len = 0;
	for (unsigned i = 0; i < 100; i++) {
		query_numbered(i);
		many[len++] = 0;
		many[len++] = (uint8_t)in.len;
		memcpy(many + len, in.at, in.len);
		len += in.len;
	}
	stream_write(fd, many, len);
	for (unsigned i = 0; i < 100; i++)
		expect_numbered(fd, i);
	/* And cut at every place of the first three. */
	for (size_t cut = 1; cut < 3 * (in.len + 2); cut++) {
		stream_write(fd, many, cut);
		stream_write(fd, many + cut, len - cut);
		for (unsigned i = 0; i < 100; i++)
			expect_numbered(fd, i);
	}
	close(fd);
}

static void a_half_closed_stream_gets_its_answers_and_then_the_end(void **state)
{
	struct fixture *f = *state;
	server_start(f);
	int fd = client_tcp(&f->addrs[0]);
	for (unsigned i = 0; i < 10; i++) {
		query_numbered(i);
		stream_query(fd, &in);
	}
	stream_write(fd, "\0\20abc", 5); /* and the start of one more */
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	for (unsigned i = 0; i < 10; i++)
		expect_numbered(fd, i);
	expect_closed(fd);
	close(fd);
}

static void a_length_below_a_header_closes_after_the_answers_before_it(void **state)
{
	struct fixture *f = *state;
	server_start(f);
	for (unsigned len = 0; len < 12; len++) {
		int fd = client_tcp(&f->addrs[0]);
		query_numbered(len);
		stream_query(fd, &in);
		expect_numbered(fd, len);
		uint8_t bad[14] = { 0, (uint8_t)len };
		stream_write(fd, bad, 2);
		expect_closed(fd);
		close(fd);
	}
}

static void a_message_that_is_no_query_gets_nothing_and_the_stream_goes_on(void **state)
{
	struct fixture *f = *state;
	server_start(f);
	int fd = client_tcp(&f->addrs[0]);
	wire_header(&in, 0x8000, 0, 0, 0, 0);
	stream_query(fd, &in);
	query_numbered(5);
	stream_query(fd, &in);
	expect_numbered(fd, 5);
	close(fd);
}

static void an_idle_stream_is_closed_in_its_time(void **state)
{
	struct fixture *f = *state;
	f->conf.tcp_idle_ms = 300;
	server_start(f);
	int fd = client_tcp(&f->addrs[0]);
	int64_t from = now_ms();
	query_numbered(1);
	stream_query(fd, &in);
	expect_numbered(fd, 1);
	expect_closed(fd);
	assert_true(now_ms() - from >= 290);
	assert_true(now_ms() - from < 5000);
	close(fd);
}

static void a_slow_message_is_closed_though_octets_keep_coming(void **state)
{
	struct fixture *f = *state;
	f->conf.tcp_message_ms = 300;
	server_start(f);
	int fd = client_tcp(&f->addrs[0]);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t from = now_ms();
	stream_write(fd, "\1", 1);
	while (poll(&p, 1, 20) == 0) { /* the pause is the slowness under test */
		assert_true(now_ms() - from < 10000);
		if (send(fd, "x", 1, MSG_NOSIGNAL) < 0)
			break;
	}
	expect_closed(fd);
	assert_true(now_ms() - from >= 290);
	close(fd);
}

/* With one worker of four places and three quarters taken, idle time is a fifth. */
static void crowded_workers_close_idle_streams_sooner(void **state)
{
	struct fixture *f = *state;
	f->conf.threads = 1;
	f->conf.tcp_max = 4;
	f->conf.tcp_idle_ms = 6000;
	f->conf.tcp_message_ms = 400;
	server_start(f);
	int fds[4];
	int64_t from = now_ms();
	for (int i = 0; i < 4; i++)
		fds[i] = client_tcp(&f->addrs[0]);
	expect_closed(fds[0]);
	assert_true(now_ms() - from < 4000);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

static void over_the_limit_the_longest_idle_makes_room(void **state)
{
	struct fixture *f = *state;
	f->conf.threads = 1;
	f->conf.tcp_max = 3;
	server_start(f);
	int fds[4];
	for (unsigned i = 0; i < 3; i++) {
		fds[i] = client_tcp(&f->addrs[0]);
		query_numbered(i);
		stream_query(fds[i], &in);
		expect_numbered(fds[i], i);
	}
	query_numbered(9); /* the first is no more the longest idle */
	stream_query(fds[0], &in);
	expect_numbered(fds[0], 9);
	fds[3] = client_tcp(&f->addrs[0]);
	stream_query(fds[3], &in);
	expect_numbered(fds[3], 9);
	expect_closed(fds[1]);
	stream_query(fds[0], &in);
	expect_numbered(fds[0], 9);
	stream_query(fds[2], &in);
	expect_numbered(fds[2], 9);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

static void a_prefix_has_its_own_limit(void **state)
{
	struct fixture *f = *state;
	f->conf.threads = 1;
	f->conf.tcp_per_prefix = 2;
	server_start(f);
	int other = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_storage from = address_of("127.0.0.2", 0);
	assert_int_equal(bind(other, (struct sockaddr *)&from, sizeof(struct sockaddr_in)), 0);
	assert_int_equal(connect(other, (struct sockaddr *)&f->addrs[0], sizeof(struct sockaddr_in)), 0);
	query_numbered(1);
	stream_query(other, &in);
	expect_numbered(other, 1);
	int fds[3];
	for (int i = 0; i < 3; i++) {
		fds[i] = client_tcp(&f->addrs[0]);
		stream_query(fds[i], &in);
		expect_numbered(fds[i], 1);
	}
	expect_closed(fds[0]);
	stream_query(other, &in); /* of another prefix, and older */
	expect_numbered(other, 1);
	stream_query(fds[1], &in);
	expect_numbered(fds[1], 1);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	close(other);
}

/* Asks for far more than socket buffers hold and does not read: the server stops reading from it, keeps one output
 * buffer, and answers others; all answers come when the client reads at last. */
static void a_client_that_does_not_read_holds_up_nobody(void **state)
{
	struct fixture *f = *state;
	f->conf.threads = 1;
	server_start(f);
	int fd = client_tcp(&f->addrs[0]);
	wire_query(&in, "a.test", RR_TXT); /* 800 octets for 24 */
	static uint8_t block[512 * 32];
	size_t len = 0, per = in.len + 2;
	while (len + per <= sizeof block) {
		block[len] = 0;
		block[len + 1] = (uint8_t)in.len;
		memcpy(block + len + 2, in.at, in.len);
		len += per;
	}
	uint64_t asked = 0, part = 0;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	while (asked < (64u << 20) && poll(&p, 1, 200) == 1) {
		ssize_t n = send(fd, block + part, len - part, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			break;
		asked += (uint64_t)n;
		part = (part + (uint64_t)n) % len;
	}
	assert_true(asked < (64u << 20)); /* it did stop reading */
	int other = client_tcp(&f->addrs[0]);
	query_numbered(3);
	stream_query(other, &in);
	expect_numbered(other, 3);
	close(other);
	for (uint64_t i = 0; i < asked / per; i++)
		assert_true(stream_read(fd, out, sizeof out) > 750);
	close(fd);
}

static void a_client_that_never_reads_is_closed_when_idle_time_is_over(void **state)
{
	struct fixture *f = *state;
	f->conf.threads = 1;
	f->conf.tcp_idle_ms = 400;
	server_start(f);
	uint64_t before = metrics_value(cells.closed[CLOSE_IDLE]);
	int fd = client_tcp(&f->addrs[0]);
	wire_query(&in, "a.test", RR_TXT);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int64_t from = now_ms();
	while (now_ms() - from < 20000) { /* until the reset is seen */
		uint8_t head[2] = { 0, (uint8_t)in.len };
		if (poll(&p, 1, 50) == 1 && ((p.revents & (POLLERR | POLLHUP)) || send(fd, head, 2, MSG_NOSIGNAL) < 0 ||
					     send(fd, in.at, in.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0))
			if (p.revents & (POLLERR | POLLHUP))
				break;
	}
	assert_true(now_ms() - from < 20000);
	close(fd);
	dns_server_stop(f->server);
	f->server = NULL;
	assert_true(metrics_value(cells.closed[CLOSE_IDLE]) > before);
}

static void random_streams_never_hang_or_crash_the_server(void **state)
{
	struct fixture *f = *state;
	server_start(f);
	srand(5);
	for (int round = 0; round < 300; round++) {
		int fd = client_tcp(&f->addrs[0]);
		for (int i = rand() % 4; i > 0; i--) {
			query_numbered((unsigned)i);
			stream_query(fd, &in);
		}
		uint8_t junk[64];
		for (size_t i = 0; i < sizeof junk; i++)
			junk[i] = (uint8_t)rand();
		send(fd, junk, (size_t)rand() % sizeof junk, MSG_NOSIGNAL);
		if (rand() % 2)
			shutdown(fd, SHUT_WR);
		close(fd);
	}
	int fd = client_tcp(&f->addrs[0]);
	query_numbered(1);
	stream_query(fd, &in);
	expect_numbered(fd, 1);
	close(fd);
}

int main(void)
{
#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		SERVER_TEST(a_question_in_pieces_of_one_octet_is_answered),
		SERVER_TEST(the_largest_frame_in_small_pieces_is_answered),
		SERVER_TEST(a_hundred_pipelined_questions_are_answered_in_order),
		SERVER_TEST(a_half_closed_stream_gets_its_answers_and_then_the_end),
		SERVER_TEST(a_length_below_a_header_closes_after_the_answers_before_it),
		SERVER_TEST(a_message_that_is_no_query_gets_nothing_and_the_stream_goes_on),
		SERVER_TEST(an_idle_stream_is_closed_in_its_time),
		SERVER_TEST(a_slow_message_is_closed_though_octets_keep_coming),
		SERVER_TEST(crowded_workers_close_idle_streams_sooner),
		SERVER_TEST(over_the_limit_the_longest_idle_makes_room),
		SERVER_TEST(a_prefix_has_its_own_limit),
		SERVER_TEST(a_client_that_does_not_read_holds_up_nobody),
		SERVER_TEST(a_client_that_never_reads_is_closed_when_idle_time_is_over),
		SERVER_TEST(random_streams_never_hang_or_crash_the_server),
	};
	dns_counters_declare(&cells);
	dns_counters_zones(&cells, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

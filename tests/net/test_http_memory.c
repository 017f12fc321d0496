/* test_http_memory.c - memory that runs out at every allocation the server makes: opening, accepting, reading a head, a
 * body in chunks, a long body, answering at once, late and from shared bytes. Whatever happens to the request at hand,
 * nothing is leaked or freed twice (ASan), and the next client is served. */
#include "tests/net/http_fixture.h"

#include "base/clock.h"
#include "base/mem.h"
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { LONG_BODY = 300000, ROUNDS_MAX = 200 };

struct request_text {
	char *at;
	size_t len;
};

static struct request_text plain(void)
{
	static const char text[] = "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\nPOST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
	return (struct request_text){ strdup(text), sizeof(text) - 1 };
}

static struct request_text chunked(void)
{
	static const char text[] = "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
	return (struct request_text){ strdup(text), sizeof(text) - 1 };
}

static struct request_text long_body(void)
{
	char *at = malloc(LONG_BODY + 200);
	int head = snprintf(at, 200, "POST /l HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", LONG_BODY);
	memset(at + head, 'b', LONG_BODY);
	return (struct request_text){ at, (size_t)head + LONG_BODY };
}

/* A head that does not come in one piece. */
static struct request_text long_head(void)
{
	char *at = malloc(40000);
	size_t len = (size_t)snprintf(at, 200, "GET /h HTTP/1.1\r\nHost: x\r\nX-Long: ");
	memset(at + len, 'v', 30000);
	memcpy(at + len + 30000, "\r\n\r\n", 4);
	return (struct request_text){ at, len + 30004 };
}

static void answer_held(struct fixture *f)
{
	for (unsigned i = 0; i < f->held_count; i++)
		if (f->held[i] != NULL)
			http_reply_text(f->held[i], 200, "late");
	f->held_count = 0;
}

/* Some turns of the loop while the client looks; the end of the connection or an answer is enough. */
static void turn_some(struct fixture *f, struct client *c, unsigned turns)
{
	for (unsigned i = 0; i < turns && !c->ended; i++) {
		struct pollfd at = { uv_backend_fd(&f->loop), POLLIN, 0 };
		fixture_turn(f);
		answer_held(f);
		client_read(c);
		poll(&at, 1, 0);
	}
}

/* Sends by hand: client_send() would wait for a server that has no memory to read. */
static void send_in_two(struct fixture *f, struct client *c, const struct request_text *r)
{
	size_t half = r->len / 2, at = 0;
	for (unsigned turn = 0; at < r->len && turn < 400 && !c->ended; turn++) {
		size_t to = at < half ? half : r->len;
		ssize_t n = send(c->fd, r->at + at, to - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			at += (size_t)n;
		turn_some(f, c, 2);
	}
}

/* One client under failing memory from allocation @nth on; false: none was asked for any more. */
static bool survives(struct fixture *f, struct request_text (*make)(void), unsigned nth)
{
	struct request_text r = make();
	struct client c, next;
	client_open(&c, f);
	mem_fail_at(nth);
	send_in_two(f, &c, &r);
	turn_some(f, &c, 8);
	bool reached = mem_fail_off();
	turn_some(f, &c, 8);
	if (c.len > 0)
		assert_memory_equal(c.got, "HTTP/1.1 ", 9);
	if (!reached)
		assert_true(c.len > 0 && memcmp(c.got + 9, "200", 3) == 0);
	client_close(&c);
	client_open(&next, f); /* memory is there again */
	client_say(&next, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int64_t begun = clock_ms(); next.len == 0 && clock_ms() - begun < WAIT_MS;)
		turn_some(f, &next, 1);
	client_expect(&next, 200, NULL);
	client_close(&next);
	free(r.at);
	return reached;
}

static void every_way(enum fixture_mode mode, bool keep)
{
	static struct request_text (*const makes[])(void) = { plain, chunked, long_body, long_head };
	static const char shared[] = "the same for all";
	for (size_t i = 0; i < sizeof(makes) / sizeof(makes[0]); i++) {
		unsigned nth = 0;
		bool reached = true;
		while (reached) { /* a server of its own each time: pools are empty then */
			struct fixture f = { .mode = mode, .keep = keep, .shared = shared, .shared_len = sizeof(shared) - 1 };
			fixture_start(&f);
			reached = survives(&f, makes[i], nth++);
			fixture_stop(&f);
			assert_true(nth < ROUNDS_MAX);
		}
		assert_true(nth > 1);
	}
}

static void answers_at_once_survive(void **state)
{
	(void)state;
	every_way(ANSWER_ECHO, false);
}

static void late_answers_survive(void **state)
{
	(void)state;
	every_way(ANSWER_LATER, true);
}

static void shared_answers_survive(void **state)
{
	(void)state;
	every_way(ANSWER_SHARED, false);
}

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

static void on_request(void *arg, struct http_call *call)
{
	(void)arg;
	http_reply_text(call, 200, "ok");
}

/* A server is open and listens, or there is an error and nothing is left on the loop. */
static void opening_survives(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct http_server_conf conf = { .on_request = on_request };
	(void)state;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (unsigned nth = 0;; nth++) {
		struct listener_conf listen_conf = { 0 };
		struct http_server *s = NULL;
		struct listener *l = NULL;
		struct error err = { 0 };
		bool closed = false;
		uv_loop_t loop;
		assert_int_equal(uv_loop_init(&loop), 0);
		mem_fail_at(nth);
		int rc = http_server_open(&s, &loop, &conf, &err);
		bool open = rc == E_OK;
		if (open)
			rc = http_server_listen(s, (struct sockaddr *)&at, &listen_conf, 0, &l, &err);
		bool reached = mem_fail_off();
		if (open)
			http_server_close(s, set_true, &closed);
		uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(closed, open);
		assert_int_equal(uv_loop_close(&loop), 0);
		assert_true(rc == E_OK || (reached && rc == E_NOMEM)); /* some memory is only a reserve */
		if (!reached)
			return;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening_survives),
		cmocka_unit_test(answers_at_once_survive),
		cmocka_unit_test(late_answers_survive),
		cmocka_unit_test(shared_answers_survive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

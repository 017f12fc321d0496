/* test_prober.c - TCP and HTTP probes against real local listeners, from the registry's news to the verdict. The
 * switches make the intervals short; every wait is for an event, with an upper bound. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "health/prober.h"
#include "tests/health/fake_desk.h"
#include "tests/health/listener.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { PATIENCE_MS = 20000 };

struct fixture {
	struct desk *desk;
	struct prober *prober;
	struct service *service;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));
	rcu_thread_start();
	f->desk = fake_desk_new();
	struct switches *s = fake_switches(f->desk);
	s->tcp = (struct check_params){ 60, 20, 0.5 };
	s->http = (struct check_params){ 60, 20, 0.5 };
	fake_publish(f->desk, s);
	assert_int_equal(prober_start(&f->prober, f->desk, &(struct prober_conf){ 20000, 64 }, NULL), E_OK);
	fake_watch(f->desk, prober_watcher(f->prober));
	f->service = fake_service(f->desk, "cart", false);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	prober_stop(f->prober);
	fake_desk_free(f->desk); /* verdicts on their way come back here */
	prober_free(f->prober);
	rcu_thread_stop();
	mem_free(f);
	return 0;
}

static void switch_checks(struct fixture *f, bool on)
{
	struct switches *s = fake_switches(f->desk);
	s->health_check = on;
	fake_publish(f->desk, s);
}

static void set_check_times(struct fixture *f, int times)
{
	struct switches *s = fake_switches(f->desk);
	s->check_times = times;
	fake_publish(f->desk, s);
}

static struct instance *find(struct fixture *f, const char *ip, uint16_t port)
{
	return fake_find(f->desk, f->service, ip, port);
}

/* Until the instance's health is @healthy; its last reason then. */
static const char *await(struct fixture *f, const char *ip, uint16_t port, bool healthy)
{
	int64_t until = clock_ms() + PATIENCE_MS;
	while (((find(f, ip, port)->flags & INSTANCE_HEALTHY) != 0) != healthy)
		if (clock_ms() > until || fake_await(f->desk, PATIENCE_MS) == 0)
			return "no verdict came";
	return instance_reason(find(f, ip, port));
}

static uint64_t probes(const char *labels)
{
	return metrics_value(metrics_counter("probes_total", "Probes that ended.", labels));
}

/* Until @more probes with these labels have ended. */
static void await_probes(const char *labels, uint64_t more)
{
	uint64_t from = probes(labels);
	int64_t until = clock_ms() + PATIENCE_MS;
	while (probes(labels) < from + more && clock_ms() < until)
		usleep(1000);
	assert_true(probes(labels) >= from + more);
}

static void use_http(struct fixture *f, const char *path, const char *headers, int code)
{
	fake_checker(f->desk, f->service,
		     &(struct checker){ .kind = CHECKER_HTTP, .path = path, .headers = headers, .expected_code = code },
		     80, true);
}

static void tcp_an_open_port_makes_an_unhealthy_instance_healthy(void **state)
{
	struct fixture *f = *state;
	struct listener *l = listener_new(false);
	fake_add_state(f->desk, f->service, "127.0.0.1", listener_port(l), false);
	assert_string_equal(await(f, "127.0.0.1", listener_port(l), true), "");
	listener_free(l);
}

static void tcp_a_refused_connection_flips_at_once(void **state)
{
	struct fixture *f = *state;
	uint16_t port;
	int fd = port_that_refuses(&port);
	uint64_t before = probes("kind=\"tcp\",result=\"failure_at_once\"");
	set_check_times(f, 1000);
	fake_add(f->desk, f->service, "127.0.0.1", port);
	assert_string_equal(await(f, "127.0.0.1", port, false), "connect refused");
	assert_true(probes("kind=\"tcp\",result=\"failure_at_once\"") > before);
	close(fd);
}

static void tcp_a_silent_host_needs_three_time_outs(void **state)
{
	struct fixture *f = *state;
	struct silent s;
	silent_open(&s);
	uint64_t before = probes("kind=\"tcp\",result=\"failure\"");
	fake_add(f->desk, f->service, "127.0.0.1", s.port);
	assert_string_equal(await(f, "127.0.0.1", s.port, false), "timeout");
	assert_true(probes("kind=\"tcp\",result=\"failure\"") >= before + 3);
	silent_close(&s);
}

static void tcp_over_ipv6_works(void **state)
{
	struct fixture *f = *state;
	struct listener *l = listener_new(true);
	if (l == NULL)
		skip();
	fake_add_state(f->desk, f->service, "::1", listener_port(l), false);
	assert_string_equal(await(f, "::1", listener_port(l), true), "");
	listener_free(l);
}

static void the_port_of_the_cluster_is_asked_when_it_says_so(void **state)
{
	struct fixture *f = *state;
	struct listener *l = listener_new(false);
	fake_checker(f->desk, f->service, &(struct checker){ .kind = CHECKER_TCP }, listener_port(l), false);
	fake_add_state(f->desk, f->service, "127.0.0.1", 9, false);
	assert_string_equal(await(f, "127.0.0.1", 9, true), "");
	listener_free(l);
}

static void a_port_that_closes_and_opens_again_is_followed(void **state)
{
	struct fixture *f = *state;
	struct listener *l = listener_new(false);
	uint16_t port = listener_port(l);
	fake_add(f->desk, f->service, "127.0.0.1", port);
	await_probes("kind=\"tcp\",result=\"ok\"", 2);
	listener_free(l);
	assert_string_equal(await(f, "127.0.0.1", port, false), "connect refused");
}

static void http_status_200_is_a_success(void **state)
{
	struct fixture *f = *state;
	struct listener *l = listener_new(false);
	use_http(f, "/h?x=1", "X-One: a|Bad\r\nX: b|X-Two:c", 200);
	fake_add_state(f->desk, f->service, "127.0.0.1", listener_port(l), false);
	assert_string_equal(await(f, "127.0.0.1", listener_port(l), true), "");
	char request[1024], expected[1024];
	listener_last(l, request, sizeof(request));
	snprintf(expected, sizeof(expected),
		 "GET /h?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\nUser-Agent: muster\r\n"
		 "Accept: */*\r\nX-One:  a\r\nX-Two: c\r\n\r\n",
		 listener_port(l));
	assert_string_equal(request, expected);
	listener_free(l);
}

/* An instance that is healthy, and a listener that answers so: the verdict's reason. */
static void http_turns(struct fixture *f, const char *answer, int byte_ms, const char *reason)
{
	struct listener *l = listener_new(false);
	listener_answer(l, answer);
	listener_slow(l, byte_ms);
	use_http(f, "/", "", 200);
	fake_add(f->desk, f->service, "127.0.0.1", listener_port(l));
	assert_string_equal(await(f, "127.0.0.1", listener_port(l), false), reason);
	fake_remove(f->desk, f->service, "127.0.0.1", listener_port(l));
	listener_free(l);
}

static void http_503_needs_three_in_a_row(void **state)
{
	uint64_t before = probes("kind=\"http\",result=\"failure\"");
	http_turns(*state, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 0, "status 503");
	assert_true(probes("kind=\"http\",result=\"failure\"") >= before + 3);
}

static void http_302_is_not_followed_and_needs_three_in_a_row(void **state)
{
	uint64_t before = probes("kind=\"http\",result=\"failure\"");
	http_turns(*state, "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", 0, "status 302");
	assert_true(probes("kind=\"http\",result=\"failure\"") >= before + 3);
}

static void http_another_status_flips_at_once(void **state)
{
	set_check_times(*state, 1000);
	http_turns(*state, "HTTP/1.0 404 Not Found\r\n\r\n", 0, "status 404");
}

static void http_silence_is_a_time_out(void **state)
{
	http_turns(*state, NULL, 0, "timeout");
}

static void http_one_byte_now_and_then_is_a_time_out(void **state)
{
	http_turns(*state, "HTTP/1.1 200 OK\r\n\r\n", 100, "timeout");
}

static void http_slow_but_in_time_is_a_success(void **state)
{
	struct fixture *f = *state;
	struct listener *l = listener_new(false);
	listener_slow(l, 2);
	use_http(f, "", "", 200);
	fake_add_state(f->desk, f->service, "127.0.0.1", listener_port(l), false);
	assert_string_equal(await(f, "127.0.0.1", listener_port(l), true), "");
	listener_free(l);
}

static void http_garbage_is_a_failure(void **state)
{
	http_turns(*state, "SSH-2.0-OpenSSH_9.2\r\n", 0, "the answer is not HTTP");
}

static void http_an_early_end_is_a_failure(void **state)
{
	http_turns(*state, "HTTP/1.1 20", 0, "closed without an answer");
}

static void http_a_huge_header_does_not_matter(void **state)
{
	struct fixture *f = *state;
	enum { HUGE_LEN = 1 << 20 };
	static const char line[] = "HTTP/1.1 200 OK\r\nX: ";
	char *answer = mem_alloc(HUGE_LEN);
	memset(answer, 'x', HUGE_LEN);
	memcpy(answer, line, sizeof(line) - 1);
	answer[HUGE_LEN - 1] = '\0';
	struct listener *l = listener_new(false);
	listener_answer(l, answer);
	use_http(f, "/", "", 200);
	fake_add_state(f->desk, f->service, "127.0.0.1", listener_port(l), false);
	assert_string_equal(await(f, "127.0.0.1", listener_port(l), true), "");
	listener_free(l);
	mem_free(answer);
}

static void http_the_expected_status_is_obeyed_be_it_503(void **state)
{
	struct fixture *f = *state;
	struct listener *l = listener_new(false);
	listener_answer(l, "HTTP/1.1 503 Maintenance\r\n\r\n");
	use_http(f, "/", "", 503);
	fake_add_state(f->desk, f->service, "127.0.0.1", listener_port(l), false);
	assert_string_equal(await(f, "127.0.0.1", listener_port(l), true), "");
	listener_answer(l, "HTTP/1.1 200 OK\r\n\r\n");
	assert_string_equal(await(f, "127.0.0.1", listener_port(l), false), "status 200");
	listener_free(l);
}

static void a_changed_checker_takes_effect_on_running_checks(void **state)
{
	struct fixture *f = *state;
	struct listener *l = listener_new(false);
	listener_answer(l, "HTTP/1.1 500 Oops\r\n\r\n");
	fake_add(f->desk, f->service, "127.0.0.1", listener_port(l));
	await_probes("kind=\"tcp\",result=\"ok\"", 2);
	use_http(f, "/", "", 200);
	assert_string_equal(await(f, "127.0.0.1", listener_port(l), false), "status 500");
	fake_checker(f->desk, f->service, &(struct checker){ .kind = CHECKER_TCP }, 80, true);
	assert_string_equal(await(f, "127.0.0.1", listener_port(l), true), "");
	listener_free(l);
}

static void checker_none_leaves_health_alone(void **state)
{
	struct fixture *f = *state;
	uint16_t port;
	int fd = port_that_refuses(&port);
	struct listener *l = listener_new(false);
	fake_checker(f->desk, f->service, &(struct checker){ .kind = CHECKER_NONE }, 80, true);
	fake_add(f->desk, f->service, "127.0.0.1", port);
	struct service *other = fake_service(f->desk, "other", false);
	fake_add(f->desk, other, "127.0.0.1", listener_port(l));
	await_probes("kind=\"tcp\",result=\"ok\"", 10); /* the other one has been probed all the while */
	assert_int_equal(fake_apply(f->desk), 0);
	listener_free(l);
	close(fd);
}

static void with_the_check_switch_off_there_are_no_probes(void **state)
{
	struct fixture *f = *state;
	uint16_t port;
	int fd = port_that_refuses(&port);
	switch_checks(f, false);
	fake_add(f->desk, f->service, "127.0.0.1", port);
	assert_int_equal(fake_await(f->desk, 1200), 0);
	switch_checks(f, true);
	assert_string_equal(await(f, "127.0.0.1", port, false), "connect refused");
	close(fd);
}

static void a_refused_verdict_is_sent_again(void **state)
{
	struct fixture *f = *state;
	uint16_t port;
	int fd = port_that_refuses(&port);
	fake_refuse(f->desk, E_UNAVAILABLE);
	fake_add(f->desk, f->service, "127.0.0.1", port);
	assert_int_equal(fake_await(f->desk, PATIENCE_MS), 1);
	fake_refuse(f->desk, E_OK);
	assert_string_equal(await(f, "127.0.0.1", port, false), "connect refused");
	close(fd);
}

static void a_verdict_is_sent_only_when_it_changes_something(void **state)
{
	struct fixture *f = *state;
	uint16_t port;
	int fd = port_that_refuses(&port);
	fake_add(f->desk, f->service, "127.0.0.1", port);
	assert_string_equal(await(f, "127.0.0.1", port, false), "connect refused");
	await_probes("kind=\"tcp\",result=\"failure_at_once\"", 5);
	assert_int_equal(fake_apply(f->desk), 0);
	fake_add(f->desk, f->service, "127.0.0.1", port); /* someone registers it anew, as healthy */
	assert_string_equal(await(f, "127.0.0.1", port, false), "connect refused");
	close(fd);
}

static void a_removed_instance_is_not_probed_any_more(void **state)
{
	struct fixture *f = *state;
	struct listener *l = listener_new(false);
	fake_add(f->desk, f->service, "127.0.0.1", listener_port(l));
	await_probes("kind=\"tcp\",result=\"ok\"", 1);
	fake_remove(f->desk, f->service, "127.0.0.1", listener_port(l));
	unsigned gauge = metrics_gauge("probe_targets", "Persistent instances by kind of check.", "kind=\"tcp\"");
	(void)gauge;
	usleep(100000); /* what was under way has ended */
	uint64_t then = probes("kind=\"tcp\",result=\"ok\"");
	usleep(300000);
	assert_int_equal(probes("kind=\"tcp\",result=\"ok\""), then);
	listener_free(l);
}

/* What is told of an instance leaves out what the one before it told of their cluster. */
static void instances_of_a_cluster_that_had_emptied_and_of_two_in_turn_are_probed(void **state)
{
	struct fixture *f = *state;
	struct service *mine = f->service, *other = fake_service(f->desk, "other", false);
	struct listener *l[3] = { listener_new(false), listener_new(false), listener_new(false) };
	fake_add(f->desk, mine, "127.0.0.1", listener_port(l[0]));
	fake_remove(f->desk, mine, "127.0.0.1", listener_port(l[0]));
	for (unsigned i = 0; i < 3; i++) {
		fake_add_state(f->desk, mine, "127.0.0.1", listener_port(l[i]), false);
		fake_add_state(f->desk, other, "127.0.0.1", listener_port(l[i]), false);
	}
	for (unsigned i = 0; i < 3; i++) {
		f->service = mine;
		assert_string_equal(await(f, "127.0.0.1", listener_port(l[i]), true), "");
		f->service = other;
		assert_string_equal(await(f, "127.0.0.1", listener_port(l[i]), true), "");
	}
	f->service = mine;
	for (unsigned i = 0; i < 3; i++)
		listener_free(l[i]);
}

static void host_names_and_other_kinds_keep_their_health(void **state)
{
	struct fixture *f = *state;
	struct service *e = fake_service(f->desk, "ephemeral", true);
	uint16_t port;
	int fd = port_that_refuses(&port);
	fake_add(f->desk, f->service, "no.such.host", port);
	fake_add(f->desk, e, "127.0.0.1", port);
	struct listener *l = listener_new(false);
	fake_add(f->desk, f->service, "127.0.0.1", listener_port(l));
	await_probes("kind=\"tcp\",result=\"ok\"", 10);
	assert_int_equal(fake_apply(f->desk), 0);
	listener_free(l);
	close(fd);
}

static void many_targets_with_few_probes_in_flight_all_get_their_verdict(void **state)
{
	struct fixture *f = *state;
	uint16_t port;
	int fd = port_that_refuses(&port);
	struct switches *s = fake_switches(f->desk);
	s->tcp = (struct check_params){ 100, 50, 0.5 };
	fake_publish(f->desk, s);
	for (unsigned k = 0; k < 500; k++) {
		char ip[32];
		snprintf(ip, sizeof(ip), "127.0.%u.%u", k / 200, k % 200 + 1);
		fake_add(f->desk, f->service, ip, port);
	}
	int64_t until = clock_ms() + PATIENCE_MS;
	while (fake_count(f->desk, f->service, true) > 0 && clock_ms() < until)
		fake_await(f->desk, 1000);
	assert_int_equal(fake_count(f->desk, f->service, true), 0);
	close(fd);
}

static void stopping_with_everything_under_way_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct silent s;
	struct listener *l = listener_new(false);
	listener_answer(l, NULL);
	silent_open(&s);
	fake_add(f->desk, f->service, "127.0.0.1", s.port);
	use_http(f, "/", "", 200);
	fake_add(f->desk, f->service, "127.0.0.1", listener_port(l));
	await_probes("kind=\"http\",result=\"failure\"", 1);
	silent_close(&s);
	listener_free(l);
} /* teardown stops it: ASan and the loop's own check look for what is left */

/* ---- knocks */

struct asked {
	struct knock_question q; /* first */
	_Atomic bool answered;
};

static void on_answer(struct knock_question *q)
{
	atomic_store(&((struct asked *)q)->answered, true);
}

static void knock(struct fixture *f, struct asked *a, struct knock *knocks, size_t count, int64_t until_ms)
{
	int64_t patience_ms = clock_ms() + PATIENCE_MS;
	struct registry_watcher watcher = prober_watcher(f->prober);
	watcher.on_turn(watcher.arg, 1); /* what was loaded is published */
	*a = (struct asked){ .q = { .knocks = knocks, .count = count, .until_ms = until_ms, .on_answer = on_answer } };
	assert_true(prober_knock(f->prober, &a->q));
	while (!atomic_load(&a->answered) && clock_ms() < patience_ms)
		usleep(1000);
	assert_true(atomic_load(&a->answered));
}

static void a_knock_tells_open_from_refused_from_nothing(void **state)
{
	struct fixture *f = *state;
	struct listener *l = listener_new(false);
	uint16_t port;
	int fd = port_that_refuses(&port);
	struct silent silent;
	struct asked a;
	silent_open(&silent);
	struct knock knocks[] = { { "127.0.0.1", listener_port(l), KNOCK_NOTHING }, { "127.0.0.1", port, KNOCK_NOTHING },
				  { "127.0.0.1", silent.port, KNOCK_OPEN }, { "a.host.name", port, KNOCK_OPEN },
				  { "::1", port, KNOCK_NOTHING } };
	knock(f, &a, knocks, 5, INT64_MAX);
	assert_int_equal(knocks[0].answer, KNOCK_OPEN);
	assert_int_equal(knocks[1].answer, KNOCK_REFUSED);
	assert_int_equal(knocks[2].answer, KNOCK_NOTHING);
	assert_int_equal(knocks[3].answer, KNOCK_NOTHING);
	assert_int_not_equal(knocks[4].answer, KNOCK_OPEN); /* there may be no IPv6 here */
	silent_close(&silent);
	close(fd);
	listener_free(l);
}

static void more_knocks_than_sockets_are_all_answered(void **state)
{
	enum { COUNT = 2000 };
	struct fixture *f = *state;
	struct knock *knocks = mem_zalloc(COUNT, sizeof(*knocks));
	struct asked a;
	uint16_t port;
	int fd = port_that_refuses(&port);
	for (size_t i = 0; i < COUNT; i++)
		knocks[i] = (struct knock){ "127.0.0.1", port, KNOCK_NOTHING };
	knock(f, &a, knocks, COUNT, INT64_MAX);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(knocks[i].answer, KNOCK_REFUSED);
	close(fd);
	mem_free(knocks);
}

static void a_knock_that_is_too_late_or_with_the_switch_off_says_nothing(void **state)
{
	struct fixture *f = *state;
	struct asked a;
	uint16_t port;
	int fd = port_that_refuses(&port);
	struct knock one = { "127.0.0.1", port, KNOCK_OPEN };
	knock(f, &a, &one, 1, clock_ms());
	assert_int_equal(one.answer, KNOCK_NOTHING);
	switch_checks(f, false);
	one.answer = KNOCK_OPEN;
	knock(f, &a, &one, 1, INT64_MAX);
	assert_int_equal(one.answer, KNOCK_NOTHING);
	close(fd);
}

static void knocks_wait_for_their_tokens_beside_checks(void **state)
{
	struct prober *slow;
	struct fixture *f = *state;
	struct fixture other = *f;
	struct asked a;
	uint16_t port;
	int fd = port_that_refuses(&port);
	struct knock knocks[30];
	assert_int_equal(prober_start(&slow, f->desk, &(struct prober_conf){ 100, 64 }, NULL), E_OK);
	for (size_t i = 0; i < 30; i++)
		knocks[i] = (struct knock){ "127.0.0.1", port, KNOCK_NOTHING };
	other.prober = slow;
	int64_t from_ms = clock_ms();
	knock(&other, &a, knocks, 30, INT64_MAX);
	assert_true(clock_ms() - from_ms >= 150); /* 10 at once, the others at 100 a second */
	for (size_t i = 0; i < 30; i++)
		assert_int_equal(knocks[i].answer, KNOCK_REFUSED);
	prober_stop(slow);
	prober_free(slow);
	close(fd);
}

static void stopping_answers_knocks_that_wait(void **state)
{
	struct fixture *f = *state;
	struct prober *slow;
	struct asked a = { .answered = false };
	struct silent silent;
	struct knock knocks[400];
	silent_open(&silent);
	assert_int_equal(prober_start(&slow, f->desk, &(struct prober_conf){ 1000, 64 }, NULL), E_OK);
	struct registry_watcher watcher = prober_watcher(slow);
	watcher.on_turn(watcher.arg, 1);
	for (size_t i = 0; i < 400; i++)
		knocks[i] = (struct knock){ "127.0.0.1", silent.port, KNOCK_OPEN };
	a.q = (struct knock_question){ .knocks = knocks, .count = 400, .until_ms = INT64_MAX, .on_answer = on_answer };
	assert_true(prober_knock(slow, &a.q));
	prober_stop(slow);
	assert_true(atomic_load(&a.answered));
	prober_free(slow);
	silent_close(&silent);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(tcp_an_open_port_makes_an_unhealthy_instance_healthy),
		WITH(tcp_a_refused_connection_flips_at_once),
		WITH(tcp_a_silent_host_needs_three_time_outs),
		WITH(tcp_over_ipv6_works),
		WITH(the_port_of_the_cluster_is_asked_when_it_says_so),
		WITH(a_port_that_closes_and_opens_again_is_followed),
		WITH(http_status_200_is_a_success),
		WITH(http_503_needs_three_in_a_row),
		WITH(http_302_is_not_followed_and_needs_three_in_a_row),
		WITH(http_another_status_flips_at_once),
		WITH(http_silence_is_a_time_out),
		WITH(http_one_byte_now_and_then_is_a_time_out),
		WITH(http_slow_but_in_time_is_a_success),
		WITH(http_garbage_is_a_failure),
		WITH(http_an_early_end_is_a_failure),
		WITH(http_a_huge_header_does_not_matter),
		WITH(http_the_expected_status_is_obeyed_be_it_503),
		WITH(a_changed_checker_takes_effect_on_running_checks),
		WITH(checker_none_leaves_health_alone),
		WITH(with_the_check_switch_off_there_are_no_probes),
		WITH(a_refused_verdict_is_sent_again),
		WITH(a_verdict_is_sent_only_when_it_changes_something),
		WITH(a_removed_instance_is_not_probed_any_more),
		WITH(instances_of_a_cluster_that_had_emptied_and_of_two_in_turn_are_probed),
		WITH(host_names_and_other_kinds_keep_their_health),
		WITH(many_targets_with_few_probes_in_flight_all_get_their_verdict),
		WITH(stopping_with_everything_under_way_leaves_nothing),
		WITH(a_knock_tells_open_from_refused_from_nothing),
		WITH(more_knocks_than_sockets_are_all_answered),
		WITH(a_knock_that_is_too_late_or_with_the_switch_off_says_nothing),
		WITH(knocks_wait_for_their_tokens_beside_checks),
		WITH(stopping_answers_knocks_that_wait),
	};
	return cmocka_run_group_tests_name("prober", tests, NULL, NULL);
}

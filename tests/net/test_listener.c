/* test_listener.c - addresses, and who is let in. */
#include "tests/net/http_fixture.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REQUEST "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static void a_port_is_taken_and_told(void **state)
{
	struct fixture f = { 0 };
	(void)state;
	fixture_start(&f);
	assert_int_not_equal(f.port, 0);
	const struct sockaddr_in *at = (const void *)listener_address(f.listener);
	assert_int_equal(at->sin_family, AF_INET);
	assert_int_equal(ntohs(at->sin_port), f.port);
	fixture_stop(&f);
}

static void an_address_in_use_is_named(void **state)
{
	struct fixture f = { 0 };
	struct error err = { 0 };
	char text[64];
	(void)state;
	fixture_start(&f);
	struct listener *second = NULL;
	int rc = http_server_listen(f.server, listener_address(f.listener), &f.listen_conf, 0,
				    &second, &err);
	assert_int_equal(rc, E_EXISTS);
	assert_null(second);
	snprintf(text, sizeof(text), "127.0.0.1:%u", f.port);
	assert_non_null(strstr(err.text, text));
	assert_non_null(strstr(err.text, "in use"));
	fixture_stop(&f);
}

static void an_address_that_is_not_ours_is_named(void **state)
{
	struct fixture f = { 0 };
	struct error err = { 0 };
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct sockaddr other = { .sa_family = AF_UNIX };
	(void)state;
	fixture_start(&f);
	inet_pton(AF_INET, "192.0.2.1", &at.sin_addr);
	assert_true(http_server_listen(f.server, (struct sockaddr *)&at, &f.listen_conf, 0, NULL,
				       &err) < 0);
	assert_non_null(strstr(err.text, "192.0.2.1:0"));
	assert_int_equal(http_server_listen(f.server, &other, &f.listen_conf, 0,
					    NULL, &err),
			 E_INVALID);
	fixture_stop(&f);
}

static void ipv6_and_ipv4_share_a_port(void **state)
{
	struct fixture f = { 0 };
	struct error err;
	struct sockaddr_in6 at = { .sin6_family = AF_INET6 };
	struct listener *six;
	int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)state;
	at.sin6_addr = in6addr_loopback;
	if (probe < 0 || bind(probe, (struct sockaddr *)&at, sizeof(at)) < 0) {
		close(probe);
		skip(); /* a host without IPv6 */
	}
	close(probe);
	fixture_start(&f);
	at.sin6_addr = in6addr_any; /* V6ONLY, or it would take the IPv4 port too */
	at.sin6_port = htons(f.port);
	assert_int_equal(http_server_listen(f.server, (struct sockaddr *)&at, &f.listen_conf, 6,
					    &six, &err),
			 E_OK);
	assert_int_equal(listener_port(six), f.port);
	f.mode = ANSWER_LATER;
	at.sin6_addr = in6addr_loopback;
	struct client c = { .f = &f, .got = test_calloc(1, CLIENT_GOT_MAX) };
	c.fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(c.fd, (struct sockaddr *)&at, sizeof(at)), 0);
	client_say(&c, REQUEST);
	fixture_until(&f, &f.held_count, 1);
	assert_int_equal(f.held[0]->listener_tag, 6);
	assert_int_equal(f.held[0]->peer->sa_family, AF_INET6);
	http_reply_text(f.held[0], 200, "six");
	f.held_count = 0;
	client_expect(&c, 200, "six");
	close(c.fd);
	test_free(c.got);
	fixture_stop(&f);
}

static void connections_of_one_address_are_limited(void **state)
{
	struct fixture f = { .listen_conf.conns_per_peer = 2 };
	struct client c[3];
	(void)state;
	fixture_start(&f);
	for (int round = 0; round < 3; round++) { /* counts go down again */
		for (int i = 0; i < 2; i++) {
			client_open(&c[i], &f);
			client_say(&c[i], REQUEST);
			client_expect(&c[i], 200, NULL);
		}
		client_open(&c[2], &f);
		client_until_end(&c[2]);
		assert_int_equal(c[2].len, 0);
		assert_int_equal(listener_counts(f.listener)->refused_peer, round + 1);
		for (int i = 0; i < 3; i++)
			client_close(&c[i]);
		while (listener_counts(f.listener)->open > 0)
			fixture_turn(&f);
	}
	assert_int_equal(listener_counts(f.listener)->accepted, 6);
	fixture_stop(&f);
}

static void all_connections_together_are_limited(void **state)
{
	struct fixture f = { .listen_conf.conns_max = 1 };
	struct client c[2];
	(void)state;
	fixture_start(&f);
	client_open(&c[0], &f);
	client_say(&c[0], REQUEST);
	client_expect(&c[0], 200, NULL);
	client_open(&c[1], &f);
	client_until_end(&c[1]);
	assert_int_equal(listener_counts(f.listener)->refused_total, 1);
	client_say(&c[0], REQUEST);
	client_expect(&c[0], 200, NULL);
	client_close(&c[0]);
	client_close(&c[1]);
	fixture_stop(&f);
}

static void the_server_limits_its_connections_too(void **state)
{
	struct fixture f = { .conf.conns_max = 1 };
	struct client c[2];
	(void)state;
	fixture_start(&f);
	client_open(&c[0], &f);
	client_say(&c[0], REQUEST);
	client_expect(&c[0], 200, NULL);
	client_open(&c[1], &f);
	client_until_end(&c[1]);
	client_say(&c[0], REQUEST);
	client_expect(&c[0], 200, NULL);
	client_close(&c[0]);
	client_close(&c[1]);
	fixture_stop(&f);
}

static bool deny(void *arg, const struct sockaddr *peer)
{
	const struct sockaddr_in *v4 = (const void *)peer;
	*(uint32_t *)arg = ntohl(v4->sin_addr.s_addr);
	return false;
}

static void a_peer_that_is_not_allowed_is_closed_unread(void **state)
{
	uint32_t seen = 0;
	struct fixture f = { .listen_conf = { .allow = deny, .allow_arg = &seen } };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_until_end(&c);
	assert_int_equal(c.len, 0);
	assert_int_equal(seen, INADDR_LOOPBACK);
	assert_int_equal(listener_counts(f.listener)->refused_allow, 1);
	assert_int_equal(http_server_counts(f.server)->connections, 0);
	client_close(&c);
	fixture_stop(&f);
}

static void a_listener_goes_and_its_connections_stay(void **state)
{
	struct fixture f = { 0 };
	struct client c;
	(void)state;
	fixture_start(&f);
	client_open(&c, &f);
	client_say(&c, REQUEST);
	client_expect(&c, 200, NULL);
	http_server_unlisten(f.server, f.listener);
	for (int i = 0; i < 5; i++)
		fixture_turn(&f);
	client_say(&c, REQUEST);
	client_expect(&c, 200, NULL);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(f.port) };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), -1);
	close(fd);
	client_close(&c);
	fixture_stop(&f);
}

static void loops_may_share_a_port(void **state)
{
	struct fixture a = { .listen_conf.reuse_port = true };
	struct error err;
	struct listener *second;
	(void)state;
	fixture_start(&a);
	assert_int_equal(http_server_listen(a.server, listener_address(a.listener), &a.listen_conf,
					    0, &second, &err),
			 E_OK);
	assert_int_equal(listener_port(second), a.port);
	fixture_stop(&a);
}

/* A loopback socket on a free port, whose port nobody else has on any address: another program's on 127.0.0.2, or a client's
 * end, would keep the wildcard from it. */
static int bind_alone(struct sockaddr_in *wanted)
{
	struct sockaddr_in all = { .sin_family = AF_INET };
	struct sockaddr_storage bound;
	struct error err;
	for (int tries = 0; tries < 100; tries++) {
		int fd = -1, third = -1;
		wanted->sin_port = 0;
		assert_int_equal(listener_socket(&fd, (struct sockaddr *)wanted, false, &bound, &err), E_OK);
		wanted->sin_port = all.sin_port = ((struct sockaddr_in *)(void *)&bound)->sin_port;
		if (listener_socket(&third, (struct sockaddr *)&all, true, &bound, &err) == E_OK) {
			close(third);
			return fd;
		}
		close(fd);
	}
	fail_msg("no port is free on every address");
	return -1;
}

/* Bound on one thread, served on another; alone at first, joined by others of ours only. */
static void a_bound_socket_is_served_and_shared_only_on_purpose(void **state)
{
	struct fixture f = { 0 };
	struct error err;
	struct sockaddr_in wanted = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_storage bound;
	struct listener *l = NULL;
	struct client c;
	int second = -1;
	(void)state;
	fixture_start(&f);
	int fd = bind_alone(&wanted);
	assert_int_not_equal(wanted.sin_port, 0);
	assert_int_equal(listener_socket(&second, (struct sockaddr *)&wanted, false, &bound, &err), E_EXISTS);
	assert_non_null(strstr(err.text, "in use"));
	assert_int_equal(second, -1);
	assert_int_equal(listener_socket(&second, (struct sockaddr *)&wanted, true, &bound, &err), E_OK);
	close(second);
	struct listener_conf conf = { .has_fd = true, .fd = fd };
	assert_int_equal(http_server_listen(f.server, (struct sockaddr *)&wanted, &conf, 0, &l, &err), E_OK);
	assert_int_equal(listener_port(l), ntohs(wanted.sin_port));
	f.port = listener_port(l);
	client_open(&c, &f);
	client_say(&c, REQUEST);
	client_expect(&c, 200, NULL);
	client_close(&c);
	fixture_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_is_taken_and_told),
		cmocka_unit_test(an_address_in_use_is_named),
		cmocka_unit_test(an_address_that_is_not_ours_is_named),
		cmocka_unit_test(ipv6_and_ipv4_share_a_port),
		cmocka_unit_test(connections_of_one_address_are_limited),
		cmocka_unit_test(all_connections_together_are_limited),
		cmocka_unit_test(the_server_limits_its_connections_too),
		cmocka_unit_test(a_peer_that_is_not_allowed_is_closed_unread),
		cmocka_unit_test(a_listener_goes_and_its_connections_stay),
		cmocka_unit_test(loops_may_share_a_port),
		cmocka_unit_test(a_bound_socket_is_served_and_shared_only_on_purpose),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

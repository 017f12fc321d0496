/* test_udp_out.c - answers that go out together: what each client receives, and that the system may refuse to cut them. */
#include "dnsd/udp_out.h"
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { CLIENTS = 3 };

struct sender {
	int fd, clients[CLIENTS];
	union udp_peer peers[UDP_BATCH];
	struct msghdr to[UDP_BATCH];
	uint8_t bytes[UDP_BATCH][4096];
	size_t added;
	struct udp_out out;
};

static int bound(union udp_peer *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(at->in4);
	*at = (union udp_peer){ .in4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &at->any, sizeof(at->in4)), 0);
	assert_int_equal(getsockname(fd, &at->any, &len), 0);
	return fd;
}

static int open_sender(void **state)
{
	struct sender *s = calloc(1, sizeof(*s));
	union udp_peer at;
	assert_non_null(s);
	s->fd = bound(&at);
	for (int i = 0; i < CLIENTS; i++) {
		union udp_peer client;
		s->clients[i] = bound(&client);
		s->peers[i] = client;
	}
	*state = s;
	return 0;
}

static int close_sender(void **state)
{
	struct sender *s = *state;
	for (int i = 0; i < CLIENTS; i++)
		close(s->clients[i]);
	close(s->fd);
	free(s);
	return 0;
}

/* Each answer is its number again and again. */
static void add(struct sender *s, int client, size_t len)
{
	size_t i = s->added++;
	s->to[i] = (struct msghdr){ .msg_name = &s->peers[client], .msg_namelen = sizeof(s->peers[client].in4) };
	memset(s->bytes[i], (int)i, len);
	udp_out_add(&s->out, &s->to[i], s->bytes[i], len, true);
}

static void expect(struct sender *s, int client, size_t number, size_t len)
{
	uint8_t got[8192];
	struct pollfd p = { .fd = s->clients[client], .events = POLLIN };
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(recv(p.fd, got, sizeof(got), 0), len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(got[i], number);
}

static void expect_nothing_more(struct sender *s)
{
	uint8_t got[64];
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(recv(s->clients[i], got, sizeof(got), MSG_DONTWAIT), -1);
}

static void answers_of_a_size_to_one_client_are_one_message(void **state)
{
	struct sender *s = *state;
	assert_true(udp_can_cut(s->fd));
	for (size_t i = 0; i < UDP_BATCH; i++)
		add(s, 0, i + 1 < UDP_BATCH ? 100 : 40); /* the last may be shorter */
	assert_int_equal(s->out.message_count, 1);
	assert_int_equal(udp_out_send(&s->out, s->fd), 0);
	for (size_t i = 0; i < UDP_BATCH; i++)
		expect(s, 0, i, i + 1 < UDP_BATCH ? 100 : 40);
	expect_nothing_more(s);
	assert_int_equal(s->out.apart, 0);
	assert_int_equal(s->out.message_count, 0);
}

static void another_client_and_another_size_begin_a_message(void **state)
{
	struct sender *s = *state;
	static const struct {
		int client;
		size_t len;
		unsigned messages;
	} rows[] = { { 0, 100, 1 }, { 0, 100, 1 }, { 1, 100, 2 }, { 1, 101, 3 }, { 1, 50, 3 }, { 1, 50, 4 }, { 2, 50, 5 }, { 0, 50, 6 } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		add(s, rows[i].client, rows[i].len);
		assert_int_equal(s->out.message_count, rows[i].messages);
	}
	assert_int_equal(udp_out_send(&s->out, s->fd), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(s, rows[i].client, i, rows[i].len);
	expect_nothing_more(s);
}

/* 32 of 4096 octets do not fit into one datagram, which they are until they are cut. */
static void a_message_keeps_to_the_size_of_a_datagram(void **state)
{
	struct sender *s = *state;
	for (size_t i = 0; i < UDP_BATCH; i++)
		add(s, 0, 4096);
	assert_int_equal(s->out.message_count, 3);
	assert_int_equal(udp_out_send(&s->out, s->fd), 0);
	for (size_t i = 0; i < UDP_BATCH; i++)
		expect(s, 0, i, 4096);
	assert_int_equal(s->out.apart, 0);
}

/* A socket without checksums stands in for a device without them: the system refuses to cut for both. */
static void what_is_not_cut_goes_one_by_one(void **state)
{
	struct sender *s = *state;
	int on = 1;
	assert_int_equal(setsockopt(s->fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)), 0);
	for (int i = 0; i < 6; i++)
		add(s, i < 4 ? 0 : 1, 100);
	assert_int_equal(s->out.message_count, 2);
	assert_int_equal(udp_out_send(&s->out, s->fd), 0);
	for (size_t i = 0; i < 6; i++)
		expect(s, i < 4 ? 0 : 1, i, 100);
	expect_nothing_more(s);
	assert_true(s->out.apart > 0);
	add(s, 0, 100);
	add(s, 0, 100);
	assert_int_equal(s->out.message_count, 2); /* it is not tried at once again */
	for (unsigned left = s->out.apart; left > 0; left--)
		assert_int_equal(udp_out_send(&s->out, s->fd), 0);
	expect(s, 0, 6, 100);
	expect(s, 0, 7, 100);
	add(s, 0, 100);
	add(s, 0, 100);
	assert_int_equal(s->out.message_count, 1);
	assert_int_equal(udp_out_send(&s->out, s->fd), 0);
	expect(s, 0, 8, 100);
	expect(s, 0, 9, 100);
}

static size_t source_from(uint8_t *control, uint32_t address)
{
	struct msghdr h = { .msg_control = control, .msg_controllen = UDP_CONTROL_MAX };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(address) };
	*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(info)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO };
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return CMSG_SPACE(sizeof(info));
}

static void answers_from_two_addresses_stay_apart(void **state)
{
	struct sender *s = *state;
	union udp_peer any = { .in4 = { .sin_family = AF_INET } };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	_Alignas(struct cmsghdr) uint8_t control[2][UDP_CONTROL_MAX] = { 0 };
	const uint32_t from[2] = { INADDR_LOOPBACK, INADDR_LOOPBACK + 1 };
	assert_int_equal(bind(fd, &any.any, sizeof(any.in4)), 0);
	for (int i = 0; i < 4; i++) {
		size_t len = source_from(control[i / 2], from[i / 2]);
		s->to[i] = (struct msghdr){ .msg_name = &s->peers[0], .msg_namelen = sizeof(s->peers[0].in4), .msg_control = control[i / 2],
					    .msg_controllen = len };
		memset(s->bytes[i], i, 30);
		udp_out_add(&s->out, &s->to[i], s->bytes[i], 30, true);
	}
	assert_int_equal(s->out.message_count, 2);
	assert_int_equal(udp_out_send(&s->out, fd), 0);
	for (int i = 0; i < 4; i++) {
		uint8_t got[64];
		struct sockaddr_in source;
		socklen_t len = sizeof(source);
		struct pollfd p = { .fd = s->clients[0], .events = POLLIN };
		assert_int_equal(poll(&p, 1, 10000), 1);
		assert_int_equal(recvfrom(p.fd, got, sizeof(got), 0, (struct sockaddr *)&source, &len), 30);
		assert_int_equal(got[0], i);
		assert_int_equal(ntohl(source.sin_addr.s_addr), from[i / 2]);
	}
	close(fd);
}

static void an_answer_that_cannot_go_takes_no_other_with_it(void **state)
{
	struct sender *s = *state;
	union udp_peer nowhere = s->peers[1];
	nowhere.in4.sin_addr.s_addr = htonl(0xffffffff); /* broadcast: refused to a socket that did not ask for it */
	add(s, 0, 100);
	s->peers[1] = nowhere;
	add(s, 1, 100);
	add(s, 1, 100);
	add(s, 2, 100);
	assert_int_equal(s->out.message_count, 3);
	assert_int_equal(udp_out_send(&s->out, s->fd), 2);
	expect(s, 0, 0, 100);
	expect(s, 2, 3, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_of_a_size_to_one_client_are_one_message, open_sender, close_sender),
		cmocka_unit_test_setup_teardown(another_client_and_another_size_begin_a_message, open_sender, close_sender),
		cmocka_unit_test_setup_teardown(a_message_keeps_to_the_size_of_a_datagram, open_sender, close_sender),
		cmocka_unit_test_setup_teardown(what_is_not_cut_goes_one_by_one, open_sender, close_sender),
		cmocka_unit_test_setup_teardown(answers_from_two_addresses_stay_apart, open_sender, close_sender),
		cmocka_unit_test_setup_teardown(an_answer_that_cannot_go_takes_no_other_with_it, open_sender, close_sender),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

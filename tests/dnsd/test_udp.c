/* test_udp.c - the running server over datagrams: addresses, batches, what is dropped, no memory per query. */
#include "base/mem.h"
#include "base/metrics.h"
#include "dnsd/sockets.h"
#include "dnsd/udp.h"
#include "tests/dnsd/server_fixture.h"
#include "tests/support/stub_zones.h"
#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct wire in;
static uint8_t out[4096];

static ssize_t exchange_on(int fd)
{
	assert_int_equal(send(fd, in.at, in.len, 0), in.len);
	return recv(fd, out, sizeof out, 0);
}

static void expect_four_addresses(int fd)
{
	wire_query(&in, "S00300.Svc.tesT", RR_A);
	ssize_t n = exchange_on(fd);
	assert_int_equal(n, 12 + 16 + 5 + 4 * 16);
	assert_memory_equal(out + 12, in.at + 12, in.len - 12);
	assert_int_equal(wire_get16(out + 6), 4);
	assert_true(wire_ldns_reads(out, (size_t)n));
}

static void both_families_answer_and_ports_are_shared_by_udp_and_tcp(void **state)
{
	struct fixture *f = *state;
	f->listens[1].addr = address_of("::1", 0);
	f->conf.listen_count = 2;
	server_start(f);
	assert_int_equal(f->addr_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_not_equal(address_port(&f->addrs[i]), 0);
		int udp = client_udp(&f->addrs[i]), tcp = client_tcp(&f->addrs[i]);
		expect_four_addresses(udp);
		stream_query(tcp, &in);
		assert_int_equal(stream_read(tcp, out, sizeof out), 12 + 16 + 5 + 4 * 16);
		close(udp);
		close(tcp);
	}
}

/* Connected clients take only what comes from the address they asked. */
static void a_wildcard_answers_from_the_address_asked(void **state)
{
	struct fixture *f = *state;
	f->listens[0].addr = address_of("0.0.0.0", 0);
	f->listens[1].addr = address_of("::", 0);
	f->conf.listen_count = 2;
	server_start(f);
	static const char *const hosts[] = { "127.0.0.1", "127.0.0.2", "127.255.255.254", "::1" };
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0] && (i < 3 || f->addr_count == 2); i++) {
		struct sockaddr_storage at = address_of(hosts[i], address_port(&f->addrs[i == 3]));
		int udp = client_udp(&at);
		expect_four_addresses(udp);
		close(udp);
	}
}

static void every_worker_has_its_share_of_many_clients(void **state)
{
	struct fixture *f = *state;
	f->conf.threads = 4;
	server_start(f);
	for (int i = 0; i < 64; i++) {
		int fd = client_udp(&f->addrs[0]);
		expect_four_addresses(fd);
		close(fd);
	}
}

static void a_burst_beyond_one_batch_is_answered_whole(void **state)
{
	struct fixture *f = *state;
	server_start(f);
	int fd = client_udp(&f->addrs[0]);
	bool seen[1000] = { false };
	for (unsigned from = 0; from < 1000; from += 200) {
		for (unsigned i = from; i < from + 200; i++) {
			wire_query(&in, "a.test", RR_A);
			in.at[0] = (uint8_t)(i >> 8);
			in.at[1] = (uint8_t)i;
			assert_int_equal(send(fd, in.at, in.len, 0), in.len);
		}
		for (unsigned i = 0; i < 200; i++) {
			assert_true(recv(fd, out, sizeof out, 0) > 12);
			unsigned id = wire_get16(out);
			assert_true(id < 1000 && !seen[id]);
			seen[id] = true;
		}
	}
	close(fd);
}

/* What must get no answer is followed by a query that gets one, so nothing has to be waited for. */
static void what_is_no_query_is_dropped_and_the_next_one_answered(void **state)
{
	struct fixture *f = *state;
	server_start(f);
	int fd = client_udp(&f->addrs[0]);
	static uint8_t big[9000];
	assert_int_equal(send(fd, big, 0, 0), 0);
	assert_int_equal(send(fd, big, 11, 0), 11);
	big[2] = 0x80;
	assert_int_equal(send(fd, big, 12, 0), 12);
	big[2] = 0;
	assert_int_equal(send(fd, big, 2049, 0), 2049);
	assert_int_equal(send(fd, big, sizeof big, 0), sizeof big);
	expect_four_addresses(fd);
	assert_int_equal(send(fd, big, 2048, 0), 2048); /* the longest that is looked at */
	assert_int_equal(recv(fd, out, sizeof out, 0), 12);
	assert_int_equal(out[3] & 15, RCODE_FORMERR);
	close(fd);
}

static void a_datagram_of_our_own_address_and_port_is_dropped(void **state)
{
	struct fixture *f = *state;
	f->conf.threads = 1;
	server_start(f);
	struct dns_counters cells;
	dns_counters_declare(&cells);
	dns_counters_zones(&cells, NULL);
	uint64_t before = metrics_value(cells.dropped[DROP_LOOP]);
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
	if (fd < 0)
		skip(); /* needs the right to forge a source */
	wire_query(&in, "a.test", RR_A);
	uint8_t datagram[600];
	unsigned port = port_of(f);
	uint8_t head[8] = { (uint8_t)(port >> 8), (uint8_t)port, (uint8_t)(port >> 8), (uint8_t)port,
			    (uint8_t)((in.len + 8) >> 8), (uint8_t)(in.len + 8), 0, 0 };
	memcpy(datagram, head, 8);
	memcpy(datagram + 8, in.at, in.len);
	struct sockaddr_storage to = address_of("127.0.0.1", 0);
	assert_true(sendto(fd, datagram, in.len + 8, 0, (struct sockaddr *)&to, sizeof(struct sockaddr_in)) > 0);
	datagram[0] = datagram[1] = 0; /* source port 0 */
	uint64_t ports = metrics_value(cells.dropped[DROP_PORT]);
	assert_true(sendto(fd, datagram, in.len + 8, 0, (struct sockaddr *)&to, sizeof(struct sockaddr_in)) > 0);
	close(fd);
	int client = client_udp(&f->addrs[0]);
	expect_four_addresses(client); /* both are behind it by now */
	close(client);
	dns_server_stop(f->server); /* and counted */
	f->server = NULL;
	assert_int_equal(metrics_value(cells.dropped[DROP_LOOP]) - before, 1);
	assert_int_equal(metrics_value(cells.dropped[DROP_PORT]) - ports, 1);
}

static void queries_are_counted_by_zone_type_rcode_and_transport(void **state)
{
	struct fixture *f = *state;
	server_start(f);
	unsigned good = metrics_counter("dns_queries_total", "",
					"zone=\"test\",type=\"A\",rcode=\"NOERROR\",transport=\"udp\"");
	unsigned refused = metrics_counter("dns_queries_total", "",
					   "zone=\"\",type=\"\",rcode=\"REFUSED\",transport=\"tcp\"");
	uint64_t good_before = metrics_value(good), refused_before = metrics_value(refused);
	int fd = client_udp(&f->addrs[0]), tcp = client_tcp(&f->addrs[0]);
	for (int i = 0; i < 10; i++)
		expect_four_addresses(fd);
	wire_query(&in, "a.example", RR_A);
	for (int i = 0; i < 3; i++) {
		stream_query(tcp, &in);
		assert_true(stream_read(tcp, out, sizeof out) > 0);
	}
	close(fd);
	close(tcp);
	dns_server_stop(f->server);
	f->server = NULL;
	assert_int_equal(metrics_value(good) - good_before, 10);
	assert_int_equal(metrics_value(refused) - refused_before, 3);
}

static void a_taken_address_is_a_conflict_and_leaves_nothing_open(void **state)
{
	struct fixture *f = *state;
	server_start(f);
	struct dns_listen both[2] = { { address_of("127.0.0.1", 0) }, { f->addrs[0] } };
	struct dns_server_conf conf = f->conf;
	struct dns_server *second = NULL;
	struct error err = { 0 };
	conf.listens = both;
	conf.listen_count = 2;
	int fd_before = dup(0);
	close(fd_before);
	assert_int_equal(dns_server_start(&second, &conf, &err), E_CONFLICT);
	assert_null(second);
	char text[ADDRESS_TEXT_MAX];
	address_format(text, &f->addrs[0]);
	assert_non_null(strstr(err.text, text));
	int fd_after = dup(0);
	close(fd_after);
	assert_int_equal(fd_after, fd_before);
}

static void a_stopped_server_frees_its_port_in_well_under_a_second(void **state)
{
	struct fixture *f = *state;
	server_start(f);
	int tcp = client_tcp(&f->addrs[0]);
	wire_query(&in, "a.test", RR_A);
	stream_query(tcp, &in);
	assert_true(stream_read(tcp, out, sizeof out) > 0);
	struct timespec from, to;
	clock_gettime(CLOCK_MONOTONIC, &from);
	dns_server_stop(f->server);
	f->server = NULL;
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true((double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9 < 0.5);
	assert_int_equal(stream_read(tcp, out, sizeof out), 0);
	close(tcp);
	f->listens[0].addr = f->addrs[0];
	server_start(f); /* the same port again */
	int udp = client_udp(&f->addrs[0]);
	expect_four_addresses(udp);
	close(udp);
}

/* The socket's own code on a loop of this thread, so that this thread's allocations are the worker's. */
static void ten_thousand_datagrams_ask_for_no_memory(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct dns_counters cells;
	static struct responder responder;
	static struct zone_slot none;
	struct socket_pair pair;
	struct udp_socket socket;
	struct sockaddr_storage at = address_of("0.0.0.0", 0);
	struct error err = { 0 };
	uv_loop_init(&loop);
	dns_counters_declare(&cells);
	dns_counters_zones(&cells, NULL);
	responder_init(&responder, &none, &cells, &(struct responder_conf){ .udp_size = 1232, .keepalive_ms = 10000 });
	assert_int_equal(sockets_bind(&pair, 1, &at, 0, &err), E_OK);
	struct udp_batch *batch = udp_batch_new(true);
	assert_int_equal(udp_socket_open(&socket, &loop, pair.udp, &at, &(struct dns_place){ 0 }, batch, &responder, &err), E_OK);
	struct sockaddr_storage here = address_of("127.0.0.1", address_port(&at));
	int fd = client_udp(&here);
	wire_query_edns(&in, "s01234.svc.test", RR_A, 1232, NULL, 0);
	uint64_t before = mem_thread_count();
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 100; i++)
			assert_int_equal(send(fd, in.at, in.len, 0), in.len);
		uv_run(&loop, UV_RUN_NOWAIT);
		for (int i = 0; i < 100; i++)
			assert_true(recv(fd, out, sizeof out, 0) > 0);
	}
	assert_int_equal(mem_thread_count() - before, 0);
	close(fd);
	udp_socket_close(&socket, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	udp_batch_free(batch);
	close(pair.tcp);
}

int main(void)
{
#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		SERVER_TEST(both_families_answer_and_ports_are_shared_by_udp_and_tcp),
		SERVER_TEST(a_wildcard_answers_from_the_address_asked),
		SERVER_TEST(every_worker_has_its_share_of_many_clients),
		SERVER_TEST(a_burst_beyond_one_batch_is_answered_whole),
		SERVER_TEST(what_is_no_query_is_dropped_and_the_next_one_answered),
		SERVER_TEST(a_datagram_of_our_own_address_and_port_is_dropped),
		SERVER_TEST(queries_are_counted_by_zone_type_rcode_and_transport),
		SERVER_TEST(a_taken_address_is_a_conflict_and_leaves_nothing_open),
		SERVER_TEST(a_stopped_server_frees_its_port_in_well_under_a_second),
		cmocka_unit_test(ten_thousand_datagrams_ask_for_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

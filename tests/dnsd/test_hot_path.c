/* test_hot_path.c - what a UDP query may cost: datagrams of every kind through the socket's own code and real zones, on
 * this thread's loop, while every way to memory, to a lock and to the log is counted (the linker's --wrap, so that
 * calls beside base/mem.h are seen as well). */
#include "base/log.h"
#include "base/mem.h"
#include "dnsd/sockets.h"
#include "dnsd/udp.h"
#include "tests/support/dns_wire.h"
#include "tests/support/view_maker.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
enum { RCU_IS_A_LOCK = 1 }; /* see base/rcu.h */
#else
enum { RCU_IS_A_LOCK = 0 };
#endif

static struct {
	bool on;
	unsigned allocations, locks, lines;
} seen;

#define WRAP_ALLOCATION(ret, name, params, args)                                                                       \
	ret __real_##name params;                                                                                      \
	ret __wrap_##name params;                                                                                      \
	ret __wrap_##name params                                                                                       \
	{                                                                                                              \
		seen.allocations += seen.on;                                                                           \
		return __real_##name args;                                                                             \
	}
#define WRAP_LOCK(name, type)                                                                                          \
	int __real_##name(type *lock);                                                                                 \
	int __wrap_##name(type *lock);                                                                                 \
	int __wrap_##name(type *lock)                                                                                  \
	{                                                                                                              \
		seen.locks += seen.on;                                                                                 \
		return __real_##name(lock);                                                                            \
	}
WRAP_ALLOCATION(void *, malloc, (size_t size), (size))
WRAP_ALLOCATION(void *, calloc, (size_t count, size_t size), (count, size))
WRAP_ALLOCATION(void *, realloc, (void *at, size_t size), (at, size))
WRAP_ALLOCATION(int, posix_memalign, (void **ret, size_t align, size_t size), (ret, align, size))
WRAP_LOCK(pthread_mutex_lock, pthread_mutex_t)
WRAP_LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
WRAP_LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)

void __real_uv_mutex_lock(uv_mutex_t *lock);
void __wrap_uv_mutex_lock(uv_mutex_t *lock);
void __wrap_uv_mutex_lock(uv_mutex_t *lock)
{
	seen.locks += seen.on;
	__real_uv_mutex_lock(lock);
}

void __wrap_log_line(enum log_level level, const char *area, const char *format, ...);
void __wrap_log_line(enum log_level level, const char *area, const char *format, ...)
{
	(void)level, (void)area, (void)format;
	seen.lines += seen.on;
}

void __wrap_log_each(enum log_level level, const char *area, const char *format, ...);
void __wrap_log_each(enum log_level level, const char *area, const char *format, ...)
{
	(void)level, (void)area, (void)format;
	seen.lines += seen.on;
}

struct fixture {
	uv_loop_t loop;
	struct rcu_reaper *reaper;
	struct zone_set *zones;
	struct zone_slot slot;
	struct dns_counters cells;
	struct responder responder;
	struct udp_batch *batch;
	struct udp_socket socket;
	struct service_view *views[3];
	int client, tcp;
};

static void publish(struct fixture *f, unsigned n, const char *name, unsigned count)
{
	static const struct pair metadata[] = { { "version", "v1", 7, 2 }, { "dns.port-name", "http", 13, 4 } };
	struct registry_watcher w = zone_set_watcher(f->zones);
	struct view_row *rows = calloc(count, sizeof(*rows));
	char(*ips)[48] = calloc(count, sizeof(*ips));
	for (unsigned i = 0; i < count; i++) {
		if (i % 5 == 4)
			snprintf(ips[i], sizeof(ips[i]), "2001:db8::%x", i);
		else
			snprintf(ips[i], sizeof(ips[i]), "10.%u.%u.%u", n, i >> 8 & 255, i & 255);
		rows[i] = (struct view_row){ ips[i], 80, 1 + i % 3, true, true, metadata, 2 };
	}
	f->views[n] = view_make(n + 1, name, rows, count);
	w.on_view(w.arg, NULL, f->views[n]);
	free(rows);
	free(ips);
}

static void zones_start(struct fixture *f)
{
	static const char *const keys[] = { "version" };
	static const struct zone_conf zone = { .name = "test", .layout = LAYOUT_FULL };
	const struct zone_set_conf conf = { .zones = &zone, .zone_count = 1, .ttl = 5, .ttl_host = 60, .ttl_negative = 5,
					    .ttl_apex = 3600, .ttl_version = 28800, .mode = SELECT_AUTO, .cap = 16,
					    .subset_rotate_ms = 30000, .raw_alias = true, .loopback_addresses = true,
					    .metadata_keys = keys, .metadata_key_count = 1 };
	struct error err;
	assert_int_equal(zone_set_new(&f->zones, &conf, f->reaper, &err), E_OK);
	publish(f, 0, "one", 1);
	publish(f, 1, "few", 9);
	publish(f, 2, "many", 1000);
	zone_set_ready(f->zones);
}

static void client_start(struct fixture *f)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_storage at = { 0 };
	struct socket_pair pair;
	struct error err;
	memcpy(&at, &any, sizeof(any));
	assert_int_equal(sockets_bind(&pair, 1, &at, 0, &err), E_OK);
	f->tcp = pair.tcp;
	assert_int_equal(udp_socket_open(&f->socket, &f->loop, pair.udp, &at, &(struct dns_place){ 0 }, f->batch, &f->responder, &err), E_OK);
	f->client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(f->client, (struct sockaddr *)&at, sizeof(struct sockaddr_in)), 0);
}

static int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(rcu_reaper_start(&f->reaper, &f->loop, NULL), E_OK);
	rcu_thread_start();
	zones_start(f);
	dns_counters_declare(&f->cells);
	dns_counters_zones(&f->cells, f->zones);
	atomic_init(&f->slot.now, f->zones);
	responder_init(&f->responder, &f->slot, &f->cells, &(struct responder_conf){ .udp_size = 1232, .keepalive_ms = 10000 });
	f->batch = udp_batch_new(true);
	client_start(f);
	*state = f;
	return 0;
}

static void on_reaper_closed(void *arg)
{
	(void)arg;
}

static int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	seen.on = false;
	close(f->client);
	close(f->tcp);
	udp_socket_close(&f->socket, NULL);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	zone_set_free(f->zones);
	rcu_reaper_close(f->reaper, on_reaper_closed, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	rcu_thread_stop();
	udp_batch_free(f->batch);
	for (size_t i = 0; i < 3; i++)
		made_view_free(f->views[i]);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	free(f);
	return 0;
}

/* Query number @n: names that are and are not, every type that is answered, with and without EDNS; every eighth is
 * broken in some way. */
static void query_build(struct wire *q, unsigned n)
{
	static const char *const names[] = { "one.svc.test", "few.svc.test", "many.svc.test", "_few._tcp.svc.test",
					     "default.c.many.svc.test", "_http._tcp.few.svc.test", "10-0-0-0.i.test",
					     "test", "absent.svc.test", "www.example.com", "svc.test" };
	static const uint16_t types[] = { RR_A, RR_AAAA, RR_SRV, RR_TXT, RR_ANY, RR_SOA, RR_NS, 65, 252 };
	static const uint8_t second_opt[] = { 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0 };
	const char *name = names[n % (sizeof(names) / sizeof(names[0]))];
	uint16_t type = types[n / 11 % (sizeof(types) / sizeof(types[0]))];
	if (n % 2 == 0)
		wire_query(q, name, type);
	else
		wire_query_edns(q, name, type, 1232, NULL, 0);
	switch (n % 64) {
	case 8: q->at[5] = 0; break;		/* QDCOUNT 0 */
	case 16: q->at[5] = 2; break;		/* QDCOUNT 2 */
	case 24: q->at[2] |= 0x80; break;	/* an answer: dropped */
	case 32: q->at[2] |= 0x28; break;	/* opcode UPDATE */
	case 40: q->len -= 3; break;		/* cut */
	case 48: q->at[12] = 0xc0; q->at[13] = 12; break; /* a pointer to itself */
	case 56: q->at[q->len - 1] = 7; break;	/* an unknown class */
	case 63:
		memcpy(q->at + q->len, second_opt, sizeof(second_opt));
		q->len += sizeof(second_opt);
		q->at[11]++;
		break;
	default: break;
	}
}

/* @count queries from number @from on; how many were answered. */
static unsigned ask(struct fixture *f, unsigned from, unsigned count)
{
	uint8_t out[4096];
	unsigned answers = 0;
	for (unsigned n = from; n < from + count; n += 20) {
		for (unsigned i = 0; i < 20; i++) {
			struct wire q;
			query_build(&q, n + i);
			assert_int_equal(send(f->client, q.at, q.len, 0), q.len);
		}
		uv_run(&f->loop, UV_RUN_NOWAIT);
		while (recv(f->client, out, sizeof(out), MSG_DONTWAIT) > 0)
			answers++;
	}
	return answers;
}

static void ten_thousand_queries_of_every_kind_take_no_memory_no_lock_and_no_line(void **state)
{
	struct fixture *f = *state;
	ask(f, 0, 1000); /* what is made once is made */
	seen.allocations = seen.locks = seen.lines = 0;
	uint64_t before = mem_thread_count();
	seen.on = true;
	unsigned answers = ask(f, 0, 10000);
	seen.on = false;
	assert_int_equal(answers, 10000 - 156); /* all but the 156 of "an answer" */
	assert_int_equal(mem_thread_count() - before, 0);
	assert_int_equal(seen.allocations, 0);
	assert_int_equal(seen.lines, 0);
	if (!RCU_IS_A_LOCK)
		assert_int_equal(seen.locks, 0);
}

/* The counting itself: a zero above would say nothing if nobody counted. */
static void the_counters_count(void **state)
{
	struct fixture *f = *state;
	uv_mutex_t mutex;
	(void)f;
	uv_mutex_init(&mutex);
	seen.allocations = seen.locks = seen.lines = 0;
	seen.on = true;
	mem_free(mem_alloc(10));
	void *volatile block = malloc(10);
	free(block);
	uv_mutex_lock(&mutex);
	log_warn("test", "a line");
	seen.on = false;
	uv_mutex_unlock(&mutex);
	uv_mutex_destroy(&mutex);
	assert_int_equal(seen.allocations, 2);
	assert_int_equal(seen.locks, 1);
	assert_int_equal(seen.lines, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ten_thousand_queries_of_every_kind_take_no_memory_no_lock_and_no_line,
						fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(the_counters_count, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

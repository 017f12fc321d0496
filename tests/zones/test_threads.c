/* test_threads.c - readers ask while the control thread registers, changes and takes away. Under TSan (where RCU is
 * a lock) and ASan this shows races and use after free; everywhere it shows torn answers. */
#include "tests/zones/zones_fixture.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { READERS = 2, SERVICES = 24, CHANGES = 3000, BATCH = 8 };

struct reader {
	pthread_t thread;
	struct zone_set *zones;
	_Atomic bool *stop;
	unsigned seed, torn;
	uint64_t asked;
};

static void ask_batch(struct reader *me, struct rng *r)
{
	static const char *const forms[] = { "%s.svc.test", "_%s._tcp.svc.test", "%s.default.public.ns.test",
					     "b.c.%s.svc.test", "x.%s.svc.test" };
	static const uint16_t types[] = { RR_A, RR_AAAA, RR_SRV, RR_TXT, RR_ANY };
	struct dns_query q[BATCH];
	static __thread uint8_t messages[BATCH][1400];
	size_t len[BATCH];
	rcu_begin();
	for (unsigned i = 0; i < BATCH; i++) {
		char name[100], service[20];
		const char *form = forms[rng_below(r, 5)], *at = strstr(form, "%s");
		snprintf(service, sizeof(service), "s%u", rng_below(r, SERVICES));
		snprintf(name, sizeof(name), "%.*s%s%s", (int)(at - form), form, service, at + 2);
		query_make(&q[i], messages[i], &len[i], name, types[rng_below(r, 5)], 1);
		q[i].client = rng_next(r);
		zone_set_prefetch(me->zones, &q[i]);
	}
	for (unsigned i = 0; i < BATCH; i++)
		zone_set_locate(me->zones, &q[i]);
	for (unsigned i = 0; i < BATCH; i++)
		zone_set_prepare(me->zones, &q[i]);
	for (unsigned i = 0; i < BATCH; i++) {
		struct dns_answer a;
		a.w = writer_of(messages[i], 1232);
		a.w.at += len[i];
		zone_set_answer(me->zones, &q[i], &a, r);
		/* all addresses of one view carry the same third octet */
		if (q[i].qtype == RR_A && a.ancount > 1)
			for (unsigned k = 1; k < a.ancount; k++)
				me->torn += messages[i][len[i] + 14] != messages[i][len[i] + k * 16 + 14];
	}
	rcu_end();
	me->asked += BATCH;
}

static void *reader_run(void *arg)
{
	struct reader *me = arg;
	struct rng r;
	rng_seed(&r, me->seed);
	rcu_thread_start();
	while (!atomic_load_explicit(me->stop, memory_order_relaxed))
		ask_batch(me, &r);
	rcu_thread_stop();
	return NULL;
}

static void change(struct zones_fixture *f, struct fake_service *s, struct rng *r, unsigned step)
{
	if (s->view != NULL && rng_below(r, 6) == 0) {
		fake_unpublish(s, &f->watcher);
		s->id += 1000;
		s->info_changed = true;
		return;
	}
	fake_clear(s);
	for (unsigned n = rng_below(r, 24); n > 0; n--) {
		char ip[20];
		snprintf(ip, sizeof(ip), "10.0.%u.%u", step % 250, n);
		fake_add(s, &(struct fake_instance){ .ip = ip, .port = 80, .cluster = n % 3 == 0 ? "b" : NULL,
						     .weight = 1 + n % 3, .sick = n % 7 == 0 });
	}
	if (rng_below(r, 4) == 0)
		fake_add(s, &(struct fake_instance){ .ip = "2001:db8::1", .port = 80 });
	fake_publish(s, &f->watcher);
}

static void readers_see_whole_views_during_churn(void **state)
{
	struct zones_fixture *f = fixture_new(NULL);
	struct reader readers[READERS];
	struct fake_service *all[SERVICES];
	_Atomic bool stop = false;
	char names[SERVICES][8];
	struct rng r;
	(void)state;
	rng_seed(&r, 5);
	for (unsigned i = 0; i < SERVICES; i++) {
		snprintf(names[i], sizeof(names[i]), "s%u", i);
		all[i] = fixture_service(f, "public", "DEFAULT_GROUP", names[i]);
		fixture_publish(f, all[i]);
	}
	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .zones = f->zones, .stop = &stop, .seed = i + 1 };
		assert_int_equal(pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]), 0);
	}
	for (unsigned step = 0; step < CHANGES; step++) {
		change(f, all[rng_below(&r, SERVICES)], &r, step);
		fixture_turn(f);
		if (step % 100 == 0) {
			const char *ns[] = { step % 200 == 0 ? "10.0.0.1" : "::1" };
			zone_set_ns_addresses(f->zones, ns, 1, NULL);
		}
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].torn, 0);
		assert_true(readers[i].asked > 0);
	}
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_see_whole_views_during_churn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

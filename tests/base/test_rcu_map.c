/* test_rcu_map.c - the map of one writer and many readers: against a naive array, and with readers on
 * other threads while it changes and grows. */
#include "base/error.h"
#include "base/mem.h"
#include "base/rcu_map.h"
#include "tests/base/unit.h"
#include <pthread.h>

enum { KEYS = 500, STEPS = 60000, READERS = 2, ALIVE = 0x600D };

struct entry {
	struct rcu_head head;
	uint32_t key;
	int alive;
};

struct fixture {
	uv_loop_t loop;
	struct rcu_reaper *reaper;
	struct rcu_map map;
	struct entry *entries[KEYS];
	struct rng rng;
	atomic_bool stop;
	atomic_uint wrong, missing, reads;
	unsigned steps;
	uv_idle_t idle;
};

static bool equal(const void *value, const void *key)
{
	return ((const struct entry *)value)->key == *(const uint32_t *)key;
}

static uint64_t hash_of(uint32_t key)
{
	return key % 7 == 0 ? 42 : (uint64_t)key << 33; /* some collide wholly */
}

static void on_free(void *arg, struct rcu_head *head)
{
	(void)arg;
	((struct entry *)head)->alive = 0;
	mem_free(head);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uv_loop_init(&f->loop);
	rcu_thread_start();
	unit_seed(&f->rng);
	*state = f;
	return rcu_reaper_start(&f->reaper, &f->loop, f) == E_OK &&
			       rcu_map_init(&f->map, equal, f->reaper) == E_OK
		   ? 0
		   : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	for (uint32_t k = 0; k < KEYS; k++)
		mem_free(f->entries[k]);
	rcu_map_done(&f->map);
	rcu_reaper_close(f->reaper, NULL, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	rcu_thread_stop();
	int rc = uv_loop_close(&f->loop);
	free(f);
	return rc;
}

/* Adds or removes one key; keys below @keep are never removed. */
static void change_one(struct fixture *f, uint32_t keep)
{
	uint32_t k = rng_below(&f->rng, KEYS);
	struct entry *e = f->entries[k];
	if (e == NULL) {
		e = mem_zalloc(1, sizeof(*e));
		e->key = k;
		e->alive = ALIVE;
		f->entries[k] = e;
		if (rcu_map_add(&f->map, hash_of(k), e) != E_OK)
			abort();
	} else if (k >= keep) {
		if (rcu_map_remove(&f->map, hash_of(k), &k) != e)
			abort();
		f->entries[k] = NULL;
		rcu_reaper_add(f->reaper, &e->head, on_free);
	}
}

static void operations_agree_with_an_array(void **state)
{
	struct fixture *f = *state;
	for (unsigned step = 0; step < STEPS; step++) {
		change_one(f, 0);
		uint32_t k = rng_below(&f->rng, KEYS);
		assert_ptr_equal(rcu_map_find(&f->map, hash_of(k), &k), f->entries[k]);
		if (f->entries[k] == NULL)
			assert_null(rcu_map_remove(&f->map, hash_of(k), &k));
		if (step % 1000 != 0)
			continue;
		size_t in = 0, seen = 0, at = 0;
		for (k = 0; k < KEYS; k++)
			in += f->entries[k] != NULL;
		assert_int_equal(f->map.count, in);
		for (const struct entry *e; (e = rcu_map_next(&f->map, &at)) != NULL; seen++)
			assert_ptr_equal(e, f->entries[e->key]);
		assert_int_equal(seen, in);
		rcu_reaper_turn(f->reaper);
		uv_run(&f->loop, UV_RUN_NOWAIT);
	}
}

static void *find_until_stopped(void *arg)
{
	struct fixture *f = arg;
	struct rng rng;
	rng_seed(&rng, 7);
	rcu_thread_start();
	while (!atomic_load(&f->stop)) {
		rcu_begin();
		for (int i = 0; i < 50; i++) {
			uint32_t k = rng_below(&rng, KEYS);
			struct entry *e = rcu_map_find(&f->map, hash_of(k), &k);
			if (e != NULL && (e->key != k || *(volatile int *)&e->alive != ALIVE))
				atomic_fetch_add(&f->wrong, 1);
			if (e == NULL && k < KEYS / 2)
				atomic_fetch_add(&f->missing, 1);
		}
		rcu_end();
		atomic_fetch_add(&f->reads, 1);
	}
	rcu_thread_stop();
	return NULL;
}

static void on_idle(uv_idle_t *idle)
{
	struct fixture *f = idle->data;
	for (int i = 0; i < 100; i++)
		change_one(f, KEYS / 2);
	rcu_reaper_turn(f->reaper);
	if (++f->steps >= 1000 && atomic_load(&f->reads) > 1000)
		uv_close((uv_handle_t *)idle, NULL);
}

static void readers_find_what_stays_while_the_rest_changes(void **state)
{
	struct fixture *f = *state;
	pthread_t readers[READERS];
	for (uint32_t k = 0; k < KEYS / 2; k++) {
		while (f->entries[k] == NULL)
			change_one(f, KEYS);
	}
	uv_idle_init(&f->loop, &f->idle);
	f->idle.data = f;
	uv_idle_start(&f->idle, on_idle);
	for (int i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, find_until_stopped, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	atomic_store(&f->stop, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(atomic_load(&f->wrong), 0);
	assert_int_equal(atomic_load(&f->missing), 0);
}

static void a_refused_table_loses_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned refused = 0;
	for (uint32_t k = 0; k < KEYS; k++) {
		struct entry *e = mem_zalloc(1, sizeof(*e));
		e->key = k;
		for (unsigned nth = 0;; nth++) {
			mem_fail_at(nth);
			int rc = rcu_map_add(&f->map, hash_of(k), e);
			if (!mem_fail_off()) {
				assert_int_equal(rc, E_OK);
				break;
			}
			refused++;
			assert_int_equal(rc, E_NOMEM);
			assert_null(rcu_map_find(&f->map, hash_of(k), &k));
			for (uint32_t j = 0; j < k; j++)
				assert_ptr_equal(rcu_map_find(&f->map, hash_of(j), &j), f->entries[j]);
		}
		f->entries[k] = e;
	}
	assert_true(refused >= 5);
	struct rcu_map other;
	mem_fail_at(0);
	int rc = rcu_map_init(&other, equal, f->reaper);
	assert_true(mem_fail_off());
	assert_int_equal(rc, E_NOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(operations_agree_with_an_array, setup, teardown),
		cmocka_unit_test_setup_teardown(readers_find_what_stays_while_the_rest_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refused_table_loses_nothing, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_rcu.c - published objects, readers on other threads, and the reaper that frees what they have
 * left. */
#include "base/error.h"
#include "base/mem.h"
#include "base/rcu.h"
#include "tests/base/unit.h"
#include <pthread.h>

enum { READERS = 3, PUBLICATIONS = 20000, ALIVE = 0x600D600D, DEAD = 0x0DEAD0 };

struct object {
	struct rcu_head head;
	int state; /* ALIVE until it is freed */
	unsigned number;
};

struct fixture {
	uv_loop_t loop;
	struct rcu_reaper *reaper;
	_Atomic(struct object *) current;
	atomic_bool stop;
	atomic_uint saw_dead, went_back, reads;
	unsigned freed, published;
	bool closed;
	uv_idle_t idle;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uv_loop_init(&f->loop);
	rcu_thread_start();
	if (rcu_reaper_start(&f->reaper, &f->loop, f) != E_OK)
		return -1;
	*state = f;
	return 0;
}

static void on_reaper_closed(void *arg)
{
	((struct fixture *)arg)->closed = true;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	if (f->reaper != NULL) {
		rcu_reaper_close(f->reaper, on_reaper_closed, f);
		uv_run(&f->loop, UV_RUN_DEFAULT);
	}
	rcu_thread_stop();
	int rc = uv_loop_close(&f->loop);
	bool closed = f->closed;
	free(f);
	return rc == 0 && closed ? 0 : -1;
}

static struct object *object_new(unsigned number)
{
	struct object *o = mem_alloc(sizeof(*o));
	*o = (struct object){ .state = ALIVE, .number = number };
	return o;
}

static void on_free(void *arg, struct rcu_head *head)
{
	struct fixture *f = arg;
	struct object *o = (struct object *)head;
	o->state = DEAD;
	mem_free(o);
	f->freed++;
}

static void *read_until_stopped(void *arg)
{
	struct fixture *f = arg;
	unsigned last = 0;
	rcu_thread_start();
	while (!atomic_load(&f->stop)) {
		rcu_begin();
		struct object *o = rcu_read(&f->current);
		for (int i = 0; i < 20; i++)
			if (*(volatile int *)&o->state != ALIVE)
				atomic_fetch_add(&f->saw_dead, 1);
		if (o->number < last)
			atomic_fetch_add(&f->went_back, 1);
		last = o->number;
		rcu_end();
		atomic_fetch_add(&f->reads, 1);
	}
	rcu_thread_stop();
	return NULL;
}

static void on_idle(uv_idle_t *idle)
{
	struct fixture *f = idle->data;
	for (int i = 0; i < 50; i++) {
		struct object *old = rcu_read(&f->current);
		rcu_publish(&f->current, object_new(++f->published));
		rcu_reaper_add(f->reaper, &old->head, on_free);
	}
	rcu_reaper_turn(f->reaper);
	if (f->published >= PUBLICATIONS && atomic_load(&f->reads) > 1000)
		uv_close((uv_handle_t *)idle, NULL);
}

static void readers_never_see_a_freed_object(void **state)
{
	struct fixture *f = *state;
	pthread_t readers[READERS];
	atomic_store(&f->current, object_new(0));
	uv_idle_init(&f->loop, &f->idle);
	f->idle.data = f;
	uv_idle_start(&f->idle, on_idle);
	for (int i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, read_until_stopped, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	atomic_store(&f->stop, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(atomic_load(&f->saw_dead), 0);
	assert_int_equal(atomic_load(&f->went_back), 0);
	assert_int_equal(f->freed + rcu_reaper_backlog(f->reaper), f->published);
	rcu_reaper_close(f->reaper, on_reaper_closed, f);
	f->reaper = NULL;
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->closed);
	assert_int_equal(f->freed, f->published);
	mem_free(atomic_load(&f->current));
}

static void garbage_alone_keeps_no_loop_running(void **state)
{
	struct fixture *f = *state;
	rcu_reaper_add(f->reaper, &object_new(1)->head, on_free);
	rcu_reaper_turn(f->reaper);
	rcu_reaper_add(f->reaper, &object_new(2)->head, on_free);
	rcu_reaper_turn(f->reaper);
	uv_run(&f->loop, UV_RUN_DEFAULT); /* comes back at once */
	assert_true(rcu_reaper_backlog(f->reaper) <= 2);
}

static void on_poll(uv_timer_t *timer)
{
	struct fixture *f = timer->data;
	if (rcu_reaper_backlog(f->reaper) == 0)
		uv_close((uv_handle_t *)timer, NULL);
}

/* One turn is called, never again: the reaper itself comes back for the second batch. */
static void what_is_left_is_freed_when_the_loop_goes_quiet(void **state)
{
	struct fixture *f = *state;
	uv_timer_t poll;
	uv_timer_init(&f->loop, &poll);
	poll.data = f;
	uv_timer_start(&poll, on_poll, 1, 1);
	rcu_reaper_add(f->reaper, &object_new(1)->head, on_free);
	rcu_reaper_turn(f->reaper);
	rcu_reaper_add(f->reaper, &object_new(2)->head, on_free);
	rcu_reaper_turn(f->reaper);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->freed, 2);
}

static void on_free_with_more(void *arg, struct rcu_head *head)
{
	struct fixture *f = arg;
	struct object *o = (struct object *)head;
	if (o->number > 0)
		rcu_reaper_add(f->reaper, &object_new(o->number - 1)->head, on_free_with_more);
	on_free(arg, head);
}

static void closing_frees_even_what_freeing_brings(void **state)
{
	struct fixture *f = *state;
	rcu_reaper_add(f->reaper, &object_new(3)->head, on_free_with_more);
	rcu_reaper_turn(f->reaper);
	rcu_reaper_add(f->reaper, &object_new(0)->head, on_free_with_more);
	rcu_reaper_close(f->reaper, on_reaper_closed, f);
	assert_false(f->closed); /* never from inside the call */
	uv_run(&f->loop, UV_RUN_DEFAULT);
	f->reaper = NULL;
	assert_true(f->closed);
	assert_int_equal(f->freed, 5);
}

static void a_refused_reaper_leaves_the_loop_empty(void **state)
{
	struct fixture *f = *state;
	struct rcu_reaper *other = NULL;
	mem_fail_at(0);
	int rc = rcu_reaper_start(&other, &f->loop, f);
	assert_true(mem_fail_off());
	assert_int_equal(rc, E_NOMEM);
	assert_null(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(readers_never_see_a_freed_object, setup, teardown),
		cmocka_unit_test_setup_teardown(garbage_alone_keeps_no_loop_running, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_left_is_freed_when_the_loop_goes_quiet, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_frees_even_what_freeing_brings, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refused_reaper_leaves_the_loop_empty, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_inbox.c - messages from many threads to one loop. */
#include "base/error.h"
#include "base/inbox.h"
#include "base/mem.h"
#include "tests/base/unit.h"
#include <pthread.h>

enum { SENDERS = 4, EACH = 20000 };

struct message {
	struct inbox_message link; /* first: the link is the message */
	unsigned sender, number;
};

struct fixture {
	uv_loop_t loop;
	struct inbox *inbox;
	unsigned next[SENDERS];
	unsigned delivered, batches, out_of_order, miscounted;
	unsigned close_after;
	bool closed;
};

struct sender {
	struct fixture *f;
	unsigned which;
	pthread_t thread;
};

static void on_closed(void *arg)
{
	((struct fixture *)arg)->closed = true;
}

static void on_deliver(void *arg, struct inbox_message *first, unsigned count)
{
	struct fixture *f = arg;
	f->batches++;
	for (struct inbox_message *at = first, *next; at != NULL; at = next, count--) {
		struct message *m = (struct message *)at;
		next = at->next;
		if (m->number != f->next[m->sender]++)
			f->out_of_order++;
		f->delivered++;
		mem_free(m);
	}
	if (count != 0)
		f->miscounted++;
	if (f->delivered == f->close_after)
		inbox_close(f->inbox, on_closed, f);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uv_loop_init(&f->loop);
	*state = f;
	return inbox_open(&f->inbox, &f->loop, on_deliver, f);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int rc = uv_loop_close(&f->loop);
	free(f);
	return rc;
}

static struct inbox_message *message_new(unsigned sender, unsigned number)
{
	struct message *m = mem_zalloc(1, sizeof(*m));
	m->sender = sender;
	m->number = number;
	return &m->link;
}

static void *send_all(void *arg)
{
	struct sender *s = arg;
	unsigned number = 0;
	while (number < EACH) {
		if (number % 7 != 0 || number + 3 > EACH) {
			inbox_post(s->f->inbox, message_new(s->which, number++));
			continue;
		}
		struct inbox_message *first = message_new(s->which, number++);
		struct inbox_message *second = message_new(s->which, number++);
		struct inbox_message *last = message_new(s->which, number++);
		first->next = second;
		second->next = last;
		inbox_post_list(s->f->inbox, first, last);
	}
	return NULL;
}

static void every_message_of_every_thread_comes_once_and_in_order(void **state)
{
	struct fixture *f = *state;
	struct sender senders[SENDERS];
	f->close_after = SENDERS * EACH;
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ f, i, 0 };
		pthread_create(&senders[i].thread, NULL, send_all, &senders[i]);
	}
	uv_run(&f->loop, UV_RUN_DEFAULT);
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	assert_int_equal(f->delivered, SENDERS * EACH);
	assert_int_equal(f->out_of_order, 0);
	assert_int_equal(f->miscounted, 0);
	assert_true(f->closed);
}

static void one_message_alone_wakes_the_loop(void **state)
{
	struct fixture *f = *state;
	f->close_after = 1;
	inbox_post(f->inbox, message_new(0, 0));
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->delivered, 1);
	assert_true(f->closed);
}

static void one_batch_is_one_delivery(void **state)
{
	struct fixture *f = *state;
	f->close_after = 100;
	for (unsigned i = 0; i < 100; i++)
		inbox_post(f->inbox, message_new(0, i));
	assert_int_equal(inbox_depth(f->inbox), 100);
	assert_ptr_equal(inbox_loop(f->inbox), &f->loop);
	assert_int_equal(f->delivered, 0);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(f->batches, 1);
	assert_int_equal(f->out_of_order, 0);
}

static void what_is_in_a_closing_inbox_is_delivered_first(void **state)
{
	struct fixture *f = *state;
	inbox_post(f->inbox, message_new(0, 0));
	inbox_post(f->inbox, message_new(0, 1));
	inbox_close(f->inbox, on_closed, f);
	assert_false(f->closed);
	assert_int_equal(f->delivered, 0);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->closed);
	assert_int_equal(f->delivered, 2);
}

static void a_refused_inbox_leaves_the_loop_empty(void **state)
{
	struct fixture *f = *state;
	struct inbox *other = NULL;
	mem_fail_at(0);
	int rc = inbox_open(&other, &f->loop, on_deliver, f);
	assert_true(mem_fail_off());
	assert_int_equal(rc, E_NOMEM);
	assert_null(other);
	inbox_close(f->inbox, NULL, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_message_of_every_thread_comes_once_and_in_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(one_message_alone_wakes_the_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(one_batch_is_one_delivery, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_in_a_closing_inbox_is_delivered_first, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refused_inbox_leaves_the_loop_empty, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_forwarding.c - a worker's side of the forwarder: who asked gets his answer, who has gone meanwhile is not found, and
 * whoever has a question last gives it back. The forwarder itself is made here. */
#include "base/mem.h"
#include "dnsd/forwarding.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
	uv_loop_t loop;
	struct forwarding g;
	unsigned back;	/* batches */
	bool full;	/* as many wait as may */
	unsigned alive; /* questions */
	struct forward_query *asked[8]; /* by the forwarder */
	unsigned asked_count;
};

struct peer {
	struct asker asker;
	struct forward_query *got;
	unsigned answers;
	bool keeps;
};

/* ---- the forwarder: struct forward is the fixture */

struct forward_query *forward_query_new(struct forward *f, const uint8_t *msg, size_t len, const uint8_t *target,
					size_t target_len)
{
	(void)target;
	(void)target_len;
	struct fixture *x = (void *)f;
	struct forward_query *q = x->full ? NULL : mem_zalloc(1, sizeof(*q) + len);
	if (q == NULL)
		return NULL;
	q->len = len;
	memcpy(q->msg, msg, len);
	x->alive++;
	return q;
}

void forward_query_free(struct forward *f, struct forward_query *q)
{
	((struct fixture *)(void *)f)->alive--;
	mem_free(q->extra);
	mem_free(q);
}

void forward_ask(struct forward *f, struct forward_query *q)
{
	struct fixture *x = (void *)f;
	x->asked[x->asked_count++] = q;
}

static void on_back(void *arg)
{
	((struct fixture *)arg)->back++;
}

static bool on_answered(struct asker *a, struct forward_query *q)
{
	struct peer *p = (struct peer *)a;
	p->got = q;
	p->answers++;
	return p->keeps;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err;
	*state = f;
	return uv_loop_init(&f->loop) != 0 || forwarding_open(&f->g, &f->loop, (struct forward *)f, on_back, f, &err) != E_OK;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	forwarding_close(&f->g);
	forwarding_close(&f->g); /* a second time is nothing */
	uv_run(&f->loop, UV_RUN_DEFAULT);
	forwarding_done(&f->g);
	int rc = uv_loop_close(&f->loop) != 0 || f->alive != 0;
	free(f);
	return rc;
}

static bool ask(struct fixture *f, struct peer *p, const char *what)
{
	const struct forwarding_question w = { .msg = (const uint8_t *)what, .len = strlen(what), .extra = what, .extra_len = 2 };
	return forwarding_ask(&f->g, &p->asker, &w);
}

/* All that was asked comes back, in one batch. */
static void answer(struct fixture *f)
{
	unsigned back = f->back;
	for (unsigned i = 0; i < f->asked_count; i++)
		inbox_post(f->g.home, &f->asked[i]->message);
	f->asked_count = 0;
	while (f->back == back)
		uv_run(&f->loop, UV_RUN_ONCE);
}

static void an_answer_goes_to_who_asked_with_what_he_gave(void **state)
{
	struct fixture *f = *state;
	struct peer a = { .keeps = true }, b = { .keeps = true };
	forwarding_join(&f->g, &a.asker, on_answered);
	forwarding_join(&f->g, &b.asker, on_answered);
	assert_true(ask(f, &b, "of b"));
	assert_true(ask(f, &a, "is a's"));
	assert_int_equal(f->g.out, 2);
	answer(f);
	assert_int_equal(f->g.out, 0);
	assert_int_equal(f->back, 1);
	assert_int_equal(a.answers + b.answers, 2);
	assert_memory_equal(a.got->msg, "is a's", a.got->len);
	assert_memory_equal(a.got->extra, "is", 2);
	assert_memory_equal(b.got->msg, "of b", b.got->len);
	assert_int_equal(f->alive, 2); /* they have taken them over */
	forward_query_free((struct forward *)f, a.got);
	forward_query_free((struct forward *)f, b.got);
	forwarding_leave(&f->g, &a.asker);
	forwarding_leave(&f->g, &b.asker);
}

static void what_is_not_taken_over_is_given_back(void **state)
{
	struct fixture *f = *state;
	struct peer a = { .keeps = false };
	forwarding_join(&f->g, &a.asker, on_answered);
	for (int i = 0; i < 3; i++)
		assert_true(ask(f, &a, "abc"));
	answer(f);
	assert_int_equal(a.answers, 3);
	assert_int_equal(f->alive, 0);
	forwarding_leave(&f->g, &a.asker);
}

static void who_has_gone_is_not_found_though_another_stands_in_his_place(void **state)
{
	struct fixture *f = *state;
	struct peer a = { .keeps = true }, b = { .keeps = true };
	forwarding_join(&f->g, &a.asker, on_answered);
	assert_true(ask(f, &a, "abc"));
	forwarding_leave(&f->g, &a.asker);
	forwarding_leave(&f->g, &a.asker); /* a second time is nothing */
	forwarding_join(&f->g, &b.asker, on_answered);
	answer(f);
	assert_int_equal(a.answers + b.answers, 0);
	assert_int_equal(f->alive, 0);
	forwarding_leave(&f->g, &b.asker);
}

static void a_question_that_cannot_be_asked_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct peer a = { .keeps = true };
	forwarding_join(&f->g, &a.asker, on_answered);
	f->full = true;
	assert_false(ask(f, &a, "abc"));
	f->full = false;
	for (unsigned nth = 0; nth < 2; nth++) { /* the question, what comes with it */
		mem_fail_at(nth);
		assert_false(ask(f, &a, "abc"));
		assert_true(mem_fail_off());
		assert_int_equal(f->alive, 0);
		assert_int_equal(f->g.out, 0);
	}
	assert_int_equal(f->asked_count, 0);
	forwarding_leave(&f->g, &a.asker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_answer_goes_to_who_asked_with_what_he_gave, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_taken_over_is_given_back, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_gone_is_not_found_though_another_stands_in_his_place, setup, teardown),
		cmocka_unit_test_setup_teardown(a_question_that_cannot_be_asked_leaves_nothing, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_thread.c - what a thread tells the scheduler, read back from the kernel. */
#include "base/thread.h"
#include "tests/base/unit.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

struct seen {
	const char *asked;
	enum thread_kind kind;
	char name[32];
	int policy, niceness;
};

static void *look(void *arg)
{
	struct seen *s = arg;
	thread_begin(s->asked, s->kind);
	pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
	s->policy = sched_getscheduler(0);
	s->niceness = getpriority(PRIO_PROCESS, 0);
	return NULL;
}

static struct seen run(const char *name, enum thread_kind kind)
{
	struct seen s = { .asked = name, .kind = kind };
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, look, &s), 0);
	pthread_join(thread, NULL);
	return s;
}

static void only_background_work_steps_aside(void **state)
{
	int policy = sched_getscheduler(0), niceness = getpriority(PRIO_PROCESS, 0);
	(void)state;
	struct seen plain = run("plain", THREAD_PLAIN), quick = run("quick", THREAD_QUICK),
		    background = run("background", THREAD_BACKGROUND);
	assert_int_equal(plain.policy, policy);
	assert_int_equal(plain.niceness, niceness);
	assert_int_equal(quick.policy, policy);
	assert_int_equal(quick.niceness, niceness);
	if (policy == SCHED_OTHER) {
		assert_int_equal(background.policy, SCHED_BATCH);
		assert_int_equal(background.niceness, niceness + 5 < 19 ? niceness + 5 : 19);
	} else {
		assert_int_equal(background.policy, policy);
	}
	assert_int_equal(getpriority(PRIO_PROCESS, 0), niceness); /* the one that started them is as it was */
	assert_int_equal(sched_getscheduler(0), policy);
}

static void *look_after_an_operator(void *arg)
{
	struct sched_param none = { .sched_priority = 0 };
	sched_setscheduler(0, SCHED_BATCH, &none); /* as chrt --batch would; nothing has to be allowed for it */
	return look(arg);
}

static void a_policy_of_the_operator_stays(void **state)
{
	struct seen s = { .asked = "told", .kind = THREAD_QUICK };
	pthread_t thread;
	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, look_after_an_operator, &s), 0);
	pthread_join(thread, NULL);
	assert_int_equal(s.policy, SCHED_BATCH);
}

static void a_long_name_is_cut(void **state)
{
	(void)state;
	struct seen s = run("a name that is longer than that", THREAD_PLAIN);
	assert_string_equal(s.name, "a name that is ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_background_work_steps_aside),
		cmocka_unit_test(a_policy_of_the_operator_stays),
		cmocka_unit_test(a_long_name_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

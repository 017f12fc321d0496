/* test_handle.c - numbered handles, against an array. */
#include "base/handle.h"
#include "base/mem.h"
#include "tests/base/unit.h"

enum { OBJECTS = 300, STEPS = 50000 };

static void handles_agree_with_an_array(void **state)
{
	static char objects[OBJECTS];
	uint64_t given[OBJECTS] = { 0 }, gone[OBJECTS] = { 0 };
	struct handles h;
	struct rng rng;
	uint32_t live = 0;
	(void)state;
	unit_seed(&rng);
	handles_init(&h);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = rng_below(&rng, OBJECTS);
		if (given[i] == 0) {
			given[i] = handles_add(&h, &objects[i]);
			assert_true(given[i] != 0 && given[i] != gone[i]);
			live++;
		} else {
			assert_ptr_equal(handles_find(&h, given[i]), &objects[i]);
			handles_remove(&h, given[i]);
			gone[i] = given[i];
			given[i] = 0;
			live--;
		}
		i = rng_below(&rng, OBJECTS);
		assert_ptr_equal(handles_find(&h, given[i]), given[i] == 0 ? NULL : &objects[i]);
		assert_null(handles_find(&h, gone[i]));
		handles_remove(&h, gone[i]); /* long gone: nothing happens */
		assert_int_equal(h.count, live);
	}
	assert_null(handles_find(&h, 0));
	assert_null(handles_find(&h, UINT64_MAX));
	handles_done(&h);
}

static void without_memory_there_is_no_handle(void **state)
{
	struct handles h;
	char object;
	(void)state;
	handles_init(&h);
	mem_fail_at(0);
	uint64_t handle = handles_add(&h, &object);
	assert_true(mem_fail_off());
	assert_true(handle == 0);
	assert_int_equal(h.count, 0);
	handle = handles_add(&h, &object);
	assert_ptr_equal(handles_find(&h, handle), &object);
	handles_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handles_agree_with_an_array),
		cmocka_unit_test(without_memory_there_is_no_handle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

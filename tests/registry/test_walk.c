/* test_walk.c - every service in order, in slices, while others come and go. */
#include "base/random.h"
#include "registry/walk.h"
#include "tests/registry/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEN_MAX = 2048 };

struct seen_list {
	char names[SEEN_MAX][64];
	size_t count;
};

static void note(void *arg, const struct service_view *v)
{
	struct seen_list *s = arg;

	assert_true(s->count < SEEN_MAX);
	snprintf(s->names[s->count++], sizeof(s->names[0]), "%s %s %s", v->info->key.ns, v->info->key.group,
		 v->info->key.name);
}

static int reg_in(struct fixture *f, const char *ns, const char *group, const char *service, bool gone)
{
	struct command *cmd = make_instance(gone ? CMD_INSTANCE_DEREGISTER : CMD_INSTANCE_REGISTER, service, "10.0.0.1", 80);

	cmd->key = (struct service_key){ ns, group, service, (uint16_t)strlen(ns), (uint16_t)strlen(group),
					 (uint16_t)strlen(service) };
	return ask(f, cmd);
}

static int drop(struct fixture *f, const char *ns, const char *group, const char *service)
{
	struct command *cmd;
	int rc = reg_in(f, ns, group, service, true);

	if (rc < 0)
		return rc;
	cmd = make(CMD_SERVICE_DELETE, service);
	cmd->key = (struct service_key){ ns, group, service, (uint16_t)strlen(ns), (uint16_t)strlen(group),
					 (uint16_t)strlen(service) };
	return ask(f, cmd);
}

static struct seen_list *walk_all(struct fixture *f, const char *ns, const char *group, unsigned slice)
{
	struct seen_list *s = calloc(1, sizeof(*s));
	struct walk *w;

	assert_int_equal(walk_new(&w, f->registry, ns, group), E_OK);
	while (walk_slice(w, f->registry, slice, note, s))
		;
	walk_free(w);
	return s;
}

static void they_come_in_order_whatever_the_slice(void **state)
{
	static const char *const wanted[] = { "dev DEFAULT_GROUP a", "public A z", "public DEFAULT_GROUP a",
					      "public DEFAULT_GROUP b", "public DEFAULT_GROUP c" };
	struct fixture *f = *state;

	reg_in(f, "public", "DEFAULT_GROUP", "c", false);
	reg_in(f, "public", "DEFAULT_GROUP", "a", false);
	reg_in(f, "dev", "DEFAULT_GROUP", "a", false);
	reg_in(f, "public", "A", "z", false);
	reg_in(f, "public", "DEFAULT_GROUP", "b", false);
	for (unsigned slice = 1; slice < 8; slice++) {
		struct seen_list *s = walk_all(f, NULL, NULL, slice);

		assert_int_equal(s->count, 5);
		for (size_t i = 0; i < 5; i++)
			assert_string_equal(s->names[i], wanted[i]);
		free(s);
	}
	struct seen_list *s = walk_all(f, "public", NULL, 2);

	assert_int_equal(s->count, 4);
	free(s);
	s = walk_all(f, NULL, "DEFAULT_GROUP", 2);
	assert_int_equal(s->count, 4);
	free(s);
	s = walk_all(f, "public", "A", 2);
	assert_int_equal(s->count, 1);
	free(s);
	s = walk_all(f, "nowhere", "A", 2);
	assert_int_equal(s->count, 0);
	free(s);
	walk_free(NULL);
}

/* s000, s002, s004... stay all the time; the odd ones come and go between the slices. */
static void what_stays_is_met_once_while_others_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct seen_list *s = calloc(1, sizeof(*s));
	struct rng rng;
	struct walk *w;
	bool there[400] = { false };
	char name[16];
	unsigned met = 0;

	rng_seed(&rng, 7);
	for (unsigned i = 0; i < 400; i += 2) {
		snprintf(name, sizeof(name), "s%03u", i);
		reg_in(f, "public", i % 3 == 0 ? "A" : "B", name, false);
	}
	assert_int_equal(walk_new(&w, f->registry, NULL, NULL), E_OK);
	while (walk_slice(w, f->registry, 1 + rng_below(&rng, 9), note, s))
		for (unsigned n = 0; n < 4; n++) {
			unsigned i = rng_below(&rng, 200) * 2 + 1;

			snprintf(name, sizeof(name), "s%03u", i);
			if (there[i])
				assert_int_equal(drop(f, "public", i % 3 == 0 ? "A" : "B", name), E_OK);
			else
				assert_int_equal(reg_in(f, "public", i % 3 == 0 ? "A" : "B", name, false), E_OK);
			there[i] = !there[i];
		}
	walk_free(w);
	for (size_t i = 0; i < s->count; i++) {
		if (i > 0)
			assert_true(strcmp(s->names[i - 1], s->names[i]) < 0);
		met += atoi(strrchr(s->names[i], 's') + 1) % 2 == 0;
	}
	assert_int_equal(met, 200);
	free(s);
}

/* The group that the walk was in is gone when it goes on. */
static void a_group_that_ends_in_between_is_passed(void **state)
{
	struct fixture *f = *state;
	struct seen_list *s = calloc(1, sizeof(*s));
	struct walk *w;

	reg_in(f, "public", "A", "a", false);
	reg_in(f, "public", "A", "b", false);
	reg_in(f, "public", "B", "c", false);
	assert_int_equal(walk_new(&w, f->registry, NULL, NULL), E_OK);
	assert_true(walk_slice(w, f->registry, 1, note, s));
	drop(f, "public", "A", "a");
	drop(f, "public", "A", "b");
	assert_false(walk_slice(w, f->registry, 5, note, s));
	walk_free(w);
	assert_int_equal(s->count, 2);
	assert_string_equal(s->names[1], "public B c");
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(they_come_in_order_whatever_the_slice, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(what_stays_is_met_once_while_others_come_and_go, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_group_that_ends_in_between_is_passed, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

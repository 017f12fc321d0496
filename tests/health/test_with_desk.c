/* test_with_desk.c - beats and prober with the real registry behind them: what they send is what it takes. */
#include "base/clock.h"
#include "health/beats.h"
#include "health/prober.h"
#include "tests/health/listener.h"
#include "tests/registry/fixture.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP_MS = 500, PATIENCE_NS = 1000000000, PATIENCE_SECONDS = 20 };

struct health_fixture {
	struct fixture f; /* first */
	struct beats *beats;
	struct prober *prober;
	bool beats_closed;
};

static int setup(void **state)
{
	struct health_fixture *h = calloc(1, sizeof(*h));
	struct fixture *f = &h->f;
	fixture_init(f);
	fixture_open(f);
	assert_int_equal(beats_start(&h->beats, &f->loop, f->desk, &(struct beats_conf){ 20, 60000, false }, NULL),
			 E_OK);
	assert_int_equal(prober_start(&h->prober, f->desk, &(struct prober_conf){ 20000, 64 }, NULL), E_OK);
	struct registry_watcher w = beats_watcher(h->beats);
	assert_int_equal(desk_watch(f->desk, &w), E_OK);
	w = prober_watcher(h->prober);
	assert_int_equal(desk_watch(f->desk, &w), E_OK);
	*state = h;
	return 0;
}

static void on_beats_closed(void *arg)
{
	((struct health_fixture *)arg)->beats_closed = true;
}

static int teardown(void **state)
{
	struct health_fixture *h = *state;
	prober_stop(h->prober);
	beats_close(h->beats, on_beats_closed, h);
	while (!h->beats_closed)
		uv_run(&h->f.loop, UV_RUN_ONCE);
	fixture_done(&h->f);
	beats_free(h->beats);
	prober_free(h->prober);
	free(h);
	return 0;
}

static void pass(struct health_fixture *h, int64_t ms)
{
	for (; ms > 0; ms -= STEP_MS) {
		fixture_advance(&h->f, ms < STEP_MS ? ms : STEP_MS);
		h->f.desk->now_ms = h->f.now_ms;
		beats_tick(h->beats);
		run_some(&h->f, 4);
		run_published(&h->f);
	}
}

static bool healthy(struct fixture *f, uint16_t port)
{
	const struct instance *i = seen(f, "cart", "127.0.0.1", port);
	return i != NULL && (i->flags & INSTANCE_HEALTHY) != 0;
}

static void silence_makes_unhealthy_then_removes(void **state)
{
	struct health_fixture *h = *state;
	assert_int_equal(reg(&h->f, "cart", "127.0.0.1", 80), E_OK);
	beats_tick(h->beats);
	pass(h, 15000);
	assert_true(healthy(&h->f, 80));
	pass(h, 1000);
	assert_false(healthy(&h->f, 80));
	assert_int_equal(count_of(&h->f, "cart"), 1);
	pass(h, 14000);
	assert_int_equal(count_of(&h->f, "cart"), 1);
	pass(h, 1000);
	assert_int_equal(count_of(&h->f, "cart"), 0);
}

static void beats_keep_an_instance_and_bring_it_back(void **state)
{
	struct health_fixture *h = *state;
	struct fixture *f = &h->f;
	struct service_key key = key_of("cart");
	assert_int_equal(reg(f, "cart", "127.0.0.1", 80), E_OK);
	for (int n = 0; n < 10; n++) {
		pass(h, 5000);
		assert_int_equal(registry_beat(f->registry, &key, "127.0.0.1", 9, 80, f->now_ms), 5000);
	}
	pass(h, 16000);
	assert_false(healthy(f, 80));
	assert_int_equal(ask(f, make_instance(CMD_INSTANCE_BEAT, "cart", "127.0.0.1", 80)), E_OK);
	run_some(f, 4);
	assert_true(healthy(f, 80));
	pass(h, 15000);
	assert_true(healthy(f, 80));
	pass(h, 1000);
	assert_false(healthy(f, 80));
}

static void after_a_pause_nothing_looks_empty(void **state)
{
	struct health_fixture *h = *state;
	for (uint16_t port = 80; port < 90; port++)
		assert_int_equal(reg(&h->f, "cart", "127.0.0.1", port), E_OK);
	beats_tick(h->beats);
	fixture_advance(&h->f, 100000);
	beats_tick(h->beats);
	pass(h, 50000);
	assert_int_equal(view_of(&h->f, "cart")->healthy, 10);
	pass(h, 12000);
	assert_int_equal(count_of(&h->f, "cart"), 0);
}

/* Real time from here on: the health thread's clock is the same. */
static void await(struct fixture *f, uint16_t port, bool want, const char *reason)
{
	uint64_t until = clock_ns() + (uint64_t)PATIENCE_NS * PATIENCE_SECONDS;
	while (healthy(f, port) != want && clock_ns() < until)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(healthy(f, port), want);
	assert_string_equal(instance_reason(seen(f, "cart", "127.0.0.1", port)), reason);
}

static void a_probe_finds_a_persistent_instance_dead_and_alive(void **state)
{
	struct health_fixture *h = *state;
	struct fixture *f = &h->f;
	uint16_t refused;
	int fd = port_that_refuses(&refused);
	clock_fake_off();
	assert_int_equal(reg_persistent(f, "cart", "127.0.0.1", refused), E_OK);
	await(f, refused, false, "connect refused");
	close(fd);
}

static void a_changed_checker_reaches_running_checks(void **state)
{
	struct health_fixture *h = *state;
	struct fixture *f = &h->f;
	struct listener *l = listener_new(false);
	listener_answer(l, "HTTP/1.1 404 Not Found\r\n\r\n");
	clock_fake_off();
	assert_int_equal(reg_persistent(f, "cart", "127.0.0.1", listener_port(l)), E_OK);
	struct command *cmd = make(CMD_CLUSTER_UPDATE, "cart");
	cmd->cluster = (struct cluster){ .name = "DEFAULT",
					 .checker = { CHECKER_HTTP, "HTTP", "/up", "", "", "", "", 200 },
					 .check_port = 80,
					 .use_instance_port = true };
	assert_int_equal(ask(f, cmd), E_OK);
	await(f, listener_port(l), false, "status 404");
	listener_free(l);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(silence_makes_unhealthy_then_removes),
		WITH(beats_keep_an_instance_and_bring_it_back),
		WITH(after_a_pause_nothing_looks_empty),
		WITH(a_probe_finds_a_persistent_instance_dead_and_alive),
		WITH(a_changed_checker_reaches_running_checks),
	};
	return cmocka_run_group_tests_name("health with desk", tests, NULL, NULL);
}

/* fuzz_zone_file.c - an arbitrary zone file, held against the registry and alone: every error has a line of its own, and
 * what is taken is merged into a zone set with some services, whose names and whose own names are then asked for. Every
 * answer must decode, by ldns too (one in eight while fuzzing), and keep to its size. */
#include "tests/support/view_maker.h"
#include "tests/support/zone_query.h"
#include "zones/zone_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void trap_if(bool wrong, const char *what)
{
	if (!wrong)
		return;
	fprintf(stderr, "fuzz_zone_file: %s\n", what);
	abort();
}

struct target {
	uv_loop_t loop;
	struct rcu_reaper *reaper;
	struct zone_set *zones;
	struct asker ask;
};

static const struct zone_conf *confs(void)
{
	static struct zone_conf zones[] = { { .name = "test", .layout = LAYOUT_FULL },
					    { .name = "b.test", .layout = LAYOUT_BOUND },
					    { .name = "s.test", .layout = LAYOUT_STATIC } };
	return zones;
}

static struct target *target_new(void)
{
	static const struct view_row rows[] = { { "10.0.0.1", 80, 1, true, true, NULL, 0 },
						{ "2001:db8::1", 81, 2, true, true, NULL, 0 } };
	const struct zone_set_conf conf = { .zones = confs(), .zone_count = 3, .ttl = 5, .ttl_host = 60, .ttl_negative = 5,
					    .ttl_apex = 3600, .ttl_version = 28800, .cap = 16, .raw_alias = true,
					    .loopback_addresses = true };
	struct target *t = calloc(1, sizeof(*t));
	struct error err;
	trap_if(t == NULL || uv_loop_init(&t->loop) != 0, "no loop");
	trap_if(rcu_reaper_start(&t->reaper, &t->loop, NULL) < 0, "no reaper");
	rcu_thread_start();
	trap_if(zone_set_new(&t->zones, &conf, t->reaper, &err) < 0, "no zones");
	struct registry_watcher w = zone_set_watcher(t->zones);
	w.on_view(w.arg, NULL, view_make(1, "cart", rows, 2));
	zone_set_ready(t->zones);
	asker_init(&t->ask, t->zones);
	return t;
}

static struct target *the_target(void)
{
	static struct target *target;
	if (target == NULL)
		target = target_new();
	return target;
}

static void ask_all(struct target *t)
{
	static const char *const names[] = { "test", "a.test", "x.y.test", "cart.svc.test", "ns1.test", "b.test", "cart.b.test",
					     "x.cart.b.test", "s.test", "a.s.test", "www.s.test", "x.sub.s.test", "x.old.s.test",
					     "x.wild.s.test" };
	static const unsigned types[] = { 1, 2, 5, 6, 15, 16, 28, 33, 39, 43, 255 };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++) {
			struct asked *a = ask(&t->ask, names[i], types[k]);
			trap_if(!a->readable, "an answer that cannot be read");
			trap_if(a->answer.tc && a->count > 0, "records in a truncated answer");
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct target *t = the_target();
	char path[64];
	int fd = memfd_create("zone", 0);
	trap_if(fd < 0 || write(fd, bytes, size) != (ssize_t)size, "no file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	bool any = false;
	for (int i = 0; i < 3; i++) {
		struct zone_conf conf = confs()[i];
		struct static_zone *file = NULL;
		struct text errors;
		text_init(&errors);
		conf.file = path;
		int rc = zone_file_load(&file, &conf, &errors);
		trap_if((rc == E_OK) != (file != NULL) || (rc == E_OK) != (errors.len == 0), "errors without a reason, or the other way");
		text_done(&errors);
		any |= rc == E_OK;
		if (rc == E_OK)
			zone_set_file(t->zones, i, file);
	}
	close(fd);
#ifndef FUZZ_REPLAYS
	t->ask.skip_ldns = size % 8 != 0; /* the other decoder sees them all */
#endif
	if (any)
		ask_all(t);
	rcu_reaper_turn(t->reaper);
	uv_run(&t->loop, UV_RUN_NOWAIT);
	return 0;
}

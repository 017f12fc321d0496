/* test_property.c - random commands against a naive model, compared after every turn; readers that look on
 * from other threads; restarts from SQLite and the warm copy. A failure prints its seed; MUSTER_SEED replays. */
#include "base/clock.h"
#include "base/random.h"
#include "tests/registry/fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SERVICES = 6, ADDRESSES = 40, STEPS = 6000 };

struct model_instance {
	bool here, healthy, enabled;
	double weight;
	int version, cluster;
	int64_t last_beat_ms;
	/* the overlay */
	bool edited;
	double edit_weight;
	bool edit_enabled;
};
struct model {
	struct model_instance at[SERVICES][ADDRESSES];
	bool frozen;	/* no time passes: readers beat too, and the model does not see it */
	int wrong_line; /* of the first answer that is not the model's; 0: none */
};

static const char *const clusters[] = { "DEFAULT", "east", "west" };
static const char *const services[SERVICES] = { "e0", "e1", "e2", "p0", "p1", "p2" };

static void address(int a, char ip[16], uint16_t *port)
{
	snprintf(ip, 16, "10.0.0.%u", (unsigned)a / 2 & 255);
	*port = (uint16_t)(80 + a % 2);
}

/* Noted, not asserted: an assertion jumps out while readers still look at the fixture. */
#define EXPECT(m, right)                                                                                               \
	do {                                                                                                           \
		if (!(right) && (m)->wrong_line == 0)                                                                  \
			(m)->wrong_line = __LINE__;                                                                    \
	} while (0)

/* The overlay belongs to ip, port and cluster; the model keeps one cluster per edited address. */
static void step(struct fixture *f, struct model *m, struct rng *rng)
{
	int s = (int)rng_below(rng, SERVICES), a = (int)rng_below(rng, s % 3 == 2 ? ADDRESSES : 8);
	struct model_instance *i = &m->at[s][a];
	bool ephemeral = s < 3;
	struct command *cmd;
	char ip[16], version[16];
	struct pair pair;
	uint16_t port;

	address(a, ip, &port);
	switch (rng_below(rng, 10)) {
	case 0: case 1: case 2: case 3:
		cmd = make_instance(CMD_INSTANCE_REGISTER, services[s], ip, port);
		if (rng_below(rng, 3) > 0 || !i->here) {
			i->version = (int)rng_below(rng, 3);
			i->weight = rng_below(rng, 4);
			i->enabled = rng_below(rng, 4) > 0;
			if (!i->edited)
				i->cluster = (int)rng_below(rng, 3);
		}
		i->here = i->healthy = true;
		i->last_beat_ms = f->now_ms;
		snprintf(version, sizeof(version), "%d", i->version);
		pair_set(&pair, "version", version);
		cmd->instance.metadata = &pair;
		cmd->instance.metadata_count = 1;
		cmd->instance.weight = i->weight;
		cmd->instance.enabled = i->enabled;
		cmd->instance.cluster = clusters[i->cluster];
		cmd->instance.ephemeral = ephemeral;
		EXPECT(m, ask(f, cmd) == E_OK);
		break;
	case 4: case 5:
		EXPECT(m, dereg(f, services[s], ip, port, ephemeral) == E_OK);
		i->here = false;
		break;
	case 6:
		cmd = make_instance(CMD_INSTANCE_BEAT, services[s], ip, port);
		EXPECT(m, ask_keep(f, cmd) == E_OK);
		EXPECT(m, cmd->unknown == !(i->here && ephemeral));
		if (i->here && ephemeral) {
			i->healthy = true;
			i->last_beat_ms = f->now_ms;
		}
		free(cmd);
		break;
	case 7:
		fixture_advance(f, m->frozen ? 0 : rng_below(rng, 8000));
		cmd = make_instance(CMD_EXPIRE, services[s], ip, port);
		cmd->remove = rng_below(rng, 2) == 0;
		if (i->here && ephemeral && f->now_ms - i->last_beat_ms > (cmd->remove ? 30000 : 15000)) {
			if (cmd->remove)
				i->here = false;
			else
				i->healthy = false;
		}
		EXPECT(m, ask(f, cmd) == E_OK);
		break;
	case 8:
		cmd = make_instance(CMD_VERDICT, services[s], ip, port);
		cmd->instance.healthy = rng_below(rng, 2) == 0;
		cmd->reason = cmd->instance.healthy ? "" : "refused";
		if (i->here && !ephemeral)
			i->healthy = cmd->instance.healthy;
		EXPECT(m, ask(f, cmd) == E_OK);
		break;
	default:
		cmd = make_instance(CMD_INSTANCE_UPDATE, services[s], ip, port);
		cmd->instance.cluster = clusters[i->cluster];
		cmd->instance.weight = 100 + rng_below(rng, 3);
		cmd->instance.enabled = rng_below(rng, 2) == 0;
		if (view_of(f, services[s]) == NULL) {
			EXPECT(m, ask(f, cmd) == E_NOTFOUND);
			break;
		}
		i->edited = true;
		i->edit_weight = cmd->instance.weight;
		i->edit_enabled = cmd->instance.enabled;
		EXPECT(m, ask(f, cmd) == E_OK);
	}
}

static void compare_one(struct fixture *f, int s, int a, const struct model_instance *want, uint64_t seed)
{
	char ip[16], version[16];
	uint16_t port;

	address(a, ip, &port);
	const struct instance *i = seen(f, services[s], ip, port);

	if ((i != NULL) != want->here)
		fail_msg("seed %llu: %s %s:%u is %shere", (unsigned long long)seed, services[s], ip, port,
			 i != NULL ? "" : "not ");
	if (i == NULL)
		return;
	const struct service_info *info = view_of(f, services[s])->info;

	snprintf(version, sizeof(version), "%d", want->version);
	if (strcmp(metadata_of(i, "version"), version) != 0 ||
	    strcmp(info->clusters[i->cluster].name, clusters[want->cluster]) != 0 ||
	    i->weight != (want->edited ? want->edit_weight : want->weight) ||
	    ((i->flags & INSTANCE_ENABLED) != 0) != (want->edited ? want->edit_enabled : want->enabled) ||
	    ((i->flags & INSTANCE_HEALTHY) != 0) != want->healthy)
		fail_msg("seed %llu: %s %s:%u is another", (unsigned long long)seed, services[s], ip, port);
}

static void compare(struct fixture *f, const struct model *m, uint64_t seed)
{
	uint64_t all = 0, healthy = 0;

	if (m->wrong_line != 0)
		fail_msg("seed %llu: another answer at line %d", (unsigned long long)seed, m->wrong_line);
	for (int s = 0; s < SERVICES; s++) {
		uint32_t here = 0, well = 0;

		for (int a = 0; a < ADDRESSES; a++) {
			compare_one(f, s, a, &m->at[s][a], seed);
			here += m->at[s][a].here;
			well += m->at[s][a].here && m->at[s][a].healthy;
		}
		const struct service_view *v = view_of(f, services[s]);

		if (here != (v == NULL ? 0 : v->count) || well != (v == NULL ? 0 : v->healthy))
			fail_msg("seed %llu: counts of %s", (unsigned long long)seed, services[s]);
		all += here;
		healthy += well;
	}
	struct registry_stats stats;

	registry_stats(f->registry, &stats);
	assert_int_equal(stats.instances, all);
	assert_int_equal(stats.healthy, healthy);
}

static uint64_t seed_of_run(void)
{
	const char *given = getenv("MUSTER_SEED");
	struct rng rng;

	rng_seed_system(&rng);
	return given != NULL ? strtoull(given, NULL, 10) : rng_next(&rng) % 1000000;
}

static void random_commands_match_a_naive_model(void **state)
{
	struct fixture *f = *state;
	struct model *m = calloc(1, sizeof(*m));
	uint64_t seed = seed_of_run();
	struct rng rng;

	rng_seed(&rng, seed);
	for (int n = 0; n < STEPS; n++) {
		step(f, m, &rng);
		compare(f, m, seed);
	}
	free(m);
}

/* ---- restarts */

static void remove_files(const char *dir)
{
	static const char *const names[] = { "muster.db", "muster.db-wal", "muster.db-shm", "warm.db", "warm.db-journal",
					     "warm.db-wal", "warm.db-shm" };
	char path[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void a_restart_from_sqlite_and_the_warm_copy_brings_everything_back(void **state)
{
	char dir[] = "/tmp/muster-registry-XXXXXX", warm[64];
	uint64_t seed = seed_of_run();
	struct model *m = calloc(1, sizeof(*m));
	struct fixture f;
	struct rng rng;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(warm, sizeof(warm), "%s/warm.db", dir);
	fixture_init(&f);
	f.sqlite_dir = dir;
	f.warm_path = warm;
	fixture_open(&f);
	rng_seed(&rng, seed);
	for (int round = 0; round < 4; round++) {
		int64_t last_ref_ms[SERVICES] = { 0 };

		for (int n = 0; n < 250; n++)
			step(&f, m, &rng);
		compare(&f, m, seed);
		for (int s = 0; s < SERVICES; s++)
			if (view_of(&f, services[s]) != NULL)
				last_ref_ms[s] = view_of(&f, services[s])->last_ref_ms;
		fixture_close(&f);
		fixture_advance(&f, 500);
		fixture_open(&f);
		compare(&f, m, seed);
		for (int s = 0; s < SERVICES; s++) {
			const struct service_view *v = view_of(&f, services[s]);

			if (v != NULL)
				assert_true(v->last_ref_ms > last_ref_ms[s]);
			for (int a = 0; a < ADDRESSES; a++)
				m->at[s][a].last_beat_ms = f.now_ms; /* a fresh grace */
			for (uint32_t i = 0; s < 3 && v != NULL && i < v->count; i++) {
				assert_true((v->instances[i]->flags & INSTANCE_RESTORED) != 0);
				assert_int_equal(v->instances[i]->last_beat_ms, f.now_ms);
			}
		}
	}
	fixture_done(&f);
	remove_files(dir);
	free(m);
}

/* ---- readers */

struct reader {
	struct fixture *f;
	_Atomic bool stop;
	uint64_t looks, wrong;
	int64_t now_ms; /* of the frozen clock */
};

static void look(struct reader *r, const char *service)
{
	struct service_key key = key_of(service);

	rcu_begin();
	const struct service_view *v = registry_view(r->f->registry, &key);

	if (v != NULL) {
		uint32_t healthy = 0;

		for (uint32_t i = 0; i < v->count; i++) {
			const struct instance *inst = v->instances[i];
			uint32_t at = 0;

			healthy += (inst->flags & INSTANCE_HEALTHY) != 0;
			r->wrong += view_find(v, instance_ip(inst), inst->ip_len, inst->port, &at) != inst;
			r->wrong += inst->cluster >= v->info->cluster_count;
			r->wrong += strcmp(v->info->key.name, service) != 0;
		}
		r->wrong += healthy != v->healthy;
		r->looks++;
	}
	registry_beat(r->f->registry, &key, "10.0.0.1", 8, 80, r->now_ms);
	rcu_end();
}

static void *reader_run(void *arg)
{
	struct reader *r = arg;

	rcu_thread_start();
	while (!atomic_load(&r->stop))
		for (int s = 0; s < SERVICES; s++)
			look(r, services[s]);
	rcu_thread_stop();
	return NULL;
}

static void readers_see_whole_views_while_the_desk_churns(void **state)
{
	struct fixture *f = *state;
	struct reader readers[2];
	pthread_t threads[2];
	struct model *m = calloc(1, sizeof(*m));
	uint64_t seed = seed_of_run(), wrong = 0, looks = 0;
	struct rng rng;

	rng_seed(&rng, seed);
	m->frozen = true;
	for (int i = 0; i < 2; i++) {
		readers[i] = (struct reader){ .f = f, .now_ms = f->now_ms };
		pthread_create(&threads[i], NULL, reader_run, &readers[i]);
	}
	for (int n = 0; n < 1500; n++) {
		step(f, m, &rng);
		if (n % 100 == 99) /* refused while it has instances */
			ask(f, make(CMD_SERVICE_DELETE, services[n / 100 % SERVICES]));
	}
	for (int i = 0; i < 2; i++) {
		atomic_store(&readers[i].stop, true);
		pthread_join(threads[i], NULL);
		wrong += readers[i].wrong;
		looks += readers[i].looks;
	}
	if (wrong > 0)
		fail_msg("seed %llu: %llu wrong views of %llu", (unsigned long long)seed, (unsigned long long)wrong,
			 (unsigned long long)looks);
	assert_true(looks > 0);
	assert_int_equal(m->wrong_line, 0);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(random_commands_match_a_naive_model),
		cmocka_unit_test(a_restart_from_sqlite_and_the_warm_copy_brings_everything_back),
		TEST(readers_see_whole_views_while_the_desk_churns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

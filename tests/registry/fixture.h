/* fixture.h - a desk on a loop with the memory store, and short ways to say commands. */
#ifndef TESTS_REGISTRY_FIXTURE_H
#define TESTS_REGISTRY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "registry/desk_inside.h"
#include "store/memory.h"

enum { NOTES_MAX = 4096 };

struct fixture {
	uv_loop_t loop;
	struct memory_disk *disk;
	struct desk *desk;
	struct registry *registry;
	struct registry_conf limits;
	const char *warm_path;
	const char *sqlite_dir; /* NULL: the memory store */
	bool ready, closed;
	/* what watchers saw */
	unsigned views, instances, infos, turns, gone_views;
	uint64_t last_number;
	int64_t now_ms;
	struct error error;
};

void fixture_init(struct fixture *f); /* fake clock, memory disk, default limits; not open */
void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f); /* the desk; the disk stays */
void fixture_done(struct fixture *f);
int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_advance(struct fixture *f, int64_t ms);

struct service_key key_of(const char *service); /* public, DEFAULT_GROUP */
struct command *make(enum command_kind kind, const char *service); /* heap; freed by ask */
struct command *make_instance(enum command_kind kind, const char *service, const char *ip, uint16_t port);
void pair_set(struct pair *pair, const char *key, const char *value);
/* Submits, runs the loop until it is back; its code. @number may be NULL. */
int ask(struct fixture *f, struct command *cmd);
int ask_keep(struct fixture *f, struct command *cmd); /* the caller frees it */
void submit(struct fixture *f, struct command *cmd, bool *done);
void run_some(struct fixture *f, int turns); /* without waiting */
/* Until every change is published: a view whose making took long, be it for a busy machine, waits for a timer. */
void run_published(struct fixture *f);

/* Registers with defaults. */
int reg(struct fixture *f, const char *service, const char *ip, uint16_t port);
int reg_persistent(struct fixture *f, const char *service, const char *ip, uint16_t port);
int dereg(struct fixture *f, const char *service, const char *ip, uint16_t port, bool ephemeral);
const struct service_view *view_of(struct fixture *f, const char *service); /* on the control thread */
const struct instance *seen(struct fixture *f, const char *service, const char *ip, uint16_t port);
uint32_t count_of(struct fixture *f, const char *service); /* 0 when missing */
const char *metadata_of(const struct instance *i, const char *key);

#endif

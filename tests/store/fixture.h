/* fixture.h - a store under test: a loop, a directory, what the feed brought, and waiting without
 * sleeping. Callbacks only record; tests assert after the loop has run. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "store/memory.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS_MAX = 16384, REPLIES_MAX = 8192, FIXTURE_TEXT = 400 };

struct row {
	char *key, *value;
	int64_t mod_revision;
};

struct answer {
	int tag; /* given to fixture_commit() */
	int code;
	int64_t number, mod_revision;
	char text[FIXTURE_TEXT];
};

struct fixture {
	uv_loop_t loop;
	char dir[64];
	struct store_conf conf;
	struct memory_disk *disk; /* set: the memory backend */
	struct store *store;
	struct error err;
	/* what the feed brought since the last open */
	struct row rows[ROWS_MAX];
	size_t row_count, loads;
	bool begun, ended, out_of_order, closed;
	int64_t load_number;
	enum store_state state;
	unsigned states;
	char reason[FIXTURE_TEXT];
	/* replies since the last open */
	struct answer answers[REPLIES_MAX];
	size_t answer_count, sent;
};

int fixture_setup_sqlite(void **state);
int fixture_setup_memory(void **state);
int fixture_teardown(void **state);

int fixture_open(struct fixture *f);	    /* and waits for load_end; an errcode */
int fixture_open_only(struct fixture *f);   /* does not wait */
void fixture_loaded(struct fixture *f);	    /* waits for load_end or STORE_REFUSED */
void fixture_close(struct fixture *f);	    /* and waits */
void fixture_reopen(struct fixture *f);	    /* close, forget, open; asserts */
void fixture_commit(struct fixture *f, const struct store_batch *b, int tag);
void fixture_put(struct fixture *f, const char *key, const char *value, int tag); /* NULL: delete */
void fixture_answers(struct fixture *f, size_t count); /* waits until so many have come */
const struct answer *fixture_put_now(struct fixture *f, const char *key, const char *value);
const struct answer *fixture_commit_now(struct fixture *f, const struct store_batch *b);
const struct row *fixture_row(const struct fixture *f, const char *key); /* of the last load */
char *fixture_path(const struct fixture *f, const char *name); /* the caller's to free */
/* Runs @sql with a connection of its own, as an operator would; the rows as text, "a|b\nc|d\n". */
char *fixture_sql(const struct fixture *f, const char *sql);

#endif

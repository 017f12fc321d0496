#include "tests/store/fixture.h"
#include "base/mem.h"

#include <ftw.h>
#include <sqlite3.h>
#include <unistd.h>

/* ---- the feed */

static void on_begin(void *arg)
{
	struct fixture *f = arg;
	f->out_of_order |= f->begun || f->ended;
	f->begun = true;
}

static void on_entry(void *arg, const struct store_entry *e)
{
	struct fixture *f = arg;
	f->out_of_order |= !f->begun || f->ended || f->row_count == ROWS_MAX;
	if (f->row_count == ROWS_MAX)
		return;
	if (f->row_count > 0 && strcmp(f->rows[f->row_count - 1].key, e->key) >= 0)
		f->out_of_order = true;
	f->rows[f->row_count++] = (struct row){ mem_strdup(e->key),
						mem_memdup0(e->value, e->value_len), e->mod_revision };
}

static void on_end(void *arg, int64_t number)
{
	struct fixture *f = arg;
	f->out_of_order |= !f->begun || f->ended;
	f->ended = true;
	f->load_number = number;
}

static void on_state(void *arg, enum store_state state, const char *reason)
{
	struct fixture *f = arg;
	f->state = state;
	f->states++;
	snprintf(f->reason, sizeof(f->reason), "%s", reason == NULL ? "" : reason);
}

static void on_closed(void *arg)
{
	((struct fixture *)arg)->closed = true;
}

/* ---- life */

static void forget(struct fixture *f)
{
	for (size_t i = 0; i < f->row_count; i++) {
		mem_free(f->rows[i].key);
		mem_free(f->rows[i].value);
	}
	f->row_count = f->answer_count = f->sent = 0;
	f->begun = f->ended = f->closed = false;
	f->state = STORE_LOADING;
	f->states = 0;
	f->reason[0] = '\0';
}

static struct fixture *fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	uv_loop_init(&f->loop);
	snprintf(f->dir, sizeof(f->dir), "/tmp/muster-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->conf = (struct store_conf){ .url = "sqlite:", .data_dir = f->dir };
	return f;
}

int fixture_setup_sqlite(void **state)
{
	*state = fixture_new();
	return 0;
}

int fixture_setup_memory(void **state)
{
	struct fixture *f = fixture_new();
	f->disk = memory_disk_new();
	*state = f;
	return f->disk == NULL;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	if (f->store != NULL)
		fixture_close(f);
	forget(f);
	memory_disk_free(f->disk);
	int busy = uv_loop_close(&f->loop);
	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return busy;
}

int fixture_open_only(struct fixture *f)
{
	struct store_feed feed = { .load_begin = on_begin, .load_entry = on_entry, .load_end = on_end, .on_state = on_state, .arg = f };
	forget(f);
	if (f->disk != NULL)
		return memory_store_open(&f->store, &f->loop, f->disk, &feed, &f->err);
	return store_open(&f->store, &f->loop, &f->conf, &feed, &f->err);
}

void fixture_loaded(struct fixture *f)
{
	while ((!f->ended || f->state == STORE_LOADING) && f->state != STORE_REFUSED)
		uv_run(&f->loop, UV_RUN_ONCE);
}

int fixture_open(struct fixture *f)
{
	int rc = fixture_open_only(f);
	if (rc == E_OK)
		fixture_loaded(f);
	return rc;
}

void fixture_close(struct fixture *f)
{
	store_close(f->store, on_closed, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->closed);
	f->store = NULL;
}

void fixture_reopen(struct fixture *f)
{
	fixture_close(f);
	if (fixture_open(f) != E_OK)
		fail_msg("%s", f->err.text);
	assert_false(f->out_of_order);
}

/* ---- commits */

struct ticket {
	struct fixture *f;
	int tag;
};

static void on_reply(void *arg, const struct store_reply *reply)
{
	struct ticket *t = arg;
	struct fixture *f = t->f;
	if (f->answer_count < REPLIES_MAX) {
		struct answer *a = &f->answers[f->answer_count++];
		*a = (struct answer){ t->tag, reply->code, reply->number, reply->mod_revision, "" };
		if (reply->error != NULL)
			snprintf(a->text, sizeof(a->text), "%s", reply->error->text);
	}
	free(t);
}

void fixture_commit(struct fixture *f, const struct store_batch *b, int tag)
{
	struct ticket *t = malloc(sizeof(*t));
	assert_non_null(t);
	*t = (struct ticket){ f, tag };
	assert_int_equal(store_commit(f->store, b, on_reply, t, &f->err), E_OK);
	f->sent++;
}

void fixture_put(struct fixture *f, const char *key, const char *value, int tag)
{
	struct store_op op = { key, value, value == NULL ? 0 : strlen(value) };
	fixture_commit(f, &(struct store_batch){ .ops = &op, .op_count = 1 }, tag);
}

void fixture_answers(struct fixture *f, size_t count)
{
	while (f->answer_count < count)
		uv_run(&f->loop, UV_RUN_ONCE);
}

const struct answer *fixture_commit_now(struct fixture *f, const struct store_batch *b)
{
	fixture_commit(f, b, 0);
	fixture_answers(f, f->sent);
	return &f->answers[f->answer_count - 1];
}

const struct answer *fixture_put_now(struct fixture *f, const char *key, const char *value)
{
	fixture_put(f, key, value, 0);
	fixture_answers(f, f->sent);
	return &f->answers[f->answer_count - 1];
}

/* ---- looking */

const struct row *fixture_row(const struct fixture *f, const char *key)
{
	for (size_t i = 0; i < f->row_count; i++)
		if (strcmp(f->rows[i].key, key) == 0)
			return &f->rows[i];
	return NULL;
}

char *fixture_path(const struct fixture *f, const char *name)
{
	char *path = NULL;
	assert_true(asprintf(&path, "%s/%s", f->dir, name) > 0);
	return path;
}

static int sql_row(void *arg, int count, char **values, char **names)
{
	(void)names;
	for (int i = 0; i < count; i++)
		fprintf(arg, "%s%s", i == 0 ? "" : "|", values[i] == NULL ? "" : values[i]);
	fputc('\n', arg);
	return 0;
}

char *fixture_sql(const struct fixture *f, const char *sql)
{
	sqlite3 *db = NULL;
	char *text = NULL, *problem = NULL, *path = fixture_path(f, "muster.db");
	size_t len;
	FILE *out = open_memstream(&text, &len);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, sql_row, out, &problem) != SQLITE_OK)
		fail_msg("%s: %s", sql, problem);
	sqlite3_close(db);
	fclose(out);
	free(path);
	return text;
}

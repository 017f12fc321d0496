/* namespace.c - namespaces of v1, v2 and v3 (nacos-naming 2.10, 4.4; nacos-config 6). */
#include "api/handlers.h"
#include "api/io.h"
#include "api/shapes.h"
#include "base/random.h"
#include "registry/failure.h"
#include <string.h>

enum { ROWS = 64 /* read at a time on the control thread */ };

/* Up to S2.x the reserved namespace has the id "", on S3 it is "public". */
static const char *reserved_id(const struct request *r)
{
	return r->route->face == FACE_V3 ? "public" : "";
}

/* "", "public" and, on S3, "null" all mean the reserved one. */
static const char *namespace_id(const struct request *r, enum param id)
{
	const char *s = param_or(&r->params, id, "public");
	return strcmp(s, "null") == 0 && r->route->face == FACE_V3 ? "public" : s;
}

/* Each row, until @each says stop. */
static void each_row(struct registry *reg, bool (*each)(struct request *r, const struct namespace_row *row),
		     struct request *r)
{
	struct namespace_row rows[ROWS];
	size_t count = 0;
	for (size_t from = 0;; from += count) {
		registry_namespaces(reg, from, ROWS, rows, &count);
		for (size_t i = 0; i < count; i++)
			if (!each(r, &rows[i]))
				return;
		if (count < ROWS)
			return;
	}
}

static bool write_row(struct request *r, const struct namespace_row *row)
{
	shape_namespace(&r->out, row, reserved_id(r));
	return true;
}

static int read_list(struct registry *reg, void *arg, struct error *err)
{
	struct request *r = arg;
	(void)err;
	json_open(&r->out, '[');
	each_row(reg, write_row, r);
	json_close(&r->out, ']');
	return E_OK;
}

static void answer_out(struct request *r)
{
	struct text *t = answer_begin(r);
	if (r->out.failed)
		t->failed = true;
	json_raw(t, r->out.at, r->out.len);
	answer_end(r);
}

static void answer_rest_result(struct request *r)
{
	struct text *t = answer_begin_bare(r);
	if (r->out.failed)
		t->failed = true;
	json_open(t, '{');
	json_kv_i64(t, "code", 200);
	json_key(t, "message");
	json_null(t);
	json_key(t, "data");
	json_raw(t, r->out.at, r->out.len);
	json_close(t, '}');
	answer_end_bare(r);
}

void api_namespace_list(struct request *r)
{
	request_call(r, read_list, request_is_v1(r) ? answer_rest_result : answer_out);
}

/* ---- one namespace: @more is the id that is looked for */

static bool is_wanted(const struct request *r, const struct namespace_row *row)
{
	const char *id = r->more;
	return strcmp(row->id, id) == 0 || (row->type == 0 && strcmp(id, "public") == 0);
}

static bool write_wanted(struct request *r, const struct namespace_row *row)
{
	if (!is_wanted(r, row))
		return true;
	shape_namespace(&r->out, row, reserved_id(r));
	return false;
}

static int read_one(struct registry *reg, void *arg, struct error *err)
{
	struct request *r = arg;
	char part[SHOWN_MAX];
	const char *id = r->more;
	each_row(reg, write_wanted, r);
	if (r->out.len == 0)
		return error_set_what(err, E_NOTFOUND, FAIL_NAMESPACE_MISSING, "namespaceId [ %s ] not exist",
				      shown(part, id, strlen(id)));
	return E_OK;
}

void api_namespace_get(struct request *r)
{
	r->more = (void *)(uintptr_t)namespace_id(r, P_NAMESPACE_ID);
	request_call(r, read_one, answer_out);
}

static int read_exists(struct registry *reg, void *arg, struct error *err)
{
	struct request *r = arg;
	(void)err;
	each_row(reg, write_wanted, r);
	bool there = r->out.len > 0;
	text_clear(&r->out);
	text_add(&r->out, there ? "true" : "false");
	return E_OK;
}

/* v3 counts. */
static int read_count(struct registry *reg, void *arg, struct error *err)
{
	struct request *r = arg;
	int rc = read_exists(reg, arg, err);
	bool there = strcmp(r->out.at, "true") == 0;
	text_clear(&r->out);
	text_add(&r->out, there ? "1" : "0");
	return rc;
}

void api_namespace_check(struct request *r)
{
	r->more = (void *)(uintptr_t)namespace_id(r, P_NAMESPACE_ID);
	request_call(r, read_count, answer_out);
}

void api_namespace_exists(struct request *r)
{
	r->more = (void *)(uintptr_t)namespace_id(r, P_CUSTOM_NAMESPACE_ID);
	request_call(r, read_exists, answer_out);
}

/* v1 has one path for three questions. */
void api_namespace_v1_get(struct request *r)
{
	if (param_flag(&r->params, P_CHECK_NAMESPACE, false))
		api_namespace_exists(r);
	else if (param_text(&r->params, P_SHOW) != NULL)
		api_namespace_get(r);
	else
		api_namespace_list(r);
}

/* ---- changes */

static void answer_true(struct request *r)
{
	reply_bool(r, true);
}

/* v1 says false where the others name the error: of its input, of its existence. A refusal of ours (store,
 * limits) is an error on v1 too. */
static bool v1_says_false(const struct request *r)
{
	int what = r->err.what;
	return request_is_v1(r) && (what == FAIL_NAMESPACE || what == FAIL_NAMESPACE_MISSING ||
				    what == FAIL_NAMESPACE_EXISTS || what == FAIL_PARAM);
}

static void finish_change(struct request *r)
{
	if (r->cmd.code == E_OK) {
		reply_bool(r, true);
		return;
	}
	r->err = r->cmd.error;
	if (v1_says_false(r))
		reply_bool(r, false);
	else
		reply_failure(r);
}

/* Deleting what is not there is fine: it is not there. */
static void finish_delete(struct request *r)
{
	if (r->cmd.code < 0 && r->cmd.error.what == FAIL_NAMESPACE_MISSING)
		answer_true(r);
	else
		finish_change(r);
}

static void submit_change(struct request *r, void (*finish)(struct request *r))
{
	r->takes_failure = true;
	request_submit(r, finish);
}

static bool param_given(struct request *r, enum param id, const char **ret)
{
	if (param_require(&r->params, id, ret, &r->err) == E_OK)
		return true;
	reply_failure(r);
	return false;
}

void api_namespace_create(struct request *r)
{
	request_command(r, CMD_NAMESPACE_CREATE);
	if (!param_given(r, P_NAMESPACE_NAME, &r->cmd.ns.name))
		return;
	const char *id = param_or(&r->params, P_CUSTOM_NAMESPACE_ID, param_text(&r->params, P_NAMESPACE_ID));
	if (id == NULL) {
		char *uuid = arena_alloc(&r->call->arena, 37);
		if (uuid == NULL) {
			error_set(&r->err, E_NOMEM, "no memory for the namespace id");
			reply_failure(r);
			return;
		}
		random_uuid(uuid);
		id = uuid;
	}
	r->cmd.ns.id = id;
	r->cmd.ns.description = param_or(&r->params, P_NAMESPACE_DESC, "");
	submit_change(r, finish_change);
}

void api_namespace_update(struct request *r)
{
	bool v1 = request_is_v1(r);
	request_command(r, CMD_NAMESPACE_UPDATE);
	if (!param_given(r, v1 ? P_NAMESPACE : P_NAMESPACE_ID, &r->cmd.ns.id) ||
	    !param_given(r, v1 ? P_NAMESPACE_SHOW_NAME : P_NAMESPACE_NAME, &r->cmd.ns.name))
		return;
	r->cmd.ns.description = param_or(&r->params, P_NAMESPACE_DESC, "");
	submit_change(r, finish_change);
}

void api_namespace_delete(struct request *r)
{
	request_command(r, CMD_NAMESPACE_DELETE);
	if (!param_given(r, P_NAMESPACE_ID, &r->cmd.ns.id))
		return;
	submit_change(r, finish_delete);
}

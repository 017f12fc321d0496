/* service.c - services: create, read, update, delete, list (nacos-naming 2.3, 3.4). */
#include "api/handlers.h"
#include "api/io.h"
#include "api/json_in.h"
#include "api/shapes.h"
#include "net/form.h"
#include "registry/failure.h"
#include <string.h>

/* The original decodes a selector once more after the form's decoding. */
static int read_selector(struct request *r, const char **ret)
{
	struct param_value *v = &r->params.values[P_SELECTOR];
	*ret = NULL;
	if (v->at == NULL)
		return E_OK;
	if (v->at[0] == '%')
		v->len = (uint32_t)url_decode(v->at, v->at, v->len, 1);
	if (strlen(v->at) != v->len || !utf8_valid(v->at, v->len))
		return error_set_what(&r->err, E_INVALID, FAIL_SELECTOR, "Param 'selector' is illegal, it is no text");
	int rc = selector_check(*v, &r->err);
	if (rc == E_OK)
		*ret = v->at;
	return rc;
}

static int read_service(struct request *r)
{
	const struct params *p = &r->params;
	struct service_spec *spec = &r->cmd.service;
	struct pair_list metadata;
	int rc = request_key(r, &r->cmd.key);
	if (rc == E_OK)
		rc = param_double(p, P_PROTECT_THRESHOLD, 0.0, &spec->protect_threshold, &r->err);
	if (rc == E_OK)
		rc = metadata_decode(&metadata, p->mem, p->values[P_METADATA], FAIL_SERVICE_METADATA, "metadata",
				     &r->err);
	if (rc == E_OK)
		rc = read_selector(r, &spec->selector);
	if (rc < 0)
		return rc;
	spec->metadata = metadata.at;
	spec->metadata_count = metadata.count;
	spec->ephemeral = !request_is_v1(r) && param_bool(p, P_EPHEMERAL, false);
	return E_OK;
}

void api_service_create(struct request *r)
{
	request_command(r, CMD_SERVICE_CREATE);
	if (read_service(r) < 0)
		reply_failure(r);
	else
		request_submit(r, NULL);
}

void api_service_update(struct request *r)
{
	const char *threshold;
	request_command(r, CMD_SERVICE_UPDATE);
	if (read_service(r) < 0 ||
	    (request_is_v1(r) && param_require(&r->params, P_PROTECT_THRESHOLD, &threshold, &r->err) < 0))
		reply_failure(r);
	else
		request_submit(r, NULL);
}

void api_service_delete(struct request *r)
{
	request_command(r, CMD_SERVICE_DELETE);
	if (request_key(r, &r->cmd.key) < 0)
		reply_failure(r);
	else
		request_submit(r, NULL);
}

void api_service_detail(struct request *r)
{
	struct service_key key;
	if (request_key(r, &key) < 0) {
		reply_failure(r);
		return;
	}
	rcu_begin();
	const struct service_view *v = registry_view(request_registry(r), &key);
	if (v != NULL && request_is_v1(r))
		shape_service_v1(answer_begin(r), v);
	else if (v != NULL)
		shape_service_detail(answer_begin(r), v, r->route->face == FACE_V3 ? DETAIL_V3 : DETAIL_V2);
	rcu_end();
	if (v != NULL) {
		answer_end(r);
		return;
	}
	error_set_what(&r->err, E_NOTFOUND, FAIL_SERVICE_MISSING, "service %s@@%s is not found in namespace %s", key.group,
		       key.name, key.ns);
	reply_failure(r);
}

void api_service_by_path(struct request *r)
{
	char *name = request_last_segment(r);
	if (name != NULL && utf8_valid(name, strlen(name)))
		r->params.values[P_SERVICE_NAME] = (struct param_value){ name, (uint32_t)strlen(name) };
	switch (r->call->method) {
	case HTTP_POST:
		api_service_create(r);
		break;
	case HTTP_PUT:
		api_service_update(r);
		break;
	case HTTP_DELETE:
		api_service_delete(r);
		break;
	default:
		api_service_detail(r);
	}
}

/* ---- list */

enum { NAMES_MAX = 10000 /* of one page */ };

struct names_page {
	const char *ns, *group;
	int64_t number, size;
	const char **names; /* size of them, for the registry to fill */
};

/* On the control thread: the names are the registry's, so the JSON is written here. */
static int read_names(struct registry *reg, void *arg, struct error *err)
{
	struct request *r = arg;
	const struct names_page *page = r->more;
	size_t count = 0, from = page->number > 1 ? (size_t)((page->number - 1) * page->size) : 0;
	struct text *t = &r->out;
	(void)err;
	size_t total = registry_group_names(reg, page->ns, page->group, from, (size_t)page->size, page->names, &count);
	json_open(t, '{');
	json_kv_i64(t, "count", (int64_t)total);
	json_key(t, request_is_v1(r) ? "doms" : "services");
	json_open(t, '[');
	for (size_t i = 0; i < count; i++)
		json_str(t, page->names[i]);
	json_close(t, ']');
	json_close(t, '}');
	return E_OK;
}

static void names_read(struct request *r)
{
	struct text *t = answer_begin(r);
	if (r->out.failed)
		t->failed = true;
	json_raw(t, r->out.at, r->out.len);
	answer_end(r);
}

static int read_page(struct request *r, struct names_page *page)
{
	const struct params *p = &r->params;
	const char *given;
	bool v1 = request_is_v1(r);
	int rc = E_OK;
	if (v1) /* required there */
		rc = param_require(p, P_PAGE_NO, &given, &r->err);
	if (v1 && rc == E_OK)
		rc = param_require(p, P_PAGE_SIZE, &given, &r->err);
	if (rc == E_OK) /* a page before the first one is the first */
		rc = param_int(p, P_PAGE_NO, INT32_MIN, INT32_MAX, 1, &page->number, &r->err);
	if (rc == E_OK)
		rc = param_int(p, P_PAGE_SIZE, 0, INT32_MAX, 20, &page->size, &r->err);
	int64_t most = v1 ? NAMES_MAX : 500;
	if (page->size > most)
		page->size = most; /* count tells that there is more */
	return rc;
}

void api_service_list(struct request *r)
{
	const char *selector;
	struct names_page *page = arena_zalloc(&r->call->arena, sizeof(*page));
	if (page == NULL) {
		error_set(&r->err, E_NOMEM, "no memory for the list");
		reply_failure(r);
		return;
	}
	page->ns = param_or(&r->params, P_NAMESPACE_ID, "public");
	page->group = param_or(&r->params, P_GROUP_NAME, "DEFAULT_GROUP");
	/* S2.x and later take a selector here and filter by nothing; a bad one is still told. */
	if (read_page(r, page) < 0 || read_selector(r, &selector) < 0 || name_check_namespace(page->ns, strlen(page->ns), &r->err) < 0 ||
	    name_check_group(page->group, strlen(page->group), &r->err) < 0) {
		reply_failure(r);
		return;
	}
	page->names = arena_alloc(&r->call->arena, (size_t)(page->size + 1) * sizeof(*page->names));
	if (page->names == NULL) {
		error_set(&r->err, E_NOMEM, "no memory for the list");
		reply_failure(r);
		return;
	}
	r->more = page;
	request_call(r, read_names, names_read);
}

void api_selector_types(struct request *r)
{
	static const char v1[] = "{\"code\":200,\"message\":null,\"data\":[\"none\",\"label\"]}",
			  v3[] = "{\"code\":0,\"message\":\"success\",\"data\":[\"none\",\"label\"]}";
	if (request_is_v1(r))
		reply(r, 200, TYPE_JSON, v1, sizeof(v1) - 1);
	else
		reply(r, 200, TYPE_JSON, v3, sizeof(v3) - 1);
}

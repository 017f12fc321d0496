/* metadata.c - metadata of many instances at once (nacos-naming 2.2, 3.3): keys are added to or taken from the
 * operator's overlays, what the publishers said stays. */
#include "api/handlers.h"
#include "api/json_in.h"
#include "api/request.h"
#include "registry/failure.h"
#include <string.h>

/* Each entry of r->out is a text with its NUL. */
static void batch_done(struct request *r)
{
	struct text *t = answer_begin(r);
	if (r->out.failed)
		t->failed = true;
	json_open(t, '{');
	json_key(t, "updated");
	json_open(t, '[');
	for (size_t at = 0; at < r->out.len; at += strlen(r->out.at + at) + 1)
		json_str(t, r->out.at + at);
	json_close(t, ']');
	json_close(t, '}');
	answer_end(r);
}

/* No list, and an empty one, mean all instances of the service. One that cannot be read is refused: the
 * original takes it for all, which nobody wants who has mistyped one. */
static int read_targets(struct request *r)
{
	const struct param_value *v = &r->params.values[P_INSTANCES];
	if (v->at == NULL)
		return E_OK;
	return targets_decode(&r->cmd.targets, &r->cmd.target_count, r->params.mem, *v, &r->err);
}

static int read_batch(struct request *r)
{
	struct pair_list metadata;
	const char *given;
	int rc = request_key(r, &r->cmd.key);
	if (rc == E_OK)
		rc = param_require(&r->params, P_METADATA, &given, &r->err);
	if (rc == E_OK)
		rc = metadata_decode(&metadata, r->params.mem, r->params.values[P_METADATA], FAIL_INSTANCE_METADATA,
				     "metadata", &r->err);
	if (rc == E_OK)
		rc = read_targets(r);
	if (rc < 0)
		return rc;
	r->cmd.instance.metadata = metadata.at;
	r->cmd.instance.metadata_count = metadata.count;
	return E_OK;
}

void api_metadata_batch(struct request *r)
{
	request_command(r, CMD_METADATA_BATCH);
	r->cmd.cause = CAUSE_OPERATOR;
	r->cmd.remove_keys = r->call->method == HTTP_DELETE;
	r->cmd.updated = &r->out;
	if (read_batch(r) < 0)
		reply_failure(r);
	else
		request_submit(r, batch_done);
}

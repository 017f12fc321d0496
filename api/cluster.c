/* cluster.c - checker settings of a cluster (nacos-naming 2.4, 4.3). */
#include "api/handlers.h"
#include "api/json_in.h"
#include "api/request.h"
#include "registry/failure.h"
#include <string.h>

static int pack(struct packed *ret, struct arena *mem, const struct pair_list *list, struct error *err)
{
	size_t len = packed_size(list->at, list->count);
	char *to = arena_alloc(mem, len + 1);
	if (to == NULL)
		return error_set(err, E_NOMEM, "no memory for the metadata");
	packed_build(to, list->at, list->count);
	*ret = (struct packed){ to, (uint32_t)len, (uint32_t)list->count };
	return E_OK;
}

static int read_cluster(struct request *r)
{
	const struct params *p = &r->params;
	struct cluster *c = &r->cmd.cluster;
	const char *given;
	struct pair_list metadata;
	int rc = request_key(r, &r->cmd.key);
	if (rc == E_OK)
		rc = param_require(p, P_CLUSTER_NAME, &c->name, &r->err);
	if (rc == E_OK)
		rc = param_port(p, P_CHECK_PORT, &c->check_port, &r->err);
	if (rc == E_OK)
		rc = param_require(p, P_USE_INSTANCE_PORT, &given, &r->err);
	if (rc == E_OK)
		rc = param_require(p, P_HEALTH_CHECKER, &given, &r->err);
	if (rc == E_OK)
		rc = checker_decode(&c->checker, p->mem, p->values[P_HEALTH_CHECKER], &r->err);
	if (rc == E_OK)
		rc = metadata_decode(&metadata, p->mem, p->values[P_METADATA], FAIL_INSTANCE_METADATA, "metadata",
				     &r->err);
	if (rc < 0)
		return rc;
	c->use_instance_port = param_bool(p, P_USE_INSTANCE_PORT, true);
	c->stored = true;
	return pack(&c->metadata, p->mem, &metadata, &r->err);
}

void api_cluster_update(struct request *r)
{
	request_command(r, CMD_CLUSTER_UPDATE);
	memset(&r->cmd.cluster, 0, sizeof(r->cmd.cluster));
	if (read_cluster(r) < 0)
		reply_failure(r);
	else
		request_submit(r, NULL);
}

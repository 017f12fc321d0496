/* plan_service.c - services, clusters, namespaces and switches: what operators set. */
#include "base/mem.h"
#include "registry/core.h"

#include <math.h>
#include <string.h>

enum {
	SELECTOR_MAX = 8192,	 /* bytes */
	CHECKER_TEXT_MAX = 2048, /* bytes of one field */
	NAMESPACE_NAME_MAX = 256,
	NAMESPACE_DESCRIPTION_MAX = 1024,
};

static int service_missing(const struct plan *p, struct error *err)
{
	return error_set_what(err, E_NOTFOUND, FAIL_SERVICE_MISSING,
			      "service %.100s@@%.160s not found in namespace %s", p->cmd->key.group,
			      p->cmd->key.name, p->cmd->key.ns);
}

/* ---- services */

static int check_service_spec(const struct registry *r, const struct service_spec *spec, struct error *err)
{
	if (!isfinite(spec->protect_threshold) || spec->protect_threshold > 1)
		return error_set_what(err, E_RANGE, FAIL_PARAM, "protectThreshold %.15g is outside 0..1",
				      spec->protect_threshold);
	if (spec->selector != NULL && strlen(spec->selector) > SELECTOR_MAX)
		return error_set_what(err, E_RANGE, FAIL_SELECTOR, "selector has %zu bytes, the limit is %d",
				      strlen(spec->selector), SELECTOR_MAX);
	return plan_metadata_check(r, spec->metadata, spec->metadata_count, FAIL_SERVICE_METADATA, err);
}

static int plan_settings(struct plan *p, struct error *err)
{
	static const struct pair none;
	const struct service_spec *spec = &p->cmd->service;
	struct info_draft d;

	info_draft_of(&d, p->service->info);
	d.stored = true;
	d.protect_threshold = spec->protect_threshold;
	d.selector = spec->selector;
	d.pairs = spec->metadata_count == 0 ? &none : spec->metadata;
	d.pair_count = spec->metadata_count;
	p->info = info_new(p->service, &d);
	p->durable = p->service_row = true;
	return p->info == NULL ? plan_no_memory(err) : E_OK;
}

int plan_service_create(struct registry *r, struct plan *p, struct error *err)
{
	int rc = check_service_spec(r, &p->cmd->service, err);

	if (rc < 0)
		return rc;
	if (p->service != NULL)
		return error_set_what(err, E_EXISTS, FAIL_SERVICE_EXISTS,
				      "specified service exists, serviceName: %.100s@@%.160s", p->cmd->key.group,
				      p->cmd->key.name);
	rc = plan_service_new(r, p, p->cmd->service.ephemeral, err);
	return rc < 0 ? rc : plan_settings(p, err);
}

int plan_service_update(struct registry *r, struct plan *p, struct error *err)
{
	int rc = check_service_spec(r, &p->cmd->service, err);

	if (rc < 0)
		return rc;
	return p->service == NULL ? service_missing(p, err) : plan_settings(p, err);
}

/* A service goes with the edits of its instances that are still kept. */
static int plan_drop_overlays(struct plan *p, struct error *err)
{
	struct service *s = p->service;

	if (s->overlay_count == 0)
		return E_OK;
	p->steps = mem_zalloc(s->overlay_count, sizeof(*p->steps));
	if (p->steps == NULL) {
		p->steps = &p->one;
		return plan_no_memory(err);
	}
	for (struct overlay *o = s->overlays; o != NULL; o = o->next) {
		p->steps[p->step_count].overlay = o;
		p->steps[p->step_count++].set_content = true;
	}
	return E_OK;
}

int plan_service_delete(struct registry *r, struct plan *p, struct error *err)
{
	struct service *s = p->service;

	(void)r;
	if (s == NULL)
		return service_missing(p, err);
	if (s->count > 0)
		return error_set_what(err, E_CONFLICT, FAIL_SERVICE_NOT_EMPTY,
				      "service %.100s@@%.160s is not empty, can't be delete. Please unregister "
				      "instance first",
				      p->cmd->key.group, p->cmd->key.name);
	p->remove_service = true;
	p->service_row = s->has_row;
	p->durable = s->has_row || s->overlay_count > 0;
	return plan_drop_overlays(p, err);
}

/* The sweep of an empty one, whose kind is free again afterwards (nacos-naming 1.10). */
int plan_sweep_service(struct registry *r, struct plan *p, struct error *err)
{
	struct service *s = p->service;

	(void)err;
	p->nothing = s == NULL || s->count > 0 || s->has_row || s->overlay_count > 0 || s->empty_ms == 0 ||
		     p->now_ms - s->empty_ms < r->conf.clean_empty_ms;
	p->remove_service = !p->nothing;
	return E_OK;
}

/* ---- clusters */

static int check_text(const char *field, const char *s, struct error *err)
{
	if (s != NULL && strlen(s) > CHECKER_TEXT_MAX)
		return error_set_what(err, E_RANGE, FAIL_PARAM, "healthChecker %s has %zu bytes, the limit is %d",
				      field, strlen(s), CHECKER_TEXT_MAX);
	return E_OK;
}

static int check_checker(const struct checker *c, struct error *err)
{
	int rc = check_text("type", c->type, err);

	if (rc == E_OK)
		rc = check_text("path", c->path, err);
	if (rc == E_OK)
		rc = check_text("headers", c->headers, err);
	if (rc == E_OK)
		rc = check_text("user", c->user, err);
	if (rc == E_OK)
		rc = check_text("pwd", c->password, err);
	if (rc == E_OK)
		rc = check_text("cmd", c->command, err);
	return rc;
}

static int check_cluster(const struct registry *r, const struct cluster *c, struct error *err)
{
	struct pair pairs[PAIRS_MAX];
	int rc;

	if (c->name == NULL || *c->name == '\0')
		return error_set_what(err, E_MISSING, FAIL_PARAM, "Param 'clusterName' is required.");
	rc = name_check_cluster(c->name, strlen(c->name), err);
	if (rc == E_OK)
		rc = check_checker(&c->checker, err);
	if (rc == E_OK && c->metadata.count > PAIRS_MAX)
		rc = error_set_what(err, E_RANGE, FAIL_PARAM, "metadata has %u pairs, the limit is %d",
				    c->metadata.count, PAIRS_MAX);
	if (rc == E_OK)
		rc = plan_metadata_check(r, pairs, pairs_of(c->metadata, pairs, PAIRS_MAX), FAIL_PARAM, err);
	return rc;
}

int plan_cluster_update(struct registry *r, struct plan *p, struct error *err)
{
	struct cluster c = p->cmd->cluster;
	struct info_draft d;
	int rc = check_cluster(r, &c, err);

	if (rc < 0)
		return rc;
	if (p->service == NULL)
		return service_missing(p, err);
	c.stored = true;
	if (c.checker.type == NULL || *c.checker.type == '\0') {
		struct checker named;

		checker_default(&named, c.checker.kind);
		c.checker.type = named.type;
	}
	info_draft_of(&d, p->service->info);
	d.extra = &c;
	d.replace = info_cluster(p->service->info, c.name, strlen(c.name));
	p->info = info_new(p->service, &d);
	p->durable = p->service_row = true;
	return p->info == NULL ? plan_no_memory(err) : E_OK;
}

/* ---- namespaces */

static int check_namespace(const struct command *cmd, struct error *err)
{
	const char *id = cmd->ns.id, *name = cmd->ns.name, *description = cmd->ns.description;

	if (id == NULL || *id == '\0' || name_check_namespace(id, strlen(id), err) < 0)
		return error_set_what(err, E_INVALID, FAIL_NAMESPACE,
				      "namespaceId [%.70s] mismatch the pattern: letters, digits, '-' and '_', at most 64",
				      id == NULL ? "" : id);
	if (name != NULL && (strlen(name) > NAMESPACE_NAME_MAX || strpbrk(name, "@#$%^&*") != NULL))
		return error_set_what(err, E_INVALID, FAIL_NAMESPACE,
				      "namespaceName [%.70s] mismatch the pattern: none of @#$%%^&*, at most %d bytes",
				      name, NAMESPACE_NAME_MAX);
	if (description != NULL && strlen(description) > NAMESPACE_DESCRIPTION_MAX)
		return error_set_what(err, E_RANGE, FAIL_NAMESPACE, "namespaceDesc has %zu bytes, the limit is %d",
				      strlen(description), NAMESPACE_DESCRIPTION_MAX);
	return E_OK;
}

static int check_namespace_state(const struct registry *r, const struct command *cmd, const struct namespace *ns,
				 struct error *err)
{
	bool create = cmd->kind == CMD_NAMESPACE_CREATE, reserved = strcmp(cmd->ns.id, "public") == 0;
	bool there = reserved || (ns != NULL && namespace_created(ns));

	if (create && there)
		return error_set_what(err, E_EXISTS, FAIL_NAMESPACE_EXISTS, "namespaceId [%s] already exist",
				      cmd->ns.id);
	if (create && !r->loading && r->conf.namespaces_max > 0 && ns == NULL && r->namespaces.count >= r->conf.namespaces_max)
		return error_set_what(err, E_LIMIT, FAIL_LIMIT,
				      "there are %zu namespaces already, the limit is %u (limits.namespaces)",
				      r->namespaces.count, r->conf.namespaces_max);
	if (!create && reserved)
		return error_set_what(err, E_CONFLICT, FAIL_NAMESPACE, "namespace public is reserved");
	if (!create && !there)
		return error_set_what(err, E_NOTFOUND, FAIL_NAMESPACE_MISSING, "namespaceId [%s] not exist",
				      cmd->ns.id);
	return E_OK;
}

int plan_namespace(struct registry *r, struct plan *p, struct error *err)
{
	const struct command *cmd = p->cmd;
	int rc = check_namespace(cmd, err);
	struct namespace *ns;

	if (rc < 0)
		return rc;
	ns = namespace_find(r, cmd->ns.id, strlen(cmd->ns.id));
	rc = check_namespace_state(r, cmd, ns, err);
	if (rc < 0)
		return rc;
	p->service = NULL;
	p->durable = true;
	if (cmd->kind == CMD_NAMESPACE_DELETE) {
		p->ns_gone = ns;
		return E_OK;
	}
	p->ns = namespace_new(r, cmd->ns.id, cmd->ns.name == NULL || *cmd->ns.name == '\0' ? cmd->ns.id : cmd->ns.name,
			      cmd->ns.description == NULL ? "" : cmd->ns.description);
	if (p->ns == NULL)
		return plan_no_memory(err);
	if (namespace_reserve(r, p->ns) < 0) {
		namespace_free(p->ns);
		p->ns = NULL;
		return plan_no_memory(err);
	}
	return E_OK;
}

/* ---- switches */

int plan_switch(struct registry *r, struct plan *p, struct error *err)
{
	p->service = NULL;
	p->durable = !p->cmd->set.passing;
	p->switches = mem_alloc(sizeof(*p->switches));
	if (p->switches == NULL)
		return plan_no_memory(err);
	*p->switches = *registry_switches(r);
	return switches_set(p->switches, p->cmd->set.entry, p->cmd->set.value, err);
}

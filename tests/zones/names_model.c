/* names_model.c - see names_model.h. */
#include "tests/zones/names_model.h"
#include "tests/zones/zones_checks.h"
#include "zones/label.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The name and every name above it, up to the root: what lies above our zones is never asked for. */
static void model_add(struct names_model *m, const char *name)
{
	while (name != NULL && *name != '\0') {
		assert_true(m->count < MODEL_NAMES_MAX);
		m->names[m->count++] = strdup(name);
		name = strchr(name, '.');
		name = name == NULL ? NULL : name + 1;
	}
}

void model_clear(struct names_model *m)
{
	for (unsigned i = 0; i < m->count; i++)
		free(m->names[i]);
	m->count = 0;
}

static void model_sort(struct names_model *m)
{
	unsigned kept = 0;
	qsort(m->names, m->count, sizeof(m->names[0]), compare_text);
	for (unsigned i = 0; i < m->count; i++)
		if (kept > 0 && strcmp(m->names[kept - 1], m->names[i]) == 0)
			free(m->names[i]);
		else
			m->names[kept++] = m->names[i];
	m->count = kept;
}

bool model_has(const struct names_model *m, const char *name)
{
	return bsearch(&name, m->names, m->count, sizeof(m->names[0]), compare_text) != NULL;
}

static void add_under(struct names_model *m, const char *below, const char *name)
{
	char whole[1000];
	snprintf(whole, sizeof(whole), "%s.%s", name, below);
	model_add(m, whole);
}

/* A name of ports, with and without the cluster. */
static void add_ports(struct names_model *m, const char *service, const char *cluster, const char *name)
{
	char text[300];
	add_under(m, service, name);
	snprintf(text, sizeof(text), "%s.%s.c", name, cluster);
	add_under(m, service, text);
}

/* Everything that exists because of one service, below @service (its own name in one form). */
static void add_service(struct names_model *m, const struct fake_service *s, const char *service, const char *zone)
{
	char text[200], host[64];
	model_add(m, service);
	for (uint32_t k = 0; k < s->count; k++) {
		const struct instance *i = s->instances[k];
		struct label cluster;
		const char *raw = s->clusters[i->cluster];
		label_encode(&cluster, LABEL_CLUSTER, raw, strlen(raw));
		struct packed metadata = instance_metadata(i);
		const char *protocol = packed_find(&metadata, "protocol");
		add_ports(m, service, cluster.text, "_tcp");
		if (protocol != NULL && m->by_protocol) {
			snprintf(text, sizeof(text), "%s.protocol.m", protocol);
			add_under(m, service, text);
		}
		if (i->family != 0) {
			dashed_address(host, i->family, i->addr);
			snprintf(text, sizeof(text), "%s.i", host);
			add_under(m, service, text);
			add_under(m, zone, text);
		}
		if (i->port != 0) {
			add_ports(m, service, cluster.text, "_default._tcp");
			snprintf(text, sizeof(text), "_%s._tcp", protocol == NULL ? "default" : protocol);
			add_ports(m, service, cluster.text, text);
		}
	}
}

/* A scope, and the service in it. */
static void add_in_scope(struct names_model *m, const struct fake_service *s, const char *scope, const char *zone)
{
	struct label service;
	char name[500];
	label_encode(&service, LABEL_SERVICE, s->name, strlen(s->name));
	add_under(m, scope, "_tcp");
	add_under(m, scope, "_udp");
	snprintf(name, sizeof(name), "_%s._tcp.%s", service.text, scope);
	model_add(m, name);
	snprintf(name, sizeof(name), "%s.%s", service.text, scope);
	add_service(m, s, name, zone);
}

static bool word_among(const struct word_list *words, const char *word)
{
	bool found = words->count == 0;
	for (size_t i = 0; i < words->count; i++)
		found |= strcmp(words->at[i], word) == 0;
	return found;
}

static bool exported(const struct zone_conf *z, const struct fake_service *s)
{
	bool ok = word_among(&z->export_namespaces, s->ns) && word_among(&z->export_groups, s->group);
	for (size_t i = 0; i < z->export_metadata.count; i++) {
		char pair[100] = "";
		if (s->metadata[0].key != NULL)
			snprintf(pair, sizeof(pair), "%s=%s", s->metadata[0].key, s->metadata[0].value);
		ok &= strcmp(pair, z->export_metadata.at[i]) == 0;
	}
	return ok;
}

static void add_to_zone(struct names_model *m, const struct zone_conf *z, const struct fake_service *s)
{
	struct label ns, group;
	char scope[300];
	bool public = strcmp(s->ns, z->ns == NULL ? "public" : z->ns) == 0;
	bool by_default = strcmp(s->group, z->group == NULL ? "DEFAULT_GROUP" : z->group) == 0;
	label_encode(&ns, LABEL_NAMESPACE, s->ns, strlen(s->ns));
	label_encode(&group, LABEL_GROUP, s->group, strlen(s->group));
	if (!exported(z, s))
		return;
	if (z->layout == LAYOUT_FULL) {
		snprintf(scope, sizeof(scope), "%s.%s.ns.%s", group.text, ns.text, z->name);
		add_in_scope(m, s, scope, z->name);
		snprintf(scope, sizeof(scope), "svc.%s", z->name);
		if (public && by_default)
			add_in_scope(m, s, scope, z->name);
	} else if (z->layout == LAYOUT_BOUND && public && by_default) {
		add_in_scope(m, s, z->name, z->name);
	} else if (z->layout == LAYOUT_BOUND_GROUP && by_default) {
		snprintf(scope, sizeof(scope), "%s.%s", ns.text, z->name);
		add_in_scope(m, s, scope, z->name);
	} else if (z->layout == LAYOUT_BOUND_NS && public) {
		snprintf(scope, sizeof(scope), "%s.%s", group.text, z->name);
		add_in_scope(m, s, scope, z->name);
	}
}

static void add_always(struct names_model *m, const struct zone_conf *z)
{
	static const char *const full[] = { "svc", "ns", "_tcp.svc", "_udp.svc", NULL };
	static const char *const bound[] = { "_tcp", "_udp", NULL }, *const none[] = { NULL };
	const char *const *at = z->layout == LAYOUT_FULL ? full : z->layout == LAYOUT_BOUND ? bound : none;
	for (; *at != NULL; at++)
		add_under(m, z->name, *at);
	add_under(m, z->name, "ns1");
	if (z->layout == LAYOUT_STATIC)
		return;
	add_under(m, z->name, "i");
	add_under(m, z->name, "dns-version");
}

void model_build(struct names_model *m, const struct zone_set_conf *conf, struct fake_service **all, const bool *published,
		 unsigned services)
{
	model_clear(m);
	m->by_protocol = conf->selector_key_count > 0;
	for (size_t z = 0; z < conf->zone_count; z++) {
		add_always(m, &conf->zones[z]);
		for (unsigned i = 0; i < services; i++)
			if (published[i])
				add_to_zone(m, &conf->zones[z], all[i]);
	}
	model_sort(m);
}

static void expect(struct asker *ask_of, const char *name, bool exists)
{
	struct asked *x = ask(ask_of, name, RR_A);
	if (x->zone < 0)
		return; /* above or beside our zones */
	if (!x->readable || x->answer.rcode != (exists ? RCODE_NOERROR : RCODE_NXDOMAIN))
		fail_msg("%s %s, but has RCODE %u", name, exists ? "exists" : "does not exist", x->answer.rcode);
}

void model_check(const struct names_model *m, struct asker *ask_of, struct rng *r)
{
	static const char *const siblings[] = { "x", "_x", "c", "i", "_tcp", "_udp", "svc", "ns", "default", "public",
						"10-0-0-99", "_default", "_grpc", "b", "g0", "alpha" };
	for (unsigned i = 0; i < m->count; i++) {
		char sibling[420];
		expect(ask_of, m->names[i], true);
		const char *rest = rng_below(r, 2) == 0 ? m->names[i] : strchr(m->names[i], '.');
		if (rest == NULL)
			continue;
		rest += *rest == '.';
		snprintf(sibling, sizeof(sibling), "%s.%s", siblings[rng_below(r, 16)], rest);
		expect(ask_of, sibling, model_has(m, sibling));
	}
}

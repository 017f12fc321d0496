/* explain.c - see explain.h. */
#include "zones/explain.h"

#include "base/hash.h"
#include "zones/address.h"
#include "zones/hidden.h"
#include "zones/label.h"
#include "zones/unsettled.h"
#include "zones/zone.h"
#include <stdio.h>
#include <string.h>

static const struct site *site_of(const struct zone_set *zs, const struct service_view *v)
{
	uint64_t id = v->info->id;
	return map_find(&zs->sites, hash_bytes(&id, sizeof(id)), &id);
}

bool zone_set_explain(const struct zone_set *zs, const struct service_view *v, struct dns_explained *ret)
{
	const struct site *s = site_of(zs, v);
	const struct blob *b = s != NULL ? s->blob : NULL;
	if (b == NULL)
		return false;
	*ret = (struct dns_explained){
		.addresses = b->n4 + b->n6,
		.at_most = b->cap,
		.ttl_sec = b->ttl == TTL_OF_SETTINGS ? zs->conf.ttl : b->ttl,
		.servfail = (b->flags & BLOB_SERVFAIL) != 0,
	};
	return true;
}

static const char *why_answered(const struct instance *i)
{
	if ((i->flags & INSTANCE_ENABLED) == 0 || !(i->weight > 0))
		return "another entry of the same address and port is answered";
	return (i->flags & INSTANCE_HEALTHY) != 0
		   ? "it is healthy, enabled and has a weight"
		   : "it is unhealthy, but the protect threshold, the policy for services without a healthy instance, or another "
		     "entry of the same address and port keeps it in";
}

static bool has_port(const struct blob *b, uint32_t host, uint16_t port)
{
	uint32_t first, n = blob_srv_of_host(b, host, &first);
	for (uint32_t i = 0; i < n; i++)
		if (blob_srv(b)[first + i].port == port)
			return true;
	return port == 0; /* SRV has none such */
}

static const char *why_sick(const struct instance *i)
{
	return (i->flags & INSTANCE_ENABLED) == 0 ? "it is disabled" : !(i->weight > 0) ? "its weight is 0" : "it is unhealthy";
}

static const char *why_not_named(const struct zone_set *zs, const struct instance *i)
{
	const struct host_name *n = host_names_find(&zs->host_names, instance_ip(i));
	if (n == NULL)
		return "its ip is neither an address nor a host name";
	if (n->own || n->home)
		return "its host name lies in a zone of this server, or is an alias of one there: it would answer itself";
	if (!n->looked_up && zs->conf.hostname_mode == HOSTNAME_FLATTEN)
		return "the addresses of its host name are being looked up";
	if (n->count == 0 && zs->conf.hostname_mode == HOSTNAME_FLATTEN)
		return "its host name has no address, or nobody who was asked for it answers";
	return why_sick(i);
}

/* Is its host name a target of SRV, with its port? */
static bool named_answered(const struct zone_set *zs, const struct blob *b, const struct instance *i)
{
	const struct host_name *n = host_names_find(&zs->host_names, instance_ip(i));
	uint32_t targets = n == NULL || blob_extra(b) == NULL ? 0 : blob_extra(b)->targets;
	for (uint32_t k = 0, host = b->n4 + b->n6; k < targets; k++, host++) {
		size_t len;
		const uint8_t *name = blob_target(b, host, &len);
		if (len == n->wire_len && memcmp(name, n->wire, len) == 0)
			return has_port(b, host, i->port);
	}
	return false;
}

static const char *why_named(const struct zone_set *zs, const struct instance *i)
{
	const struct host_name *n = host_names_find(&zs->host_names, instance_ip(i));
	if (n->count == 0)
		return "SRV points at its host name, whose addresses are not answered (dns.hostname_mode) or not known";
	return n->stale ? "the addresses that its host name had last are answered: nobody who was asked for it answers now"
			: "the addresses of its host name are answered as its own";
}

static const char *why_not(const struct zone_set *zs, const struct instance *i)
{
	if (i->family == 0)
		return why_not_named(zs, i);
	if (!zs->conf.loopback_addresses && i->family == 4 && i->addr[0] == 127)
		return "it is a loopback address, and dns.loopback_addresses is off";
	if ((i->flags & INSTANCE_ENABLED) == 0)
		return "it is disabled";
	if (!(i->weight > 0))
		return "its weight is 0";
	if ((i->flags & INSTANCE_HEALTHY) == 0)
		return "it is unhealthy";
	return "its address is none that a host can have (unspecified, multicast or loopback)";
}

static const char starting[] = "it has joined or recovered lately: its weight grows to the whole within dns.slow_start";

void zone_set_explain_instance(const struct zone_set *zs, const struct service_view *v, const struct instance *i,
			       struct dns_instance_explained *ret)
{
	const struct site *s = site_of(zs, v);
	uint32_t host = UINT32_MAX, txt;
	*ret = (struct dns_instance_explained){
		.why = "its names are not published: there was no memory for them, and it is tried again"
	};
	if (s == NULL || s->blob == NULL)
		return;
	if (i->family != 0 && blob_address_find(s->blob, i->family, i->addr, &host, &txt) && host != UINT32_MAX) {
		ret->address_answered = true;
		ret->answered = has_port(s->blob, host, i->port);
	}
	if (i->family == 0 && named_answered(zs, s->blob, i)) {
		ret->answered = true;
		ret->address_answered = host_names_find(&zs->host_names, instance_ip(i))->count > 0;
		ret->why = why_named(zs, i);
		return;
	}
	ret->why = !ret->answered ? why_not(zs, i) : unsettled_starts(zs, s, i) ? starting : why_answered(i);
}

/* ---- names */

struct naming {
	const struct zone_set *zs;
	const struct site *site;
	const struct service_key *key;
	char address[ADDRESS_LABEL_MAX + 4]; /* "10-0-0-7.i." or "" */
	void (*each)(void *arg, const char *name);
	void *arg;
};

static void say(const struct naming *n, const char *service, const char *between, const char *zone)
{
	char name[1024];
	int len = snprintf(name, sizeof(name), "%s%s.%s%s.", n->address, service, between, zone), escaped = 0;
	for (const char *at = strchr(service, '\\'); at != NULL; at = strchr(at + 1 + (at[1] == '\\'), '\\'))
		escaped += at[1] >= '0' && at[1] <= '9' ? 3 : 1;
	if (len > 0 && len - escaped <= 254) /* 255 octets on the wire */
		n->each(n->arg, name);
}

static void say_in_zone(const struct naming *n, const struct zone *z, const char *service, const char *group, const char *ns)
{
	char between[2 * LABEL_MAX + 8];
	const struct folder *g = n->site->group;
	if (z->export == NULL || (z->hides != 0 && (n->site->blob->shown & z->hides) == 0) ||
	    hidden_by(z, n->site, n->key) != NULL)
		return;
	switch (z->layout) {
	case LAYOUT_FULL:
		if (g->number == z->scope)
			say(n, service, "svc.", z->text);
		snprintf(between, sizeof(between), "%s.%s.ns.", group, ns);
		say(n, service, between, z->text);
		break;
	case LAYOUT_BOUND:
		if (g->number == z->scope)
			say(n, service, "", z->text);
		break;
	case LAYOUT_BOUND_GROUP:
		snprintf(between, sizeof(between), "%s.", ns);
		if (strcmp(z->export->group, g->name) == 0)
			say(n, service, between, z->text);
		break;
	case LAYOUT_BOUND_NS:
		snprintf(between, sizeof(between), "%s.", group);
		if (g->parent->number == z->scope)
			say(n, service, between, z->text);
		break;
	case LAYOUT_STATIC:
	case LAYOUT_REVERSE:
		break;
	}
}

/* As a zone file writes it: a dot is part of the label. */
static void escape(char *to, const uint8_t *label, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = label[i];
		if (c <= ' ' || c >= 0x7f) {
			to += sprintf(to, "\\%03u", c);
			continue;
		}
		if (strchr(".\\\"();@$", c) != NULL)
			*to++ = '\\';
		*to++ = (char)c;
	}
	*to = '\0';
}

static void say_reverse(const struct naming *n, const struct instance *i)
{
	char name[REVERSE_NAME_MAX + 1];
	uint32_t host, txt;
	if (n->site->shown->count == 0 || !reverse_covers(&n->zs->reverse, i->family, i->addr) ||
	    !blob_address_find(n->site->blob, i->family, i->addr, &host, &txt))
		return;
	reverse_name(name, i->family, i->addr);
	strcat(name, ".");
	n->each(n->arg, name);
}

/* The vanity names that mean it. */
static void say_vanities(const struct naming *n, const struct zone *z)
{
	char name[DNS_NAME_MAX + 2];
	const struct service_key *key = n->key;
	for (size_t i = 0; i < z->vanities.count; i++) {
		const struct vanity *v = &z->vanities.at[i];
		if (strcmp(v->service, key->name) != 0 || strcmp(v->group, key->group) != 0 || strcmp(v->ns, key->ns) != 0)
			continue;
		size_t len = strlen(v->name);
		snprintf(name, sizeof(name), "%s%s", v->name, v->name[len - 1] == '.' ? "" : ".");
		n->each(n->arg, name);
	}
}

void zone_set_explain_names(const struct zone_set *zs, const struct service_view *v, const struct instance *i,
			    void (*each)(void *arg, const char *name), void *arg)
{
	struct naming n = { .zs = zs, .site = site_of(zs, v), .key = &v->info->key, .each = each, .arg = arg };
	struct label service, group, ns;
	uint8_t raw[64];
	if (n.site == NULL || n.site->blob == NULL || (i != NULL && i->family == 0))
		return;
	if (i != NULL) {
		size_t len = i->family == 4 ? address_format4((uint8_t *)n.address, i->addr)
					    : address_format6((uint8_t *)n.address, i->addr);
		memcpy(n.address + len, ".i.", 4);
	}
	const struct folder *g = n.site->group;
	names_label(&service, &n.site->names, LABEL_SERVICE, n.key->name);
	names_label(&group, &g->names, LABEL_GROUP, g->name);
	names_label(&ns, &g->parent->names, LABEL_NAMESPACE, g->parent->name);
	bool alias = i == NULL && raw_label(raw, n.key->name, n.key->name_len);
	if (alias) {
		const struct node *node = name_lookup(&zs->index, g->number, raw);
		alias = node != NULL && rcu_read(&((struct node *)node)->blob) == n.site->blob &&
			(raw[0] != service.len || memcmp(raw + 1, service.text, raw[0]) != 0);
	}
	for (size_t z = 0; z < zs->zone_count; z++) {
		say_in_zone(&n, &zs->zones[z], service.text, group.text, ns.text);
		if (i == NULL)
			say_vanities(&n, &zs->zones[z]);
		if (!alias)
			continue;
		char text[4 * LABEL_MAX + 1];
		escape(text, raw + 1, raw[0]);
		say_in_zone(&n, &zs->zones[z], text, group.text, ns.text);
	}
	if (i != NULL)
		say_reverse(&n, i);
}

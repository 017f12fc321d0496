/* explainer.c - see explainer.h. */
#include "musterd/explainer.h"

#include "health/beats.h"
#include "health/prober.h"
#include "zones/explain.h"

static void of_service(void *arg, const struct service_view *v, struct service_explained *ret)
{
	const struct explainer_parts *p = arg;
	struct dns_explained dns;

	*ret = (struct service_explained){ .named = zone_set_explain(zone_slot_read(p->zones), v, &dns) };
	if (ret->named) {
		ret->addresses = dns.addresses;
		ret->at_most = dns.at_most;
		ret->ttl_sec = dns.ttl_sec;
		ret->servfail = dns.servfail;
	}
	beats_explain_floor(p->beats, ret);
}

static void of_instance(void *arg, const struct service_view *v, const struct instance *i, struct instance_explained *ret)
{
	const struct explainer_parts *p = arg;

	*ret = (struct instance_explained){ .expires_ms = -1 };
	struct dns_instance_explained dns;
	zone_set_explain_instance(zone_slot_read(p->zones), v, i, &dns);
	ret->dns = dns.why;
	ret->answered = dns.answered;
	ret->address_answered = dns.address_answered;
	if ((i->flags & INSTANCE_EPHEMERAL) != 0)
		beats_explain(p->beats, i, ret);
}

static void names(void *arg, const struct service_view *v, const struct instance *i,
		  void (*each)(void *each_arg, const char *name), void *each_arg)
{
	const struct explainer_parts *p = arg;

	zone_set_explain_names(zone_slot_read(p->zones), v, i, each, each_arg);
}

static bool probes(void *arg, struct probe_question *q)
{
	const struct explainer_parts *p = arg;

	return prober_ask(p->prober, q);
}

struct explainer explainer_make(struct explainer_parts *parts)
{
	return (struct explainer){ .arg = parts, .service = of_service, .instance = of_instance, .names = names,
				   .probes = probes };
}

/* ---- for the API itself */

static bool knock(void *arg, struct knock_question *q)
{
	const struct explainer_parts *p = arg;

	return prober_knock(p->prober, q);
}

static bool doubts(void *arg)
{
	const struct explainer_parts *p = arg;

	return beats_doubt(p->beats);
}

struct knocker knocker_make(struct explainer_parts *parts)
{
	return (struct knocker){ .arg = parts, .ask = knock, .doubts = doubts };
}

/* explain_write.c - the JSON of "explain": fields for programs, and beside them sentences for people that say the same. */
#include "api/explain_facts.h"

#include "api/shapes.h"
#include "base/clock.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_INSTANCES = 500, SHOWN_SUBSCRIBERS = 500, SENTENCE_MAX = 512, DURATION_MAX = 32 };

struct explaining {
	struct text *t;
	const struct explain_facts *f;
	struct registry *reg;
	const struct service_view *v;
	int64_t now_ms;
	bool protecting;
	struct service_explained service;
};

bool explain_wants(const struct explain_facts *f, const struct service_view *v, const struct instance *i)
{
	return f->ip == NULL || (strcmp(f->ip, instance_ip(i)) == 0 && (!f->by_port || f->port == i->port) &&
				 (f->cluster == NULL || strcmp(f->cluster, v->info->clusters[i->cluster].name) == 0));
}

bool explain_has(const struct explain_facts *f, const struct service_view *v)
{
	for (uint32_t n = 0; n < v->count; n++)
		if (explain_wants(f, v, v->instances[n]))
			return true;
	return false;
}

/* One sentence more in the open array. */
static void __attribute__((format(printf, 2, 3))) say(const struct explaining *e, const char *format, ...)
{
	char sentence[SENTENCE_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	json_str(e->t, sentence);
}

static const char *duration(char to[DURATION_MAX], int64_t ms)
{
	if (ms < 10000)
		snprintf(to, DURATION_MAX, "%lld ms", (long long)ms);
	else if (ms < 600000)
		snprintf(to, DURATION_MAX, "%lld s", (long long)(ms / 1000));
	else
		snprintf(to, DURATION_MAX, "%lld min", (long long)(ms / 60000));
	return to;
}

static bool is(const struct instance *i, unsigned flag)
{
	return (i->flags & flag) != 0;
}

static const char *checker_of(const struct explaining *e, const struct instance *i)
{
	return e->v->info->clusters[i->cluster].checker.type;
}

static bool is_probed(const struct explaining *e, const struct instance *i)
{
	return !is(i, INSTANCE_EPHEMERAL) && e->v->info->clusters[i->cluster].checker.kind != CHECKER_NONE && i->family != 0;
}

static const struct client *connection_of(const struct explaining *e, const struct instance *i)
{
	return instance_is_held(i) ? client_of(e->f->clients, e->f->client_count, i->publisher) : NULL;
}

static const struct probe_seen *probe_of(const struct explaining *e, const struct instance *i)
{
	for (size_t n = 0; n < e->f->probe_count; n++) {
		const struct probe_seen *s = &e->f->probes[n];
		if (s->cluster == i->cluster && s->port == i->port && strcmp(s->ip, instance_ip(i)) == 0)
			return s->known ? s : NULL;
	}
	return NULL;
}

/* ---- publisher */

static void say_connection(const struct explaining *e, const struct client *c)
{
	char age[DURATION_MAX], silent[DURATION_MAX], left[DURATION_MAX];
	if (c == NULL) {
		say(e, "its connection has just ended: it is being removed, or has just been taken over");
	} else if (c->connected) {
		say(e, "registered over gRPC by connection %s (%s from %s:%u), connected for %s, last heard of %s ago; it lives as long as that",
		    c->id, c->agent, c->ip, c->port, duration(age, c->age_ms), duration(silent, c->silent_ms));
	} else {
		say(e, "registered over gRPC by connection %s (%s from %s:%u), which is closed; it stays for another %s, so that a client "
		       "that %s can take it over unseen",
		    c->id, c->agent, c->ip, c->port, duration(left, c->left_ms),
		    c->claimed ? "is back but registers late" : "connects again");
	}
}

static void say_beats(const struct explaining *e, const struct instance *i, const struct instance_explained *x)
{
	char age[DURATION_MAX], unhealthy[DURATION_MAX], removed[DURATION_MAX], left[DURATION_MAX];
	int64_t beat = atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed);
	if (instance_is_restored(i, e->f->started_ms))
		say(e, "it was there before this server started, %s ago, and has not been heard of since",
		    duration(age, e->now_ms - e->f->started_ms));
	else
		say(e, "registered over HTTP: its last heartbeat came %s ago; unhealthy after %s of silence, removed after %s",
		    duration(age, e->now_ms - beat), duration(unhealthy, i->unhealthy_ms), duration(removed, i->remove_ms));
	if (x->kept != NULL)
		say(e, "it does not expire now: %s", x->kept);
	else if (x->expires_ms >= 0)
		say(e, "unless it is heard of, it %s in %s", x->removes ? "is removed" : "becomes unhealthy",
		    duration(left, x->expires_ms));
}

static void write_publisher(const struct explaining *e, const struct instance *i, const struct instance_explained *x)
{
	struct text *t = e->t;
	const struct client *c = connection_of(e, i);
	json_key(t, "publisher");
	json_open(t, '{');
	if (!is(i, INSTANCE_EPHEMERAL)) {
		json_kv_str(t, "kind", "persistent");
	} else if (instance_is_held(i)) {
		json_kv_str(t, "kind", "connection");
		if (c != NULL) {
			json_kv_str(t, "client", c->id);
			json_kv_str(t, "ip", c->ip);
			json_kv_i64(t, "port", c->port);
			json_kv_str(t, "version", c->agent);
			json_kv_bool(t, "connected", c->connected);
			json_kv_i64(t, "ageMs", c->age_ms);
			json_kv_i64(t, "silentMs", c->silent_ms);
			json_kv_i64(t, "graceLeftMs", c->left_ms);
		}
	} else {
		int64_t beat = atomic_load_explicit(&i->last_beat_ms, memory_order_relaxed);
		json_kv_str(t, "kind", instance_is_restored(i, e->f->started_ms) ? "restored" : "heartbeats");
		if (instance_is_restored(i, e->f->started_ms))
			json_kv_i64(t, "restoredAgeMs", e->now_ms - e->f->started_ms);
		else
			json_kv_i64(t, "lastBeatAgeMs", e->now_ms > beat ? e->now_ms - beat : 0);
		json_kv_i64(t, "unhealthyAfterMs", i->unhealthy_ms);
		json_kv_i64(t, "removedAfterMs", i->remove_ms);
		json_kv_i64(t, "expiresInMs", x->expires_ms);
	}
	json_kv_str(t, "app", instance_app(i));
	json_kv_i64(t, "registeredMs", i->registered_ms);
	json_close(t, '}');
}

/* ---- older publishers of the same address */

static void write_standby(void *arg, uint64_t publisher)
{
	const struct explaining *e = arg;
	const struct client *c = client_of(e->f->clients, e->f->client_count, publisher);
	json_open(e->t, '{');
	json_kv_str(e->t, "kind", publisher == PUBLISHER_BEATS ? "heartbeats" : "connection");
	if (c != NULL) {
		json_kv_str(e->t, "client", c->id);
		json_kv_str(e->t, "version", c->agent);
		json_kv_bool(e->t, "connected", c->connected);
	}
	json_close(e->t, '}');
}

static void write_standbys(const struct explaining *e, const struct instance *i)
{
	json_key(e->t, "standby");
	json_open(e->t, '[');
	registry_each_standby(e->reg, i, write_standby, (void *)(uintptr_t)e);
	json_close(e->t, ']');
}

static void count_standby(void *arg, uint64_t publisher)
{
	(void)publisher;
	++*(unsigned *)arg;
}

static void say_standbys(const struct explaining *e, const struct instance *i)
{
	unsigned count = 0;
	registry_each_standby(e->reg, i, count_standby, &count);
	if (count > 0)
		say(e, "%u older client%s registered its address as well: when this one leaves, it falls back to the newest that still lives",
		    count, count == 1 ? " has" : "s have");
}

/* ---- health */

static void write_probe(const struct explaining *e, const struct probe_seen *s)
{
	struct text *t = e->t;
	json_key(t, "lastProbe");
	if (s == NULL || s->result == NULL) {
		json_null(t);
		return;
	}
	json_open(t, '{');
	json_kv_str(t, "result", s->result);
	json_kv_i64(t, "ageMs", e->now_ms > s->ended_ms ? e->now_ms - s->ended_ms : 0);
	json_kv_i64(t, "tookMs", s->took_ms);
	json_kv_i64(t, "againstInARow", s->in_a_row);
	json_kv_i64(t, "neededInARow", s->needed);
	json_key(t, "nextInMs");
	if (s->next_ms > 0)
		json_i64(t, s->next_ms > e->now_ms ? s->next_ms - e->now_ms : 0);
	else
		json_null(t);
	json_close(t, '}');
}

static const char *decided_by(const struct explaining *e, const struct instance *i)
{
	if (is(i, INSTANCE_EPHEMERAL))
		return instance_is_held(i) ? "connection" : "heartbeats";
	return is_probed(e, i) ? "probe" : "operator";
}

static void write_health(const struct explaining *e, const struct instance *i)
{
	struct text *t = e->t;
	json_key(t, "health");
	json_open(t, '{');
	json_kv_bool(t, "healthy", is(i, INSTANCE_HEALTHY));
	json_kv_str(t, "decidedBy", decided_by(e, i));
	json_key(t, "checker");
	if (is(i, INSTANCE_EPHEMERAL))
		json_null(t);
	else
		json_str(t, checker_of(e, i));
	json_key(t, "reason");
	if (i->reason_len > 0)
		json_strn(t, instance_reason(i), i->reason_len);
	else
		json_null(t);
	write_probe(e, probe_of(e, i));
	json_close(t, '}');
}

static void say_persistent(const struct explaining *e, const struct instance *i)
{
	const struct probe_seen *s = probe_of(e, i);
	char age[DURATION_MAX];
	say(e, "persistent: it stays until it is deregistered");
	if (i->family == 0)
		say(e, "its ip is a host name, which is not probed: its health is what was registered or set");
	else if (!is_probed(e, i))
		say(e, "its cluster has checker %s: its health is what an operator sets", checker_of(e, i));
	else if (s == NULL || s->result == NULL)
		say(e, "its cluster has checker %s: it has not been probed yet", checker_of(e, i));
	else
		say(e, "probed by %s: the last probe ended %s ago: %s", checker_of(e, i), duration(age, e->now_ms - s->ended_ms),
		    s->result);
	if (!is(i, INSTANCE_HEALTHY) && i->reason_len > 0)
		say(e, "unhealthy since a probe said: %s", instance_reason(i));
	if (s != NULL && s->in_a_row > 0)
		say(e, "%u of %u probes in a row that it takes to change its health have said otherwise", s->in_a_row, s->needed);
}

/* ---- what an operator has set */

static void write_override(const struct explaining *e, const struct override_seen *o)
{
	struct text *t = e->t;
	struct packed metadata = o->metadata;
	struct pair p;
	json_open(t, '{');
	if (o->has & HAS_ENABLED) {
		json_kv_bool(t, "enabled", o->enabled);
		json_kv_bool(t, "registeredEnabled", o->own_enabled);
	}
	if (o->has & HAS_WEIGHT) {
		json_kv_double(t, "weight", o->weight);
		json_kv_double(t, "registeredWeight", o->own_weight);
	}
	json_key(t, "metadataKeys");
	json_open(t, '[');
	for (size_t at = 0; packed_next(&metadata, &at, &p);)
		json_strn(t, p.key, p.key_len);
	json_close(t, ']');
	json_close(t, '}');
}

static void say_override(const struct explaining *e, const struct override_seen *o)
{
	if ((o->has & HAS_ENABLED) && o->enabled != o->own_enabled)
		say(e, "an operator has %s it; its publisher registers it %s", o->enabled ? "enabled" : "disabled",
		    o->own_enabled ? "enabled" : "disabled");
	if ((o->has & HAS_WEIGHT) && (o->weight > o->own_weight || o->weight < o->own_weight))
		say(e, "an operator has set its weight to %g; its publisher registers it with %g", o->weight, o->own_weight);
	if (o->metadata.count > 0)
		say(e, "an operator has set %u of its metadata keys", o->metadata.count);
}

/* ---- one instance */

static void say_listed(const struct explaining *e, const struct instance *i, const struct override_seen *o)
{
	if (!is(i, INSTANCE_ENABLED))
		say(e, "not in the lists that clients get: it is disabled by %s",
		    o != NULL && (o->has & HAS_ENABLED) && o->own_enabled ? "an operator" : "its publisher");
	else if (is(i, INSTANCE_HEALTHY))
		say(e, "in the lists that clients get");
	else if (e->protecting)
		say(e, "in the lists that clients get, shown as healthy though it is not: the protect threshold is in force");
	else
		say(e, "in the lists that clients get, marked unhealthy: clients do not choose it");
	if (!(i->weight > 0))
		say(e, "its weight is 0: clients and DNS never choose it");
}

static void add_name(void *arg, const char *name)
{
	json_str(arg, name);
}

static void write_dns(const struct explaining *e, const struct instance *i, const struct instance_explained *x)
{
	const struct explainer *ex = e->f->explainer;
	struct text *t = e->t;
	json_key(t, "dns");
	json_open(t, '{');
	json_kv_bool(t, "answered", x->answered);
	json_kv_bool(t, "addressAnswered", x->address_answered);
	json_kv_str(t, "why", x->dns);
	json_key(t, "names");
	json_open(t, '[');
	ex->names(ex->arg, e->v, i, add_name, t);
	json_close(t, ']');
	json_close(t, '}');
}

static void write_instance(const struct explaining *e, const struct instance *i)
{
	const struct explainer *ex = e->f->explainer;
	struct text *t = e->t;
	struct instance_explained x;
	struct override_seen o;
	bool overridden = registry_override(e->reg, e->v, i, &o);
	ex->instance(ex->arg, e->v, i, &x);
	json_open(t, '{');
	json_key(t, "ip");
	json_strn(t, instance_ip(i), i->ip_len);
	json_kv_i64(t, "port", i->port);
	json_kv_str(t, "cluster", e->v->info->clusters[i->cluster].name);
	json_kv_bool(t, "listed", is(i, INSTANCE_ENABLED));
	json_key(t, "why");
	json_open(t, '[');
	say_listed(e, i, overridden ? &o : NULL);
	if (!is(i, INSTANCE_EPHEMERAL))
		say_persistent(e, i);
	else if (instance_is_held(i))
		say_connection(e, connection_of(e, i));
	else
		say_beats(e, i, &x);
	say_standbys(e, i);
	if (overridden)
		say_override(e, &o);
	say(e, "%s by DNS: %s", x.answered ? "answered" : "not answered", x.dns);
	if (!x.answered && x.address_answered)
		say(e, "its address is answered all the same, since another instance has it");
	json_close(t, ']');
	json_kv_bool(t, "enabled", is(i, INSTANCE_ENABLED));
	json_kv_double(t, "weight", i->weight);
	write_health(e, i);
	write_publisher(e, i, &x);
	write_standbys(e, i);
	json_key(t, "override");
	if (overridden)
		write_override(e, &o);
	else
		json_null(t);
	write_dns(e, i, &x);
	json_close(t, '}');
}

/* ---- the service */

static void say_service(const struct explaining *e)
{
	const struct service_view *v = e->v;
	const struct service_info *info = v->info;
	const struct service_explained *s = &e->service;
	char left[DURATION_MAX];
	say(e, "%u instances are registered, %u of them healthy; %u addresses may be answered by DNS", v->count, v->healthy,
	    s->addresses);
	if (v->count == 0)
		say(e, "nobody is registered: the service itself stays for a while, or for as long as its settings");
	if (e->protecting)
		say(e, "the protect threshold of %g is in force: all enabled instances are shown as healthy", info->protect_threshold);
	if (s->floor)
		say(e, "the floor is in force: this server stood still, and %llu silent instances are not removed for at most %s",
		    (unsigned long long)s->floor_held, duration(left, s->floor_left_ms));
	if (s->servfail)
		say(e, "no instance is healthy, and dns.all_unhealthy says that this is no answer: DNS says SERVFAIL");
	if (s->addresses > s->at_most)
		say(e, "one DNS answer has at most %u of the %u addresses, always the same ones for one client", s->at_most,
		    s->addresses);
}

static void write_service(struct explaining *e)
{
	const struct service_info *info = e->v->info;
	const struct explainer *ex = e->f->explainer;
	struct text *t = e->t;
	json_kv_str(t, "namespaceId", info->key.ns);
	json_kv_str(t, "groupName", info->key.group);
	json_kv_str(t, "serviceName", info->key.name);
	json_kv_str(t, "kind", info->ephemeral ? "ephemeral" : "persistent");
	json_kv_i64(t, "number", (int64_t)e->v->number);
	json_kv_i64(t, "lastRefTime", e->v->last_ref_ms);
	json_kv_i64(t, "instanceCount", e->v->count);
	json_kv_i64(t, "healthyCount", e->v->healthy);
	json_key(t, "why");
	json_open(t, '[');
	say_service(e);
	json_close(t, ']');
	json_kv_double(t, "protectThreshold", info->protect_threshold);
	json_kv_bool(t, "protecting", e->protecting);
	json_key(t, "floor");
	json_open(t, '{');
	json_kv_bool(t, "inForce", e->service.floor);
	json_kv_i64(t, "held", (int64_t)e->service.floor_held);
	json_kv_i64(t, "leftMs", e->service.floor_left_ms);
	json_close(t, '}');
	json_key(t, "dns");
	json_open(t, '{');
	json_key(t, "names");
	json_open(t, '[');
	ex->names(ex->arg, e->v, NULL, add_name, t);
	json_close(t, ']');
	json_kv_i64(t, "addresses", e->service.addresses);
	json_kv_i64(t, "inOneAnswer", e->service.at_most);
	json_kv_i64(t, "ttlSec", e->service.ttl_sec);
	json_close(t, '}');
}

static void write_subscribers(const struct explaining *e)
{
	const struct explain_facts *f = e->f;
	struct text *t = e->t;
	json_key(t, "subscribers");
	json_open(t, '{');
	subscribers_total(t, f->subscribers, f->subscriber_count, e->v->number);
	json_key(t, "list");
	json_open(t, '[');
	for (size_t n = 0; n < f->subscriber_count && n < SHOWN_SUBSCRIBERS; n++)
		subscriber_shape(t, &f->subscribers[n], e->v->number);
	json_close(t, ']');
	json_close(t, '}');
}

/* The rule is that of lists to clients: over enabled instances. */
static bool protects(const struct service_view *v)
{
	uint32_t total = 0, healthy = 0;
	for (uint32_t n = 0; n < v->count; n++) {
		bool enabled = is(v->instances[n], INSTANCE_ENABLED);
		total += enabled;
		healthy += enabled && is(v->instances[n], INSTANCE_HEALTHY);
	}
	return view_protects(v->info, total, healthy);
}

void explain_write(struct text *t, const struct explain_facts *f, struct registry *reg, const struct service_view *v)
{
	struct explaining e = { .t = t, .f = f, .reg = reg, .v = v, .now_ms = clock_ms(), .protecting = protects(v) };
	unsigned shown = 0;
	f->explainer->service(f->explainer->arg, v, &e.service);
	json_open(t, '{');
	write_service(&e);
	json_key(t, "instances");
	json_open(t, '[');
	for (uint32_t n = 0; n < v->count && shown < SHOWN_INSTANCES; n++)
		if (explain_wants(f, v, v->instances[n])) {
			write_instance(&e, v->instances[n]);
			shown++;
		}
	json_close(t, ']');
	write_subscribers(&e);
	json_close(t, '}');
}

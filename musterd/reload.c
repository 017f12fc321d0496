/* reload.c - see reload.h. Happy path: the settings are read whole > addresses that are new are bound > from here on
 * nothing can fail: sockets are handed over, limits and levels are set, the new settings are published > the old ones are
 * freed when no thread reads them any more. Every error before that point leaves all as it was. */
#include "config.h"
#include "musterd/reload.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "musterd/settings_reload.h"
#include "musterd/wiring.h"

#include <string.h>

struct version {
	struct settings settings; /* first: versions are found by it */
	struct rcu_head reap;
};

struct reload {
	struct reload_source source;
	_Atomic(const struct settings *) now; /* the first, or a version */
	unsigned applied, refused, last;      /* metric cells */
};

static void version_free(struct version *v)
{
	settings_done(&v->settings);
	mem_free(v);
}

static void on_unread(void *arg, struct rcu_head *head)
{
	(void)arg;
	version_free((struct version *)((char *)head - offsetof(struct version, reap)));
}

int reload_new(struct reload **ret, const struct reload_source *source)
{
	static const char help[] = "Times that the settings were read again, and what came of it.";
	struct reload *r = mem_zalloc(1, sizeof(*r));

	if (r == NULL)
		return E_NOMEM;
	r->source = *source;
	atomic_init(&r->now, source->first);
	r->applied = metrics_counter("settings_reloads_total", help, "result=\"applied\"");
	r->refused = metrics_counter("settings_reloads_total", help, "result=\"refused\"");
	r->last = metrics_gauge("settings_loaded_timestamp_seconds", "When the settings in force were read.", NULL);
	metrics_set(r->last, (double)clock_wall_ms() / 1000);
	*ret = r;
	return E_OK;
}

void reload_free(struct reload *r)
{
	if (r == NULL)
		return;
	const struct settings *now = atomic_load(&r->now);
	if (now != r->source.first)
		version_free((struct version *)(uintptr_t)now);
	mem_free(r);
}

bool reload_allows(void *arg, const struct sockaddr *peer)
{
	struct reload *r = arg;

	rcu_begin();
	bool allowed = settings_allows(rcu_read(&r->now), peer);
	rcu_end();
	return allowed;
}

/* ---- what is said */

static void refuse(const char *why)
{
	log_error("settings", "nothing was reloaded, the server goes on as before: %s", why);
}

static void refuse_errors(const struct settings_errors *errors)
{
	refuse("the settings are wrong");
	log_lines(LOG_ERROR, "settings", errors->lines.at);
}

static void tell_row(const struct setting *row, const struct settings_origin *was, const struct settings_origin *is)
{
	if (setting_is_secret(row))
		log_each(LOG_INFO, "settings", "%s.%s has changed", row->section, row->key);
	else
		log_each(LOG_INFO, "settings", "%s.%s = %s, it was %s", row->section, row->key, is->text, was->text);
}

static void tell_waiting(const struct setting *row, const struct settings_origin *is)
{
	log_each(LOG_WARN, "settings", "setting %s.%s: takes effect after a restart (%s, %s)", row->section, row->key,
		 *is->text == '\0' ? "empty" : is->text, is->where);
}

static const struct settings_zone *zone_find(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->zone_count; i++)
		if (strcmp(s->zones[i].conf.name, name) == 0)
			return &s->zones[i];
	return NULL;
}

/* Reverse zones point by what the zones of names show, and to whom: both are settled at the start. */
static bool zone_reloads(const struct settings *first, const struct setting *row, const struct zone_conf *zone)
{
	bool reverse = first->dns.reverse.count > 0;

	for (size_t i = 0; i < first->zone_count; i++)
		reverse |= first->zones[i].conf.layout == LAYOUT_REVERSE;
	return setting_reloads(row) &&
	       (!reverse || zone->layout == LAYOUT_REVERSE || strcmp(row->key, "transfer_allow") == 0);
}

/* Returns how many of its keys have changed. */
static unsigned tell_zone(const struct settings *first, const struct settings_zone *was, const struct settings_zone *is)
{
	unsigned changed = 0;

	for (size_t k = 0; k < zone_table_len; k++) {
		const struct setting *row = &zone_table[k];
		if (!zone_reloads(first, row, &is->conf) || setting_same(row, &was->conf, &is->conf))
			continue;
		log_each(LOG_INFO, "settings", "zone.%s.%s = %s, it was %s", is->conf.name, row->key, is->origins[k].text,
			 was->origins[k].text);
		changed++;
	}
	return changed;
}

/* What of the zones waits; returns how much. */
static unsigned tell_zones(const struct settings *first, const struct settings *fresh)
{
	unsigned waiting = 0;

	for (size_t i = 0; i < first->zone_count; i++)
		if (zone_find(fresh, first->zones[i].conf.name) == NULL) {
			log_each(LOG_WARN, "settings", "zone %s: goes with a restart", first->zones[i].conf.name);
			waiting++;
		}
	for (size_t i = 0; i < fresh->zone_count; i++) {
		const struct settings_zone *is = &fresh->zones[i], *was = zone_find(first, is->conf.name);
		if (was == NULL) {
			log_each(LOG_WARN, "settings", "zone %s: takes effect after a restart (%s)", is->conf.name,
				 is->where == NULL ? "default" : is->where);
			waiting++;
		}
		for (size_t k = 0; was != NULL && k < zone_table_len; k++) {
			if (zone_reloads(first, &zone_table[k], &is->conf) || setting_same(&zone_table[k], &was->conf, &is->conf))
				continue;
			log_each(LOG_WARN, "settings", "setting zone.%s.%s: takes effect after a restart (%s, %s)", is->conf.name,
				 zone_table[k].key, *is->origins[k].text == '\0' ? "empty" : is->origins[k].text, is->origins[k].where);
			waiting++;
		}
	}
	if (waiting == 0 && !settings_zones_same(first, fresh)) {
		log_each(LOG_WARN, "settings", "zones: their order takes effect after a restart");
		waiting++;
	}
	return waiting;
}

/* @first: what waits is held against what runs, so it is told again until the restart. */
static void tell_changes(const struct settings *first, const struct settings *old, const struct settings *fresh)
{
	unsigned changed = 0, waiting = 0;

	for (size_t i = 0; i < settings_table_len; i++) {
		const struct setting *row = &settings_table[i];
		bool reloads = setting_reloads(row);
		if (reloads && !setting_same(row, old, fresh)) {
			tell_row(row, &old->origins[i], &fresh->origins[i]);
			changed++;
		} else if (!reloads && !setting_same(row, first, fresh)) {
			tell_waiting(row, &fresh->origins[i]);
			waiting++;
		}
	}
	for (size_t i = 0; i < fresh->zone_count; i++) {
		const struct settings_zone *was = zone_find(old, fresh->zones[i].conf.name);
		if (was != NULL && zone_find(first, was->conf.name) != NULL)
			changed += tell_zone(first, was, &fresh->zones[i]);
	}
	waiting += tell_zones(first, fresh);
	log_each(LOG_INFO, "settings", "reloaded from %s: %u changed, %u wait for a restart",
		 fresh->file == NULL ? "no file" : fresh->file, changed, waiting);
}

/* ---- what is done */

/* What can fail, done aside. */
struct fresh {
	struct dns_change *dns;
	struct api_change *api;
	struct tls_keeper tls;
	struct tls_context *context;
};

static bool forward_same(const struct settings *a, const struct settings *b)
{
	for (size_t i = 0; i < settings_table_len; i++)
		if (strcmp(settings_table[i].section, "forward") == 0 && !setting_same(&settings_table[i], a, b))
			return false;
	return true;
}

static int fresh_make(struct fresh *f, const struct reload_parts *parts, const struct settings *old, const struct settings *s,
		      struct error *err)
{
	struct dns_server_conf dns;
	struct forward_conf forward;
	struct api_conf api;

	memset(f, 0, sizeof(*f));
	memset(&dns, 0, sizeof(dns));
	wiring_dns(&dns, s);
	wiring_forward(&forward, s);
	if (!forward_same(old, s))
		dns.forwarding = &forward;
	int rc = dns_server_prepare(&f->dns, parts->dns, &dns, err);
	if (rc < 0)
		return rc;
	rc = tls_keeper_load(&f->tls, s->tls.cert, s->tls.key, &f->context, err);
	if (rc < 0)
		return error_wrap(err, rc, "the old certificate stays");
	memset(&api, 0, sizeof(api));
	wiring_api(&api, s);
	return api_prepare(&f->api, parts->api, &api, err);
}

static void fresh_drop(struct fresh *f)
{
	dns_server_abandon(f->dns);
	tls_keeper_done(&f->tls);
	tls_context_free(f->context);
}

static void fresh_use(struct fresh *f, const struct reload_parts *parts)
{
	tls_keeper_done(parts->tls);
	*parts->tls = f->tls;
	if (f->context != NULL)
		dns_server_secure(parts->dns, f->context, desk_reaper(parts->desk));
	dns_server_commit(parts->dns, f->dns);
	api_commit(parts->api, f->api);
}

static void set_zones(const struct reload_parts *parts, const struct settings *s)
{
	struct zone_set_conf zones;

	memset(&zones, 0, sizeof(zones));
	wiring_zones(&zones, s, NULL);
	zone_set_selection(parts->zones, &zones);
	for (size_t i = 0; i < s->zone_count; i++)
		if (zone_set_access(parts->zones, &s->zones[i].conf) == E_NOMEM)
			log_error("settings", "no memory for who may ask zone %s: it stays", s->zones[i].conf.name);
}

static void set_limits(const struct reload_parts *parts, const struct settings *s)
{
	struct registry_conf conf;

	memset(&conf, 0, sizeof(conf));
	wiring_registry(&conf, s);
	registry_set_limits(desk_registry(parts->desk), &conf);
	char nsid[IDENTITY_MAX + 1];
	if (dns_server_identify(parts->dns, wiring_nsid(s, nsid), wiring_version(s), desk_reaper(parts->desk)) < 0)
		log_error("settings", "no memory for dns.nsid and dns.version: they stay");
	if (cookie_keeper_set(parts->cookies, (const char *const *)s->dns.cookie_secrets.at, s->dns.cookie_secrets.count, clock_wall_ms()) &&
	    dns_server_cookies(parts->dns, parts->cookies->key, parts->cookies->count, desk_reaper(parts->desk)) < 0)
		log_error("settings", "no memory for dns.cookie_secrets: they stay");
	struct dns_server_conf dns;
	memset(&dns, 0, sizeof(dns));
	wiring_dns(&dns, s);
	if (dns_server_limit(parts->dns, &dns.rates, desk_reaper(parts->desk)) < 0)
		log_error("settings", "no memory for dns.rrl: it stays");
	set_zones(parts, s);
	zone_set_ttls(parts->zones, s->dns.ttl, s->dns.ttl_host, s->dns.ttl_negative);
	beats_set_floor(parts->beats, s->registry.floor_percent);
	log_set_level(s->log.level);
	log_set_format(s->log.format);
}

static void publish(struct reload *r, struct version *v, const struct reload_parts *parts)
{
	const struct settings *old = atomic_load(&r->now);

	rcu_publish(&r->now, &v->settings);
	tell_changes(r->source.first, old, &v->settings);
	if (old != r->source.first)
		rcu_reaper_add(desk_reaper(parts->desk), &((struct version *)(uintptr_t)old)->reap, on_unread);
}

static bool apply(struct reload *r, struct version *v, const struct reload_parts *parts)
{
	struct fresh fresh;
	struct error err;

	if (v->settings.file == NULL && r->source.first->file != NULL) {
		refuse("the file that was read at the start is gone");
		return false;
	}
	if (fresh_make(&fresh, parts, atomic_load(&r->now), &v->settings, &err) < 0) {
		fresh_drop(&fresh);
		refuse(err.text);
		return false;
	}
	fresh_use(&fresh, parts);
	set_limits(parts, &v->settings);
	publish(r, v, parts);
	return true;
}

bool reload_run(struct reload *r, const struct reload_parts *parts)
{
	const struct reload_source *from = &r->source;
	struct settings_errors errors;
	struct version *v = mem_zalloc(1, sizeof(*v));
	bool done = false;

	if (v == NULL) {
		refuse("no memory");
	} else {
		int rc = settings_load(&v->settings, from->argc, from->argv, from->envp, &errors);
		if (rc == E_OK)
			done = apply(r, v, parts);
		else if (rc == E_NOMEM)
			refuse("no memory");
		else
			refuse_errors(&errors);
		settings_errors_done(&errors);
		if (!done)
			version_free(v);
	}
	metrics_add(done ? r->applied : r->refused, 1);
	if (done)
		metrics_set(r->last, (double)clock_wall_ms() / 1000);
	return done;
}
